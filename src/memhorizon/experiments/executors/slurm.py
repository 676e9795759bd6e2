"""Jobs through Slurm, by submitit: one array, with the same resources for each of its tasks.

A task that comes near its time limit, is preempted or loses its node is put back into the queue by submitit
and Slurm, and resumes from the state of its run. A task that ends without an answer is submitted again. The
tasks live on when this process ends; the same command finds them in the queue and waits for them.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Protocol, runtime_checkable

from memhorizon.checks import check_number, check_whole
from memhorizon.errors import InputError
from memhorizon.experiments.executors.base import Job, Outcome
from memhorizon.experiments.executors.table import fail, folder_of
from memhorizon.experiments.executors.task import BUSY, PAUSE, RETRIES, Task
from memhorizon.extras import need
from memhorizon.files.plain import is_there, read_object, write_atomically

NAME = "memhorizon"  # of the tasks in the queue
OUTPUT = "slurm"  # folder beside the runs, for what submitit needs and what the tasks print
TIME = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?")
MEMORY = re.compile(r"\d+[KMGT]?")
MOST_TIMEOUTS = 1000  # of one row: each resumes from the state of the one before
# States of tasks from which nothing more is to be expected; why submitting one again would not help.
ENDED = {"BOOT_FAIL", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "PREEMPTED", "REVOKED", "TIMEOUT"}
HOPELESS = {
    "CANCELLED": "it was cancelled in Slurm",
    "OUT_OF_MEMORY": "it needs more memory than it was given (memory=, --memory)",
}


@runtime_checkable
class Paths(Protocol):
    """The files of a task."""

    @property
    def folder(self) -> Path:
        """Where they are."""
        ...

    @property
    def result_pickle(self) -> Path:
        """What the task returned, or why it failed."""
        ...


@runtime_checkable
class Submitted(Protocol):
    """A task as submitit knows it."""

    @property
    def job_id(self) -> str:
        """Its number in Slurm."""
        ...

    @property
    def paths(self) -> Paths:
        """Its files."""
        ...

    def result(self) -> str:
        """What it returned."""
        ...


@dataclass
class _Entry:
    """A job on its way through the queue."""

    job: Job
    task: Submitted | None = None  # None until it is submitted
    not_before: float = 0.0  # when it may be
    n_lost: int = 0
    last_seen: str = ""  # its state in Slurm


@dataclass(frozen=True)
class Slurm:
    """Each job as a task of a Slurm array, through submitit (extra `slurm`).

    Start it where `sbatch` works, with the folder of the runs and the current folder on a disk that all nodes
    see. Ctrl-C ends the waiting only: `scancel --name memhorizon` ends the tasks.

    Attributes:
        partition: of the cluster; None for its default.
        time: limit of a task, such as "4h", "90m" or "1d12h"; the run goes on in another one after it.
        gpus: of each job.
        cpus: of each job, which is also the number of its threads.
        memory: of each job, such as "16G"; None for the default of the cluster.
        at_once: how many at most are to run at the same time.
        sbatch: further options of sbatch by name, such as {"account": "abc"}.
        poll: seconds between two looks at the queue.
    """

    partition: str | None = None
    time: str = "4h"
    gpus: int = 0
    cpus: int = 1
    memory: str | None = None
    at_once: int = 256
    sbatch: Mapping[str, str] = field(default_factory=dict)
    poll: float = 10.0

    def __post_init__(self) -> None:
        minutes(self.time)
        check_whole("gpus", self.gpus, least=0)
        check_whole("cpus", self.cpus, least=1)
        check_whole("at_once", self.at_once, least=1)
        check_number("poll", self.poll, least=0)
        if self.memory is not None and not MEMORY.fullmatch(self.memory):
            raise InputError(f"memory: expected a size such as 16G, got {self.memory!r}")

    def check(self) -> None:
        """See that jobs can be submitted from here.

        Raises:
            MissingExtraError: if submitit is not installed.
            InputError: if there is no Slurm.
        """
        _package()
        if shutil.which("sbatch") is None or shutil.which("srun") is None:
            raise InputError("executor: slurm needs the command sbatch, which is not here: use a login node")

    def __call__(self, jobs: Iterable[Job], *, device: str | None = None) -> Iterator[Outcome | None]:
        """Submit the jobs, and wait for them."""
        left = [_Entry(job) for job in jobs]
        if not left:
            return
        self.check()
        folder = (left[0].job.path.parent / OUTPUT).absolute()
        _adopt(left, folder)
        while left:
            self._submit(left, folder, device)
            yield None
            time.sleep(self.poll)
            states = _states()
            for entry in list(left):
                outcome = _look_after(entry, states)
                if outcome is not None:
                    left.remove(entry)
                    yield outcome

    def _submit(self, entries: Sequence[_Entry], folder: Path, device: str | None) -> None:
        """Submit what may be submitted now as one array.

        Raises:
            InputError: if Slurm refuses it.
        """
        due = [entry for entry in entries if entry.task is None and entry.not_before <= time.monotonic()]
        if not due:
            return
        tasks = [Task.of(entry.job, device, self.cpus) for entry in due]
        made = _submitted(folder, self._parameters(), tasks)
        for entry, task in zip(due, made, strict=True):
            entry.task = task
            entry.last_seen = ""
            content = json.dumps({"task": task.job_id}).encode()
            write_atomically(folder_of(entry.job.path) / "slurm.json", content)

    def _parameters(self) -> dict[str, object]:
        """What submitit is told."""
        further: dict[str, object] = {"requeue": True}  # also where the default of a cluster is another
        if self.memory is not None:
            further["mem"] = self.memory
        told: dict[str, object] = {
            "job_name": NAME,
            "time": minutes(self.time),
            "cpus_per_task": self.cpus,
            "array_parallelism": self.at_once,
            "additional_parameters": further | dict(self.sbatch),
        }
        if self.partition is not None:
            told["partition"] = self.partition
        if self.gpus:
            told["gpus_per_node"] = self.gpus
        return told


def _submitted(folder: Path, parameters: Mapping[str, object], tasks: Sequence[Task]) -> Sequence[Submitted]:
    """The tasks as Slurm has taken them.

    Raises:
        InputError: with the words of Slurm, if it refuses them.
    """
    submitit = _package()
    executor = submitit.SlurmExecutor(folder, max_num_timeout=MOST_TIMEOUTS)
    executor.update_parameters(**parameters)
    try:
        return executor.submit_array(tasks)
    except submitit.core.utils.FailedJobError as error:
        said = " ".join(str(error.__cause__ or error).split())
        raise InputError(f"executor: Slurm refused the jobs: {said[-300:]}") from error


def _package() -> ModuleType:
    """Submitit."""
    return need("submitit", extra="slurm", what="executor: slurm")


def minutes(text: object) -> int:
    """A time limit in minutes.

    >>> minutes("4h"), minutes("1d12h"), minutes("90m")
    (240, 2160, 90)

    Raises:
        InputError: if it is none.
    """
    found = TIME.fullmatch(text) if isinstance(text, str) else None
    days, hours, rest = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = 24 * 60 * days + 60 * hours + rest
    if not total:
        raise InputError(f"time: expected a time limit such as 4h, 90m or 1d12h, got {text!r}")
    return total


def _look_after(entry: _Entry, states: Mapping[str, str] | None) -> Outcome | None:
    """How a job ended; None where it has not, or is to be submitted again."""
    path = entry.job.path
    if entry.task is None:  # another process is doing it
        return Outcome(path) if entry.job.done else None
    result = _result(entry.task)
    if result == BUSY:
        entry.task = None
        entry.not_before = time.monotonic() + PAUSE
        return None
    if result is not None:
        return Outcome(path, result)
    if states is None:  # Slurm does not answer at the moment
        return None
    return _without_result(entry, states.get(entry.task.job_id, "gone"))


def _without_result(entry: _Entry, state: str) -> Outcome | None:
    """What becomes of a task that has returned nothing yet, by its state."""
    # twice in a row: its answer may take a moment on a shared disk
    settled = _is_over(state) and state == entry.last_seen
    entry.last_seen = state
    if not settled:
        return None
    if entry.job.done:
        return Outcome(entry.job.path)
    entry.n_lost += 1
    if state not in HOPELESS and entry.n_lost <= RETRIES:
        entry.task = None
        return None
    return _given_up(entry, state)


def _is_over(state: str) -> bool:
    return state in ENDED or state in HOPELESS or state == "gone"


def _given_up(entry: _Entry, state: str) -> Outcome:
    """The failure of a task that cannot run, or was lost too often."""
    assert entry.task is not None
    why = HOPELESS.get(state, f"its worker was lost {entry.n_lost} times (last state in Slurm: {state})")
    said = f"{why}; task {entry.task.job_id}, whose output is in the folder {OUTPUT}"
    fail(entry.job.path, said)
    return Outcome(entry.job.path, said)


def _result(task: Submitted) -> str | None:
    """What a task returned; None where it has not."""
    submitit = _package()
    try:
        os.listdir(task.paths.folder)  # a shared disk looks anew at a folder that is listed
        return task.result() if task.paths.result_pickle.exists() else None
    except submitit.core.utils.FailedJobError as error:  # it could not begin
        return str(error).strip().splitlines()[-1][:300]


def _states() -> dict[str, str] | None:
    """The states of our tasks that Slurm knows, by their numbers; None where it does not answer."""
    command = ["squeue", "--me", "--states=all", "--array", "--noheader", f"--name={NAME}", "--format=%i %T"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (subprocess.SubprocessError, OSError):
        return None
    return dict(line.split() for line in told.stdout.splitlines())


def _adopt(entries: Sequence[_Entry], folder: Path) -> None:
    """Find the tasks that an earlier process has submitted and that are still in the queue."""
    submitit = _package()
    states = _states() or {}
    for entry in entries:
        note = folder_of(entry.job.path) / "slurm.json"
        number = read_object(note).get("task") if is_there(note) else None
        if number in states and states[number] not in (*ENDED, *HOPELESS):
            entry.task = submitit.SlurmJob(folder=folder, job_id=number, tasks=[0])
