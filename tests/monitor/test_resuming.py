"""What a resumed or a repeated training finds in the folder of its monitor: never the weights of another."""

import copy
import warnings

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import memhorizon as mh
from memhorizon.monitor.keeping import BEST, EARLIER

SCHEDULE = mh.Schedule.linear()


def items(n, seed):
    return torch.randn(n, 16, generator=torch.Generator().manual_seed(seed))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(17, 32), nn.SiLU(), nn.Linear(32, 16))

    def forward(self, x, index):
        return self.body(torch.cat([x, index.to(x)[:, None] / 1000], 1))


def made(kind=Net, seed=1):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind()


def monitor(root, seed=0, **changes):
    settings = {
        "holdout": items(20, seed + 100),
        "denoiser": lambda model: mh.Denoiser.noise(model, SCHEDULE),
        "sampler": mh.SamplerConfig("ddim", 5),
        "budget": None,
        "root": root,
    }
    return mh.Monitor(items(40, seed), **{**settings, **changes})


class Training:
    """Adam on noise prediction; where it is, and what its monitor has seen, can be saved."""

    def __init__(self, watch, seed=1):
        self.net = made(seed=seed)
        self.watch = watch
        self.optimizer = torch.optim.Adam(self.net.parameters(), 5e-3)
        self.random = torch.Generator().manual_seed(0)
        self.step = 0

    def until(self, last):
        data = self.watch.sets.train
        while self.step < last:
            self.step += 1
            x = data[torch.randint(len(data), (16,), generator=self.random)]
            index = torch.randint(1, 1000, (16,), generator=self.random)
            noise = torch.randn(x.shape, generator=self.random)
            a = SCHEDULE.alpha_bar[index].float()[:, None]
            loss = (self.net(a.sqrt() * x + (1 - a).sqrt() * noise, index) - noise).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.watch.update(self.step, self.net)
        return self

    def saved(self):
        return copy.deepcopy(self.net.state_dict()), self.watch.state_dict()


def resumed(root, saved):
    training = Training(monitor(root))
    training.net.load_state_dict(saved[0])
    training.watch.load_state_dict(saved[1])
    return training


def same(weights, others):
    return weights.keys() == others.keys() and all(
        torch.equal(weights[name], others[name]) for name in weights
    )


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory):
    """A training that went on after its last state: (folder, state at a best checkpoint, its step)."""
    root = tmp_path_factory.mktemp("cut-off")
    training = Training(monitor(root))
    while training.watch.best is None:
        training.until(training.step + 1)
    saved, step = training.saved(), training.step
    training.until(2 * step)
    assert training.watch.best.step > step
    return root, saved, step


def test_the_best_checkpoint_of_an_older_state_never_names_the_weights_of_a_later_one(cut_off):
    root, saved, step = cut_off
    assert not same(load_file(root / BEST), saved[0])  # another checkpoint lies there
    training = resumed(root, saved)
    best = training.watch.best
    assert best.step == step
    assert best.path == ""
    assert "another checkpoint lies there" in best.note
    best = training.watch.finish(training.net)
    assert best.step == step
    assert same(load_file(best.path), saved[0])  # from those of the candidate, which the state names
    assert training.watch.record().failures == ()


def test_candidates_that_a_state_names_are_kept_until_the_next_one(tmp_path):
    training = Training(monitor(tmp_path)).until(40)
    named = set(training.watch._memory.candidates)
    saved = training.saved()
    training.until(260)
    others = set(training.watch._memory.candidates)
    assert not named & others
    assert kept(tmp_path) == named | others
    training.watch.state_dict()
    assert kept(tmp_path) == others
    again = resumed(tmp_path, saved)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert again.watch.finish(again.net) is None
    (failure,) = again.watch.record().failures[:1]
    assert "its weights are not in the folder any more" in failure


def kept(root):
    return {int(path.stem.split("-")[1]) for path in root.glob("candidate-*.safetensors")}


