"""Pictures from anywhere as one tensor: arrays, folders, files, sequences of pictures.

The rule for bad input: a picture that is read alone (a file, a member of a sequence) and cannot be decoded or
is one single colour is passed over and listed in `skipped`; what is wrong with an array (NaN, one single
colour, type, shape), mixed sizes, or nothing left to load is an `InputError`.
EXIF orientation is not applied; pickle is never opened. What is no regular file is never opened either, and
what may come out of a file is bounded (`memhorizon.files.bounds`).
"""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from memhorizon.checks import check_flag, check_whole
from memhorizon.errors import InputError
from memhorizon.files.arrays import load_array, split_key
from memhorizon.files.bounds import MOST_SIDE, check_unpacked, printable
from memhorizon.files.formats import (
    Unusable,
    as_tensor,
    bits_of,
    check_values,
    constant,
    decode,
    integer_bits,
    to_floats,
)
from memhorizon.files.layouts import PictureFiles, Skipped, list_pictures
from memhorizon.files.ranges import Ranges

LUMA = (0.299, 0.587, 0.114)  # weights of red, green, blue in ITU-R BT.601, as in Pillow's "L"
CHUNK = 1024  # pictures resized at once; bounds memory, changes no result


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Pictures, or other items of one shape, and where they came from.

    Attributes:
        images: integer pixels as 0 to 1, floats as they came. [n, *item]; pictures: [n, channels, height,
            width]
        names: file within the folder, or position in the array or sequence. [n]
        skipped: what was passed over, and why.
        ignored: number of other files in the folder (no picture by their suffix, or hidden).
        suffixes: how many of the ignored files have which suffix.
    """

    images: Float[Tensor, " n *item"]
    names: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    ignored: int = 0
    suffixes: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        item = _shape(self.images[0])
        low = float(self.images.min())
        high = float(self.images.max())
        passed = f"{len(self.skipped):,} skipped, {self.ignored:,} other files"
        return f"ImageSet({len(self):,} items of {item}, values {low:.4g} to {high:.4g}; {passed})"


def load_images(
    source: Any,
    *,
    size: int | None = None,
    grey: bool = False,
    channels: Literal["first", "last"] | None = None,
) -> ImageSet:
    """Load pictures: the one loader behind every command and function.

    Arrays are [n, dim], [n, height, width], [n, channels, height, width], or channels last where that is
    certain: 1, 3 or 4 in last place only, and pictures so read are clearly nearer to a square. What may be
    read in two ways, or is one picture, is refused. Transparent pictures are laid on white. Grey and coloured
    pictures may be mixed (grey ones get three equal channels), sizes only with `size`. Of colour with 16 bits
    the upper 8 are read.

    Integers of 8 and 16 bits become 0 to 1 by the range of their type, unless the file states another (a
    TIFF of 12 bits, a PGM with its largest value). A set of 0 and 1 alone is one of masks and stays so; one
    of grey 16-bit pictures that evidently holds 8, 10 or 12 bits is read by those; any other set whose
    integers leave most of their range unused is refused. Floats stay as they are, whatever their range; but a
    sequence of float pictures of which some lie within -1 to 1 and others reach 16 is refused.

    Args:
        source: a tensor, an array or an ImageSet; a folder, read through all its subfolders in the order of
            the names; a .npy, .npz or .safetensors file (its only array, or the one called images, samples or
            arr_0; any other as "FILE.npz::KEY"); or a sequence of pictures (paths, Pillow images, arrays,
            tensors).
        size: resize the short side to this (bicubic, antialiased, within each picture's own range of values),
            then crop the centre to size x size.
        grey: make grey after that, with the weights of ITU-R BT.601.
        channels: where the channels are in arrays of pictures, if that cannot be known from their shape.

    Raises:
        InputError: if there is nothing to load, or it cannot be made into one finite tensor.
    """
    if size is not None:
        check_whole("size", size, least=1, most=MOST_SIDE)
    check_flag("grey", grey)
    if channels not in (None, "first", "last"):
        raise InputError(f'channels: expected "first", "last" or None, got {channels!r}')
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if os.path.isdir(source):
            return _load_files(list_pictures(path), size, grey)
        where = printable("::".join(str(part) for part in split_key(path) if part is not None))
        return _load_array(as_tensor(load_array(path), where, channels=channels), where, size, grey)
    if isinstance(source, ImageSet):
        return replace(source, images=prepare(source.images, size=size, grey=grey))
    if isinstance(source, Tensor | np.ndarray):
        return _load_array(as_tensor(source, "images", channels=channels), "images", size, grey)
    if isinstance(source, Sequence) and not isinstance(source, bytes | bytearray | memoryview):
        return _load_sequence(source, size, grey, channels)
    raise InputError(
        "images: expected a tensor, an array, a folder, a .npy, .npz or .safetensors file or a list of "
        f"pictures, got {type(source).__name__}"
    )


def prepare(
    images: Float[Tensor, " n *before"], *, size: int | None = None, grey: bool = False
) -> Float[Tensor, " n *after"]:
    """Resize, centre-crop and make grey, in this order, which is that of the paper's code.

    Raises:
        InputError: if the items are no pictures, `grey` is asked of other than 1 or 3 channels, or what comes
            out is beyond MOST_BYTES.
    """
    if size is None and not grey:
        return images
    if images.ndim != 4:
        raise InputError(f"size, grey: expected pictures [n, c, h, w], got {tuple(images.shape)}")
    if grey and images.shape[1] not in (1, 3):
        raise InputError(f"grey: expected pictures with 1 or 3 channels, got {images.shape[1]}")
    sides = images.shape[-2:] if size is None else (size, size)
    check_unpacked(math.prod((*images.shape[:2], *sides, images.element_size())), "size")
    return torch.cat([_grey(_resize(part, size), grey) for part in images.split(CHUNK)])


def _resize(images: Tensor, size: int | None) -> Tensor:
    if size is None or len(images) == 0:
        return images
    height, width = images.shape[-2:]
    short = min(height, width)
    if short != size:
        low, high = images.amin((-2, -1), keepdim=True), images.amax((-2, -1), keepdim=True)
        resized = (_resize_centre if max(height, width) > 4 * short else _resize_all)(images, size)
        images = torch.minimum(torch.maximum(resized, low), high)  # bicubic weights overshoot at edges
    top, left = (round((side - size) / 2) for side in images.shape[-2:])
    return images[..., top : top + size, left : left + size]


def _resize_all(images: Tensor, size: int) -> Tensor:
    height, width = images.shape[-2:]
    short = min(height, width)
    shape = [height * size // short, width * size // short]
    return F.interpolate(images, shape, mode="bicubic", antialias=True)


def _resize_centre(images: Tensor, size: int) -> Tensor:
    """Do as `_resize_all` with the centre crop after it, without what the crop takes away: for strips."""
    height, width = images.shape[-2:]
    short = min(height, width)
    rows, of_rows = _bicubic(height, height * size // short, size)
    columns, of_columns = _bicubic(width, width * size // short, size)
    return of_rows.to(images) @ images[..., rows, columns] @ of_columns.to(images).T


def _bicubic(before: int, after: int, size: int) -> tuple[slice, Float[Tensor, "size taps"]]:
    """Weights of the `size` middle pixels of a side resized from `before` to `after`, and of which pixels."""
    scale = before / after
    wide = max(scale, 1.0)  # antialiasing: where pixels are lost, the kernel covers what it skips
    first = round((after - size) / 2)
    centre = (torch.arange(first, first + size, dtype=torch.float64) + 0.5) * scale
    start = max(0, int(centre[0] - 2 * wide) - 1)
    stop = min(before, int(centre[-1] + 2 * wide) + 2)
    x = (torch.arange(start, stop, dtype=torch.float64) + 0.5 - centre[:, None]).abs() / wide
    # Keys' kernel with a = -1/2: 3/2 x^3 - 5/2 x^2 + 1 below 1, -1/2 x^3 + 5/2 x^2 - 4 x + 2 below 2
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
    return slice(start, stop), weights / weights.sum(1, keepdim=True)


def _grey(images: Tensor, grey: bool) -> Tensor:
    if not grey or images.shape[1] == 1:
        return images
    weights = torch.tensor(LUMA, dtype=images.dtype, device=images.device)
    return (images * weights[:, None, None]).sum(1, keepdim=True)


def usable(
    read: Callable[[int], Tensor],
    names: Sequence[str],
    positions: Iterable[int],
    *,
    skipped: dict[str, str],
    size: int | None = None,
    grey: bool = False,
) -> Iterator[tuple[int, Tensor]]:
    """Yield each position with its prepared picture; the others go to `skipped`, name to reason."""
    for position in positions:
        try:
            picture = prepare(read(position)[None], size=size, grey=grey)
        except Unusable as error:
            skipped[printable(names[position])] = str(error)
            continue
        if constant(picture).any():
            skipped[printable(names[position])] = (
                f"constant picture, every pixel is {picture[0, :, 0, 0].tolist()}"
            )
            continue
        yield position, picture[0]


def stack(
    pictures: Iterable[tuple[int, Tensor]], names: Sequence[str], *, count: int
) -> tuple[Float[Tensor, " n *item"], list[int]]:
    """Fill one tensor, one picture at a time; returns fewer than `count` where they run out.

    Raises:
        InputError: if sizes are mixed or there is no picture at all.
    """
    out, positions = torch.empty(0), []
    for position, picture in pictures:
        if not positions:
            out = torch.empty(count, *picture.shape)
        elif out.shape[2:] == picture.shape[1:] and {out.shape[1], len(picture)} == {1, 3}:
            out, picture = _coloured(out), picture.expand(3, -1, -1)
        if out.shape[1:] != picture.shape:
            raise InputError(
                "size: expected pictures of one size, or a size to bring them to; "
                f"{printable(names[positions[0]])} is {_shape(out[0])}, "
                f"{printable(names[position])} is {_shape(picture)}"
            )
        out[len(positions)] = picture
        positions.append(position)
    return out[: len(positions)], positions


def _coloured(images: Tensor) -> Tensor:
    return images if images.shape[1] == 3 else images.repeat(1, 3, 1, 1)


def _load_files(files: PictureFiles, size: int | None, grey: bool) -> ImageSet:
    found = _load_each(files.read, files.names, size, grey, where=printable(files.root))
    skipped = (*files.skipped, *found.skipped)
    return replace(found, skipped=skipped, ignored=files.ignored, suffixes=files.suffixes)


def _load_sequence(
    items: Sequence[Any], size: int | None, grey: bool, channels: Literal["first", "last"] | None
) -> ImageSet:
    if len(items) == 0:
        raise InputError("images: expected at least one picture, got an empty sequence")
    # of pictures in memory before they are decoded, since Pillow forgets then what it read
    depths = {i: _bits(item) for i, item in enumerate(items) if isinstance(item, _IN_MEMORY)}
    beyond: list[int] = []
    unit: list[int] = []  # float pictures within -1 to 1
    bytelike: list[int] = []  # those that reach as far as bytes do

    def bits(position: int) -> int | None:
        return depths[position] if position in depths else bits_of(Path(items[position]))

    ranges = Ranges("images", len(items), lambda i: _member(items, i, channels), bits)

    def read(position: int) -> Tensor:
        picture = _member(items, position, channels)
        if depths.get(position, 0) is None:
            low, high = float(picture.min()), float(picture.max())
            if not 0 <= low <= high <= 1:
                beyond.append(position)
            if picture.ndim == 3 and low < high:
                unit.extend([position] * (max(-low, high) <= 1))
                bytelike.extend([position] * (high >= 16))
        return ranges.bring(position, picture)

    names = [str(x) if isinstance(x, str | os.PathLike) else str(i) for i, x in enumerate(items)]
    found = _load_each(read, names, size, grey, where="images")
    integers = [i for i in range(len(items)) if depths.get(i, 0) is not None]
    if beyond and integers:
        raise InputError(
            f"images: expected pictures in one range of values, number {integers[0]} is brought to 0 to 1, "
            f"number {beyond[0]} has floats beyond that"
        )
    if unit and bytelike:
        raise InputError(
            f"images: expected pictures in one range of values, number {unit[0]} has floats within -1 to 1, "
            f"number {bytelike[0]} reaches 16 or more; bring them to one range, or give them as one array if "
            "they are in one"
        )
    return found


_IN_MEMORY = (Tensor, np.ndarray, Image.Image)


def _bits(item: Tensor | np.ndarray | Image.Image) -> int | None:
    if not isinstance(item, Image.Image):
        return integer_bits(item)
    try:
        return bits_of(item)
    except Unusable:
        return 0


def _member(items: Sequence[Any], position: int, channels: Literal["first", "last"] | None) -> Tensor:
    item = items[position]
    if isinstance(item, str | os.PathLike | Image.Image):
        return decode(item if isinstance(item, Image.Image) else Path(item))
    if isinstance(item, Tensor | np.ndarray):
        return to_floats(item[None], f"images[{position}]", channels=channels)[0]
    raise InputError(
        f"images[{position}]: expected a path, Pillow image, array or tensor, got {type(item).__name__}"
    )


def _load_each(
    read: Callable[[int], Tensor], names: Sequence[str], size: int | None, grey: bool, *, where: str
) -> ImageSet:
    skipped: dict[str, str] = {}
    good = usable(read, names, range(len(names)), skipped=skipped, size=size, grey=grey)
    images, positions = stack(good, names, count=len(names))
    if not positions:
        name, reason = next(iter(skipped.items()))
        raise InputError(
            f"{where}: expected pictures, none of {len(names)} can be used; the first, {name}: {reason}"
        )
    check_values(images, where, torch.tensor(positions))
    rows = tuple(Skipped(name, reason) for name, reason in skipped.items())
    return ImageSet(images, tuple(names[i] for i in positions), rows)


def _load_array(items: Tensor, where: str, size: int | None, grey: bool) -> ImageSet:
    images = prepare(items, size=size, grey=grey)
    check_values(images, where)
    return ImageSet(images, tuple(str(i) for i in range(len(images))))


def _shape(item: Tensor) -> str:
    return " x ".join(str(side) for side in item.shape)
