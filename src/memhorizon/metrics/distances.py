"""Distances between samples and training items: Frechet, kernel, and one that is made to punish copies."""

import math
from dataclasses import replace
from functools import partial
from typing import SupportsIndex

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from memhorizon.checks import check_number
from memhorizon.devices import wide
from memhorizon.measure.features import Features
from memhorizon.measure.items import Items
from memhorizon.measure.means import Mean
from memhorizon.measure.neighbors import nearest_of
from memhorizon.measure.quality import Distance, frechet_distance, kernel_distance
from memhorizon.metrics.measurement import Measurement
from memhorizon.metrics.sets import BATCH, EQUALLY_MANY, sets_of

ROUNDED = 1e-12  # of the mean square of a set: distances below it are those of rounding
_LEAST = 1e-15  # added to a penalty that counts, so that nothing is divided by 0


def frechet(
    samples: Items,
    train: Items,
    *,
    holdout: Items | None = None,
    features: Features = None,
    batch_size: SupportsIndex = BATCH,
    same_units: bool = False,
) -> Measurement:
    """Give the Frechet distance between samples and training items (FID, in Inception features).

    It does not see copies: they bring it down. Its null is the distance of the held-out items.

    Args:
        samples: generated items, [m, *item]: tensor, array, path or ImageSet.
        train: training items (or other real ones), [n, *item].
        holdout: held-out items for the null, [h, *item].
        features: what is compared, by default the items' entries.
        batch_size: items per call of `features`.
        same_units: vouch that all sets have one unit (see `nearest`).

    Returns:
        A `Distance`, with its bias removed in `corrected`.

    Raises:
        InputError: if a set has fewer than 2 items, or items or features cannot be used.

    Source: [heusel2017] Eq. (6)
    """
    sets = sets_of(samples, train, holdout, features=features, batch_size=batch_size, same_units=same_units)
    return sets.of_sets("frechet", partial(frechet_distance, y=sets.train, same_units=True))


def kernel(
    samples: Items,
    train: Items,
    *,
    holdout: Items | None = None,
    features: Features = None,
    batch_size: SupportsIndex = BATCH,
    same_units: bool = False,
) -> Measurement:
    """Give the kernel distance between samples and training items (KID, in Inception features).

    Arguments, answer and errors as for `frechet`. It does not see copies either.

    Source: [binkowski2018] Sec. 4
    """
    sets = sets_of(samples, train, holdout, features=features, batch_size=batch_size, same_units=same_units)
    return sets.of_sets("kernel", partial(kernel_distance, y=sets.train, same_units=True))


def mifid(
    samples: Items,
    train: Items,
    *,
    holdout: Items | None = None,
    penalty_below: float = 0.1,
    features: Features = None,
    batch_size: SupportsIndex = BATCH,
    same_units: bool = False,
) -> Measurement:
    """Give the Frechet distance over a penalty for samples near to training items.

    s is the mean over the *samples* of the smallest 1 - |cos| to a training item; the distance is divided by
    s where s < `penalty_below`, else left. (torchmetrics averages over the training items the distance to
    their nearest sample: as long as samples are few, that is large, copies or not.)

    Args:
        samples: generated items, [m, *item]: tensor, array, path or ImageSet.
        train: training items, [n, *item].
        holdout: held-out items for the null, [h, *item].
        penalty_below: the mean cosine distance s from which on there is no penalty; 0.1 is that of the paper,
            for Inception features.
        features: what is compared, by default the items' entries.
        batch_size: items per call of `features`.
        same_units: vouch that all sets have one unit (see `nearest`).

    Returns:
        A `Distance`; `per_sample` is the smallest 1 - |cos| of each sample. An item of zeros has no direction
        and is at 1.

    Raises:
        InputError: if a set has fewer than 2 items, `penalty_below` is not in (0, 1], or items or features
            cannot be used.

    Source: [bai2021] Sec. 3
    """
    check_number("penalty_below", penalty_below, above=0, most=1)
    sets = sets_of(samples, train, holdout, features=features, batch_size=batch_size, same_units=same_units)

    value, near = _penalized(sets.samples, sets.train, penalty_below)
    fresh = sets.fresh
    null = None if fresh is None else _penalized(fresh, sets.train, penalty_below)[0]
    near_in_words = f"mean cosine distance to the nearest training item {Mean.of(near)}"
    note = "; ".join(filter(None, (near_in_words, sets.lack)))
    return sets.measurement("mifid", value, null, null_rule=EQUALLY_MANY, per_sample=near, note=note)


def _penalized(
    rows: Shaped[Tensor, "m d"], train: Shaped[Tensor, "n d"], penalty_below: float
) -> tuple[Distance, Float[Tensor, " m"]]:
    """The Frechet distance with its penalty, and the cosine distances that this comes from."""
    near = _cosine_distances(rows, train)
    distance = frechet_distance(rows, train, same_units=True)
    distance = _beyond_rounding(distance, float(wide(train).square().sum(dim=1).mean()))
    similar = Mean.of(near)
    return (_over(distance, similar) if similar.value < penalty_below else distance), near


def _cosine_distances(samples: Shaped[Tensor, "m d"], train: Shaped[Tensor, "n d"]) -> Float[Tensor, " m"]:
    """Smallest 1 - |cos| of each sample to a training item, exactly 0 for a copy; 1 without a direction."""
    u, has_direction = _directions(samples)
    v, _ = _directions(train)
    found = torch.ones(len(samples), dtype=u.dtype, device=u.device)
    if len(u) and len(v):
        # |u - v|^2 = 2 - 2 u.v
        found[has_direction] = _to_lines(u, v).square() / 2
    return found


def _to_lines(u: Float[Tensor, "m d"], v: Float[Tensor, "n d"]) -> Float[Tensor, " m"]:
    """Distance of each u to the nearest v or -v, of vectors of length 1."""
    distance = nearest_of(u, v, 1)[0][:, 0]
    if bool((u >= 0).all()) and bool((v >= 0).all()):  # no -v is nearer
        return distance
    return torch.minimum(distance, nearest_of(-u, v, 1)[0][:, 0])


def _directions(x: Shaped[Tensor, "n d"]) -> tuple[Float[Tensor, "some d"], Bool[Tensor, " n"]]:
    """Rows of length 1, those of zeros left out, and which these are not."""
    rows = wide(x)
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    has_direction = length[:, 0] > 0
    return rows[has_direction] / length[has_direction], has_direction


def _beyond_rounding(distance: Distance, scale: float) -> Distance:
    """A distance of sets whose squares have this mean; what rounding leaves of 0 is 0."""
    corrected = distance.corrected
    least = ROUNDED * scale
    return replace(
        distance,
        value=distance.value if distance.value > least else 0.0,
        corrected=replace(corrected, value=corrected.value if abs(corrected.value) > least else 0.0),
    )


def _over(distance: Distance, similar: Mean) -> Distance:
    """A distance over a penalty, with the errors of both."""
    s = similar.value + _LEAST
    corrected = distance.corrected
    # var F/s = (sd F / s)^2 + (F sd s / s^2)^2
    error = math.hypot(corrected.standard_error / s, corrected.value * similar.standard_error / s**2)
    mean = Mean(corrected.value / s, error, corrected.count)
    return replace(distance, value=distance.value / s, corrected=mean)
