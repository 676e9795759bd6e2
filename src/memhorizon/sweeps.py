"""Many runs and what follows from them: `sweep` trains them, a `Sweep` answers from their directories."""

import os
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.executors import Executor
from memhorizon.experiments.laws import laws_by
from memhorizon.experiments.record import record
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.sweep import execute_sweep
from memhorizon.files.plain import write_page
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import ScalingLaw, Time, Timescales
from memhorizon.timescales.rules import Rules

Place: TypeAlias = str | Path | RunDir
Cell: TypeAlias = str | int | float | None


@dataclass(frozen=True, repr=False)
class Sweep:
    """Runs on disk and what follows from them.

    Nothing is kept in memory: every answer is read from the run directories as they are now, so a sweep that
    is still running can be asked as well.

    Attributes:
        runs: their directories.
        name: of the record and the page.
    """

    runs: tuple[RunDir, ...]
    name: str = ""

    @classmethod
    def of(cls, places: Place | Iterable[Place]) -> "Sweep":
        """Open runs that are there.

        Args:
            places: a run directory or a folder of them, or several of either.

        Raises:
            InputError: if there is no run at one of the places.
        """
        found = _runs_at(places)
        named = Path(places).absolute().name if isinstance(places, str | Path) else ""
        return cls(tuple(dict.fromkeys(found)), named)

    def record(self, rules: Rules | None = None) -> SweepRecord:
        """Everything that was measured, and what follows from it.

        Args:
            rules: how times are read; the default ones take the measured diffusion time nearest to 0.1.

        Raises:
            InputError: if no run can be read, or none has the curve that the rules name.
        """
        return record(self.runs, rules, name=self.name)

    def timescales(self, rules: Rules | None = None) -> dict[str, Timescales]:
        """Both timescales of each run, by the name of its directory.

        Runs that cannot be read, and repetitions of a run, are left out; `record().left_out` says why.

        Args:
            rules: how times are read.

        Raises:
            InputError: as `record`.
        """
        return {run.key: run.timescales for run in _every(self.record(rules))}

    def laws(self, by: Sequence[str] | None = None, *, rules: Rules | None = None) -> dict[str, ScalingLaw]:
        """Power laws of the times, by "tau_gen", "tau_mem" and "passes" (tau_mem in passes over the data).

        Args:
            by: the hyperparameters in powers of which times are fitted, such as ("n_train", "width"); by
                default those that are varied. Where these are none there is no law.
            rules: how times are read.

        Raises:
            InputError: as `record`, or if a run has no number for one of `by`.
        """
        made = self.record(rules)
        if by is None:
            return dict(made.laws)
        _check_factors(made.runs, by)
        return laws_by(made.runs, by)

    def frame(self, rules: Rules | None = None) -> list[dict[str, Cell]]:
        """One row for each run: its name, what it may differ in, both times with interval and status.

        `pandas.DataFrame(sweep.frame())` makes a table of it.

        Args:
            rules: how times are read.

        Raises:
            InputError: as `record`.
        """
        return [_row(run) for run in _every(self.record(rules))]

    def report(self, path: str | Path, *, rules: Rules | None = None) -> Path:
        """Write the page about these runs.

        Args:
            path: of the HTML file; in a folder that exists it is named report.html.
            rules: how times are read.

        Returns:
            The path of the page.

        Raises:
            InputError: as `record`, or if no file can be written at `path`.
        """
        from memhorizon.report.sweep_page import page  # matplotlib, which no other answer needs

        return write_page(path, page(self.record(rules), self.runs))

    def __len__(self) -> int:
        return len(self.runs)

    def __repr__(self) -> str:
        done = sum(run.done for run in self.runs)
        name = f"{self.name}: " if self.name else ""
        plural = "" if len(self.runs) == 1 else "s"
        return f"Sweep({name}{len(self.runs)} run{plural}, {done} done)"


def _runs_at(places: Place | Iterable[Place]) -> list[RunDir]:
    """The runs at some places, one of them at least."""
    found = [run for place in _listed(places) for run in find_runs(place)]
    if not found:
        raise InputError("places: expected at least one run directory, got none")
    return found


