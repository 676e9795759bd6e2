"""Copies among samples by a threshold on distances: f_mem, calibrated L2, AuthPct."""

from dataclasses import replace
from functools import partial
from typing import SupportsIndex

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from memhorizon.checks import check_number, check_whole
from memhorizon.measure.features import Features
from memhorizon.measure.items import Items
from memhorizon.measure.memorization import (
    gap_ratios,
    intrinsic_dimension,
    memorized_fraction,
    null_fraction,
)
from memhorizon.measure.neighbors import nearest_of
from memhorizon.metrics.groups import Group, group_of, nearest_groups
from memhorizon.metrics.measurement import Measurement
from memhorizon.metrics.sets import BATCH, Sets, sets_of
from memhorizon.results import Fraction

_LOOKED_AT = 4096  # training items that the intrinsic dimension is estimated from
_FEWEST = 3  # distinct items that it needs


def f_mem(
    samples: Items,
    train: Items,
    *,
    holdout: Items | None = None,
    threshold: float = 1 / 3,
    group: Group = "exact",
    features: Features = None,
    batch_size: SupportsIndex = BATCH,
    same_units: bool = False,
) -> Measurement:
    """Give the share of samples much nearer to one training item than to the next: d1 / d2 < threshold.

    d1 is the distance to the nearest training item, d2 that to the nearest of another group of duplicates.
    Without held-out items the null is threshold^D, D the intrinsic dimension of the training items.

    Args:
        samples: generated items, [m, *item]: tensor, array, path or ImageSet.
        train: training items, [n, *item].
        holdout: held-out items for the null, [h, *item].
        threshold: a sample with a smaller ratio counts as a copy; a convention, not a calibrated test.
        group: which training items are duplicates: "exact", "near", or one integer per item, equal for
            duplicates.
        features: distances are taken between these features, by default between the items' entries.
        batch_size: items per call of `features`.
        same_units: vouch that all sets have one unit (see `nearest`).

    Returns:
        A `Fraction` of the samples; `per_sample` are the ratios d1 / d2.

    Raises:
        InputError: if there is one training item or one group alone, an option is out of its range, or items
            or features cannot be used.

    Source: [yoon2023] Sec. 3; [bonnaire2025] Eq. (6)
    """
    check_number("threshold", threshold, above=0, below=1)
    sets = sets_of(samples, train, holdout, features=features, batch_size=batch_size, same_units=same_units)
    label = group_of(group, sets.train)
    ratios = partial(gap_ratios, train=sets.train, group=label, same_units=True)
    found = sets.of_samples("f_mem", ratios, partial(memorized_fraction, threshold=threshold))
    return found if sets.holdout is not None else _beside_closed_form(found, sets, threshold)


