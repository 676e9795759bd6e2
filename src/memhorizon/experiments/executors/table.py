"""One table of what became of each job: ROOT/rows/NAME/row.json, a row for each job of a folder.

Every row is a file of its own that is written whole by rename, and only by who holds the row, so the table
needs no locks of a disk and nobody ever reads half of it. A killed worker writes nothing more: that it was
lost is seen by whoever reads its row next.
"""

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from memhorizon.errors import InputError
from memhorizon.experiments.environment import timestamp
from memhorizon.experiments.executors.base import Job, reason
from memhorizon.experiments.locks import BusyError, held, is_held
from memhorizon.files.plain import make_folder, read_object, write_atomically
from memhorizon.records.codec import decode, encode

State = Literal["waiting", "running", "done", "failed"]
End = Literal["", "done", "failed", "stopped", "lost"]
FOLDER = "rows"
TRIES = 10  # tenths of a second: who is killed needs a moment to let go


@dataclass(frozen=True)
class Attempt:
    """One worker at a row.

    Attributes:
        host: its machine.
        pid: its process.
        since: when it began.
        ended: how it ended; empty while it works. One that was stopped (a time limit, Ctrl-C) is gone on
            with, and so is one that was lost (killed, or its machine).
        until: when it ended; empty where nobody could say.
    """

    host: str
    pid: int
    since: str
    ended: End = ""
    until: str = ""


@dataclass(frozen=True)
class TableRow:
    """What became of a job.

    Attributes:
        state: of the job.
        reason: why it failed.
        attempts: its workers so far.
    """

    state: State = "waiting"
    reason: str = ""
    attempts: tuple[Attempt, ...] = ()

    @property
    def n_lost(self) -> int:
        """How many workers were lost."""
        return sum(attempt.ended == "lost" for attempt in self.attempts)

    def begun(self) -> "TableRow":
        """The row when another worker begins; one that is still at work in it was lost."""
        mine = Attempt(platform.node(), os.getpid(), timestamp())
        return TableRow("running", attempts=(*self._with_last("lost"), mine))

    def ended(self, how: End, why: str = "") -> "TableRow":
        """The row when its worker ends."""
        states: dict[End, State] = {"done": "done", "failed": "failed"}
        until = "" if how == "lost" else timestamp()
        return TableRow(states.get(how, "waiting"), why, self._with_last(how, until))

    def _with_last(self, how: End, until: str = "") -> tuple[Attempt, ...]:
        """The attempts, the last of which ends if it has not."""
        *before, last = self.attempts or (None,)
        if last is None or last.ended:
            return self.attempts
        return (*before, replace(last, ended=how, until=until))


def folder_of(path: Path) -> Path:
    """The folder of the row of the job that leaves `path`."""
    return path.parent / FOLDER / path.name


def read_row(folder: Path) -> TableRow:
    """The row in a folder as it was written; an empty one where there is none that can be read."""
    try:
        return decode(read_object(folder / "row.json"), TableRow, "row")
    except (OSError, InputError):  # only books are kept here: what is done the job knows itself
        return TableRow()


def look(folder: Path) -> TableRow:
    """The row in a folder as it is now: a worker that holds it no longer was lost."""
    row = read_row(folder)
    if row.state == "running" and not is_held(folder):
        again = read_row(folder)  # it may have ended in between
        return again.ended("lost") if again == row else again
    return row


def rows_in(root: Path) -> Mapping[str, TableRow]:
    """The rows of the jobs of a folder by name."""
    return {folder.name: look(folder) for folder in sorted((root / FOLDER).glob("*/"))}


def queue(path: Path) -> None:
    """Make the row of a job that is to be done; one that failed waits again."""
    _write_if_free(path, lambda row: replace(row, state="waiting", reason=""))


def fail(path: Path, why: str) -> None:
    """Note that a job failed, where its worker could not."""
    _write_if_free(path, lambda row: replace(row.ended("lost"), state="failed", reason=why))


def attempt(job: Job, device: str | None) -> Iterator[object]:
    """Do a job as `job.work` does, and keep its row.

    Raises:
        BusyError: if another process is doing it.
    """
    folder = folder_of(job.path)
    make_folder(folder, "root")
    with held(folder, tries=TRIES) as hold:
        if job.done:  # by another process, meanwhile
            return
        before = read_row(folder)
        row = before.begun()
        _write(folder, row)
        try:
            for event in job.work(device):
                hold.check()
                yield event
        except BusyError:
            if not hold.lost:
                _write(folder, before)
            raise
        except Exception as error:
            _write(folder, row.ended("failed", reason(error)))
            raise
        except BaseException:
            _write(folder, row.ended("stopped"))
            raise
        _write(folder, row.ended("done"))


def _write_if_free(path: Path, change: Callable[[TableRow], TableRow]) -> None:
    """Change the row of a job, unless a worker is at it, who knows better."""
    folder = folder_of(path)
    make_folder(folder, "root")
    with suppress(BusyError), held(folder, tries=0):
        row = read_row(folder)
        changed = change(row)
        if changed != row or not (folder / "row.json").exists():
            _write(folder, changed)


def _write(folder: Path, row: TableRow) -> None:
    write_atomically(folder / "row.json", json.dumps(encode(row), indent=1).encode())
