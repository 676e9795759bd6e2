"""What a recipe of many runs keeps as it goes: called again, it goes on where it was cut off."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from memhorizon.experiments import jobs as experiments_jobs
from memhorizon.experiments.executors import Executor
from memhorizon.experiments.jobs import PartJob

Part = dict[str, Any]
Job = tuple[Mapping[str, Any], Callable[[], Mapping[str, Any]]]


def parts(
    folder: Path, jobs: Mapping[str, Job], *, executor: Executor | None = None, device: str | None = None
) -> list[Part]:
    """Give what each job finds, in plain values: read where its file is there already, else made and written.

    Args:
        folder: holds one file per job.
        jobs: by name, the settings of a job, and what does it. A file of other settings is made anew.
        executor: who does them; None for one process per core.
        device: where to compute.
    """
    made = [
        PartJob(folder / f"{name}.json", settings, partial(_anywhere, make))
        for name, (settings, make) in jobs.items()
    ]
    return experiments_jobs.parts(made, executor=executor, device=device)


def _anywhere(make: Callable[[], Mapping[str, Any]], device: str | None) -> Mapping[str, Any]:
    """Call what does not choose a device yet."""
    del device
    return make()
