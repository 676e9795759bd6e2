"""tau_mem from the losses of the same run before it, by factors measured on the other sweeps.

The factors of a sweep's runs are taken from all other sweeps, so nothing of a run's setting is known
beforehand. At each share of tau_mem only the readings up to there are used, and that it has not copied;
that it is this share is not. Beside it is an answer without losses: the law of runs on fewer items of the
same sweep.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np

from memhorizon.experiments.pilots import pilots_of_record
from memhorizon.experiments.recipe import Found, Request
from memhorizon.forecasting.fitting import check_pilots
from memhorizon.forecasting.pilots import Pilot
from memhorizon.forecasting.progress import LEADS, Lead, expected_time, passing_step, relative_gap
from memhorizon.recipes.forecasts.methods import CONFIDENCE, QUESTION, by_pilots
from memhorizon.recipes.inputs import origin_of, read_inputs
from memhorizon.recipes.pooled import Interval, bare
from memhorizon.recipes.scores import mean_or_nan, median_or_nan, resampled
from memhorizon.recipes.tables import found_table, of_kind
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Time

NAME = "in_progress"
SWEEPS = (
    "n_digits",
    "n_fashion",
    "width_digits",
    "dropout_digits",
    "n_mixture_adam",
    "full_batch_mixture",
    "n_mixture_sgd",
    "repetition_mixture",
    "width_mixture",
    "lr_mixture",
    "lr_sgd_mixture",
    "momentum_mixture",
    "batch_mixture",
    "ema_mixture",
    "decay_mixture",
)
SHARES = (1 / 6, 1 / 3, 1 / 2)
LEVELS = tuple(lead.level for lead in LEADS)


@dataclass(frozen=True, kw_only=True)
class LeadRow:
    """How long before tau_mem the relative gap passes a level, over all runs."""

    part: Annotated[Literal["lead"], "one level over all runs"] = "lead"
    level: Annotated[float, "of (held-out - training loss) / training loss at t = 0.1"]
    log_factor: Annotated[float, "mean over sweeps of log(tau_mem / step of passing)"]
    sd: Annotated[float, "standard deviation of that over runs, each sweep with the same weight"]
    runs: Annotated[int, "that passed it and whose tau_mem was observed"]
    images: Annotated[float, "mean factor over sweeps of images"]
    mixtures: Annotated[float, "mean factor over sweeps of the mixture"]


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run at one share of its tau_mem."""

    part: Annotated[Literal["run"], "one run at one share of its tau_mem"] = "run"
    sweep: Annotated[str, "the record that was read"]
    key: Annotated[str, "the run's name in its record"]
    n_train: Annotated[int, "number of training items"]
    share: Annotated[float, "of tau_mem up to which its losses are known"]
    tau_mem: Annotated[Time, "as recorded"]
    expected: Annotated[
        Interval | None, "tau_mem by the losses, median and 90 % interval; null where unknown"
    ]
    by_law: Annotated[
        Interval | None, "the same by runs on fewer items of the sweep; null where there are none"
    ]


Row = LeadRow | RunRow
KINDS = (LeadRow, RunRow)


def make(request: Request) -> Found:
    """The leads over all sweeps, and every run at every share of its tau_mem."""
    records = read_inputs(SWEEPS, request)
    passings = {record.name: passings_of(record) for record in records}
    rows: list[Row] = list(lead_rows(passings))
    for record in records:
        others = {name: found for name, found in passings.items() if name != record.name} or passings
        rows += run_rows(record, leads_of(others))
    settings = {"inputs": origin_of(records, request.records), "confidence": CONFIDENCE, "shares": SHARES}
    return found_table(NAME, rows, KINDS, settings=settings, summary=summarise(of_kind(rows, RunRow)))


# --- how long before ---

Passings = dict[float, list[float]]  # log(tau_mem / step) of each run that passed a level


def passings_of(record: SweepRecord) -> Passings:
    """How long before tau_mem each run of a sweep passed each level."""
    found: Passings = {level: [] for level in LEVELS}
    for run in observed_runs(record):
        gap = relative_gap(run.curves)
        for level in LEVELS:
            step = None if gap is None else passing_step(gap, level)
            if step is not None:
                found[level].append(math.log(run.timescales.tau_mem.value / step))
    return found


def observed_runs(record: SweepRecord) -> list[RunRecord]:
    """The runs whose tau_mem was observed."""
    return [run for run in record.runs if run.timescales.tau_mem.observed]


def leads_of(passings: dict[str, Passings]) -> tuple[Lead, ...]:
    """The mean of each level over sweeps, and the spread of runs about it, sweeps weighted alike."""
    return tuple(
        _lead(level, [found[level] for found in passings.values() if found[level]]) for level in LEVELS
    )


