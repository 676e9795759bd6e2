"""One picture or one array as a float32 tensor, or a clear word why not.

Integers become 0 to 1 by the range of their type, unless the file states another range. Those of a whole
array that use a small part of it only (`leaves_range_unused`) would come out nearly black and are refused;
for pictures read one by one see `memhorizon.files.ranges`.
"""

import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.bounds import MOST_PIXELS, check_regular, printable

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # only these decoders ever see a file
_READ = "png jpg jpeg jpe jfif webp bmp gif tif tiff ppm pgm pbm pnm"
_NOT_READ = "jp2 avif heic heif jxl"  # pictures all the same, so they are listed as skipped and not ignored
PICTURE_SUFFIXES = frozenset(f".{name}" for name in f"{_READ} {_NOT_READ}".split())
GREY = ("1", "L", "LA", "La")  # Pillow's modes of grey pictures
UNDECODABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    Image.DecompressionBombError,
)  # what Pillow's decoders raise on damaged files


class Unusable(Exception):  # noqa: N818
    """One picture cannot be used; the message says why. Never leaves the package."""


def decode(source: Path | Image.Image) -> Float[Tensor, "c h w"]:
    """Decode one picture to 1 (grey) or 3 channels in [0, 1]; transparency is laid on white.

    Raises:
        Unusable: if it is missing, damaged, animated, too large, or of a kind without a known range.
    """
    with _opened(source) as picture:
        return _pixels(picture)


def bits_of(source: Path | Image.Image) -> int:
    """Bits of the integers that hold a picture's values; 0 where the file states the range of the values.

    Raises:
        Unusable: if it cannot be opened.
    """
    with _opened(source) as picture:
        if _states_range(picture):
            return 0
        packed = picture.format in ("PNG", "TIFF") and ";16" in str(getattr(picture, "tile", ""))
        return 16 if picture.mode.startswith("I") or packed else 8


def is_coloured(source: Path | Image.Image) -> bool:
    """Tell from the head of a file whether `decode` gives 3 channels; False for what cannot be read."""
    try:
        with _opened(source) as picture:
            return not (picture.mode in GREY or picture.mode == "F" or picture.mode.startswith("I"))
    except Unusable:
        return False


@contextmanager
def _opened(source: Path | Image.Image) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on metadata
            if isinstance(source, Image.Image):
                yield source
                return
            check_regular(source)
            with Image.open(source, formats=FORMATS) as picture:
                yield picture
    except UNDECODABLE as error:
        raise Unusable(f"cannot be decoded ({type(error).__name__}: {printable(error)[:200]})") from error


