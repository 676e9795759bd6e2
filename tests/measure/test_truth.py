"""Distances to a known law, against closed forms."""

import math

import pytest
import torch

from memhorizon.diffusion import ideal_model
from memhorizon.distributions import Empirical, Gaussian, GaussianMixture
from memhorizon.errors import InputError
from memhorizon.measure.truth import kl_divergence, score_error
from memhorizon.schedule import Schedule

SCHEDULE = Schedule.linear()
LEVELS = [20, 200, 600]


def gaussian(variance, mean=0.0, dim=8):
    return Gaussian(torch.full((dim,), mean).double(), variance * torch.eye(dim).double())


def mixture(dim=8):
    means = torch.stack([torch.full((dim,), m).double() for m in (-1.0, 1.0)])
    return GaussianMixture(
        means, torch.eye(dim).double().expand(2, dim, dim), torch.tensor([0.5, 0.5]).double()
    )


def draw(law, m, seed):
    return law.sample(m, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("prediction", ["noise", "x0", "v"])
def test_the_ideal_network_has_no_score_error(prediction):
    law = mixture()
    model = ideal_model(law, SCHEDULE, prediction)
    errors = score_error(model, law, schedule=SCHEDULE, indices=LEVELS, n=200, prediction=prediction)
    # a 32-bit output is off by about 2^-24 of its size (x0 of up to 5), and to_score divides it by delta_t
    for level, error in zip(LEVELS, errors, strict=True):
        assert error.value < (8 * 2.0**-24 / float(SCHEDULE.delta_t(level))) ** 2


def test_the_network_of_another_gaussian_errs_by_the_closed_form():
    """Scores -x/v against -x/w with x ~ N(0, v), after noise: v (1/v - 1/w)^2 per coordinate."""
    law, other = gaussian(1.0), gaussian(2.0)
    errors = score_error(ideal_model(other, SCHEDULE), law, schedule=SCHEDULE, indices=LEVELS, n=2000)
    for level, error in zip(LEVELS, errors, strict=True):
        w = 1 + float(SCHEDULE.at(level))
        assert abs(error.value - (1 - 1 / w) ** 2) < 4 * error.standard_error
        # the mean of 8 squares has relative variance 2/8; its estimate from 2,000 draws is good to 5 % or so
        assert error.standard_error == pytest.approx(error.value * math.sqrt(2 / 8 / 2000), rel=0.15)


def test_items_may_be_images_and_batches_do_not_matter():
    law = gaussian(1.0, dim=12)
    flat = ideal_model(gaussian(2.0, dim=12), SCHEDULE)
    options = {"schedule": SCHEDULE, "indices": LEVELS, "n": 50}
    expected = score_error(flat, law, **options)
    assert score_error(flat, law, item_shape=(3, 2, 2), batch_size=7, **options) == expected
    assert score_error(flat, law, seed=1, **options) != expected


def test_score_error_sees_the_perfect_memorizer():
    law = gaussian(1.0)
    model = ideal_model(Empirical(draw(law, 50, seed=0)), SCHEDULE)
    (error,) = score_error(model, law, schedule=SCHEDULE, indices=[20], n=500)
    assert error.value > 10 * error.standard_error


# KL(N(m, v I) | N(0, I)) = (d/2)(v - 1 - log v) + d m^2 / 2
GAUSSIANS = [(1.0, 0.0), (1.0, 0.25), (0.81, 0.0), (0.49, 0.0), (1.44, 0.1)]


@pytest.mark.parametrize(("variance", "mean"), GAUSSIANS)
def test_kl_between_gaussians(variance, mean):
    found = kl_divergence(draw(gaussian(variance, mean), 2000, seed=0), gaussian(1.0))
    true = 4 * (variance - 1 - math.log(variance)) + 4 * mean**2
    assert abs(found.value - true) < 4 * found.standard_error
    assert found.standard_error < 0.06


def test_kl_is_zero_from_a_mixture_to_itself_and_not_from_one_mode():
    law = mixture()
    same = kl_divergence(draw(law, 1500, seed=1), law)
    assert abs(same.value) < 4 * same.standard_error
    # one of two balanced modes, hardly overlapping: log 2, less the overlap
    one = kl_divergence(draw(gaussian(1.0, mean=1.0), 1500, seed=1), law)
    x = draw(gaussian(1.0, mean=1.0), 20000, seed=2)
    true = float((gaussian(1.0, mean=1.0).log_prob(x) - law.log_prob(x)).mean())
    assert abs(one.value - true) < 4 * one.standard_error


def test_kl_grows_without_bound_as_samples_gather_on_few_points():
    law = gaussian(1.0)
    points, noise = draw(law, 40, seed=0)[torch.arange(1000) % 40], draw(law, 1000, seed=1)
    wide, narrow = (kl_divergence(points + width * noise, law).value for width in (1e-3, 1e-4))
    # all neighbours stay, all distances shrink by 10; |x|^2/2 moves by 1e-3 c.z, 1e-3 sqrt(8/1000) on average
    assert narrow - wide == pytest.approx(8 * math.log(10), abs=4 * 1e-3 * math.sqrt(8 / 1000))
    assert kl_divergence(points, law).value == math.inf


@pytest.mark.slow
@pytest.mark.parametrize(("variance", "mean"), GAUSSIANS)
def test_the_interval_of_kl_covers(variance, mean):
    """100 sets: at the nominal 95 % fewer than 87 have P = 3e-4; leaving out groups errs to the safe side."""
    law, true = gaussian(1.0), 4 * (variance - 1 - math.log(variance)) + 4 * mean**2
    found = [
        kl_divergence(draw(gaussian(variance, mean), 1000, seed=s), law, seed=1000 + s) for s in range(100)
    ]
    assert sum(one.low <= true <= one.high for one in found) >= 87


LAW = gaussian(1.0, dim=3)
ERROR = {"schedule": SCHEDULE, "indices": [1], "n": 10}
BAD = {
    "no draw": (lambda: score_error(lambda x, i: x, LAW, **{**ERROR, "n": 0}), "n: expected a whole"),
    "level": (lambda: score_error(lambda x, i: x, LAW, **{**ERROR, "indices": [1000]}), "indices"),
    "no level": (lambda: score_error(lambda x, i: x, LAW, **{**ERROR, "indices": []}), "indices"),
    "shape": (lambda: score_error(lambda x, i: x, LAW, item_shape=(2, 2), **ERROR), "item_shape: expected 3"),
    "output": (lambda: score_error(lambda x, i: x[:, :1], LAW, **ERROR), "model: expected an output"),
    "dimension": (lambda: kl_divergence(torch.randn(50, 2, generator=torch.Generator()), LAW), "dimension 3"),
    "few": (lambda: kl_divergence(torch.eye(3), LAW), "more than 2k points"),
    "k": (lambda: kl_divergence(torch.eye(3), LAW, k=0), "k >= 1"),
    "nulls": (lambda: kl_divergence(draw(LAW, 50, 0), LAW, nulls=0), "nulls"),
    "NaN": (lambda: kl_divergence(torch.full((50, 3), math.nan), LAW), "finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(InputError, match=message):
        call()