def test_another_training_in_the_folder_finds_nothing_of_the_first(tmp_path):
    first = Training(monitor(tmp_path)).until(160)
    first.watch.finish(first.net)
    weights = load_file(tmp_path / BEST)
    second = Training(monitor(tmp_path, seed=7), seed=2).until(25)
    assert second.watch.best is None
    assert not (tmp_path / BEST).exists()
    assert same(load_file(tmp_path / EARLIER), weights)  # nothing is lost
    sheets = second.watch.record().sheets
    of_now = {(tmp_path / name).name for sheet in sheets for name in (sheet.arrays, sheet.picture) if name}
    assert {path.name for path in (tmp_path / "sheets").iterdir()} == of_now


def test_of_several_networks_behind_a_denoiser_the_one_that_was_given_is_kept(tmp_path):
    class Trainer:
        def __init__(self):
            self.other = made()
            self.watch = monitor(tmp_path, denoiser=self.denoiser)

        def denoiser(self, model):
            return mh.Denoiser.noise(lambda x, index: self.predict(model, x, index), SCHEDULE)

        def predict(self, model, x, index):
            return model(x, index)

    training = Training(Trainer().watch).until(160)
    best = training.watch.finish(training.net)
    made().load_state_dict(load_file(best.path))  # under its own names


def test_tied_weights_are_kept_under_each_of_their_names(tmp_path):
    class Tied(Net):
        def __init__(self):
            super().__init__()
            self.again = self.body[2]

    training = Training(monitor(tmp_path))
    training.net = made(Tied)
    training.watch.certify(1, training.net.eval())
    training.optimizer = torch.optim.Adam(training.net.parameters(), 5e-3)
    best = training.until(160).watch.finish(training.net)
    made(Tied).load_state_dict(load_file(best.path))


def test_a_network_that_the_denoiser_does_not_call_is_refused():
    net = made()
    watch = monitor(None, denoiser=mh.Denoiser.noise(net, SCHEDULE))
    with pytest.warns(UserWarning, match="expected the network that the Denoiser calls, got another one"):
        assert watch.update(20, made(seed=2)) is None
    assert watch.update(30, net) is not None
    assert watch.update(50, nn.Sequential(net)) is not None  # with something around it


def test_losses_that_are_not_finite_change_nothing_later():
    """One NaN at the first look: what rises, and which checkpoints are kept, follows from the others."""

    class Once(Net):
        broken = True

        def forward(self, x, index):
            return super().forward(x, index) * (float("nan") if self.broken else 1.0)

    training = Training(monitor(None))
    training.net = made(Once)
    training.net.broken = False
    training.optimizer = torch.optim.Adam(training.net.parameters(), 5e-3)
    training.until(19)
    training.net.broken = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        training.watch.update(20, training.net)
    training.net.broken = False
    training.step = 20
    training.until(200)
    first, *later = training.watch.history
    assert first.step == 20
    assert first.holdout_loss != first.holdout_loss
    assert all(look.rise == look.rise for look in later)
    assert later[0].rise == 0
    assert 20 not in training.watch._memory.candidates


def test_a_count_that_begins_anew_after_a_state_is_warned_of(tmp_path):
    training = Training(monitor(tmp_path)).until(60)
    again = resumed(tmp_path, training.saved())
    with pytest.warns(UserWarning, match="step 1 came after step"):
        again.until(1)


UNTRAINED = "is not trained yet, the Denoiser is made with another prediction"


def test_that_an_untrained_network_is_not_certified_is_said():
    training = Training(monitor(None))
    with pytest.warns(UserWarning, match=UNTRAINED):
        training.watch.certify(10, training.net)
    assert training.watch.best is None


def test_that_it_has_not_been_is_said_at_the_end():
    training = Training(monitor(None))
    training.watch.update(20, training.net)
    with pytest.warns(UserWarning, match=UNTRAINED):
        assert training.watch.finish(training.net) is None
