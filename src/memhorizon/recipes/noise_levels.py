"""Claim 4, from committed sweeps: the noise level that overfitting shows at first, its lead on copies."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memhorizon.figures.records import curve_of, time_of
from memhorizon.recipes.inputs import RESULTS, read_sweeps
from memhorizon.recipes.theory_record import write_record
from memhorizon.recipes.times import exponent, geometric_mean, plain_time, ratio
from memhorizon.results import Time
from memhorizon.timescales.times import argmin_time, gap_opening_time, generalization_time, quality_level

SWEEPS = ("n_digits", "n_fashion", "n_mixture_adam", "n_mixture_sgd")  # those that are there are read
REFERENCE = 0.3  # the t that the others are held against
SHARE = 0.1  # of a quality level: the gap that counts as open, as in measure.timescales.timescales
CLOCKS = ("opening", "opening_shared", "argmin")
Row = dict[str, Any]

COLUMNS = {
    "part": "run: one run at one noise level; group: the runs of one n (n_train null: of all n) at one",
    "sweep": "the record that was read",
    "key": "run: its name there",
    "seed": "run: its seed",
    "n_train": "number of training items",
    "t": "diffusion time, the noise level",
    "delta_t": "1 - exp(-2t), its noise variance",
    "level": "gap that counts as open: a tenth of the quality level of the held-out loss at this t",
    "level_shared": "the same gap for all t: a tenth of that level at the reference t",
    "opening": "steps at which the gap exceeds `level` for good (run: of one run; group: geometric mean)",
    "opening_shared": "the same for `level_shared`",
    "argmin": "steps at which the held-out loss at this t is smallest",
    "tau_mem": "steps at which the memorized fraction exceeds its null by the sweep's level, as recorded",
    "runs": "group: number of runs",
    "relative": "group: opening at this t over opening at the reference t, run by run",
    "relative_shared": "the same for opening_shared",
    "lag": "group: tau_mem/opening, run by run",
    "lag_shared": "group: tau_mem/opening_shared, run by run",
    "lag_argmin": "group: tau_mem/argmin, run by run",
    "exponent": "group of all n: opening ~ n^exponent, censored times included",
    "exponent_argmin": "the same for the argmin",
}


def levels_of(record: Mapping[str, Any]) -> list[float]:
    """The noise levels at which every run has its gap, ascending."""
    every = [{name for name in run["curves"] if name.startswith("gap@")} for run in record["runs"]]
    return sorted(float(name.removeprefix("gap@")) for name in set.intersection(*every))


def reference_of(levels: Sequence[float]) -> float:
    """The noise level nearest to REFERENCE."""
    return min(levels, key=lambda t: abs(math.log(t / REFERENCE)))


def holdout_level(record: Mapping[str, Any], t: float) -> float:
    """The quality level of the held-out loss at t, one for all runs of a sweep."""
    curves = [curve_of(run, f"holdout@{t:g}") for run in record["runs"]]
    return quality_level(curves, tolerance=record["rules"]["tolerance"])


def clocks_at(run: Mapping[str, Any], t: float, level: float, shared: float) -> dict[str, Time]:
    """The clocks of a run at one noise level; `level` of the held-out loss there, `shared` for all."""
    holdout, gap = curve_of(run, f"holdout@{t:g}"), curve_of(run, f"gap@{t:g}")
    return {
        "tau_gen": generalization_time(holdout, level=level),
        "opening": gap_opening_time(gap, level=SHARE * level),
        "opening_shared": gap_opening_time(gap, level=SHARE * shared),
        "argmin": argmin_time(holdout),
        "tau_mem": time_of(run["times"]["tau_mem"]),
    }


def run_rows(record: Mapping[str, Any], levels: Sequence[float]) -> Iterator[Row]:
    """One row per run and noise level."""
    shared = holdout_level(record, reference_of(levels))
    for t in levels:
        level = holdout_level(record, t)
        for run in record["runs"]:
            clocks = clocks_at(run, t, level, shared)
            yield {
                "part": "run",
                "sweep": record["name"],
                **{name: run[name] for name in ("key", "n_train", "seed")},
                "t": t,
                "delta_t": -math.expm1(-2 * t),
                "level": SHARE * level,
                "level_shared": SHARE * shared,
                **{name: plain_time(clocks[name]) for name in (*CLOCKS, "tau_mem")},
            }


def group_row(rows: Sequence[Row], reference: Sequence[Row], n_train: int | None) -> Row:
    """Runs of one n, or of all, at one noise level; `reference` holds the same runs at the reference t."""
    unit = {"value": 1.0, "status": "observed"}
    row: Row = {"part": "group", "n_train": n_train, "runs": len(rows)}
    row |= {name: rows[0][name] for name in ("sweep", "t", "delta_t", "level", "level_shared")}
    for name in (*CLOCKS, "tau_mem"):
        row[name] = geometric_mean([ratio(r[name], unit) for r in rows])
    for name, clock in zip(("lag", "lag_shared", "lag_argmin"), CLOCKS, strict=True):
        row[name] = geometric_mean([ratio(r["tau_mem"], r[clock]) for r in rows])
    for name, clock in (("relative", "opening"), ("relative_shared", "opening_shared")):
        row[name] = geometric_mean([ratio(a[clock], b[clock]) for a, b in zip(rows, reference, strict=True)])
    if n_train is None:
        row["exponent"], row["exponent_argmin"] = (exponent(rows, name) for name in ("opening", "argmin"))
    return row


def group_rows(rows: Sequence[Row]) -> Iterator[Row]:
    """The groups of one sweep: every n, then all of them, at every noise level."""
    levels = sorted({row["t"] for row in rows})
    sizes: list[int | None] = [*sorted({row["n_train"] for row in rows}), None]
    for n_train in sizes:
        own = [row for row in rows if n_train in (None, row["n_train"])]
        reference = [row for row in own if row["t"] == reference_of(levels)]
        for t in levels:
            yield group_row([row for row in own if row["t"] == t], reference, n_train)


def first_to_open(rows: Sequence[Mapping[str, Any]], clock: str) -> Row:
    """In how many runs each noise level is the first whose gap opens, and in how many that is beyond doubt.

    Beyond doubt: its interval ends before that of any other level begins. Undetermined times do not compete.
    """
    count: Row = {f"t = {t:g}": 0 for t in sorted({row["t"] for row in rows})}
    clear = 0
    for key in dict.fromkeys(row["key"] for row in rows):
        own = [row for row in rows if row["key"] == key and row[clock]["status"] != "undetermined"]
        opened = [row for row in own if row[clock]["status"] != "not reached"]
        if not opened:
            continue
        first = min(opened, key=lambda row: row[clock]["value"])
        count[f"t = {first['t']:g}"] += 1
        end = math.inf if first[clock]["high"] is None else first[clock]["high"]
        clear += all(row[clock]["low"] > end for row in own if row is not first)
    return {**count, "runs": len({row["key"] for row in rows}), "beyond doubt": clear}


def summarise(rows: list[Mapping[str, Any]]) -> Row:
    """The answers of each sweep: who opens first, the pooled means and laws of every noise level."""
    found: Row = {}
    names = ("relative", "relative_shared", "lag", "lag_shared", "lag_argmin", "exponent", "exponent_argmin")
    for sweep in dict.fromkeys(row["sweep"] for row in rows):
        runs = [row for row in rows if row["sweep"] == sweep and row["part"] == "run"]
        groups = [row for row in rows if row["sweep"] == sweep and row["part"] == "group"]
        sizes = dict.fromkeys(row["n_train"] for row in runs)
        own = {f"n = {n}": [row for row in runs if row["n_train"] == n] for n in sizes} | {"all": runs}
        found[sweep] = {
            "first to open": {name: first_to_open(some, "opening") for name, some in own.items()},
            "first to open, one gap level": {
                name: first_to_open(some, "opening_shared") for name, some in own.items()
            },
            **{f"t = {g['t']:g}": {k: g[k] for k in names} for g in groups if g["n_train"] is None},
        }
    return found


def run(out: Path, tiny: bool = False, results: Path = RESULTS) -> Path:
    """Write OUT/noise_levels.json from the sweeps in `results`. Seconds; nothing is trained."""
    records, inputs = read_sweeps(SWEEPS[: 1 if tiny else None], results)

    def rows() -> Iterator[Row]:
        for record in records.values():
            levels = levels_of(record)
            own = list(run_rows(record, sorted({levels[0], reference_of(levels)}) if tiny else levels))
            yield from own
            yield from group_rows(own)

    return write_record(
        out,
        "noise_levels",
        rows,
        columns=COLUMNS,
        settings={"inputs": inputs, "share": SHARE, "reference t": REFERENCE},
        summary=summarise,
        tiny=tiny,
        recipe="noise_levels",
    )
