"""A training with Hugging Face's Trainer; transformers is not among what the tests install."""

import pytest
import torch

from memhorizon.integrations import trainer_callback
from watched_training import Net, items, loss_of, monitor, perfect, seen

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def no_package_called_datasets(monkeypatch):
    """The folder of tests has one of that name, which transformers takes for the package."""
    monkeypatch.setattr("transformers.trainer.is_datasets_available", lambda: False)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Net()

    def forward(self, x):
        return {"loss": loss_of(self.net)}


def fitted(watched, folder, *, steps, resume=False):
    torch.manual_seed(0)
    arguments = transformers.TrainingArguments(
        str(folder), max_steps=steps, save_steps=8, report_to=[], disable_tqdm=True, use_cpu=True
    )
    data = [{"x": row} for row in items(8, 3)]
    callback = trainer_callback(watched, lambda model: model.net)
    trainer = transformers.Trainer(Model(), arguments, train_dataset=data, callbacks=[callback])
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def test_it_looks_and_goes_on_from_a_checkpoint(tmp_path):
    watched = monitor()
    fitted(watched, tmp_path, steps=8)
    resumed = monitor()
    fitted(resumed, tmp_path, steps=12, resume=True)
    assert watched.best is not None  # certified at the end, if not before
    assert [look.step for look in watched.history] == [2, 3, 5, 8]
    assert [look.step for look in resumed.history] == [2, 3, 5, 8, 12]
    assert seen(resumed)[:2] == seen(watched)[:2]


def test_the_trainer_stops_where_the_monitor_says_so(tmp_path):
    watched = monitor(denoiser=perfect)
    trainer = fitted(watched, tmp_path, steps=500)
    assert watched.verdict.phase == "memorizing"
    assert trainer.state.global_step == watched.history[-1].step
