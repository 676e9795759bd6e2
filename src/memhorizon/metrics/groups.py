"""Neighbours among groups of duplicates: a training item that occurs many times counts once."""

from typing import TYPE_CHECKING, TypeAlias

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from memhorizon.checks import check_choice
from memhorizon.errors import InputError
from memhorizon.measure.duplicates import linked_groups, near_distance
from memhorizon.measure.items import Numbers
from memhorizon.measure.memorization import checked_group
from memhorizon.measure.neighbors import nearest_of

if TYPE_CHECKING:
    Group: TypeAlias = Numbers | str
else:  # checked by `group_of`
    Group = object

_SPARE = 4  # neighbours looked at beyond the number of groups that are wanted
_WORDS = ("exact", "near")


def group_of(group: Group, train: Shaped[Tensor, "n d"]) -> Int[Tensor, " n"]:
    """Number the groups of duplicates of the training items from 0.

    Args:
        group: "exact" (equal in every value), "near" (the rule of `duplicate_groups`), or one integer per
            training item, equal for duplicates.
        train: the training items as rows.

    Raises:
        InputError: if it is none of these, or there is one group alone.
    """
    found = _labels(group, train)
    if int(found.max()) == 0:
        raise InputError(f"train: expected at least 2 groups of duplicates, got {len(train)} items in one")
    return found.to(train.device)


def _labels(group: Group, train: Shaped[Tensor, "n d"]) -> Int[Tensor, " n"]:
    if isinstance(group, str):
        word = check_choice("group", group, _WORDS)
        return linked_groups(train, near_distance(train) if word == "near" else 0.0)
    return torch.unique(checked_group(group, len(train)), return_inverse=True)[1]


def nearest_groups(
    samples: Shaped[Tensor, "m d"], train: Shaped[Tensor, "n d"], group: Int[Tensor, " n"], k: int
) -> Float[Tensor, "m k"]:
    """Give the distances to the nearest item of each of the k nearest groups, ascending.

    Args:
        samples: rows asked about.
        train: rows searched.
        group: of each training item, numbered from 0.
        k: how many groups, at most as many as there are.
    """
    enough = _enough_neighbors(group, k)
    width = min(k + _SPARE, enough)
    distance, is_found = _among(samples, train, group, k, width)
    rows = is_found.logical_not().nonzero().flatten()
    while len(rows):
        width = min(4 * width, enough)
        distance[rows], is_found = _among(samples[rows], train, group, k, width)
        rows = rows[~is_found]
    return distance


def _enough_neighbors(group: Int[Tensor, " n"], k: int) -> int:
    """How many neighbours always hold k groups: one more than the k - 1 largest groups have."""
    sizes = group.bincount().sort(descending=True).values
    return int(sizes[: k - 1].sum()) + 1


def _among(
    samples: Shaped[Tensor, "m d"],
    train: Shaped[Tensor, "n d"],
    group: Int[Tensor, " n"],
    k: int,
    width: int,
) -> tuple[Float[Tensor, "m k"], Bool[Tensor, " m"]]:
    """The same among the `width` nearest items, and whether these hold k groups."""
    distance, index = nearest_of(samples, train, width)
    is_first = _first_of_group(group.to(index.device)[index])
    is_found = is_first.sum(1) >= k
    # items that repeat a group go to the end
    found = distance.where(is_first, torch.inf).sort(dim=1).values[:, :k]
    return found, is_found


def _first_of_group(label: Int[Tensor, "m width"]) -> Bool[Tensor, "m width"]:
    """Tell which neighbours are the nearest of their group."""
    sorted_label, order = label.sort(dim=1, stable=True)
    is_first = torch.ones_like(label, dtype=torch.bool)
    is_first[:, 1:] = sorted_label[:, 1:] != sorted_label[:, :-1]
    return torch.empty_like(is_first).scatter_(1, order, is_first)
