"""Duplicates: against known groups, the graph of all distances, and the chance that the rule states."""

import math

import numpy as np
import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.measure import duplicates
from memhorizon.measure.duplicates import direct_groups, duplicate_groups, linked_groups, near_distance, rule
from memhorizon.measure.memorization import gap_ratios, memorized_fraction


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_uniform_points_have_a_neighbour_so_near_as_seldom_as_stated(dim):
    """On a torus, without edges: the distance to the nearest of n points has P(r1 < r) = n V(r)."""
    n = 1000
    points = torch.rand(n, dim, generator=seeded(dim))
    circles = torch.cat([(2 * torch.pi * points).cos(), (2 * torch.pi * points).sin()], 1)
    r = near_distance(circles) / (2 * torch.pi)  # so near, a chord is the arc, but for r^2 pi^2 / 6
    ball = {1: 2.0, 2: torch.pi, 3: 4 / 3 * torch.pi, 5: 8 / 15 * torch.pi**2}[dim]
    # CHANCE where that is the smaller bound, less in many dimensions. The dimension is estimated from about
    # 1,000 ratios whose logarithms have standard deviation 1/2 of their mean log 2: 3 %, with common
    # neighbours twice that. It is the exponent of 1/5000, so r^D is within 5000^0.06 = 1.7 of its value, two
    # standard errors a factor 2.8; the median of r_k^D lies within a tenth of its mean.
    assert duplicates.CHANCE / 3.5 < n * ball * r**dim < 3.5 * duplicates.CHANCE


@pytest.mark.parametrize(("count", "dim", "k"), [(1500, 2, 5), (300, 1, 5), (9, 1, 4), (8, 2, 3), (7, 1, 3)])
def test_it_equals_the_slow_twin(count, dim, k):
    """From all distances among the first 1,024: k (r / r_k)^D n / m = 1/1000, D from r_k and r_2k."""
    points = torch.rand(count, dim, generator=seeded(count), dtype=torch.float64)
    some = points[:1024]
    distance = torch.stack([(x - some).square().sum(1).sqrt() for x in some]).sort(1).values
    log_ratio = (distance[:, 2 * k] / distance[:, k]).log()
    dimension = sum(1 / j for j in range(k, 2 * k)) / float(log_ratio.mean())
    by_chance = (0.001 * len(some) / (k * count)) ** (1 / dimension)
    median = float(distance[:, k].median())
    # sums in another order, under a root of order dimension
    assert near_distance(points) == pytest.approx(median * min(0.2, by_chance), rel=1e-9)


def test_in_many_dimensions_it_is_a_fifth_of_the_distance_to_the_fifth_nearest():
    points = torch.randn(300, 60, generator=seeded())
    fifth = torch.cdist(points.double(), points.double()).sort(1).values[:, 5]
    assert near_distance(points) == pytest.approx(0.2 * float(fifth.median()), rel=1e-6)  # float32 distances
    assert near_distance(points.reshape(300, 3, 4, 5)) == near_distance(points)


def test_it_scales_with_the_data_and_does_not_collapse_where_each_item_occurs_up_to_four_times():
    points = torch.randn(200, 30, generator=seeded())
    once = near_distance(points)
    assert near_distance(1000 * points) == pytest.approx(1000 * once, rel=1e-5)
    assert near_distance(points.repeat(4, 1)) == once  # exact duplicates are one item
    noisy = points.repeat(4, 1) + 1e-3 * torch.randn(800, 30, generator=seeded(1))
    # of the five nearest three are copies, so the fifth is the second other one, and nearer than the fifth
    assert 0.5 * once < near_distance(noisy) < once
    assert linked_groups(noisy, near_distance(noisy)).tolist() == list(range(200)) * 4


@pytest.mark.parametrize("count", [0, 1, 6])
def test_too_few_items_have_no_scale(count):
    assert near_distance(torch.randn(count, 4, generator=seeded())) == 0
    assert near_distance(torch.randn(6, 4, generator=seeded()).repeat(5, 1)) == 0


def test_items_at_one_distance_from_each_other():
    """Of no finite dimension, as corners of a simplex are."""
    assert near_distance(torch.eye(40)) == pytest.approx(0.2 * 2**0.5)


SPECTRA = {  # how fast the variance falls along 400 directions
    "few directions": torch.arange(1, 401) ** -1.0,
    "noise, seen in more directions": torch.ones(400),
}


@pytest.mark.parametrize("case", SPECTRA)
def test_the_search_in_main_directions_finds_the_same_groups(case, monkeypatch):
    points = torch.randn(1400, 400, generator=seeded()) * SPECTRA[case]
    points[700:900] = points[:200] + 1e-3 * torch.randn(200, 400, generator=seeded(1))
    points[900:950] = points[100:150]
    near = near_distance(points)
    expected = direct_groups(points, near)
    assert len(expected.unique()) == 1400 - 250
    assert torch.equal(linked_groups(points, near), expected)
    assert torch.equal(linked_groups(points, 0.0), direct_groups(points, 0.0))
    monkeypatch.setattr(duplicates, "LINKS", 0)  # no coarse search is good enough
    assert torch.equal(linked_groups(points, near), expected)


