"""What a recipe of many runs keeps as it goes: called again, it goes on where it was cut off."""

import json
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from memhorizon.errors import InputError
from memhorizon.experiments.processes import single_threaded
from memhorizon.experiments.record import plain
from memhorizon.experiments.run_directory import write_atomically

Part = dict[str, Any]
Job = tuple[Mapping[str, Any], Callable[[], Mapping[str, Any]]]


def parts(folder: Path, jobs: Mapping[str, Job], *, processes: int | None = None) -> list[Part]:
    """Give what each job finds, in plain values: read where its file is there already, else made and written.

    Args:
        folder: holds one file per job.
        jobs: by name, the settings of a job, and what does it. A file of other settings is made anew.
        processes: how many jobs at once, of one thread each; None for one per core.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.json" for name in jobs}
    missing = [name for name, (settings, _) in jobs.items() if not _is_of(paths[name], settings)]
    label = {"desc": str(folder), "unit": "run", "initial": len(jobs) - len(missing), "disable": None}
    with tqdm(total=len(jobs), **label) as bar, single_threaded(processes) as pool:
        for ended in pool.do(_write, deque((paths[name], *jobs[name]) for name in missing)):
            if ended is not None and ended.error:
                raise InputError(f"{ended.job[0].stem}: {ended.error}")
            bar.update(ended is not None)
    return [json.loads(path.read_text()) for path in paths.values()]


def _is_of(path: Path, settings: Mapping[str, Any]) -> bool:
    """Whether a part is there, made with these settings."""
    return path.exists() and json.loads(path.read_text()).get("settings") == plain(settings)


def _write(job: tuple[Path, Mapping[str, Any], Callable[[], Mapping[str, Any]]]) -> None:
    path, settings, make = job
    write_atomically(path, json.dumps(plain({"settings": settings, **make()})).encode())
