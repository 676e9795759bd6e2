"""Rows that are made in parts: every executor does them, and a part that is done is not done again."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Generic, TypeVar

from memhorizon.experiments.jobs import PartJob, parts
from memhorizon.experiments.recipe import Request
from memhorizon.recipes.theory.rows import typed_rows
from memhorizon.records.codec import encode
from memhorizon.records.plain import Plain

Row = TypeVar("Row")


@dataclass(frozen=True)
class Part(Generic[Row]):
    """Some rows of a table.

    Attributes:
        make: makes one row or several; a function of a module, so that it can be sent to another process.
        arguments: plain values or dataclasses of them; a part that is done with others is done again.
    """

    make: Callable[..., Row | Iterable[Row]]
    arguments: tuple[object, ...]

    def settings(self) -> dict[str, Plain]:
        """What it is made with."""
        return {"make": self.make.__qualname__, "arguments": encode(self.arguments)}

    def work(self, device: str | None = None) -> dict[str, Plain]:
        """Make the rows: as plain values, with the seconds that it took. The device plays no part."""
        start = time.perf_counter()
        found = self.make(*self.arguments)
        rows = [found] if is_dataclass(found) or not isinstance(found, Iterable) else found
        plain = [encode(row) for row in rows]
        return {"rows": plain, "seconds": time.perf_counter() - start}


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
    jobs = [
        PartJob(request.work / f"{name}.json", part.settings(), part.work) for name, part in named.items()
    ]
    found = parts(jobs, executor=request.executor, device=request.device)
    rows = [row for part in found for row in typed_rows(part["rows"], kinds)]
    return Made(rows, sum(part["seconds"] for part in found))
