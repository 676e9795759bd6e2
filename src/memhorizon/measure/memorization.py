"""Copies among samples: gap ratios, the memorized fraction, and what the same rule says of innocent points.

A sample counts as a copy when it is much nearer to one training point than to the next. The threshold is
calibrated to nothing by itself: give the fraction beside its null, the same fraction of held-out real
points (`memorized_fraction(gap_ratios(holdout, train))`), or, where there are none, `null_fraction` of the
estimated intrinsic dimension.
"""

import math

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from memhorizon.measure.neighbors import nearest, pairs_within
from memhorizon.results import Estimate, Fraction, InputError

_Z95 = 1.959963984540054  # of the standard normal law, two-sided 95 %


def gap_ratios(
    samples: Shaped[Tensor, "..."],
    train: Shaped[Tensor, "..."],
    *,
    chunk: int | None = None,
    group: Shaped[Tensor, "..."] | None = None,
) -> Float[Tensor, " m"]:
    """Give d1/d2 of every sample: its distance to the nearest over that to the second nearest training point.

    Near 0 the sample is a copy, near 1 it belongs to no training point in particular. A sample at distance
    0 has ratio 0, also where the image occurs twice in the training set (d1 = d2 = 0): a copy is a copy. A
    near copy of an image that occurs twice has a ratio near 1, though, and goes unseen unless `group` names
    the duplicates.

    Args:
        samples: the points asked about, [m, *item].
        train: the training points, [n, *item]; at least two, or two groups.
        chunk: samples handled at a time; never changes the result.
        group: one integer per training point, equal for duplicates (see `duplicate_groups`). [n] The second
            distance is then that to the nearest point of another group than the nearest point's.

    Raises:
        InputError: if there is no second training point or group, or shapes or values cannot be used.

    Source: [yoon2023] Sec. 3; [bonnaire2025] Eq. (6)
    """
    if group is None:
        if len(train) < 2:
            raise InputError(
                f"train: expected at least 2 points (a ratio needs a second one), got {len(train)}"
            )
        distance, _ = nearest(samples, train, k=2, chunk=chunk)
        first, second = distance.unbind(1)
    else:
        first, second = _two_groups(samples, train, group, chunk)
    return torch.where(first == 0, 0.0, first / second)


def memorized_fraction(ratios: Shaped[Tensor, "..."], *, threshold: float = 1 / 3) -> Fraction:
    """Give the share of samples whose gap ratio is below the threshold, with its exact binomial interval.

    Raises:
        InputError: if there is no ratio, one is not within 0..1, or the threshold is not between 0 and 1.

    Source: [yoon2023] Sec. 3; [bonnaire2025] Eq. (6)
    """
    if not 0 < threshold < 1:
        raise InputError(f"threshold: expected a number between 0 and 1, got {threshold}")
    if ratios.ndim != 1 or len(ratios) == 0:
        raise InputError(
            f"ratios: expected a vector with at least one entry, got shape {tuple(ratios.shape)}"
        )
    bad = ~((ratios >= 0) & (ratios <= 1))  # NaN is neither
    if bool(bad.any()):
        raise InputError(f"ratios: expected values within 0..1, got {ratios[bad][:5].tolist()}")
    return Fraction.of(int((ratios < threshold).sum()), len(ratios))


def duplicate_groups(train: Shaped[Tensor, "..."], *, distance: float = 0.0) -> Int[Tensor, " n"]:
    """Number the groups of equal training points, or of points linked by steps of at most `distance`.

    Args:
        train: the training points, [n, *item].
        distance: Euclidean; 0 joins exact duplicates only. Chains join: a and c are in one group if both
            are within `distance` of b.

    Returns:
        Group numbers, counted from 0 in the order of first appearance. [n]

    Raises:
        InputError: if `distance` is negative or `train` cannot be used.
    """
    if not distance >= 0:
        raise InputError(f"distance: expected a number >= 0, got {distance}")
    if train.ndim == 0 or len(train) == 0:
        raise InputError(f"train: expected at least one point, got shape {tuple(train.shape)}")
    points, label = torch.unique(train.reshape(len(train), -1), dim=0, return_inverse=True)
    if distance > 0:
        one, other = (side.cpu().numpy() for side in pairs_within(points, distance))
        graph = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(len(points),) * 2)
        label = torch.from_numpy(connected_components(graph, directed=False)[1])[label.cpu()]
    _, first, inverse = np.unique(label.cpu().numpy(), return_index=True, return_inverse=True)
    return torch.from_numpy(first.argsort().argsort()[inverse]).to(train.device)