def _beside_closed_form(found: Measurement, sets: Sets, threshold: float) -> Measurement:
    """The same beside threshold^D, where the dimension can be estimated."""
    some = torch.unique(sets.train[:: -(-len(sets.train) // _LOOKED_AT)], dim=0)
    if len(some) < _FEWEST:
        return found
    dimension = intrinsic_dimension(some)
    null = null_fraction(dimension, threshold=threshold)
    rule = f"threshold^D with the intrinsic dimension D = {dimension} of the training items"
    return replace(found, null=null, null_rule=rule)


def calibrated_l2(
    samples: Items,
    train: Items,
    *,
    holdout: Items | None = None,
    k: SupportsIndex = 50,
    alpha: float = 0.5,
    group: Group = "exact",
    features: Features = None,
    batch_size: SupportsIndex = BATCH,
    same_units: bool = False,
) -> Measurement:
    """Give the share of samples with d1 below `alpha` times the mean distance to the k nearest.

    The neighbours are training items of different groups of duplicates: an item that occurs k times would
    hide its copies. With fewer groups than k all of them are taken.

    Args:
        samples: generated items, [m, *item]: tensor, array, path or ImageSet.
        train: training items, [n, *item].
        holdout: held-out items for the null, [h, *item].
        k: how many neighbours the mean is over.
        alpha: share of the mean distance below which a sample counts as a copy.
        group: which training items are duplicates, as for `f_mem`.
        features: distances are taken between these features, by default between the items' entries.
        batch_size: items per call of `features`.
        same_units: vouch that all sets have one unit (see `nearest`).

    Returns:
        A `Fraction` of the samples; `per_sample` is d1 / (alpha * mean of d1, ..., dk), a copy below 1.

    Raises:
        InputError: if there is one training item or one group alone, an option is out of its range, or items
            or features cannot be used.

    Source: [carlini2023] Sec. 5.1
    """
    check_whole("k", k, least=2)
    check_number("alpha", alpha, above=0)
    sets = sets_of(samples, train, holdout, features=features, batch_size=batch_size, same_units=same_units)
    label = group_of(group, sets.train)
    width = min(int(k), int(label.max()) + 1)
    calibrated = partial(_calibrated, train=sets.train, group=label, k=width, alpha=float(alpha))
    note = "" if width == k else f"the mean is over {width} neighbours: there are no more groups"
    return sets.of_samples("calibrated_l2", calibrated, _share_below_1, note=note)


def auth_pct(
    samples: Items,
    train: Items,
    *,
    holdout: Items | None = None,
    group: Group = "exact",
    features: Features = None,
    batch_size: SupportsIndex = BATCH,
    same_units: bool = False,
) -> Measurement:
    """Give the share of authentic samples: farther from their nearest training item than that is from others.

    A sample y with nearest training item x is authentic if |y - x| > |x - x'|, x' the item of another group
    of duplicates that is nearest to x. (Published as a percentage, for which the share is to be multiplied by
    100.) What held-out items have depends on the dimension of the data: 1/3 in one dimension, 0.83 in 64.

    Args:
        samples: generated items, [m, *item]: tensor, array, path or ImageSet.
        train: training items, [n, *item].
        holdout: held-out items for the null, [h, *item].
        group: which training items are duplicates, as for `f_mem`.
        features: distances are taken between these features, by default between the items' entries.
        batch_size: items per call of `features`.
        same_units: vouch that all sets have one unit (see `nearest`).

    Returns:
        A `Fraction` of the samples; `per_sample` is |y - x| / |x - x'|, authentic above 1.

    Raises:
        InputError: if there is one training item or one group alone, or items or features cannot be used.

    Source: [alaa2022]
    """
    sets = sets_of(samples, train, holdout, features=features, batch_size=batch_size, same_units=same_units)
    label = group_of(group, sets.train)
    ratios = partial(_authenticity, train=sets.train, group=label)
    return sets.of_samples("auth_pct", ratios, _share_above_1)


def _calibrated(
    rows: Shaped[Tensor, "m d"],
    *,
    train: Shaped[Tensor, "n d"],
    group: Int[Tensor, " n"],
    k: int,
    alpha: float,
) -> Float[Tensor, " m"]:
    """The distance to the nearest item over alpha times the mean of the k smallest."""
    distance = nearest_groups(rows, train, group, k)
    # d1 / (alpha (d1 + ... + dk) / k)
    return distance[:, 0] / (alpha * distance.mean(1))


def _authenticity(
    rows: Shaped[Tensor, "m d"], *, train: Shaped[Tensor, "n d"], group: Int[Tensor, " n"]
) -> Float[Tensor, " m"]:
    """The distance |y - x| to the nearest item x, over its |x - x'|; 0 at distance 0, whatever x' is."""
    distance, index = nearest_of(rows, train, 1)
    to_others = _to_others(train, group, index[:, 0])
    return torch.where(distance[:, 0] == 0, 0.0, distance[:, 0] / to_others)


def _to_others(
    train: Shaped[Tensor, "n d"], group: Int[Tensor, " n"], index: Int[Tensor, " m"]
) -> Float[Tensor, " m"]:
    """Distances of some training items to the nearest of another group."""
    some, place = torch.unique(index, return_inverse=True)
    distance = nearest_groups(train[some.to(train.device)], train, group, 2)  # the first is the item itself
    return distance[:, 1][place]


def _share_below_1(ratios: Float[Tensor, " m"]) -> Fraction:
    return Fraction.of(int((ratios < 1).sum()), len(ratios))


def _share_above_1(ratios: Float[Tensor, " m"]) -> Fraction:
    return Fraction.of(int((ratios > 1).sum()), len(ratios))
