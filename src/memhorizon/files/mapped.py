"""Arrays that stay on the disk: tensors over a file of which a part at a time is in memory.

The system reads a page of a mapped file when a number on it is asked for, and keeps it while there is room.
What goes through all of a tensor does so by `blocks`, which gives the pages back: a pass then takes the
memory of one block, however large the file is.
"""

import math
import mmap
import os
import sys
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

MAPPED_FROM = 2**28  # bytes: array files of less are read into memory
BLOCK = 2**22  # numbers of a block: 16 MB in 32 bits
ROWS = 32  # single rows read together: with each one the system may map the 2 MB around it


@dataclass(frozen=True)
class _Mapping:
    """What lies below a tensor.

    Attributes:
        pages: of the file.
        is_private: whether what is written into the tensor reaches no file.
    """

    pages: mmap.mmap
    is_private: bool


_mappings: dict[int, _Mapping] = {}  # of the tensors that are in use, by the address of their storage


def can_map(dtype: np.dtype) -> bool:
    """Whether tensors have numbers of this type, in this order of bytes."""
    return dtype.isnative and dtype.kind in "fiub" and dtype.itemsize <= 8


def map_file(
    path: str | os.PathLike[str], offset: int, shape: tuple[int, ...], dtype: np.dtype
) -> Shaped[Tensor, "..."]:
    """A tensor over a file, in the order of C; what is written into it never reaches the file.

    The file must not become shorter while the tensor is in use.

    Args:
        path: of the file.
        offset: bytes before the array.
        shape: of the array, of which no side is 0.
        dtype: of its numbers, one that `can_map`.
    """
    array = np.memmap(path, dtype, mode="c", offset=offset, shape=shape)
    return _tensor_over(array)


def spilled(shape: tuple[int, ...]) -> Float[Tensor, "..."]:
    """A tensor of 32-bit floats on the disk of temporary files, for what may be larger than the memory.

    Its file has no name and ends with the tensor.

    Raises:
        OSError: if the disk has no room.
    """
    with tempfile.TemporaryFile() as file:
        if sys.platform == "linux":  # a full disk is an error here, and would end the process later
            os.posix_fallocate(file.fileno(), 0, 4 * math.prod(shape))
        return _tensor_over(np.memmap(file, np.float32, mode="r+", shape=shape))


def as_mapped(array: object) -> Shaped[Tensor, "..."] | None:
    """A tensor over what NumPy has mapped; None of any other array, whose numbers have to be copied.

    A user's array that may hold what is in no file (`mode="c"`) counts as any other.
    """
    if not isinstance(array, np.memmap) or array.mode == "c" or not can_map(array.dtype):
        return None
    if _pages_of(array) is None or not array.flags.c_contiguous or not array.size:
        return None
    return _tensor_over(array)


def _tensor_over(array: np.memmap) -> Shaped[Tensor, "..."]:
    pages = _pages_of(array)
    assert pages is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the array must not be written
        tensor = torch.from_numpy(array)
    address = tensor.untyped_storage().data_ptr()
    _mappings[address] = _Mapping(pages, is_private=array.mode == "c")
    weakref.finalize(array, _mappings.pop, address, None).atexit = False
    return tensor


def _pages_of(array: np.ndarray) -> mmap.mmap | None:
    """What lies below an array and all that it is a view of."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None


def is_mapped(x: Shaped[Tensor, "..."]) -> bool:
    """Whether the numbers of a tensor lie in a file."""
    return x.device.type == "cpu" and x.untyped_storage().data_ptr() in _mappings


def give_back(x: Shaped[Tensor, "..."]) -> None:
    """Let the system take the memory of a mapped tensor; its numbers are read again when they are asked for.

    Nothing happens to other tensors, nor to one in which something was written that is in no file.
    """
    if sys.platform != "linux" or not is_mapped(x):
        return
    mapping = _mappings[x.untyped_storage().data_ptr()]
    if not (mapping.is_private and _was_written(x)):
        mapping.pages.madvise(mmap.MADV_DONTNEED)


def _was_written(x: Shaped[Tensor, "..."]) -> bool:
    return not x.is_inference() and x._version > 0


def blocks(x: Shaped[Tensor, "n ..."], *, rows: int | None = None) -> Iterator[Shaped[Tensor, "b ..."]]:
    """Yield a tensor by blocks along its first axis, giving the pages of each back.

    Args:
        x: any tensor.
        rows: in a block; by default those of 16 MB.
    """
    size = rows or BLOCK * len(x) // max(1, x.numel())
    for part in x.split(max(1, min(size, len(x)))):
        yield part
        give_back(x)


def by_blocks(
    function: Callable[[Shaped[Tensor, "b ..."]], Tensor], x: Shaped[Tensor, "n ..."]
) -> Shaped[Tensor, "n ..."]:
    """What a function makes of the rows of a tensor, which it makes of each row for itself.

    Of a mapped tensor it is asked block by block.
    """
    if not is_mapped(x):
        return function(x)
    result: Tensor | None = None
    done = 0
    for part in blocks(x):
        found = function(part)
        if result is None:
            result = found.new_empty(len(x), *found.shape[1:])
        result[done : done + len(part)] = found
        done += len(part)
    assert result is not None  # what is mapped has rows
    return result


def rows_of(x: Shaped[Tensor, "n ..."], index: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """Some rows of a tensor, by their numbers, in memory."""
    if not is_mapped(x):
        return x[index]
    found = x.new_empty(index.numel(), *x.shape[1:])
    for place, some in zip(found.split(ROWS), index.flatten().split(ROWS), strict=True):
        torch.index_select(x, 0, some, out=place)
        give_back(x)
    return found.view(*index.shape, *x.shape[1:])


def ends(x: Shaped[Tensor, "n ..."]) -> tuple[float, float]:
    """The smallest and the largest number; NaN where there is one."""
    pairs = [torch.aminmax(part) for part in blocks(x)]
    low = torch.stack([pair[0] for pair in pairs]).amin()
    high = torch.stack([pair[1] for pair in pairs]).amax()
    return float(low), float(high)
