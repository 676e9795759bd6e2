"""What a recipe is: a claim, and how to make the record that shows whether it holds.

The recipes are modules and packages of `memhorizon.recipes`; each defines its `RECIPE`.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast, get_args, runtime_checkable

from memhorizon.checks import check_choice
from memhorizon.errors import InputError
from memhorizon.files.plain import check_path, make_folder
from memhorizon.records.files import write_record
from memhorizon.records.sweep import SweepRecord
from memhorizon.records.table import TableRecord

if TYPE_CHECKING:  # they import torch, which a recipe of the theory does without
    from memhorizon.experiments.config import Config
    from memhorizon.experiments.executors import Executor
    from memhorizon.experiments.run_directory import RunDir

Size = Literal["here", "tiny", "paper"]


@runtime_checkable
class Picture(Protocol):
    """A figure: its numbers, and its drawing (a matplotlib figure)."""

    def frame(self) -> list[dict[str, object]]:
        """Return the numbers, one row per point."""
        ...

    def plot(self) -> object:
        """Draw it."""
        ...


@dataclass(frozen=True)
class Progress:
    """How far a recipe is.

    Attributes:
        done: updates or parts that are done.
        total: of how many.
        unit: what is counted.
        note: a word on it.
    """

    done: int
    total: int
    unit: str = "part"
    note: str = ""


Watch: TypeAlias = Callable[[Iterable[Progress]], Iterator[Progress]]


@dataclass(frozen=True)
class Request:
    """What is asked of a recipe.

    Attributes:
        size: "here" for the committed records, "tiny" to see that it works, "paper" for the paper's sizes.
        work: the folder in which it keeps its runs and parts, so that it resumes where it was cut off.
        records: the folder with the records that it reads.
        executor: who does runs and parts; None for one process per core.
        device: where to compute; None for what suits the work.
        watch: hands the progress on, and may show it.
    """

    size: Size
    work: Path
    records: Path
    executor: "Executor | None" = None
    device: str | None = None
    watch: Watch = iter

    @property
    def tiny(self) -> bool:
        """Whether it is only to be seen that the recipe works."""
        return self.size == "tiny"


@dataclass(frozen=True)
class Found:
    """What a recipe gives.

    Attributes:
        record: the numbers.
        runs: run directories of a sweep, for pictures of their samples.
        failed: which runs failed and why; empty where none did.
    """

    record: SweepRecord | TableRecord
    runs: "tuple[RunDir, ...]" = ()
    failed: str = ""


@dataclass(frozen=True)
class Reproduced(Found):
    """What a recipe gave, and where it is written.

    Attributes:
        path: of the record.
    """

    path: Path = Path()


def trains_nothing(size: Size) -> "Sequence[Config]":
    """The plan of a recipe without runs."""
    return ()


@dataclass(frozen=True)
class Recipe:
    """A claim and the way to its record.

    Attributes:
        name: of the recipe.
        claim: what is to be shown, in a sentence.
        paper_figure: the figure of the paper that it reproduces; empty where the paper has none.
        make: does the work; name, command, claim, date and seconds are added to its record.
        plan: the configurations that it trains at a size.
        figures: the pictures of its record by name; those of a sweep follow from what was measured.
        reads: the records that it reads, by name.
        takes: how long it takes.
        sizes: at which it can be run; others are planned only.
        path: of its record in the folder of results, without suffix; the name where empty.
    """

    name: str
    claim: str
    make: Callable[[Request], Found]
    paper_figure: str = ""
    plan: "Callable[[Size], Sequence[Config]]" = trains_nothing
    figures: Mapping[str, Callable[[TableRecord], Picture]] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    takes: str = "Seconds; nothing is trained."
    sizes: tuple[Size, ...] = ("here", "tiny")
    path: str = ""

    @property
    def is_sweep(self) -> bool:
        """Whether its plan is all that it does, so that the plan says how long it takes."""
        return "paper" in self.sizes

    @property
    def record_name(self) -> str:
        """The name of its record."""
        return Path(self.path or self.name).name

    def record_path(self, out: Path, size: Size) -> Path:
        """Where its record is written; that of another size lies beside the committed one, not over it."""
        suffix = "" if size == "here" else f"-{size}"
        return out / f"{self.path or self.name}{suffix}.json"

    def run(
        self,
        out: Path | str = "results",
        size: Size | str = "here",
        *,
        root: Path | str = "runs",
        records: Path | str = "results",
        executor: "Executor | None" = None,
        device: str | None = None,
    ) -> Path:
        """Make the record and write it; the same call resumes where it was cut off.

        Args:
            out: folder of the record.
            size: "here" for the committed record, "tiny" to see that it works, "paper" for the paper's sizes.
            root: runs and parts are kept in ROOT/NAME, of another size in ROOT/NAME-SIZE.
            records: folder of the records that it reads.
            executor: who does runs and parts; None for one process per core.
            device: where to compute; None for what suits the work.

        Returns:
            The path of the record.

        Raises:
            InputError: if it cannot be run at this size, a record that it reads is missing, or runs failed;
                in the last case the record of the others is written.
        """
        made = self.reproduce(out, size, root=root, records=records, executor=executor, device=device)
        if made.failed:
            raise InputError(made.failed)
        return made.path

    def folder(self, root: Path | str, size: Size) -> Path:
        """Where its runs and parts are kept."""
        return check_path("root", root) / (self.name if size == "here" else f"{self.name}-{size}")

    def reproduce(
        self,
        out: Path | str = "results",
        size: Size | str = "here",
        *,
        root: Path | str = "runs",
        records: Path | str = "results",
        executor: "Executor | None" = None,
        device: str | None = None,
        watch: Watch = iter,
    ) -> Reproduced:
        """Do as `run` does, show the progress on the way, and say what failed instead of raising it.

        Args:
            out: folder of the record.
            size: "here", "tiny" or "paper".
            root: runs and parts are kept in ROOT/NAME, of another size in ROOT/NAME-SIZE.
            records: folder of the records that it reads.
            executor: who does runs and parts; None for one process per core.
            device: where to compute; None for what suits the work.
            watch: hands the progress on, and may show it.

        Raises:
            InputError: if it cannot be run at this size, a record that it reads is missing, or nothing can be
                written in `out`.
        """
        size = self._sized(size)
        path = self.record_path(check_path("out", out), size)
        request = Request(
            size=size,
            work=self.folder(root, size),
            records=check_path("records", records),
            executor=executor,
            device=device,
            watch=watch,
        )
        self._check_inputs(request.records)
        make_folder(path.parent, "out")  # before hours of work
        begun = time.perf_counter()
        found = self.make(request)
        record = self._stamped(found.record, size, time.perf_counter() - begun)
        write_record(record, path)
        return Reproduced(record, found.runs, found.failed, path)

    def _sized(self, size: str) -> Size:
        check_choice("size", size, get_args(Size))
        known = cast(Size, size)
        if known not in self.sizes:
            raise self._no_size(known)
        return known

    def _no_size(self, size: Size) -> InputError:
        planned = "is planned only: --dry-run shows it" if self.plan(size) else "does not exist"
        wanted = " or ".join(self.sizes)
        return InputError(f"size: expected {wanted}, got {size}, which for {self.name} {planned}")

    def missing(self, records: Path) -> list[str]:
        """Which of the records that it reads a folder does not have, by name."""
        return [name for name in self.reads if not (records / f"{name}.json").is_file()]

    def _check_inputs(self, records: Path) -> None:
        missing = self.missing(records)
        if missing:
            names = ", ".join(f"{name}.json" for name in missing)
            raise InputError(
                f"records: expected a folder with {names}, which {self.name} reads; {records} has none: use "
                "the folder results of the repository, or make them "
                f"(`memhorizon reproduce {missing[0]}` makes the first)"
            )

    def _stamped(
        self, record: SweepRecord | TableRecord, size: Size, seconds: float
    ) -> SweepRecord | TableRecord:
        """The record with its origin."""
        from memhorizon.experiments.environment import environment, timestamp

        command = f"memhorizon reproduce {self.name}" + ("" if size == "here" else f" --size {size}")
        took = seconds if record.seconds is None else record.seconds
        stamped = replace(record, command=command, claim=self.claim, made=timestamp(), seconds=took)
        if isinstance(stamped, SweepRecord):
            return replace(stamped, size=size)
        return replace(stamped, tiny=size == "tiny", environment=stamped.environment or environment())
