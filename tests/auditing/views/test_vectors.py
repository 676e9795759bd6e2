"""Views of vectors against the definition: the sample joins the training set, and all is asked again."""

import numpy as np
import pytest
import torch

from audit_views import changed_statistics, joined_statistics, quiet, with_one_more
from memhorizon.auditing.views.vectors import VectorView


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def view_of(train, group):
    return VectorView("pixels", "all numbers", "", lambda items: items.flatten(1), train.flatten(1), group)


def made(n, shape, seed=0, offset=0.0):
    """Training items, some in groups of duplicates."""
    train = torch.randn(n, *shape, generator=seeded(seed))
    train[-6:-3] = train[3:6] + 1e-3 * torch.randn(3, *shape, generator=seeded(seed + 1))
    train[-3:] = train[:3]
    group = torch.cat([torch.arange(n - 6), torch.arange(3, 6), torch.arange(3)])
    return train + offset, group


def joining_to(train, seed=9):
    """Fresh items, copies of reference items, items between two, one far from all."""
    fresh = train.mean() + torch.randn(4, *train.shape[1:], generator=seeded(seed))
    copies = train[[0, 4, 7]]
    noisy = train[8:11] + 0.1 * fresh[:3]
    middle = (train[11:13] + train[13:15]) / 2
    return torch.cat([fresh, copies, noisy, middle, 100 + fresh[:1], train.mean(0, keepdim=True)])


@pytest.mark.parametrize(
    ("n", "shape", "offset"), [(60, (3,), 0.0), (40, (1, 7, 9), 0.0), (50, (20,), 1000.0), (11, (5,), 0.0)]
)
def test_the_statistics_that_change_are_those_of_the_training_set_with_the_sample(n, shape, offset):
    train, group = made(n, shape, offset=offset)
    view = view_of(train, group)
    reference = torch.arange(0, n - 6, 2)
    items, left_out = train[reference], group[reference]
    joining = joining_to(train)
    views = [with_one_more(view, y, train=y.flatten()) for y in joining]
    if n == 11:  # five groups: a sixth leaves the four neighbours that there were
        assert view.neighbours == views[0].neighbours == 4
    expected = joined_statistics(views, items, left_out)
    found = changed_statistics(view, items, left_out, joining)
    # both of direct differences in 64 bits; places on short lines lose a few digits
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    moved = expected != view.find(items, left_out, quiet).statistic
    assert moved.any()
    assert not moved.all()


def test_statistics_are_of_the_nearest_of_other_groups():
    train, group = made(30, (4,))
    view = view_of(train, group)
    found = view.find(train, None, quiet)
    # every training item is a copy of itself
    assert (found.statistic == 0).all()
    assert (group[found.nearest] == group).all()
    # without its group its duplicates are no answer
    without = view.find(train, group, quiet)
    assert (without.statistic > 1e-3).all()
    assert (group[without.nearest] != group).all()


def test_the_size_of_the_parts_changes_nothing(monkeypatch):
    train, group = made(60, (3,))
    view = view_of(train, group)
    joining = joining_to(train)
    whole = changed_statistics(view, train, group, joining)
    for name in ("_NUMBERS", "_MEASURED"):
        monkeypatch.setattr(f"memhorizon.auditing.views.vectors.{name}", 64)
    parts = changed_statistics(view, train, group, joining)
    np.testing.assert_allclose(parts, whole, rtol=1e-12)  # sums of few numbers, in another order


def test_nothing_changes_where_nothing_is_near():
    train, group = made(30, (4,))
    view = view_of(train, group)
    far = torch.full((2, 4), 1e4)
    changes = view.changes(train, group, view.find(train, group, quiet), far, quiet)
    assert len(changes) == 0


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_vectors_that_are_all_equal_give_numbers(value):
    train = torch.full((12, 5), value)
    view = view_of(train, torch.arange(12))
    statistic = view.find(train, torch.arange(12), quiet).statistic
    assert np.isfinite(statistic).all()
    table = changed_statistics(view, train, torch.arange(12), train[:3])
    assert np.isfinite(table).all()
