"""Copies among samples: gap ratios, the memorized fraction, and the same rate among innocent points.

A sample counts as a copy when it is much nearer to one training point than to the next. The threshold is
calibrated to nothing by itself: give the fraction beside its null, the same fraction of held-out real
points (`memorized_fraction(gap_ratios(holdout, train))`), or, where there are none, `null_fraction` of the
estimated intrinsic dimension.
"""

import math
from typing import SupportsIndex

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Shaped
from scipy.sparse import coo_array
from torch import Tensor

from memhorizon.checks import check_number, check_whole
from memhorizon.errors import InputError
from memhorizon.measure.duplicates import direct_groups
from memhorizon.measure.items import Items, Numbers, as_items, as_numbers, as_pair
from memhorizon.measure.neighbors import nearest_of
from memhorizon.results import NORMAL_95, Estimate, Fraction

_ROWS = 4096  # pairs of training points compared at a time
_FEW = 4  # neighbours looked at first for one of another group


def gap_ratios(
    samples: Items,
    train: Items,
    *,
    chunk: SupportsIndex | None = None,
    group: Numbers | None = None,
    same_units: bool = False,
) -> Float[Tensor, " m"]:
    """Give d1/d2 of every sample: its distance to the nearest over that to the second nearest training point.

    Near 0 the sample is a copy, near 1 it belongs to no training point in particular. A sample at distance
    0 has ratio 0: a copy is a copy. Training points that occur several times count as one, since a near copy
    of such an image would be as near to the one as to the other: equal ones by themselves, others where
    `group` names them.

    Args:
        samples: the points asked about, [m, *item]: tensor, array, path or ImageSet.
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
    _check_chunk(chunk)
    if len(b) < 2:
        raise InputError(f"train: expected at least 2 points (a ratio needs a second one), got {len(b)}")
    first, second = _two_distances(a, b, group, chunk)
    return torch.where(first == 0, 0.0, first / second)


def _check_chunk(chunk: object) -> None:
    if chunk is not None:
        check_whole("chunk", chunk, least=1)


def _two_distances(
    samples: Shaped[Tensor, "m ..."],
    train: Shaped[Tensor, "n ..."],
    group: Numbers | None,
    chunk: SupportsIndex | None,
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """Distances to the nearest and to the second nearest, of points or of groups."""
    if group is None:
        return _two_points(samples, train, chunk)
    return _two_groups(samples, train, checked_group(group, len(train)), chunk)


def memorized_fraction(ratios: Numbers, *, threshold: float = 1 / 3) -> Fraction:
    """Give the share of samples whose gap ratio is below the threshold, with its exact binomial interval.

    Args:
        ratios: of the samples, d1/d2 within 0..1: a tensor, an array, numbers or the path of a .npy file. [m]
        threshold: below which a ratio counts as that of a copy.

    Raises:
        InputError: if there is no ratio, one is not within 0..1, or the threshold is not between 0 and 1.

    Source: [yoon2023] Sec. 3; [bonnaire2025] Eq. (6)
    """
    check_number("threshold", threshold, above=0, below=1)
    numbers = _checked_ratios(ratios)
    return Fraction.of(int((numbers < threshold).sum()), len(numbers))


def _checked_ratios(ratios: Numbers) -> Shaped[Tensor, " m"]:
    numbers = as_numbers(ratios, "ratios")
    if numbers.ndim != 1 or len(numbers) == 0:
        shape = tuple(numbers.shape)
        raise InputError(f"ratios: expected a vector with at least one entry, got shape {shape}")
    _check_within_1(numbers)
    return numbers


def _check_within_1(numbers: Shaped[Tensor, " m"]) -> None:
    bad = ~((numbers >= 0) & (numbers <= 1))  # NaN is neither
    if bool(bad.any()):
        raise InputError(f"ratios: expected values within 0..1, got {numbers[bad][:5].tolist()}")


def intrinsic_dimension(train: Items, *, chunk: SupportsIndex | None = None) -> Estimate:
    """Estimate how many directions the data vary in, at the scale of nearest neighbours.

    Where the density is uniform over the two nearest neighbours, r2/r1 has a Pareto distribution with
    exponent D, whose maximum-likelihood estimate (without its bias) this is, over the distinct training
    points. Points share distances with their neighbours: the interval counts the covariance of every point
    with its two nearest.

    Args:
        train: the training points, [n, *item]: tensor, array, path or ImageSet.
        chunk: points handled at a time; never changes the result.

    Returns:
        The dimension with its normal 95 % interval; infinite where all points have their two nearest at one
        distance.

    Raises:
        InputError: if there are fewer than 3 distinct points, or values cannot be used.

    Source: [facco2017] Eqs. (3)-(4)
    """
    items = as_items(train, "train")
    _check_chunk(chunk)
    points = _distinct(items)
    distance, index = nearest_of(points, points, 3, chunk)  # the first is the point itself
    log_ratio = (distance[:, 2].double() / distance[:, 1].double()).log().cpu().numpy()
    if not log_ratio.any():  # two nearest neighbours at one distance everywhere: no finite dimension fits
        return Estimate(math.inf, 0.0, math.inf)
    return _dimension(log_ratio, index[:, 1:].cpu().numpy())


def _distinct(items: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "m d"]:
    """The points that differ, of which a dimension needs three."""
    points = torch.unique(items.flatten(1), dim=0)
    n = len(points)
    if n < 3:
        raise InputError(f"train: expected at least 3 distinct points, got {n}")
    return points


def _dimension(log_ratio: Float64[np.ndarray, " n"], neighbor: Int[np.ndarray, "n k"]) -> Estimate:
    """The exponent D of the Pareto distribution of r2/r1 with its interval."""
    n = len(log_ratio)
    # log r2/r1 is exponential with mean 1/D:  D = (n - 1) / sum log r2/r1
    value = float((n - 1) / log_ratio.sum())
    # D is n over the sum S but for 1/n, dD = -(D^2 / n) dS:  sd(D) = D^2 sd(S) / n
    spread = math.sqrt(_variance_of_sum(log_ratio, neighbor))
    half = NORMAL_95 * value**2 * spread / n
    return Estimate(value, max(value - half, 0.0), value + half)


def _variance_of_sum(x: Float64[np.ndarray, " n"], neighbor: Int[np.ndarray, "n k"]) -> float:
    """Estimate the variance of a sum of numbers that are correlated with those of their neighbours.

    With c_i = x_i - mean(x), over i and over all pairs of which one is a neighbour of the other, in both
    orders: sum_i c_i^2 + sum_(i ~ j) c_i c_j, the second sum where it is positive.
    """
    n, k = neighbor.shape
    row = np.repeat(np.arange(n), k)
    directed = coo_array((np.ones(n * k), (row, neighbor.reshape(-1))), shape=(n, n)).tocsr()
    linked = ((directed + directed.T) > 0).astype(float)
    centred = x - x.mean()
    return float(centred @ centred + max(centred @ (linked @ centred), 0.0))


def null_fraction(dimension: Estimate, *, threshold: float = 1 / 3) -> Estimate:
    """Give the memorized fraction that fresh points would show: threshold ** D, the interval that of D.

    A closed form for data that are uniform at the scale of neighbours; held-out points are the better null.

    Raises:
        InputError: if the threshold is not between 0 and 1.

    Source: [facco2017] Eq. (3)
    """
    check_number("threshold", threshold, above=0, below=1)
    value = threshold**dimension.value
    low = threshold**dimension.high  # many dimensions, few copies
    high = threshold**dimension.low
    return Estimate(value, low, high, dimension.confidence)


def _two_points(
    samples: Shaped[Tensor, "m ..."], train: Shaped[Tensor, "n ..."], chunk: SupportsIndex | None
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """Distances to the nearest point and to the nearest that is not equal to it.

    Equal training points are at one distance from a sample. So only where the two nearest are at one distance
    and equal does anything have to be looked for.
    """
    distance, index = nearest_of(samples, train, 2, chunk)
    first, second = distance.unbind(1)
    tied = (first == second).nonzero().flatten()
    rows = tied[_are_equal(train, index[tied])]
    if len(rows):
        second = second.clone()
        second[rows] = _two_groups(samples[rows], train, direct_groups(train, 0.0), chunk)[1]
    return first, second


def _are_equal(train: Shaped[Tensor, "n ..."], pair: Int[Tensor, "p 2"]) -> Shaped[Tensor, " p"]:
    """Tell which pairs of training points are equal in every value."""
    parts = [(train[one] == train[other]).flatten(1).all(1) for one, other in _halves(pair)]
    if not parts:
        return torch.zeros(0, dtype=torch.bool, device=pair.device)
    return torch.cat(parts).to(pair.device)


def _halves(pair: Int[Tensor, "p 2"]) -> list[tuple[Tensor, Tensor]]:
    return [(some[:, 0], some[:, 1]) for some in pair.split(_ROWS) if len(some)]


def checked_group(group: Numbers, n: int, name: str = "group") -> Int[Tensor, " n"]:
    """Return the group numbers of n points as a tensor; `name` is that of the argument.

    Raises:
        InputError: if they are no integers, one per point.
    """
    numbers = as_numbers(group, name)
    if not _are_labels(numbers, n):
        got = f"{numbers.dtype} of shape {tuple(numbers.shape)}"
        raise InputError(f"{name}: expected {n} integers, one per point, got {got}")
    return numbers


def _are_labels(numbers: Tensor, n: int) -> bool:
    are_whole = not numbers.is_floating_point() and numbers.dtype != torch.bool
    return are_whole and numbers.shape == (n,)


def _two_groups(
    samples: Shaped[Tensor, "m ..."],
    train: Shaped[Tensor, "n ..."],
    group: Int[Tensor, " n"],
    chunk: SupportsIndex | None,
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """Distances to the nearest point and to the nearest of another group.

    A few neighbours are enough for most samples; those whose neighbours are all of one group look at more.
    """
    enough = _enough_neighbors(group)
    k = min(_FEW, enough)
    first, second = _two_groups_among(samples, train, group, k, chunk)
    rows = second.isinf().nonzero().flatten()
    while len(rows):
        k = min(4 * k, enough)
        second[rows] = _two_groups_among(samples[rows], train, group, k, chunk)[1]
        rows = rows[second[rows].isinf()]
    return first, second


def _two_groups_among(
    samples: Shaped[Tensor, "m ..."],
    train: Shaped[Tensor, "n ..."],
    group: Int[Tensor, " n"],
    k: int,
    chunk: SupportsIndex | None,
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """The same among the k nearest; the second distance is infinite where all are of one group."""
    distance, index = nearest_of(samples, train, k, chunk)
    label = group.to(index.device)[index]
    is_other = label != label[:, :1]
    return distance[:, 0], distance.where(is_other, torch.inf).amin(1)


def _enough_neighbors(group: Int[Tensor, " n"]) -> int:
    """How many neighbours always hold a second group: one more than the largest group has."""
    sizes = torch.unique(group, return_counts=True)[1]
    if len(sizes) < 2:
        raise InputError(
            "train: expected at least 2 groups of duplicates (a ratio needs a second one), "
            f"got {len(group)} points in {len(sizes)}"
        )
    return min(int(sizes.max()) + 1, len(group))
