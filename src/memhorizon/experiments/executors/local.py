"""Jobs in several processes of this machine."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from memhorizon.checks import check_kind, check_number, check_whole
from memhorizon.experiments.executors.base import Job, Outcome
from memhorizon.experiments.executors.processes import Place, places, single_threaded
from memhorizon.experiments.executors.table import attempt, fail
from memhorizon.experiments.locks import BusyError

TRIES = 2  # of a job whose process is killed: once may be another program's greed


@dataclass(frozen=True)
class Local:
    """One single-threaded process per core: small networks do not fill two cores, two of them do.

    Attributes:
        processes: how many at once; None for one per core, or as many as `per_gpu` asks for.
        poll: seconds between two signs of life.
        per_gpu: how many share a CUDA device, each of which gets its share of the processes; None for all
            of them on the one that each job chooses.
        pin: whether each process stays on one core, which is for machines that do nothing else.
    """

    processes: int | None = None
    poll: float = 1.0
    per_gpu: int | None = None
    pin: bool = False

    def __post_init__(self) -> None:
        if self.processes is not None:
            check_whole("processes", self.processes, least=1)
        if self.per_gpu is not None:
            check_whole("per_gpu", self.per_gpu, least=1)
        check_kind("pin", self.pin, bool)
        check_number("poll", self.poll, least=0)

    def __call__(self, jobs: Iterable[Job], *, device: str | None = None) -> Iterator[Outcome | None]:
        """Do the jobs."""
        queue = deque((job, device) for job in jobs)
        killed: Counter[Path] = Counter()
        with single_threaded(self.places()) as pool:
            for ended in pool.do(_work_through, queue, poll=self.poll):
                if ended is None:
                    yield None
                    continue
                path = ended.job[0].path
                killed[path] += ended.killed
                busy = ended.value is False
                if busy or (ended.killed and killed[path] < TRIES):
                    queue.append(ended.job)  # after the others
                else:
                    if ended.killed:
                        fail(path, ended.error)
                    yield Outcome(path, ended.error)

    def places(self) -> list[Place]:
        """Where each process is to be.

        Raises:
            InputError: if there is no CUDA device to be shared, or no system that keeps a process on a core.
        """
        return places(self.processes, per_gpu=self.per_gpu, pin=self.pin)


def _work_through(task: tuple[Job, str | None]) -> bool:
    """Do a job to its end; False where another process is doing it."""
    job, device = task
    try:
        for _ in attempt(job, device):
            pass
    except BusyError:
        return False
    return True
