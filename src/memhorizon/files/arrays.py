"""Array files: the array of a .npy, .npz or .safetensors file, or one of several by its key."""

import math
import os
import re
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path
from typing import NamedTuple, TypeAlias, cast

import numpy as np
from safetensors import SafetensorError, safe_open
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.bounds import check_regular, check_unpacked, printable
from memhorizon.files.mapped import MAPPED_FROM, can_map, map_file
from memhorizon.files.pictures import PICTURE_SUFFIXES

BROKEN = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    MemoryError,
    RuntimeError,
    ArithmeticError,
    IndexError,
    TypeError,
    AttributeError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    SafetensorError,
)  # what NumPy, zipfile and safetensors raise on damaged files
_SUFFIXES = (".npy", ".npz", ".safetensors")
USUAL_KEYS = ("images", "samples", "arr_0")  # taken where no key is given, and there is one of them
_Reader: TypeAlias = Callable[[BufferedIOBase], tuple[tuple[int, ...], bool, np.dtype]]
_READERS: dict[tuple[int, int], _Reader] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}  # of the header, by the version of the format
_WITH_KEY = re.compile(r"(.*?\.(?:npz|safetensors))::(.+)", re.IGNORECASE | re.DOTALL)
_PICKLE = "; pickled files can run code and are never opened, save the tensor as .safetensors or .npy"


