"""Who does the runs of a sweep: an executor takes run directories and yields each outcome as it ends."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from memhorizon.experiments.run import execute
from memhorizon.experiments.rundir import RunDir
from memhorizon.results import InputError


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `error` is empty where it finished."""

    path: Path
    error: str = ""


# Does the runs in these directories; yields outcomes as they come,
# and None while it waits so that progress can be shown.
Executor = Callable[[Iterable[Path]], Iterator[Outcome | None]]


@dataclass(frozen=True)
class Inline:
    """One run after the other in this process, each on all cores."""

    def __call__(self, paths: Iterable[Path]) -> Iterator[Outcome | None]:
        """Do the runs in these directories."""
        for path in paths:
            try:
                for _ in execute(RunDir(path)):
                    yield None
            except (InputError, OSError) as error:
                yield Outcome(path, str(error))
            else:
                yield Outcome(path)


@dataclass(frozen=True)
class Local:
    """One single-threaded process per core: small networks do not fill two cores, two of them do.

    Attributes:
        processes: how many at once; None for one per core.
        poll: seconds between two signs of life.
    """

    processes: int | None = None
    poll: float = 1.0

    def __call__(self, paths: Iterable[Path]) -> Iterator[Outcome | None]:
        """Do the runs in these directories."""
        with single_threaded(self.processes) as pool:
            waiting = {pool.submit(_work, path): path for path in paths}
            while waiting:
                finished, _ = wait(waiting, self.poll, FIRST_COMPLETED)
                for future in finished:
                    path = waiting.pop(future)
                    try:
                        yield Outcome(path, future.result())
                    except BrokenProcessPool:
                        yield Outcome(
                            path, "its process was killed (out of memory?); the same command resumes it"
                        )
                if not finished:
                    yield None


@contextmanager
def single_threaded(processes: int | None = None) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each that end with this one; None for one per core.

    What has not begun when the block is left, by an error or an interruption, is not done any more.
    """
    pool = ProcessPoolExecutor(
        processes or len(os.sched_getaffinity(0)),
        mp_context=get_context("spawn"),
        initializer=_start_worker,
        initargs=(os.getpid(),),
    )
    with pool:
        try:
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_worker(parent: int) -> None:
    torch.set_num_threads(1)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: int) -> None:
    """End this process when its parent is gone, so that a killed sweep leaves nothing running."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _work(path: Path) -> str:
    try:
        for _ in execute(RunDir(path)):
            pass
    except (InputError, OSError) as error:
        return str(error)
    return ""
