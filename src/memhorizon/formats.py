"""One picture, one array or one array file as a float32 tensor, or a clear word why not."""

import struct
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor

from memhorizon.results import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # only these decoders ever see a file
_READ = "png jpg jpeg jpe jfif webp bmp gif tif tiff ppm pgm pbm pnm"
_NOT_READ = "jp2 avif heic heif jxl"  # pictures all the same, so they are listed as skipped and not ignored
PICTURE_SUFFIXES = frozenset(f".{name}" for name in f"{_READ} {_NOT_READ}".split())
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
BROKEN = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    MemoryError,
    RuntimeError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    SafetensorError,
)  # what NumPy, zipfile and safetensors raise on damaged files


class Unusable(Exception):  # noqa: N818
    """One picture cannot be used; the message says why. Never leaves the package."""


def decode(source: Path | Image.Image) -> Float[Tensor, "c h w"]:
    """Decode one picture to 1 (grey) or 3 channels in [0, 1]; transparency is laid on white.

    Raises:
        Unusable: if it is missing, damaged, animated, or of a kind without a known range.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on metadata
            if isinstance(source, Image.Image):
                return _pixels(source)
            with Image.open(source, formats=FORMATS) as picture:
                return _pixels(picture)
    except UNDECODABLE as error:
        raise Unusable(f"cannot be decoded ({type(error).__name__}: {str(error)[:200]})") from error


def _pixels(picture: Image.Image) -> Tensor:
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":  # MPO: a camera's JPEG with a preview behind the picture
        raise Unusable(f"animated or of several pages, {frames} frames")
    picture.load()
    if picture.mode == "F":
        raise Unusable("floating point pixels without a known range; give it as an array")
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise Unusable("integer pixels beyond 16 bits")
        return torch.from_numpy(values)[None].float() / 65535
    is_grey = picture.mode in ("1", "L", "LA", "La")
    if "transparency" in picture.info or picture.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    values = np.array(picture.convert("L" if is_grey else "RGB"))
    return torch.from_numpy(np.atleast_3d(values)).permute(2, 0, 1).contiguous().float() / 255


def as_tensor(array: Any, where: str) -> Float[Tensor, " n *item"]:
    """Bring an array to float32 and pictures to [n, c, h, w]; float32 tensors are not copied.

    Raises:
        InputError: if its type or shape cannot be items.
    """
    if isinstance(array, np.ndarray):
        if array.dtype.kind not in "fub" or array.dtype.itemsize > 8:
            raise InputError(f"{where}: {_EXPECTED_TYPE}, got {array.dtype}")
        array = np.require(array, array.dtype.newbyteorder("="), ["C", "W"])
        array = torch.from_numpy(array)
    if array.ndim < 2 or array.numel() == 0:
        raise InputError(f"{where}: expected at least one item, [n, *item], got shape {tuple(array.shape)}")
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim == 4 and array.shape[-1] in (1, 3, 4) and array.shape[1] not in (1, 3, 4):
        array = array.permute(0, 3, 1, 2)
    if array.dtype in _RANGE:
        return array.contiguous().float().div_(_RANGE[array.dtype])
    if not array.is_floating_point():
        raise InputError(f"{where}: {_EXPECTED_TYPE}, got {str(array.dtype).removeprefix('torch.')}")
    return array.detach().float().contiguous()


_RANGE = {torch.uint8: 255, torch.uint16: 65535, torch.bool: 1}
_EXPECTED_TYPE = "expected floats, uint8 (0 to 255) or uint16 (0 to 65535)"


def load_array(path: Path) -> Any:
    """Read the array of a .npy, .npz or .safetensors file.

    Raises:
        InputError: if it is missing, damaged, pickled, of another kind, or holds several arrays.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.suffix not in (".npy", ".npz", ".safetensors"):
        hint = {".pt": _PICKLE, ".pth": _PICKLE, ".pkl": _PICKLE, ".pickle": _PICKLE}.get(path.suffix, "")
        if path.suffix.lower() in PICTURE_SUFFIXES:
            hint = "; for a single picture give a list with its path"
        raise InputError(f"{path}: expected a folder, a .npy, .npz or .safetensors file{hint}")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return file.get_tensor(_choose(list(file.keys()), path))
        with path.open("rb") as raw:
            file = np.load(raw, allow_pickle=False)
            if isinstance(file, np.ndarray):
                return file
            with file:
                return file[_choose(file.files, path)]
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(f"{path}: damaged, or no {path.suffix} file ({str(error)[:200]})") from error


_PICKLE = "; pickled files can run code and are never opened, save the tensor as .safetensors or .npy"


def _choose(keys: list[str], path: Path) -> str:
    known = [key for key in ("images", "samples", "arr_0") if key in keys] or keys
    if len(known) == 1 or known is not keys:
        return known[0]
    raise InputError(
        f"{path}: expected one array, or one called images, samples or arr_0, got {', '.join(keys) or 'none'}"
    )


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