def split_key(source: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """Split "FILE.npz::KEY" into the file and the key of one of its arrays; a path without a key has None.

    >>> split_key("pneumoniamnist.npz::train_images")[1]
    'train_images'
    """
    match = _WITH_KEY.fullmatch(os.fspath(source))
    if match is None or os.path.lexists(source):
        return Path(source), None
    return Path(match[1]), match[2]


def load_array(source: str | os.PathLike[str], *, mapped: bool = False) -> np.ndarray | Tensor:
    """Read the array of a .npy, .npz or .safetensors file; of several, the one of "FILE.npz::KEY".

    Args:
        source: the file.
        mapped: leave a large array of a .npy file on the disk (`memhorizon.files.mapped`).

    Raises:
        InputError: if it is missing, damaged, pickled, of another kind, larger than the bounds of
            `memhorizon.files.bounds`, or holds several arrays and no key chooses one.
    """
    path, key = split_key(source)
    where = printable(path)
    suffix = path.suffix.lower()
    if not os.path.lexists(path):
        file, _, name = str(path).rpartition("::")
        if name and os.path.lexists(file):
            raise InputError(
                f"{where}: expected no key, which chooses an array of a .npz or .safetensors file"
            )
        raise InputError(f"{where}: no such file or folder")
    if suffix not in _SUFFIXES:
        raise InputError(f"{where}: expected a folder, a .npy, .npz or .safetensors file{_hint(suffix)}")
    try:
        return _read(path, suffix, where, key, mapped)
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(f"{where}: damaged, or no {suffix} file ({printable(error)[:200]})") from error


def _read(path: Path, suffix: str, where: str, key: str | None, mapped: bool) -> np.ndarray | Tensor:
    """Read a file by its suffix."""
    size = check_regular(path)
    if suffix == ".safetensors":
        return _read_safetensors(path, where, key)
    return _read_numpy(path, size, where, key, mapped)


def _hint(suffix: str) -> str:
    """What to do with a file of another kind."""
    if suffix in PICTURE_SUFFIXES:
        return "; for a single picture give a list with its path"
    return _PICKLE if suffix in (".pt", ".pth", ".pkl", ".pickle") else ""


def _read_safetensors(path: Path, where: str, key: str | None) -> Tensor:
    with safe_open(path, framework="pt") as file:
        return file.get_tensor(_choose(list(file.keys()), where, key))


def _read_numpy(path: Path, size: int, where: str, key: str | None, mapped: bool) -> np.ndarray | Tensor:
    """Read a .npy or .npz file, whichever it is called."""
    with path.open("rb") as raw:
        is_archive = raw.read(2) == b"PK"
        if is_archive:
            return _read_npz(raw, size, where, key)
        raw.seek(0)
        if mapped and size >= MAPPED_FROM:
            return _map_npy(path, raw, size, where)
        return _read_npy(raw, size, where)


def _read_npz(raw: BufferedIOBase, size: int, where: str, key: str | None) -> np.ndarray:
    with zipfile.ZipFile(raw) as archive:
        members = _arrays_in(archive, where)
        name = _choose(list(members), where, key)
        member = members[name]
        where = f"{where}::{printable(name)}"
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{where}: expected it stored or deflated, as NumPy does, got another packing")
        check_unpacked(member.file_size, where, packed=min(member.compress_size, size))
        with archive.open(member) as file:
            return _read_npy(cast(BufferedIOBase, file), member.file_size, where)


def _arrays_in(archive: zipfile.ZipFile, where: str) -> dict[str, zipfile.ZipInfo]:
    listed = [info for info in archive.infolist() if info.filename[-4:] == ".npy"]
    members = {info.filename[:-4]: info for info in listed}
    if len(members) < len(listed):
        raise InputError(f"{where}: expected each array once, got two of one name")
    return members


def _map_npy(path: Path, file: BufferedIOBase, size: int, where: str) -> np.ndarray | Tensor:
    """Leave an array on the disk; one in the order of Fortran, or of another processor, is read."""
    header = _header(file)
    if header.is_plain:
        _check_size(header, size - file.tell(), where)
        return map_file(path, file.tell(), header.shape, header.dtype)
    file.seek(0)
    return _read_npy(file, size, where)


def _read_npy(file: BufferedIOBase, size: int, where: str) -> np.ndarray:
    """Read an array that takes `size` bytes with its header, which must state so."""
    header = _header(file)
    check_unpacked(header.bytes, where)
    _check_size(header, size - file.tell(), where)
    file.seek(0)
    return _read_quietly(file)


def _read_quietly(file: BufferedIOBase) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's remark on headers of Python 2
        return np.lib.format.read_array(file, allow_pickle=False)


def _check_size(header: "_Header", held: int, where: str) -> None:
    """Refuse a file that does not hold the bytes that its header states."""
    if min(header.shape, default=0) < 0 or header.bytes != held:
        raise InputError(
            f"{where}: damaged, expected {header.bytes:,} bytes for shape {header.shape} of {header.dtype}, "
            f"got {held:,}"
        )


class _Header(NamedTuple):
    """What a .npy file says of its array."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype

    @property
    def is_plain(self) -> bool:
        """Whether the array can be used as it lies there."""
        return not self.is_fortran and can_map(self.dtype)

    @property
    def bytes(self) -> int:
        """What the array takes."""
        return math.prod(self.shape) * self.dtype.itemsize


def _header(file: BufferedIOBase) -> _Header:
    read = _reader_of(np.lib.format.read_magic(file))
    header = _Header(*_without_warnings(read, file))
    if header.dtype.hasobject:
        raise ValueError("it holds Python objects as a pickle, which is never opened")
    return header


def _reader_of(version: tuple[int, int]) -> _Reader:
    if version not in _READERS:
        raise ValueError(f"an array with named columns, version {version}")
    return _READERS[version]


def _without_warnings(read: _Reader, file: BufferedIOBase) -> tuple[tuple[int, ...], bool, np.dtype]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read(file)


def _choose(keys: list[str], where: str, key: str | None) -> str:
    """The key, or where there is none that of the only array, or of the only one with a usual name."""
    possible = _candidates(keys) if key is None else [name for name in keys if name == key]
    if len(possible) != 1:
        raise InputError(f"{where}: {_none_chosen(keys, where, key)}")
    return possible[0]


def _candidates(keys: list[str]) -> list[str]:
    usual = [name for name in USUAL_KEYS if name in keys]
    return keys if len(keys) == 1 else usual


def _none_chosen(keys: list[str], where: str, key: str | None) -> str:
    """What was expected, what is there, and what to do."""
    wanted = "one array" if key is None else f"an array called {printable(key)}"
    hint = f"; choose one with {where}::KEY" if keys else ""
    return f"expected {wanted}, got {_listed(keys)}{hint}"


def _listed(keys: list[str], most: int = 20) -> str:
    shown = ", ".join(printable(name)[:80] for name in keys[:most]) or "none"
    return shown if len(keys) <= most else f"{shown} and {len(keys) - most:,} more"