def _pixels(picture: Image.Image) -> Tensor:
    _check_size(picture)
    if picture.format != "MPO" and _has_more(
        picture
    ):  # MPO: a camera's JPEG with a preview behind the picture
        raise Unusable("animated or of several pages")
    _check_transparency(picture)
    picture.load()
    if picture.mode == "F":
        raise Unusable("floating point pixels without a known range; give it as an array")
    if picture.mode.startswith("I"):
        if _tag(picture, _PHOTOMETRIC, 1) == 0:  # Pillow turns 8 bits alone
            raise Unusable("integer pixels of more than 8 bits where 0 is white")
        high = _largest(picture)
        values = np.asarray(picture)
        if values.min() < 0 or values.max() > high:
            raise Unusable(f"expected integer pixels of 0 to {high}, got {values.min()} to {values.max()}")
        return torch.from_numpy(values.astype(np.float32))[None].div_(high)
    width, height = picture.size
    out = torch.empty(1 if picture.mode in GREY else 3, height, width)
    rows = max(1, _STRIP // max(1, width))
    for top in range(0, height, rows):  # what lies between the file and the floats is as large as a strip
        strip = _on_white(picture.crop((0, top, width, min(top + rows, height))))
        values = torch.from_numpy(np.atleast_3d(np.array(strip.convert("L" if len(out) == 1 else "RGB"))))
        out[:, top : top + rows] = values.permute(2, 0, 1)
    return out.div_(255)


_STRIP = 2**20  # pixels


def _on_white(picture: Image.Image) -> Image.Image:
    if "transparency" in picture.info or picture.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA"))
    return picture


def _has_more(picture: Image.Image) -> bool:
    """Tell whether there is a second frame or page, without a walk through all of them."""
    here = picture.tell()
    try:
        picture.seek(1)
    except EOFError:
        return False
    picture.seek(here)
    return True


def _check_transparency(picture: Image.Image) -> None:
    """Refuse a transparent colour of other than 8 bits: Pillow compares it with pixels brought to 8."""
    color = picture.info.get("transparency")
    if color is None or picture.mode == "P":
        return
    packed = picture.mode.startswith(("1", "I")) or ";" in str(getattr(picture, "tile", ""))
    if packed or (isinstance(color, int | tuple) and np.max(color) > 255):
        raise Unusable("a transparent colour in pixels of other than 8 bits; lay it on white and save it so")


def _check_size(picture: Image.Image) -> None:
    """Refuse what would take gigabytes, by the header alone."""
    sizes = [picture.size, (_tag(picture, _TILE_WIDTH, 0), _tag(picture, _TILE_LENGTH, 0))]
    width, height = max(sizes, key=math.prod)
    if width * height > MOST_PIXELS:
        raise Unusable(f"expected at most {MOST_PIXELS:,} pixels, got {width:,} x {height:,}")


def _largest(picture: Image.Image) -> int:
    """Largest value that a pixel of mode I can have."""
    if picture.format == "TIFF":
        depth = int(np.ravel(_tag(picture, _BITS_PER_SAMPLE, 1))[0])
        stated = int(np.ravel(_tag(picture, _MAX_SAMPLE_VALUE, 0)).max())
        if stated > 1 and (stated + 1).bit_count() == 1:  # else it is the largest pixel, and no range
            return stated
        if depth < 16:
            return 2**depth - 1
    return 65535


def _states_range(picture: Image.Image) -> bool:
    if picture.format == "TIFF" and picture.mode.startswith("I"):
        return _largest(picture) != 65535
    if picture.format != "PPM":
        return False
    arguments = [tile[3] for tile in getattr(picture, "tile", ())]
    return any(isinstance(a, tuple) and a[1] not in (255, 65535) for a in arguments)


def _tag(picture: Image.Image, tag: int, default: int) -> Any:
    """What a TIFF says; the default for any other."""
    return getattr(picture, "tag_v2", {}).get(tag, default)


# tags of TIFF
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_MAX_SAMPLE_VALUE = 281
_TILE_WIDTH = 322
_TILE_LENGTH = 323


def leaves_range_unused(top: float) -> bool:
    """Tell whether a whole set of integers with largest value `top`, as a share of their range, is suspect.

    It is where all lie in the lowest fifteenth (12 bits in 16 are 0.062, 4 in 8 are 0.059, masks of 0 and 1
    in 8 are 0.004), or where the largest is just that of 13, 14 or 15 bits in 16. Nothing but 0 is not.
    """
    return 0 < top * 15 <= 1 or any(abs(top * 65535 + 1 - 2**k) < 0.5 for k in (13, 14, 15))


def unused_message(top: float, bits: int, which: str) -> str:
    """What was expected of integers that leave their range unused, what came, and what to do."""
    high = 2**bits - 1
    largest = round(top * high)
    return (
        f"expected integers that use their range of 0 to {high:,}, the largest of {which} is {largest:,}; "
        f"if they are of {largest.bit_length()} bits, divide them by {2 ** largest.bit_length() - 1:,} "
        "and give floats of 0 to 1"
    )


def as_tensor(
    array: Any, where: str, *, channels: Literal["first", "last"] | None = None
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


def check_bytes(pixels: UInt8[Tensor, "..."], where: str) -> None:
    """Refuse bytes of a whole set that leave most of their range unused.

    Raises:
        InputError: if they do.
    """
    _check_range(int(pixels.max()) / 255, 8, where)


def _check_range(top: float, bits: int, where: str) -> None:
    if leaves_range_unused(top):
        raise InputError(f"{where}: {unused_message(top, bits, 'all')}")


def to_floats(
    array: Any, where: str, *, channels: Literal["first", "last"] | None = None
) -> Float[Tensor, " n *item"]:
    """Do as `as_tensor` does, but judge no range: for members of a set, which is judged as a whole.

    Raises:
        InputError: if its type or shape cannot be items, or its layout cannot be known.
    """
    if isinstance(array, np.ndarray):
        array = _from_numpy(array, where)
    if array.layout != torch.strided or array.is_meta:
        raise InputError(f"{where}: expected a dense tensor, got {array.layout} on {array.device}")
    if array.ndim < 2 or array.numel() == 0:
        raise InputError(f"{where}: expected at least one item, [n, *item], got shape {tuple(array.shape)}")
    if array.ndim > 4:
        raise InputError(f"{where}: expected [n, dim] or [n, c, h, w], got shape {tuple(array.shape)}")
    is_float = array.is_floating_point() and not str(array.dtype).endswith("_x2")  # two numbers in a byte
    if not is_float and array.dtype not in _RANGE:
        raise InputError(f"{where}: {_EXPECTED_TYPE}, got {str(array.dtype).removeprefix('torch.')}")
    array = _channels_first(array, where, channels)
    if array.dtype in _RANGE:
        return array.contiguous().float().div_(_RANGE[array.dtype])
    return array.detach().float().contiguous()


def _from_numpy(array: np.ndarray, where: str) -> Tensor:
    if isinstance(array, np.ma.MaskedArray):
        raise InputError(
            f"{where}: {_EXPECTED_TYPE}, got a masked array; fill it, or leave out what is masked"
        )
    if array.dtype.kind not in "fub" or array.dtype.itemsize > 8:
        raise InputError(f"{where}: {_EXPECTED_TYPE}, got {array.dtype}")
    return torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))


