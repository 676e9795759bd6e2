"""Copies, their null, duplicates: against planted truth, closed forms and slow twins."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from memhorizon.errors import InputError
from memhorizon.measure.memorization import (
    gap_ratios,
    intrinsic_dimension,
    memorized_fraction,
    null_fraction,
)
from memhorizon.results import Estimate
from reference import gap_ratios_slow


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed))


def torus(n, dim, seed):
    """Uniform on a flat torus: a closed manifold of this dimension in 2 dim coordinates."""
    angle = 2 * math.pi * torch.rand(n, dim, generator=generator(seed), dtype=torch.float64)
    return torch.cat([angle.cos(), angle.sin()], 1)


def test_ratio_of_known_distances():
    train = torch.tensor([[0.0, 0], [4, 0], [0, 100]])
    samples = torch.tensor([[1.0, 0], [2, 0], [0, 0], [4, 3]])
    expected = torch.tensor([1 / 3, 1, 0, 3 / 5])
    assert torch.equal(gap_ratios(samples, train), expected)
    # 1/3 in 32 bits is just above 1/3 in 64 bits: at the threshold a sample is not memorized
    assert memorized_fraction(gap_ratios(samples, train)).count == 1
    assert memorized_fraction(gap_ratios(samples, train), threshold=0.34).count == 2


def test_planted_copies_are_counted_and_nothing_else():
    train, fresh = normal(2000, 1, 8, 8), normal(450, 1, 8, 8, seed=1)
    copies = train[:50] + 1e-3 * normal(50, 1, 8, 8, seed=2)
    samples = torch.cat([fresh, copies])
    assert memorized_fraction(gap_ratios(samples, train)).count == 50
    # the question is asked of samples: asked of training points, the answer would be 50 of 2,000
    assert memorized_fraction(gap_ratios(samples, train)).total == 500
    assert memorized_fraction(gap_ratios(train, samples)).value == pytest.approx(50 / 2000)


@pytest.mark.parametrize("times", [1, 2, 4, 18])
def test_items_that_occur_several_times_hide_no_near_copy(times):
    """500 near copies are all found, however often each original is in the training set, and nothing else."""
    train = normal(1000, 16)
    copies = train[:500] + 1e-3 * normal(500, 16, seed=1)
    order = torch.randperm(1000 * times, generator=generator(2))
    repeated = torch.cat([train] * times)[order]
    once = gap_ratios(torch.cat([copies, normal(500, 16, seed=3)]), train)
    again = gap_ratios(torch.cat([copies, normal(500, 16, seed=3)]), repeated)
    assert torch.equal(again, once)  # the same distances, measured by the same differences
    assert memorized_fraction(again).count == 500


def test_some_items_that_occur_twice_change_only_their_own_ratios():
    train, samples = normal(200, 8), normal(300, 8, seed=1)
    twice = torch.cat([train, train[:20]])
    group = torch.cat([torch.arange(200), torch.arange(20)])
    torch.testing.assert_close(
        gap_ratios(samples, twice), gap_ratios_slow(samples, twice, group).float(), rtol=2 * 2.0**-23, atol=0
    )
    assert torch.equal(gap_ratios(samples, twice, chunk=7), gap_ratios(samples, twice))
    # points at one distance from a sample are no duplicates: the ratio is 1, not that to a third one
    assert gap_ratios(torch.zeros(1, 2), torch.tensor([[1.0, 0], [0, 1], [5, 5]])).tolist() == [1.0]


def test_exact_copy_of_a_duplicated_image_is_no_novelty():
    train = torch.cat([normal(20, 4)] * 3)
    assert bool((gap_ratios(train[:20], train) == 0).all())
    assert memorized_fraction(gap_ratios(train[:20], train)).value == 1.0


def test_nothing_found_still_has_an_upper_bound():
    found = memorized_fraction(torch.ones(1000))
    assert (found.count, found.total, found.low) == (0, 1000, 0.0)
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 1000))  # (1 - p)^1000 = 0.025
    assert f"{found.high:.2%}" == "0.37%"


@pytest.mark.parametrize(("dim", "threshold"), [(1, 1 / 3), (2, 1 / 3), (3, 1 / 2)])
def test_fresh_points_show_the_closed_form_null(dim, threshold):
    """Independent repeats of one sample in uniform surroundings: binomial, P = threshold ** dim."""
    rng, repeats = generator(dim), 400
    hits = 0
    for _ in range(repeats):  # 40 points uniform in the unit ball around the sample: no edge effect at all
        train = torch.randn(40, dim, generator=rng, dtype=torch.float64)
        radius = torch.rand(40, 1, generator=rng, dtype=torch.float64) ** (1 / dim)
        ratio = gap_ratios(torch.zeros(1, dim).double(), radius * train / train.norm(dim=1, keepdim=True))
        hits += memorized_fraction(ratio, threshold=threshold).count
    null = null_fraction(Estimate(dim, dim, dim), threshold=threshold)
    assert null.value == pytest.approx(threshold**dim)
    assert stats.binomtest(hits, repeats, null.value).pvalue > 1e-3


def test_held_out_share_agrees_with_the_null_of_the_estimated_dimension():
    """The base rate of innocent points in two dimensions is 1/9, not 0: both nulls show it."""
    train, holdout = torus(3000, 2, seed=0), torus(3000, 2, seed=1)
    held = memorized_fraction(gap_ratios(holdout, train))
    null = null_fraction(intrinsic_dimension(train))
    assert null.low < 1 / 9 < null.high
    # the held-out count varies more than a binomial (samples share neighbours): twice its interval is allowed
    assert abs(held.value - 1 / 9) < held.high - held.low
    wide = memorized_fraction(gap_ratios(normal(500, 64, seed=1), normal(500, 64)))
    assert wide.count == 0  # in many dimensions the threshold is safe


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_dimension_interval_covers_the_dimension(dim):
    """40 manifolds: P(fewer than 33 of 40 covered) = 3e-4 at the nominal 95 %."""
    covered = 0
    for seed in range(40):
        found = intrinsic_dimension(torus(500, dim, seed=seed))
        covered += found.low <= dim <= found.high
    assert covered >= 33


def test_the_error_of_the_dimension_is_the_scatter_of_many_estimates():
    """300 sets: the mean of the stated errors against the standard deviation of the estimates.

    Each error rests on about 150 ratios of which its square varies by sqrt(8/150) or so, which their mean
    over 300 leaves at 1 %; the deviation of 300 estimates has a standard error of 1/sqrt(600) = 4 %, of which
    three are allowed. Without the covariance of neighbours the errors would be 19 % too small.
    """
    found = [intrinsic_dimension(torus(150, 2, seed=seed)) for seed in range(300)]
    value = np.array([estimate.value for estimate in found])
    error = np.array([(estimate.high - estimate.low) / (2 * 1.959964) for estimate in found])
    assert np.sqrt(np.mean(error**2)) == pytest.approx(value.std(ddof=1), rel=0.12)
    # without bias: 300 estimates average to the dimension, edges there are none
    assert abs(value.mean() - 2) < 4 * value.std() / math.sqrt(300) + 0.02


@pytest.mark.parametrize(("seed", "sign"), [(7, 1), (0, -1)])
def test_the_interval_of_the_dimension_equals_the_slow_twin(seed, sign):
    """Pair by pair, with an equal point, and one that is no neighbour of its neighbours.

    A covariance that is estimated below 0 counts as 0.
    """
    points = torch.cat([normal(40, 3, seed=seed), normal(1, 3, seed=99) + 9]).double()
    n = len(points)
    distance = torch.stack([(row - points).square().sum(1).sqrt() for row in points])
    order = distance.argsort(1)
    ratio = [math.log(distance[i, order[i, 2]] / distance[i, order[i, 1]]) for i in range(n)]
    neighbors = [set(order[i, 1:3].tolist()) for i in range(n)]
    mean = sum(ratio) / n
    variance = sum((x - mean) ** 2 for x in ratio)
    linked = [[j in neighbors[i] or i in neighbors[j] for j in range(n)] for i in range(n)]
    pairs = [(i, j) for i in range(n) for j in range(n) if linked[i][j]]
    covariance = sum((ratio[i] - mean) * (ratio[j] - mean) for i, j in pairs)
    assert covariance * sign > 0.1 * variance
    value = (n - 1) / sum(ratio)
    half = stats.norm.ppf(0.975) * value**2 * math.sqrt(variance + max(covariance, 0)) / n
    found = intrinsic_dimension(torch.cat([points, points[:1]]))
    # the same numbers summed in another order: some units in the last place of 64 bits
    assert found.value == pytest.approx(value, rel=1e-12)
    assert found.high == pytest.approx(value + half, rel=1e-12)
    assert found.low == pytest.approx(value - half, rel=1e-12)
    assert found.low > 0


def test_the_dimension_of_three_points_on_a_line():
    """At 0, 1 and 3 the ratios are 3, 2 and 3/2; all points are linked, so the covariance is negative."""
    ratio = np.log([3, 2, 3 / 2])
    value = 2 / ratio.sum()
    half = stats.norm.ppf(0.975) * value**2 * math.sqrt(ratio.var() * 3) / 3
    found = intrinsic_dimension(torch.tensor([[0.0], [1.0], [3.0]]).double())
    assert (found.value, found.high) == (pytest.approx(value), pytest.approx(value + half))


def test_the_interval_of_a_dimension_ends_at_0():
    """Corners of a simplex, all ratios 1, and one that has another point beside it: two large ratios."""
    points = torch.eye(7, dtype=torch.float64)
    points[6, 0] = 1.0
    points[6, 6] = 1e-3  # the corner 0, moved out of the simplex
    found = intrinsic_dimension(points)
    total = math.log(2**0.5 / 1e-3) + math.log((2 + 1e-6) ** 0.5 / 1e-3)
    assert found.value == pytest.approx(6 / total)
    # about 1.96 * 3 / 7 times the root of (10/7 + 50/49) of the value lies on each side: more than all of it
    assert found.low == 0.0
    assert found.high > 2 * found.value


def test_dimension_does_not_see_the_embedding_nor_duplicates_nor_scale():
    x = torus(400, 2, seed=3)
    turn = torch.linalg.qr(torch.randn(30, 4, generator=generator(), dtype=torch.float64)).Q
    plain = intrinsic_dimension(x).value
    assert intrinsic_dimension(x @ turn.T).value == pytest.approx(plain, rel=1e-9)  # distances to 1e-12 or so
    assert intrinsic_dimension(torch.cat([x, x[:100]]) * 1e4).value == pytest.approx(plain, rel=1e-9)


def test_dimension_of_equidistant_points_is_not_bounded():
    found = intrinsic_dimension(torch.eye(6))
    assert (found.value, found.low, found.high) == (math.inf, 0.0, math.inf)
    null = null_fraction(found)
    assert (null.value, null.low, null.high) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 9, 20), (30, 1)])
def test_grouped_ratio_equals_the_slow_twin(sizes):
    group = torch.repeat_interleave(torch.arange(len(sizes)) * 7 - 3, torch.tensor(sizes))
    center = 5 * normal(len(sizes), 6)
    train = torch.repeat_interleave(center, torch.tensor(sizes), dim=0) + 0.1 * normal(len(group), 6, seed=1)
    samples = torch.cat([2 * normal(40, 6, seed=2), train[:1]])
    expected = gap_ratios_slow(samples, train, group)
    # distances are rounded to 32 bits, the ratio once more: three halves of a unit in the last place each
    torch.testing.assert_close(
        gap_ratios(samples, train, group=group), expected.float(), rtol=2 * 2.0**-23, atol=0
    )


def test_groups_of_one_change_nothing():
    samples, train = normal(30, 5), normal(60, 5, seed=1)
    assert torch.equal(gap_ratios(samples, train, group=torch.arange(60)), gap_ratios(samples, train))


TRAIN, RATIOS = torch.eye(4), torch.ones(3)
BAD = {
    "one training point": (lambda: gap_ratios(TRAIN, TRAIN[:1]), "train: expected at least 2 points.* got 1"),
    "one training point and its group": (
        lambda: gap_ratios(TRAIN, TRAIN[:1], group=[0]),
        "train: expected at least 2 points.* got 1",
    ),
    "one group": (lambda: gap_ratios(TRAIN, TRAIN, group=torch.zeros(4, dtype=torch.int64)), "2 groups"),
    "short group": (lambda: gap_ratios(TRAIN, TRAIN, group=torch.arange(3)), "group: expected 4 integers"),
    "group of floats": (lambda: gap_ratios(TRAIN, TRAIN, group=torch.arange(4.0)), "group: expected 4"),
    "shapes": (lambda: gap_ratios(TRAIN[:, :2], TRAIN), "items of one shape"),
    "NaN sample": (lambda: gap_ratios(TRAIN * math.nan, TRAIN), "samples: expected finite"),
    "no ratio": (lambda: memorized_fraction(RATIOS[:0]), "ratios: expected a vector"),
    "matrix of ratios": (lambda: memorized_fraction(TRAIN), "ratios: expected a vector"),
    "NaN ratio": (lambda: memorized_fraction(RATIOS * math.nan), "ratios: expected values within"),
    "distances as ratios": (lambda: memorized_fraction(RATIOS * 2), "ratios: expected values within"),
    "threshold 0": (lambda: memorized_fraction(RATIOS, threshold=0.0), "threshold"),
    "threshold 1": (lambda: memorized_fraction(RATIOS, threshold=1.0), "threshold"),
    "null threshold": (lambda: null_fraction(Estimate(2, 1, 3), threshold=3.0), "threshold"),
    "one point, twice": (lambda: gap_ratios(TRAIN, TRAIN[[0, 0]]), "at least 2 groups of duplicates"),
    "two points": (lambda: intrinsic_dimension(TRAIN[:2]), "train: expected at least 3 distinct"),
    "three equal points": (lambda: intrinsic_dimension(torch.ones(3, 2)), "distinct points, got 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(InputError, match=message):
        call()


def test_only_equal_training_items_count_as_one():
    """A sample at 0.1 from an item that is there twice, and at 0.2 from another one 0.3 away."""
    train = torch.tensor([[0.0], [0.0], [0.3], [9.0]])
    ratios = gap_ratios(torch.tensor([[0.1]]), train)
    assert ratios.tolist() == pytest.approx([0.1 / 0.2], rel=1e-5)
