"""The time at which samples first have a quality, by that quality and by n, from committed sweeps on images.

Runs of one sweep are compared at levels that are powers of two of the distance of their samples from held-out
items, so that no level rests on how good the best run is or how long it lasts.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from memhorizon.experiments.recipe import Found, Request
from memhorizon.recipes.inputs import origin_of, read_inputs
from memhorizon.recipes.pooled import Interval, bare, mean_time, power_of
from memhorizon.recipes.tables import found_table, grouped
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Status, Time
from memhorizon.timescales.pooling import Pooled
from memhorizon.timescales.rules import OF_SAMPLES
from memhorizon.timescales.times import generalization_time

NAME = "quality_levels"
SWEEPS = ("window_digits", "window_fashion")
LEVELS = 4  # of a sweep and a quality, each half of the one before
FEWEST_SIZES = 3  # of the n_train at which a run must reach a level for it to be kept


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What was read."""

    sweep: Annotated[str, "the record that was read"]
    quality: Annotated[str, "the curve that tau_gen is read from"]
    level: Annotated[float, "tau_gen: first time at which the distance is at most this"]


@dataclass(frozen=True, kw_only=True)
class LawRow(_Read):
    """The law of tau_gen at one level."""

    part: Annotated[str, "a law over all n_train, or the times at one"] = "law"
    exponent: Annotated[Interval, "tau_gen ~ n^exponent with 95 % interval, censored times included"]
    observed: Annotated[int, "number of times that were observed"]
    censored: Annotated[int, "number of times that entered as bounds"]
    status: Annotated[Status, "of the fit"]
    note: Annotated[str, "details of the status"] = ""


@dataclass(frozen=True, kw_only=True)
class SizeRow(_Read):
    """tau_gen at one level and one n_train."""

    part: Annotated[str, "a law over all n_train, or the times at one"] = "size"
    n_train: Annotated[int, "number of training items"]
    tau_gen: Annotated[tuple[Time, ...], "of each seed"]
    mean: Annotated[Pooled, "geometric mean over the seeds; a bound where some were not observed"]


KINDS = (LawRow, SizeRow)
Row = LawRow | SizeRow


def make(request: Request) -> Found:
    """The rows of both sweeps; of one where it is tiny."""
    records = read_inputs(SWEEPS, request)
    rows = [row for record in records for row in rows_of(record)]
    settings = {"inputs": origin_of(records, request.records), "levels": LEVELS}
    return found_table(NAME, rows, KINDS, settings=settings, summary=summarise(rows))


def rows_of(record: SweepRecord) -> Iterator[Row]:
    """The law and the times at each level of each quality that all runs have."""
    for quality in OF_SAMPLES:
        if all(quality in run.curves for run in record.runs):
            for level in levels_of(record.runs, quality):
                yield _law(record, quality, level)
                for n_train, runs in grouped(record.runs, lambda run: run.n_train).items():
                    yield _size(record.name, quality, level, n_train, runs)


def levels_of(runs: Sequence[RunRecord], quality: str) -> list[float]:
    """Powers of two, the largest first, down to the last one that runs of enough n_train reach."""
    best: dict[int, float] = {}
    for run in runs:
        best[run.n_train] = min(best.get(run.n_train, math.inf), float(run.curves[quality].value.min()))
    reached = sorted(best.values())[min(FEWEST_SIZES, len(best)) - 1]
    last = math.ceil(math.log2(max(reached, np.finfo(float).tiny)))
    return [2.0 ** (last + k) for k in reversed(range(LEVELS))]


def time_at(run: RunRecord, quality: str, level: float) -> Time:
    """When the samples of a run are first as near to held-out items as a level."""
    return bare(generalization_time(run.curves[quality], level=level, steep=True))


def _law(record: SweepRecord, quality: str, level: float) -> LawRow:
    times = [time_at(run, quality, level) for run in record.runs]
    power = power_of([run.n_train for run in record.runs], times)
    return LawRow(
        sweep=record.name,
        quality=quality,
        level=level,
        exponent=Interval(power.value, power.low, power.high),
        observed=power.observed,
        censored=power.censored,
        status=power.status,
        note=power.note,
    )


def _size(sweep: str, quality: str, level: float, n_train: int, runs: Sequence[RunRecord]) -> SizeRow:
    times = tuple(time_at(run, quality, level) for run in runs)
    return SizeRow(
        sweep=sweep,
        quality=quality,
        level=level,
        n_train=n_train,
        tau_gen=times,
        mean=mean_time(times),
    )


def summarise(rows: Sequence[Row]) -> dict[str, tuple[float, float]]:
    """The smallest and the largest fitted exponent of each sweep and quality, over its levels."""
    fitted = [row for row in rows if isinstance(row, LawRow) and row.status is Status.FITTED]
    return {
        f"{sweep}, {quality}": (min(values), max(values))
        for (sweep, quality), own in grouped(fitted, lambda row: (row.sweep, row.quality)).items()
        if (values := [row.exponent.value for row in own])
    }
