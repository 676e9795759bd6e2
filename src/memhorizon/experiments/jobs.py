"""Jobs: a run of a sweep and a part of a recipe are both one, so every executor does both.

    run   -> its run directory
    part  -> a JSON file with the settings it was made with and what was found

A job that is done is skipped; the same call again resumes where the last one was cut off.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from memhorizon.errors import InputError
from memhorizon.experiments.executors import Executor, Job, Local, Outcome
from memhorizon.experiments.executors.table import queue
from memhorizon.experiments.run import execute
from memhorizon.experiments.run_directory import RunDir
from memhorizon.files.plain import read_object, write_atomically
from memhorizon.records.codec import encode
from memhorizon.records.plain import Plain


@dataclass(frozen=True)
class RunJob:
    """The run of a directory that holds its configuration.

    Attributes:
        path: the run directory.
    """

    path: Path

    @property
    def done(self) -> bool:
        """Whether the run has finished."""
        return RunDir(self.path).done

    def work(self, device: str | None) -> Iterator[object]:
        """Do the run, yielding its progress."""
        return execute(RunDir(self.path), device=device)


@dataclass(frozen=True)
class PartJob:
    """A part of a recipe.

    Attributes:
        path: the file that it leaves.
        settings: what it is made with; a file of other settings is made anew.
        make: called with the device (None for its choice), returns what was found, in plain values. It has to
            be a function of a module, or a partial of one, so that it can be sent to another process.
    """

    path: Path
    settings: Mapping[str, Plain]
    make: Callable[[str | None], Mapping[str, Plain]]

    @property
    def done(self) -> bool:
        """Whether the file is there and was made with these settings."""
        if not self.path.is_file():
            return False
        try:
            found = read_object(self.path)
        except InputError:  # cut off or edited: it is made again
            return False
        return found.get("settings") == _settled(self.settings)

    def work(self, device: str | None) -> Iterator[object]:
        """Make the part and write it."""
        yield self.path  # it begins
        found = {"settings": _settled(self.settings)} | {
            name: encode(entry) for name, entry in self.make(device).items()
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, json.dumps(found).encode())


def _settled(settings: Mapping[str, Plain]) -> object:
    """Settings as they are read back from a file."""
    return json.loads(json.dumps(encode(settings)))


def do_jobs(
    jobs: Iterable[Job], *, executor: Executor | None = None, device: str | None = None
) -> Iterator[Outcome | None]:
    """Do what is not done yet.

    Args:
        jobs: in the order in which they should begin.
        executor: who does them; None for one process per core.
        device: where to compute, by name; None for the choice of each job.

    Yields:
        The outcome of each job as it ends, first of those that were done already, and None in between.
    """
    left = []
    for job in jobs:
        if job.done:
            yield Outcome(job.path)
        else:
            queue(job.path)
            left.append(job)
    yield from (executor or Local())(left, device=device)
