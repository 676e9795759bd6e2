"""Features of items: their entries, their main directions, or what any function or network makes of them.

A feature function takes a batch of items and returns one vector per item: `None` means the entries,
`pca_features` a projection fitted on training data, and any network of yours will do.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import torch
from jaxtyping import Float64, Shaped
from torch import Tensor

from memhorizon.checks import check_whole
from memhorizon.devices import wide
from memhorizon.errors import InputError
from memhorizon.eval_mode import eval_mode, networks
from memhorizon.measure.items import Items, Numbers, as_items, as_numbers

Function: TypeAlias = Callable[[Tensor], Numbers]
if TYPE_CHECKING:
    Features: TypeAlias = Function | None
else:  # checked by `check_features`
    Features = object

_LARGEST = 1e45  # the sixth power of larger numbers may overflow


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

    def __repr__(self) -> str:
        entries, dim = self.directions.shape
        return f"PCAFeatures({dim} directions of {entries} entries)"


def pca_features(train: Items, dim: int) -> PCAFeatures:
    """Fit a feature function to training data: their `dim` leading principal components.

    Args:
        train: tensor, array, path or ImageSet, [n, *item].
        dim: number of components.

    Raises:
        InputError: if `train` is no array of items, or `dim` is not within 1 to the smaller of items and
            entries per item.
    """
    items = as_items(train, "train")
    data = features_of(items, "train", None, len(items))
    check_whole("dim", dim)
    if not 1 <= dim <= min(data.shape):
        raise InputError(f"dim: expected 1 to {min(data.shape)}, got {dim}")
    mean = data.mean(0)
    directions = torch.linalg.svd(factor(data - mean), full_matrices=False)[2][:dim].T
    return PCAFeatures(mean, directions, items)


def factor(centred: Float64[Tensor, "n d"]) -> Float64[Tensor, "r d"]:
    """Give F with F'F the covariance of centred rows, of at most d rows."""
    n, d = centred.shape
    root = torch.linalg.qr(centred, mode="r")[1] if n > d else centred
    return root / math.sqrt(n - 1)


def check_features(features: Features) -> Function | None:
    """Give a feature function back, if it can be one.

    Raises:
        InputError: if it is not None and cannot be called.
    """
    if features is not None and not callable(features):
        raise InputError(f"features: expected a function of a batch of items, got {type(features).__name__}")
    return features


def features_of(
    x: Shaped[Tensor, "n ..."], name: str, features: Function | None, batch_size: int
) -> Float64[Tensor, "n d"]:
    """Give one vector per item, in 64 bits; `batch_size` items per call.

    Raises:
        InputError: if the function fails, gives something else, or a value is not finite.
    """
    rows = wide(x.flatten(1)) if features is None else _called(features, x, name, batch_size)
    _check_range(rows, name)
    return rows


def _check_range(rows: Float64[Tensor, "n d"], name: str) -> None:
    if not bool((rows.abs() < _LARGEST).all()):  # NaN is not, either
        raise InputError(f"{name}: expected finite features below {_LARGEST:g}, got others")


def _called(
    features: Function, x: Shaped[Tensor, "n ..."], name: str, batch_size: int
) -> Float64[Tensor, "n d"]:
    dtype = _type_for(features, x)
    with eval_mode(features):
        parts = [_of_batch(features, part.to(dtype)) for part in x.split(batch_size)]
    _check_vectors(parts, len(x), name)
    return torch.cat([wide(part) for part in parts])


def _check_vectors(parts: Sequence[Tensor], count: int, name: str) -> None:
    if not _are_vectors(parts, count):
        shapes = [tuple(part.shape) for part in parts][:3]
        raise InputError(f"features: expected {count} vectors for {name}, got shapes {shapes}")


def _are_vectors(parts: Sequence[Tensor], count: int) -> bool:
    """Whether these are so many vectors in all."""
    return all(part.ndim == 2 for part in parts) and sum(map(len, parts)) == count


def _type_for(features: Function, x: Shaped[Tensor, "n ..."]) -> torch.dtype:
    """The type of a network's parameters for floats, so that 64-bit items fit a 32-bit network."""
    weights = [weight for net in networks(features) for weight in net.parameters()]
    floats = [weight.dtype for weight in weights if weight.is_floating_point()]
    return floats[0] if floats and x.is_floating_point() else x.dtype


def _of_batch(features: Function, part: Shaped[Tensor, "b ..."]) -> Shaped[Tensor, "..."]:
    try:
        found = features(part)
    except (RuntimeError, TypeError) as error:
        given = f"{part.dtype} of shape {tuple(part.shape)}"
        raise InputError(
            f"features: expected a function of items, which fails for {given}: {error}"
        ) from error
    return as_numbers(found, "features")
