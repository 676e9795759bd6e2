"""Jobs on a Ray cluster, as tasks of it: Ray finds them a place and begins those of a lost node again."""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

from memhorizon.checks import check_number, check_whole
from memhorizon.errors import InputError
from memhorizon.experiments.executors.base import Job, Outcome, reason
from memhorizon.experiments.executors.table import fail
from memhorizon.experiments.executors.task import BUSY, PAUSE, RETRIES, Task
from memhorizon.extras import need


@dataclass(frozen=True)
class Ray:
    """Each job as a task of a Ray cluster (extra `ray`), on whatever nodes come and go.

    The folder of the runs and the current folder have to be on a disk that all nodes see. The tasks end with
    this process; the same command resumes them.

    Attributes:
        address: of the cluster, such as "auto" or "10.0.0.1:6379"; None for the one that this machine
            belongs to, or else a new one on this machine alone.
        gpus: of each job; two with 0.5 share one.
        cpus: of each job, which is also the number of its threads.
        poll: seconds between two signs of life.
    """

    address: str | None = None
    gpus: float = 0.0
    cpus: int = 1
    poll: float = 1.0

    def __post_init__(self) -> None:
        check_number("gpus", self.gpus, least=0)
        check_whole("cpus", self.cpus, least=1)
        check_number("poll", self.poll, least=0)
        self._check_share()

    def _check_share(self) -> None:
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise InputError(f"gpus: expected a share of one or a whole number, got {self.gpus!r}")

    def check(self) -> None:
        """See that Ray is installed.

        Raises:
            MissingExtraError: if it is not.
        """
        _package()

    def __call__(self, jobs: Iterable[Job], *, device: str | None = None) -> Iterator[Outcome | None]:
        """Do the jobs."""
        due = list(jobs)
        if not due:
            return
        ray = _package()
        with self._connected(ray):
            do = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=RETRIES)(_do)
            running: dict[object, Job] = {}
            later: deque[tuple[float, Job]] = deque()  # when to ask again for what another process is doing
            while due or running or later:
                running |= {do.remote(Task.of(job, device, self.cpus)): job for job in due}
                for reference in self._ended(ray, list(running)):
                    job = running.pop(reference)
                    result = _result(ray, reference, job)
                    if result == BUSY:
                        later.append((time.monotonic() + PAUSE, job))
                    else:
                        yield Outcome(job.path, result)
                yield None
                due = list(_due(later))

    def _ended(self, ray: ModuleType, running: list[object]) -> list[object]:
        """Those of the tasks that have ended, after a wait."""
        if not running:
            time.sleep(self.poll)
            return []
        return ray.wait(running, num_returns=len(running), timeout=self.poll)[0]

    @contextmanager
    def _connected(self, ray: ModuleType) -> Iterator[None]:
        """Be connected to the cluster; a connection that is there is used and stays.

        Raises:
            InputError: if there is no such cluster, or it is this machine alone and has fewer GPUs.
        """
        if ray.is_initialized():
            yield
            return
        self._connect(ray)
        try:
            self._check_gpus(ray)
            yield
        finally:
            ray.shutdown()

    def _connect(self, ray: ModuleType) -> None:
        try:
            ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError) as error:
            raise InputError(
                f"address: expected that of a Ray cluster, got {self.address!r}: {error}"
            ) from error

    def _check_gpus(self, ray: ModuleType) -> None:
        """Refuse jobs for more GPUs than this machine has, where it is alone."""
        has = ray.cluster_resources().get("GPU", 0)
        if self.address is None and len(ray.nodes()) == 1 and has < self.gpus:
            raise InputError(f"gpus: expected at most the {has:g} of this machine, got {self.gpus:g}")


def _package() -> ModuleType:
    """Ray."""
    return need("ray", extra="ray", what="executor: ray")


def _due(later: deque[tuple[float, Job]]) -> Iterator[Job]:
    """Take out the jobs whose time has come, the earliest first."""
    while later and later[0][0] <= time.monotonic():
        yield later.popleft()[1]


def _do(task: Task) -> str:
    """Do a task, on a node."""
    return task()


def _result(ray: ModuleType, reference: object, job: Job) -> str:
    """Why a job failed, empty where it did not."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:  # lost more often than it is tried again, or out of memory
        said = reason(error)
        fail(job.path, said)
        return said
