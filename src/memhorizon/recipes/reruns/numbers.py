"""Three sweeps done again with other seeds and items, beside their records.

The seeds of a sweep have weights, noise and items of their own, and so have those of its rerun: nothing is
shared but the configuration. Times of one setting are compared with each other, and so are the laws.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from scipy import stats

from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.hyperparameters import varied
from memhorizon.experiments.recipe import Found, Request, Size
from memhorizon.experiments.record import record
from memhorizon.experiments.run_directory import RunDir
from memhorizon.recipes.inputs import number_of, origin_of, read_sweeps
from memhorizon.recipes.pooled import Interval, bare, power_of
from memhorizon.recipes.sweeps import ENTRIES, do_runs
from memhorizon.recipes.tables import found_table, of_kind
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Time
from memhorizon.timescales.pooling import Exponent

NAME = "reruns"
SWEEPS = ("n_mixture_adam", "lr_mixture", "repetition_mixture")
SHIFT = 3  # added to every seed: those of the records are 0, 1, 2
TIMESCALES: tuple[Literal["tau_gen", "tau_mem"], ...] = ("tau_gen", "tau_mem")
Point = tuple[float, Time]  # the value of what is varied, and the time


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """What one training of a rerun showed."""

    part: Annotated[Literal["run"], "one training of a rerun"] = "run"
    sweep: Annotated[str, "which sweep was done again"]
    factor: Annotated[str, "what is varied"]
    value: Annotated[float, "its value"]
    seed: Annotated[int, "of weights, noise and items"]
    step: Annotated[Float[np.ndarray, " m"], "snapshots"]
    memorized: Annotated[Float[np.ndarray, " m"], "share of the samples with d1/d2 < 1/3"]
    total: Annotated[Float[np.ndarray, " m"], "samples at each snapshot"]
    tau_gen: Annotated[Time, "as the sweep's rules read it"]
    tau_mem: Annotated[Time, "as the sweep's rules read it"]


@dataclass(frozen=True, kw_only=True)
class LawRow:
    """A law of a sweep and of its rerun; their errors are independent."""

    part: Annotated[Literal["law"], "a law of a sweep"] = "law"
    sweep: Annotated[str, "which sweep was done again"]
    timescale: Annotated[str, "tau_gen or tau_mem"]
    factor: Annotated[str, "what the exponent is of"]
    first: Annotated[Exponent, "exponent and 95 % interval in the record"]
    again: Annotated[Exponent, "the same in the rerun"]
    both: Annotated[Exponent, "from the runs of both"]
    difference: Annotated[Interval | None, "again minus first, with its 95 % interval"]
    inside: Annotated[bool | None, "whether each of the two lies within the interval of the other"]
    agree: Annotated[bool | None, "whether the interval of the difference holds 0"]


@dataclass(frozen=True, kw_only=True)
class SettingRow:
    """The times of one setting in the record and in the rerun."""

    part: Annotated[Literal["setting"], "the runs of one setting"] = "setting"
    sweep: Annotated[str, "which sweep was done again"]
    timescale: Annotated[str, "tau_gen or tau_mem"]
    factor: Annotated[str, "what is varied"]
    value: Annotated[float, "its value"]
    first: Annotated[tuple[Time, ...], "the times in the record"]
    again: Annotated[tuple[Time, ...], "the same in the rerun"]
    ratio: Annotated[
        Interval | None, "mean time again over first, 95 % interval (Welch); null where one is a bound"
    ]
    agree: Annotated[bool | None, "whether the interval of the ratio holds 1"]


Row = RunRow | LawRow | SettingRow
KINDS = (RunRow, LawRow, SettingRow)


def again(name: str, size: Size) -> list[Config]:
    """The configurations of a sweep with other seeds."""
    return [shifted(own) for own in ENTRIES[name].configs(size)]


def shifted(own: Config) -> Config:
    """The same run with another seed, on other items."""
    data = replace(own.data, subset=own.data.subset + SHIFT)
    return replace(own, data=data, seed=own.seed + SHIFT)


def planned(size: Size = "here") -> list[Config]:
    """All runs."""
    return [own for name in SWEEPS for own in again(name, size)]


def make(request: Request) -> Found:
    """All sweeps done again; one where it is tiny.

    Raises:
        InputError: if runs failed.
    """
    names = SWEEPS[:1] if request.tiny else SWEEPS
    sweeps = read_sweeps(names, request.records)
    done, failed = do_runs([own for name in names for own in again(name, request.size)], request)
    if failed:
        raise InputError(failed)
    rows: list[Row] = []
    for first in sweeps:
        runs = of_sweep(first.name, done, request.size)
        rows += compared(first, record(runs, first.rules, name=first.name))
    summary = summarise(rows) | {"run seconds": sum(run.seconds() for run in done)}
    settings = {"inputs": origin_of(sweeps, request.records), "seeds added": SHIFT}
    return found_table(NAME, rows, KINDS, settings=settings, summary=summary)


def of_sweep(name: str, runs: Sequence[RunDir], size: Size) -> list[RunDir]:
    """Those of the runs that a sweep is done again with."""
    keys = {own.key for own in again(name, size)}
    return [run for run in runs if run.path.name in keys]


def compared(first: SweepRecord, other: SweepRecord) -> Iterator[Row]:
    """All rows of one sweep."""
    (factor,) = varied(first.runs)
    yield from (run_row(other.name, run, factor) for run in other.runs)
    for timescale in TIMESCALES:
        before = points_of(first, factor, timescale)
        after = points_of(other, factor, timescale)
        yield law_row(before, after, sweep=first.name, timescale=timescale, factor=factor)
        for value in sorted({value for value, _ in before}):
            pair = (times_at(before, value), times_at(after, value))
            yield setting_row(*pair, sweep=first.name, timescale=timescale, factor=factor, value=value)


def times_at(points: Sequence[Point], value: float) -> list[Time]:
    """The times of one value of the factor."""
    return [time for at, time in points if at == value]


def points_of(found: SweepRecord, factor: str, timescale: Literal["tau_gen", "tau_mem"]) -> list[Point]:
    """The value of the factor and the time of every run."""
    return [(number_of(run, factor), bare(getattr(run.timescales, timescale))) for run in found.runs]


def run_row(sweep: str, run: RunRecord, factor: str) -> RunRow:
    """What the rerun saw, short."""
    curve = run.curves["memorized"]
    assert curve.total is not None
    return RunRow(
        sweep=sweep,
        factor=factor,
        value=number_of(run, factor),
        seed=run.seed,
        step=curve.step,
        memorized=curve.value,
        total=curve.total,
        tau_gen=bare(run.timescales.tau_gen),
        tau_mem=bare(run.timescales.tau_mem),
    )


def power_from(points: Sequence[Point]) -> Exponent:
    """Time as a power of the factor."""
    return power_of([value for value, _ in points], [time for _, time in points])


def law_row(
    first: Sequence[Point], other: Sequence[Point], *, sweep: str, timescale: str, factor: str
) -> LawRow:
    """Two laws of one timescale beside each other."""
    one = power_from(first)
    two = power_from(other)
    difference = difference_of(one, two)
    return LawRow(
        sweep=sweep,
        timescale=timescale,
        factor=factor,
        first=one,
        again=two,
        both=power_from([*first, *other]),
        difference=difference,
        inside=each_inside(one, two) if difference else None,
        agree=difference.holds(0.0) if difference else None,
    )


def difference_of(one: Exponent, two: Exponent) -> Interval | None:
    """Two - one: independent errors add in squares, on either side; None where either is not fitted."""
    if not (math.isfinite(one.value) and math.isfinite(two.value)):
        return None
    value = two.value - one.value
    down = math.hypot(two.value - two.low, one.high - one.value)
    up = math.hypot(two.high - two.value, one.value - one.low)
    return Interval(value, value - down, value + up)


def each_inside(one: Exponent, two: Exponent) -> bool:
    """Whether each of two exponents lies within the interval of the other."""
    return one.low <= two.value <= one.high and two.low <= one.value <= two.high


def setting_row(
    first: Sequence[Time],
    other: Sequence[Time],
    *,
    sweep: str,
    timescale: str,
    factor: str,
    value: float,
) -> SettingRow:
    """The times of one setting in both, and the ratio of their geometric means."""
    ratio = welch_ratio(first, other)
    return SettingRow(
        sweep=sweep,
        timescale=timescale,
        factor=factor,
        value=value,
        first=tuple(first),
        again=tuple(other),
        ratio=ratio,
        agree=ratio.holds(1.0) if ratio else None,
    )


def welch_ratio(first: Sequence[Time], other: Sequence[Time]) -> Interval | None:
    """Geometric mean of the other times over that of the first; None where one is a bound, or for one run."""
    if not comparable(first, other):
        return None
    before = np.log([time.value for time in first])
    after = np.log([time.value for time in other])
    ends = stats.ttest_ind(after, before, equal_var=False).confidence_interval(0.95)
    return Interval(math.exp(after.mean() - before.mean()), math.exp(ends.low), math.exp(ends.high))


def comparable(first: Sequence[Time], other: Sequence[Time]) -> bool:
    """Whether two sets of times have several each, all of them seen."""
    several = min(len(first), len(other)) > 1
    return several and all(time.observed and time.determined for time in (*first, *other))


def summarise(rows: Sequence[Row]) -> dict[str, object]:
    """The laws, and how many of the settings agree."""
    compared_settings = [row for row in of_kind(rows, SettingRow) if row.agree is not None]
    return {
        "laws": of_kind(rows, LawRow),
        "settings": {name: agreement(compared_settings, name) for name in TIMESCALES},
    }


def agreement(settings: Sequence[SettingRow], timescale: str) -> dict[str, int]:
    """How many settings were compared in a timescale, and how many of them agree."""
    own = [row for row in settings if row.timescale == timescale]
    return {"agree": sum(bool(row.agree) for row in own), "compared": len(own)}
