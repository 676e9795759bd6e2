"""The nearest training items of different groups of duplicates."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.measure.neighbors import nearest_of

_SPARE = 2  # neighbours looked at beyond those needed; duplicates take the places of others


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
) -> Nearby:
    """Find the nearest item of each of the k nearest groups.

    Args:
        queries: vectors.
        train: vectors that are searched.
        group: number of the group of each of them, from 0.
        k: how many groups; at most as many as there are, less one where groups are left out.
        left_out: number of the group that is not searched, for each query.

    Raises:
        InputError: if there are fewer groups.
    """
    groups = int(group.max()) + 1 - (left_out is not None)
    if groups < k:
        raise InputError(f"train: expected at least {k} groups of duplicates, got {groups}")
    size = min(len(train), k + _SPARE + (left_out is not None))
    distance = queries.new_empty(len(queries), k, dtype=torch.float64)
    index = torch.zeros(len(queries), k, dtype=torch.int64)
    rows = torch.arange(len(queries))
    while len(rows):
        found, place = nearest_of(queries[rows], train, size)
        some = None if left_out is None else left_out[rows]
        keep = first_of_groups(group[place], some, k)
        full = keep.sum(1) == k
        distance[rows[full]] = found[full][keep[full]].view(-1, k).double()
        index[rows[full]] = place[full][keep[full]].view(-1, k)
        rows = rows[~full]
        size = min(4 * size, len(train))
    return Nearby(distance, index)


def first_of_groups(
    label: Int[Tensor, "q s"], left_out: Int[Tensor, " q"] | None, k: int
) -> Bool[Tensor, "q s"]:
    """Mark the first of each group along every row, up to k of them, none of the group left out."""
    same = label[:, :, None] == label[:, None, :]
    is_first = ~same.tril(-1).any(2)
    if left_out is not None:
        is_first &= label != left_out[:, None]
    return is_first & (is_first.cumsum(1) <= k)


def squared_distances_to_first(points: Float[Tensor, "q K d"]) -> Float[Tensor, "q K"]:
    """Squared distance of each point of a row to the first of them."""
    return (points - points[:, :1]).square().sum(2)
