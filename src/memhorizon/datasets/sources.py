"""Where items come from: one array, or files opened one by one; in an order that is random but for a seed.

Of the published arrays (digits, MNIST, Fashion-MNIST, CIFAR-10) the order is a permutation of the numbers
of the items. Of array files it is that of hashes of the values of the items, of folders that of hashes of the
bytes of the files, so that an item that is added, removed or renamed moves no other item from one set to the
other. A picture that is saved again, with equal pixels in other bytes, gets another place in the order.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from memhorizon.datasets.config import DataConfig
from memhorizon.errors import InputError
from memhorizon.files import mapped
from memhorizon.files.arrays import split_key
from memhorizon.files.bounds import printable, problem_with
from memhorizon.files.folders import PictureFiles, Skipped, list_pictures
from memhorizon.files.images import ImageSource, load_images, load_mapped
from memhorizon.files.layouts import list_celeba, read_cifar10, read_digits, read_mnist
from memhorizon.files.mapped import blocks, rows_of
from memhorizon.files.resizing import prepare
from memhorizon.files.stacking import stack, usable
from memhorizon.files.tensors import check_values, to_floats

BLOCK = 1 << 20  # bytes of a file read at a time
FASHION_MNIST = "/usr/share/datasets/fashion-mnist"  # where Debian's package dataset-fashion-mnist puts it


@dataclass(frozen=True, eq=False)
class Taken:
    """Some prepared items of a source.

    Attributes:
        items: after resizing and cropping. [n, *item]
        positions: of each in the source. [n]
        hashes: of each as it was read. [n]
    """

    items: Float[Tensor, " n *item"]
    positions: list[int]
    hashes: list[bytes]

    def __len__(self) -> int:
        return len(self.positions)

    @classmethod
    def none(cls) -> "Taken":
        """Nothing at all."""
        return cls(torch.empty(0), [], [])

    @classmethod
    def joined(cls, parts: Sequence["Taken"]) -> "Taken":
        """One after another."""
        filled = [part for part in parts if len(part)]
        if not filled:
            return cls.none()
        positions = [position for part in filled for position in part.positions]
        hashes = [digest for part in filled for digest in part.hashes]
        return cls(torch.cat([part.items for part in filled]), positions, hashes)

    def keep(self, which: Bool[Tensor, " n"]) -> "Taken":
        """Those that are marked."""
        kept = which.nonzero().flatten().tolist()
        positions = [self.positions[i] for i in kept]
        return Taken(self.items[which], positions, [self.hashes[i] for i in kept])


class Gathering:
    """Items that come in parts; on the disk where all of them may be larger than the memory."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._parts: list[Taken] = []
        self._on_disk: Tensor | None = None
        self._done = 0

    def add(self, part: Taken) -> None:
        """Take some more, in the end `count` of them."""
        if not len(part):
            return
        size = self.count * part.items[0].numel() * part.items.element_size()
        if size >= mapped.MAPPED_FROM:
            part = replace(part, items=self._spilled(part.items))
        self._parts.append(part)

    def _spilled(self, items: Tensor) -> Tensor:
        """The same items in the file of all."""
        if self._on_disk is None:
            self._on_disk = mapped.spilled((self.count, *items.shape[1:]))
        place = self._on_disk[self._done : self._done + len(items)]
        place.copy_(items)
        mapped.give_back(place)
        self._done += len(items)
        return place

    def taken(self) -> Taken:
        """All of them."""
        if self._on_disk is None:
            return Taken.joined(self._parts)
        positions = [position for part in self._parts for position in part.positions]
        hashes = [digest for part in self._parts for digest in part.hashes]
        return Taken(self._on_disk[: self._done], positions, hashes)


@dataclass(frozen=True)
class PassedOver:
    """What a source holds that is no item.

    Attributes:
        skipped: pictures that could not be used, and why.
        ignored: number of other files in the folder.
        suffixes: how many of them there are of each suffix.
    """

    skipped: tuple[Skipped, ...] = ()
    ignored: int = 0
    suffixes: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class Source(Protocol):
    """Items in a fixed order.

    Attributes:
        order: positions of all items.
        labels: class of each item by its position, where there are classes.
    """

    order: list[int]
    labels: Int[Tensor, " n"] | None

    def take(self, walk: Iterator[int], count: int) -> Taken:
        """Take the next `count` usable items of a walk over positions; fewer where it ends."""
        ...

    def distinct(self) -> int:
        """How many items differ from each other."""
        ...

    def passed_over(self) -> PassedOver:
        """What was met so far that is no item."""
        ...


class ArraySource:
    """Items of one array; what is wrong with one of them is an error."""

    def __init__(self, config: DataConfig, images: Tensor, labels: Tensor | None) -> None:
        self.config = config
        self.images = images
        self.labels = labels
        if config.name == "file":
            self.order = _order_of([hash_item(item, config.seed) for part in blocks(images) for item in part])
        else:
            self.order = order(len(images), config.seed).tolist()

    def take(self, walk: Iterator[int], count: int) -> Taken:
        """Take the next items."""
        positions = list(islice(walk, count))
        if not positions:
            return Taken.none()
        raw = to_floats(rows_of(self.images, torch.tensor(positions)), self.config.name, channels="first")
        items = prepare(raw, size=self.config.size, grey=self.config.grey)
        check_values(items, self.config.name, torch.tensor(positions))
        return Taken(items, positions, [hash_item(item) for item in raw])

    def distinct(self) -> int:
        """Count by the values."""
        return len({hash_item(item) for part in blocks(self.images) for item in part})

    def passed_over(self) -> PassedOver:
        """Nothing, in an array."""
        return PassedOver()


