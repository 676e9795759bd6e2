"""One array as float32 items, or a clear word why not.

Integers become 0 to 1 by the range of their type. Those of a whole array that use a small part of it only
(`memhorizon.files.ranges`) would come out nearly black and are refused.
"""

from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.mapped import as_mapped, by_blocks
from memhorizon.files.pictures import constant
from memhorizon.files.ranges import leaves_range_unused, unused_message

Channels: TypeAlias = Literal["first", "last"] | None  # where they are; None: as the shape shows

_RANGE = {torch.uint8: 255, torch.uint16: 65535, torch.bool: 1}
_BITS = {"uint8": 8, "uint16": 16, "bool": 0}
_EXPECTED_TYPE = "expected floats, uint8 (0 to 255) or uint16 (0 to 65535)"


def as_tensor(
    array: Tensor | np.ndarray, where: str, *, channels: Channels = None
) -> Float[Tensor, " n *item"]:
    """Bring an array to float32 and pictures to [n, c, h, w]; float32 tensors are not copied.

    Integers are judged as one set: those of 0 and 1 alone are masks and stay so. For `channels` see
    `load_images`.

    Raises:
        InputError: if its type or shape cannot be items, or its range or layout cannot be known.
    """
    tensor = to_floats(array, where, channels=channels)
    bits = integer_bits(array)
    if not bits:
        return tensor
    full = 2**bits - 1
    top = float(tensor.max())
    if round(top * full) == 1:
        return tensor.mul_(full).round_()
    _check_range(top, bits, where)
    return tensor


def to_floats(
    array: Tensor | np.ndarray, where: str, *, channels: Channels = None
) -> Float[Tensor, " n *item"]:
    """Do as `as_tensor` does, but judge no range: for members of a set, which is judged as a whole.

    Raises:
        InputError: if its type or shape cannot be items, or its layout cannot be known.
    """
    tensor = _from_numpy(array, where) if isinstance(array, np.ndarray) else array
    _check_items(tensor, where)
    tensor = _channels_first(tensor, where, channels)
    if tensor.dtype in _RANGE:
        return tensor.contiguous().float().div_(_RANGE[tensor.dtype])
    return tensor.detach().float().contiguous()


def _check_items(tensor: Tensor, where: str) -> None:
    """Refuse what is no dense set of items of a known type."""
    if tensor.layout != torch.strided or tensor.is_meta:
        raise InputError(f"{where}: expected a dense tensor, got {tensor.layout} on {tensor.device}")
    shape = tuple(tensor.shape)
    if tensor.ndim < 2 or tensor.numel() == 0:
        raise InputError(f"{where}: expected at least one item, [n, *item], got shape {shape}")
    if tensor.ndim > 4:
        raise InputError(f"{where}: expected [n, dim] or [n, c, h, w], got shape {shape}")
    name = str(tensor.dtype).removeprefix("torch.")
    is_float = tensor.is_floating_point() and not name.endswith("_x2")  # two numbers in a byte
    if not is_float and tensor.dtype not in _RANGE:
        raise InputError(f"{where}: {_EXPECTED_TYPE}, got {name}")


def check_bytes(pixels: UInt8[Tensor, "..."], where: str) -> None:
    """Refuse bytes of a whole set that leave most of their range unused.

    Raises:
        InputError: if they do.
    """
    _check_range(int(pixels.max()) / 255, 8, where)


def _check_range(top: float, bits: int, where: str) -> None:
    if leaves_range_unused(top):
        raise InputError(f"{where}: {unused_message(top, bits, 'all')}")


def _from_numpy(array: np.ndarray, where: str) -> Tensor:
    if isinstance(array, np.ma.MaskedArray):
        raise InputError(
            f"{where}: {_EXPECTED_TYPE}, got a masked array; fill it, or leave out what is masked"
        )
    if array.dtype.kind not in "fub" or array.dtype.itemsize > 8:
        raise InputError(f"{where}: {_EXPECTED_TYPE}, got {array.dtype}")
    mapped = as_mapped(array)
    return (
        mapped
        if mapped is not None
        else torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))
    )


