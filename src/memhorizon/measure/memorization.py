"""Copies among samples: gap ratios, the memorized fraction, and what the same rule says of innocent points.

A sample counts as a copy when it is much nearer to one training point than to the next. The threshold is
calibrated to nothing by itself: give the fraction beside its null, the same fraction of held-out real
points (`memorized_fraction(gap_ratios(holdout, train))`), or, where there are none, `null_fraction` of the
estimated intrinsic dimension.
"""

import math
from typing import Any, SupportsIndex

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from memhorizon.checks import check_number, check_whole
from memhorizon.errors import InputError
from memhorizon.measure.items import Items, as_items, as_numbers, as_pair
from memhorizon.measure.neighbors import nearest_of, pairs_within
from memhorizon.results import Estimate, Fraction

_ROWS = 4096  # pairs of training points compared at a time
_Z95 = 1.959963984540054  # of the standard normal law, two-sided 95 %


def gap_ratios(
    samples: Items,
    train: Items,
    *,
    chunk: SupportsIndex | None = None,
    group: Any = None,
    same_units: bool = False,
) -> Float[Tensor, " m"]:
    """Give d1/d2 of every sample: its distance to the nearest over that to the second nearest training point.

    Near 0 the sample is a copy, near 1 it belongs to no training point in particular. A sample at distance
    0 has ratio 0: a copy is a copy. Training points that occur several times count as one, since a near copy
    of such an image would be as near to the one as to the other: equal ones by themselves, others where
    `group` names them.

    Args:
        samples: the points asked about, [m, *item]: tensors or arrays of any real type, or an ImageSet.
        train: the training points, [n, *item]; at least two groups of duplicates.
        chunk: samples handled at a time; never changes the result.
        group: one integer per training point, equal for duplicates (see `duplicate_groups`); by default equal
            points form a group. [n] The second distance is that to the nearest point of another group than
            the nearest point's.
        same_units: vouch that both sets have one unit; their ranges are then not compared (see `nearest`).

    Raises:
        InputError: if there is no second group, or types, shapes, values or evidently the units cannot be
            used.

    Source: [yoon2023] Sec. 3; [bonnaire2025] Eq. (6)
    """
    a, b = as_pair(samples, train, ("samples", "train"), same_units=same_units)
    if chunk is not None:
        check_whole("chunk", chunk, least=1)
    if len(b) < 2:
        raise InputError(f"train: expected at least 2 points (a ratio needs a second one), got {len(b)}")
    if group is None:
        first, second = _two_points(a, b, chunk)
    else:
        first, second = _two_groups(a, b, _checked_group(group, len(b)), chunk)
    return torch.where(first == 0, 0.0, first / second)


def memorized_fraction(ratios: Any, *, threshold: float = 1 / 3) -> Fraction:
    """Give the share of samples whose gap ratio is below the threshold, with its exact binomial interval.

    Raises:
        InputError: if there is no ratio, one is not within 0..1, or the threshold is not between 0 and 1.

    Source: [yoon2023] Sec. 3; [bonnaire2025] Eq. (6)
    """
    check_number("threshold", threshold, above=0, below=1)
    ratios = as_numbers(ratios, "ratios")
    if ratios.ndim != 1 or len(ratios) == 0:
        raise InputError(
            f"ratios: expected a vector with at least one entry, got shape {tuple(ratios.shape)}"
        )
    bad = ~((ratios >= 0) & (ratios <= 1))  # NaN is neither
    if bool(bad.any()):
        raise InputError(f"ratios: expected values within 0..1, got {ratios[bad][:5].tolist()}")
    return Fraction.of(int((ratios < threshold).sum()), len(ratios))


