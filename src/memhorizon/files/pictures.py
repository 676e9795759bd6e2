"""One picture as a float32 tensor, or a clear word why not.

Integers become 0 to 1 by the range of their type, unless the file states another range. How much of that
range a whole set uses is judged in `memhorizon.files.ranges`.
"""

import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Num
from PIL import Image
from torch import Tensor

from memhorizon.files.bounds import MOST_PIXELS, check_regular, printable
from memhorizon.files.mapped import by_blocks

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

_STRIP = 2**20  # pixels decoded at a time
_WITH_ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")  # Pillow's modes of pictures with transparency

# tags of TIFF
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_MAX_SAMPLE_VALUE = 281
_TILE_WIDTH = 322
_TILE_LENGTH = 323


class Unusable(Exception):  # noqa: N818
    """One picture cannot be used; the message gives the reason. Never leaves the package."""


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
        is_packed = picture.format in ("PNG", "TIFF") and ";16" in _packing(picture)
        return 16 if picture.mode.startswith("I") or is_packed else 8


def is_coloured(source: Path | Image.Image) -> bool:
    """Tell from the head of a file whether `decode` gives 3 channels; False for what cannot be read."""
    try:
        with _opened(source) as picture:
            return not (picture.mode in GREY or picture.mode == "F" or picture.mode.startswith("I"))
    except Unusable:
        return False


def constant(images: Float[Tensor, " n *item"]) -> Bool[Tensor, " n"]:
    """Tell which pictures are one single colour; never so for vectors and single pixels."""
    if images.ndim != 4 or images.shape[-2:].numel() == 1:
        return torch.zeros(len(images), dtype=torch.bool, device=images.device)
    return by_blocks(_constant, images)


def _constant(images: Float[Tensor, "n c h w"]) -> Bool[Tensor, " n"]:
    return (images.amin((-2, -1)) == images.amax((-2, -1))).all(1)


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


def _pixels(picture: Image.Image) -> Float[Tensor, "c h w"]:
    _check_size(picture)
    if picture.format != "MPO" and _has_more(picture):  # MPO: a camera's JPEG with a preview behind it
        raise Unusable("animated or of several pages")
    _check_transparency(picture)
    picture.load()
    if picture.mode == "F":
        raise Unusable("floating point pixels without a known range; give it as an array")
    if picture.mode.startswith("I"):
        return _wide_pixels(picture)
    return _byte_pixels(picture)


def _wide_pixels(picture: Image.Image) -> Float[Tensor, "1 h w"]:
    """Grey integers of more than 8 bits."""
    if _tag(picture, _PHOTOMETRIC, 1) == 0:  # Pillow turns 8 bits alone
        raise Unusable("integer pixels of more than 8 bits where 0 is white")
    high = _largest(picture)
    values = np.asarray(picture)
    if values.min() < 0 or values.max() > high:
        raise Unusable(f"expected integer pixels of 0 to {high}, got {values.min()} to {values.max()}")
    return torch.from_numpy(values.astype(np.float32))[None].div_(high)


def _byte_pixels(picture: Image.Image) -> Float[Tensor, "c h w"]:
    """Grey or coloured bytes; what lies between the file and the floats is as large as a strip."""
    mode = "L" if picture.mode in GREY else "RGB"
    width, height = picture.size
    out = torch.empty(len(mode), height, width)
    rows = max(1, _STRIP // max(1, width))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = _on_white(picture.crop((0, top, width, bottom))).convert(mode)
        values = torch.from_numpy(np.atleast_3d(np.array(strip)))
        out[:, top:bottom] = values.permute(2, 0, 1)
    return out.div_(255)


def _on_white(picture: Image.Image) -> Image.Image:
    if "transparency" in picture.info or picture.mode in _WITH_ALPHA:
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
    if _is_beyond_bytes(picture, color):
        raise Unusable("a transparent colour in pixels of other than 8 bits; lay it on white and save it so")


def _is_beyond_bytes(picture: Image.Image, color: object) -> bool:
    """Whether the pixels, or their transparent colour, are no bytes."""
    if picture.mode.startswith(("1", "I")) or ";" in _packing(picture):
        return True
    return isinstance(color, int | tuple) and bool(np.max(color) > 255)


def _check_size(picture: Image.Image) -> None:
    """Refuse what would take gigabytes, by the header alone."""
    tile = (_numbers(picture, _TILE_WIDTH, 0)[0], _numbers(picture, _TILE_LENGTH, 0)[0])
    width, height = max([picture.size, (int(tile[0]), int(tile[1]))], key=math.prod)
    if width * height > MOST_PIXELS:
        raise Unusable(f"expected at most {MOST_PIXELS:,} pixels, got {width:,} x {height:,}")


def _largest(picture: Image.Image) -> int:
    """Largest value that a pixel of mode I can have."""
    if picture.format != "TIFF":
        return 65535
    stated = int(_numbers(picture, _MAX_SAMPLE_VALUE, 0).max())
    if stated > 1 and (stated + 1).bit_count() == 1:  # else it is the largest pixel, and no range
        return stated
    depth = int(_numbers(picture, _BITS_PER_SAMPLE, 1)[0])
    return 2**depth - 1 if depth < 16 else 65535


def _states_range(picture: Image.Image) -> bool:
    if picture.format == "TIFF" and picture.mode.startswith("I"):
        return _largest(picture) != 65535
    return picture.format == "PPM" and _ppm_states_range(picture)


def _ppm_states_range(picture: Image.Image) -> bool:
    arguments = [tile[3] for tile in getattr(picture, "tile", ())]
    return any(isinstance(a, tuple) and a[1] not in (255, 65535) for a in arguments)


def _packing(picture: Image.Image) -> str:
    """How the file packs its pixels, in Pillow's words."""
    return str(getattr(picture, "tile", ""))


def _tag(picture: Image.Image, tag: int, default: int) -> object:
    """What a TIFF states; the default for any other."""
    return getattr(picture, "tag_v2", {}).get(tag, default)


def _numbers(picture: Image.Image, tag: int, default: int) -> Num[np.ndarray, " k"]:
    """The numbers of a tag, at least one."""
    numbers = np.ravel(np.asarray(_tag(picture, tag, default)))
    if numbers.dtype.kind not in "iuf" or not len(numbers):
        raise Unusable(f"cannot be decoded (tag {tag} of its TIFF holds no number)")
    return numbers
