"""A training with a monitor at its default budget of 5 % against the same training without one.

    python benchmarks/monitor.py        (about five minutes of one core)

The goal: at most 5 % more time, and weights that are equal to the bit. The training is not ended where the
monitor says stop, so that both are equally long; what it then takes, the samples of a certificate included,
is part of the time. With a folder it also writes weights, contact sheets and its record.
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from itertools import pairwise

import torch
from scipy import stats
from timing import alternate, environment, table, write

from memhorizon.monitor.monitor import Monitor
from memhorizon.recipes.monitor_rules.suite import N_HOLDOUT, Training

CASES = (
    Training("digits", 64, 2000, width=128),  # a residual MLP, 1.5 ms an update
    Training("digits", 64, 500, width=8),  # a U-Net, 10 ms an update
)
ROUNDS = {128: 11, 8: 7}
COLUMNS = {
    "training": "data, n, width, prediction, optimizer, learning rate, seed",
    "updates": "length of the training",
    "way": "without a monitor, with one, with one that knows the length and has a folder",
    "wall_s": "median time of the training and its monitor over the rounds, seconds",
    "overhead_%": "median over the rounds of what the time is above that without a monitor, per cent",
    "low": "of the interval of that median, from order statistics, at 95 % or more",
    "high": "of the same",
    "cpu_overhead_%": "the same for the time of the processor",
    "cpu_low": "of its interval",
    "cpu_high": "of the same",
    "calls_%": "median of the time of the calls of the monitor over all other time of the training, per cent",
    "calls_low": "of its interval",
    "calls_high": "of the same",
    "measured_by_monitor_%": "median of what the monitor says itself, per cent",
    "looks": "median number",
    "weights_equal": "whether all trainings end with the same weights, to the bit",
}
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
        self.shares = defaultdict(list)  # time of the calls over all other time of the same training

    def run(self, monitor=None, way=WITHOUT):
        """Train; tell the monitor of each update, and time these calls from outside."""
        network = self.training.network(self.split.item_shape)
        calls = 0.0
        begun = time.perf_counter()
        for step in self.training.steps(network, self.split.train):
            if monitor is not None:
                called = time.perf_counter()
                monitor.update(step, network)
                calls += time.perf_counter() - called
        self.shares[way].append(1 + calls / (time.perf_counter() - begun - calls))
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
        self.run(monitor, way)
        self.monitors[way].append(monitor)

    def in_folder(self, way):
        """Train with a monitor that knows the length and writes."""
        with tempfile.TemporaryDirectory() as root:
            self.watched(way, planned=True, root=root)


def overheads(own, base):
    """Median of the overheads over rounds, in per cent, and the ends of its interval.

    Of N ratios x_(1) <= ... <= x_(N) the median lies in [x_(k), x_(N+1-k)] with 1 - 2 P(X < k), X binomial
    of N and 1/2; k is the largest with 95 % or more.
    """
    ratios = sorted(a / b for a, b in zip(own, base, strict=True))
    N = len(ratios)
    k = max(1, int(stats.binom.ppf(0.025, N, 0.5)))
    return [round(100 * (x - 1), 2) for x in (statistics.median(ratios), ratios[k - 1], ratios[N - k])]


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
        calls = overheads(case.shares[way], [1.0] * len(case.shares[way]))
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
            "calls_%": calls[0],
            "calls_low": calls[1],
            "calls_high": calls[2],
            **seen(case.monitors[way]),
            "weights_equal": equal,
        }


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    before = environment()
    rows = [row for training in CASES for row in rows_of(training)]
    print(table(rows))
    settings = {"rounds": {str(width): count for width, count in ROUNDS.items()}, "threads": 1}
    write("monitor", "python benchmarks/monitor.py", before, rows, columns=COLUMNS, **settings)


if __name__ == "__main__":
    main()
