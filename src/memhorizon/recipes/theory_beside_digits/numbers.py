"""The random-features theory's first guess for the U-Nets on digits: timescales up to one unit of time."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias

import numpy as np
from jaxtyping import Float

from memhorizon.datasets.split import load_split
from memhorizon.recipes.noise_levels.numbers import gap_of, holdout_level, holdout_of
from memhorizon.recipes.pooled import bare, mean_ratio
from memhorizon.recipes.settings import DIGITS
from memhorizon.recipes.tables import entries, of_kind
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Estimate, Status, Time
from memhorizon.theory import FeatureModel, ModelTimescales, Spectrum, timescales
from memhorizon.theory.dynamics import initial_error
from memhorizon.timescales.pooling import LogTime, Pooled, geometric_mean
from memhorizon.timescales.power_law import fit_scaling
from memhorizon.timescales.times import argmin_time, gap_opening_time, generalization_time

SWEEP = "n_digits"  # the record of the runs
DIM = 64
POOL = 1797 - 256  # all digits that are not held out: their covariance is taken for the population's
# Bins of the spectrum.
NODES = 24
TINY_NODES = 3
LEVELS, TINY_LEVELS = (0.01, 0.1, 0.3), (0.3,)  # diffusion times
GAP_LEVEL = 0.05
# As the timescales of the runs are read.
TOLERANCE = 0.05
SHARE = 0.1

Event = Literal["half_gap", "gap_level", "tau_gen", "argmin", "opening"]
Timescale = Literal["tau_mem", "tau_gen", "argmin", "opening"]
EVENTS: dict[Event, Timescale] = {  # of the theory: the timescale of the runs that it is held against
    "half_gap": "tau_mem",
    "gap_level": "tau_mem",
    "tau_gen": "tau_gen",
    "argmin": "argmin",
    "opening": "opening",
}
UNIT: Event = "half_gap"  # the event whose unit of time is used for all

N_TRAIN = "number of training items"
PSI_P = "features/64; features = network parameters/64 (as many trained numbers) or = parameters"
T = "diffusion time"
TAU_GEN = "first time that the held-out loss reaches 1.05 times the worst of its minima over n"
ARGMIN = "time of the smallest held-out loss"
OPENING = "first time that the gap reaches a tenth of the level of tau_gen"
HOLDOUT_MIN = "smallest held-out loss at t; model: of the best linear denoiser plus Delta times excess"


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """The timescales of one run at one noise level, in steps."""

    part: Annotated[Literal["run"], "measured, in steps"] = "run"
    n_train: Annotated[int, N_TRAIN]
    seed: Annotated[int, "run: its seed"]
    t: Annotated[float, T]
    tau_mem: Annotated[Time, "run: when the memorized fraction exceeds its null by a tenth"]
    tau_gen: Annotated[Time, TAU_GEN]
    argmin: Annotated[Time, ARGMIN]
    opening: Annotated[Time, OPENING]
    holdout_min: Annotated[float, HOLDOUT_MIN]

    def time(self, timescale: Timescale) -> Time:
        """A timescale by its name."""
        times: dict[Timescale, Time] = {
            "tau_mem": self.tau_mem,
            "tau_gen": self.tau_gen,
            "argmin": self.argmin,
            "opening": self.opening,
        }
        return times[timescale]


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """The times of the theory at one n, psi_p and t, in tau."""

    part: Annotated[Literal["model"], "the limit, times in tau"] = "model"
    n_train: Annotated[int, N_TRAIN]
    psi_n: Annotated[float, "n_train/64"]
    psi_p: Annotated[float, PSI_P]
    t: Annotated[float, T]
    half_gap: Annotated[float, "model: first time that L_gen reaches half of its end; compared with tau_mem"]
    gap_level: Annotated[float, "model: first time that L_gen reaches 0.05; compared with tau_mem too"]
    tau_gen: Annotated[float, TAU_GEN]
    argmin: Annotated[float, ARGMIN]
    opening: Annotated[float, OPENING]
    holdout_min: Annotated[float, HOLDOUT_MIN]
    gap_end: Annotated[float, "model: L_gen at the end of training"]
    status: Annotated[Status, "model: solved or not resolved"]

    def time(self, event: Event) -> float:
        """The time of an event by its name."""
        times: dict[Event, float] = {
            "half_gap": self.half_gap,
            "gap_level": self.gap_level,
            "tau_gen": self.tau_gen,
            "argmin": self.argmin,
            "opening": self.opening,
        }
        return times[event]


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """One event of the theory beside its timescale of the runs, at one psi_p and t."""

    part: Annotated[Literal["comparison"], "of the two"] = "comparison"
    psi_p: Annotated[float, PSI_P]
    t: Annotated[float, T]
    event: Annotated[Event, "comparison: of the model"]
    timescale: Annotated[Timescale, "comparison: of the runs"]
    exponent: Annotated[float, "comparison: slope of the model's log time in log n over the n of the runs"]
    exponent_measured: Annotated[Estimate, "comparison: of the runs, with its 95 % interval"]
    doubling: Annotated[
        Float[np.ndarray, " k"], "comparison: model's time at the next n over that at n, in order of n"
    ]
    doubling_measured: Annotated[
        tuple[Pooled, ...],
        "comparison: the same of the runs, geometric mean over seeds with its interval",
    ]
    steps_per_tau: Annotated[float, "comparison: unit of time that fits this event best, over all runs"]
    factor: Annotated[
        float, "comparison: exp of the rms log distance of all runs from the model in this unit"
    ]
    factor_one_unit: Annotated[float, "comparison: the same in the unit of half_gap"]
    factor_constant: Annotated[float, "comparison: the same for a time that does not depend on n"]
    factor_power: Annotated[float, "comparison: the same for the best power of n (two numbers fitted)"]
    runs: Annotated[int, "comparison: number of runs that enter, observed where the model has a time"]


@dataclass(frozen=True, kw_only=True)
class RatioRow:
    """The ratio of the two timescales at one n, psi_p and t, which needs no unit."""

    part: Annotated[Literal["ratio"], "of the two"] = "ratio"
    n_train: Annotated[int, N_TRAIN]
    psi_p: Annotated[float, PSI_P]
    t: Annotated[float, T]
    ratio: Annotated[float, "ratio: tau_mem/tau_gen of the model, by half_gap; has no unit"]
    ratio_measured: Annotated[Pooled, "ratio: of the runs, geometric mean over seeds with its interval"]
    ratio_off: Annotated[float, "ratio: the first over the value of the second"]
    holdout_off: Annotated[
        Pooled, "ratio: holdout_min of the model over that of the runs, likewise; nothing is fitted"
    ]


Row: TypeAlias = RunRow | ModelRow | ComparisonRow | RatioRow
ROWS = (RunRow, ModelRow, ComparisonRow, RatioRow)


# --- the theory ---


def parameters() -> int:
    """Number of trained numbers of the U-Net of the runs."""
    network = DIGITS.model.build((1, 8, 8), seed=0)
    return sum(parameter.numel() for parameter in network.parameters())


def digits_spectrum(nodes: int) -> Spectrum:
    """Covariance of all digits that are not held out, its 64 eigenvalues in at most `nodes` bins."""
    split = load_split(replace(DIGITS.data, n_train=POOL))
    return Spectrum.from_data(split.train.numpy(), nodes=nodes)


def model_rows(sizes: Sequence[int], psi_p: float, t: float, spectrum: Spectrum) -> Iterator[ModelRow]:
    """The times of the theory at every n, its levels set by the rules of the runs."""
    models = [FeatureModel(n / DIM, psi_p, t, spectrum=spectrum) for n in sizes]
    first = [timescales(model, gap_level=GAP_LEVEL) for model in models]
    # held-out loss = loss of the best linear denoiser + Delta * excess
    delta = models[0].delta_t
    floor = 1 - delta * initial_error(models[0])
    minima = [floor + delta * found.levels["E_min"] for found in first]
    level = (1 + TOLERANCE) * max(minima)
    # the same level as `timescales` takes it: the excess in units of 1/Gamma^2
    score_level = (level - floor) / delta * models[0].total_variance
    for n, model, found, smallest in zip(sizes, models, first, minima, strict=True):
        again = timescales(model, score_level=score_level, gap_level=SHARE * level)
        yield model_row(n, model, found, again, smallest)


def model_row(
    n: int, model: FeatureModel, found: ModelTimescales, again: ModelTimescales, holdout_min: float
) -> ModelRow:
    """The row of a model from its timescales at the levels of this file, and again at those of the runs."""
    return ModelRow(
        n_train=n,
        psi_n=model.psi_n,
        psi_p=model.psi_p,
        t=model.t,
        half_gap=found.others["gap_50"].value,
        gap_level=found.tau_mem.value,
        tau_gen=again.tau_gen.value,
        argmin=found.others["argmin"].value,
        opening=again.tau_mem.value,
        holdout_min=holdout_min,
        gap_end=found.levels["L_gen_inf"],
        status=Status(again.status),
    )


# --- the runs ---


def run_rows(record: SweepRecord, t: float) -> list[RunRow]:
    """The timescales of every run at one noise level."""
    level = holdout_level(record, t)
    return [run_row(run, t, level) for run in record.runs]


def run_row(run: RunRecord, t: float, level: float) -> RunRow:
    """The timescales of one run, read at a level of the held-out loss."""
    holdout = holdout_of(run, t)
    return RunRow(
        n_train=run.n_train,
        seed=run.seed,
        t=t,
        tau_mem=bare(run.timescales.tau_mem),
        tau_gen=bare(generalization_time(holdout, level=level)),
        argmin=bare(argmin_time(holdout)),
        opening=bare(gap_opening_time(gap_of(run, t), level=SHARE * level)),
        holdout_min=float(holdout.value.min()),
    )


# --- the two beside each other ---


def paired_logs(
    models: Sequence[ModelRow], runs: Sequence[RunRow], event: Event
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Log n, log time of the model and of the run, of all runs where both were seen."""
    times = {row.n_train: row.time(event) for row in models if math.isfinite(row.time(event))}
    observed = [(n, value) for n, value in observed_times(runs, EVENTS[event]) if n in times]
    log_n = np.log([n for n, _ in observed])
    log_model = np.log([times[n] for n, _ in observed])
    log_run = np.log([value for _, value in observed])
    return log_n, log_model, log_run


