"""What networks are measured against: the sets of a training, and what follows from them alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from memhorizon.distributions import Distribution
from memhorizon.errors import InputError
from memhorizon.files.mapped import blocks
from memhorizon.measure.duplicates import duplicate_groups, first_members
from memhorizon.measure.features import PCAFeatures, pca_features
from memhorizon.measure.items import Items, Numbers, as_items
from memhorizon.measure.memorization import checked_group, gap_ratios, memorized_fraction
from memhorizon.measure.qualities import Quality, checked_qualities
from memhorizon.results import Fraction

MAIN_DIRECTIONS = 64


@dataclass(frozen=True, eq=False, repr=False)
class Reference:
    """What networks are measured against: a training set, a held-out set, and what follows from them alone.

    Make it by `Reference.of`. Duplicates are no independent items: the first of each group counts for all in
    the losses, in the null and among the held-out items of the qualities.

    Attributes:
        train: training items in the unit of the network, on its device. [n_train, *item]
        holdout: held-out items; none is allowed. [n_holdout, *item]
        train_group: number of the group of duplicates of each training item. [n_train]
        holdout_group: the same of the held-out items. [n_holdout]
        truth: the distribution that the items were drawn from, where it is known.
        qualities: further qualities by name, functions of (samples, held-out items).
    """

    train: Float[Tensor, " n_train *item"]
    holdout: Float[Tensor, " n_holdout *item"]
    train_group: Int[Tensor, " n_train"]
    holdout_group: Int[Tensor, " n_holdout"]
    truth: Distribution | None = None
    qualities: Mapping[str, Quality] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        train: Items,
        holdout: Items | None = None,
        *,
        train_group: Numbers | None = None,
        holdout_group: Numbers | None = None,
        truth: Distribution | None = None,
        qualities: Mapping[str, Quality] | None = None,
    ) -> "Reference":
        """Take the sets of a training.

        Args:
            train: training items as the network sees them, finite floats. [n_train, *item]
            holdout: held-out items in the same unit; None or empty where there are none. [n_holdout, *item]
            train_group: one integer for each training item, equal for duplicates (see `duplicate_groups`); by
                default by the rule of that function.
            holdout_group: the same of the held-out items.
            truth: the distribution that the items were drawn from, where it is known.
            qualities: further qualities by name: functions of the finite samples [m, *item] and the held-out
                items [n, *item] that give a `Distance` (as `frechet_distance` does, in any features), a
                `Mean`, an `Estimate`, or a float, which counts as exact. Lower is better.

        Raises:
            InputError: if a set cannot be used, shapes differ, or a name is that of a measure.
        """
        items = _floats(train, "train")
        held = items[:0] if holdout is None or _is_empty(holdout) else _floats(holdout, "holdout")
        _check_one_shape(items, held)
        named = checked_qualities(qualities)
        return cls(
            items,
            held,
            _groups(train_group, items, "train_group"),
            _groups(holdout_group, held, "holdout_group"),
            truth,
            named,
        )

    @cached_property
    def first_of_groups(self) -> Int[Tensor, " g"]:
        """The number of the first training item of each group of duplicates."""
        return _first_of_groups(self.train_group)

    @cached_property
    def distinct_holdout(self) -> Float[Tensor, " n *item"]:
        """The first held-out item of each group of duplicates."""
        return self.holdout[_first_of_groups(self.holdout_group).to(self.holdout.device)]

    @cached_property
    def has_second(self) -> bool:
        """Whether there are two training items that are no duplicates of each other, as gap ratios need."""
        return len(self.train_group.unique()) > 1

    @cached_property
    def null_ratios(self) -> Float[Tensor, " n"]:
        """Gap ratios of the distinct held-out items."""
        return self.ratios(self.distinct_holdout)

    @cached_property
    def features(self) -> tuple[PCAFeatures | None, str]:
        """What qualities compare, with its name: pixels or, of large items, their main directions."""
        holdout = self.distinct_holdout
        if holdout[0].numel() <= MAIN_DIRECTIONS:
            return None, "pixels"
        count = min(MAIN_DIRECTIONS, len(holdout))
        return pca_features(holdout, count), f"pca{count}"

    def ratios(self, items: Float[Tensor, " m *item"]) -> Float[Tensor, " m"]:
        """Gap ratios to the training items, duplicates of which count as one, in the unit of the network.

        The ranges are not compared: samples of a poor network may lie anywhere.
        """
        return gap_ratios(items, self.train, group=self.train_group, same_units=True)

    def null(self, threshold: float) -> Fraction | None:
        """The share of held-out items that count as copies; None where a set is too small to say."""
        if not self.has_second or not len(self.holdout):
            return None
        return memorized_fraction(self.null_ratios, threshold=threshold)

    def __repr__(self) -> str:
        item = " x ".join(map(str, self.train.shape[1:]))
        return f"Reference({len(self.train)} training and {len(self.holdout)} held-out items of {item})"


def reference_of(
    train: Items | Reference, holdout: Items | None, qualities: Mapping[str, Quality] | None
) -> Reference:
    """The reference that is given, or that of the sets.

    Raises:
        InputError: if sets cannot be used, or a held-out set or qualities come beside a Reference.
    """
    if not isinstance(train, Reference):
        return Reference.of(train, holdout, qualities=qualities)
    if holdout is not None or qualities is not None:
        raise InputError("holdout, qualities: expected None beside a Reference, which holds them")
    return train


def _first_of_groups(group: Int[Tensor, " n"]) -> Int[Tensor, " g"]:
    """The number of the first item of every group of duplicates, ascending."""
    return first_members(group).sort().values


def _floats(items: Items, name: str) -> Tensor:
    found = as_items(items, name)
    if not _is_finite(found):
        wanted = "finite floats in the unit of the network"
        raise InputError(f"{name}: expected {wanted}, got {found.dtype} of shape {tuple(found.shape)}")
    return found


def _is_finite(items: Shaped[Tensor, "..."]) -> bool:
    """Whether these are finite floats."""
    return items.is_floating_point() and all(bool(part.isfinite().all()) for part in blocks(items))


def _is_empty(items: Items) -> bool:
    return isinstance(items, Tensor | np.ndarray) and len(items) == 0


def _groups(group: Numbers | None, items: Tensor, name: str) -> Int[Tensor, " n"]:
    return _groups_found(items) if group is None else checked_group(group, len(items), name)


def _groups_found(items: Tensor) -> Int[Tensor, " n"]:
    """Groups by the rule of `duplicate_groups`, of no items too."""
    return duplicate_groups(items) if len(items) else torch.zeros(0, dtype=torch.int64)


def _check_one_shape(train: Tensor, holdout: Tensor) -> None:
    if holdout.shape[1:] != train.shape[1:]:
        shapes = f"{tuple(train.shape[1:])} and {tuple(holdout.shape[1:])}"
        raise InputError(f"train, holdout: expected items of one shape, got {shapes}")
