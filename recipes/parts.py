"""What a recipe of many runs keeps as it goes: called again, it goes on where it was cut off."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from memhorizon.experiments.record import plain
from memhorizon.experiments.rundir import write_atomically

Part = dict[str, Any]
Job = tuple[Mapping[str, Any], Callable[[], Mapping[str, Any]]]


def parts(folder: Path, jobs: Mapping[str, Job]) -> Iterator[Part]:
    """Give what each job finds, in plain values: read where its file is there already, else made and written.

    Args:
        folder: holds one file per job.
        jobs: by name, the settings of a job, and what does it. A file of other settings is made anew.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, (settings, make) in tqdm(jobs.items(), desc=str(folder), unit="run", disable=None):
        path = folder / f"{name}.json"
        kept = json.loads(path.read_text()) if path.exists() else {}
        if kept.get("settings") != plain(settings):
            kept = plain({"settings": settings, **make()})
            write_atomically(path, json.dumps(kept).encode())
        yield kept
