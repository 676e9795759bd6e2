"""Items as they are given: tensors, arrays, files and folders as one tensor [n, *item].

`as_items` is the one door of every measure. Values are never rescaled by guess: an array keeps its values,
what is read from a path has those of `load_images` (integer pixels as 0 to 1). Two sets are brought to one
unit only where it is certain, see `memhorizon.measure.units`.
"""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.arrays import load_array
from memhorizon.files.folders import Skipped
from memhorizon.files.images import ImageSet, load_mapped
from memhorizon.files.mapped import as_mapped, is_mapped
from memhorizon.measure.units import Values, in_one_unit

if TYPE_CHECKING:

    class SupportsArray(Protocol):
        """What NumPy makes an array of: arrays of any library, data frames."""

        def __array__(self) -> np.ndarray:
            """Give the array."""
            ...

    Numbers: TypeAlias = Tensor | SupportsArray | str | os.PathLike[str] | Sequence[object]
    Items: TypeAlias = Numbers | ImageSet
else:  # what comes is checked here, with errors that name the argument
    Numbers = object
    Items = object

_Loaded = TypeVar("_Loaded")

_WIDENED = {torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.float64}
_KEPT = {
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
}


def as_items(x: Items, name: str) -> Shaped[Tensor, "..."]:
    """Return items as a detached tensor on their device, of a type that arithmetic knows.

    Floats of 8 bits become 32-bit ones, 16- and 32-bit unsigned integers the next wider signed ones: no value
    changes. (Unsigned integers of 64 bits become 64-bit floats, exact below 2^53.)

    Args:
        x: [n, *item]: a tensor, an array, nested lists, a list of equal tensors or arrays, an ImageSet; or
            the path of a folder of pictures or of a .npy, .npz or .safetensors file ("FILE.npz::KEY" for
            one of several arrays), or a list of paths of pictures, which `load_images` reads: as 32-bit
            floats, integer pixels as 0 to 1.
        name: of the argument, for the errors.

    Raises:
        InputError: if it is no array of real numbers, [n, *item], has no item or no number in an item, or
            cannot be read from its path without passing anything over.
    """
    return _checked_items(_usable(_given(x, name), name), name)


def as_numbers(x: Numbers, name: str) -> Shaped[Tensor, "..."]:
    """Return an array of any shape as `as_items` does; of a file it has the values that lie there.

    Raises:
        InputError: if it is no array of real numbers.
    """
    return _usable(_array_given(x, name), name)


def as_pair(
    x: Items, y: Items, names: tuple[str, str], *, same_units: bool, one_shape: bool = True
) -> tuple[Tensor, Tensor]:
    """Return two sets of items on one device and, unless the caller vouches for it, in one unit.

    Raises:
        InputError: as `as_items`, if the devices or (where they have to be one) the shapes of the items
            differ, or if the ranges show that the units do.
    """
    given = _given(x, names[0])
    other_given = _given(y, names[1])
    a = as_items(given, names[0])
    b = as_items(other_given, names[1])
    _check_fit(a, b, names, one_shape=one_shape)
    if same_units:
        return a, b
    return in_one_unit(Values.of(a, names[0], given.dtype), Values.of(b, names[1], other_given.dtype))


def _check_fit(a: Tensor, b: Tensor, names: tuple[str, str], *, one_shape: bool) -> None:
    both = ", ".join(names)
    _check_devices(a, b, both)
    are_pictures = min(a.ndim, b.ndim) > 2  # vectors are of any layout
    if one_shape or are_pictures:
        _check_shapes(a, b, both)


def _check_devices(a: Tensor, b: Tensor, both: str) -> None:
    if a.device != b.device and not (is_mapped(a) or is_mapped(b)):
        raise InputError(f"{both}: expected one device, got {a.device} and {b.device}")


def _check_shapes(a: Tensor, b: Tensor, both: str) -> None:
    if a.shape[1:] != b.shape[1:]:
        shapes = f"{tuple(a.shape[1:])} and {tuple(b.shape[1:])}"
        raise InputError(f"{both}: expected items of one shape, got {shapes}")


def _checked_items(tensor: Tensor, name: str) -> Tensor:
    if tensor.ndim < 2 or tensor.numel() == 0:
        hint = "; items of one number each are x[:, None]" if tensor.ndim == 1 else ""
        wanted = "items [n, *item], at least one item and one number in each"
        raise InputError(f"{name}: expected {wanted}, got shape {tuple(tensor.shape)}{hint}")
    return tensor


