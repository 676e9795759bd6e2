"""What `watch` shows of runs: how far each is, how long it still takes."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from memhorizon.cli.output import duration
from memhorizon.cli.terminal import check_reader
from memhorizon.errors import InputError
from memhorizon.experiments.run_directory import Row, RunDir
from memhorizon.experiments.written import WrittenConfig
from memhorizon.sweeps import find_runs

REFRESH = 5.0  # seconds between two looks of `watch`


def watch_runs(path: Path, *, once: bool) -> int:
    """Show the state of the runs in a directory until they are done or Ctrl-C is typed."""
    check_reader()
    try:
        while True:
            states = [_looked_at(run) for run in find_runs(path)]
            for run in states:
                print(f"{run.name}: {run.state}")
            if once or all(run.ended for run in states):
                return 0
            print(flush=True)
            time.sleep(REFRESH)
    except KeyboardInterrupt:
        return 0


class _Look(NamedTuple):
    """Name and state of a run, and whether nothing more is to be expected of it."""

    name: str
    state: str
    ended: bool


def _looked_at(run: RunDir) -> _Look:
    name = run.path.absolute().name
    try:
        return _Look(name, _state(run), run.done)
    except (InputError, OSError) as error:
        return _Look(name, f"cannot be read: {' '.join(str(error).split())[:200]}", True)


def _state(run: RunDir) -> str:
    """How far a run is, in words."""
    copied = _copied(run)
    if run.done:
        return f"done, {copied}"
    about = run.about
    if isinstance(about, WrittenConfig):
        return f"{copied}; its training loop is not memhorizon's"
    log = run.steps()
    if not log:
        return "has not begun"
    last = log[-1]
    total = about.train.n_updates
    device = run.environment.get("device", "an unknown device")
    left = duration(seconds_left(log, total))
    return f"{last['step']:,} of {total:,}, loss {last['loss']:.4f}, {copied}, about {left} left on {device}"


def _copied(run: RunDir) -> str:
    """The last memorized fraction of a run, in words."""
    measured = [row for row in run.measures() if row["measure"] == "memorized"]
    if not measured:
        return "not yet measured"
    return f"f_mem {measured[-1]['value']:.3f} at {measured[-1]['step']:,}"


def seconds_left(log: Sequence[Row], total: int) -> float:
    """Seconds until the last step, at the pace of the second half of what was done in one go."""
    last = log[-1]
    rows = [row for row in log if row["step"] >= last["step"] / 2 and row["seconds"] <= last["seconds"]]
    first = rows[0] if len(rows) > 1 else {"step": 0, "seconds": 0.0}
    pace = (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])
    return pace * (total - last["step"])
