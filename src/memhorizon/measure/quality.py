"""Distances between two sets of items: Frechet and kernel, in any features.

A feature function takes a batch of items and returns one vector per item: `None` means the pixels,
`pca_features` a projection fitted on training data, and any network of yours will do. The number is only
comparable between sets of the same sizes in the same features; name the features with it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Shaped
from torch import Tensor, nn

from memhorizon.diffusion import eval_mode
from memhorizon.measure.means import Mean, jackknife_error
from memhorizon.results import InputError

Features = Callable[[Tensor], Tensor]
_GROUPS = 20  # of items, left out in turn for bias and standard error
_ITEMS_PER_FEATURE = 5  # with 6 the correction left 1 % of the bias, with 3 about 3 %, with 2 about 6 %
_TOO_FEW = f"no error: fewer than {2 * _GROUPS} items"
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
    """

    value: float
    corrected: Mean
    sizes: tuple[int, int]
    dim: int
    status: str


def frechet_distance(
    x: Shaped[Tensor, "..."],
    y: Shaped[Tensor, "..."],
    *,
    features: Features | None = None,
    batch_size: int = 500,
) -> Distance:
    """Compare means and covariances: |m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)).

    In Inception features this square of a distance is what is called FID. Finite sets make it too large, by
    an amount that falls as 1/n once n is well above the number of features; leaving out groups of both sets
    in turn measures that amount (it is subtracted in `corrected`) and the standard error.

    Args:
        x: one set, [n, *item].
        y: the other, [m, *item].
        features: what is compared; by default the items' entries.
        batch_size: items per call of `features`.

    Raises:
        InputError: if a set has fewer than 2 items, or values or features cannot be used.

    Source: [heusel2017] Eq. (6); [efron1981] Eq. (1.2)
    """
    a, b = _features_of(x, "x", features, batch_size), _features_of(y, "y", features, batch_size)
    _check_pair(a, b)
    value, least, sizes, dim = _frechet(a, b), min(len(a), len(b)), (len(a), len(b)), a.shape[1]
    if least < 2 * _GROUPS:
        return Distance(value, Mean(value, math.inf, least), sizes, dim, _TOO_FEW)
    without = [_frechet(_without(a, group), _without(b, group)) for group in range(_GROUPS)]
    left_out = torch.tensor(without, dtype=torch.float64)
    corrected = _GROUPS * value - (_GROUPS - 1) * float(left_out.mean())
    enough = least >= _ITEMS_PER_FEATURE * dim
    status = "fine" if enough else f"biased: fewer than {_ITEMS_PER_FEATURE} items per feature"
    return Distance(value, Mean(corrected, jackknife_error(left_out), least), sizes, dim, status)


def kernel_distance(
    x: Shaped[Tensor, "..."],
    y: Shaped[Tensor, "..."],
    *,
    features: Features | None = None,
    batch_size: int = 500,
) -> Distance:
    """Compare all moments up to the third: squared maximum mean discrepancy with the kernel (x.y/d + 1)^3.

    Without bias at any size, over all pairs of items (known as KID in Inception features); the standard
    error comes from leaving out groups of both sets in turn. Arguments and errors as for
    `frechet_distance`.

    Source: [binkowski2018] Sec. 4; [gretton2012] Eq. (3)
    """
    a, b = _features_of(x, "x", features, batch_size), _features_of(y, "y", features, batch_size)
    _check_pair(a, b)
    sums = [_within_sums(a), _within_sums(b), _group_sums(a, b)]
    sizes = [torch.tensor([len(z[group::_GROUPS]) for group in range(_GROUPS)]) for z in (a, b)]
    value = _discrepancy(sums, sizes, torch.ones(_GROUPS, dtype=torch.bool))
    error, status, least = math.inf, _TOO_FEW, min(len(a), len(b))
    if least >= 2 * _GROUPS:
        without = [_discrepancy(sums, sizes, kept) for kept in ~torch.eye(_GROUPS, dtype=torch.bool)]
        error, status = jackknife_error(torch.tensor(without, dtype=torch.float64)), "fine"
    return Distance(value, Mean(value, error, least), (len(a), len(b)), a.shape[1], status)


@dataclass(frozen=True)
class PCAFeatures:
    """Projection onto the leading principal directions of some data.

    Attributes:
        mean: of the data. [d]
        directions: orthonormal columns, leading first. [d, dim]
    """

    mean: Float64[Tensor, " d"]
    directions: Float64[Tensor, "d dim"]

    def __call__(self, items: Shaped[Tensor, "..."]) -> Float64[Tensor, "batch dim"]:
        """Project items, [batch, *item]."""
        return (items.flatten(1).double() - self.mean) @ self.directions


def pca_features(train: Shaped[Tensor, "..."], dim: int) -> PCAFeatures:
    """Fit a feature function to training data: their `dim` leading principal components.

    Raises:
        InputError: if `dim` is not within 1 to the smaller of items and entries per item.
    """
    data = _features_of(train, "train", None, len(train) if train.ndim else 1)
    if not 1 <= dim <= min(data.shape):
        raise InputError(f"dim: expected 1 to {min(data.shape)}, got {dim}")
    mean = data.mean(0)
    directions = torch.linalg.svd(_factor(data - mean), full_matrices=False)[2][:dim].T
    return PCAFeatures(mean, directions)


def _features_of(
    x: Shaped[Tensor, "..."], name: str, features: Features | None, batch_size: int
) -> Float64[Tensor, "n d"]:
    if x.ndim < 2 or len(x) == 0:
        raise InputError(f"{name}: expected items [n, *item], got shape {tuple(x.shape)}")
    if batch_size < 1:
        raise InputError(f"batch_size: expected at least 1, got {batch_size}")
    if features is None:
        rows = x.flatten(1).double()
    else:
        with eval_mode(features) if isinstance(features, nn.Module) else torch.no_grad():
            rows = torch.cat([features(part).double() for part in x.split(batch_size)])
    if rows.ndim != 2 or len(rows) != len(x):
        raise InputError(f"features: expected {len(x)} vectors for {name}, got shape {tuple(rows.shape)}")
    if not bool((rows.abs() < _LARGEST).all()):  # NaN is not, either
        raise InputError(f"{name}: expected finite features below {_LARGEST:g}, got others")
    return rows


def _check_pair(a: Tensor, b: Tensor) -> None:
    if min(len(a), len(b)) < 2:
        raise InputError(f"x, y: expected at least 2 items each, got {len(a)} and {len(b)}")
    if a.shape[1] != b.shape[1]:
        raise InputError(f"x, y: expected items of one size, got {a.shape[1]} and {b.shape[1]} features")


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
