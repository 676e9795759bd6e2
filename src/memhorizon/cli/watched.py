"""What `watch` shows of runs: how far each is, how long it still takes."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from memhorizon.cli.terminal import check_reader
from memhorizon.cli.units import duration
from memhorizon.errors import InputError
from memhorizon.experiments.executors.table import TableRow, folder_of, look, rows_in
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.written import WrittenConfig
from memhorizon.files.plain import Row
from memhorizon.sweeps import find_runs

REFRESH = 5.0  # seconds between two looks of `watch`


def watch_runs(path: Path, *, once: bool) -> int:
    """Show the state of the runs in a directory until they are done or Ctrl-C is typed."""
    check_reader()
    try:
        while True:
            states = _looks(path)
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


def _looks(path: Path) -> list[_Look]:
    """The runs at a place, or the parts of a recipe, and what the table beside them has on each."""
    rows = rows_in(path)
    only_rows = rows and not any(path.glob("*/config.json"))  # parts, or runs that were all refused
    looks = [] if only_rows else [_looked_at(run, look(folder_of(run.path))) for run in find_runs(path)]
    seen = {found.name for found in looks}
    further = {name: row for name, row in rows.items() if name not in seen}
    return looks + [_Look(name, _told(row) or row.state, _is_over(row)) for name, row in further.items()]


def _looked_at(run: RunDir, row: TableRow) -> _Look:
    name = run.path.absolute().name
    try:
        told = "" if run.done else _told(row)
        state = ", ".join(text for text in (told, "" if row.state == "failed" else _state(run)) if text)
        return _Look(name, state, run.done or _is_over(row))
    except (InputError, OSError) as error:
        return _Look(name, f"cannot be read: {' '.join(str(error).split())[:200]}", True)


def _told(row: TableRow) -> str:
    """What the table has on a row that is not done, in words; nothing where it just runs or waits."""
    if row.state == "failed":
        return f"failed: {' '.join(row.reason.split())[:200]}"
    if row.state == "waiting" and row.attempts:
        return f"{row.attempts[-1].ended}, the same command continues it"
    if row.state == "running" and row.n_lost:
        return f"running again after {row.n_lost} lost worker{'' if row.n_lost == 1 else 's'}"
    return ""


def _is_over(row: TableRow) -> bool:
    """Whether nobody will go on with a row by itself."""
    return row.state in ("done", "failed")


def _state(run: RunDir) -> str:
    """How far a run is, in words."""
    about = run.about
    copied = _copied(run)
    if run.done:
        return f"done, {copied}"
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
