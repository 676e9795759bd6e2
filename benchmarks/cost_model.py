"""What `--dry-run` says of a run, against the run: time, memory and disk of ten unlike small runs.

    python benchmarks/cost_model.py        (half an hour on one core of a busy machine)

Each run is predicted as the command does it, and then done, in a process of its own with one thread. Time is
that of the processor on both sides, since the machine may be shared; a run waits for the disk only. Memory is
the peak of the process, disk the bytes of all files. Goal: each within a quarter of what it was.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from unittest import mock

import torch
from timing import environment, table, write

import memhorizon as mh
from memhorizon.experiments.config import to_json
from memhorizon.experiments.cost import costs
from memhorizon.experiments.footprint import footprints

GOAL = 1.25
RUN = """
import json, sys, time
before = time.process_time()
import torch
from memhorizon.experiments.config import from_json
from memhorizon.experiments.run import run
torch.set_num_threads(1)
imported = time.process_time()
made = run(from_json(sys.stdin.read()), root=sys.argv[1], device="cpu")
seconds = time.process_time() - imported
peak = next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
disk = sum(path.stat().st_size for path in made.path.rglob("*") if path.is_file())
print(json.dumps([seconds, peak, disk]))
"""


def small(**changes):
    """A short run of a small U-Net on digits, with changes to its parts by name."""
    measure = mh.MeasureConfig(
        snapshots=3, first=20, n_samples=64, repeats=1, sampler=mh.SamplerConfig(n_solver_steps=20)
    )
    unet = mh.UNetConfig(width=8)
    config = mh.Config(
        data=mh.DataConfig(name="digits", n_train=64, n_holdout=100),
        model=unet,
        optimizer=mh.OptimizerConfig(name="adam", lr=1e-3),
        train=mh.TrainConfig(n_updates=120, batch_size=32),
        measure=measure,
    )
    for name, values in changes.items():
        part = getattr(config, name)
        value = replace(part, **values) if isinstance(values, dict) else values
        config = replace(config, **{name: value})
    return config


def runs():
    """Unlike ones: networks, batches, samples, solvers, optimizers, data and measures."""
    mixture = mh.DataConfig(name="mixture", n_train=256, n_holdout=256, dim=50)
    images = {"name": "fashion-mnist", "n_train": 128, "n_holdout": 64}
    return {
        "U-Net 8, batch 32": small(),
        "U-Net 8, batch 64 of 512, SGD": small(
            data={"n_train": 512}, train={"batch_size": 64}, optimizer={"name": "sgd"}
        ),
        "U-Net 16, batch 16": small(model={"width": 16}, train={"batch_size": 16, "n_updates": 80}),
        "U-Net 8, moving average": small(train={"ema": 0.99}, measure={"snapshots": 6}),
        "U-Net 8, 500 samples": small(train={"n_updates": 40}, measure={"n_samples": 500, "snapshots": 1}),
        "U-Net 8, second-order solver": small(
            measure={"sampler": mh.SamplerConfig("heun", n_solver_steps=20)}, train={"n_updates": 60}
        ),
        "U-Net 8, 28 x 28 pixels": small(data=images, train={"n_updates": 30, "batch_size": 16}),
        "MLP 256, mixture": small(
            data=vars(mixture), model=mh.MLPConfig(width=256), train={"n_updates": 1500, "batch_size": 128}
        ),
        "MLP 1024, no samples": small(
            data=vars(mixture),
            model=mh.MLPConfig(width=1024),
            train={"n_updates": 150},
            measure={"n_samples": 0},
        ),
        "MLP 64, 4,000 updates, 20 snapshots": small(
            data=vars(mixture),
            model=mh.MLPConfig(width=64),
            train={"n_updates": 4000},
            measure={"snapshots": 20, "n_samples": 200},
        ),
    }


def predicted(config):
    """Seconds, bytes of memory and of disk."""
    with mock.patch("time.perf_counter", time.process_time):
        cost = next(costs([config], device="cpu", threads=1))
    need = next(footprints([config], device="cpu"))
    for found in (cost, need):
        if isinstance(found, mh.InputError):
            raise found
    return cost.seconds(config) + need.start, need.memory, need.disk


def done(config):
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", RUN, folder]
        answer = subprocess.run(command, input=to_json(config), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(answer.stdout)


def row(name, said, found):
    """What was said and what was found, with the quotients."""
    values = {"run": name}
    scales = {"cpu_s": 1, "memory_mb": 1e6, "disk_mb": 1e6}
    for (unit, scale), one, other in zip(scales.items(), said, found, strict=True):
        values |= {unit: round(other / scale, 2), f"{unit}_said": round(one / scale, 2)}
        values[f"{unit}_quotient"] = round(one / other, 3)
    return values


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the runs; all by default")
    parser.add_argument("--dry", action="store_true", help="print the table, leave the record alone")
    args = parser.parse_args()
    torch.set_num_threads(1)
    before = environment()
    rows = []
    for number, (name, config) in enumerate(runs().items()):
        if args.only is None or number in args.only:
            rows.append(row(name, predicted(config), done(config)))
            print(rows[-1], flush=True)
    quotients = {
        unit: [min(values), max(values)]
        for unit in ("cpu_s", "memory_mb", "disk_mb")
        for values in [[one[f"{unit}_quotient"] for one in rows]]
    }
    print(table(rows))
    print(quotients)
    if not args.dry:
        command = " ".join(["python", "benchmarks/cost_model.py", *sys.argv[1:]])
        print("wrote", write("cost_model", command, before, rows, goal=GOAL, quotients=quotients))


if __name__ == "__main__":
    main()
