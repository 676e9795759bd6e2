"""What p-values are calibrated on: duplicates as one, and reference items that nothing is learned from."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from memhorizon.auditing.nearby import Nearby
from memhorizon.errors import InputError
from memhorizon.files.mapped import ends, rows_of
from memhorizon.measure.duplicates import direct_groups, first_members, rule, several
from memhorizon.measure.neighbors import nearest_of

FEWEST = 10  # groups of duplicates that an audit can be made with


RARE = 1 / 256  # share of the items: near-duplicates up to here are taken for chance
# of the range: root mean square difference of a picture that was stored again in high quality
ALIKE = 4 / 255


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Duplicates among the training items.

    Where near-duplicates are rare, a fresh item may be one as well: only equal items count as one, and the
    p-values allow for the others. Where they are common (pictures that were stored twice in two qualities,
    augmented sets), they count as one too; a fresh item is then one that is no near-duplicate.

    Attributes:
        near: number of the group of near-duplicates of each item. [n]
        counted: number of the group of those that count as one. [n]
        distance: up to which items are near-duplicates.
        rule: which items count as one, in words.
    """

    near: Int[Tensor, " n"]
    counted: Int[Tensor, " n"]
    distance: float
    rule: str

    @property
    def near_are_different(self) -> bool:
        """Whether near-duplicates count as different items."""
        return self.counted is not self.near

    @classmethod
    def of(cls, train: Float[Tensor, " n *item"], near: Int[Tensor, " n"], distance: float) -> "Duplicates":
        """Decide which near-duplicates count as one."""
        equal = equal_groups(train, near)
        n_different = _n_repeated(near) - _n_repeated(equal)
        if 2 * n_different <= RARE * len(near):
            words = f"{rule(distance)}; near ones are rare and count as different items in the p-values"
            return cls(near, equal, distance, words)
        return cls(near, near, distance, f"{rule(distance)}; all of them count as one item")


def _n_repeated(group: Int[Tensor, " n"]) -> int:
    """How many items are not the first of their group."""
    return len(group) - int(group.max()) - 1


def alike_distance(limits: tuple[float, float], d: int) -> float:
    """Up to which distance items of d numbers are equal, or as alike as a picture that was stored again.

    They differ by at most `ALIKE` of the range in the root mean square over all d numbers: by
    ALIKE range sqrt(d) in Euclidean distance.
    """
    return ALIKE * (limits[1] - limits[0]) * d**0.5


def equal_groups(train: Float[Tensor, " n *item"], near: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Groups of items that are equal, or alike as a picture stored again, among near-duplicates."""
    reach = alike_distance(ends(train), train[0].numel())
    first = torch.arange(len(train))  # the first item of each one's group
    for members in duplicates_of(near):
        group = direct_groups(rows_of(train, members), reach)
        first[members] = members[first_members(group)[group]]
    return torch.unique(first, return_inverse=True)[1]


@dataclass(frozen=True, eq=False)
class Design:
    """How the training set is divided.

    Attributes:
        duplicates: among the training items.
        reference: training items, one of a group, that the p-values are calibrated on; none where held-out
            items are. [R]
        rest: training items, one of a group, from which views learn. None of its groups is that of a
            reference item, so these and a fresh item are alike for everything that was learned. [r]
    """

    duplicates: Duplicates
    reference: Int[Tensor, " R"]
    rest: Int[Tensor, " r"]

    @property
    def group(self) -> Int[Tensor, " n"]:
        """Number of the group of each training item; items of one group count as one."""
        return self.duplicates.counted


def divide(duplicates: Duplicates, n_reference: int, seed: int, *, n_holdout: int = 0) -> Design:
    """Draw reference items: at most so many, at most half of the groups.

    Args:
        duplicates: among the training items.
        n_reference: how many are wanted.
        seed: of the draw.
        n_holdout: held-out items that p-values could be calibrated on; where these are more, no training
            items are drawn.

    Raises:
        InputError: if there are too few groups.
    """
    first = first_members(duplicates.counted)
    if len(first) < FEWEST:
        raise InputError(
            f"train: expected at least {FEWEST} different items, got {len(first)} among "
            f"{len(duplicates.counted):,}"
        )
    generator = torch.Generator().manual_seed(seed)
    order = first[torch.randperm(len(first), generator=generator)]
    count = min(n_reference, len(first) // 2)
    if min(n_reference, n_holdout) > count:
        count = 0
    return Design(duplicates, order[:count].sort().values, order[count:])


def duplicates_of(group: Int[Tensor, " n"]) -> list[Int[Tensor, " s"]]:
    """The groups of more than one item, the largest first."""
    return sorted(several(group), key=lambda members: (-len(members), int(members[0])))


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
