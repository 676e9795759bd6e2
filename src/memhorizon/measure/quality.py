"""Distances between two sets of items: Frechet and kernel, in any features.

The number is only comparable between sets of the same sizes in the same features
(`memhorizon.measure.features`); name the features with it.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float64
from torch import Tensor, nn

from memhorizon.checks import check_whole
from memhorizon.errors import InputError
from memhorizon.measure.features import Features, PCAFeatures, check_features, factor, features_of
from memhorizon.measure.items import Items, as_pair
from memhorizon.measure.means import Mean, jackknife_error
from memhorizon.measure.units import Values, check_units
from memhorizon.results import Status

_GROUPS = 20  # of items, left out in turn for bias and standard error
_ITEMS_PER_FEATURE = 5  # with 6 the correction left 1 % of the bias, with 3 about 3 %, with 2 about 6 %
_FEWEST = 2 * _GROUPS  # items of a set that leaving out groups is possible with
_TILE = 2048  # rows and columns of the kernel matrix held at a time


@dataclass(frozen=True)
class Distance:
    """A distance between two sets of items.

    Attributes:
        value: the usual number, for comparison with others; for `frechet_distance` biased upwards.
        corrected: with the bias of finite sets removed, where `status` is FINE, and its standard error.
            Near 0 it may be below 0.
        sizes: items in the two sets.
        dim: number of features.
        status: FINE, or why the number should not be trusted: NO_ERROR of sets too small for one, BIASED of
            sets too small for the correction, TOO_ALIKE as below.
        note: the numbers behind the status.

    The true distance is not below 0. An interval of `corrected` that lies wholly below it shows that the two
    sets are more alike than independent draws are, which the correction assumes: they hold equally many items
    of each class, or items in common. The estimate is then known to be off by its own size at least; this is
    given as its standard error, and `status` is TOO_ALIKE.
    """

    value: float
    corrected: Mean
    sizes: tuple[int, int]
    dim: int
    status: Status
    note: str = ""

    @property
    def limits(self) -> str:
        """What limits it, in words; empty where nothing does."""
        return "" if self.status is Status.FINE else f"{self.status}: {self.note}"


@dataclass(frozen=True)
class _Pair:
    """Both sets as vectors of features."""

    a: Float64[Tensor, "n d"]
    b: Float64[Tensor, "m d"]

    @property
    def sizes(self) -> tuple[int, int]:
        return len(self.a), len(self.b)

    @property
    def least(self) -> int:
        return min(self.sizes)

    @property
    def dim(self) -> int:
        return self.a.shape[1]

    @property
    def is_too_small(self) -> bool:
        """Whether leaving out groups gives no error."""
        return self.least < _FEWEST

    def without(self, group: int) -> "_Pair":
        """Leave out a group of both sets; item i is in group i % _GROUPS."""
        return _Pair(_without(self.a, group), _without(self.b, group))

    def unknown(self, value: float) -> Distance:
        """A distance without an error."""
        mean = Mean(value, math.inf, self.least)
        note = f"fewer than {_FEWEST} items"
        return Distance(value, mean, self.sizes, self.dim, Status.NO_ERROR, note)

    def answer(self, value: float, corrected: Mean) -> Distance:
        """A distance with its error."""
        if corrected.high >= 0:
            return Distance(value, corrected, self.sizes, self.dim, Status.FINE)
        return self._too_alike(value, corrected)

    def _too_alike(self, value: float, corrected: Mean) -> Distance:
        """One whose interval lies wholly below 0, where no distance is: its error is widened."""
        widened = Mean(corrected.value, abs(corrected.value), corrected.count)
        note = "below 0: the sets are more alike than independent draws"
        return Distance(value, widened, self.sizes, self.dim, Status.TOO_ALIKE, note)


def frechet_distance(
    x: Items,
    y: Items,
    *,
    features: Features = None,
    batch_size: int = 500,
    same_units: bool = False,
) -> Distance:
    """Compare means and covariances: |m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)).

    In Inception features this square of a distance is what is called FID. Finite sets make it too large, by
    an amount that falls as 1/n once n is well above the number of features; leaving out groups of both sets
    in turn measures that amount (it is subtracted in `corrected`) and the standard error. Both hold for
    independent draws: see `Distance` for sets that are not.

    Args:
        x: one set, [n, *item]: tensor or array of any real type, path or ImageSet.
        y: the other, [m, *item], on the same device. Integer pixels beside floats from 0 to 1 are brought to
            that range.
        features: what is compared, a function of a batch of items or a network, which gets floats in the type
            of its parameters; by default the items' entries.
        batch_size: items per call of `features`.
        same_units: vouch that both sets (and the data that `pca_features` was fitted to) have one unit;
            their ranges are then not compared, and nothing is brought to another range.

    Raises:
        InputError: if a set has fewer than 2 items, types, shapes, devices or evidently the units do not
            match, or values or features cannot be used.

    Source: [heusel2017] Eq. (6); [efron1981] Eq. (1.2)
    """
    pair = _pair_of(x, y, features, batch_size, same_units)
    value = _frechet(pair)
    if pair.is_too_small:
        return pair.unknown(value)
    without = [_frechet(pair.without(group)) for group in range(_GROUPS)]
    left_out = torch.tensor(without, dtype=torch.float64)
    # g D - (g - 1) mean of D without a group: what falls as 1/n drops out
    corrected = _GROUPS * value - (_GROUPS - 1) * float(left_out.mean())
    found = pair.answer(value, Mean(corrected, jackknife_error(left_out), pair.least))
    if pair.least >= _ITEMS_PER_FEATURE * pair.dim:
        return found
    note = f"fewer than {_ITEMS_PER_FEATURE} items per feature"
    return replace(found, status=Status.BIASED, note=note)


def frechet_value(a: Float64[Tensor, "n d"], b: Float64[Tensor, "m d"]) -> float:
    """Give the usual number alone, of two sets of vectors of features: a twentieth of the work.

    Source: [heusel2017] Eq. (6)
    """
    return _frechet(_Pair(a, b))


def kernel_distance(
    x: Items,
    y: Items,
    *,
    features: Features = None,
    batch_size: int = 500,
    same_units: bool = False,
) -> Distance:
    """Compare all moments up to the third: squared maximum mean discrepancy with the kernel (x.y/d + 1)^3.

    Without bias at any size, over all pairs of items (known as KID in Inception features); the standard
    error comes from leaving out groups of both sets in turn. Arguments and errors as for
    `frechet_distance`.

    Source: [binkowski2018] Sec. 4; [gretton2012] Eq. (3)
    """
    pair = _pair_of(x, y, features, batch_size, same_units)
    sums = _KernelSums.of(pair)
    value = sums.discrepancy(torch.ones(_GROUPS, dtype=torch.bool))
    if pair.is_too_small:
        return pair.unknown(value)
    without = [sums.discrepancy(kept) for kept in ~torch.eye(_GROUPS, dtype=torch.bool)]
    error = jackknife_error(torch.tensor(without, dtype=torch.float64))
    return pair.answer(value, Mean(value, error, pair.least))


def _pair_of(x: Items, y: Items, features: Features, batch_size: int, same_units: bool) -> _Pair:
    """Both sets in one unit, as vectors of features."""
    check_whole("batch_size", batch_size, least=1)
    function = check_features(features)
    a, b = as_pair(x, y, ("x", "y"), same_units=same_units, one_shape=False)
    if min(len(a), len(b)) < 2:
        raise InputError(f"x, y: expected at least 2 items each, got {len(a)} and {len(b)}")
    if not same_units:
        check_unit_of_features(function, a, "x")
    rows = features_of(a, "x", function, int(batch_size))
    other_rows = features_of(b, "y", function, int(batch_size))
    _check_one_size(rows.shape[1], other_rows.shape[1])
    return _Pair(rows, other_rows)


def _check_one_size(dim: int, other_dim: int) -> None:
    if dim != other_dim:
        raise InputError(f"x, y: expected items of one size, got {dim} and {other_dim} features")


def check_unit_of_features(function: object, a: Tensor, name: str) -> None:
    """Refuse items whose range shows that they have not the unit that `pca_features` was fitted in.

    Raises:
        InputError: naming both ranges.
    """
    if isinstance(function, PCAFeatures) and function.data is not None:
        check_units(Values.of(a, name), Values.of(function.data, "the data of pca_features"))


def _without(x: Float64[Tensor, "n d"], group: int) -> Float64[Tensor, "kept d"]:
    return x[torch.arange(len(x), device=x.device) % _GROUPS != group]


def _frechet(pair: _Pair) -> float:
    """Through factors F'F of the covariances: tr (S_a S_b)^(1/2) is the sum of singular values of F_a F_b'.

    Needs no root of a matrix, so singular covariances do no harm.
    """
    mean_a = pair.a.mean(0)
    mean_b = pair.b.mean(0)
    Fa = factor(pair.a - mean_a)  # [<= d, d]
    Fb = factor(pair.b - mean_b)  # [<= d, d]
    cross = torch.linalg.svdvals(Fa @ Fb.T).sum()
    # |m_a - m_b|^2 + tr S_a + tr S_b - 2 tr (S_a S_b)^(1/2)
    return float((mean_a - mean_b).square().sum() + Fa.square().sum() + Fb.square().sum() - 2 * cross)


@dataclass(frozen=True)
class _KernelSums:
    """Sums of the kernel over pairs of groups, within and between two sets, and the sizes of the groups."""

    xx: Float64[Tensor, "groups groups"]
    yy: Float64[Tensor, "groups groups"]
    xy: Float64[Tensor, "groups groups"]
    n: list[int]
    m: list[int]

    @classmethod
    def of(cls, pair: _Pair) -> "_KernelSums":
        return cls(
            _within_sums(pair.a),
            _within_sums(pair.b),
            _group_sums(pair.a, pair.b),
            _group_sizes(len(pair.a)),
            _group_sizes(len(pair.b)),
        )

    def discrepancy(self, kept: Bool[Tensor, " groups"]) -> float:
        """Mean over pairs within x, plus within y, minus twice that between them, over the kept groups."""
        xx, yy, xy = (float(sums[kept][:, kept].sum()) for sums in (self.xx, self.yy, self.xy))
        n, m = (int(torch.tensor(sizes)[kept].sum()) for sizes in (self.n, self.m))
        # sum k(x, x') / n(n - 1) + sum k(y, y') / m(m - 1) - 2 sum k(x, y) / nm
        return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)


def _group_sizes(count: int) -> list[int]:
    return [len(range(group, count, _GROUPS)) for group in range(_GROUPS)]


def _group_sums(a: Float64[Tensor, "n d"], b: Float64[Tensor, "m d"]) -> Float64[Tensor, "groups groups"]:
    """Sums of the kernel over pairs of groups; item i is in group i % _GROUPS."""
    out = a.new_zeros(_GROUPS, _GROUPS)
    for part, rows in zip(a.split(_TILE), _membership(a).split(_TILE), strict=True):
        for other, columns in zip(b.split(_TILE), _membership(b).split(_TILE), strict=True):
            out += rows.T @ _kernel(part @ other.T, a.shape[1]) @ columns
    return out.cpu()


def _membership(x: Float64[Tensor, "n d"]) -> Float64[Tensor, "n groups"]:
    return nn.functional.one_hot(torch.arange(len(x), device=x.device) % _GROUPS, _GROUPS).double()


def _within_sums(a: Float64[Tensor, "n d"]) -> Float64[Tensor, "groups groups"]:
    """The same within one set, where no item meets itself."""
    itself = _kernel(a.square().sum(1), a.shape[1]).cpu()
    of_groups = torch.stack([itself[group::_GROUPS].sum() for group in range(_GROUPS)])
    return _group_sums(a, a) - of_groups.diag()


def _kernel(product: Float64[Tensor, "*pairs"], dim: int) -> Float64[Tensor, "*pairs"]:
    """(x.y/d + 1)^3 from the products x.y."""
    return (product / dim + 1) ** 3