def _lead(level: float, by_sweep: Sequence[Sequence[float]]) -> Lead:
    mean = float(np.mean([np.mean(logs) for logs in by_sweep]))
    variance = float(np.mean([np.mean((np.array(logs) - mean) ** 2) for logs in by_sweep]))
    return Lead(level, mean, math.sqrt(variance))


def lead_rows(passings: dict[str, Passings]) -> Iterator[LeadRow]:
    """Every level over all sweeps."""
    for lead in leads_of(passings):
        yield LeadRow(
            level=lead.level,
            log_factor=lead.log_factor,
            sd=lead.sd,
            runs=sum(len(found[lead.level]) for found in passings.values()),
            images=_mean_factor(passings, lead.level, mixtures=False),
            mixtures=_mean_factor(passings, lead.level, mixtures=True),
        )


def _mean_factor(passings: dict[str, Passings], level: float, *, mixtures: bool) -> float:
    means = [
        float(np.mean(found[level]))
        for name, found in passings.items()
        if ("mixture" in name) == mixtures and found[level]
    ]
    return math.exp(mean_or_nan(means))


# --- forecasts ---


def run_rows(record: SweepRecord, leads: Sequence[Lead]) -> Iterator[RunRow]:
    """Every run of a sweep at every share of its tau_mem."""
    pilots = {pilot.key: pilot for pilot in pilots_of_record(record)}
    for run in observed_runs(record):
        law = by_law(pilots[run.key], list(pilots.values()))
        for share in SHARES:
            yield RunRow(
                sweep=record.name,
                key=run.key,
                n_train=run.n_train,
                share=share,
                tau_mem=bare(run.timescales.tau_mem),
                expected=by_losses(run, share * run.timescales.tau_mem.value, leads),
                by_law=law,
            )


def by_losses(run: RunRecord, until: float, leads: Sequence[Lead]) -> Interval | None:
    """tau_mem of a run by its losses up to a step; None where they do not tell."""
    gap = relative_gap(run.curves, until)
    found = None if gap is None else expected_time(gap, now=until, confidence=CONFIDENCE, leads=leads)
    return None if found is None else Interval(found.value, found.low, found.high)


def by_law(pilot: Pilot, every: Sequence[Pilot]) -> Interval | None:
    """tau_mem of a run by those of its sweep on fewer items, of two sizes at least."""
    point = pilot.point
    fewer = [
        one
        for one in every
        if one.point.n_train < point.n_train and (one.point.width, one.point.lr) == (point.width, point.lr)
    ]
    seen = {one.point.n_train for one in fewer if one.tau_mem.observed}
    if len(seen) < 2 or check_pilots(fewer, QUESTION) is not None:
        return None
    return by_pilots(fewer, point)


@dataclass(frozen=True)
class Score:
    """How well runs were told at one share.

    Attributes:
        runs: whose tau_mem was observed.
        answered: of which something could be told.
        factor: median of the larger of forecast over time and time over forecast.
        coverage: share of the answered runs within the interval.
        coverage_interval: 95 %, by resampling whole sweeps.
        width: median of the high end of the interval over the low one.
    """

    runs: int
    answered: int
    factor: float
    coverage: float
    coverage_interval: tuple[float, float]
    width: float


def summarise(rows: Sequence[RunRow]) -> dict[str, object]:
    """Scores by share: of the losses, and, where there is a law of other runs, of both on the same runs."""
    return {
        f"at {share:.2f} of tau_mem": _scores([row for row in rows if row.share == share]) for share in SHARES
    }


def _scores(own: Sequence[RunRow]) -> dict[str, Score]:
    images = [row for row in own if "mixture" not in row.sweep]
    return {"all": score(own), "digits and fashion": score(images), **_where_there_is_a_law(own)}


def _where_there_is_a_law(own: Sequence[RunRow]) -> dict[str, Score]:
    both = [row for row in own if row.expected is not None and row.by_law is not None]
    lawful = [replace(row, expected=row.by_law) for row in both]
    return {
        "where there is a law: by the losses": score(both),
        "where there is a law: by the law": score(lawful),
    }


def score(rows: Sequence[RunRow]) -> Score:
    """How well some runs were told."""
    told = [(row, row.expected) for row in rows if row.expected is not None]
    logs = [abs(math.log(found.value / row.tau_mem.value)) for row, found in told]
    inside = [(row.sweep, float(found.holds(row.tau_mem.value))) for row, found in told]
    widths = [found.high / found.low for _, found in told]
    return Score(
        runs=len(rows),
        answered=len(told),
        factor=math.exp(median_or_nan(logs)),
        coverage=mean_or_nan([one for _, one in inside]),
        coverage_interval=resampled(inside),
        width=median_or_nan(widths),
    )
