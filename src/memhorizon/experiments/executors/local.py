"""Jobs in several processes of this machine."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from memhorizon.checks import check_number, check_whole
from memhorizon.experiments.executors.base import Job, Outcome
from memhorizon.experiments.executors.processes import single_threaded
from memhorizon.experiments.locks import BusyError

TRIES = 2  # of a job whose process is killed: once may be another program's greed


@dataclass(frozen=True)
class Local:
    """One single-threaded process per core: small networks do not fill two cores, two of them do.

    Attributes:
        processes: how many at once; None for one per core.
        poll: seconds between two signs of life.
    """

    processes: int | None = None
    poll: float = 1.0

    def __post_init__(self) -> None:
        if self.processes is not None:
            check_whole("processes", self.processes, least=1)
        check_number("poll", self.poll, least=0)

    def __call__(self, jobs: Iterable[Job], *, device: str | None = None) -> Iterator[Outcome | None]:
        """Do the jobs."""
        queue = deque((job, device) for job in jobs)
        killed: Counter[Path] = Counter()
        with single_threaded(self.processes) as pool:
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
                    yield Outcome(path, ended.error)


def _work_through(task: tuple[Job, str | None]) -> bool:
    """Do a job to its end; False where another process is doing it."""
    job, device = task
    try:
        for _ in job.work(device):
            pass
    except BusyError:
        return False
    return True
