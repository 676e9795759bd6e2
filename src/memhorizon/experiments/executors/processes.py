"""Work in processes of one thread each, which end with this one.

They are ended by being killed: what they do has to bear that, as runs do, and nobody waits for it. One that
dies costs its job alone.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle, islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Generic, TypeVar

import torch

from memhorizon.errors import InputError
from memhorizon.experiments.executors.base import reason

GUARD = (
    "executor: the processes cannot start. Each of them imports the script that starts them, so the call has "
    'to stand below the line `if __name__ == "__main__":`; or give executor=Inline(), which needs none'
)
FROM_INPUT = (
    "executor: a script from standard input cannot start processes, for each of them imports it: save it, or "
    "give executor=Inline()"
)
J = TypeVar("J")  # a job
V = TypeVar("V")  # what it returns
GPUS = "CUDA_VISIBLE_DEVICES"
STARTED = "started"  # what a process says first: all that it imports is there


@dataclass(frozen=True)
class Ended(Generic[J, V]):
    """How a job ended.

    Attributes:
        job: the job.
        value: what it returned.
        error: why it returned nothing, empty where it did.
        killed: whether its process died.
    """

    job: J
    value: V | None = None
    error: str = ""
    killed: bool = False


@dataclass(frozen=True)
class Place:
    """Where a process is to be.

    Attributes:
        core: that it stays on; None for any.
        gpu: the CUDA device that it sees, by its name for CUDA; None for all of them.
    """

    core: int | None = None
    gpu: str | None = None


@dataclass
class _Worker:
    """A process, the way to talk to it, and what it is doing."""

    process: BaseProcess
    connection: Connection
    place: Place
    job: object = None
    started: bool = False


class Processes:
    """Processes that wait for jobs; made by `single_threaded`."""

    def __init__(self, free: Sequence[Place]):
        self.free = list(free)  # places without a process
        self.busy: list[_Worker] = []
        self.idle: list[_Worker] = []

    def do(
        self, function: Callable[[J], V], jobs: deque[J], *, poll: float = 1.0
    ) -> Iterator[Ended[J, V] | None]:
        """Call the function on each job, in any order.

        Args:
            function: of a module, so that it can be sent; the jobs and what it returns have to be plain.
            jobs: are taken from the left; what is added on the way is done as well.
            poll: seconds between two signs of life.

        Yields:
            How each job ended, and None while nothing happens.

        Raises:
            InputError: if the processes cannot start.
        """
        while jobs or self.busy:
            while jobs and (self.idle or self.free):
                self._give(function, jobs.popleft())
            ready = wait([worker.connection for worker in self.busy], poll)
            for worker in [worker for worker in self.busy if worker.connection in ready]:
                ended = self._hear(worker)
                if ended is not None:
                    yield ended
            if not ready:
                yield None

    def _give(self, function: Callable[[J], V], job: J) -> None:
        worker = self.idle.pop() if self.idle else _start(self.free.pop(0))
        worker.job = job
        self.busy.append(worker)
        with suppress(OSError):  # one that died while it was idle is heard of as the end of its job
            worker.connection.send((function, job))

    def _hear(self, worker: _Worker) -> Ended | None:
        message = None
        with suppress(EOFError, OSError):
            message = worker.connection.recv()
        if message is None:  # nobody is there any more
            self.busy.remove(worker)
            self.free.append(worker.place)
            return _death(worker)
        if message == STARTED:
            worker.started = True
            return None
        self.busy.remove(worker)
        self.idle.append(worker)
        value, error = message
        return Ended(worker.job, value, error)

    def kill(self) -> None:
        """End all of them at once."""
        for worker in (*self.busy, *self.idle):
            worker.process.kill()
        for worker in (*self.busy, *self.idle):
            worker.process.join()
            worker.connection.close()


def _death(worker: _Worker) -> Ended:
    worker.process.join()
    worker.connection.close()
    code = worker.process.exitcode or 0
    if code > 0 and not worker.started:
        raise InputError(GUARD)
    error = f"its process was killed (exit code {code}; out of memory?); the same command resumes it"
    return Ended(worker.job, error=error, killed=True)


@contextmanager
def single_threaded(free: Sequence[Place]) -> Iterator[Processes]:
    """Processes of one thread each, at these places, that end with the block, at once."""
    pool = Processes(free)
    try:
        yield pool
    finally:
        pool.kill()


def places(count: int | None = None, *, per_gpu: int | None = None, pin: bool = False) -> list[Place]:
    """Places for processes.

    Args:
        count: how many; None for as many as share the CUDA devices, or for one per core.
        per_gpu: how many share a CUDA device; None for all of them, each seeing every device.
        pin: whether each stays on one core.

    Raises:
        InputError: if there is no CUDA device to be shared, or no system that can keep a process on a core.
    """
    gpus = [] if per_gpu is None else _gpus()
    count = count or len(gpus) * (per_gpu or 0) or cores()
    kept = cycle(_kept_cores() if pin else [None])
    shared = cycle(gpus or [None])
    return [Place(core, gpu) for core, gpu in islice(zip(kept, shared, strict=False), count)]


def _gpus() -> list[str]:
    """The CUDA devices that this process sees, by their names for CUDA."""
    count = torch.cuda.device_count()
    if not count:
        raise InputError("per_gpu: expected a machine with CUDA devices, got none")
    seen = os.environ.get(GPUS, "")
    return seen.split(",")[:count] if seen else [str(k) for k in range(count)]


def _kept_cores() -> list[int]:
    if not hasattr(os, "sched_setaffinity"):  # macOS, Windows
        raise InputError("pin: expected a system that can keep a process on a core, such as Linux")
    return sorted(os.sched_getaffinity(0))


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start(place: Place) -> _Worker:
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # we are such a process, importing a script without the line: the first one says so
        raise SystemExit(1)
    main = sys.modules["__main__"]
    script = getattr(main, "__file__", None)
    if script is not None and getattr(main, "__spec__", None) is None and not Path(script).is_file():
        raise InputError(FROM_INPUT)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, place), daemon=True)
    with _without_interrupts(), _seeing(place.gpu):
        process.start()
    theirs.close()
    return _Worker(process, ours, place)


@contextmanager
def _seeing(gpu: str | None) -> Iterator[None]:
    """Start processes that see one CUDA device alone."""
    before = os.environ.get(GPUS)
    if gpu is not None:
        os.environ[GPUS] = gpu
    try:
        yield
    finally:
        if before is not None:
            os.environ[GPUS] = before
        elif gpu is not None:
            del os.environ[GPUS]


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: it goes to all at a terminal, and ending them is ours."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, place: Place) -> None:
    """Do jobs until nobody sends any."""
    if place.core is not None:
        os.sched_setaffinity(0, {place.core})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    connection.send(STARTED)
    while True:
        try:
            function, job = connection.recv()
        except EOFError:
            return
        connection.send(_result(function, job))


def _result(function: Callable[[J], V], job: J) -> tuple[V | None, str]:
    try:
        return function(job), ""
    except Exception as error:  # noqa: BLE001  whatever ends a job ends this job only
        return None, reason(error)


def _die_with_parent() -> None:
    """End this process when its parent is gone, so that a killed sweep leaves nothing running."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
