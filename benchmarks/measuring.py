"""How long the measures of a run take beside its training, and where that time goes.

    python benchmarks/measuring.py        (ten minutes)

Goal: at most a tenth of the time of the updates by default; recipes have settings of their own. Both are
processor times on one thread: of updates after the first 30, and of measurements of a network, times how many
of each a run has. What follows from the sets alone (groups of duplicates, the null of the memorized fraction,
main directions) is computed once, which is timed apart, at the first measurement.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from timing import environment, table, write

from memhorizon.cli.runs import DEFAULT
from memhorizon.datasets.split import load_split
from memhorizon.experiments import demo
from memhorizon.experiments.config import Config
from memhorizon.experiments.rows import observed, reference_of
from memhorizon.measure import snapshot
from memhorizon.recipes.settings import MIXTURE, at_each_n
from memhorizon.recipes.sweeps import ENTRIES
from memhorizon.training import TrainState, train

PARTS = {"losses": "_losses", "samples": "_generated"}  # functions of memhorizon.measure.snapshot
COLUMNS = {
    "run": "whose settings",
    "n_train": "training items",
    "updates": "of the run",
    "snapshots": "of the run",
    "update_ms": "median time of an update",
    "snapshot_s": "median time of the measures of a snapshot but the first",
    "once_s": "time that the first takes beyond it",
    "losses_s": "of it, training and held-out losses",
    "samples_s": "of it, drawing samples",
    "share": "all measures over all updates",
}


def configs() -> Iterator[tuple[str, Config]]:
    """What mh.run and the command train do by default; runs of the demo, of window_digits, over a mixture."""
    yield "mh.run by default", Config()
    yield "train by default", DEFAULT
    for config in demo.configs():
        yield "demo", config
    for config in ENTRIES["window_digits"].configs():
        if config.seed == 0 and config.data.n_train <= 256:
            yield "window_digits", config
    for config in at_each_n(MIXTURE, {256: 20_000}):
        yield "mixture", config


def updates(config: Config) -> tuple[TrainState, float]:
    """A network after some updates, and the median time of one."""
    split = load_split(config.data)
    state = TrainState.new(config.model.build(split.item_shape, seed=config.seed), config.optimizer)
    schedule = config.schedule.build()
    steps = train(state, split.train, schedule=schedule, config=config.train, seed=config.seed)
    for _ in range(30):
        next(steps)
    return state, statistics.median(timed(lambda: next(steps)) for _ in range(60))


def timed(do: Callable[[], object]) -> float:
    """Seconds of the processor."""
    begun = time.process_time()
    do()
    return time.process_time() - begun


def noting(spent: dict[str, list[float]]) -> None:
    """Note the times of the parts of a measurement from now on."""
    for part, name in PARTS.items():
        setattr(snapshot, name, _noted(getattr(snapshot, name), spent.setdefault(part, [])))


def _noted(function: Callable[..., object], times: list[float]) -> Callable[..., object]:
    def call(*args: object) -> object:
        begun = time.process_time()
        found = function(*args)
        times.append(time.process_time() - begun)
        return found

    return call


def row_of(name: str, config: Config, spent: dict[str, list[float]]) -> dict[str, object]:
    """One row of the record."""
    state, update = updates(config)
    reference = reference_of(load_split(config.data))
    for times in spent.values():
        times.clear()
    seconds = [timed(lambda: observed(state.shipped, reference, config)) for _ in range(3)]
    each = statistics.median(seconds[1:])
    once = max(0.0, seconds[0] - each)
    count = len(config.measure.marks(config.train.n_updates))
    parts = {f"{part}_s": round(statistics.median(times[1:]), 3) for part, times in spent.items()}
    share = (count * each + once) / (config.train.n_updates * update)
    return {
        "run": name,
        "n_train": config.data.n_train,
        "updates": config.train.n_updates,
        "snapshots": count,
        "update_ms": round(1e3 * update, 2),
        "snapshot_s": round(each, 3),
        "once_s": round(once, 3),
        **parts,
        "share": round(share, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--defaults", action="store_true", help="those alone, without a record")
    only_defaults = parser.parse_args().defaults
    before = environment()
    torch.set_num_threads(1)
    spent: dict[str, list[float]] = {}
    noting(spent)
    found = list(configs())[: 2 if only_defaults else None]
    rows = [row_of(name, config, spent) for name, config in found]
    print(table(rows))
    if only_defaults:
        return
    command = "python benchmarks/measuring.py"
    print("wrote", write("measuring", command, before, rows, columns=COLUMNS, goal={"share": 0.1}))


if __name__ == "__main__":
    main()
