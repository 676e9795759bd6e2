"""The noise level that overfitting shows at first, and its lead on copies, from committed sweeps."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from memhorizon.experiments.recipe import Found, Request
from memhorizon.recipes.inputs import origin_of, read_inputs
from memhorizon.recipes.pooled import bare, mean_ratio, mean_time, power_of
from memhorizon.recipes.tables import entries, found_table, grouped, of_kind
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Curve, Status, Time
from memhorizon.timescales.levels import quality_level
from memhorizon.timescales.pooling import Exponent, Pooled
from memhorizon.timescales.times import argmin_time, gap_opening_time

NAME = "noise_levels"
SWEEPS = ("n_digits", "n_fashion", "n_mixture_adam", "n_mixture_sgd")
REFERENCE = 0.3  # the t that the others are compared with
SHARE = 0.1  # of a quality level: the gap that counts as open, as in timescales.times.timescales
GAP = "gap@"
T = TypeVar("T", bound="Place")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A sweep at one noise level."""

    sweep: Annotated[str, "the record that was read"]
    t: Annotated[float, "diffusion time, the noise level"]
    delta_t: Annotated[float, "1 - exp(-2t), its noise variance"]
    level: Annotated[
        float, "gap that counts as open: a tenth of the quality level of the held-out loss at this t"
    ]
    level_shared: Annotated[float, "the same gap for all t: a tenth of that level at the reference t"]


@dataclass(frozen=True, kw_only=True)
class RunRow(Place):
    """The times of one run at one noise level."""

    part: Annotated[Literal["run"], "one run at one noise level"] = "run"
    key: Annotated[str, "the run's name in its record"]
    n_train: Annotated[int, "number of training items"]
    seed: Annotated[int, "of the run"]
    opening: Annotated[Time, "steps at which the gap exceeds `level` for good"]
    opening_shared: Annotated[Time, "the same for `level_shared`"]
    argmin: Annotated[Time, "steps at which the held-out loss at this t is smallest"]
    tau_mem: Annotated[Time, "steps at which the memorized fraction exceeds its null, as recorded"]


@dataclass(frozen=True, kw_only=True)
class GroupRow(Place):
    """The runs of one n, or of all, at one noise level."""

    part: Annotated[Literal["group"], "the runs of one n at one noise level"] = "group"
    n_train: Annotated[int | None, "number of training items; null for all runs of the sweep"]
    runs: Annotated[int, "number of runs"]
    opening: Annotated[Pooled, "geometric mean over runs"]
    opening_shared: Annotated[Pooled, "geometric mean over runs"]
    argmin: Annotated[Pooled, "geometric mean over runs"]
    tau_mem: Annotated[Pooled, "geometric mean over runs"]
    lag: Annotated[Pooled, "tau_mem/opening, run by run"]
    lag_shared: Annotated[Pooled, "tau_mem/opening_shared, run by run"]
    lag_argmin: Annotated[Pooled, "tau_mem/argmin, run by run"]
    relative: Annotated[Pooled, "opening at this t over opening at the reference t, run by run"]
    relative_shared: Annotated[Pooled, "the same for opening_shared"]
    exponent: Annotated[Exponent | None, "of all n: opening ~ n^exponent, censored times included"] = None
    exponent_argmin: Annotated[Exponent | None, "the same for the argmin"] = None


KINDS = (RunRow, GroupRow)


def make(request: Request) -> Found:
    """Runs and groups of every sweep; of one at two noise levels where it is tiny."""
    records = read_inputs(SWEEPS, request)
    rows = [row for record in records for row in rows_of(record, tiny=request.tiny)]
    settings = {
        "inputs": origin_of(records, request.records),
        "share": SHARE,
        "reference t": REFERENCE,
    }
    return found_table(NAME, rows, KINDS, settings=settings, summary=summarise(rows))


def rows_of(record: SweepRecord, *, tiny: bool = False) -> list[RunRow | GroupRow]:
    """The runs of a sweep and its groups."""
    levels = levels_of(record)
    if tiny:
        levels = sorted({levels[0], reference_of(levels)})
    runs = list(run_rows(record, levels))
    return [*runs, *group_rows(runs)]


def levels_of(record: SweepRecord) -> list[float]:
    """The noise levels at which every run has its gap, ascending."""
    every = [{name for name in run.curves if name.startswith(GAP)} for run in record.runs]
    return sorted(float(name.removeprefix(GAP)) for name in set.intersection(*every))


def reference_of(levels: Sequence[float]) -> float:
    """The noise level nearest to REFERENCE."""
    return min(levels, key=lambda t: abs(math.log(t / REFERENCE)))


def gap_of(run: RunRecord, t: float) -> Curve:
    """Held-out loss less train loss at t."""
    return run.curves[f"{GAP}{t:g}"]


def holdout_of(run: RunRecord, t: float) -> Curve:
    """The held-out loss at t."""
    return run.curves[f"holdout@{t:g}"]


def holdout_level(record: SweepRecord, t: float) -> float:
    """The quality level of the held-out loss at t, one for all runs of a sweep."""
    curves = [holdout_of(run, t) for run in record.runs]
    return quality_level(curves, tolerance=record.rules.tolerance)


def run_rows(record: SweepRecord, levels: Sequence[float]) -> Iterator[RunRow]:
    """One row per noise level and run."""
    shared = SHARE * holdout_level(record, reference_of(levels))
    for t in levels:
        place = place_of(record, t, shared)
        yield from (run_row(run, place) for run in record.runs)


