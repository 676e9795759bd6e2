"""What an executor is to the rest: it takes jobs, and yields how each ended."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from memhorizon.errors import InputError


@runtime_checkable
class Job(Protocol):
    """A piece of work that leaves a file or a directory; it can be pickled, and it bears to be killed.

    Done again it resumes where it was cut off.
    """

    @property
    def path(self) -> Path:
        """What it leaves; no two jobs of one batch leave the same."""
        ...

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        ...

    def work(self, device: str | None) -> Iterator[object]:
        """Do it, yielding now and then.

        Args:
            device: where to compute, by name; None for the job's choice.

        Raises:
            BusyError: if another process is doing it; it will be tried again after the others.
        """
        ...


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        path: what it leaves.
        error: the reason where it failed; empty where it finished.
    """

    path: Path
    error: str = ""


@runtime_checkable
class Executor(Protocol):
    """Does jobs, in any order and anywhere; the failure of one is that of this one alone."""

    def __call__(self, jobs: Iterable[Job], *, device: str | None = None) -> Iterator[Outcome | None]:
        """Do the jobs.

        Args:
            jobs: in the order in which they should begin.
            device: where to compute, by name; None for the choice of each job.

        Yields:
            The outcome of each job as it ends, and None while it waits, so that progress can be shown. A job
            that another process is doing is waited for.
        """
        ...


def reason(error: Exception) -> str:
    """What ended a job: a sentence of this package, or the first line of another one with its kind."""
    if isinstance(error, InputError | OSError):
        return str(error)
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"
