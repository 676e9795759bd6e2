"""Reference items: drawn from groups, never learned from."""

import math

import pytest
import torch

from memhorizon.auditing.reference import (
    FEWEST,
    RARE,
    Duplicates,
    divide,
    duplicates_of,
    equal_groups,
    first_members,
    shared_items,
)
from memhorizon.errors import InputError


def groups(n, several):
    """Groups by first appearance, the last items are duplicates of the first."""
    return torch.cat([torch.arange(n - several), torch.arange(several)])


def counted(group):
    """Duplicates of which all count as one."""
    return Duplicates(group, group, 0.0, "")


@pytest.mark.parametrize(("n_reference", "expected"), [(5, 5), (20, 20), (1000, 45)])
def test_reference_items_and_the_rest_share_no_group(n_reference, expected):
    group = groups(100, 10)  # 90 groups
    design = divide(counted(group), n_reference, seed=0)
    assert len(design.reference) == expected
    assert len(design.reference) + len(design.rest) == 90
    labels = torch.cat([group[design.reference], group[design.rest]])
    assert sorted(labels.tolist()) == list(range(90))  # one of each
    assert (group[:90][design.reference] == design.reference).all()  # the first of its group
    assert design.reference.tolist() == sorted(design.reference.tolist())


def test_each_group_is_a_reference_equally_often():
    group = groups(40, 10)
    counts = torch.zeros(30)
    n_seeds = 600
    for seed in range(n_seeds):
        counts[divide(counted(group), 6, seed).reference] += 1
    # 600 draws of probability 1/5; five standard errors, of 30 groups
    assert (counts / n_seeds - 0.2).abs().max() < 5 * math.sqrt(0.2 * 0.8 / n_seeds)


def test_the_seed_decides():
    group = torch.arange(50)
    one, again, other = (divide(counted(group), 10, seed) for seed in (1, 1, 2))
    assert torch.equal(one.reference, again.reference)
    assert torch.equal(one.rest, again.rest)
    assert not torch.equal(one.reference, other.reference)


def test_too_few_groups_are_refused():
    assert len(divide(counted(torch.arange(FEWEST)), 100, 0).reference) == FEWEST // 2
    words = f"train: expected at least {FEWEST} different items, got 9 among 1,000"
    with pytest.raises(InputError, match=words):
        divide(counted(torch.arange(1000) % 9), 100, 0)


@pytest.mark.parametrize(("n_reference", "n_holdout", "expected"), [(30, 25, 25), (30, 26, 0), (20, 99, 20)])
def test_none_are_drawn_where_held_out_items_are_more(n_reference, n_holdout, expected):
    design = divide(counted(torch.arange(50)), n_reference, 0, n_holdout=n_holdout)
    assert len(design.reference) == expected
    assert len(design.rest) == 50 - expected


def pairs_among(n, near, equal):
    """Items of 64 numbers from 0 to 1: some with a near one, some with an equal one, at the end."""
    train = torch.rand(n, 64, generator=torch.Generator().manual_seed(0))
    train[0, 0] = 0
    train[1, 0] = 1
    train[n - near :] = train[:near] + 0.02
    train[n - near - equal : n - near] = train[near : near + equal] + 0.4 / 255
    group = torch.cat([torch.arange(n - near - equal), torch.arange(near, near + equal), torch.arange(near)])
    return train, group


def test_items_that_differ_by_rounding_are_equal():
    """0.4 levels in each of 64 numbers are less than half a level in each; 5 levels are more."""
    train, near = pairs_among(100, near=5, equal=3)
    assert equal_groups(train, near)[:95].tolist() == [*range(92), 5, 6, 7]
    assert equal_groups(train, near)[95:].tolist() == list(range(92, 97))


@pytest.mark.parametrize("n_near", [1, 2, 3, 8])
def test_near_duplicates_count_as_one_where_they_are_common(n_near):
    n = 1024  # of which 2 pairs are rare
    train, near = pairs_among(n, n_near, equal=4)
    found = Duplicates.of(train, near, 0.2)
    assert torch.equal(found.near, near)
    is_rare = 2 * n_near <= RARE * n
    assert is_rare == (n_near <= 2)
    assert int(found.counted.max()) + 1 == (n - 4 if is_rare else n - 4 - n_near)
    assert ("count as different" in found.rule) == is_rare


def test_first_members_and_duplicates():
    group = torch.tensor([0, 1, 0, 2, 1, 0, 3])
    assert first_members(group).tolist() == [0, 1, 3, 6]
    assert [members.tolist() for members in duplicates_of(group)] == [[0, 2, 5], [1, 4]]
    assert duplicates_of(torch.arange(4)) == []


def test_shared_items_are_those_within_the_distance():
    train = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    holdout = torch.tensor([[10.0, 0.5], [5.0, 5.0], [0.0, 0.0]])
    shared, nearest = shared_items(holdout, train, 0.5)
    assert shared.tolist() == [0, 2]
    assert nearest.index[:, 0].tolist() == [1, 0]
    assert nearest.distance[:, 0].tolist() == [0.5, 0.0]
    assert shared_items(holdout, train, 0.0)[0].tolist() == [2]
