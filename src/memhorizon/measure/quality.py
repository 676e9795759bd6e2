"""Distances between two sets of items: Frechet and kernel, in any features.

A feature function takes a batch of items and returns one vector per item: `None` means the pixels,
`pca_features` a projection fitted on training data, and any network of yours will do. The number is only
comparable between sets of the same sizes in the same features; name the features with it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from memhorizon.checks import check_whole
from memhorizon.devices import wide
from memhorizon.errors import InputError
from memhorizon.eval_mode import eval_mode, networks
from memhorizon.measure.items import Items, as_items, as_numbers, as_pair, check_units
from memhorizon.measure.means import Mean, jackknife_error

Features = Callable[[Tensor], Any]
_GROUPS = 20  # of items, left out in turn for bias and standard error
_ITEMS_PER_FEATURE = 5  # with 6 the correction left 1 % of the bias, with 3 about 3 %, with 2 about 6 %
_TOO_FEW = f"no error: fewer than {2 * _GROUPS} items"
_ALIKE = "below 0: the sets are more alike than independent draws (equal classes, or items in common)"
_LARGEST = 1e45  # the sixth power of larger numbers may overflow
_TILE = 2048  # rows and columns of the kernel matrix held at a time


@dataclass(frozen=True)
class Distance:
    """A distance between two sets of items.

    Attributes:
        value: the usual number, for comparison with others; for `frechet_distance` biased upwards.
        corrected: with the bias of finite sets removed as far as `status` says, and its standard error.
            Near 0 it may be below 0.
        sizes: items in the two sets.
        dim: number of features.
        status: "fine", or why the number should not be trusted.

    The true distance is not below 0. An interval of `corrected` that lies wholly below it says that the two
    sets are more alike than independent draws are, which the correction assumes: they hold equally many items
    of each class, or items in common. The estimate is then known to be off by its own size at least; this is
    given as its standard error, and `status` says so.
    """

    value: float
    corrected: Mean
    sizes: tuple[int, int]
    dim: int
    status: str


def frechet_distance(
    x: Items,
    y: Items,
    *,
    features: Any = None,
    batch_size: int = 500,
    same_units: bool = False,
) -> Distance:
    """Compare means and covariances: |m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)).

    In Inception features this square of a distance is what is called FID. Finite sets make it too large, by
    an amount that falls as 1/n once n is well above the number of features; leaving out groups of both sets
    in turn measures that amount (it is subtracted in `corrected`) and the standard error. Both hold for
    independent draws: see `Distance` for sets that are not.

    Args:
        x: one set, [n, *item]: a tensor or array of any real type, or an ImageSet.
        y: the other, [m, *item], on the same device. Integer pixels beside floats from 0 to 1 are brought to
            that range.
        features: what is compared, a function (`Features`) or network, which gets floats in the type of its
            own parameters; by default the items' entries.
        batch_size: items per call of `features`.
        same_units: vouch that both sets (and the data that `pca_features` was fitted to) have one unit;
            their ranges are then not compared, and nothing is brought to another range.

    Raises:
        InputError: if a set has fewer than 2 items, types, shapes, devices or evidently the units do not
            match, or values or features cannot be used.

    Source: [heusel2017] Eq. (6); [efron1981] Eq. (1.2)
    """
    a, b = _rows_of_pair(x, y, features, batch_size, same_units)
    value = _frechet(a, b)
    sizes = (len(a), len(b))
    dim = a.shape[1]
    least = min(sizes)
    if least < 2 * _GROUPS:
        return Distance(value, Mean(value, math.inf, least), sizes, dim, _TOO_FEW)
    without = [_frechet(_without(a, group), _without(b, group)) for group in range(_GROUPS)]
    left_out = torch.tensor(without, dtype=torch.float64)
    corrected = _GROUPS * value - (_GROUPS - 1) * float(left_out.mean())
    mean, status = _not_below_zero(Mean(corrected, jackknife_error(left_out), least))
    if least < _ITEMS_PER_FEATURE * dim:
        status = f"biased: fewer than {_ITEMS_PER_FEATURE} items per feature"
    return Distance(value, mean, sizes, dim, status)


def kernel_distance(
    x: Items,
    y: Items,
    *,
    features: Any = None,
    batch_size: int = 500,
    same_units: bool = False,
) -> Distance:
    """Compare all moments up to the third: squared maximum mean discrepancy with the kernel (x.y/d + 1)^3.

    Without bias at any size, over all pairs of items (known as KID in Inception features); the standard
    error comes from leaving out groups of both sets in turn. Arguments and errors as for
    `frechet_distance`.

    Source: [binkowski2018] Sec. 4; [gretton2012] Eq. (3)
    """
    a, b = _rows_of_pair(x, y, features, batch_size, same_units)
    sums = [_within_sums(a), _within_sums(b), _group_sums(a, b)]
    counts = [torch.tensor([len(z[group::_GROUPS]) for group in range(_GROUPS)]) for z in (a, b)]
    value = _discrepancy(sums, counts, torch.ones(_GROUPS, dtype=torch.bool))
    sizes = (len(a), len(b))
    dim = a.shape[1]
    least = min(sizes)
    if least < 2 * _GROUPS:
        return Distance(value, Mean(value, math.inf, least), sizes, dim, _TOO_FEW)
    without = [_discrepancy(sums, counts, kept) for kept in ~torch.eye(_GROUPS, dtype=torch.bool)]
    error = jackknife_error(torch.tensor(without, dtype=torch.float64))
    mean, status = _not_below_zero(Mean(value, error, least))
    return Distance(value, mean, sizes, dim, status)


def _not_below_zero(mean: Mean) -> tuple[Mean, str]:
    """Widen an interval that lies wholly below 0, where no distance is; and the status."""
    if mean.high >= 0:
        return mean, "fine"
    return Mean(mean.value, abs(mean.value), mean.count), _ALIKE


@dataclass(frozen=True)
class PCAFeatures:
    """Projection onto the leading principal directions of some data.

    Attributes:
        mean: of the data. [d]
        directions: orthonormal columns, leading first. [d, dim]
        data: what it was fitted to, whose unit the items have to have; None: not compared. [n, *item]
    """

    mean: Float64[Tensor, " d"]
    directions: Float64[Tensor, "d dim"]
    data: Tensor | None = field(default=None, repr=False, compare=False)

    def __call__(self, items: Items) -> Float64[Tensor, "batch dim"]:
        """Project items, [batch, *item].

        Raises:
            InputError: if they are no items of the size of the data.
        """
        rows = wide(as_items(items, "items").flatten(1)).to(self.mean.device)
        if rows.shape[1] != len(self.mean):
            raise InputError(f"items: expected {len(self.mean)} entries each, got {rows.shape[1]}")
        return (rows - self.mean) @ self.directions


def pca_features(train: Items, dim: int) -> PCAFeatures:
    """Fit a feature function to training data: their `dim` leading principal components.

    Raises:
        InputError: if `train` is no array of items, or `dim` is not within 1 to the smaller of items and
            entries per item.
    """
    items = as_items(train, "train")
    data = _features_of(items, "train", None, len(items))
    check_whole("dim", dim)
    if not 1 <= dim <= min(data.shape):
        raise InputError(f"dim: expected 1 to {min(data.shape)}, got {dim}")
    mean = data.mean(0)
    directions = torch.linalg.svd(_factor(data - mean), full_matrices=False)[2][:dim].T
    return PCAFeatures(mean, directions, items)


def _rows_of_pair(
    x: Items, y: Items, features: Any, batch_size: int, same_units: bool
) -> tuple[Float64[Tensor, "n d"], Float64[Tensor, "m d"]]:
    """Both sets in one unit, as vectors of features."""
    check_whole("batch_size", batch_size, least=1)
    if features is not None and not callable(features):
        raise InputError(f"features: expected a function of a batch of items, got {type(features).__name__}")
    a, b = as_pair(x, y, ("x", "y"), same_units=same_units, one_shape=False)
    if min(len(a), len(b)) < 2:
        raise InputError(f"x, y: expected at least 2 items each, got {len(a)} and {len(b)}")
    if isinstance(features, PCAFeatures) and features.data is not None and not same_units:
        check_units(a, features.data, ("x", "the data of pca_features"))
    rows = _features_of(a, "x", features, batch_size), _features_of(b, "y", features, batch_size)
    if rows[0].shape[1] != rows[1].shape[1]:
        dims = f"{rows[0].shape[1]} and {rows[1].shape[1]}"
        raise InputError(f"x, y: expected items of one size, got {dims} features")
    return rows


def _features_of(x: Tensor, name: str, features: Features | None, batch_size: int) -> Float64[Tensor, "n d"]:
    if features is None:
        rows = wide(x.flatten(1))
    else:
        dtype = _type_of(features, x)
        with eval_mode(features):
            parts = [_called(features, part.to(dtype)) for part in x.split(int(batch_size))]
        if any(part.ndim != 2 for part in parts) or sum(map(len, parts)) != len(x):
            shapes = [tuple(part.shape) for part in parts][:3]
            raise InputError(f"features: expected {len(x)} vectors for {name}, got shapes {shapes}")
        rows = torch.cat([wide(part) for part in parts])
    if not bool((rows.abs() < _LARGEST).all()):  # NaN is not, either
        raise InputError(f"{name}: expected finite features below {_LARGEST:g}, got others")
    return rows


def _type_of(features: Features, x: Tensor) -> torch.dtype:
    """The type of a network's parameters for floats, so that 64-bit items fit a 32-bit network."""
    weights = (weight for net in networks(features) for weight in net.parameters())
    floats = [weight.dtype for weight in weights if weight.is_floating_point()]
    return floats[0] if floats and x.is_floating_point() else x.dtype


