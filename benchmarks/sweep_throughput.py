"""Rows of a sweep per hour: a single-threaded process per core, against row after row on one core and on all.

    python benchmarks/sweep_throughput.py

The same rows in all three ways, taken in turn; starting the processes counts.
Goal: at least 1.8 times one core, at least 1.3 times all cores.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from timing import environment, write

from memhorizon.datasets.split import DataConfig
from memhorizon.experiments.config import Config
from memhorizon.experiments.executors import Inline, Local
from memhorizon.experiments.sweep import grid
from memhorizon.measure.config import MeasureConfig
from memhorizon.networks.mlp import MLPConfig
from memhorizon.networks.unet import UNetConfig
from memhorizon.samplers import SamplerConfig
from memhorizon.sweeps import sweep
from memhorizon.training import OptimizerConfig, TrainConfig

UNET = Config(
    data=DataConfig(name="digits", n_train=32, n_holdout=64),
    model=UNetConfig(width=16),
    optimizer=OptimizerConfig("adam", lr=1e-3),
    train=TrainConfig(n_updates=250, batch_size=32),
    measure=MeasureConfig(
        snapshots=2, first=100, n_samples=50, sampler=SamplerConfig(n_solver_steps=10), repeats=1, keep=False
    ),
)
MLP = replace(
    UNET,
    data=DataConfig(name="mixture", n_train=64, n_holdout=64),
    model=MLPConfig(width=128),
    train=TrainConfig(n_updates=4000, batch_size=64),
)
COLUMNS = {
    "net": "the network and its batch",
    "rows": "runs of the sweep",
    "one_core_s": "seconds of the sweep in one single-threaded process, row after row, median over rounds",
    "all_cores_s": "seconds of the sweep in one process on all cores, row after row, median over rounds",
    "per_core_s": "seconds with a process per core, median over rounds",
    "against_one_core": "one core over a process per core, median over rounds",
    "against_all_cores": "all cores over a process per core, median over rounds",
    "rounds": "the three times of each round",
}


def timed(configs, executor):
    with tempfile.TemporaryDirectory() as root:
        started = time.perf_counter()
        sweep(configs, root=root, executor=executor)
        return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="default: results/benchmarks/sweep_throughput.json")
    options = parser.parse_args()
    before = environment()
    rows = []
    for name, base in (("U-Net width 16, 8x8, batch 32", UNET), ("residual MLP width 128, batch 64", MLP)):
        configs = grid(base, seed=(0, 1, 2, 3))
        rounds = [
            (timed(configs, Local(processes=1)), timed(configs, Inline()), timed(configs, Local()))
            for _ in range(options.rounds)
        ]
        one, every, beside = (statistics.median(column) for column in zip(*rounds, strict=True))
        against_one = statistics.median(a / c for a, b, c in rounds)
        against_all = statistics.median(b / c for a, b, c in rounds)
        rows.append(
            {"net": name, "rows": len(configs), "one_core_s": one, "all_cores_s": every, "per_core_s": beside}
        )
        rows[-1] |= {"against_one_core": against_one, "against_all_cores": against_all, "rounds": rounds}
        print(
            f"{name:36} {one:7.1f} s {every:7.1f} s {beside:7.1f} s   {against_one:.2f} {against_all:.2f}",
            flush=True,
        )
    command = f"python benchmarks/sweep_throughput.py --rounds {options.rounds}"
    write("sweep_throughput", command, before, rows, columns=COLUMNS, out=options.out, rounds=options.rounds)


if __name__ == "__main__":
    main()
