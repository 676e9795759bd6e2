"""How pictures lie on the disk: any folder, and the published layouts of MNIST, CIFAR-10 and CelebA."""

import codecs
import gzip
import math
import os
import re
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Integer, UInt8
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.bounds import check_regular, check_unpacked, kind_of, printable
from memhorizon.files.formats import PICTURE_SUFFIXES, bits_of, check_bytes, decode, is_coloured
from memhorizon.files.ranges import Ranges


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
        """Decode one of them.

        Raises:
            Unusable: if it cannot be.
            InputError: if the integers of the whole set are in an unknown range.
        """
        return self._ranges.bring(position, decode(self.root / self.names[position]))

    def coloured(self, position: int) -> bool:
        """Tell from the head of a file whether its picture has colours."""
        return is_coloured(self.root / self.names[position])

    @cached_property
    def _ranges(self) -> Ranges:
        paths = [self.root / name for name in self.names]
        return Ranges(
            printable(self.root), len(paths), lambda i: decode(paths[i]), lambda i: bits_of(paths[i])
        )


def list_pictures(folder: Path) -> PictureFiles:
    """List the pictures in `folder` and below, sorted by name.

    Linked folders are entered, each folder once, hidden ones never. A link to a picture that is listed
    already is no further picture.

    Raises:
        InputError: if there are none.
    """
    found: dict[str, str] = {}  # where it really lies, to its name
    suffixes: Counter[str] = Counter()
    skipped: list[Skipped] = []
    for file in sorted(_walk(folder, skipped), key=lambda file: (file.is_link, file.name)):
        kind = _suffix(file.name)
        if kind not in PICTURE_SUFFIXES:
            suffixes[kind] += 1
        elif file.real in found:
            skipped.append(Skipped(printable(file.name), f"a link to {printable(found[file.real])}"))
        else:
            found[file.real] = file.name
    ignored = suffixes.total()
    if not found:
        others = f"{ignored} other files" + "".join(f"; {row.name}: {row.reason}" for row in skipped[:1])
        raise InputError(f"{printable(folder)}: expected pictures in this folder, found none ({others})")
    return PictureFiles(
        folder,
        tuple(sorted(found.values())),
        ignored,
        tuple(sorted(skipped, key=lambda row: row.name)),
        _most_common(suffixes),
    )


def _suffix(name: str) -> str:
    stem = name.rpartition("/")[2]
    if stem.startswith("."):
        return "(hidden)"
    return printable(os.path.splitext(stem)[1].lower())[:20] or "(none)"


def _most_common(suffixes: Counter[str], most: int = 20) -> dict[str, int]:
    """Keep the commonest; a folder may hold as many suffixes as files."""
    kept = dict(suffixes.most_common(most))
    rest = suffixes.total() - sum(kept.values())
    return kept | ({"(others)": rest} if rest else {})


class _File(NamedTuple):
    name: str  # within the folder, with /
    real: str  # where it really lies
    is_link: bool


def _walk(folder: Path, skipped: list[Skipped]) -> Iterator[_File]:
    """Yield all files below `folder`, of linked folders last; what cannot be one goes to `skipped`."""
    seen = set()
    folders = deque([(os.fspath(folder), "")])
    links = deque()
    while folders or links:
        place, prefix = folders.popleft() if folders else links.popleft()
        real = os.path.realpath(place)
        if real in seen:
            skipped.append(Skipped(printable(prefix[:-1]), "a link to a folder that is read already"))
            continue
        seen.add(real)
        for entry in _entries(place, prefix, skipped):
            name = prefix + entry.name
            is_link = entry.is_symlink()
            kind = _kind(entry)
            if kind == "a folder" and entry.name.startswith("."):
                skipped.append(Skipped(printable(name), "a hidden folder"))
            elif kind == "a folder":
                (links if is_link else folders).append((entry.path, f"{name}/"))
            elif kind == "a regular file" or entry.name.startswith("."):
                target = os.path.realpath(entry.path) if is_link else os.path.join(real, entry.name)
                yield _File(name, target, is_link)
            else:
                skipped.append(Skipped(printable(name), kind))


