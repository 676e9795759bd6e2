"""IDX files, the format of MNIST and its relatives."""

import gzip
import math
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Integer
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.bounds import check_regular, check_unpacked, printable

Kind = Literal["u1", ">i4"]  # unsigned bytes, or integers of 32 bits

_CODES = {"u1": 8, ">i4": 12}
_GZIP = b"\x1f\x8b"


def read_idx(path: Path, *, ndim: int, dtype: Kind = "u1") -> Integer[Tensor, "..."]:
    """Read an IDX file of unsigned bytes or of integers of 32 bits, plain or gzip.

    Raises:
        InputError: if it is damaged, holds something else, or more than the bounds of `files.bounds`.
    """
    where = printable(path)
    try:
        shape, data = _content(path, where, ndim, dtype)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{where}: damaged or unreadable ({printable(error)})") from error
    expected = _size(shape, dtype)
    if len(data) != expected or not data:
        got = f"{len(data):,}" if len(data) <= expected else "more"
        raise InputError(f"{where}: expected {expected:,} bytes for shape {shape}, got {got}")
    array = np.frombuffer(bytearray(data), dtype).reshape(shape)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _content(path: Path, where: str, ndim: int, dtype: Kind) -> tuple[list[int], bytes]:
    """The shape, and what follows it, at most one byte more than belongs to the shape."""
    size = check_regular(path)
    with path.open("rb") as raw:
        is_packed = raw.read(2) == _GZIP
    with gzip.open(path) if is_packed else path.open("rb") as file:
        shape = _shape(file.read(4 + 4 * ndim), where, ndim, dtype)
        expected = _size(shape, dtype)
        check_unpacked(expected if is_packed else size, where, packed=size)
        most = expected if is_packed else min(expected, size)
        return shape, file.read(most + 1)


def _size(shape: list[int], dtype: Kind) -> int:
    return math.prod(shape) * np.dtype(dtype).itemsize


def _shape(head: bytes, where: str, ndim: int, dtype: Kind) -> list[int]:
    magic = bytes([0, 0, _CODES[dtype], ndim])
    if head[:4] != magic:
        got = head[:4].hex() or "nothing"
        raise InputError(f"{where}: expected an IDX file that starts with {magic.hex()}, got {got}")
    return np.frombuffer(head[4:].ljust(4 * ndim, b"\0"), ">u4").tolist()
