"""Jobs in this process, one after the other."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from memhorizon.experiments.executors.base import Job, Outcome, reason
from memhorizon.experiments.executors.table import attempt
from memhorizon.experiments.locks import BusyError


@dataclass(frozen=True)
class Inline:
    """One job after the other in this process, each on all cores."""

    def __call__(self, jobs: Iterable[Job], *, device: str | None = None) -> Iterator[Outcome | None]:
        """Do the jobs."""
        queue = deque(jobs)
        while queue:
            job = queue.popleft()
            try:
                for _ in attempt(job, device):
                    yield None
            except BusyError:
                queue.append(job)
                yield None
            except Exception as error:  # noqa: BLE001  out of memory, for one, ends this job only
                yield Outcome(job.path, reason(error))
            else:
                yield Outcome(job.path)