def _entries(place: str, prefix: str, skipped: list[Skipped]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as listing:
            return sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        skipped.append(Skipped(printable(prefix[:-1] or place), f"folder cannot be read ({error.strerror})"))
        return []


def _kind(entry: os.DirEntry[str]) -> str:
    """What the entry, or what it links to, is, without opening it."""
    try:
        if entry.is_file():  # known from the listing, mostly
            return "a regular file"
        return kind_of(entry.stat().st_mode)
    except OSError as error:
        what = "a link that leads nowhere" if entry.is_symlink() else "cannot be looked at"
        return f"{what} ({error.strerror})"


def read_digits() -> tuple[Float[Tensor, "n 1 8 8"], Int[Tensor, " n"]]:
    """Read the 1,797 handwritten digits that come with the package, in [0, 1]; see data/README.md."""
    with (
        resources.as_file(resources.files("memhorizon") / "datasets" / "digits.npz") as path,
        np.load(path, allow_pickle=False) as file,
    ):
        images, labels = torch.from_numpy(file["images"]), torch.from_numpy(file["labels"])
    return images[:, None].float() / 16, labels.long()


def read_idx(path: Path, *, ndim: int, dtype: Literal["u1", ">i4"] = "u1") -> Integer[Tensor, "..."]:
    """Read an IDX file of unsigned bytes or of integers of 32 bits, plain or gzip.

    Raises:
        InputError: if it is damaged, holds something else, or more than the bounds of `files.bounds`.
    """
    where = printable(path)
    try:
        size = check_regular(path)
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            shape = _idx_shape(file.read(4 + 4 * ndim), where, ndim, dtype)
            expected = math.prod(shape) * int(dtype[-1])
            check_unpacked(expected if packed else size, where, packed=size)
            data = file.read(min(expected, expected if packed else size) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{where}: damaged or unreadable ({printable(error)})") from error
    if len(data) != expected or not data:
        got = f"{len(data):,}" if len(data) <= expected else "more"
        raise InputError(f"{where}: expected {expected:,} bytes for shape {shape}, got {got}")
    array = np.frombuffer(bytearray(data), dtype).reshape(shape)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _idx_shape(head: bytes, where: str, ndim: int, dtype: str) -> list[int]:
    magic = bytes([0, 0, 8 if dtype == "u1" else 12, ndim])
    if head[:4] != magic:
        got = head[:4].hex() or "nothing"
        raise InputError(f"{where}: expected an IDX file that starts with {magic.hex()}, got {got}")
    return np.frombuffer(head[4:].ljust(4 * ndim, b"\0"), ">u4").tolist()


def read_mnist(
    folder: Path, name: str = "mnist"
) -> tuple[UInt8[Tensor, "n 1 h w"], Int[Tensor, " n"] | None]:
    """Read the training file of MNIST or a relative (Fashion-, K-, QMNIST, a part of EMNIST), and its labels.

    `folder` holds the IDX files, or is the folder that torchvision was given: it has MNIST/raw below it, or
    FashionMNIST/raw for the name fashion-mnist. Where there is no MNIST, that of KMNIST/raw, QMNIST/raw,
    EMNIST/raw or EMNIST's own gzip is taken, if there is only one of these. EMNIST's files
    (emnist-letters-train-images-idx3-ubyte) hold each picture with rows and columns exchanged; they are
    exchanged back.

    Raises:
        InputError: if it is not there, damaged or in an unknown range, or if several of KMNIST, QMNIST and
            the parts of EMNIST are.
    """
    part, images_path, labels_path = _one_set(
        folder, {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}[name]
    )
    images = read_idx(images_path, ndim=3)[:, None]
    check_bytes(images, printable(images_path))
    if part.startswith("emnist"):
        images = images.transpose(2, 3).contiguous()
    if labels_path is None:
        return images, None
    if part == "qmnist-":
        labels = read_idx(labels_path, ndim=2, dtype=">i4")[:, 0].long()  # behind the class: who wrote it
    else:
        labels = read_idx(labels_path, ndim=1).long()
    if len(labels) != len(images):
        raise InputError(f"{printable(labels_path)}: expected {len(images):,} labels, got {len(labels):,}")
    return images, labels


def _one_set(folder: Path, own: str) -> tuple[str, Path, Path | None]:
    found = _first([folder, folder / "raw", folder / own / "raw", folder / own])
    if not found and own == "MNIST":
        for other in ("", "KMNIST", "QMNIST", "EMNIST"):
            inside = [folder / other / place for place in ("raw", "", "gzip", "raw/gzip")]
            found |= {f"{other} {part}".strip(): files for part, files in _first(inside).items()}
    if not found:
        raise InputError(
            f"path: expected train-images-idx3-ubyte or .gz in {printable(folder)} or its {own}/raw, "
            "it is not there"
        )
    if len(found) > 1:
        raise InputError(
            f"path: expected one set of IDX files in {printable(folder)}, got those of "
            f"{', '.join(sorted(stem or 'mnist' for stem in found))}; give a folder that holds one of them"
        )
    part, paths = next(iter(found.items()))
    return part.rpartition(" ")[2], *paths


def _first(places: Sequence[Path]) -> dict[str, tuple[Path, Path | None]]:
    return next((files for place in places if (files := _training_files(place))), {})


_IDX_IMAGES = re.compile(r"(emnist-[a-z]+-|qmnist-|)train-images[-.]idx3-ubyte(\.gz)?", re.IGNORECASE)


def _training_files(folder: Path) -> dict[str, tuple[Path, Path | None]]:
    """Training pictures and their labels by the prefix of their names, which only EMNIST and QMNIST have."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return {}
    found = {}
    for name in names:
        match = _IDX_IMAGES.fullmatch(name)
        images = _itself_or_inside(folder / name)
        if match is None or images is None or match[1].lower() in found:
            continue
        labels = name.lower().removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
        if match[1].lower() == "qmnist-":
            labels = "qmnist-train-labels-idx2-int"
        of_labels = [n for n in names if n.lower() in (labels, f"{labels}.gz")]
        found[match[1].lower()] = images, _itself_or_inside(folder / of_labels[0]) if of_labels else None
    return found


def _itself_or_inside(path: Path) -> Path | None:
    """The file at `path`; some archives hold it in a folder of the same name."""
    return next((p for p in (path, path / path.name) if os.path.isfile(p)), None)


_CIFAR_BYTES = 1 + 3 * 32 * 32  # a row: label, red, green, blue


def read_cifar10(folder: Path) -> tuple[UInt8[Tensor, "n 3 32 32"], Int[Tensor, " n"]]:
    """Read the five training files of CIFAR-10's binary version, in `folder` or where archives put them.

    Raises:
        InputError: if one is missing or damaged, or the version is the pickled one.
    """
    inside = ("", "cifar-10-batches-bin", "cifar-10-binary", "cifar-10-binary/cifar-10-batches-bin")
    places = [folder / parent / place for parent in ("", "cifar10", "CIFAR10") for place in inside]
    folder = next((place for place in places if os.path.lexists(place / "data_batch_1.bin")), folder)
    table = torch.cat([_read_batch(folder, f"data_batch_{i}.bin") for i in range(1, 6)])
    largest = int(table[:, 0].max())
    if largest > 9:
        raise InputError(
            f"{printable(folder)}: expected labels 0 to 9, got {largest}; not CIFAR-10, or damaged"
        )
    return table[:, 1:].reshape(-1, 3, 32, 32), table[:, 0].long()


def _read_batch(folder: Path, name: str) -> UInt8[Tensor, "n 3073"]:
    path = folder / name
    if not os.path.lexists(path):
        raise InputError(
            f"path: expected {name} in {printable(folder)}, it is not there{_cifar_hint(folder)}"
        )
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


def list_celeba(folder: Path) -> PictureFiles:
    """List CelebA's aligned pictures; only the training part where a table of the parts is there.

    The table is list_eval_partition.txt, or Kaggle's list_eval_partition.csv. The pictures of the other parts
    count as ignored.

    Raises:
        InputError: if the pictures are not there, or the table is damaged.
    """
    root = _aligned(folder)
    near = dict.fromkeys((folder, folder / "Eval", root, root.parent, root.parent.parent / "Eval"))
    tables = [place / f"list_eval_partition.{suffix}" for suffix in ("txt", "csv") for place in near]
    table = next((path for path in tables if os.path.lexists(path)), None)
    if table is None:
        return list_pictures(root)
    names = _training_part(table)
    listed = list_pictures(root)
    part = set(names)
    others = Counter(_suffix(name) for name in listed.names if name not in part)
    return PictureFiles(
        root,
        names,
        listed.ignored + others.total(),
        tuple(row for row in listed.skipped if row.name not in part),
        _most_common(Counter(listed.suffixes) + others),
    )


def _aligned(folder: Path) -> Path:
    """The folder of the pictures, where archives put it; some hold it twice."""
    places = [folder / above / "img_align_celeba" for above in ("", "Img", "celeba")]
    root = next((place for place in places if os.path.isdir(place)), folder)
    inside = root / "img_align_celeba"
    return inside if os.path.isdir(inside) else root


def _training_part(path: Path) -> tuple[str, ...]:
    parts: dict[str, str] = {}
    lines = _read_table(path).splitlines()
    has_header = bool(lines) and [field.lower() for field in _fields(lines[0])] == ["image_id", "partition"]
    for number, line in enumerate(lines[has_header:], 1 + has_header):
        fields = _fields(line)
        if not fields:
            continue
        if len(fields) != 2 or fields[1] not in ("0", "1", "2") or Path(fields[0]).name != fields[0]:
            raise InputError(
                f"{printable(path)}: expected a file name and 0, 1 or 2 in line {number}, got {line[:80]!r}"
            )
        if fields[0] in parts:
            raise InputError(
                f"{printable(path)}: expected each file once, line {number} has {fields[0]!r} again"
            )
        parts[fields[0]] = fields[1]
    names = tuple(sorted(name for name, part in parts.items() if part == "0"))
    if not names:
        raise InputError(f"{printable(path)}: expected names with 0, found no picture of the training part")
    return names


def _fields(line: str) -> list[str]:
    """Fields of a line, with blanks or commas between them, in quotation marks or not."""
    fields = line.replace(",", " ").split()
    return [re.sub(r"""(["'])(.*)\1""", r"\2", field) for field in fields]


_MOST_OF_A_TABLE = 2**26  # bytes; CelebA's own has 3 million


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