def intrinsic_dimension(train: Shaped[Tensor, "..."], *, chunk: int | None = None) -> Estimate:
    """Estimate how many directions the data vary in, at the scale of nearest neighbours.

    Where the density is uniform over the two nearest neighbours, r2/r1 has a Pareto law with exponent D,
    whose maximum-likelihood estimate (without its bias) this is, over the distinct training points. Points
    share distances with their neighbours: the interval counts the covariance of every point with its two
    nearest.

    Raises:
        InputError: if there are fewer than 3 distinct points, or values cannot be used.

    Source: [facco2017] Eqs. (3)-(4)
    """
    points = torch.unique(train.reshape(len(train), -1), dim=0) if train.ndim and len(train) else train
    n = len(points)
    if n < 3:
        raise InputError(f"train: expected at least 3 distinct points, got {n}")
    distance, index = nearest(points, points, k=3, chunk=chunk)  # the first is the point itself
    ratio = (distance[:, 2].double() / distance[:, 1].double()).log().cpu().numpy()  # log r2/r1. [n]
    if not ratio.any():  # every point has two nearest neighbours at one distance: no finite dimension fits
        return Estimate(math.inf, 0.0, math.inf)
    row, column = np.repeat(np.arange(n), 2), index[:, 1:].reshape(-1).cpu().numpy()
    linked = coo_array((np.ones(2 * n), (row, column)), shape=(n, n)).tocsr()
    linked = ((linked + linked.T) > 0).astype(float)
    centred = ratio - ratio.mean()
    variance = centred @ centred + max(centred @ (linked @ centred), 0.0)  # of the sum of the ratios
    value = float((n - 1) / ratio.sum())
    half = _Z95 * value**2 * math.sqrt(variance) / n
    return Estimate(value, max(value - half, 0.0), value + half)


def null_fraction(dimension: Estimate, *, threshold: float = 1 / 3) -> Estimate:
    """Give the memorized fraction that fresh points would show: threshold ** D, the interval that of D.

    A closed form for data that are uniform at the scale of neighbours; held-out points are the better null.

    Raises:
        InputError: if the threshold is not between 0 and 1.

    Source: [facco2017] Eq. (3)
    """
    if not 0 < threshold < 1:
        raise InputError(f"threshold: expected a number between 0 and 1, got {threshold}")
    value, high, low = (threshold**d for d in (dimension.value, dimension.low, dimension.high))
    return Estimate(value, low, high, dimension.confidence)


def _two_groups(
    samples: Tensor, train: Tensor, group: Tensor, chunk: int | None
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """Distances to the nearest point and to the nearest of another group."""
    if group.shape != (len(train),) or group.is_floating_point() or group.is_complex():
        raise InputError(
            f"group: expected {len(train)} integers, one per training point, "
            f"got {group.dtype} of shape {tuple(group.shape)}"
        )
    sizes = torch.unique(group, return_counts=True)[1]
    if len(sizes) < 2:
        raise InputError(f"group: expected at least 2 groups (a ratio needs a second one), got {len(sizes)}")
    group = group.to(train.device)
    enough = min(int(sizes.max()) + 1, len(train))  # so many neighbours always hold a second group
    first = second = torch.zeros(0)
    rows, k = torch.arange(len(samples), device=train.device), min(4, enough)
    while len(rows):
        distance, index = nearest(samples[rows], train, k=k, chunk=chunk)
        if len(rows) == len(samples):
            first, second = distance[:, 0].clone(), torch.full_like(distance[:, 0], torch.inf)
        other = group[index] != group[index[:, :1]]
        second[rows] = distance.where(other, torch.inf).amin(1)
        rows, k = rows[~other.any(1)], min(4 * k, enough)
    return first, second
