"""The loss of a constant output, against that of networks that are one."""

import math

import pytest
import torch
from torch import nn

import memhorizon as mh
from memhorizon.distributions import Gaussian
from memhorizon.monitor.constant import Constant
from memhorizon.monitor.signals import Probe, measure_losses
from memhorizon.records.monitor import Phase

SCHEDULE = mh.Schedule.linear()


def items(n, seed):
    return 0.4 * torch.randn(n, 6, generator=torch.Generator().manual_seed(seed)) + 0.8


def outputs(mean):
    """What the best constant puts out at a level, by prediction."""
    zero = torch.zeros(6)
    b = (1 - SCHEDULE.alpha_bar).sqrt().float()[:, None]
    return {"noise": lambda _: zero, "x0": lambda _: mean, "v": lambda index: -b[index] * mean}


@pytest.mark.parametrize("prediction", ["noise", "x0", "v"])
@pytest.mark.parametrize("has_holdout", [True, False])
def test_it_is_the_loss_of_a_network_that_puts_out_the_mean(prediction, has_holdout):
    train = items(30, 0)
    output = outputs(train.mean(0))[prediction]
    constant = getattr(mh.Denoiser, prediction)(lambda x, i: output(i).expand_as(x), SCHEDULE)
    probe = Probe.of(train, items(20, 1) if has_holdout else None, 16, seed=0)
    losses = measure_losses(constant, probe, device=torch.device("cpu"), batch_size=64)
    wanted = losses.holdout_loss if has_holdout else losses.train_loss
    # sums in float32 and in float64
    assert math.isclose(Constant.of(probe, train.mean(0)).loss(constant), wanted, rel_tol=1e-4)


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body = nn.Linear(6, 6)

    def forward(self, x, _):
        return self.body(x)


def watched(denoiser, *, scale=1.0, holdout=True, make=items):
    watch = mh.Monitor(
        scale * make(30, 0),
        holdout=scale * make(20, 1) if holdout else None,
        denoiser=denoiser,
        sampler=mh.SamplerConfig("ddim", 4),
        target=0.3,
        budget=None,
        plan=mh.LookPlan(n_samples=8, n_probe=16, n_shown=0),
    )
    for step in (20, 24, 30, 36):
        watch.update(step)
    watch.certify(40)
    watch.finish()
    return watch


def moments(mean, covariance):
    """The exact denoiser of a Gaussian, x and the index of a level -> E[x_0 | x]."""
    learned = mh.Denoiser.exact(Gaussian(mean.double(), covariance.double()))

    def network(x, index):
        alpha_bar = SCHEDULE.alpha_bar[index]
        a = alpha_bar.sqrt()[:, None].float()
        return learned(x / a, ((1 - alpha_bar) / alpha_bar).sqrt())

    return network


def exact(prediction, scale=1.0):
    """A network that has learned the distribution, as one of another prediction and scale sees it."""
    network = moments(torch.full((6,), 0.8 * scale), (0.4 * scale) ** 2 * torch.eye(6))
    return getattr(mh.Denoiser, prediction)(network, SCHEDULE)


@pytest.mark.parametrize(
    "make",
    [
        lambda: (mh.Denoiser.noise(Linear(), SCHEDULE), {}),
        lambda: (mh.Denoiser.x0(Linear(), SCHEDULE), {}),
        lambda: (mh.Denoiser.x0(Linear(), SCHEDULE), {"holdout": False}),
        lambda: (exact("noise"), {}),
        lambda: (exact("x0"), {"scale": 100.0}),
    ],
    ids=["noise", "x0", "without held-out items", "wrong prediction", "wrong scale"],
)
def test_what_has_learned_nothing_gets_no_certificate_and_a_warning(make):
    denoiser, changes = make()
    with pytest.warns(UserWarning, match="not trained yet.*another prediction.*another scale") as caught:
        watch = watched(denoiser, **changes)
    assert len(caught) == 1
    assert watch.verdict.phase is Phase.CANNOT_TELL
    assert watch.best is None
    assert watch.record().certificates == 0


def test_what_has_learned_gets_one():
    watch = watched(exact("x0"))
    assert watch.verdict.phase is Phase.WINDOW
    assert watch.best is not None


def white(n, seed):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))


def test_what_has_learned_its_training_items_alone_gets_one_and_the_verdict_says_so():
    """White data leave nothing to predict of v; the moments of a training set are better on that alone."""
    train = white(30, 0)
    learned = moments(train.mean(0), train.T.cov())

    def network(x, index):
        a, b = (
            part.sqrt()[:, None].float()
            for part in (SCHEDULE.alpha_bar[index], 1 - SCHEDULE.alpha_bar[index])
        )
        # x_0 = a x - b v
        return (a * x - learned(x, index)) / b

    watch = watched(mh.Denoiser.v(network, SCHEDULE), make=white)
    looks = watch.record().looks
    assert all(look.train_loss < 0.99 * look.trivial_train_loss for look in looks)
    assert all(look.holdout_loss > look.trivial_loss for look in looks)
    assert watch.best is not None
    assert watch.verdict.phase is Phase.CANNOT_TELL
    assert "does not hold for others" in watch.verdict.reason
