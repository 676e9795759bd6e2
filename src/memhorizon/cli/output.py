"""What commands show: progress with time left, estimates, and the file to open at the end."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from memhorizon.experiments.config import Config, to_json
from memhorizon.experiments.estimate import estimate_seconds
from memhorizon.experiments.run import Progress
from memhorizon.experiments.rundir import Row, RunDir, write_atomically
from memhorizon.experiments.sweep import SweepProgress, execute_sweep
from memhorizon.report import report, sentence


def follow(events: Iterator[Progress], name: str) -> None:
    """Show the progress of one run, and the time that it still needs."""
    with tqdm(desc=name, unit="step", dynamic_ncols=True) as bar:
        for event in events:
            bar.total = event.steps
            bar.update(event.step - bar.n)


def follow_sweep(configs: Sequence[Config], root: Path) -> list[RunDir]:
    """Do the runs of a sweep and show the progress of all together."""
    last: SweepProgress | None = None
    with tqdm(desc=str(root), unit="step", dynamic_ncols=True) as bar:
        for last in execute_sweep(configs, root=root):
            bar.total = last.steps
            bar.update(last.step - bar.n)
            bar.set_postfix_str(f"{sum(run.done for run in last.runs)} of {len(last.runs)} runs done")
    return list(last.runs) if last else []


def dry_run(configs: Sequence[Config], *, estimate: bool = True) -> int:
    """Show what would be run and, unless it is meant for another machine, how long it would take here."""
    total = 0.0
    for config in configs:
        seconds = estimate_seconds(config) if estimate else 0.0
        total += seconds
        print(config.key + (f": about {duration(seconds)}" if estimate else "") + f"\n{to_json(config)}")
    print(f"{len(configs)} runs" + (f", about {duration(total)} one after the other" if estimate else ""))
    return 0


def duration(seconds: float) -> str:
    """Seconds in the unit that one would use."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def finish(made: Row, runs: Sequence[RunDir], folder: Path, as_json: bool) -> int:
    """Write record and page, and name the file to open."""
    write_atomically(folder / "record.json", json.dumps(made, indent=1).encode())
    page = folder / "report.html"
    write_atomically(page, report(made, runs).encode())
    if as_json:
        print(json.dumps(made))
    else:
        print(f"{sentence(made)}\nopen {page}")
    return 0
