import pytest
import torch

from memhorizon.measure import duplicates
from memhorizon.measure.duplicates import near_distance, near_groups, rule
from memhorizon.measure.memorization import duplicate_groups


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
    assert near_groups(noisy, near_distance(noisy)).tolist() == list(range(200)) * 4


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
    expected = duplicate_groups(points, distance=near)
    assert len(expected.unique()) == 1400 - 250
    assert torch.equal(near_groups(points, near), expected)
    assert torch.equal(near_groups(points, 0.0), duplicate_groups(points))
    monkeypatch.setattr(duplicates, "LINKS", 0)  # no coarse search is good enough
    assert torch.equal(near_groups(points, near), expected)


def test_no_item_no_group():
    assert near_groups(torch.empty(0, 4), 1.0).tolist() == []


def test_the_rule_says_its_numbers():
    assert rule(0.0) == "exact: equal in every value"
    for word in ("at most 1.235", "0.2 of the median", "5th nearest", "0.001 of the items"):
        assert word in rule(1.23456)
