"""Do other seeds and other items say the same? Three sweeps done again in full, beside their records.

The seeds of a sweep have weights, noise and items of their own, and so have those of its rerun: nothing is
shared but the configuration. Times of one setting are compared with each other, and so are the laws.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Size
from memhorizon.experiments.record import record, varied
from memhorizon.experiments.sweep import sweep
from memhorizon.figures.records import time_of
from memhorizon.recipes import sweeps
from memhorizon.recipes.inputs import RESULTS, read_sweeps
from memhorizon.recipes.theory_record import write_record
from memhorizon.recipes.times import SIDES, as_time, plain_time, power
from memhorizon.results import ScalingLaw
from memhorizon.timescales.power_law import fit_scaling

NAME = "reruns"
SWEEPS = ("n_mixture_adam", "lr_mixture", "repetition_mixture")
SHIFT = 3  # added to every seed: those of the records are 0, 1, 2
CLOCKS = ("tau_gen", "tau_mem")
Row = dict[str, Any]

COLUMNS = {
    "part": "run: one training of a rerun; setting: the runs of one setting; law: a law of a sweep",
    "sweep": "which sweep was done again",
    "clock": "tau_gen or tau_mem",
    "factor": "law: what the exponent is of; setting: what is varied",
    "value": "run, setting: the value of that factor",
    "seed": "run: of weights, noise and items",
    "step": "run: snapshots",
    "memorized": "run: share of the samples with d1/d2 < 1/3",
    "total": "run: samples at each snapshot",
    "tau_gen": "run: as the sweep's rules read it",
    "tau_mem": "run: as the sweep's rules read it",
    "first": "exponent and 95 % interval in the record, or the times of a setting there",
    "again": "the same in the rerun",
    "both": "law: from the runs of both",
    "difference": "law: again minus first, with its 95 % interval",
    "ratio": "setting: mean time again over first, with its 95 % interval (Welch); null where one is a bound",
    "inside": "law: whether each of the two lies within the interval of the other",
    "agree": "whether the interval of the difference holds 0, that of the ratio 1",
}


def again(name: str, size: Size) -> list[Config]:
    """The configurations of a sweep with other seeds."""
    configs = sweeps.SWEEPS[name].configs(size)
    moved = [replace(own, data=replace(own.data, subset=own.data.subset + SHIFT)) for own in configs]
    return [replace(own, seed=own.seed + SHIFT) for own in moved]


def planned(size: Size = "here") -> list[Config]:
    """All runs."""
    return [own for name in SWEEPS for own in again(name, size)]


def run_rows(made: Mapping[str, Any], factor: str) -> Iterator[Row]:
    """What the rerun saw, short."""
    for run in made["runs"]:
        curve = run["curves"]["memorized"]
        row: Row = {"part": "run", "sweep": made["name"], "factor": factor, "value": run[factor]}
        row |= {"seed": run["seed"], "step": curve["step"], "memorized": curve["value"]}
        row |= {"total": curve["total"]}
        yield row | {clock: plain_time(time_of(run["times"][clock])) for clock in CLOCKS}


def times_of(made: Mapping[str, Any], factor: str, clock: str) -> list[tuple[float, Row]]:
    """The value of the factor and the time of every run."""
    return [(run[factor], plain_time(time_of(run["times"][clock]))) for run in made["runs"]]


def law_of(points: Sequence[tuple[float, Row]]) -> ScalingLaw:
    """Time as a power of the factor."""
    return fit_scaling([{"factor": value, "time": as_time(time)} for value, time in points], by=("factor",))


def law_row(first: Sequence[tuple[float, Row]], other: Sequence[tuple[float, Row]]) -> Row:
    """Two laws of one clock beside each other; their errors are independent."""
    laws = {"first": law_of(first), "again": law_of(other), "both": law_of([*first, *other])}
    row: Row = {name: power(law, "factor") for name, law in laws.items()}
    one, two = row["first"], row["again"]
    if not all(math.isfinite(entry["value"]) for entry in (one, two)):
        return row | {"difference": None, "inside": None, "agree": None}
    value = two["value"] - one["value"]
    down = math.hypot(two["value"] - two["low"], one["high"] - one["value"])
    up = math.hypot(two["high"] - two["value"], one["value"] - one["low"])
    row["difference"] = {"value": value, "low": value - down, "high": value + up}
    inside = (a["low"] <= b["value"] <= a["high"] for a, b in ((one, two), (two, one)))
    return row | {"inside": all(inside), "agree": value - down <= 0 <= value + up}


def setting_row(first: Sequence[Row], other: Sequence[Row]) -> Row:
    """The times of one setting in both, and the ratio of their geometric means."""
    row: Row = {"first": list(first), "again": list(other), "ratio": None, "agree": None}
    if any(SIDES.get(time["status"], 1) for time in (*first, *other)) or min(len(first), len(other)) < 2:
        return row
    logs = [np.log([time["value"] for time in own]) for own in (other, first)]
    test = stats.ttest_ind(*logs, equal_var=False)
    ends = test.confidence_interval(0.95)
    value = math.exp(logs[0].mean() - logs[1].mean())
    row["ratio"] = {"value": value, "low": math.exp(ends.low), "high": math.exp(ends.high)}
    return row | {"agree": bool(ends.low <= 0 <= ends.high)}


def compared(first: Mapping[str, Any], made: Mapping[str, Any]) -> Iterator[Row]:
    """All rows of one sweep."""
    (factor,) = varied(first["runs"])
    yield from run_rows(made, factor)
    for clock in CLOCKS:
        pair = [times_of(one, factor, clock) for one in (first, made)]
        about = {"sweep": made["name"], "clock": clock, "factor": factor}
        yield {"part": "law", **about, **law_row(*pair)}
        for value in sorted({value for value, _ in pair[0]}):
            own = [[time for at, time in points if at == value] for points in pair]
            yield {"part": "setting", **about, "value": value, **setting_row(*own)}


def summarise(rows: list[Mapping[str, Any]]) -> Row:
    """The laws, and how many of the settings agree."""
    laws = [row for row in rows if row["part"] == "law"]
    settings = [row for row in rows if row["part"] == "setting" and row["agree"] is not None]
    counts = {
        clock: {
            "agree": sum(row["agree"] for row in settings if row["clock"] == clock),
            "compared": sum(row["clock"] == clock for row in settings),
        }
        for clock in CLOCKS
    }
    return {"laws": laws, "settings": counts}


def run(out: Path, tiny: bool = False, results: Path = RESULTS) -> Path:
    """Write OUT/reruns.json. Some forty minutes on two cores; seconds when tiny.

    The runs stay in OUT/reruns_parts/: a finished one is not done again.
    """
    sweeps, inputs = read_sweeps(SWEEPS[: 1 if tiny else None], results)
    made: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    seconds = 0.0
    for name, first in sweeps.items():
        rules = sweeps.SWEEPS[name].rules
        folder = out / (f"{NAME}-tiny_parts" if tiny else f"{NAME}_parts") / name
        runs = sweep(again(name, "tiny" if tiny else "here"), root=folder)
        made[name] = (first, record(runs, rules, name=name))
        seconds += sum(own.seconds() for own in runs)
    return write_record(
        out,
        NAME,
        lambda: (row for pair in made.values() for row in compared(*pair)),
        columns=COLUMNS,
        settings={"inputs": inputs, "seeds added": SHIFT},
        summary=lambda rows: summarise(rows) | {"run seconds": seconds},
        tiny=tiny,
        recipe=NAME,
    )
