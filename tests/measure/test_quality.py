"""Frechet and kernel distance: against closed forms, slow twins and torchmetrics."""

import math

import pytest
import torch
from torch import nn

from memhorizon.errors import InputError
from memhorizon.measure.features import pca_features
from memhorizon.measure.quality import frechet_distance, kernel_distance
from memhorizon.results import Status
from reference import frechet_slow, kernel_distance_slow


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


SIZES = [(60, 90, 5), (30, 25, 40), (12, 200, 30), (2, 2, 3), (50, 70, 1)]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_equal_the_slow_twins(sizes):
    n, m, d = sizes
    x, y = normal(n, d), 1.3 * normal(m, d, seed=1) @ normal(d, d, seed=2) / math.sqrt(d) + 0.2
    frechet, kernel = frechet_distance(x, y), kernel_distance(x, y)
    # the twin takes roots of eigenvalues that should be 0: each is off by sqrt(eps) of the largest
    assert frechet.value == pytest.approx(
        frechet_slow(x, y), rel=1e-8, abs=2 * d * 2.0**-26 * float(y.var() * d)
    )
    assert kernel.value == pytest.approx(kernel_distance_slow(x, y), rel=1e-9)
    assert frechet.sizes == kernel.sizes == (n, m)
    assert frechet.dim == kernel.dim == d


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_a_shifted_copy_is_at_exactly_the_squared_shift(shift):
    x = normal(100, 2, 3)
    assert frechet_distance(x, x + shift).value == pytest.approx(6 * shift**2, abs=1e-12)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save all:UserWarning")
def test_equal_torchmetrics_with_a_network_of_ones_own():
    fid = pytest.importorskip("torchmetrics.image.fid")
    kid = pytest.importorskip("torchmetrics.image.kid")

    class Features(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :6]

    x, y = normal(80, 1, 3, 3).float(), (1.2 * normal(80, 1, 3, 3, seed=1) + 0.1).float()
    with torch.random.fork_rng():  # torchmetrics draws from the global generator
        frechet = fid.FrechetInceptionDistance(feature=Features(), input_img_size=(1, 3, 3))
        kernel = kid.KernelInceptionDistance(feature=Features(), subsets=1, subset_size=80)
        for metric in (frechet, kernel):
            metric.update(x, real=True)
            metric.update(y, real=False)
        their_frechet, their_kernel = float(frechet.compute()), float(kernel.compute()[0])
    # their sums are in 32 bits in part; 80 features of size 1, cubed
    assert frechet_distance(x, y, features=Features()).value == pytest.approx(their_frechet, rel=1e-4)
    assert kernel_distance(x, y, features=Features()).value == pytest.approx(their_kernel, rel=1e-4)


GAUSSIANS = [(1.0, 0.0), (1.1, 0.1), (0.7, 0.0)]


@pytest.mark.parametrize(("scale", "mean"), GAUSSIANS)
def test_corrected_frechet_distance_of_gaussians_is_that_of_the_distributions(scale, mean):
    """The plain number is far too large at these sizes; the corrected one is right within its error."""
    d = 32
    x, y = normal(300, d), scale * normal(400, d, seed=1) + mean
    found = frechet_distance(x, y)
    true = d * ((scale - 1) ** 2 + mean**2)
    assert found.status is Status.FINE
    assert found.value > true + 4 * found.corrected.standard_error
    assert abs(found.corrected.value - true) < 4 * found.corrected.standard_error


@pytest.mark.parametrize(("scale", "mean"), GAUSSIANS)
def test_intervals_cover(scale, mean):
    """100 pairs: at the nominal 95 % fewer than 87 have P = 3e-4; the jackknife errs to the safe side."""
    d, frechet, kernel = 16, 0, 0
    true = d * ((scale - 1) ** 2 + mean**2)
    big = kernel_distance(normal(4000, d, seed=997), scale * normal(4000, d, seed=998) + mean).corrected
    for seed in range(100):
        x, y = normal(200, d, seed=2 * seed), scale * normal(300, d, seed=2 * seed + 1) + mean
        one = frechet_distance(x, y).corrected
        frechet += one.low <= true <= one.high
        one = kernel_distance(x, y).corrected
        kernel += one.low <= big.value <= one.high
    assert frechet >= 87
    assert kernel >= 87


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_sets_more_alike_than_independent_draws_say_so_and_their_interval_holds_0(distance):
    """Equally many items of each of 10 far classes in both sets: the truth is 0, the correction too large."""
    alike = 0
    for seed in range(12):
        centers = 3 * normal(10, 4, seed=1000 + seed).repeat_interleave(20, 0)
        order = torch.randperm(200, generator=torch.Generator().manual_seed(seed))
        x, y = (centers + 0.3 * normal(200, 4, seed=2 * seed + side) for side in (0, 1))
        found = distance(x[order], y[order.flip(0)])
        assert found.corrected.high >= 0
        if found.status is not Status.FINE:
            alike += 1
            assert found.status is Status.TOO_ALIKE
            assert found.corrected.standard_error == -found.corrected.value
    assert alike >= 4  # with independent draws 2.5 % would be: P(4 of 12) = 2e-4