def integer_bits(array: Tensor | np.ndarray) -> int | None:
    """Bits of an array's integers; 0 for booleans, whose range is known, None for floats."""
    name = array.dtype.name if isinstance(array, np.ndarray) else str(array.dtype).removeprefix("torch.")
    return _BITS.get(name)


def _channels_first(array: Tensor, where: str, channels: Channels) -> Tensor:
    """Bring pictures to [n, c, h, w]; vectors stay as they are."""
    shape = tuple(array.shape)
    if array.ndim < 4:
        _check_no_single_picture(shape, where, are_integers=not array.is_floating_point())
        return array[:, None] if array.ndim == 3 else array
    channels = channels or _guessed(*shape[1:])
    if channels is None:
        raise InputError(
            f"{where}: expected pictures [n, channels, height, width], got shape {shape}, which may as well "
            'have its channels last; choose with channels="first" or "last" of load_images, or permute it'
        )
    return array.permute(0, 3, 1, 2) if channels == "last" else array


def _check_no_single_picture(shape: tuple[int, ...], where: str, *, are_integers: bool) -> None:
    """Refuse an array without a place for channels that may be one picture."""
    if len(shape) == 2 and are_integers:
        _check_vectors(*shape, where)
    if len(shape) == 3:
        _check_grey(*shape, where)


def _check_vectors(n: int, dim: int, where: str) -> None:
    if min(n, dim) >= 8 and _elongation(n, dim) <= 2:
        raise InputError(
            f"{where}: expected a set, got one array of shape {(n, dim)}; if it is one picture, give it as "
            f"{[1, 1, n, dim]}, if it holds {n} vectors, as floats"
        )


def _check_grey(n: int, height: int, width: int, where: str) -> None:
    has_colours_last = width in (1, 3, 4) and height != width
    if n in (3, 4) or has_colours_last:
        shape = (n, height, width)
        raise InputError(
            f"{where}: expected a set of pictures, got shape {shape}, which may be one in colour; "
            f"give {[1, *shape]} if it is, and {[n, 1, height, width]} if it holds {n} grey pictures"
        )


def _guessed(first: int, middle: int, last: int) -> Channels:
    """Where the channels are of pictures [n, first, middle, last]; None where that cannot be known.

    They are first, unless only the last place holds 1, 3 or 4 and pictures so read are clearly nearer to a
    square. Where the other reading gives squares and this one strips, nothing is certain.
    """
    if_first = _elongation(middle, last)
    if_last = _elongation(first, middle)
    is_square_if_last = first == middle != last and first > 1
    if first in (1, 3, 4):
        return None if is_square_if_last else "first"
    if last in (1, 3, 4):
        if 1.5 * if_last <= if_first:
            return "last"
        return "first" if 2 * if_first <= if_last else None
    return None if is_square_if_last or 2 * if_last <= if_first else "first"


def _elongation(height: int, width: int) -> float:
    """Long side over short side."""
    return max(height, width) / min(height, width)


def check_values(
    images: Float[Tensor, " n *item"], where: str, index: Int[Tensor, " n"] | None = None
) -> None:
    """Refuse what no measure can work with; `index` numbers the items in the message.

    Raises:
        InputError: if an item holds NaN, infinity or what is too large for 32 bits, or is one single colour.
    """
    numbers = torch.arange(len(images)) if index is None else index
    _refuse(~finite(images), where, "hold NaN or infinity, or numbers too large for 32 bits", numbers)
    _refuse(constant(images), where, "are one single colour", numbers)


def finite(images: Float[Tensor, " n *item"]) -> Bool[Tensor, " n"]:
    """Tell which items hold neither NaN nor infinity."""
    return by_blocks(_finite, images)


def _finite(images: Float[Tensor, " n *item"]) -> Bool[Tensor, " n"]:
    rows = images.flatten(1)
    return (rows.amin(1) + rows.amax(1)).isfinite()  # NaN passes through both


def _refuse(bad: Bool[Tensor, " n"], where: str, what: str, numbers: Shaped[Tensor, " n"]) -> None:
    if bad.any():
        first = int(numbers[int(bad.nonzero()[0])])
        raise InputError(
            f"{where}: {int(bad.sum()):,} of {len(bad):,} items {what}, the first is number {first}; "
            "leave them out"
        )
