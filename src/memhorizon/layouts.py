"""How pictures lie on the disk: any folder, and the published layouts of MNIST, CIFAR-10 and CelebA."""

import gzip
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from memhorizon.formats import PICTURE_SUFFIXES, decode
from memhorizon.results import InputError


@dataclass(frozen=True)
class Skipped:
    """A picture or a folder that was passed over.

    Attributes:
        name: the file or folder, or the position in the sequence; printable.
        reason: why it could not be used.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class PictureFiles:
    """Picture files, not yet opened.

    Attributes:
        root: the folder.
        names: the pictures within it, sorted.
        ignored: number of other files (no picture by their suffix, or hidden).
        skipped: what was passed over before any picture was opened, and why: folders that cannot be read,
            links that lead nowhere, named pipes.
        suffixes: how many of the ignored files have which suffix; "(hidden)" and "(none)" are two of them.
    """

    root: Path
    names: Sequence[str]
    ignored: int = 0
    skipped: tuple[Skipped, ...] = ()
    suffixes: Mapping[str, int] = field(default_factory=dict)

    def read(self, position: int) -> Float[Tensor, "c h w"]:
        """Decode one of them."""
        return decode(self.root / self.names[position])


def list_pictures(folder: Path) -> PictureFiles:
    """List the pictures in `folder` and below, sorted by name; linked folders are entered, each folder once.

    Raises:
        InputError: if there are none.
    """
    names, ignored, seen = [], 0, set()
    for place, folders, files in os.walk(folder, followlinks=True):
        if os.path.realpath(place) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(place))
        pictures = [f for f in files if not f.startswith(".") and Path(f).suffix.lower() in PICTURE_SUFFIXES]
        ignored += len(files) - len(pictures)
        names += [Path(place, f).relative_to(folder).as_posix() for f in pictures]
    if not names:
        raise InputError(f"{folder}: expected pictures in this folder, found none ({ignored} other files)")
    return PictureFiles(folder, tuple(sorted(names)), ignored)


def read_digits() -> tuple[Float[Tensor, "n 1 8 8"], Int[Tensor, " n"]]:
    """Read the 1,797 handwritten digits that come with the package, in [0, 1]; see data/README.md."""
    with (
        resources.as_file(resources.files("memhorizon") / "data" / "digits.npz") as path,
        np.load(path, allow_pickle=False) as file,
    ):
        images, labels = torch.from_numpy(file["images"]), torch.from_numpy(file["labels"])
    return images[:, None].float() / 16, labels.long()


def read_idx(path: Path, *, ndim: int) -> UInt8[Tensor, "..."]:
    """Read an IDX file of unsigned bytes, plain or gzip.

    Raises:
        InputError: if it is damaged or holds something else.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            head = file.read(4)
            if head != bytes([0, 0, 8, ndim]):
                expected = bytes([0, 0, 8, ndim]).hex()
                raise InputError(
                    f"{path}: expected an IDX file that starts with {expected}, got {head.hex() or 'nothing'}"
                )
            shape = np.frombuffer(file.read(4 * ndim).ljust(4 * ndim, b"\0"), ">u4").tolist()
            most = path.stat().st_size * (1100 if packed else 1)  # deflate packs at most 1,032 to 1
            data = file.read(min(math.prod(shape), most) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged or unreadable ({error})") from error
    if len(data) != math.prod(shape) or not data:
        got = f"{len(data):,}" if len(data) <= math.prod(shape) else "more"
        raise InputError(f"{path}: expected {math.prod(shape):,} bytes for shape {shape}, got {got}")
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(shape)


def read_mnist(folder: Path) -> tuple[UInt8[Tensor, "n 1 h w"], Int[Tensor, " n"] | None]:
    """Read the training file of MNIST or Fashion-MNIST, with its labels where they are there.

    Raises:
        InputError: if it is not there or damaged.
    """
    images_path, labels_path = (
        _first_file(folder, f"train-{what}-idx{ndim}-ubyte", f"train-{what}.idx{ndim}-ubyte")
        for what, ndim in (("images", 3), ("labels", 1))
    )
    if images_path is None:
        raise InputError(f"path: expected train-images-idx3-ubyte or .gz in {folder}, it is not there")
    images = read_idx(images_path, ndim=3)[:, None]
    if labels_path is None:
        return images, None
    labels = read_idx(labels_path, ndim=1).long()
    if len(labels) != len(images):
        raise InputError(f"{labels_path}: expected {len(images):,} labels, got {len(labels):,}")
    return images, labels


def _first_file(folder: Path, *names: str) -> Path | None:
    paths = [folder / name for stem in names for name in (stem, f"{stem}.gz")]
    return next((path for path in paths if path.is_file()), None)


def read_cifar10(folder: Path) -> tuple[UInt8[Tensor, "n 3 32 32"], Int[Tensor, " n"]]:
    """Read the five training files of CIFAR-10's binary version.

    Raises:
        InputError: if one is missing or damaged, or the version is the pickled one.
    """
    if (folder / "cifar-10-batches-bin").is_dir():
        folder = folder / "cifar-10-batches-bin"
    rows = []
    for path in (folder / f"data_batch_{i}.bin" for i in range(1, 6)):
        if not path.is_file():
            pickled = any((folder / sub / "data_batch_1").exists() for sub in ("", "cifar-10-batches-py"))
            hint = (
                "; the python version is pickled and never opened, take the binary version" if pickled else ""
            )
            raise InputError(f"path: expected {path.name} in {folder}, it is not there{hint}")
        data = np.fromfile(path, np.uint8)
        if data.size == 0 or data.size % 3073:
            raise InputError(f"{path}: expected rows of 3,073 bytes, got {data.size:,} bytes")
        rows.append(torch.from_numpy(data).reshape(-1, 3073))
    table = torch.cat(rows)
    if int(table[:, 0].max()) > 9:
        raise InputError(
            f"{folder}: expected labels 0 to 9, got {int(table[:, 0].max())}; not CIFAR-10, or damaged"
        )
    return table[:, 1:].reshape(-1, 3, 32, 32), table[:, 0].long()


def list_celeba(folder: Path) -> PictureFiles:
    """List CelebA's aligned pictures; only the training part where list_eval_partition.txt is there.

    Raises:
        InputError: if the pictures are not there, or the partition file is damaged.
    """
    places = [
        place
        for place in (folder / "img_align_celeba", folder / "Img" / "img_align_celeba")
        if place.is_dir()
    ]
    root = places[0] if places else folder
    if (root / "img_align_celeba").is_dir():  # some archives hold the folder twice
        root = root / "img_align_celeba"
    tables = [place / "list_eval_partition.txt" for place in (folder, folder / "Eval", root, root.parent)]
    table = next((path for path in tables if path.is_file()), None)
    return list_pictures(root) if table is None else PictureFiles(root, _training_part(table))


def _training_part(path: Path) -> tuple[str, ...]:
    names = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        fields = line.split()
        if len(fields) != 2 or fields[1] not in ("0", "1", "2") or Path(fields[0]).name != fields[0]:
            raise InputError(
                f"{path}: expected a file name and 0, 1 or 2 in line {number}, got {line[:80]!r}"
            )
        if fields[1] == "0":
            names.append(fields[0])
    if not names:
        raise InputError(f"{path}: expected names with 0, found no picture of the training part")
    return tuple(sorted(names))
