"""Reference items: drawn from groups, never learned from."""

import math

import pytest
import torch

from memhorizon.auditing.reference import FEWEST, divide, duplicates_of, first_members, shared_items
from memhorizon.errors import InputError


def groups(n, several):
    """Groups by first appearance, the last items are duplicates of the first."""
    return torch.cat([torch.arange(n - several), torch.arange(several)])


@pytest.mark.parametrize(("n_reference", "expected"), [(5, 5), (20, 20), (1000, 45)])
def test_reference_items_and_the_rest_share_no_group(n_reference, expected):
    group = groups(100, 10)  # 90 groups
    design = divide(group, 0.1, n_reference, seed=0)
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
        counts[divide(group, 0.0, 6, seed).reference] += 1
    # 600 draws of probability 1/5; five standard errors, of 30 groups
    assert (counts / n_seeds - 0.2).abs().max() < 5 * math.sqrt(0.2 * 0.8 / n_seeds)


def test_the_seed_decides():
    group = torch.arange(50)
    one, again, other = (divide(group, 0.0, 10, seed) for seed in (1, 1, 2))
    assert torch.equal(one.reference, again.reference)
    assert torch.equal(one.rest, again.rest)
    assert not torch.equal(one.reference, other.reference)


def test_too_few_groups_are_refused():
    assert len(divide(torch.arange(FEWEST), 0.0, 100, 0).reference) == FEWEST // 2
    words = f"train: expected at least {FEWEST} different items, got 1,000 in 9 groups"
    with pytest.raises(InputError, match=words):
        divide(torch.arange(1000) % 9, 0.0, 100, 0)


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