def test_an_estimate_a_little_below_0_is_fine():
    """Independent draws of one distribution: half of the estimates lie below 0, 2.5 % of the intervals.

    P(5 or more of 20 intervals) = 1e-4.
    """
    found = [kernel_distance(normal(60, 4, seed=2 * s), normal(60, 4, seed=2 * s + 1)) for s in range(20)]
    assert sum(distance.value < 0 for distance in found) >= 6
    assert sum(distance.status is Status.TOO_ALIKE for distance in found) <= 4


def test_kernel_distance_has_no_bias_at_any_size():
    """Sets of 10 from one distribution: 400 independent values average to 0."""
    values = [
        kernel_distance(normal(10, 4, seed=2 * s), normal(10, 4, seed=2 * s + 1)).value for s in range(400)
    ]
    values = torch.tensor(values, dtype=torch.float64)
    assert abs(float(values.mean())) < 4 * float(values.std()) / math.sqrt(400)


def test_kernel_distance_of_point_masses_is_closed():
    """All x at a, all y at b: k(a,a) + k(b,b) - 2 k(a,b)."""
    a, b = normal(3), normal(3, seed=1)

    def k(u, v):
        return (float(u @ v) / 3 + 1) ** 3

    found = kernel_distance(a.expand(50, 3), b.expand(60, 3))
    assert found.value == pytest.approx(k(a, a) + k(b, b) - 2 * k(a, b))
    assert found.corrected.standard_error == pytest.approx(0, abs=1e-9)


def test_distances_are_symmetric_and_do_not_see_the_order():
    x, y = normal(60, 4), 1.5 * normal(80, 4, seed=1)
    for distance in (frechet_distance, kernel_distance):
        assert distance(x, y).value == pytest.approx(distance(y, x).value)
        assert distance(x.flip(0), y).value == pytest.approx(distance(x, y).value)
        assert distance(x, x).value < 1e-9  # an unbiased estimate of 0 may be negative


def test_singular_and_constant_sets_are_no_special_case():
    flat = normal(100, 8)
    flat[:, 3:] = 0
    assert frechet_distance(flat, flat + 1).value == pytest.approx(8)
    constant = torch.zeros(50, 8)
    trace = float(flat.var(0).sum())  # against a point: all the variance remains
    mean = float(flat.mean(0).square().sum())
    assert frechet_distance(constant, flat).value == pytest.approx(trace + mean)
    assert frechet_distance(constant, constant).value == 0
    assert frechet_distance(constant, constant).corrected.standard_error == 0


def test_small_sets_say_so():
    biased = frechet_distance(normal(100, 30), normal(1000, 30, seed=1))
    assert (biased.status, biased.note) == (Status.BIASED, "fewer than 5 items per feature")
    # the fewest of which neither holds
    assert frechet_distance(normal(40, 8), normal(50, 8, seed=1) + 1).status is Status.FINE
    assert frechet_distance(normal(44, 9), normal(50, 9, seed=1) + 1).status is Status.BIASED
    for distance in (frechet_distance, kernel_distance):
        few = distance(normal(39, 2), normal(100, 2, seed=1))
        assert (few.status, few.note) == (Status.NO_ERROR, "fewer than 40 items")
        assert few.corrected.standard_error == math.inf


GOOD = torch.eye(4)
BAD = {
    "one item": (lambda: frechet_distance(GOOD[:1], GOOD), "at least 2 items each, got 1 and 4"),
    "one item, kernel": (lambda: kernel_distance(GOOD, GOOD[:1]), "at least 2 items each, got 4 and 1"),
    "no item": (lambda: frechet_distance(GOOD[:0], GOOD), r"x: expected items \[n, \*item\]"),
    "numbers": (lambda: frechet_distance(GOOD, torch.ones(4)), r"y: expected items \[n, \*item\]"),
    "sizes": (lambda: frechet_distance(GOOD, GOOD[:, :3]), "items of one size, got 4 and 3"),
    "NaN": (lambda: frechet_distance(GOOD, GOOD * math.nan), "y: expected finite"),
    "infinity": (lambda: kernel_distance(GOOD / 0, GOOD), "x: expected finite"),
    "overflow": (lambda: kernel_distance(GOOD.double() * 1e50, GOOD), "x: expected finite"),
    "features": (lambda: frechet_distance(GOOD, GOOD, features=lambda x: x.sum(1)), "features: expected 4"),
    "no features": (lambda: frechet_distance(GOOD, GOOD, features=lambda x: "four"), "features: expected an"),
    "count": (lambda: frechet_distance(GOOD, GOOD, features=lambda x: x[:1]), "features: expected 4 vectors"),
    "batch": (lambda: frechet_distance(GOOD, GOOD, batch_size=0), "batch_size"),
    "dim 0": (lambda: pca_features(GOOD, 0), "dim: expected 1 to 4, got 0"),
    "dim": (lambda: pca_features(GOOD, 5), "dim: expected 1 to 4, got 5"),
    "nothing to fit": (lambda: pca_features(GOOD[:0], 1), "train: expected items"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(InputError, match=message):
        call()