def observed_times(runs: Sequence[RunRow], timescale: Timescale) -> Iterator[tuple[int, float]]:
    """The n and the time of each run in which it was seen."""
    for run in runs:
        time = run.time(timescale)
        if time.observed and time.determined:
            yield run.n_train, time.value


def comparison(models: Sequence[ModelRow], runs: Sequence[RunRow], event: Event) -> ComparisonRow:
    """One event of the model beside its timescale of the runs, at one psi_p and t."""
    timescale = EVENTS[event]
    log_n, log_model, log_run = paired_logs(models, runs, event)
    distance = log_run - log_model
    _, unit_model, unit_run = paired_logs(models, runs, UNIT)
    line = np.polyval(np.polyfit(log_n, log_run, 1), log_n)
    return ComparisonRow(
        psi_p=models[0].psi_p,
        t=models[0].t,
        event=event,
        timescale=timescale,
        exponent=float(np.polyfit(log_n, log_model, 1)[0]),
        exponent_measured=measured_exponent(runs, timescale),
        doubling=doublings_of_model(models, event),
        doubling_measured=doublings(runs, timescale),
        steps_per_tau=math.exp(distance.mean()),
        factor=spread(distance - distance.mean()),
        factor_one_unit=spread(distance - (unit_run - unit_model).mean()),
        factor_constant=spread(log_run - log_run.mean()),
        factor_power=spread(log_run - line),
        runs=len(log_n),
    )