def test_many_links_of_few_directions_are_searched_in_all(monkeypatch):
    """A coarse search that links too many pairs an item is not gone through group by group."""
    monkeypatch.setattr(duplicates, "LOOKED_AT", 100)
    monkeypatch.setattr(duplicates, "LINKS", 10)
    points = torch.randn(300, 300, generator=seeded())
    searched = []
    direct = duplicates.direct_groups
    monkeypatch.setattr(duplicates, "direct_groups", lambda x, d: searched.append(x.shape[1]) or direct(x, d))
    linked_groups(points, 0.0)
    assert searched[0] == 64  # the first directions are enough
    searched.clear()
    linked_groups(points, 1e3)  # all pairs
    assert searched == [300]


def test_no_item_no_group():
    assert linked_groups(torch.empty(0, 4), 1.0).tolist() == []


def test_the_rule_says_its_numbers():
    assert rule(0.0) == "exact: equal in every value"
    for word in ("at most 1.235", "0.2 of the median", "5th nearest", "0.001 of the items"):
        assert word in rule(1.23456)


def test_duplicate_groups_are_exact_near_and_chained():
    far = torch.tensor([[100.0, 0], [0, 100]])
    chain = torch.tensor([[0.0, 0], [0.9, 0], [1.8, 0]])
    train = torch.cat([far[:1], chain, far, chain[1:2]])
    assert duplicate_groups(train, distance=0).tolist() == [0, 1, 2, 3, 0, 4, 2]
    assert duplicate_groups(train, distance=0.5).tolist() == [0, 1, 2, 3, 0, 4, 2]
    assert duplicate_groups(train, distance=1.0).tolist() == [0, 1, 1, 1, 0, 2, 1]
    assert duplicate_groups(train, distance=1e4).tolist() == [0] * 7
    minus = torch.tensor([[0.0], [-0.0]])
    assert duplicate_groups(minus, distance=0).tolist() == [0, 0]


def test_duplicate_groups_are_the_components_of_the_distance_graph():
    points = torch.rand(150, 2, generator=seeded())
    close = torch.stack([(row - points.double()).square().sum(1).sqrt() for row in points.double()]) <= 0.06
    reach = torch.linalg.matrix_power(close.double(), 150) > 0
    first = np.array([int(row.nonzero()[0]) for row in reach])  # each component by its first member
    label = duplicate_groups(points, distance=0.06).numpy()
    assert 10 < label.max() < 140  # neither all apart nor all in one
    assert np.array_equal(label[first], label)
    assert len(np.unique(first)) == label.max() + 1


def test_near_duplicates_are_those_of_the_rule_and_serve_gap_ratios():
    """60 pairs of near copies among 300 points: the groups are known from how they were made."""
    points = torch.randn(240, 1, 5, 5, generator=seeded())
    items = torch.cat([points, points[:60] + 1e-3 * torch.randn(60, 1, 5, 5, generator=seeded(1))])
    expected = list(range(240)) + list(range(60))
    group = duplicate_groups(items)
    assert group.tolist() == expected
    assert torch.equal(group, duplicate_groups(items, distance=near_distance(items)))
    assert duplicate_groups(items, distance=0.0).tolist() == list(range(300))
    # a copy of an item that occurs twice is found only where its duplicate is no second neighbour
    copies = items[:60] + 1e-3 * torch.randn(60, 1, 5, 5, generator=seeded(2))
    assert memorized_fraction(gap_ratios(copies, items, group=group)).count == 60
    assert memorized_fraction(gap_ratios(copies, items)).count < 10


def test_integer_pixels_and_few_items_are_grouped():
    pixels = torch.randint(0, 256, (50, 3, 6, 6), generator=seeded()).byte()
    assert duplicate_groups(torch.cat([pixels, pixels[:7]])).tolist() == [*range(50), *range(7)]
    assert duplicate_groups(pixels[:1]).tolist() == [0]


TRAIN = torch.eye(4)
BAD = {
    "another word": (lambda: duplicate_groups(TRAIN, distance="exact"), 'distance: expected one of "near"'),
    "NaN, exactly": (lambda: duplicate_groups(TRAIN * math.nan, distance=0), "items: expected finite"),
    "negative distance": (lambda: duplicate_groups(TRAIN, distance=-1.0), "distance: expected"),
    "NaN distance": (lambda: duplicate_groups(TRAIN, distance=math.nan), "distance: expected"),
    "nothing to group": (lambda: duplicate_groups(TRAIN[:0]), "items: expected items"),
    "NaN to group": (lambda: duplicate_groups(TRAIN * math.nan, distance=1.0), "finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(InputError, match=message):
        call()
