"""The times of SGD against lr / (1 - momentum), from two sweeps.

Where steps are small, momentum m makes a step as long as 1 / (1 - m) plain ones, and both follow the gradient
flow: the time is one over the rate. Runs of one seed share items, weights and noise, so times are compared
seed by seed.

Source: [bonnaire2025] Sec. 3
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from memhorizon.experiments.recipe import Found, Request
from memhorizon.recipes.inputs import number_of, origin_of, read_inputs
from memhorizon.recipes.pooled import bare, mapped, mean_ratio, mean_time
from memhorizon.recipes.tables import found_table, grouped
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Time
from memhorizon.timescales.pooling import Pooled

NAME = "rates"
SWEEPS = ("lr_sgd_mixture", "momentum_mixture")
TIMESCALES: tuple[Literal["tau_gen", "tau_mem"], ...] = ("tau_gen", "tau_mem")
DIGITS = 12  # of a rate: 0.06 is the same whichever lr and momentum give it


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """A run with its rate."""

    part: Annotated[Literal["run"], "one run"] = "run"
    sweep: Annotated[str, "the record that was read"]
    lr: Annotated[float, "learning rate"]
    momentum: Annotated[float, "of SGD"]
    rate: Annotated[float, "lr / (1 - momentum)"]
    seed: Annotated[int, "of weights, noise and items"]
    tau_gen: Annotated[Time, "steps, as the sweep's rules read it"]
    tau_mem: Annotated[Time, "steps, as the sweep's rules read it"]


@dataclass(frozen=True, kw_only=True)
class SettingRow:
    """The runs of one setting."""

    part: Annotated[Literal["setting"], "the runs of one setting"] = "setting"
    sweep: Annotated[str, "the record that was read"]
    lr: Annotated[float, "learning rate"]
    momentum: Annotated[float, "of SGD"]
    rate: Annotated[float, "lr / (1 - momentum)"]
    tau_gen: Annotated[Pooled, "geometric mean of seeds with 95 % t interval, steps"]
    tau_mem: Annotated[Pooled, "geometric mean of seeds with 95 % t interval, steps"]
    time: Annotated[Pooled, "tau_mem times the rate"]


@dataclass(frozen=True, kw_only=True)
class PairRow:
    """Two settings of one sweep."""

    part: Annotated[Literal["pair"], "settings of one sweep at neighbouring rates"] = "pair"
    sweep: Annotated[str, "the record that was read"]
    rate: Annotated[float, "the lower rate"]
    next: Annotated[float, "the higher rate"]
    timescale: Annotated[str, "tau_gen or tau_mem"]
    exponent: Annotated[
        Pooled, "log of the ratio of times over that of the rates, over seeds; -1 in the flow"
    ]


@dataclass(frozen=True, kw_only=True)
class SameRow:
    """Two settings of one rate."""

    part: Annotated[Literal["same"], "two sweeps at one rate"] = "same"
    rate: Annotated[float, "the rate of both"]
    momentum: Annotated[tuple[float, float], "the smaller and the larger"]
    lr: Annotated[tuple[float, float], "in the same order"]
    timescale: Annotated[str, "tau_gen or tau_mem"]
    ratio: Annotated[Pooled, "time with the smaller momentum over that with the larger, over seeds"]


Row = RunRow | SettingRow | PairRow | SameRow
KINDS = (RunRow, SettingRow, PairRow, SameRow)


def make(request: Request) -> Found:
    """The rows of both sweeps; of one where it is tiny."""
    records = read_inputs(SWEEPS, request)
    settings = {"inputs": origin_of(records, request.records)}
    return found_table(NAME, list(rows_of(records)), KINDS, settings=settings)


def rows_of(records: Sequence[SweepRecord]) -> Iterator[Row]:
    """Runs, settings, pairs, and what two sweeps share."""
    runs = [run_row(record.name, run) for record in records for run in record.runs]
    settings = settings_of(runs)
    yield from runs
    yield from (setting_row(own) for own in settings)
    yield from pair_rows(settings)
    yield from same_rows(settings)


def run_row(sweep: str, run: RunRecord) -> RunRow:
    """A run with its rate, lr / (1 - momentum)."""
    lr = float(number_of(run, "lr"))
    momentum = float(number_of(run, "momentum"))
    return RunRow(
        sweep=sweep,
        lr=lr,
        momentum=momentum,
        rate=rate_of(lr, momentum),
        seed=run.seed,
        tau_gen=bare(run.timescales.tau_gen),
        tau_mem=bare(run.timescales.tau_mem),
    )


def rate_of(lr: float, momentum: float) -> float:
    """The rate lr / (1 - momentum), to DIGITS digits."""
    return float(f"{lr / (1 - momentum):.{DIGITS}g}")


def settings_of(runs: Sequence[RunRow]) -> list[list[RunRow]]:
    """The runs of each setting, in the order of sweeps and rates; within one in that of seeds."""
    ordered = sorted(runs, key=lambda row: (row.sweep, row.rate, row.momentum, row.seed))
    return list(grouped(ordered, lambda row: (row.sweep, row.rate)).values())


def setting_row(own: Sequence[RunRow]) -> SettingRow:
    """Mean times of one setting, in steps, and in steps times the rate."""
    first = own[0]
    tau_mem = mean_time([row.tau_mem for row in own])
    return SettingRow(
        sweep=first.sweep,
        lr=first.lr,
        momentum=first.momentum,
        rate=first.rate,
        tau_gen=mean_time([row.tau_gen for row in own]),
        tau_mem=tau_mem,
        time=scaled(tau_mem, first.rate),
    )


def scaled(mean: Pooled, factor: float) -> Pooled:
    """A mean in another unit."""
    return mapped(mean, lambda number: number * factor)


def compared(below: Sequence[RunRow], above: Sequence[RunRow], timescale: str) -> Pooled:
    """Mean ratio of times, above over below, seed by seed."""
    other = {row.seed: getattr(row, timescale) for row in above}
    shared = [row for row in below if row.seed in other]
    return mean_ratio([other[row.seed] for row in shared], [getattr(row, timescale) for row in shared])


def pair_rows(settings: Sequence[Sequence[RunRow]]) -> Iterator[PairRow]:
    """The local exponent of each timescale between neighbouring rates of one sweep."""
    for below, above in itertools.pairwise(settings):
        if below[0].sweep == above[0].sweep:
            yield from (pair_row(below, above, timescale) for timescale in TIMESCALES)


def pair_row(below: Sequence[RunRow], above: Sequence[RunRow], timescale: str) -> PairRow:
    """D log time / d log rate between two rates."""
    low = below[0].rate
    high = above[0].rate
    exponent = log_over(compared(below, above, timescale), math.log(high / low))
    return PairRow(sweep=below[0].sweep, rate=low, next=high, timescale=timescale, exponent=exponent)


def log_over(ratio: Pooled, unit: float) -> Pooled:
    """Log of a mean ratio in a positive unit; ends without a number stay so."""

    def log(number: float) -> float:
        return math.log(number) / unit if 0 < number < math.inf else number

    return mapped(ratio, log)


def same_rows(settings: Sequence[Sequence[RunRow]]) -> Iterator[SameRow]:
    """Settings of two sweeps that have one rate."""
    for own, other in itertools.combinations(settings, 2):
        if own[0].sweep != other[0].sweep and own[0].rate == other[0].rate:
            yield from same_rate(own, other)


def same_rate(own: Sequence[RunRow], other: Sequence[RunRow]) -> Iterator[SameRow]:
    """Two settings of one rate, in each timescale."""
    small, large = sorted((own, other), key=lambda rows: rows[0].momentum)
    yield from (same_row(small, large, timescale) for timescale in TIMESCALES)


def same_row(small: Sequence[RunRow], large: Sequence[RunRow], timescale: str) -> SameRow:
    """Two settings of one rate, that of the smaller momentum over the other."""
    return SameRow(
        rate=small[0].rate,
        momentum=(small[0].momentum, large[0].momentum),
        lr=(small[0].lr, large[0].lr),
        timescale=timescale,
        ratio=compared(large, small, timescale),
    )
