"""Who does the runs of a sweep: an executor takes run directories and yields each outcome as it ends."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from memhorizon.checks import check_number, check_whole
from memhorizon.experiments.locks import BusyError
from memhorizon.experiments.processes import reason, single_threaded
from memhorizon.experiments.run import execute
from memhorizon.experiments.run_directory import RunDir

BUSY = "busy"
TRIES = 2  # of a run whose process is killed: once may be another program's greed


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `error` is empty where it finished."""

    path: Path
    error: str = ""


# Called as executor(paths, device=name or None), it does the runs in these directories, each failure being
# that of its run alone. It yields outcomes as they come, and None while it waits so that progress can be
# shown. A run that another process is writing is waited for.
Executor = Callable[..., Iterator[Outcome | None]]


@dataclass(frozen=True)
class Inline:
    """One run after the other in this process, each on all cores."""

    def __call__(self, paths: Iterable[Path], *, device: str | None = None) -> Iterator[Outcome | None]:
        """Do the runs in these directories."""
        queue = deque(paths)
        while queue:
            path = queue.popleft()
            try:
                for _ in execute(RunDir(path), device=device):
                    yield None
            except BusyError:
                queue.append(path)
                yield None
            except Exception as error:  # noqa: BLE001  out of memory, for one, ends this run only
                yield Outcome(path, reason(error))
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

    def __post_init__(self) -> None:
        if self.processes is not None:
            check_whole("processes", self.processes, least=1)
        check_number("poll", self.poll, least=0)

    def __call__(self, paths: Iterable[Path], *, device: str | None = None) -> Iterator[Outcome | None]:
        """Do the runs in these directories."""
        jobs = deque((path, device) for path in paths)
        killed: Counter[Path] = Counter()
        with single_threaded(self.processes) as pool:
            for ended in pool.do(_execute_whole, jobs, poll=self.poll):
                if ended is None:
                    yield None
                    continue
                path = ended.job[0]
                killed[path] += ended.killed
                if ended.value == BUSY or (ended.killed and killed[path] < TRIES):
                    jobs.append(ended.job)  # after the others
                else:
                    yield Outcome(path, ended.error)


def _execute_whole(job: tuple[Path, str | None]) -> str:
    path, device = job
    try:
        for _ in execute(RunDir(path), device=device):
            pass
    except BusyError:
        return BUSY
    return ""
