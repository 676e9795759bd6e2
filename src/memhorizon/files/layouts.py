"""How published sets of pictures lie on the disk: the digits of this package, MNIST, CIFAR-10 and CelebA."""

import codecs
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.bounds import check_regular, check_unpacked, printable
from memhorizon.files.folders import PictureFiles, list_pictures, most_common, suffix_of
from memhorizon.files.idx import read_idx
from memhorizon.files.tensors import check_bytes

# ---- digits


def read_digits() -> tuple[Float[Tensor, "n 1 8 8"], Int[Tensor, " n"]]:
    """Read the 1,797 handwritten digits that come with the package, in [0, 1]; see datasets/README.md."""
    place = resources.files("memhorizon") / "datasets" / "digits.npz"
    with resources.as_file(place) as path, np.load(path, allow_pickle=False) as file:
        images = torch.from_numpy(file["images"])
        labels = torch.from_numpy(file["labels"])
    return images[:, None].float() / 16, labels.long()


# ---- MNIST and its relatives

_FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}  # of torchvision
_RELATIVES = ("", "KMNIST", "QMNIST", "EMNIST")
_IDX_IMAGES = re.compile(r"(emnist-[a-z]+-|qmnist-|)train-images[-.]idx3-ubyte(\.gz)?", re.IGNORECASE)


class _Training(NamedTuple):
    """The training files of one set; `prefix` is that of their names, which only EMNIST and QMNIST have."""

    prefix: str
    images: Path
    labels: Path | None


def read_mnist(
    folder: Path, name: str = "mnist"
) -> tuple[UInt8[Tensor, "n 1 h w"], Int[Tensor, " n"] | None]:
    """Read the training file of MNIST or a relative (Fashion-, K-, QMNIST, a part of EMNIST), and its labels.

    `folder` holds the IDX files, or is the folder that torchvision was given: it has MNIST/raw below it, or
    FashionMNIST/raw for the name fashion-mnist. Where there is no MNIST, that of KMNIST/raw, QMNIST/raw,
    EMNIST/raw or EMNIST's gzip is taken, if there is only one of these. EMNIST's files
    (emnist-letters-train-images-idx3-ubyte) hold each picture with rows and columns exchanged; they are
    exchanged back.

    Raises:
        InputError: if it is not there, damaged or in an unknown range, or if several of KMNIST, QMNIST and
            the parts of EMNIST are.
    """
    files = _one_set(folder, _FOLDERS[name])
    images = read_idx(files.images, ndim=3)[:, None]
    check_bytes(images, printable(files.images))
    if files.prefix.startswith("emnist"):
        images = images.transpose(2, 3).contiguous()
    if files.labels is None:
        return images, None
    labels = _labels(files.labels, files.prefix)
    if len(labels) != len(images):
        raise InputError(f"{printable(files.labels)}: expected {len(images):,} labels, got {len(labels):,}")
    return images, labels


def _labels(path: Path, prefix: str) -> Int[Tensor, " n"]:
    if prefix == "qmnist-":  # behind the class: who wrote it
        return read_idx(path, ndim=2, dtype=">i4")[:, 0].long()
    return read_idx(path, ndim=1).long()


def _one_set(folder: Path, inside: str) -> _Training:
    """The files in a folder or below it, where archives and torchvision put them."""
    found = _first([folder, folder / "raw", folder / inside / "raw", folder / inside])
    if not found and inside == "MNIST":
        found = _of_relatives(folder)
    if not found:
        raise InputError(
            f"path: expected train-images-idx3-ubyte or .gz in {printable(folder)} or its {inside}/raw, "
            "it is not there"
        )
    if len(found) > 1:
        raise InputError(
            f"path: expected one set of IDX files in {printable(folder)}, got those of "
            f"{', '.join(sorted(name or 'mnist' for name in found))}; give a folder that holds one of them"
        )
    return next(iter(found.values()))