def duplicate_groups(train: Items, *, distance: float = 0.0) -> Int[Tensor, " n"]:
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
    check_number("distance", distance, least=0)
    train = as_items(train, "train")
    points, label = torch.unique(train.reshape(len(train), -1), dim=0, return_inverse=True)
    if distance > 0:
        one, other = (side.cpu().numpy() for side in pairs_within(points, distance))
        graph = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(len(points),) * 2)
        label = torch.from_numpy(connected_components(graph, directed=False)[1])[label.cpu()]
    _, first, inverse = np.unique(label.cpu().numpy(), return_index=True, return_inverse=True)
    return torch.from_numpy(first.argsort().argsort()[inverse]).to(train.device)


def intrinsic_dimension(train: Items, *, chunk: SupportsIndex | None = None) -> Estimate:
    """Estimate how many directions the data vary in, at the scale of nearest neighbours.

    Where the density is uniform over the two nearest neighbours, r2/r1 has a Pareto law with exponent D,
    whose maximum-likelihood estimate (without its bias) this is, over the distinct training points. Points
    share distances with their neighbours: the interval counts the covariance of every point with its two
    nearest.

    Raises:
        InputError: if there are fewer than 3 distinct points, or values cannot be used.

    Source: [facco2017] Eqs. (3)-(4)
    """
    train = as_items(train, "train")
    points = torch.unique(train.reshape(len(train), -1), dim=0)
    n = len(points)
    if n < 3:
        raise InputError(f"train: expected at least 3 distinct points, got {n}")
    if chunk is not None:
        check_whole("chunk", chunk, least=1)
    distance, index = nearest_of(points, points, 3, chunk)  # the first is the point itself
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
    check_number("threshold", threshold, above=0, below=1)
    value, high, low = (threshold**d for d in (dimension.value, dimension.low, dimension.high))
    return Estimate(value, low, high, dimension.confidence)


def _two_points(
    samples: Tensor, train: Tensor, chunk: SupportsIndex | None
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """Distances to the nearest point and to the nearest that is not equal to it.

    Equal training points are at one distance from a sample. So only where the two nearest are at one distance
    and equal does anything have to be looked for.
    """
    distance, index = nearest_of(samples, train, 2, chunk)
    first, second = distance.unbind(1)
    tied = (first == second).nonzero().flatten()
    equal = [(train[index[rows, 0]] == train[index[rows, 1]]).flatten(1).all(1) for rows in tied.split(_ROWS)]
    rows = tied[torch.cat(equal).to(tied.device)] if equal else tied
    if len(rows):
        second = second.clone()
        second[rows] = _two_groups(samples[rows], train, duplicate_groups(train), chunk)[1]
    return first, second


def _checked_group(group: Any, n: int) -> Int[Tensor, " n"]:
    numbers = as_numbers(group, "group")
    if numbers.shape != (n,) or numbers.is_floating_point() or numbers.dtype == torch.bool:
        raise InputError(
            f"group: expected {n} integers, one per training point, "
            f"got {numbers.dtype} of shape {tuple(numbers.shape)}"
        )
    return numbers


def _two_groups(
    samples: Tensor, train: Tensor, group: Tensor, chunk: SupportsIndex | None
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """Distances to the nearest point and to the nearest of another group."""
    sizes = torch.unique(group, return_counts=True)[1]
    if len(sizes) < 2:
        raise InputError(
            "train: expected at least 2 groups of duplicates (a ratio needs a second one), "
            f"got {len(train)} points in {len(sizes)}"
        )
    enough = min(int(sizes.max()) + 1, len(train))  # so many neighbours always hold a second group
    k = min(4, enough)
    distance, index = nearest_of(samples, train, k, chunk)
    group = group.to(index.device)
    first = distance[:, 0].clone()
    second = torch.full_like(first, torch.inf)
    rows = torch.arange(len(samples), device=index.device)
    while True:
        other = group[index] != group[index[:, :1]]
        second[rows] = distance.where(other, torch.inf).amin(1)
        rows = rows[~other.any(1)]
        if not len(rows):
            return first, second
        k = min(4 * k, enough)
        distance, index = nearest_of(samples[rows], train, k, chunk)