def spread(distance: Float[np.ndarray, " m"]) -> float:
    """A root mean square of logs as a factor."""
    return math.exp(math.sqrt(np.mean(distance**2)))


def measured_exponent(runs: Sequence[RunRow], timescale: Timescale) -> Estimate:
    """Power of n of a timescale of the runs, by the package's fit."""
    points = [({"n_train": run.n_train}, run.time(timescale)) for run in runs]
    return fit_scaling(points).exponents["n_train"]


def doublings_of_model(models: Sequence[ModelRow], event: Event) -> Float[np.ndarray, " m"]:
    """Time at the next n over that at n."""
    times = np.array([row.time(event) for row in sorted(models, key=lambda row: row.n_train)])
    return times[1:] / times[:-1]


def doublings(runs: Sequence[RunRow], timescale: Timescale) -> tuple[Pooled, ...]:
    """Time at the next n over that at n, seed by seed."""
    sizes = sorted({run.n_train for run in runs})
    times = [times_at(runs, n, timescale) for n in sizes]
    return tuple(mean_ratio(later, earlier) for earlier, later in zip(times[:-1], times[1:], strict=True))


def times_at(runs: Sequence[RunRow], n_train: int, timescale: Timescale) -> list[Time]:
    """A timescale of the runs of one n, in the order of their seeds."""
    same = sorted((run for run in runs if run.n_train == n_train), key=lambda run: run.seed)
    return [run.time(timescale) for run in same]