def _called(features: Features, part: Tensor) -> Tensor:
    try:
        found = features(part)
    except (RuntimeError, TypeError) as error:
        given = f"{part.dtype} of shape {tuple(part.shape)}"
        raise InputError(
            f"features: expected a function of items, which fails for {given}: {error}"
        ) from error
    return as_numbers(found, "features")


def _without(x: Tensor, group: int) -> Tensor:
    return x[torch.arange(len(x), device=x.device) % _GROUPS != group]


def _frechet(a: Float64[Tensor, "n d"], b: Float64[Tensor, "m d"]) -> float:
    """Through factors F'F of the covariances: tr (S_a S_b)^(1/2) is the sum of singular values of F_a F_b'.

    Needs no root of a matrix, so singular covariances do no harm.
    """
    mean_a, mean_b = a.mean(0), b.mean(0)
    Fa, Fb = _factor(a - mean_a), _factor(b - mean_b)  # [<= d, d]
    cross = torch.linalg.svdvals(Fa @ Fb.T).sum()
    return float((mean_a - mean_b).square().sum() + Fa.square().sum() + Fb.square().sum() - 2 * cross)


def _factor(centred: Float64[Tensor, "n d"]) -> Float64[Tensor, "r d"]:
    n, d = centred.shape
    return (torch.linalg.qr(centred, mode="r")[1] if n > d else centred) / math.sqrt(n - 1)


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
    return _group_sums(a, a) - torch.stack([itself[group::_GROUPS].sum() for group in range(_GROUPS)]).diag()


def _kernel(product: Float[Tensor, "..."], dim: int) -> Float64[Tensor, "..."]:
    return (product / dim + 1) ** 3


def _discrepancy(sums: list[Tensor], sizes: list[Tensor], kept: Tensor) -> float:
    """Mean over pairs within x, plus within y, minus twice that between them, over the kept groups."""
    xx, yy, xy = (float(s[kept][:, kept].sum()) for s in sums)
    n, m = (int(size[kept].sum()) for size in sizes)
    return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)