def _given(x: Items, name: str) -> Tensor:
    """Items as a tensor of the type that they have."""
    if isinstance(x, ImageSet):
        return x.images.detach()
    if _is_path(x) or _holds_paths(x):
        return _read(x, name)
    return _array_given(x, name)


def _is_path(x: object) -> bool:
    return isinstance(x, str | os.PathLike)


def _holds_paths(x: object) -> bool:
    return isinstance(x, list | tuple) and any(map(_is_path, x))


def _read(source: object, name: str) -> Tensor:
    """Read a path, or paths; where something has to be passed over, the caller shall know."""
    found = _loaded(load_mapped, source, name)
    if found.skipped:
        raise InputError(f"{name}: {_passed_over(found.skipped)}")
    return found.images


def _passed_over(skipped: Sequence[Skipped]) -> str:
    """What to say of pictures that cannot be used."""
    first = skipped[0]
    return (
        f"expected pictures all of which can be used, {len(skipped):,} would be passed over, the first is "
        f"{first.name}: {first.reason}; give load_images(...) of them, which leaves these out and lists them"
    )


def _loaded(load: Callable[..., _Loaded], source: object, name: str) -> _Loaded:
    try:
        return load(source)
    except InputError as error:
        raise InputError(f"{name}: expected an array, or the path of one; {error}") from error


def _array_given(x: Numbers, name: str) -> Tensor:
    if isinstance(x, str | os.PathLike):
        x = _loaded(_load_array, x, name)
    tensor = x if isinstance(x, Tensor) else _stacked(_tensors_in(x), name)
    if tensor is None:
        tensor = _of_array(x, name)
    _check_dense(tensor, name)
    return tensor.detach()


def _load_array(source: str | os.PathLike[str]) -> np.ndarray | Tensor:
    return load_array(source, mapped=True)


def _check_dense(tensor: Tensor, name: str) -> None:
    if tensor.is_nested or tensor.layout != torch.strided or tensor.device.type == "meta":
        raise InputError(f"{name}: expected a dense tensor, got {tensor.layout} on {tensor.device}")


def _tensors_in(x: object) -> list[Tensor]:
    """The members of a list of tensors; none of anything else."""
    if not isinstance(x, list | tuple):
        return []
    tensors = [item for item in x if isinstance(item, Tensor)]
    return tensors if len(tensors) == len(x) else []


def _stacked(x: Sequence[Tensor], name: str) -> Tensor | None:
    if not x:
        return None
    shapes = {tuple(item.shape) for item in x}
    kinds = {(item.dtype, item.device) for item in x}
    if len(shapes) > 1 or len(kinds) > 1:
        raise InputError(f"{name}: expected tensors of one shape, type and device, got {sorted(shapes)[:5]}")
    return torch.stack(list(x))


def _of_array(x: object, name: str) -> Tensor:
    _check_unmasked(x, name)
    array = _numpy_of(x, name)
    _check_real(array, type(x).__name__, name)
    mapped = as_mapped(x)
    if mapped is not None:
        return mapped
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("=")))


def _check_unmasked(x: object, name: str) -> None:
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        masked = int(np.ma.getmaskarray(x).sum())
        raise InputError(f"{name}: expected no masked values, got {masked}")


def _check_real(array: np.ndarray, given: str, name: str) -> None:
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        kind = f"{given} of {array.dtype}"
        raise InputError(f"{name}: expected an array of real numbers, got {kind}")


def _numpy_of(x: object, name: str) -> np.ndarray:
    """Whatever NumPy makes of it."""
    try:
        return np.asarray(x)
    except Exception as error:  # noqa: BLE001 - numpy calls what the object defines, which raises anything
        raise InputError(f"{name}: expected an array of numbers, got {type(x).__name__} ({error})") from error


def _usable(tensor: Tensor, name: str) -> Tensor:
    """The same values in a type that arithmetic knows."""
    if tensor.dtype in _KEPT:
        return tensor
    if tensor.dtype in _WIDENED:
        return tensor.to(_WIDENED[tensor.dtype])
    if str(tensor.dtype).startswith("torch.float8"):
        return tensor.float()
    raise InputError(f"{name}: expected real numbers, got {tensor.dtype}")
