"""Sweeps whose workers are killed at random moments: is the table whole, is a row lost, is one done twice?

    python benchmarks/killed_workers.py

Each sweep has six small runs in two processes of `Local`. Three times a process that is at a run is killed,
at a moment drawn at random; rows are read all the while, and the same command is given until all are done.
Afterwards each row has to have ended once, with the bytes of a run that nobody killed. The processes are
forked, so that they do not import torch anew each time; with --spawn they begin as they do elsewhere. Files
are not forced onto the disk, which matters in a power cut, not to a killed process.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from timing import environment, write

from memhorizon.datasets.split import DataConfig
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.executors import Inline, Local
from memhorizon.experiments.executors.table import FOLDER, TableRow, rows_in
from memhorizon.experiments.sweep import execute_sweep, grid
from memhorizon.files.plain import read_object
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.records.codec import decode
from memhorizon.sweeps import sweep
from memhorizon.training import TrainConfig

BASE = Config(
    data=DataConfig(name="gaussian", dim=2, n_holdout=0),
    model=MLPConfig(width=8, blocks=1),
    train=TrainConfig(n_updates=400, batch_size=4),
    measure=MeasureConfig(snapshots=3, first=10, n_samples=8, repeats=1, diffusion_times=(0.1,)),
)
CONFIGS = grid(BASE, seed=range(6))
SWEEPS = 50
KILLS = 3  # of a sweep
MOST_COMMANDS = 10
COLUMNS = {
    "killed": "workers that were killed",
    "commands": "times that the command was given",
    "unreadable": "rows that could not be read while the sweep ran",
    "missing": "rows that did not end as done",
    "done_twice": "rows that were done more than once",
    "lost_attempts": "attempts that ended as lost",
    "reasons": "why a command did not end the sweep, word for word",
    "differing": "1 where the runs have other bytes than those of one process",
}
LONGEST = 0.6  # seconds that a run is at work before its process is killed, at most


def contents(root):
    patterns = ("*/measures.jsonl", "*/snapshots/*", "*/samples/*")
    return {str(path.relative_to(root)): path.read_bytes() for part in patterns for path in root.glob(part)}


def unreadable(root):
    """Rows whose file is there and is no row."""
    bad = 0
    for path in root.glob(f"{FOLDER}/*/row.json"):
        try:
            decode(read_object(path), TableRow, "row")
        except InputError:
            bad += 1
    return bad


class Killer:
    """Kills a process that is at a run, a random time after it began."""

    def __init__(self, chance):
        self.chance = chance
        self.left = KILLS
        self.n_killed = 0
        self.due = None

    def look(self, root):
        if not self.left:
            return
        at_work = [row.attempts[-1].pid for row in rows_in(root).values() if row.state == "running"]
        at_work = [pid for pid in at_work if pid != os.getpid()]
        if not at_work:
            self.due = None
        elif self.due is None:
            self.due = time.monotonic() + self.chance.uniform(0, LONGEST)
        elif time.monotonic() >= self.due:
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(at_work), signal.SIGKILL)
                self.n_killed += 1
            self.left -= 1
            self.due = None


def one(root, seed):
    """A sweep with its kills: what was found."""
    killer = Killer(random.Random(seed))
    bad = 0
    reasons = []
    for _ in range(MOST_COMMANDS):
        try:
            for _ in execute_sweep(CONFIGS, root=root, executor=Local(2, poll=0.05)):
                bad += unreadable(root)
                killer.look(root)
            break
        except InputError as error:  # killed twice: the same command again
            reasons.append(str(error))
    rows = rows_in(root)
    ends = [[attempt.ended for attempt in row.attempts] for row in rows.values()]
    return {
        "killed": killer.n_killed,
        "commands": min(len(reasons) + 1, MOST_COMMANDS),
        "unreadable": bad,
        "missing": len(CONFIGS) - sum(row.state == "done" for row in rows.values()),
        "done_twice": sum(end.count("done") > 1 for end in ends),
        "lost_attempts": sum(end.count("lost") for end in ends),
        "reasons": reasons,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=SWEEPS)
    parser.add_argument(
        "--out", type=Path, help="the record; default: results/benchmarks/killed_workers.json"
    )
    parser.add_argument("--spawn", action="store_true")
    options = parser.parse_args()
    os.fsync = lambda descriptor: None
    if not options.spawn:
        forking = multiprocessing.get_context("fork")
        multiprocessing.get_context = lambda name: forking
    before = environment()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "reference"
        sweep(CONFIGS, root=reference, executor=Inline())
        expected = contents(reference)
        for seed in range(options.sweeps):
            root = Path(folder) / str(seed)
            found = one(root, seed)
            rows.append(found | {"differing": int(contents(root) != expected)})
            print(seed, rows[-1], flush=True)
            shutil.rmtree(root)
    total = {name: sum(row[name] for row in rows) for name in rows[0] if name != "reasons"}
    settings = {
        "start": "spawn" if options.spawn else "fork",
        "sweeps": len(rows),
        "runs_of_each": len(CONFIGS),
    }
    command = "python benchmarks/killed_workers.py"
    if options.sweeps != SWEEPS:
        command += f" --sweeps {options.sweeps}"
    write(
        "killed_workers", command, before, rows, columns=COLUMNS, summary=total, out=options.out, **settings
    )
    print(total)


if __name__ == "__main__":
    main()
