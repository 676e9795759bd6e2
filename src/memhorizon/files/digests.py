"""Digests of tensors: what names them, wherever they lie."""

import hashlib
import json
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from memhorizon.files.mapped import blocks

DIGESTED = 2**24  # numbers brought to the CPU at a time
_ROW = 16  # bytes of the digest of a row: of 10^9 different rows no two have the same one


def digest_of(tensor: Shaped[Tensor, "..."]) -> str:
    """SHA-256 of a tensor: its type, its shape and its bytes in order, in hexadecimal digits.

    Device and strides change nothing; a few million numbers are in memory at a time.

    >>> digest_of(torch.zeros(2, 3))[:12] != digest_of(torch.zeros(3, 2))[:12]
    True
    """
    total = hashlib.sha256(json.dumps([str(tensor.dtype), list(tensor.shape)]).encode())
    for part in _parts(tensor.detach()):
        total.update(part.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _parts(tensor: Tensor) -> Iterator[Tensor]:
    """A tensor along its first axis, so many numbers at a time."""
    if tensor.ndim < 2 or not tensor.numel():
        yield tensor
        return
    rows = max(1, DIGESTED * len(tensor) // tensor.numel())
    yield from blocks(tensor, rows=rows)


def row_digests(rows: Shaped[Tensor, "n d"]) -> Shaped[np.ndarray, " n"]:
    """A short digest of the values of each row, as an array of bytes; -0 is 0, which equals it."""
    parts = [_digests(part) for part in blocks(rows)]
    return np.concatenate([np.empty(0, f"S{_ROW}"), *parts])


def _digests(rows: Shaped[Tensor, "b d"]) -> Shaped[np.ndarray, " b"]:
    values = rows.detach().cpu()
    values = (values + 0.0 if values.is_floating_point() else values).contiguous()
    words = values.view(torch.uint8).numpy()
    return np.array([hashlib.blake2b(row.data, digest_size=_ROW).digest() for row in words], f"S{_ROW}")
