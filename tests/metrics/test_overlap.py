"""Precision, recall, density, coverage: slow twins, the closed forms of equal distributions, ties."""

import math

import numpy as np
import pytest
import torch

from memhorizon import metrics
from memhorizon.errors import InputError
from metrics_reference import overlap_slow

NAMES = ("precision", "recall", "density", "coverage")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_equal_the_slow_twin(k, dtype):
    """Small integers make ties at every radius: closed balls hold them."""
    train, samples = (2 * normal(80, 3)).round(), (2 * normal(50, 3, seed=1) + 0.5).round()
    train, samples = ((x - x.min()).to(dtype) for x in (train, samples))
    expected = overlap_slow(samples, train, k)
    for name in NAMES:
        found = getattr(metrics, name)(samples, train, k=k, same_units=True)
        assert found.value.value == pytest.approx(expected[name], rel=1e-12)


def test_large_sets_equal_the_slow_twin():
    """More rows and columns than one tile of the search has."""
    train, samples = normal(1500, 2), normal(1100, 2, seed=1)
    expected = overlap_slow(samples, train, 5)
    for name in NAMES:
        assert getattr(metrics, name)(samples, train).value.value == pytest.approx(expected[name], rel=1e-12)


def test_of_one_distribution_density_is_1_and_coverage_has_a_closed_form():
    """A sample is among the k nearest of a training item with probability k/n, so density is 1 on average.

    No sample is nearer than the k-th nearest of n - 1: (n-1)...(n-k) / ((n-1+m)...(n+m-k)), by ranks. 60
    independent pairs of sets: means within 4 standard errors.
    """
    n, m, k = 30, 20, 3
    density, coverage = [], []
    for seed in range(60):
        train, samples = normal(n, 2, seed=2 * seed), normal(m, 2, seed=2 * seed + 1)
        density.append(metrics.density(samples, train, k=k).value.value)
        coverage.append(metrics.coverage(samples, train, k=k).value.value)
    missed = math.prod((n - i) / (n + m - i) for i in range(1, k + 1))
    for values, expected in ((density, 1.0), (coverage, 1 - missed)):
        assert abs(np.mean(values) - expected) < 4 * np.std(values) / math.sqrt(60)


@pytest.mark.parametrize("copies", [6, 20])
def test_copies_of_an_item_that_occurs_often_are_inside_its_ball_of_radius_0(copies):
    """With open balls (prdc 0.2) all four numbers are 0 here."""
    train = torch.zeros(copies, 4)
    samples = torch.zeros(7, 4)
    assert metrics.precision(samples, train).value.value == 1.0
    assert metrics.recall(samples, train).value.value == 1.0
    assert metrics.coverage(samples, train).value.value == 1.0
    assert metrics.density(samples, train).value.value == copies / 5


def test_recall_is_precision_with_the_sets_exchanged():
    train, samples = normal(70, 3), 1.5 * normal(40, 3, seed=1)
    assert metrics.recall(samples, train).value == metrics.precision(train, samples).value


def test_a_generator_that_only_copies_is_perfect_to_them():
    """The blind spot of all four, which their page states."""
    train, holdout = normal(300, 8), normal(300, 8, seed=1)
    for name in NAMES:
        found = getattr(metrics, name)(train, train, holdout=holdout)
        assert found.value.value >= 1.0
        assert found.value.value > found.null.value


def test_per_sample_counts_balls():
    train, samples = normal(40, 3), normal(30, 3, seed=1)
    balls = metrics.precision(samples, train, k=4)
    assert balls.value.count == int((balls.per_sample > 0).sum())
    density = metrics.density(samples, train, k=4)
    assert torch.equal(density.per_sample * 4, balls.per_sample)
    assert density.value.value == pytest.approx(float(balls.per_sample.mean()) / 4)


@pytest.mark.parametrize("name", NAMES)
def test_too_few_items_and_no_neighbour_are_refused(name):
    few, many = normal(5, 2), normal(9, 2)
    wrong = "samples" if name == "recall" else "train"
    sets = (few, many) if name == "recall" else (many, few)
    metric = getattr(metrics, name)
    with pytest.raises(InputError, match=rf"{wrong}: expected more than k = 5 items.* got 5"):
        metric(*sets)
    assert metric(*sets, k=4).sizes == {"samples": len(sets[0]), "train": len(sets[1])}
    with pytest.raises(InputError, match="k: expected a whole number of at least 1"):
        metric(*sets, k=0)
