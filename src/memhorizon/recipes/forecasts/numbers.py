"""Forecasts of tau_mem at 2, 4 and 8 times the largest pilot, from every subset of smaller n of the sweeps.

Forecasts that share runs are not independent. The coverage has an interval by resampling whole sweeps, and
the record says how many runs were forecast and how many sweeps there are. Beliefs about scatter and misfit
were chosen by the likelihood of the mixture sweeps. The spread of the beliefs about exponents was widened
once (0.25 to 0.3, 0.35 to 0.5) after a first look at the coverage of all sweeps, so that of digits and
Fashion-MNIST is not untouched.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Annotated, Literal

import numpy as np

from memhorizon.experiments.recipe import Found, Request
from memhorizon.recipes.forecasts.methods import CONFIDENCE, METHODS, Method, forecasts
from memhorizon.recipes.forecasts.sources import SWEEPS, Group, every_group
from memhorizon.recipes.inputs import origin_of, read_inputs
from memhorizon.recipes.pooled import Interval, bare
from memhorizon.recipes.scores import mean_or_nan, median_or_nan, resampled
from memhorizon.recipes.tables import found_table, of_kind
from memhorizon.results import Time

NAME = "forecasts"
READS = (*SWEEPS, "reruns")
RATIOS = (2, 4, 8)


@dataclass(frozen=True, kw_only=True)
class ForecastRow:
    """One forecast by every way, and the runs that it is of."""

    part: Annotated[Literal["forecast"], "one forecast"] = "forecast"
    sweep: Annotated[str, "the record that pilots and runs are from"]
    setting: Annotated[str, "which of its settings, where it has several"]
    family: Annotated[str, "digits, fashion or mixture"]
    pilots: Annotated[tuple[int, ...], "n of the pilots"]
    seeds: Annotated[tuple[int, ...], "seeds of the pilots"]
    n_train: Annotated[int, "n of the runs that are forecast"]
    ratio: Annotated[int, "n over that of the largest pilots"]
    times: Annotated[tuple[Time, ...], "forecast: tau_mem of the runs that are forecast"]
    methods: Annotated[
        Mapping[str, Interval], "median and 90 % interval of one more run, in steps, by method"
    ]


@dataclass(frozen=True, kw_only=True)
class MeasuredRow:
    """The time of one run, for the folk rules."""

    part: Annotated[Literal["measured"], "one run"] = "measured"
    sweep: Annotated[str, "the record that pilots and runs are from"]
    setting: Annotated[str, "which of its settings, where it has several"]
    family: Annotated[str, "digits, fashion or mixture"]
    n_train: Annotated[int, "n of the run"]
    batch_size: Annotated[float | None, "items in each of its updates"]
    tau_mem: Annotated[Time, "measured: when it copied"]


Row = ForecastRow | MeasuredRow
KINDS = (ForecastRow, MeasuredRow)


def make(request: Request) -> Found:
    """All forecasts, and the measured times."""
    groups = every_group(request.records, tiny=request.tiny)
    rows: list[Row] = [row for group in groups for row in forecast_rows(group)]
    rows += [row for group in groups for row in measured_rows(group)]
    records = read_inputs(SWEEPS, request)
    settings = {"inputs": origin_of(records, request.records), "confidence": CONFIDENCE, "ratios": RATIOS}
    summary = {**summarise(of_kind(rows, ForecastRow)), "folk rules": folk(of_kind(rows, MeasuredRow))}
    return found_table(NAME, rows, KINDS, settings=settings, summary=summary)


# --- forecasts ---


def forecast_rows(group: Group) -> Iterator[ForecastRow]:
    """Every subset of sizes as pilots, of all seeds and of each alone, for runs at each ratio."""
    for seeds, (subset, n) in product(_choices_of_seeds(group), _questions(group)):
        yield from _forecast(group, subset, seeds, n)


def _choices_of_seeds(group: Group) -> list[tuple[int, ...]]:
    seeds = sorted({pilot.seed or 0 for pilot in group.pilots})
    return [tuple(seeds), *((seed,) for seed in seeds)]


def _questions(group: Group) -> Iterator[tuple[tuple[int, ...], int]]:
    """The sizes of the pilots, and a size at a ratio to their largest."""
    sizes = sorted({int(pilot.point.n_train) for pilot in group.pilots})
    for subset in _subsets(sizes):
        for n in _at_ratios(subset, sizes):
            yield subset, n


def _subsets(sizes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for count in range(1, len(sizes)):
        yield from combinations(sizes, count)


def _at_ratios(subset: tuple[int, ...], sizes: Sequence[int]) -> list[int]:
    wanted = [ratio * max(subset) for ratio in RATIOS]
    return [n for n in sizes if n in wanted]


def _forecast(group: Group, subset: tuple[int, ...], seeds: tuple[int, ...], n: int) -> Iterator[ForecastRow]:
    """The forecast of one size; none where the pilots show fewer than their sizes, or one."""
    pilots = [one for one in group.pilots if one.point.n_train in subset and (one.seed or 0) in seeds]
    seen = {one.point.n_train for one in pilots if one.tau_mem.observed}
    wanted = [one for one in group.pilots if one.point.n_train == n and one.tau_mem.known]
    if len(seen) < min(2, len(subset)) or not wanted:
        return
    yield ForecastRow(
        sweep=group.sweep,
        setting=group.setting,
        family=group.family,
        pilots=subset,
        seeds=seeds,
        n_train=n,
        ratio=n // max(subset),
        times=tuple(bare(one.tau_mem) for one in wanted),
        methods=forecasts(pilots, wanted[0].point),
    )


def measured_rows(group: Group) -> Iterator[MeasuredRow]:
    """The time of every run."""
    for one in group.pilots:
        yield MeasuredRow(
            sweep=group.sweep,
            setting=group.setting,
            family=group.family,
            n_train=int(one.point.n_train),
            batch_size=one.point.batch_size,
            tau_mem=bare(one.tau_mem),
        )


# --- how well they did ---


@dataclass(frozen=True)
class Score:
    """How well some forecasts did by one way.

    Attributes:
        forecasts: how many.
        answered: how many of them have an interval.
        runs: different runs that were forecast.
        sweeps: different sweeps, which alone are independent.
        coverage: share of the runs that lie within, mean over forecasts; a run that had not copied counts as
            outside where its bound lies above the interval, and does not count otherwise.
        coverage_interval: 95 %, by resampling whole sweeps.
        error: median over forecasts of |forecast / mean of the runs - 1|, where runs were observed.
        factor: median of the high end of the interval over the low one.
    """

    forecasts: int
    answered: int
    runs: int
    sweeps: int
    coverage: float
    coverage_interval: tuple[float, float]
    error: float
    factor: float


def summarise(rows: Sequence[ForecastRow]) -> dict[str, dict[str, Score]]:
    """Scores by selection and by method."""
    chosen = {name: [row for row in rows if holds(row)] for name, holds in SELECTIONS.items()}
    return {
        name: {method: score(kept, method) for method in METHODS} for name, kept in chosen.items() if kept
    }


def _several(row: ForecastRow) -> bool:
    return len(row.pilots) > 1


SELECTIONS: Mapping[str, Callable[[ForecastRow], bool]] = {
    "all": lambda row: True,
    "digits and fashion": lambda row: row.family != "mixture",
    "digits": lambda row: row.family == "digits",
    "fashion": lambda row: row.family == "fashion",
    "mixture": lambda row: row.family == "mixture",
    "two or more sizes": _several,
    "two or more sizes, digits and fashion": lambda row: _several(row) and row.family != "mixture",
    "two or more sizes, all seeds": lambda row: _several(row) and len(row.seeds) > 1,
    "one size": lambda row: not _several(row),
    **{f"ratio {ratio}": lambda row, ratio=ratio: row.ratio == ratio for ratio in RATIOS},
    **{
        f"two or more sizes, ratio {ratio}": lambda row, ratio=ratio: _several(row) and row.ratio == ratio
        for ratio in RATIOS
    },
    **{f"sweep {name}": lambda row, name=name: row.sweep.split()[0] == name for name in SWEEPS},
}


def score(rows: Sequence[ForecastRow], method: Method) -> Score:
    """How well some forecasts did by one way."""
    answered = [row for row in rows if math.isfinite(row.methods[method].high)]
    shares = [(row.sweep, share) for row in answered if (share := covered(row, method)) is not None]
    errors = [error for row in answered if (error := error_of(row, method)) is not None]
    factors = [row.methods[method].high / row.methods[method].low for row in answered]
    return Score(
        forecasts=len(rows),
        answered=len(answered),
        runs=len({run for row in rows for run in _runs_of(row)}),
        sweeps=len({row.sweep for row in rows}),
        coverage=mean_or_nan([share for _, share in shares]),
        coverage_interval=resampled(shares),
        error=median_or_nan(errors),
        factor=median_or_nan(factors),
    )


def _runs_of(row: ForecastRow) -> list[tuple[str, str, int, int]]:
    """The runs that a forecast is of, as what tells them from others."""
    return [(row.sweep, row.setting, row.n_train, i) for i in range(len(row.times))]


def covered(row: ForecastRow, method: Method) -> float | None:
    """Share of the runs within the interval, of those of which that can be told; None where of none."""
    found = row.methods[method]
    inside = [found.holds(time.value) for time in row.times if time.observed]
    inside += [False for time in row.times if not time.observed and time.value > found.high]
    return sum(inside) / len(inside) if inside else None


def error_of(row: ForecastRow, method: Method) -> float | None:
    """Relative error of the forecast of the geometric mean of the runs; None where one was not observed."""
    if not all(time.observed for time in row.times):
        return None
    return abs(row.methods[method].value / geometric_mean(row.times) - 1)


def geometric_mean(times: Sequence[Time]) -> float:
    """Of the times of runs with other seeds."""
    return math.exp(float(np.mean(np.log([time.value for time in times]))))


# --- what people pass on ---


@dataclass(frozen=True)
class FolkScore:
    """What becomes of runs that end where a rule says.

    Attributes:
        runs: of which it is known. copied: how many of them had copied by then. smallest: the rule's length
        over tau_mem, smallest over the runs that copied at all; below 1 it stops early. largest: the
        largest of these; above 1 it copies.
    """

    runs: int
    copied: int
    smallest: float
    largest: float


RULES: Mapping[str, Callable[[MeasuredRow], float]] = {
    "100 steps per image": lambda row: 100.0 * row.n_train,
    "always 2,000": lambda row: 2000.0,
    "10 epochs": lambda row: 10.0 * row.n_train / (row.batch_size or row.n_train),
}


def folk(rows: Sequence[MeasuredRow]) -> dict[str, dict[str, FolkScore]]:
    """What each rule would have done, by family."""
    families = {row.family for row in rows}
    return {
        rule: {
            name: _folk_score([row for row in rows if row.family == name], of) for name in sorted(families)
        }
        for rule, of in RULES.items()
    }


def _folk_score(rows: Sequence[MeasuredRow], of: Callable[[MeasuredRow], float]) -> FolkScore:
    known = [row for row in rows if row.tau_mem.observed or row.tau_mem.value >= of(row)]
    factors = [of(row) / row.tau_mem.value for row in rows if row.tau_mem.observed]
    return FolkScore(
        runs=len(known),
        copied=sum(row.tau_mem.observed and row.tau_mem.value <= of(row) for row in known),
        smallest=min(factors),
        largest=max(factors),
    )