def _of_relatives(folder: Path) -> dict[str, _Training]:
    """The sets of KMNIST, QMNIST and EMNIST in the folder of torchvision, by the names of folder and part."""
    found = {}
    for other in _RELATIVES:
        places = [folder / other / inside for inside in ("raw", "", "gzip", "raw/gzip")]
        for prefix, files in _first(places).items():
            found[f"{other} {prefix}".strip()] = files
    return found


def _first(places: Sequence[Path]) -> dict[str, _Training]:
    """The sets of the first place that has any."""
    return next((files for place in places if (files := _training_files(place))), {})


def _training_files(folder: Path) -> dict[str, _Training]:
    """The sets in a folder, by the prefix of their names."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return {}
    found: dict[str, _Training] = {}
    for name in names:
        match = _IDX_IMAGES.fullmatch(name)
        images = _itself_or_inside(folder / name)
        if match is None or images is None:
            continue
        prefix = match[1].lower()
        if prefix not in found:
            found[prefix] = _Training(prefix, images, _labels_beside(folder, names, name, prefix))
    return found


def _name_of_labels(images: str, prefix: str) -> str:
    if prefix == "qmnist-":
        return "qmnist-train-labels-idx2-int"
    return images.lower().removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")


def _labels_beside(folder: Path, names: Sequence[str], images: str, prefix: str) -> Path | None:
    """The file of labels that goes with a file of pictures."""
    labels = _name_of_labels(images, prefix)
    there = [name for name in names if name.lower() in (labels, f"{labels}.gz")]
    return _itself_or_inside(folder / there[0]) if there else None


def _itself_or_inside(path: Path) -> Path | None:
    """The file at `path`; some archives hold it in a folder of the same name."""
    return next((p for p in (path, path / path.name) if os.path.isfile(p)), None)


# ---- CIFAR-10

_CIFAR_BYTES = 1 + 3 * 32 * 32  # a row: label, red, green, blue
_CIFAR_PARENTS = ("", "cifar10", "CIFAR10")
_CIFAR_FOLDERS = ("", "cifar-10-batches-bin", "cifar-10-binary", "cifar-10-binary/cifar-10-batches-bin")


def read_cifar10(folder: Path) -> tuple[UInt8[Tensor, "n 3 32 32"], Int[Tensor, " n"]]:
    """Read the five training files of CIFAR-10's binary version, in `folder` or where archives put them.

    Raises:
        InputError: if one is missing or damaged, or the version is the pickled one.
    """
    folder = _folder_of_batches(folder)
    table = torch.cat([_read_batch(folder, f"data_batch_{i}.bin") for i in range(1, 6)])
    largest = int(table[:, 0].max())
    if largest > 9:
        raise InputError(
            f"{printable(folder)}: expected labels 0 to 9, got {largest}; not CIFAR-10, or damaged"
        )
    return table[:, 1:].reshape(-1, 3, 32, 32), table[:, 0].long()


def _folder_of_batches(folder: Path) -> Path:
    """Where archives put them; the folder itself where they are nowhere."""
    places = [folder / parent / inside for parent in _CIFAR_PARENTS for inside in _CIFAR_FOLDERS]
    return next((place for place in places if os.path.lexists(place / "data_batch_1.bin")), folder)


def _read_batch(folder: Path, name: str) -> UInt8[Tensor, "n 3073"]:
    path = folder / name
    if not os.path.lexists(path):
        raise InputError(
            f"path: expected {name} in {printable(folder)}, it is not there{_cifar_hint(folder)}"
        )
    return _rows_of_batch(path)


def _rows_of_batch(path: Path) -> UInt8[Tensor, "n 3073"]:
    try:
        size = check_regular(path)
        check_unpacked(size, printable(path))
        if size == 0 or size % _CIFAR_BYTES:
            raise InputError(f"{printable(path)}: expected rows of 3,073 bytes, got {size:,} bytes")
        return torch.from_numpy(np.fromfile(path, np.uint8)).reshape(-1, _CIFAR_BYTES)
    except OSError as error:
        raise InputError(f"{printable(path)}: unreadable ({printable(error)})") from error


def _cifar_hint(folder: Path) -> str:
    if any(os.path.exists(folder / sub / "data_batch_1") for sub in ("", "cifar-10-batches-py")):
        return "; the python version is pickled and never opened, take the binary version"
    if any(os.path.exists(folder / f"cifar-10-{kind}.tar.gz") for kind in ("binary", "python")):
        return "; unpack cifar-10-binary.tar.gz there"
    return ""


# ---- CelebA

_MOST_OF_A_TABLE = 2**26  # bytes; CelebA's has 3 million
_HEADER = ["image_id", "partition"]
_QUOTED = re.compile(r"""(["'])(.*)\1""")


def list_celeba(folder: Path) -> PictureFiles:
    """List CelebA's aligned pictures; only the training part where a table of the parts is there.

    The table is list_eval_partition.txt, or Kaggle's list_eval_partition.csv. The pictures of the other parts
    count as ignored.

    Raises:
        InputError: if the pictures are not there, or the table is damaged.
    """
    root = _aligned(folder)
    table = _table_of_parts(folder, root)
    if table is None:
        return list_pictures(root)
    names = _training_part(table)
    listed = list_pictures(root)
    part = set(names)
    others = Counter(suffix_of(name) for name in listed.names if name not in part)
    skipped = [row for row in listed.skipped if row.name not in part]
    ignored = listed.ignored + others.total()
    return PictureFiles(root, names, ignored, tuple(skipped), most_common(Counter(listed.suffixes) + others))


def _aligned(folder: Path) -> Path:
    """The folder of the pictures, where archives put it; some hold it twice."""
    places = [folder / above / "img_align_celeba" for above in ("", "Img", "celeba")]
    root = next((place for place in places if os.path.isdir(place)), folder)
    inside = root / "img_align_celeba"
    return inside if os.path.isdir(inside) else root


def _table_of_parts(folder: Path, root: Path) -> Path | None:
    near = dict.fromkeys((folder, folder / "Eval", root, root.parent, root.parent.parent / "Eval"))
    tables = [place / f"list_eval_partition.{suffix}" for suffix in ("txt", "csv") for place in near]
    return next((path for path in tables if os.path.lexists(path)), None)


def _training_part(path: Path) -> tuple[str, ...]:
    """Names of the pictures that a table puts into part 0."""
    parts: dict[str, str] = {}
    for number, line, fields in _rows(path):
        name, part = fields if len(fields) == 2 else ("", "")
        if part not in ("0", "1", "2") or Path(name).name != name:
            raise InputError(
                f"{printable(path)}: expected a file name and 0, 1 or 2 in line {number}, got {line[:80]!r}"
            )
        if name in parts:
            raise InputError(f"{printable(path)}: expected each file once, line {number} has {name!r} again")
        parts[name] = part
    names = tuple(sorted(name for name, part in parts.items() if part == "0"))
    if not names:
        raise InputError(f"{printable(path)}: expected names with 0, found no picture of the training part")
    return names


def _rows(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Lines of a table that are not empty, and not its header: number, text, fields."""
    for number, line in enumerate(_read_table(path).splitlines(), 1):
        fields = _fields(line)
        if fields and not (number == 1 and _is_header(fields)):
            yield number, line, fields


def _is_header(fields: Sequence[str]) -> bool:
    return [field.lower() for field in fields] == _HEADER


def _fields(line: str) -> list[str]:
    """Fields of a line, with blanks or commas between them, in quotation marks or not."""
    return [_QUOTED.sub(r"\2", field) for field in line.replace(",", " ").split()]


def _read_table(path: Path) -> str:
    """Read a text file in UTF-8, with a byte order mark or without, or in UTF-16 with one."""
    try:
        size = check_regular(path)
        if size > _MOST_OF_A_TABLE:
            raise InputError(f"{printable(path)}: expected at most {_MOST_OF_A_TABLE:,} bytes, got {size:,}")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{printable(path)}: unreadable ({printable(error)})") from error
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_wide else "utf-8-sig", errors="replace")
