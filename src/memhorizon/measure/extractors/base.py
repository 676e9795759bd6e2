"""What a feature function from a file or a package is, and the files that they are read from."""

import hashlib
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Shaped
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.bounds import check_regular, printable, problem_with

_READ = 1 << 22  # bytes of a file at a time


@runtime_checkable
class Extractor(Protocol):
    """A feature function that is known by what it was read from.

    Attributes:
        identity: two with the same one give the same vectors: a digest of the file, or name and version.
        note: what it is and what it does to items before, in words.
    """

    identity: str
    note: str

    def __call__(self, items: Shaped[Tensor, " b *item"]) -> Float[Tensor, "b d"]:
        """One vector per item."""
        ...


def check_file(path: Path) -> str:
    """Return how to call a file in messages.

    Raises:
        InputError: if there is none, or it is no regular one.
    """
    problem = problem_with(path)
    if problem is not None:
        raise InputError(f"features: {problem}")
    try:
        check_regular(path)
    except InputError as error:
        raise InputError(f"features: {error}") from error
    return printable(path)


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_READ):
            total.update(part)
    return total.hexdigest()


def shape_in_words(items: Shaped[Tensor, "..."]) -> str:
    """Type and shape of a batch, for messages."""
    return f"{str(items.dtype).removeprefix('torch.')} of shape {tuple(items.shape)}"