def ratio_row(model: ModelRow, runs: Sequence[RunRow]) -> RatioRow:
    """The ratio of the two timescales at one n, beside the runs of this n."""
    same = [run for run in runs if run.n_train == model.n_train]
    predicted = model.time(UNIT) / model.tau_gen
    measured = mean_ratio([run.tau_mem for run in same], [run.tau_gen for run in same])
    observed = measured.status is Status.OBSERVED
    return RatioRow(
        n_train=model.n_train,
        psi_p=model.psi_p,
        t=model.t,
        ratio=predicted,
        ratio_measured=measured,
        ratio_off=predicted / measured.value if observed else math.nan,
        holdout_off=geometric_mean([LogTime(math.log(model.holdout_min / run.holdout_min)) for run in same]),
    )


def beside(models: Sequence[ModelRow], runs: Sequence[RunRow]) -> Iterator[Row]:
    """Models of one psi_p and t, all comparisons with the runs at this t, and the ratios."""
    yield from models
    yield from (comparison(models, runs, event) for event in EVENTS)
    yield from (ratio_row(model, runs) for model in models)


# --- the summary ---


def summarise(rows: Sequence[Row]) -> dict[str, dict[str, object]]:
    """Where model and runs agree and where not, by psi_p and t: exponents, factors, ratios."""
    found: dict[str, dict[str, object]] = {}
    for row in of_kind(rows, ComparisonRow):
        found.setdefault(place_of(row), {})[f"{row.event} for {row.timescale}"] = answer_of(row)
    for place, answers in found.items():
        ratios = [row for row in of_kind(rows, RatioRow) if place_of(row) == place]
        answers["tau_mem/tau_gen, model over runs, by n"] = [row.ratio_off for row in ratios]
        answers["smallest held-out loss, model over runs, by n"] = [row.holdout_off for row in ratios]
    return found


def place_of(row: ComparisonRow | RatioRow) -> str:
    """The features and the diffusion time of a row in words."""
    return f"psi_p = {row.psi_p:.4g}, t = {row.t:g}"


def answer_of(row: ComparisonRow) -> dict[str, object]:
    """Exponents and factors of one event."""
    exponents = entries(row, "exponent", "exponent_measured")
    factors = entries(row, "factor", "factor_one_unit", "factor_constant", "factor_power")
    inside = row.exponent_measured.low <= row.exponent <= row.exponent_measured.high
    return {**exponents, **factors, "exponent inside the interval": inside}
