"""What p-values are calibrated on: duplicates as one, and reference items that nothing is learned from."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from memhorizon.auditing.nearby import Nearby
from memhorizon.errors import InputError
from memhorizon.measure.neighbors import nearest_of

FEWEST = 10  # groups of duplicates that an audit can be made with


@dataclass(frozen=True, eq=False)
class Design:
    """How the training set is divided.

    Attributes:
        group: number of the group of duplicates of each training item. [n]
        distance: up to which items are near-duplicates.
        reference: training items, one of a group, that the p-values are calibrated on; none where held-out
            items are. [R]
        rest: training items, one of a group, from which views learn. None of its groups is that of a
            reference item, so these and a fresh item are alike for everything that was learned. [r]
    """

    group: Int[Tensor, " n"]
    distance: float
    reference: Int[Tensor, " R"]
    rest: Int[Tensor, " r"]


def divide(
    group: Int[Tensor, " n"], distance: float, n_reference: int, seed: int, *, n_holdout: int = 0
) -> Design:
    """Draw reference items: at most so many, at most half of the groups.

    Args:
        group: number of the group of duplicates of each training item.
        distance: up to which items are near-duplicates.
        n_reference: how many are wanted.
        seed: of the draw.
        n_holdout: held-out items that p-values could be calibrated on; where these are more, no training
            items are drawn.

    Raises:
        InputError: if there are too few groups.
    """
    first = first_members(group)
    if len(first) < FEWEST:
        raise InputError(
            f"train: expected at least {FEWEST} different items, got {len(group):,} in {len(first)} groups "
            "of duplicates"
        )
    generator = torch.Generator().manual_seed(seed)
    order = first[torch.randperm(len(first), generator=generator)]
    count = min(n_reference, len(first) // 2)
    if min(n_reference, n_holdout) > count:
        count = 0
    return Design(group, distance, order[:count].sort().values, order[count:])


def first_members(group: Int[Tensor, " n"]) -> Int[Tensor, " g"]:
    """The first item of each group."""
    return torch.from_numpy(np.unique(group.numpy(), return_index=True)[1])


def duplicates_of(group: Int[Tensor, " n"]) -> list[Int[Tensor, " s"]]:
    """The groups of more than one item, the largest first."""
    order = group.sort(stable=True).indices
    groups = order.split(group.bincount().tolist())
    several = [members for members in groups if len(members) > 1]
    return sorted(several, key=lambda members: (-len(members), int(members[0])))


def shared_items(
    holdout: Float[Tensor, " h *item"], train: Float[Tensor, " n *item"], distance: float
) -> tuple[Int[Tensor, " s"], Nearby]:
    """Held-out items that are duplicates of training items, and the nearest training item of each of them.

    Args:
        holdout: held-out items.
        train: training items.
        distance: up to which items are near-duplicates.
    """
    found, index = nearest_of(holdout.flatten(1), train.flatten(1), 1)
    shared = (found[:, 0] <= distance).nonzero().flatten()
    return shared, Nearby(found[shared].double(), index[shared])
