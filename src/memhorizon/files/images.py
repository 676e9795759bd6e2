"""Pictures from anywhere as one tensor: arrays, folders, files, sequences of pictures.

The rule for bad input: a picture that is read alone (a file, a member of a sequence) and cannot be decoded or
is one single colour is passed over and listed in `skipped`; what is wrong with an array (NaN, one single
colour, type, shape), mixed sizes, or nothing left to load is an `InputError`.
EXIF orientation is not applied; pickle is never opened. What is no regular file is never opened either, and
what may come out of a file is bounded (`memhorizon.files.bounds`).
"""

import os
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from memhorizon.checks import check_flag, check_whole
from memhorizon.errors import InputError
from memhorizon.files.arrays import load_array, split_key
from memhorizon.files.bounds import MOST_SIDE, printable
from memhorizon.files.folders import PictureFiles, Skipped, list_pictures
from memhorizon.files.pictures import constant
from memhorizon.files.resizing import prepare
from memhorizon.files.sequences import Members, Picture
from memhorizon.files.stacking import shape_of, stack, usable
from memhorizon.files.tensors import Channels, as_tensor, check_values, finite


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
        item = shape_of(self.images[0])
        low = float(self.images.min())
        high = float(self.images.max())
        passed = f"{len(self.skipped):,} skipped, {self.ignored:,} other files"
        return f"ImageSet({len(self):,} items of {item}, values {low:.4g} to {high:.4g}; {passed})"


if TYPE_CHECKING:
    ImageSource: TypeAlias = Tensor | np.ndarray | ImageSet | str | os.PathLike[str] | Sequence[Picture]
else:  # checked by `load_images`
    ImageSource = object


