"""A training with a monitor at its default budget of 5 % against the same training without one.

    python benchmarks/monitor.py        (about three minutes of one core)

The goal: at most 5 % more time, and weights that are equal to the bit. The training is not ended where the
monitor says stop, so that both are equally long; what it then takes, the samples of a certificate included,
is part of the time. With a folder it also writes weights, contact sheets and its record.
"""

import argparse
import statistics
import tempfile
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


class Case:
    """One training, without and with a monitor; the weights and the monitors are kept."""

    def __init__(self, training):
        self.training = training
        self.split = training.split()
        self.weights = []
        self.monitors = []

    def run(self, monitor=None):
        """Train; tell the monitor of each update."""
        network = self.training.network(self.split.item_shape)
        for step in self.training.steps(network, self.split.train):
            if monitor is not None:
                monitor.update(step, network)
        self.weights.append(torch.cat([value.flatten() for value in network.parameters()]).detach())

    def watched(self, *, planned, root=None):
        """Train with a monitor."""
        monitor = Monitor(
            self.split.train,
            holdout=self.split.holdout[:N_HOLDOUT],
            denoiser=self.training.denoiser,
            n_updates=self.training.n_updates if planned else None,
            root=root,
        )
        self.run(monitor)
        self.monitors.append((planned, root is not None, monitor))

    def in_folder(self):
        """Train with a monitor that writes."""
        with tempfile.TemporaryDirectory() as root:
            self.watched(planned=True, root=root)


def deciles(ratios):
    """Median, first and last decile of the overheads, in per cent."""
    cuts = statistics.quantiles(ratios, n=10)
    return [round(100 * (x - 1), 2) for x in (statistics.median(ratios), cuts[0], cuts[-1])]


def rows_of(training):
    """The rows of one training."""
    case = Case(training)
    ways = {
        "without": case.run,
        "with a monitor": lambda: case.watched(planned=False),
        "length planned, with a folder": case.in_folder,
    }
    times = alternate(ways, rounds=ROUNDS[training.width], warm_up=1)
    equal = all(torch.equal(one, other) for one, other in pairwise(case.weights))
    base = times["without"]
    for name, own in times.items():
        which = ("planned" in name, "folder" in name)
        seen = [m for planned, folder, m in case.monitors if (planned, folder) == which and name != "without"]
        wall = deciles([a / b for a, b in zip(own.wall, base.wall, strict=True)])
        cpu = deciles([a / b for a, b in zip(own.cpu, base.cpu, strict=True)])
        yield {
            "training": training.name,
            "updates": training.n_updates,
            "way": name,
            "wall_s": round(statistics.median(own.wall), 3),
            "overhead_%": wall[0],
            "low": wall[1],
            "high": wall[2],
            "cpu_overhead_%": cpu[0],
            "cpu_low": cpu[1],
            "cpu_high": cpu[2],
            "measured_by_monitor_%": round(100 * statistics.median(m.overhead for m in seen), 2)
            if seen
            else 0,
            "looks": statistics.median(len(m.history) for m in seen) if seen else 0,
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
