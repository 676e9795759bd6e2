"""The nearest training items of different groups of duplicates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Float64, Int, Shaped
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.measure.neighbors import Report, nearest_of

_SPARE = 2  # neighbours looked at beyond those needed; duplicates take the places of others
_LARGE = 32  # groups of more items are searched one by one, so that they cannot fill a list of neighbours


Ordered: TypeAlias = tuple[Tensor, Tensor]  # values and indices of items, the best first


@dataclass(frozen=True, eq=False)
class Nearby:
    """The nearest training items of each query, of K different groups, nearest first.

    Attributes:
        distance: Euclidean. [q, K]
        index: into the training set; of each group its nearest item. [q, K]
    """

    distance: Float[Tensor, "q K"]
    index: Int[Tensor, "q K"]


def nearest_groups(
    queries: Shaped[Tensor, "q d"],
    train: Shaped[Tensor, "n d"],
    group: Int[Tensor, " n"],
    k: int,
    left_out: Int[Tensor, " q"] | None = None,
    report: Report | None = None,
) -> Nearby:
    """Find the nearest item of each of the k nearest groups.

    Args:
        queries: vectors.
        train: vectors that are searched.
        group: number of the group of each of them, from 0.
        k: how many groups; at most as many as there are, less one where groups are left out.
        left_out: number of the group that is not searched, for each query.
        report: told how many training items were searched for all queries, where they lie in a file.

    Raises:
        InputError: if there are fewer groups.
    """
    groups = int(group.max()) + 1 - (left_out is not None)
    if groups < k:
        raise InputError(f"train: expected at least {k} groups of duplicates, got {groups}")
    sizes = group.bincount()
    is_small = sizes[group] <= _LARGE
    parts = []
    if bool(is_small.any()):
        members = is_small.nonzero().flatten()
        parts.append(_among_small(queries, train, group, k, left_out, members, report))
    for number in (sizes > _LARGE).nonzero().flatten().tolist():
        parts.append(_within_group(queries, train, group, number, left_out))
    return _nearest_first(parts, k)


def _among_small(
    queries: Shaped[Tensor, "q d"],
    train: Shaped[Tensor, "n d"],
    group: Int[Tensor, " n"],
    k: int,
    left_out: Int[Tensor, " q"] | None,
    members: Int[Tensor, " s"],
    report: Report | None,
) -> Nearby:
    """The nearest item of each of the k nearest groups that are small; infinity where there are fewer."""
    among = None if len(members) == len(train) else members

    def search(rows: Int[Tensor, " r"], size: int) -> Ordered:
        told = report if len(rows) == len(queries) else None
        return nearest_of(queries[rows], train, size, among=among, report=told)

    spare = _SPARE + (left_out is not None)
    distance, place = first_in_groups(search, len(queries), group[members], left_out, k, spare=spare)
    return Nearby(distance, members[place])


def first_in_groups(
    search: Callable[[Tensor, int], Ordered],
    count: int,
    label: Int[Tensor, " s"],
    left_out: Int[Tensor, " q"] | None,
    k: int,
    *,
    spare: int,
) -> tuple[Float64[Tensor, "q k"], Int[Tensor, "q k"]]:
    """The best item of each of the k best groups of every query; infinity, and 0, where there are fewer.

    Args:
        search: gives so many best items of some queries, the best first: values and indices.
        count: of the queries.
        label: number of the group of each item that is searched.
        left_out: number of the group that is not wanted, for each query.
        k: how many groups.
        spare: items looked at beyond k at first; four times as many where these are of too few groups.
    """
    size = min(len(label), k + spare)
    value = torch.full((count, k), torch.inf, dtype=torch.float64)
    place = torch.zeros(count, k, dtype=torch.int64)
    rows = torch.arange(count)
    while len(rows):
        found, index = search(rows, size)
        some = None if left_out is None else left_out[rows]
        keep = first_of_groups(label[index], some, k)
        is_done = (keep.sum(1) == k) | (size == len(label))
        done = rows[is_done]
        value[done] = _in_front(keep[is_done], found[is_done].double(), torch.inf, k)
        place[done] = _in_front(keep[is_done], index[is_done], 0, k)
        rows = rows[~is_done]
        size = min(4 * size, len(label))
    return value, place


def _in_front(
    keep: Bool[Tensor, "q s"], values: Shaped[Tensor, "q s"], filler: float, k: int
) -> Shaped[Tensor, "q k"]:
    """The values that are kept of each row, at most k, in front; behind them the filler."""
    front = torch.full((len(values), k), filler, dtype=values.dtype)
    row, column = keep.nonzero(as_tuple=True)
    front[row, keep.cumsum(1)[row, column] - 1] = values[row, column]
    return front


def _within_group(
    queries: Shaped[Tensor, "q d"],
    train: Shaped[Tensor, "n d"],
    group: Int[Tensor, " n"],
    number: int,
    left_out: Int[Tensor, " q"] | None,
) -> Nearby:
    """The nearest item of one group, at infinity where this group is left out."""
    members = (group == number).nonzero().flatten()
    found, place = nearest_of(queries, train, 1, among=members)
    distance = found.double()
    if left_out is not None:
        distance[left_out == number] = torch.inf
    return Nearby(distance, members[place])


def _nearest_first(parts: Sequence[Nearby], k: int) -> Nearby:
    """The k nearest of several answers, equal distances by the lower index."""
    distance = torch.cat([part.distance for part in parts], 1)
    index, order = torch.cat([part.index for part in parts], 1).sort(dim=1)
    distance, again = distance.gather(1, order).sort(dim=1, stable=True)
    return Nearby(distance[:, :k], index.gather(1, again)[:, :k])


def first_of_groups(
    label: Int[Tensor, "q s"], left_out: Int[Tensor, " q"] | None, k: int
) -> Bool[Tensor, "q s"]:
    """Mark the first of each group along every row, up to k of them, none of the group left out."""
    ordered, order = label.sort(dim=1, stable=True)
    is_new = torch.ones_like(label, dtype=torch.bool)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    is_first = torch.empty_like(is_new).scatter_(1, order, is_new)
    if left_out is not None:
        is_first &= label != left_out[:, None]
    return is_first & (is_first.cumsum(1) <= k)


def squared_distances_to_first(points: Float[Tensor, "q K d"]) -> Float[Tensor, "q K"]:
    """Squared distance of each point of a row to the first of them."""
    return (points - points[:, :1]).square().sum(2)