_RANGE = {torch.uint8: 255, torch.uint16: 65535, torch.bool: 1}
_EXPECTED_TYPE = "expected floats, uint8 (0 to 255) or uint16 (0 to 65535)"


def integer_bits(array: Tensor | np.ndarray) -> int | None:
    """Bits of an array's integers; 0 for booleans, whose range is known, None for floats."""
    name = array.dtype.name if isinstance(array, np.ndarray) else str(array.dtype).removeprefix("torch.")
    return {"uint8": 8, "uint16": 16, "bool": 0}.get(name)


def _channels_first(array: Tensor, where: str, channels: Literal["first", "last"] | None) -> Tensor:
    """Bring pictures to [n, c, h, w]; vectors stay as they are."""
    shape = tuple(array.shape)
    if array.ndim < 4:
        _check_no_single_picture(shape, where, are_integers=not array.is_floating_point())
        return array[:, None] if array.ndim == 3 else array
    channels = channels or _guessed(*shape[1:])
    if channels is None:
        raise InputError(
            f"{where}: expected pictures [n, channels, height, width], got shape {shape}, which may as well "
            'have its channels last; say which with channels="first" or "last" of load_images, or permute it'
        )
    return array.permute(0, 3, 1, 2) if channels == "last" else array


def _check_no_single_picture(shape: tuple[int, ...], where: str, *, are_integers: bool) -> None:
    n, *sides = shape
    if len(sides) == 1 and are_integers and min(shape) >= 8 and _strip(*shape) <= 2:
        raise InputError(
            f"{where}: expected a set, got one array of shape {shape}; if it is one picture, give it as "
            f"{[1, 1, *shape]}, if it holds {n} vectors, as floats"
        )
    if len(sides) == 2 and (n in (3, 4) or (sides[1] in (1, 3, 4) and sides[0] != sides[1])):
        raise InputError(
            f"{where}: expected a set of pictures, got shape {shape}, which may be one in colour; "
            f"give {[1, *shape]} if it is, and {[n, 1, *sides]} if it holds {n} grey pictures"
        )


def _guessed(first: int, middle: int, last: int) -> Literal["first", "last"] | None:
    """Where the channels are of pictures [n, first, middle, last]; None where that cannot be known.

    They are first, unless only the last place holds 1, 3 or 4 and pictures so read are clearly nearer to a
    square. Where the other reading gives squares and this one strips, nothing is certain.
    """
    if_first, if_last = _strip(middle, last), _strip(first, middle)
    is_square = first == middle != last and first > 1
    if first in (1, 3, 4):
        return None if is_square else "first"
    if last in (1, 3, 4):
        if 1.5 * if_last <= if_first:
            return "last"
        return "first" if 2 * if_first <= if_last else None
    return None if is_square or 2 * if_last <= if_first else "first"


def _strip(height: int, width: int) -> float:
    """Long side over short side."""
    return max(height, width) / min(height, width)


def check_values(
    images: Float[Tensor, " n *item"], where: str, index: Int[Tensor, " n"] | None = None
) -> None:
    """Refuse what no measure can work with; `index` numbers the items in the message.

    Raises:
        InputError: if an item holds NaN or infinity, or a picture is one single colour.
    """
    rows = images.flatten(1)
    finite = (rows.amin(1) + rows.amax(1)).isfinite()  # NaN passes through both
    for what, bad in (("hold NaN or infinity", ~finite), ("are one single colour", constant(images))):
        if bad.any():
            first = int(bad.nonzero()[0])
            first = first if index is None else int(index[first])
            raise InputError(
                f"{where}: {int(bad.sum()):,} of {len(images):,} items {what}, the first is number {first}; "
                "leave them out"
            )


def constant(images: Float[Tensor, " n *item"]) -> Bool[Tensor, " n"]:
    """Tell which pictures are one single colour; never so for vectors and single pixels."""
    if images.ndim != 4 or images.shape[-2:].numel() == 1:
        return torch.zeros(len(images), dtype=torch.bool, device=images.device)
    return (images.amin((-2, -1)) == images.amax((-2, -1))).all(1)