class FileSource:
    """Pictures in files, of which no more are decoded than are taken; the unusable ones are passed over.

    The number of channels is that of the whole folder, as the heads of the files have it, so that it does not
    depend on which of them are taken: 3 if one is coloured.
    """

    def __init__(self, config: DataConfig, files: PictureFiles) -> None:
        self.config = config
        self.files = files
        self.labels: Tensor | None = None
        self._skipped: dict[str, str] = {}
        self._hashes: dict[int, bytes] = {}
        self._contents = [_hash_file(files.root / name, config.seed) for name in files.names]
        self.order = _order_of(self._contents)
        self._coloured = not config.grey and any(map(files.coloured, self.order))
        self._first: list[tuple[int, Tensor]] = []  # a picture whose size all others must have

    def take(self, walk: Iterator[int], count: int) -> Taken:
        """Decode the next usable pictures."""
        known = len(self._first)
        pictures = chain(self._first, islice(self._usable(walk), count))
        items, positions = stack(pictures, self.files.names, count=count + known)
        items = items[known:]
        positions = positions[known:]
        if positions and not self._first:
            self._first.append((positions[0], items[0].clone()))
        return Taken(items, positions, [self._hashes.pop(position) for position in positions])

    def distinct(self) -> int:
        """Count by the bytes of the files."""
        return len(set(self._contents))

    def passed_over(self) -> PassedOver:
        """Pictures that could not be used so far, and the other files of the folder."""
        unusable = [Skipped(name, reason) for name, reason in self._skipped.items()]
        return PassedOver((*self.files.skipped, *unusable), self.files.ignored, self.files.suffixes)

    def _usable(self, walk: Iterator[int]) -> Iterator[tuple[int, Tensor]]:
        found = usable(
            self._read,
            self.files.names,
            walk,
            skipped=self._skipped,
            size=self.config.size,
            grey=self.config.grey,
        )
        for position, item in found:
            yield position, item.expand(3, -1, -1) if self._coloured else item

    def _read(self, position: int) -> Tensor:
        picture = self.files.read(position)
        self._hashes[position] = hash_item(picture)
        return picture


def source_of(config: DataConfig, items: ImageSource | None = None) -> Source:
    """Open the source of a configuration, or that of items which are given in its place.

    Raises:
        InputError: if it is missing or unusable, or given twice.
    """
    if items is not None:
        return _given(config, items)
    match config.name:
        case "digits":
            return ArraySource(config, *read_digits())
        case "mnist" | "fashion-mnist":
            return ArraySource(config, *read_mnist(_folder(config), config.name))
        case "cifar10":
            return ArraySource(config, *read_cifar10(_folder(config)))
        case "celeba":
            return FileSource(config, list_celeba(_folder(config)))
        case "folder":
            return FileSource(config, list_pictures(_folder(config)))
    path = _folder(config)
    if os.path.isdir(path):  # by either name, so that what is passed over is listed
        return FileSource(config, list_pictures(path))
    return ArraySource(config, load_mapped(path).images, None)


def _given(config: DataConfig, items: ImageSource) -> Source:
    if config.name != "file" or config.path is not None:
        got = f'name "{config.name}" and path {config.path!r}'
        raise InputError(f'items: expected a configuration with the name "file" and no path, got {got}')
    if isinstance(items, str | os.PathLike):
        return source_of(replace(config, path=os.fsdecode(items)))
    return ArraySource(config, load_images(items).images.cpu(), None)


def order(count: int, seed: int) -> Int[Tensor, " count"]:
    """The fixed random order of `count` items."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def hash_item(item: Float[Tensor, " *item"], seed: int = 0) -> bytes:
    """Hash the shape and the values of an item."""
    state = hashlib.blake2b(_words(seed, *item.shape), digest_size=16)
    state.update((item + 0.0).contiguous().numpy().data)  # -0.0 becomes 0.0, which equals it
    return state.digest()


def _hash_file(path: Path, seed: int) -> bytes:
    """Hash the bytes of a file; of one that cannot be read as if it were empty: decoding gives the reason."""
    state = hashlib.blake2b(_words(seed), digest_size=16)
    try:
        if path.is_file():  # a named pipe would be waited for
            with path.open("rb") as file:
                while block := file.read(BLOCK):
                    state.update(block)
    except OSError:
        return hashlib.blake2b(_words(seed), digest_size=16).digest()
    return state.digest()


def _words(*numbers: int) -> bytes:
    return repr(numbers).encode()


def _order_of(hashes: Sequence[bytes]) -> list[int]:
    return sorted(range(len(hashes)), key=lambda position: (hashes[position], position))


def _stated(config: DataConfig) -> tuple[str | None, str]:
    """The path of a configuration, or the usual one, and what to do if nothing is there."""
    if config.path is None and config.name == "fashion-mnist":
        hint = "; install Debian's dataset-fashion-mnist, or give the folder of its four IDX files"
        return FASHION_MNIST, hint
    return config.path, ""


def _place_of(name: str) -> str:
    """What the path of a data set leads to, in words."""
    places = {"folder": "a folder of images", "file": "a .npy, .npz or .safetensors file"}
    return places.get(name, f"the folder that holds {name}")


def _folder(config: DataConfig) -> Path:
    """The place that a configuration is read from."""
    path, hint = _stated(config)
    if path is None:
        raise InputError(f"path: expected {_place_of(config.name)}, got None")
    problem = problem_with(split_key(path)[0])
    if problem is not None:
        raise InputError(f"path: {problem}{hint}")
    if config.name != "file" and not os.path.isdir(path):
        raise InputError(f"path: expected a folder for {config.name}, got the file {printable(path)}")
    return Path(path)
