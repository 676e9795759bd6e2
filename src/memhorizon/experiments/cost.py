"""What a run will take on this machine: its parts are timed for a moment and added up.

    seconds of a run = start + updates * update + rows of its log * row + snapshots * snapshot

A snapshot is taken once with a network that costs nothing and counts its calls; the calls of the real
network, by their number of rows, are timed by themselves. What costs the same in several runs is timed once.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TypeVar

import torch
from torch import Tensor, nn

from memhorizon.datasets.split import Split, load_split
from memhorizon.devices import device_of, with_threads
from memhorizon.errors import InputError
from memhorizon.eval_mode import eval_mode
from memhorizon.experiments.config import Config
from memhorizon.experiments.executors.base import reason
from memhorizon.experiments.rows import observed, reference_of
from memhorizon.experiments.run import LOG_ROWS
from memhorizon.files.plain import append_lines
from memhorizon.measure.reference import Reference
from memhorizon.training import TrainState, train

WARM = 2  # calls before the timing begins
MOST = 200  # calls that are timed at most
BUDGET = 0.5  # seconds of timing for one part
# A timing begins with few items, so that a large network is not timed on all of them.
FEW = 4
GROWTH = 8
PATH_VALUES = 3e8  # values along all sampling paths that are computed for a trial; beyond, fewer samples
BUSY_SECONDS = 60  # a burner ends by itself after so long, should nobody end it

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """Seconds that the parts of a run take.

    Attributes:
        start: reading the data and building the network.
        update: one update.
        snapshot: measuring one snapshot.
        row: bringing one row of the log to the disk.
    """

    start: float
    update: float
    snapshot: float
    row: float = 0.0

    def seconds(self, config: Config, *, done: int = 0) -> float:
        """Seconds that a run takes after `done` of its updates; 0 for a finished one."""
        if done >= config.train.n_updates:
            return 0.0
        marks = config.measure.marks(config.train.n_updates)
        snapshots = sum(mark > done for mark in marks)
        updates = config.train.n_updates - done
        rows = updates / math.ceil(config.train.n_updates / LOG_ROWS) + snapshots
        return self.start + updates * self.update + rows * self.row + snapshots * self.snapshot


def costs(
    configs: Sequence[Config],
    *,
    device: str | torch.device | None = None,
    threads: int | None = None,
    at_once: int = 1,
) -> Iterator[Cost | InputError]:
    """Time the parts of each run, one after the other.

    A run that cannot be done gives its error in place of its cost, as it will when it begins.

    Args:
        configs: the runs.
        device: where they will compute; None for the default device.
        threads: threads that a run will have; None for those of this process.
        at_once: how many runs will compute side by side; the others are imitated while time is taken.

    Raises:
        InputError: if there is no such device.
    """
    watch = _Stopwatch(device_of(device))
    with with_threads(threads or torch.get_num_threads()), _others(at_once - 1):
        for config in configs:
            try:
                yield watch.cost(config)
            except (InputError, OSError, MemoryError, RuntimeError) as error:
                yield InputError(reason(error))


def wall_seconds(seconds: Sequence[float], processes: int) -> float:
    """Time until all runs are done, each by the first process that is free, in the given order.

    >>> wall_seconds([3.0, 2.0, 2.0], 2)
    4.0
    """
    free = [0.0] * processes
    for run in seconds:
        free.sort()
        free[0] += run
    return max(free)


@dataclass
class _Stopwatch:
    """Times parts of runs and remembers what is timed."""

    device: torch.device
    known: dict[Hashable, object] = field(default_factory=dict)

    def once(self, key: Hashable, measure: Callable[[], T]) -> T:
        """What `measure` returned the first time that it was asked for this key."""
        if key not in self.known:
            self.known[key] = measure()
        return self.known[key]  # pyright: ignore[reportReturnType]

    def cost(self, config: Config) -> Cost:
        """Time the parts of one run."""
        data = replace(config.data, subset=0)
        split, reading = self.once(data, lambda: _timed(lambda: load_split(config.data).to(self.device)))
        model, building = self.once(
            (config.model, split.item_shape),
            lambda: _timed(lambda: _network(config, split.item_shape, self.device)),
        )
        row = self.once("row", lambda: median(_rows()))
        looking = self._snapshot(config, split, model)
        return Cost(reading + building, self._update(config, split), looking, row)

    def _snapshot(self, config: Config, split: Split, model: nn.Module) -> float:
        """Seconds of one snapshot: what does not depend on the network, and the calls of the network."""
        data = replace(config.data, subset=0)
        looks = replace(config.measure, snapshots=1, first=1)
        rest, calls = self.once(
            (data, config.schedule, config.train.prediction, config.train.diffusion_time, looks),
            lambda: _free_snapshot(config, split),
        )
        looking = 0.0
        for rows, count in calls.items():
            call = partial(self._seconds_of_call, model, split.item_shape, rows)
            looking += count * self.once((config.model, split.item_shape, rows), call)
        return rest + looking

    def _update(self, config: Config, split: Split) -> float:
        """Seconds of one update."""
        items = min(config.train.batch_size or len(split.train), len(split.train))
        optimizer = replace(config.optimizer, lr=1.0, weight_decay=0.0)
        alike = (config.model, split.item_shape, items, optimizer, replace(config.train, n_updates=1))
        return self.once(
            alike, lambda: _scaled(items, lambda size: _updates(config, split, size, self.device))
        )

    def _seconds_of_call(self, model: nn.Module, shape: tuple[int, ...], rows: int) -> float:
        return _scaled(rows, lambda size: _calls(model, shape, size, self.device))


class _Free(nn.Module):
    """A network that costs nothing; it counts its calls by their number of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[int] = Counter()

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Return the input."""
        self.calls[len(x)] += 1
        return x


def _free_snapshot(config: Config, split: Split) -> tuple[float, dict[int, float]]:
    """Seconds of a snapshot without its network, and the calls of the network by their rows."""
    wanted = config.measure.n_samples
    path_values = config.measure.sampler.n_solver_steps * split.train[0].numel()
    most = max(100, int(PATH_VALUES / path_values))
    reference = reference_of(split)
    _look(config, reference, min(wanted, 16))  # what is imported or set up at the first time is not timed
    if wanted <= most:
        seconds, calls = _look(config, reference, wanted)
        return seconds, dict(calls)
    return _extrapolated(config, reference, wanted, most)


def _extrapolated(
    config: Config, reference: Reference, wanted: int, most: int
) -> tuple[float, dict[int, float]]:
    """From fewer samples: what does not depend on them once, the rest in proportion to their number."""
    fixed, calls_fixed = _look(config, reference, 0)
    few, calls_few = _look(config, reference, most)
    scale = wanted / most
    scaled = {
        rows: calls_fixed[rows] + scale * (count - calls_fixed[rows]) for rows, count in calls_few.items()
    }
    return fixed + scale * (few - fixed), scaled


def _look(config: Config, reference: Reference, n_samples: int) -> tuple[float, Counter[int]]:
    """Seconds of a snapshot with so many samples of a network that costs nothing, and its calls."""
    network = _Free()
    trial = replace(config, measure=replace(config.measure, n_samples=n_samples))
    _, seconds = _timed(lambda: observed(network, reference, trial))
    return seconds, network.calls


def _network(config: Config, item_shape: tuple[int, ...], device: torch.device) -> nn.Module:
    return config.model.build(item_shape, n_levels=config.schedule.n_levels, seed=0).to(device)


def _scaled(items: int, times: Callable[[int], Iterator[float]]) -> float:
    """Median seconds of a call on so many items; timed on fewer and scaled where all would take too long."""
    size = min(FEW, items)
    while size < items:
        brief = median(islice(times(size), 1, 3))
        if brief * GROWTH > BUDGET:
            break
        size = min(items, size * GROWTH)
    return median(_within(times(size))) * items / size


def _within(times: Iterator[float]) -> Iterator[float]:
    """The timings that fit into the budget, without those that warm up where there are later ones."""
    spent = 0.0
    for k, seconds in enumerate(times):
        spent += seconds
        if k >= WARM or spent > BUDGET:
            yield seconds
        if spent > BUDGET:
            return


def _updates(config: Config, split: Split, size: int, device: torch.device) -> Iterator[float]:
    """Seconds of each of a few updates on `size` items."""
    model = _network(config, split.item_shape, device)
    state = TrainState.new(model, config.optimizer, ema=config.train.ema)
    trial = replace(config.train, n_updates=WARM + MOST, batch_size=size)
    steps = train(state, split.train, schedule=config.schedule.build(), config=trial, seed=0)
    before = time.perf_counter()
    for step in steps:
        float(step.loss)  # wait for the device
        now = time.perf_counter()
        yield now - before
        before = now


def _calls(model: nn.Module, shape: tuple[int, ...], size: int, device: torch.device) -> Iterator[float]:
    """Seconds of each of a few calls of a network on `size` rows, as they are made in measuring."""
    x = torch.ones(size, *shape, device=device)
    index = torch.full((size,), 1, device=device)
    with torch.no_grad(), eval_mode(model):
        for _ in range(WARM + MOST):
            _, seconds = _timed(lambda: float(model(x, index).flatten()[0]))
            yield seconds


def _rows() -> Iterator[float]:
    """Seconds that each of a few rows of a log takes, on the disk of temporary files."""
    with tempfile.TemporaryDirectory() as folder:
        for step in range(WARM + 5):
            row = {"step": step, "loss": 0.1, "seconds": 0.1}
            yield _timed(lambda row=row: append_lines(Path(folder, "steps.jsonl"), [row]))[1]


def _timed(action: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    value = action()
    return value, time.perf_counter() - started


_BURN = f"""
import time, numpy
x = numpy.random.default_rng(0).standard_normal((192, 192), dtype=numpy.float32)
until = time.monotonic() + {BUSY_SECONDS}
while time.monotonic() < until:
    x @ x
"""


@contextmanager
def _others(count: int) -> Iterator[None]:
    """Keep so many further cores busy, as the other runs of a sweep will do."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    burners = [
        subprocess.Popen([sys.executable, "-I", "-c", _BURN], env=os.environ | single) for _ in range(count)
    ]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