def load_images(
    source: ImageSource,
    *,
    size: int | None = None,
    grey: bool = False,
    channels: Channels = None,
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
        size: resize the short side to this (bicubic, antialiased, within each picture's range of values),
            then crop the centre to size x size.
        grey: make grey after that, with the weights of ITU-R BT.601.
        channels: where the channels are in arrays of pictures, if that cannot be known from their shape.

    Raises:
        InputError: if there is nothing to load, or it cannot be made into one finite tensor.
    """
    _check_options(size, grey, channels)
    return _checked(source, _load(source, size, grey, channels))


def load_mapped(source: ImageSource) -> ImageSet:
    """Do as `load_images` does, but leave the items of a large .npy file on the disk.

    For use within a function: they change with the file. Only 32-bit floats can be left there.

    Raises:
        InputError: as `load_images`.
    """
    return _checked(source, _load(source, None, False, None, mapped=True))


def _checked(source: ImageSource, found: "_Loaded") -> ImageSet:
    """What was loaded, if its values can be used."""
    if not isinstance(source, ImageSet):
        check_values(found.items.images, found.where, torch.tensor(found.positions))
    return found.items


def load_usable(source: ImageSource, *, size: int | None = None, grey: bool = False) -> ImageSet:
    """Do as `load_images` does, but pass over single items of an array as well, and list them in `skipped`.

    Those are items that hold NaN or infinity, and pictures of one single colour. As `load_mapped`, it leaves
    the items of a large .npy file on the disk.

    Raises:
        InputError: as `load_images`; where no item is left, naming the first reason.
    """
    _check_options(size, grey, None)
    found = _load(source, size, grey, None, mapped=True)
    reasons = _why_unusable(found.items.images)
    if not reasons:
        return found.items
    names = found.items.names
    rows = tuple(Skipped(printable(names[i]), reasons[i]) for i in sorted(reasons))
    if len(rows) == len(names):
        raise InputError(f"{found.where}: {_none_usable(names, {rows[0].name: rows[0].reason})}")
    return _without(found.items, rows, reasons)


def _why_unusable(images: Float[Tensor, " n *item"]) -> dict[int, str]:
    """The items that say nothing, by position, with the reason."""
    reasons = dict.fromkeys(_where(constant(images)), "constant picture, every pixel is the same")
    unusable = "holds NaN or infinity, or numbers too large for 32 bits"
    return reasons | dict.fromkeys(_where(~finite(images)), unusable)


def _without(items: ImageSet, rows: tuple[Skipped, ...], left_out: Container[int]) -> ImageSet:
    """The items but for those of some positions, which are listed as skipped."""
    kept = [i for i in range(len(items)) if i not in left_out]
    names = tuple(items.names[i] for i in kept)
    return replace(items, images=items.images[kept], names=names, skipped=(*items.skipped, *rows))


def _where(mask: Bool[Tensor, " n"]) -> list[int]:
    return mask.nonzero().flatten().tolist()


class _Loaded(NamedTuple):
    """Items that were read and not yet looked through.

    Attributes:
        items: all that could be read.
        where: what to call them.
        positions: of each among all that were given.
    """

    items: ImageSet
    where: str
    positions: Sequence[int]


def _load(
    source: ImageSource, size: int | None, grey: bool, channels: Channels, *, mapped: bool = False
) -> _Loaded:
    """Read items, whatever their values are."""
    if isinstance(source, ImageSet):
        prepared = replace(source, images=prepare(source.images, size=size, grey=grey))
        return _Loaded(prepared, "images", range(len(source)))
    if isinstance(source, str | os.PathLike):
        return _load_path(source, size, grey, channels, mapped)
    if isinstance(source, Tensor | np.ndarray):
        return _load_array(as_tensor(source, "images", channels=channels), "images", size, grey)
    if isinstance(source, Sequence) and not isinstance(source, bytes | bytearray | memoryview):
        return _load_sequence(source, size, grey, channels)
    raise InputError(
        "images: expected a tensor, an array, a folder, a .npy, .npz or .safetensors file or a list of "
        f"pictures, got {type(source).__name__}"
    )


def _check_options(size: object, grey: object, channels: object) -> None:
    if size is not None:
        check_whole("size", size, least=1, most=MOST_SIDE)
    check_flag("grey", grey)
    if channels not in (None, "first", "last"):
        raise InputError(f'channels: expected "first", "last" or None, got {channels!r}')


def _load_path(
    source: str | os.PathLike[str], size: int | None, grey: bool, channels: Channels, mapped: bool
) -> _Loaded:
    path = Path(source)
    if os.path.isdir(source):
        return _load_folder(list_pictures(path), size, grey)
    where = printable("::".join(str(part) for part in split_key(path) if part is not None))
    array = load_array(path, mapped=mapped)
    return _load_array(as_tensor(array, where, channels=channels), where, size, grey)


def _load_folder(files: PictureFiles, size: int | None, grey: bool) -> _Loaded:
    found = _load_each(files.read, files.names, size, grey, where=printable(files.root))
    skipped = (*files.skipped, *found.items.skipped)
    items = replace(found.items, skipped=skipped, ignored=files.ignored, suffixes=files.suffixes)
    return found._replace(items=items)


def _load_sequence(items: Sequence[object], size: int | None, grey: bool, channels: Channels) -> _Loaded:
    if len(items) == 0:
        raise InputError("images: expected at least one picture, got an empty sequence")
    members = Members(items, channels)
    found = _load_each(members.read, members.names, size, grey, where="images")
    members.check_one_range()
    return found


def _load_each(
    read: Callable[[int], Tensor], names: Sequence[str], size: int | None, grey: bool, *, where: str
) -> _Loaded:
    skipped: dict[str, str] = {}
    good = usable(read, names, range(len(names)), skipped=skipped, size=size, grey=grey)
    images, positions = stack(good, names, count=len(names))
    if not positions:
        raise InputError(f"{where}: {_none_usable(names, skipped)}")
    rows = [Skipped(name, reason) for name, reason in skipped.items()]
    return _Loaded(ImageSet(images, tuple(names[i] for i in positions), tuple(rows)), where, positions)


def _none_usable(names: Sequence[str], skipped: dict[str, str]) -> str:
    name, reason = next(iter(skipped.items()))
    return f"expected pictures, none of {len(names)} can be used; the first, {name}: {reason}"


def _load_array(items: Tensor, where: str, size: int | None, grey: bool) -> _Loaded:
    images = prepare(items, size=size, grey=grey)
    names = tuple(str(i) for i in range(len(images)))
    return _Loaded(ImageSet(images, names), where, range(len(images)))
