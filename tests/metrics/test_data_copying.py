"""C_T: against SciPy's Mann-Whitney test, its null distribution, its interval, copies and underfitting."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from memhorizon import metrics
from memhorizon.errors import InputError
from memhorizon.metrics.cells import cells_of
from memhorizon.results import Status
from metrics_reference import distances


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def score_of_scipy(samples, holdout, train):
    """Z from SciPy's p-value, which counts ties, without its continuity correction."""
    of_samples, of_holdout = (distances(rows, train).min(1) for rows in (samples, holdout))
    test = stats.mannwhitneyu(
        of_samples, of_holdout, alternative="less", method="asymptotic", use_continuity=False
    )
    return stats.norm.ppf(test.pvalue)


@pytest.mark.parametrize("rounded", [False, True], ids=["distinct", "ties"])
def test_one_cell_equals_scipy(rounded):
    train, holdout, samples = normal(80, 2), normal(50, 2, seed=1), 0.8 * normal(60, 2, seed=2)
    if rounded:
        train, holdout, samples = ((2 * x).round() for x in (train, holdout, samples))
    found = metrics.c_t(samples, train, holdout=holdout, cells=1)
    assert found.value.value == pytest.approx(score_of_scipy(samples, holdout, train), rel=1e-9)
    assert found.null.high == pytest.approx(stats.norm.ppf(0.975))


def clusters(*sizes, seed):
    """As many points in each of three clusters, far from one another."""
    center = torch.tensor([[0.0, 0], [100, 0], [0, 100]])
    return torch.cat([center[i] + normal(size, 2, seed=seed + i) for i, size in enumerate(sizes)])


def test_cells_are_weighted_by_their_held_out_items():
    train, holdout = clusters(40, 50, 60, seed=0), clusters(10, 20, 30, seed=10)
    samples = clusters(25, 20, 19, seed=20)
    first = score_of_scipy(samples[:25], holdout[:10], train[:40])
    second = score_of_scipy(samples[25:45], holdout[10:30], train[40:90])
    found = metrics.c_t(samples, train, holdout=holdout)
    # the third cell has 19 samples: fewer than the 20 that it needs
    assert found.value.value == pytest.approx((10 * first + 20 * second) / 30, rel=1e-9)
    assert found.null.high == pytest.approx(stats.norm.ppf(0.975) * math.hypot(1 / 3, 2 / 3))
    assert found.note == "2 of 3 cells have samples enough"


def test_without_samples_enough_it_is_not_measured():
    found = metrics.c_t(normal(19, 2), normal(50, 2, seed=1), holdout=normal(50, 2, seed=2))
    assert math.isnan(found.value.value)
    assert found.status is Status.NOT_MEASURED
    assert "0 of 3 cells" in str(found)
    assert math.isnan(found.numbers()["c_t"])


def test_a_generator_that_copies_is_far_below_0_and_one_that_misses_is_far_above():
    train, holdout = normal(300, 4), normal(200, 4, seed=1)
    copies = metrics.c_t(train[:200] + 0.01 * normal(200, 4, seed=2), train, holdout=holdout)
    assert copies.value.high < copies.null.low
    missing = metrics.c_t(2 * normal(200, 4, seed=3), train, holdout=holdout)
    assert missing.value.low > missing.null.high
    # all samples at distance 0, and all held-out items beyond: U = 0 in every cell
    exact = metrics.c_t(train[:200], train, holdout=holdout)
    assert exact.value.value < copies.null.low


def test_50_exact_copies_among_1000_samples_are_not_seen():
    """The blind spot, which its page states: a rank statistic moves by 1/20 of its range."""
    train, holdout = normal(1000, 16), normal(500, 16, seed=1)
    samples = torch.cat([train[:50], normal(950, 16, seed=2)])
    found = metrics.c_t(samples, train, holdout=holdout)
    assert found.value.high > found.null.low


