"""Losses on fixed noise: against closed forms, and the same whatever the batch."""

import math

import pytest
import torch
from torch import nn

from memhorizon.diffusion import ideal_model
from memhorizon.distributions import Empirical, Gaussian
from memhorizon.errors import InputError
from memhorizon.measure.losses import DenoisingLosses, denoising_losses, fixed_noise, loss_gap
from memhorizon.measure.means import Mean, jackknife_error
from memhorizon.schedule import Schedule

SCHEDULE = Schedule.linear()
LEVELS = [20, 200, 600]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def measure(model, data, **options):
    return denoising_losses(model, data, schedule=SCHEDULE, indices=LEVELS, **options)


def silent(x, index):
    return torch.zeros_like(x)


def test_a_silent_network_is_charged_the_noise_itself():
    data = normal(6, 1, 3, 3)
    losses = measure(silent, data, repeats=3, seed=5)
    noise = [fixed_noise((1, 3, 3), range(6), repeat=repeat, seed=5) for repeat in range(3)]
    expected = torch.stack(noise).double().square().flatten(2).mean((0, 2))  # [n]
    for level in range(3):  # 32-bit means of 9 entries, then 64 bits
        torch.testing.assert_close(losses.items[:, level], expected, rtol=9 * 2.0**-24, atol=0)


@pytest.mark.parametrize("prediction", ["noise", "x0", "v"])
def test_the_ideal_network_of_a_gaussian_pays_the_posterior_variance(prediction):
    variance = torch.tensor([4.0, 1.0, 0.25], dtype=torch.float64)
    law = Gaussian(torch.zeros(3).double(), variance.diag())
    data = law.sample(1500, generator=torch.Generator().manual_seed(0))
    model = ideal_model(law, SCHEDULE, prediction)
    losses = measure(model, data, repeats=1, prediction=prediction)
    alpha_bar = SCHEDULE.at(torch.tensor(LEVELS))[:, None]  # [levels, 1]
    total = alpha_bar * variance + 1 - alpha_bar  # variance of x_t
    posterior = {"noise": alpha_bar * variance, "x0": (1 - alpha_bar) * variance, "v": variance}[prediction]
    expected = (posterior / total).mean(1)
    assert bool(((losses.mean - expected).abs() < 4 * losses.standard_error).all())  # 3 of 9: P < 6e-4
    assert bool((losses.standard_error < 0.05 * expected).all())


def test_batch_size_never_changes_the_noise_nor_the_answer():
    data = normal(23, 2, 4)
    whole = measure(lambda x, index: x * 0.5, data)
    for batch_size in (1, 7, 22, 1000):
        assert torch.equal(measure(lambda x, index: x * 0.5, data, batch_size=batch_size).items, whole.items)
    part = measure(lambda x, index: x * 0.5, data[:9])
    assert torch.equal(part.items, whole.items[:9])  # an item keeps its noise when others come or go


def test_noise_is_normal_and_its_own_for_every_item_repeat_and_seed():
    noise = torch.stack([fixed_noise((50,), range(40), repeat=r, seed=s) for r in (0, 1) for s in (0, 1)])
    flat = noise.reshape(-1, 50).double()  # 160 vectors
    gram = flat @ flat.T / 50
    off = gram[~torch.eye(160, dtype=torch.bool)]
    assert float(off.abs().max()) < 6 / math.sqrt(
        50
    )  # products of independent vectors: N(0, 1/50), 12,720 of them
    assert abs(float(gram.diagonal().mean()) - 1) < 4 * math.sqrt(2 / flat.numel())
    assert torch.equal(fixed_noise((50,), [3], seed=1)[0], fixed_noise((50,), range(9), seed=1)[3])


class Moody(nn.Module):
    """Dropout in a submodule that its owner keeps in another mode."""

    def __init__(self):
        super().__init__()
        self.dropout, self.frozen = nn.Dropout(0.5), nn.Dropout(0.5).eval()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x, index):
        assert not torch.is_grad_enabled()
        return self.frozen(self.dropout(x)) * self.weight


