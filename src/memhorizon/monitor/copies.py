"""Which samples of a look are copies, and how often an honest item would be called one.

The statistic is that of the audit's view "pixels": d1/d2, the distance of a sample to its nearest training
image over that to the nearest of another group of duplicates. It is cheap (one product of the samples with
the training set), exact, and does not take blurred samples for copies; it does not see flips or shifts,
which the audit of the finished checkpoint does.

The audit gives every sample a p-value and controls the false-discovery rate within one set. A test along a
training needs one thing more: events of one known probability, in every look. So a threshold is fixed before
the training, and the rate at which honest items fall below it is the null: of training items, each left out
with its duplicates, and of held-out items. The threshold is 1/3, as in the field, and lower in data of few
dimensions, where honest items would be below it too often: by threshold^D, with D the intrinsic dimension, at
most a quarter of the target may be; among the honest items, at most half of it.

How often is a fresh honest sample below the threshold? If c of N honest items are, exchangeability gives
(c + 1)/(N + 1) on average, which for few items is much more than the truth. Where the data are uniform at the
scale of neighbours it is threshold^D, with D the intrinsic dimension. The test allows for the larger one of
c/N and the upper end of threshold^D, but for no more than (c + 1)/(N + 1). It is an estimate: the guarantee
of the stop is one given this rate.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from memhorizon.auditing.nearby import Nearby, nearest_groups
from memhorizon.auditing.reference import duplicates_of
from memhorizon.errors import InputError
from memhorizon.measure.duplicates import first_members, linked_groups, near_distance
from memhorizon.measure.memorization import intrinsic_dimension, null_fraction
from memhorizon.records.monitor import CopyRule
from memhorizon.results import Fraction

THRESHOLD = 1 / 3
NULL_SHARE = 0.5  # of the target: the most of the honest items that may be below the threshold
MODEL_SHARE = 0.25  # of the target: the most that threshold^D may be
MOST_HONEST = 2000  # training items that the null is measured on
FEWEST = 3  # groups of duplicates
MOST_SIDE = 64  # pixels; larger pictures are compared at this size
LEAST_THRESHOLD = 1e-3


@dataclass(frozen=True, eq=False)
class Found:
    """The samples of one look against the training set.

    Attributes:
        ratio: d1/d2 of each. [m]
        nearest: position of the nearest training item. [m]
        is_copy: whether the ratio is below the threshold. [m]
    """

    ratio: Float[Tensor, " m"]
    nearest: Int[Tensor, " m"]
    is_copy: Bool[Tensor, " m"]

    @property
    def count(self) -> int:
        """How many are copies."""
        return int(self.is_copy.sum())

    @classmethod
    def none(cls) -> "Found":
        """That of no samples."""
        return cls(torch.zeros(0), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool))

    def joined(self, other: "Found") -> "Found":
        """These samples and others."""
        ratio = torch.cat([self.ratio, other.ratio])
        nearest = torch.cat([self.nearest, other.nearest])
        return Found(ratio, nearest, torch.cat([self.is_copy, other.is_copy]))


@dataclass(frozen=True, eq=False)
class CopyFinder:
    """Training items, ready to be compared with.

    Attributes:
        rows: the items as they are compared. [n, d]
        group: number of the group of duplicates of each. [n]
        rule: what counts as a copy.
    """

    rows: Float[Tensor, "n d"]
    group: Int[Tensor, " n"]
    rule: CopyRule

    @classmethod
    def of(cls, train: Tensor, holdout: Tensor | None, *, target: float, seed: int) -> "CopyFinder":
        """Group the duplicates, measure the null, fix the threshold.

        Args:
            train: training items. [n, *item]
            holdout: held-out items; None where there are none.
            target: largest share of copies that is fine.
            seed: of the choice of honest items.

        Raises:
            InputError: if there are fewer than 3 different training items.
        """
        rows = compared(train)
        group = linked_groups(rows, near_distance(rows))
        n_groups = int(group.max()) + 1
        if n_groups < FEWEST:
            raise InputError(f"train: expected at least {FEWEST} different items, got {n_groups}")
        honest = _honest_ratios(rows, group, holdout, seed)
        return cls(rows, group, _rule(honest, rows, group, target))

    def find(self, samples: Tensor) -> Found:
        """Compare samples, [m, *item], with the training items."""
        near = nearest_groups(compared(samples), self.rows, self.group, 2)
        ratio = _ratio(near)
        return Found(ratio, near.index[:, 0], ratio < self.rule.threshold)


def compared(items: Tensor) -> Float[Tensor, "n d"]:
    """Items as rows on the CPU, in float32; large pictures are reduced to 64 pixels."""
    x = items.detach().cpu().float()
    if x.ndim == 4 and max(x.shape[-2:]) > MOST_SIDE:
        shrink = MOST_SIDE / max(x.shape[-2:])
        size = [max(1, round(side * shrink)) for side in x.shape[-2:]]
        x = functional.interpolate(x, size=size, mode="area")
    return x.flatten(1).contiguous()


def _ratio(near: Nearby) -> Float[Tensor, " m"]:
    """d1/d2; 0 for an equal item."""
    first, second = near.distance.unbind(1)
    return torch.where(first == 0, 0.0, first / second)


def _honest_ratios(
    rows: Float[Tensor, "n d"], group: Int[Tensor, " n"], holdout: Tensor | None, seed: int
) -> Float[Tensor, " N"]:
    """Ratios of training items, each against the other groups, and of held-out items."""
    first = first_members(group)
    generator = torch.Generator().manual_seed(seed)
    chosen = first[torch.randperm(len(first), generator=generator)[:MOST_HONEST]].sort().values
    parts = [_ratio(nearest_groups(rows[chosen], rows, group, 2, group[chosen]))]
    if holdout is not None:
        others = compared(holdout[:MOST_HONEST])
        parts.append(_ratio(nearest_groups(others, rows, group, 2)))
    return torch.cat(parts)


def _rule(
    honest: Float[Tensor, " N"], rows: Float[Tensor, "n d"], group: Int[Tensor, " n"], target: float
) -> CopyRule:
    N = len(honest)
    most = math.floor(NULL_SHARE * target * N)
    # the largest threshold that at most so many honest items are below
    limit = float(honest.sort().values[most])
    dimension = intrinsic_dimension(rows[first_members(group)])
    # threshold^D = share of the target
    modelled = (MODEL_SHARE * target) ** (1 / dimension.value)
    threshold = max(min(THRESHOLD, limit, modelled), LEAST_THRESHOLD)
    below = int((honest < threshold).sum())
    model = null_fraction(dimension, threshold=threshold).high
    allowed = min(max(below / N, model), (below + 1) / (N + 1))
    duplicates = sum(len(members) - 1 for members in duplicates_of(group))
    words = f"d1/d2 below {threshold:.3g}; {below} of {N:,} honest items are"
    return CopyRule(threshold, Fraction.of(below, N), allowed, dimension.value, duplicates, words)


def expected_null(rule: CopyRule) -> float:
    """The share of honest samples that are to be expected below the threshold."""
    return max(rule.null.value, min(rule.threshold**rule.dimension, rule.allowed))