def test_honest_samples_are_within_the_null_and_the_interval_covers_0():
    """40 independent triples of one distribution; P(9 or more outside of 95 %) = 2e-4."""
    outside = {"null": 0, "interval": 0}
    for seed in range(40):
        train, holdout, samples = (normal(60, 2, seed=3 * seed + i) for i in range(3))
        found = metrics.c_t(samples, train, holdout=holdout, cells=2, least=5)
        outside["null"] += not found.null.low <= found.value.value <= found.null.high
        outside["interval"] += not found.value.low <= 0 <= found.value.high
    assert outside["null"] < 9
    assert outside["interval"] < 9


def test_the_interval_is_that_of_delong_where_it_is_wider():
    """Half of the samples copies, half far away: U varies more than by chance, as a direct count has it."""
    train, holdout = normal(100, 2), normal(40, 2, seed=1)
    samples = torch.cat([train[:30] + 1e-3 * normal(30, 2, seed=3), 9 + normal(30, 2, seed=2)])
    a, b = (distances(rows, train).min(1) for rows in (samples, holdout))
    farther = (a[:, None] > b[None]) + 0.5 * (a[:, None] == b[None])
    variance = farther.mean(1).var(ddof=1) / 60 + farther.mean(0).var(ddof=1) / 40
    by_chance = (60 + 40 + 1) / (12 * 60 * 40)
    assert variance > by_chance
    found = metrics.c_t(samples, train, holdout=holdout, cells=1)
    half = stats.norm.ppf(0.975) * math.sqrt(variance / by_chance)
    assert found.value.high - found.value.value == pytest.approx(half, rel=1e-9)


def test_the_seed_decides_the_cells_and_nothing_else_does():
    train, holdout, samples = normal(300, 3), normal(200, 3, seed=1), normal(200, 3, seed=2)
    first = metrics.c_t(samples, train, holdout=holdout, seed=5)
    assert metrics.c_t(samples, train, holdout=holdout, seed=5).value == first.value
    others = [metrics.c_t(samples, train, holdout=holdout, seed=seed).value for seed in range(4)]
    assert len(set(others)) > 1


def test_items_all_at_one_distance_say_nothing():
    train, rows = torch.zeros(30, 2), torch.ones(30, 2)
    found = metrics.c_t(rows, train, holdout=rows, cells=1)
    assert found.value.value == 0.0


def test_cells_are_those_of_separate_clusters():
    points = clusters(20, 30, 40, seed=0)
    label, center = cells_of(points, 3, 0)
    assert sorted(label.bincount().tolist()) == [20, 30, 40]
    for part in points.split([20, 30, 40]):
        assert float((center - part.double().mean(0)).norm(dim=1).min()) < 1e-9


def test_cells_minimize_the_squared_distances_locally():
    """No item is nearer to another center, and every center is the mean of its items."""
    points = normal(400, 3)
    label, center = cells_of(points, 5, 1)
    to_centers = distances(points, center)
    np.testing.assert_array_equal(to_centers.argmin(1), label.numpy())
    for cell in range(5):
        np.testing.assert_allclose(center[cell], points[label == cell].double().mean(0), atol=1e-12)


def test_there_are_no_more_cells_than_distinct_items():
    points = torch.eye(2).repeat(10, 1)
    label, center = cells_of(points, 5, 0)
    assert len(center) == 2
    assert label.bincount().tolist() == [10, 10]


ITEMS = torch.eye(4)
BAD = {
    "no held-out items": ({"holdout": None}, "holdout: expected held-out items, which this metric compares"),
    "cells": ({"cells": 0}, "cells: expected a whole number of at least 1"),
    "least": ({"least": 0}, "least: expected a whole number of at least 1"),
    "seed": ({"seed": -1}, "seed: expected a whole number of at least 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case, monkeypatch):
    options, message = BAD[case]
    with pytest.raises(InputError, match=message):
        metrics.c_t(ITEMS, ITEMS, **{"holdout": ITEMS, **options})
