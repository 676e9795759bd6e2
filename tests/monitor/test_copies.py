"""What counts as a copy, and how often an honest item would."""

import math

import numpy as np
import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.measure.memorization import gap_ratios, intrinsic_dimension
from memhorizon.monitor.copies import CopyFinder, compared, expected_null


def points(n, dim, seed):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def finder(n=60, dim=12, holdout=40, target=0.01):
    held = points(holdout, dim, 1) if holdout else None
    return CopyFinder.of(points(n, dim, 0), held, target=target, seed=0)


def test_planted_copies_are_found_and_fresh_items_are_not():
    train = points(60, 12, 0)
    noise = 0.01 * points(10, 12, 5)
    found = finder().find(torch.cat([train[:10] + noise, points(200, 12, 6)]))
    assert found.is_copy[:10].all()
    assert found.nearest[:10].tolist() == list(range(10))
    assert int(found.is_copy[10:].sum()) == 0


def test_ratios_are_those_of_the_measure():
    samples = points(50, 12, 7)
    found = finder().find(samples)
    assert torch.allclose(found.ratio.double(), gap_ratios(samples, points(60, 12, 0)).double(), rtol=1e-5)


def test_a_copy_of_an_image_that_is_there_twice_is_a_copy():
    train = torch.cat([points(30, 12, 0), points(30, 12, 0)])
    twice = CopyFinder.of(train, None, target=0.01, seed=0)
    assert twice.rule.duplicates == 30
    assert twice.find(train[:5] + 1e-3).is_copy.all()


def test_the_null_is_the_share_of_honest_items_below_the_threshold():
    """Leave-one-out by hand: each training item against all others."""
    train = points(60, 3, 0)
    held = points(40, 3, 1)
    rule = CopyFinder.of(train, held, target=0.2, seed=0).rule
    rest = [torch.cat([train[:i], train[i + 1 :]]) for i in range(60)]
    left_out = [float(gap_ratios(train[i : i + 1], rest[i])) for i in range(60)]
    ratios = np.array([*left_out, *gap_ratios(held, train).tolist()])
    assert rule.null.count == int((ratios < rule.threshold).sum())
    assert rule.null.total == 100


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_in_few_dimensions_the_threshold_is_lower_and_the_null_is_small(dim):
    """Of 20,000 fresh points no more than twice the quarter of the target that the threshold is made for."""
    train = torch.rand(400, dim, generator=torch.Generator().manual_seed(0))
    found = CopyFinder.of(train, None, target=0.04, seed=0)
    assert found.rule.threshold < 1 / 3
    fresh = torch.rand(20_000, dim, generator=torch.Generator().manual_seed(1))
    share = found.find(fresh).count / 20_000
    assert share <= 2 * 0.01
    assert found.rule.allowed <= 0.04


def uniform_rule(n, dim, target):
    train = torch.rand(n, dim, generator=torch.Generator().manual_seed(0))
    return CopyFinder.of(train, None, target=target, seed=0).rule


@pytest.mark.parametrize("target", [0.01, 0.04])
@pytest.mark.parametrize("dim", [1, 2, 4])
def test_the_model_leaves_a_quarter_of_the_target_to_honest_items(dim, target):
    rule = uniform_rule(60, dim, target)
    assert math.isclose(rule.threshold**rule.dimension, target / 4, rel_tol=1e-9)


def test_the_threshold_is_a_third_where_that_is_rare_enough():
    rule = uniform_rule(60, 4, 0.2)
    assert rule.threshold == 1 / 3
    assert (1 / 3) ** rule.dimension < 0.2 / 4


@pytest.mark.parametrize(
    ("n", "dim", "target", "which"), [(60, 2, 0.2, 0), (60, 4, 0.2, 1), (400, 1, 0.2, 2)]
)
def test_what_is_allowed_is_what_the_model_or_the_share_says_but_no_more_than_exchangeability(
    n, dim, target, which
):
    """One case each: the rank of one more item among them, the model, the share that was seen."""
    rule = uniform_rule(n, dim, target)
    dimension = intrinsic_dimension(torch.rand(n, dim, generator=torch.Generator().manual_seed(0)))
    model = rule.threshold**dimension.low
    numbers = ((rule.null.count + 1) / (n + 1), model, rule.null.count / n)
    assert math.isclose(rule.allowed, numbers[which], rel_tol=1e-9)
    assert max(numbers[1:]) >= numbers[which]
    assert numbers[0] >= numbers[which]


def test_what_is_allowed_is_no_more_than_exchangeability_says():
    rule = finder(n=20, holdout=0).rule
    assert rule.null.total == 20
    assert rule.allowed <= (rule.null.count + 1) / 21
    assert rule.null.value <= expected_null(rule) <= rule.allowed or math.isclose(
        expected_null(rule), rule.null.value
    )


def test_large_pictures_are_compared_in_small():
    pictures = torch.rand(4, 3, 200, 100, generator=torch.Generator().manual_seed(0))
    rows = compared(pictures)
    assert rows.shape == (4, 3 * 64 * 32)
    assert torch.allclose(rows.mean(1), pictures.flatten(1).mean(1), atol=0.01)


def test_too_few_different_items_are_refused():
    with pytest.raises(InputError, match="train: expected at least 3 different items, got 2"):
        CopyFinder.of(points(2, 4, 0).repeat(5, 1), None, target=0.01, seed=0)
