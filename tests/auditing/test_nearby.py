"""The nearest groups against a search of every item."""

import math

import pytest
import torch

from memhorizon.auditing.nearby import first_of_groups, nearest_groups
from memhorizon.errors import InputError


def twin(query, train, group, k, left_out):
    """Go through all items, nearest first, of equal distances the lower index first."""
    distances = [math.dist(query, item) for item in train.tolist()]
    found = {}
    for index in sorted(range(len(train)), key=lambda i: (distances[i], i)):
        number = int(group[index])
        if number != left_out and number not in found:
            found[number] = (distances[index], index)
    distance, index = zip(*list(found.values())[:k], strict=True)
    return list(distance), list(index)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def on_a_grid(n, seed):
    """Items on few places: many distances are equal, and so are many items."""
    return torch.randint(0, 4, (n, 3), generator=seeded(seed)).float()


GROUPS = {
    "each its own": lambda n: torch.arange(n),
    "some of several": lambda n: torch.arange(n) // 4,
    # beyond the first search, and beyond what is searched with the others
    "large ones": lambda n: (torch.arange(n) - 0.6 * n).clamp_min(0).long(),
    "two large ones": lambda n: (torch.arange(n) // (0.4 * n)).long(),
    "all large": lambda n: torch.arange(n) % 5,
}


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("leaves_out", [False, True])
@pytest.mark.parametrize("k", [1, 2])
def test_the_nearest_groups_are_those_of_a_full_search(name, leaves_out, k):
    n = 240
    group = GROUPS[name](n)
    train = on_a_grid(n, seed=0)
    queries = on_a_grid(40, seed=1)
    left_out = group[torch.randint(0, n, (40,), generator=seeded(2))] if leaves_out else None
    found = nearest_groups(queries, train, group, k, left_out)
    for row, query in enumerate(queries.tolist()):
        distance, index = twin(query, train, group, k, None if left_out is None else int(left_out[row]))
        assert found.index[row].tolist() == index
        assert found.distance[row].tolist() == pytest.approx(distance, rel=1e-6)  # of 24 bits


def test_one_of_each_group_at_a_time_is_the_search_of_all():
    """As many groups as there are, one of them left out."""
    train = on_a_grid(60, seed=3)
    group = torch.arange(60) % 6
    queries = train[:20]
    found = nearest_groups(queries, train, group, 5, group[:20])
    for row in range(20):
        assert found.index[row].tolist() == twin(queries[row].tolist(), train, group, 5, row % 6)[1]


def test_a_copy_is_at_0_beside_large_groups():
    train = torch.randn(100, 50, generator=seeded(4))
    group = (torch.arange(100) - 70).clamp_min(0)
    found = nearest_groups(train.T.contiguous().T, train, group, 3)
    assert (found.distance[:, 0] == 0).all()
    assert found.index[:, 0].tolist() == list(range(100))


def test_too_few_groups_are_refused():
    train = on_a_grid(20, seed=0)
    group = torch.arange(20) % 3
    with pytest.raises(InputError, match="train: expected at least 3 groups of duplicates, got 2"):
        nearest_groups(train, train, group, 3, group)


def test_the_first_of_each_group_are_marked():
    label = torch.tensor([[3, 3, 1, 0, 1, 2], [0, 1, 1, 1, 0, 2]])
    marked = first_of_groups(label, torch.tensor([1, 2]), 2)
    assert marked.tolist() == [
        [True, False, False, True, False, False],
        [True, True, False, False, False, False],
    ]
