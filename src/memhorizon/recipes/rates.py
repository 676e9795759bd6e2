"""Is training time the step times lr / (1 - momentum)? The times of SGD against that rate, from two sweeps.

Where steps are small, momentum m makes a step as long as 1 / (1 - m) plain ones, and both follow the gradient
flow: the time is one over the rate (Sec. 3 counts training in steps times learning rate). Runs of one seed
share items, weights and noise, so times are compared seed by seed.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memhorizon.figures.records import time_of
from memhorizon.recipes.inputs import RESULTS, read_sweeps
from memhorizon.recipes.theory_record import write_record
from memhorizon.recipes.times import geometric_mean, plain_time, ratio

NAME = "rates"
SWEEPS = ("lr_sgd_mixture", "momentum_mixture")
CLOCKS = ("tau_gen", "tau_mem")
UNIT = {"value": 1.0, "status": "observed"}
Row = dict[str, Any]

COLUMNS = {
    "part": "run; setting: the runs of one setting; pair: settings of one sweep at neighbouring rates; "
    "same: two sweeps at one rate",
    "sweep": "the record that was read",
    "lr": "learning rate",
    "momentum": "of SGD",
    "rate": "lr / (1 - momentum); pair: the lower one",
    "next": "pair: the higher rate",
    "seed": "run: of weights, noise and items",
    "tau_gen": "run: steps, as the sweep's rules read it; setting: geometric mean of seeds, 95 % t interval",
    "tau_mem": "the same of tau_mem",
    "time": "setting: tau_mem times the rate",
    "clock": "pair, same: tau_gen or tau_mem",
    "exponent": "pair: log of the ratio of times over that of the rates, over seeds; -1 in the flow",
    "ratio": "same: time with the smaller momentum over that with the larger, over seeds",
}


def run_rows(record: Mapping[str, Any]) -> Iterator[Row]:
    """Every run with its rate."""
    for run in record["runs"]:
        optimizer = run["config"]["optimizer"]
        lr, momentum = optimizer["lr"], optimizer["momentum"]
        row: Row = {"part": "run", "sweep": record["name"], "lr": lr, "momentum": momentum}
        row |= {"rate": float(f"{lr / (1 - momentum):.12g}"), "seed": run["seed"]}  # 0.06 by both roads
        yield row | {clock: plain_time(time_of(run["times"][clock])) for clock in CLOCKS}


def settings_of(runs: Sequence[Row]) -> list[list[Row]]:
    """The runs of each setting, in the order of sweeps and rates; within one in that of seeds."""
    ordered = sorted(runs, key=lambda row: (row["sweep"], row["rate"], row["momentum"], row["seed"]))
    return [list(own) for _, own in itertools.groupby(ordered, key=lambda r: (r["sweep"], r["rate"]))]


def setting_row(own: Sequence[Row]) -> Row:
    """Mean times of one setting, in steps, and in steps times the rate."""
    row = {"part": "setting", **{name: own[0][name] for name in ("sweep", "lr", "momentum", "rate")}}
    row |= {clock: geometric_mean([ratio(r[clock], UNIT) for r in own]) for clock in CLOCKS}
    return row | {"time": _scaled(row["tau_mem"], row["rate"])}


def _scaled(mean: Row, factor: float) -> Row:
    return mean | {end: mean[end] and mean[end] * factor for end in ("value", "low", "high")}


def compared(below: Sequence[Row], above: Sequence[Row], clock: str) -> Row:
    """Mean ratio of times, above over below, seed by seed."""
    other = {row["seed"]: row[clock] for row in above}
    return geometric_mean([ratio(other[row["seed"]], row[clock]) for row in below if row["seed"] in other])


def pair_rows(settings: Sequence[Sequence[Row]]) -> Iterator[Row]:
    """The local exponent of each clock between neighbouring rates of one sweep."""
    for below, above in itertools.pairwise(settings):
        if below[0]["sweep"] != above[0]["sweep"]:
            continue
        rates = (below[0]["rate"], above[0]["rate"])
        row: Row = {"part": "pair", "sweep": below[0]["sweep"], "rate": rates[0], "next": rates[1]}
        for clock in CLOCKS:
            mean, unit = compared(below, above, clock), math.log(rates[1] / rates[0])
            ends = {end: mean[end] and math.log(mean[end]) / unit for end in ("value", "low", "high")}
            yield row | {"clock": clock, "exponent": mean | ends}


def same_rows(settings: Sequence[Sequence[Row]]) -> Iterator[Row]:
    """Settings of two sweeps that have one rate."""
    for own, other in itertools.combinations(settings, 2):
        if own[0]["sweep"] == other[0]["sweep"] or own[0]["rate"] != other[0]["rate"]:
            continue
        small, large = sorted((own, other), key=lambda rows: rows[0]["momentum"])
        row: Row = {"part": "same", "rate": own[0]["rate"]}
        row |= {"momentum": [small[0]["momentum"], large[0]["momentum"]]}
        row |= {"lr": [small[0]["lr"], large[0]["lr"]]}
        for clock in CLOCKS:
            yield row | {"clock": clock, "ratio": compared(large, small, clock)}


def rows_of(records: Mapping[str, Mapping[str, Any]]) -> Iterator[Row]:
    """Runs, settings, pairs, and what two sweeps share."""
    runs = [row for record in records.values() for row in run_rows(record)]
    settings = settings_of(runs)
    yield from runs
    yield from (setting_row(own) for own in settings)
    yield from pair_rows(settings)
    yield from same_rows(settings)


def run(out: Path, tiny: bool = False, results: Path = RESULTS) -> Path:
    """Write OUT/rates.json from the sweeps in `results`. Seconds; nothing is trained."""
    records, inputs = read_sweeps(SWEEPS[: 1 if tiny else None], results)
    return write_record(
        out,
        NAME,
        lambda: rows_of(records),
        columns=COLUMNS,
        settings={"inputs": inputs},
        tiny=tiny,
        recipe=NAME,
    )