def _listed(places: Place | Iterable[Place]) -> list[Place]:
    """One place or several as a list."""
    if isinstance(places, str | Path | RunDir):
        return [places]
    if not isinstance(places, Iterable):
        raise InputError(f"places: expected a path or several, got {type(places).__name__}")
    return list(places)


def sweep(
    configs: Iterable[Config],
    *,
    root: Path | str = "runs",
    executor: Executor | None = None,
    device: str | None = None,
) -> Sweep:
    """Do (or finish) many runs.

    Args:
        configs: one per run; `grid` makes them.
        root: the directories of the runs are made in here.
        executor: who does them; None for one process per core.
        device: where to compute; None for the accelerator of this machine, or where a run began.

    Returns:
        The runs and what follows from them.

    Raises:
        InputError: if there is none, or if runs failed; the others are finished all the same, and
            `Sweep.of(root)` has them.
    """
    steps = execute_sweep(configs, root=root, executor=executor, device=device)
    done = deque(steps, maxlen=1).pop()
    return Sweep(done.runs, Path(root).absolute().name)


def find_runs(place: Place) -> list[RunDir]:
    """The runs at a place: a run directory, or a folder of them, sorted as a person would.

    Raises:
        InputError: if there is none.
    """
    if isinstance(place, RunDir):
        return [place]
    if not isinstance(place, str | Path):
        raise InputError(f"path: expected the path of a run directory, got {place!r}")
    path = Path(place)
    if os.path.isfile(path / "config.json"):
        return [RunDir(path)]
    found = _folders_of_runs(path)
    if not found:
        raise _no_runs(path)
    return [RunDir(folder) for folder in sorted(found, key=_by_number)]


def _folders_of_runs(path: Path) -> list[Path]:
    """The folders of runs in a folder; those that are hidden are none."""
    inside = path.glob("*/config.json") if os.path.isdir(path) else []  # False where no folder can be
    return [file.parent for file in inside if file.parent.name[0] != "."]


def _no_runs(path: Path) -> InputError:
    is_empty = os.path.isdir(path) and not any(path.iterdir())
    hint = ", which is empty: a monitor writes there from its first look on" if is_empty else ""
    return InputError(f"path: expected a run directory or a directory of them, got {str(path)!r}{hint}")


def _by_number(folder: Path) -> list[tuple[int, str]]:
    """A key that sorts n8 before n16."""
    parts = re.split(r"(\d+)", folder.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _check_factors(runs: Sequence[RunRecord], by: object) -> None:
    """Refuse what is no sequence of hyperparameters, each a number in every run."""
    if isinstance(by, str) or not isinstance(by, Sequence) or not by:
        raise InputError(f"by: expected names of hyperparameters, such as ('n_train',), got {by!r}")
    for name in by:
        for run in runs:
            value = run.factor(name) if isinstance(name, str) else None
            if not _is_positive(value):
                raise InputError(f"by: expected a positive number for {name!r} in {run.key}, got {value!r}")


def _is_positive(value: object) -> bool:
    """Whether it is a number above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(value > 0)


def _every(made: SweepRecord) -> list[RunRecord]:
    """The runs of a record, those that do not compare with the first ones included."""
    return [*made.runs, *(run for other in made.others for run in other.runs)]


def _row(run: RunRecord) -> dict[str, Cell]:
    row: dict[str, Cell] = {"key": run.key, "n_train": run.n_train, "seed": run.seed, **run.factors}
    row |= _cells("tau_gen", run.timescales.tau_gen)
    row |= _cells("tau_mem", run.timescales.tau_mem)
    row["null"] = None if run.null is None else run.null.value
    return row


def _cells(name: str, time: Time) -> dict[str, Cell]:
    """A time with its interval and its status."""
    ends = {name: time.value, f"{name}_low": time.low, f"{name}_high": time.high}
    return {**ends, f"{name}_status": str(time.status)}
