"""The four demands of recipe monitor_rules in trainings drawn at random, none of which is in the suite.

    python benchmarks/unseen_trainings.py        (twelve trainings, some six minutes on two cores)

Kind of data, number of items, width, prediction, optimizer, learning rate and seed are drawn; the monitor has
its default budget. tau_gen is where the loss of test items comes down to a level that all trainings of a kind
reach, those of the committed suite included.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from multiprocessing import get_context

import torch
from timing import RECORDS, environment, table, write

from memhorizon.recipes.monitor_rules.numbers import (
    KINDS,
    TOLERANCE,
    TrainingRow,
    kind_of,
    rule_rows,
    training_row,
)
from memhorizon.recipes.monitor_rules.seen import Run
from memhorizon.recipes.monitor_rules.suite import Data, Samples, Training, trainings
from memhorizon.recipes.monitor_rules.watching import watch
from memhorizon.recipes.tables import of_kind, typed_rows
from memhorizon.records.files import load_record

UPDATES = {16: 2500, 32: 3500, 48: 4500, 64: 5000, 96: 6000, 128: 7000}
ITEMS = {"mixture": (32, 48, 64, 96, 128), "digits": (32, 48, 64, 96, 128), "fashion": (16, 32, 48)}
SGD_RATES = {"mixture": 6e-3, "digits": 3e-2, "fashion": 3e-2}
DATA: tuple[Data, ...] = ("mixture", "digits", "digits", "fashion")
SLOW = 1e-3  # learning rate below which a training is 1.4 times as long
COLUMNS = {
    "training": "its name: data, n, width, prediction, optimizer, learning rate, seed",
    "updates": "length of the training",
    "tau_gen": "step at which the loss of test items reaches the level of its kind",
    "stop": "step at which the monitor stopped; the last where it did not",
    "copies": "share of 5,000 fresh samples at the stop",
    "ships": "step of the checkpoint that it ships",
    "ratio": "loss of test items there over the smallest among snapshots with at most 1 % copies",
    "shipped": "share of copies there",
    "upper": "limit of its certificate",
    "overhead": "time of the monitor until the stop over that of the training",
    "demands": "of the four, how many are met",
}


def drawn(count: int, seed: int) -> list[Training]:
    """So many trainings that are not in the suite."""
    rng = random.Random(seed)
    known = {training.name for training in trainings("here")}
    found: list[Training] = []
    while len(found) < count:
        training = _drawn(rng)
        if training.name not in known:
            known.add(training.name)
            found.append(training)
    return found


def _drawn(rng: random.Random) -> Training:
    data = rng.choice(DATA)
    n_train = rng.choice(ITEMS[data])
    width = rng.choice((64, 128, 256))
    prediction = rng.choice(("noise", "v", "velocity"))
    optimizer = rng.choice(("adam", "adamw", "sgd"))
    lr = SGD_RATES[data] if optimizer == "sgd" else rng.choice((3e-4, 5e-4, 1e-3))
    n_updates = round(UPDATES[n_train] * (1.0 if lr >= SLOW else 1.4))
    return Training(data, n_train, n_updates, width, prediction, optimizer, lr, rng.choice((6, 7, 8, 9)))


def levels_with(runs: Sequence[tuple[Training, Run]]) -> dict[tuple[str, str], float]:
    """The level of each kind, of these trainings and those of the suite."""
    record = load_record(RECORDS.parent / "monitor_rules.json")
    names = {training.name: training for training in trainings("here")}
    lowest: dict[tuple[str, str], float] = {}

    def take(training: Training, loss: float) -> None:
        kind = kind_of(training)
        lowest[kind] = max(lowest.get(kind, 0.0), loss)

    for row in of_kind(typed_rows(record.rows, KINDS), TrainingRow):
        take(names[row.training], float(row.test.min()))
    for training, run in runs:
        take(training, min(shot.test for shot in run.snapshots))
    return {kind: (1 + TOLERANCE) * loss for kind, loss in lowest.items()}


def watched(training: Training) -> tuple[Training, Run]:
    """A training with its monitor, on one thread."""
    torch.set_num_threads(1)
    return training, watch(training, Samples(), torch.device("cpu"))


def rows_of(runs: Sequence[tuple[Training, Run]]) -> Iterator[dict[str, object]]:
    """What the monitor did in each."""
    levels = levels_with(runs)
    for training, run in runs:
        known = training_row(training, run, levels[kind_of(training)])
        row = next(row for row in rule_rows(known, training, run, None) if row.rule.startswith("monitor"))
        yield {
            "training": training.name,
            "updates": training.n_updates,
            "tau_gen": round(known.tau_gen, 1),
            "stop": row.stop,
            "copies": row.copies.value,
            "ships": row.ships,
            "ratio": None if row.ratio is None else round(row.ratio, 4),
            "shipped": None if row.shipped is None else row.shipped.value,
            "upper": None if row.upper is None else round(row.upper, 5),
            "overhead": None if row.overhead is None else round(row.overhead, 4),
            "demands": sum((row.after_tau_gen, row.few_copies, row.near_best, row.certified)),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=778)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    before = environment()
    with get_context("spawn").Pool(options.processes) as pool:
        runs = pool.map(watched, drawn(options.count, options.seed), chunksize=1)
    rows = list(rows_of(runs))
    print(table(rows))
    summary = {"all_four": sum(row["demands"] == 4 for row in rows), "trainings": len(rows)}
    settings = {"seed": options.seed, "budget": 0.05}
    command = f"python benchmarks/unseen_trainings.py --count {options.count} --seed {options.seed}"
    print(write("unseen_trainings", command, before, rows, columns=COLUMNS, summary=summary, **settings))


if __name__ == "__main__":
    main()
