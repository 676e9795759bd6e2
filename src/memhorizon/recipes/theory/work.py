"""Rows that are made in parts: every executor does them, and a part that is done is not done again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from memhorizon.experiments.recipe import Request
from memhorizon.recipes import parts
from memhorizon.recipes.tables import typed_rows
from memhorizon.records.codec import encode
from memhorizon.records.plain import Plain

if TYPE_CHECKING:  # the theory does without it
    import torch

Row = TypeVar("Row")


@dataclass(frozen=True)
class Part(Generic[Row]):
    """Some rows of a table.

    Attributes:
        make: makes one row or several; a function of a module, so that it can be sent to another process.
        arguments: plain values or dataclasses of them; a part that was done with others is done again.
    """

    make: Callable[..., Row | Iterable[Row]]
    arguments: tuple[object, ...]


@dataclass(frozen=True)
class PlainRows:
    """The rows of a part, as its file has them."""

    rows: tuple[Mapping[str, Plain], ...]


@dataclass(frozen=True)
class Made(Generic[Row]):
    """The rows of all parts.

    Attributes:
        rows: in the order of the parts.
        seconds: that making them took, over all parts.
    """

    rows: list[Row]
    seconds: float


def make_rows(request: Request, named: Mapping[str, Part[Row]], kinds: Sequence[type[Row]]) -> Made[Row]:
    """Make the rows of all parts, or read them where they are made already.

    Args:
        request: says who does the parts, and where they are kept.
        named: the parts by the names of their files.
        kinds: of their rows.

    Raises:
        InputError: if parts failed; the others are made all the same.
    """
    jobs = [parts.Part(name, settings_of(part), partial(plain_rows, part)) for name, part in named.items()]
    done = parts.do_parts(jobs, PlainRows, request)
    rows = [row for part in done for row in typed_rows(part.found.rows, kinds)]
    return Made(rows, sum(part.seconds for part in done))


def settings_of(part: Part[Row]) -> dict[str, Plain]:
    """What a part is made with."""
    return {"make": part.make.__qualname__, "arguments": encode(part.arguments)}


def plain_rows(part: Part[Row], device: "torch.device") -> PlainRows:
    """Make the rows of a part; the device plays no role: everything is exact, in double precision."""
    found = part.make(*part.arguments)
    rows = [found] if is_dataclass(found) or not isinstance(found, Iterable) else found
    return PlainRows(tuple(cast(Mapping[str, Plain], encode(row)) for row in rows))