def test_measured_in_eval_mode_which_is_given_back():
    model, data = Moody(), normal(10, 4)
    losses = measure(model, data)
    assert torch.equal(losses.items, measure(lambda x, index: x, data).items)  # nothing was dropped
    assert (model.training, model.dropout.training, model.frozen.training) == (True, True, False)
    assert not losses.items.requires_grad
    assert model.weight.grad is None


def test_the_perfect_memorizer_opens_a_gap_and_the_law_itself_does_not():
    law = Gaussian(torch.zeros(8).double(), torch.eye(8).double())
    train, holdout = (law.sample(200, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))

    def gap(model):
        return loss_gap(measure(model, train, seed=0), measure(model, holdout, seed=1))

    assert all(
        one.value > 10 * one.standard_error for one in gap(ideal_model(Empirical(train), SCHEDULE))[:2]
    )
    assert all(abs(one.value) < 4 * one.standard_error for one in gap(ideal_model(law, SCHEDULE)))


def test_gap_adds_variances():
    one = DenoisingLosses((3,), torch.tensor([[1.0], [3.0]], dtype=torch.float64))
    other = DenoisingLosses((3,), torch.tensor([[2.0], [5.0], [8.0]], dtype=torch.float64))
    (gap,) = loss_gap(one, other)
    assert gap.value == pytest.approx(3.0)
    assert gap.standard_error == pytest.approx(math.sqrt(2 / 2 + 9 / 3))
    assert gap.count == 2
    (level,) = one.levels
    assert level.value == pytest.approx(2.0)
    assert level.standard_error == pytest.approx(1.0)


def test_a_single_item_has_no_error_to_offer():
    losses = measure(silent, normal(1, 4))
    assert bool(losses.standard_error.isinf().all())
    assert {level.standard_error for level in losses.levels} == {math.inf}


def test_mean_and_its_interval():
    values = normal(50).double()
    mean = Mean.of(values)
    assert mean.standard_error == pytest.approx(float(values.std()) / math.sqrt(50))
    assert mean.high - mean.low == pytest.approx(2 * 1.959964 * mean.standard_error, rel=1e-6)
    # of a mean, leaving out single items in turn gives the same error by another road
    assert jackknife_error((values.sum() - values) / 49) == pytest.approx(mean.standard_error)


DATA = torch.ones(4, 3)
BAD = {
    "no item": ({"data": DATA[:0]}, "data: expected items"),
    "no entries": ({"data": torch.ones(4)}, "data: expected items"),
    "NaN": ({"data": DATA * math.nan}, "data: expected finite floats"),
    "no level": ({"indices": []}, "indices"),
    "level outside": ({"indices": [1000]}, "indices: .* at most 999, got 1000"),
    "negative level": ({"indices": [-1]}, "indices"),
    "no repeat": ({"repeats": 0}, "repeats"),
    "no batch": ({"batch_size": 0}, "batch_size"),
    "other shape": ({"model": lambda x, index: x[:, :1]}, "model: expected an output of shape"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    changes, message = BAD[case]
    options = {"model": silent, "data": DATA, "schedule": SCHEDULE, "indices": [1], **changes}
    with pytest.raises(InputError, match=message):
        denoising_losses(options.pop("model"), options.pop("data"), **options)


def test_gap_needs_the_same_levels():
    one = DenoisingLosses((3,), torch.ones(2, 1, dtype=torch.float64))
    with pytest.raises(InputError, match="same noise levels"):
        loss_gap(one, DenoisingLosses((4,), one.items))


def test_losses_are_short_when_shown():
    found = denoising_losses(lambda x, i: 0 * x, torch.ones(500, 3), schedule=Schedule.linear(), indices=[5])
    assert repr(found).startswith("DenoisingLosses(500 items; by level 5: ")
    assert len(repr(found)) < 80
