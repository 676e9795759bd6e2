"""Leaves: every pair within the distance is a visitor and a member of one leaf, and few others are."""

import pytest
import torch

from memhorizon.measure import leaves as module
from memhorizon.measure.leaves import leaves
from memhorizon.measure.neighbors import pairs_within


def spread(count, exponent, seed=0, dim=20):
    """Normal points whose standard deviations fall as a power."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator) * torch.arange(1, dim + 1) ** -exponent


def close(points, distance):
    gaps = torch.cdist(points.double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist")
    return gaps <= distance


@pytest.mark.parametrize("exponent", [0.0, 1.0])
@pytest.mark.parametrize("distance", [0.0, 0.05, 0.5, 2.0])
def test_near_points_are_visitors(exponent, distance, monkeypatch):
    monkeypatch.setattr(module, "LEAF", 20)
    points = spread(700, exponent)
    points[5] = points[600]
    near = close(points, distance)
    seen = torch.zeros(len(points), dtype=torch.int64)
    for leaf in leaves(points, distance):
        seen[leaf.members] += 1
        wanted = near[leaf.members].any(0).nonzero().flatten()
        assert torch.isin(wanted, leaf.visitors).all()
        assert bool((leaf.visitors.diff() > 0).all())
    assert bool((seen == 1).all())


def test_points_on_a_grid_at_exactly_the_distance_are_visitors(monkeypatch):
    monkeypatch.setattr(module, "LEAF", 4)
    points = torch.cartesian_prod(torch.arange(8), torch.arange(8)).float()
    for leaf in leaves(points, 1.0):
        assert torch.isin(close(points, 1.0)[leaf.members].any(0).nonzero().flatten(), leaf.visitors).all()


def test_few_pairs_are_looked_at_where_points_lie_along_few_directions(monkeypatch):
    monkeypatch.setattr(module, "LEAF", 50)
    points = spread(4000, 2.0)
    looked_at = sum(len(leaf.members) * len(leaf.visitors) for leaf in leaves(points, 0.01))
    assert looked_at < 0.05 * len(points) ** 2


def test_equal_points_and_points_alike_in_all_directions_end(monkeypatch):
    monkeypatch.setattr(module, "LEAF", 50)
    assert len(list(leaves(torch.ones(500, 3), 0.1))) == 1
    assert len(list(leaves(spread(500, 0.0), 100.0))) == 1


@pytest.mark.parametrize(("exponent", "distance"), [(0.0, 0.8), (1.5, 0.3)])
def test_pairs_by_leaves_are_those_of_the_distance_matrix(exponent, distance, monkeypatch):
    monkeypatch.setattr(module, "LEAF", 30)
    points = spread(900, exponent, seed=3, dim=6)
    i, j = pairs_within(points, distance)
    expected = (close(points, distance) & torch.ones(900, 900).triu(1).bool()).nonzero()
    order = (i * 900 + j).argsort()
    assert len(expected) > 20
    assert torch.equal(torch.stack([i, j], 1)[order], expected)