def place_of(record: SweepRecord, t: float, shared: float) -> Place:
    """A sweep at one noise level, with the level that all noise levels share."""
    level = SHARE * holdout_level(record, t)
    # Delta_t = 1 - exp(-2t)
    return Place(sweep=record.name, t=t, delta_t=-math.expm1(-2 * t), level=level, level_shared=shared)


def run_row(run: RunRecord, place: Place) -> RunRow:
    """The times of a run at one noise level."""
    gap = gap_of(run, place.t)
    return RunRow(
        **vars(place),
        key=run.key,
        n_train=run.n_train,
        seed=run.seed,
        opening=bare(gap_opening_time(gap, level=place.level)),
        opening_shared=bare(gap_opening_time(gap, level=place.level_shared)),
        argmin=bare(argmin_time(holdout_of(run, place.t))),
        tau_mem=bare(run.timescales.tau_mem),
    )


def group_rows(rows: Sequence[RunRow]) -> Iterator[GroupRow]:
    """The groups of one sweep: every n, then all of them, at every noise level."""
    sizes: list[int | None] = [*sorted({row.n_train for row in rows}), None]
    for n_train in sizes:
        own = [row for row in rows if n_train in (None, row.n_train)]
        reference = at(own, reference_of(levels_in(own)))
        yield from (group_row(at(own, t), reference, n_train) for t in levels_in(own))


def levels_in(rows: Sequence[Place]) -> list[float]:
    """The noise levels of some rows, ascending."""
    return sorted({row.t for row in rows})


def at(rows: Sequence[T], t: float) -> list[T]:
    """The rows of one noise level."""
    return [row for row in rows if row.t == t]


def group_row(rows: Sequence[RunRow], reference: Sequence[RunRow], n_train: int | None) -> GroupRow:
    """Runs of one n, or of all, at one noise level; `reference` holds the same runs at the reference t."""
    opening = [row.opening for row in rows]
    shared = [row.opening_shared for row in rows]
    argmin = [row.argmin for row in rows]
    tau_mem = [row.tau_mem for row in rows]
    of_all = n_train is None
    return GroupRow(
        sweep=rows[0].sweep,
        t=rows[0].t,
        delta_t=rows[0].delta_t,
        level=rows[0].level,
        level_shared=rows[0].level_shared,
        n_train=n_train,
        runs=len(rows),
        opening=mean_time(opening),
        opening_shared=mean_time(shared),
        argmin=mean_time(argmin),
        tau_mem=mean_time(tau_mem),
        lag=mean_ratio(tau_mem, opening),
        lag_shared=mean_ratio(tau_mem, shared),
        lag_argmin=mean_ratio(tau_mem, argmin),
        relative=mean_ratio(opening, [row.opening for row in reference]),
        relative_shared=mean_ratio(shared, [row.opening_shared for row in reference]),
        exponent=exponent_of(rows, opening) if of_all else None,
        exponent_argmin=exponent_of(rows, argmin) if of_all else None,
    )


def exponent_of(rows: Sequence[RunRow], times: Sequence[Time]) -> Exponent:
    """Times ~ n^exponent."""
    return power_of([row.n_train for row in rows], times)


def first_to_open(rows: Sequence[RunRow], *, shared: bool = False) -> dict[str, int]:
    """In how many runs each noise level is the first whose gap opens, and in how many that is beyond doubt.

    Beyond doubt: its interval ends before that of any other level begins. Undetermined times do not compete.

    Args:
        rows: of the runs, at all noise levels.
        shared: whether the gap that counts as open is the same for all noise levels.
    """
    found = [earliest(openings_of(own, shared)) for own in grouped(rows, lambda row: row.key).values()]
    opened = [t for t, _ in found]
    count = {f"t = {t:g}": opened.count(t) for t in levels_in(rows)}
    return {**count, "runs": len(found), "beyond doubt": sum(alone for _, alone in found)}


def openings_of(rows: Sequence[RunRow], shared: bool) -> dict[float, Time]:
    """When the gap opens at each noise level of one run."""
    return {row.t: row.opening_shared if shared else row.opening for row in rows}


def earliest(openings: Mapping[float, Time]) -> tuple[float | None, bool]:
    """The noise level whose gap opens first, None where none does, and whether that is beyond doubt."""
    competing = {t: time for t, time in openings.items() if time.known and time.determined}
    opened = {t: time for t, time in competing.items() if time.status is not Status.NOT_REACHED}
    if not opened:
        return None, False
    first = min(opened, key=lambda t: opened[t].value)
    end = opened[first].high
    return first, all(time.low > end for t, time in competing.items() if t != first)


def summarise(rows: Sequence[RunRow | GroupRow]) -> dict[str, dict[str, object]]:
    """The answers of each sweep: who opens first, the pooled means and laws of every noise level."""
    return {sweep: summary_of(own) for sweep, own in grouped(rows, lambda row: row.sweep).items()}


def summary_of(rows: Sequence[RunRow | GroupRow]) -> dict[str, object]:
    """The answers of one sweep."""
    runs = of_kind(rows, RunRow)
    sets = {**grouped(runs, lambda row: f"n = {row.n_train}"), "all": runs}
    every = [row for row in of_kind(rows, GroupRow) if row.n_train is None]
    return {
        "first to open": {name: first_to_open(own) for name, own in sets.items()},
        "first to open, one gap level": {name: first_to_open(own, shared=True) for name, own in sets.items()},
        **{f"t = {group.t:g}": answers_of(group) for group in every},
    }


def answers_of(group: GroupRow) -> dict[str, object]:
    """The pooled means and laws of one noise level."""
    names = ("relative", "relative_shared", "lag", "lag_shared", "lag_argmin", "exponent", "exponent_argmin")
    return entries(group, *names)
