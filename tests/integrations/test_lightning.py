"""A training with Lightning, under both names of the package."""

import importlib
import importlib.util

import pytest
import torch

from memhorizon.integrations import lightning_callback
from memhorizon.integrations.lightning import STATE
from watched_training import Net, items, loss_of, monitor, perfect, seen

PACKAGES = [
    name
    for name, distribution in (("lightning.pytorch", "lightning"), ("pytorch_lightning", "pytorch_lightning"))
    if importlib.util.find_spec(distribution)
]
pytestmark = [
    pytest.mark.skipif(not PACKAGES, reason="needs Lightning"),
    pytest.mark.filterwarnings("ignore"),  # Lightning's own, many
]


def module(pl):
    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = Net()

        def training_step(self, batch, _):
            return loss_of(self.net)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 1e-2)

    return Module()


def fitted(pl, watched, folder, *, steps, resume=None, accumulate=1):
    """A training of so many steps, from a checkpoint or from the start."""
    torch.manual_seed(0)
    settings = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    settings |= {"accelerator": "cpu", "devices": 1, "default_root_dir": str(folder)}
    settings |= {"enable_checkpointing": False, "accumulate_grad_batches": accumulate}
    callback = lightning_callback(watched, lambda module: module.net)
    assert isinstance(callback, pl.Callback)
    trainer = pl.Trainer(max_steps=steps, max_epochs=-1, callbacks=[callback], **settings)
    trainer.fit(module(pl), torch.utils.data.DataLoader(items(4, 2)), ckpt_path=resume)
    return trainer


@pytest.mark.parametrize("package", PACKAGES)
def test_a_checkpoint_holds_what_was_seen(package, tmp_path):
    pl = importlib.import_module(package)
    watched = monitor()
    trainer = fitted(pl, watched, tmp_path, steps=8)
    path = str(tmp_path / "last.ckpt")
    trainer.save_checkpoint(path)
    assert torch.load(path, weights_only=True)["callbacks"][STATE]["due"] > 8
    resumed = monitor()
    fitted(pl, resumed, tmp_path, steps=12, resume=path)
    assert watched.best is not None  # certified at the end, if not before
    assert [look.step for look in watched.history] == [2, 3, 5, 8]
    assert [look.step for look in resumed.history] == [2, 3, 5, 8, 12]
    assert seen(resumed)[:4] == seen(watched)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_trainer_stops_where_the_monitor_says_so(package, tmp_path):
    pl = importlib.import_module(package)
    watched = monitor(denoiser=perfect)
    trainer = fitted(pl, watched, tmp_path, steps=1000)
    assert watched.verdict.phase == "memorizing"
    assert trainer.global_step == watched.history[-1].step < 1000


def test_batches_that_make_no_step_are_no_steps(tmp_path):
    pl = importlib.import_module(PACKAGES[0])
    watched = monitor()
    steps = []
    watched.update = lambda step, model: steps.append((step, type(model)))
    fitted(pl, watched, tmp_path, steps=4, accumulate=2)
    assert steps == [(k, Net) for k in (1, 2, 3, 4)]
