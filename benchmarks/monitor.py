"""A training with a monitor at its default budget of 5 % against the same training without one.

    python benchmarks/monitor.py        (about three minutes of one core)

The goal: at most 5 % more time, and weights that are equal to the bit. The training is not ended where the
monitor says stop, so that both are equally long; what it then takes, the samples of a certificate included,
is part of the time. With a folder it also writes weights, contact sheets and its record.
"""

import argparse
import statistics
import tempfile
from collections import defaultdict
from itertools import pairwise

import torch
from timing import alternate, environment, table, write

from memhorizon.monitor.monitor import Monitor
from memhorizon.recipes.monitor_rules.suite import N_HOLDOUT, Training

CASES = (
    Training("digits", 64, 2000, width=128),  # a residual MLP, 1.5 ms an update
    Training("digits", 64, 200, width=8),  # a U-Net, 20 ms an update
)
ROUNDS = {128: 9, 8: 7}
WITHOUT = "without"
WITH = "with a monitor"
IN_FOLDER = "length planned, with a folder"


class Case:
    """One training, without and with a monitor; the weights and the monitors are kept."""

    def __init__(self, training):
        self.training = training
        self.split = training.split()
        self.weights = []
        self.monitors = defaultdict(list)  # by the way

    def run(self, monitor=None):
        """Train; tell the monitor of each update."""
        network = self.training.network(self.split.item_shape)
        for step in self.training.steps(network, self.split.train):
            if monitor is not None:
                monitor.update(step, network)
        self.weights.append(torch.cat([value.flatten() for value in network.parameters()]).detach())

    def watched(self, way, *, planned=False, root=None):
        """Train with a monitor."""
        monitor = Monitor(
            self.split.train,
            holdout=self.split.holdout[:N_HOLDOUT],
            denoiser=self.training.denoiser,
            n_updates=self.training.n_updates if planned else None,
            root=root,
        )
        self.run(monitor)
        self.monitors[way].append(monitor)

    def in_folder(self, way):
        """Train with a monitor that knows the length and writes."""
        with tempfile.TemporaryDirectory() as root:
            self.watched(way, planned=True, root=root)


def overheads(own, base):
    """Median, first and last decile of the overheads over rounds, in per cent."""
    ratios = [a / b for a, b in zip(own, base, strict=True)]
    cuts = statistics.quantiles(ratios, n=10)
    return [round(100 * (x - 1), 2) for x in (statistics.median(ratios), cuts[0], cuts[-1])]


def seen(monitors):
    """What the monitors of a way measured themselves; zeros without one."""
    if not monitors:
        return {"measured_by_monitor_%": 0, "looks": 0}
    overhead = statistics.median(monitor.overhead for monitor in monitors)
    looks = statistics.median(len(monitor.history) for monitor in monitors)
    return {"measured_by_monitor_%": round(100 * overhead, 2), "looks": looks}


def rows_of(training):
    """The rows of one training."""
    case = Case(training)
    ways = {WITHOUT: case.run, WITH: lambda: case.watched(WITH), IN_FOLDER: lambda: case.in_folder(IN_FOLDER)}
    times = alternate(ways, rounds=ROUNDS[training.width], warm_up=1)
    equal = all(torch.equal(one, other) for one, other in pairwise(case.weights))
    base = times[WITHOUT]
    for way, own in times.items():
        wall = overheads(own.wall, base.wall)
        cpu = overheads(own.cpu, base.cpu)
        yield {
            "training": training.name,
            "updates": training.n_updates,
            "way": way,
            "wall_s": round(statistics.median(own.wall), 3),
            "overhead_%": wall[0],
            "low": wall[1],
            "high": wall[2],
            "cpu_overhead_%": cpu[0],
            "cpu_low": cpu[1],
            "cpu_high": cpu[2],
            **seen(case.monitors[way]),
            "weights_equal": equal,
        }


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    before = environment()
    rows = [row for training in CASES for row in rows_of(training)]
    print(table(rows))
    write("monitor", "python benchmarks/monitor.py", before, rows, rounds=ROUNDS, threads=1)


if __name__ == "__main__":
    main()
