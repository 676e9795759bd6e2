"""Runs of two sweeps continued with networks that are linear in their weights, beside what the runs did.

Fixed before any run was looked at: the forecast of tau_mem is the time at which the linear network copies,
read from its samples by the rule of the run; beside it, from the spectrum alone, the time at which its
outputs are three times nearer to the perfect memorizer's than at tau_gen, as d1/d2 = 1/3 asks of a sample.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from memhorizon.datasets.split import load_split
from memhorizon.diffusion import ideal_model
from memhorizon.distributions import Empirical
from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Found, Request
from memhorizon.measure.losses import denoising_losses
from memhorizon.measure.snapshot import LOSS_SEED
from memhorizon.recipes.copies import copies_of, tau_mem_of
from memhorizon.recipes.inputs import origin_of, read_sweeps
from memhorizon.recipes.parts import Done, Part, do_parts, found_of
from memhorizon.recipes.pooled import bare
from memhorizon.recipes.scores import median_or_nan
from memhorizon.recipes.settings import TINY as TINY_MEASURE
from memhorizon.recipes.tables import grouped, of_kind, rows_of
from memhorizon.recipes.tangent_forecast.rows import (
    KINDS,
    LEVEL,
    LinearRow,
    Row,
    RunRow,
    Way,
    of_largest_kernels,
)
from memhorizon.recipes.tangent_forecast.work import Continued, Task, continued
from memhorizon.recipes.theory_beside_digits.numbers import ROWS as THEORY_ROWS
from memhorizon.recipes.theory_beside_digits.numbers import RatioRow
from memhorizon.records.codec import decode, encode
from memhorizon.records.files import load_record
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Estimate, Status, Time

NAME = "tangent_forecast"
SWEEPS = ("n_mixture_sgd", "n_digits")
THEORY = "theory/beside_digits"
INPUTS = (*SWEEPS, THEORY)
SEEDS = {  # of each n: so many as the time allowed
    "n_mixture_sgd": {16: (0, 1), 32: (0, 1), 64: (0,), 128: (0,)},
    "n_digits": {16: (0, 1)},
}
FACTOR = 2.0  # what counts as told; runs are continued to so many times tau_mem

PSI_P = 43.2  # of the theory: as many trained numbers as the network has


@dataclass(frozen=True)
class Effort:
    """What is spent on a run of a sweep.

    Attributes:
        items: noised training items of the kernel.
        nodes: of the quadrature.
        n_samples: at each snapshot.
        shots: snapshots after the first.
    """

    items: int
    nodes: int
    n_samples: int
    shots: int


EFFORTS = {"n_mixture_sgd": Effort(4096, 80, 200, 6), "n_digits": Effort(512, 24, 50, 3)}
FEWER = 4  # times: the first run of the mixture is continued from fewer noised items as well
TINY = Effort(32, 3, 20, 2)
# continued by training as well, which takes three times as long as the run itself
TRAINED = {("n_mixture_sgd", 16, 0), ("n_mixture_sgd", 32, 0), ("n_digits", 16, 0), ("n_digits", 16, 1)}
TINY_BEGUN = 10
TINY_LAST = 30


@dataclass(frozen=True)
class Job:
    """A run of a record and how it is continued.

    Attributes:
        sweep: the record.
        run: of it.
        task: what is done.
    """

    sweep: str
    run: RunRecord
    task: Task

    @property
    def name(self) -> str:
        """Of its part."""
        return f"{self.run.key}-{self.task.way}-{self.task.noises}"


def make(request: Request) -> Found:
    """Continue the runs, and hold what comes out against the records."""
    records = {record.name: record for record in read_sweeps(SWEEPS, request.records)}
    jobs = [job for record in records.values() for job in jobs_of(record, request.tiny)]
    parts = [Part(job.name, {"task": encode(job.task)}, partial(continued, job.task)) for job in jobs]
    done = do_parts(parts, Continued, request)
    theory = theory_ratios(request)
    runs = {job.run.key: run_row(records[job.sweep], job.run, theory) for job in jobs}
    linear = [
        linear_row(records[job.sweep], job, one.found, runs[job.run.key])
        for job, one in zip(jobs, done, strict=True)
    ]
    rows: list[Row] = [*runs.values(), *linear]
    return found_of(
        NAME,
        rows,
        KINDS,
        done,
        settings=settings_of(list(records.values()), request),
        summary=summarise(rows, jobs, done),
    )


def settings_of(records: Sequence[SweepRecord], request: Request) -> dict[str, object]:
    """What the record says of its making."""
    return {
        "inputs": origin_of(records, request.records),
        "efforts": {"tiny": TINY} if request.tiny else EFFORTS,
        "seeds": {name: {str(n): seeds for n, seeds in own.items()} for name, own in SEEDS.items()},
        "third": "squared distance from the perfect memorizer's outputs a ninth of that at the start",
    }


# --- what is done ---


def jobs_of(record: SweepRecord, tiny: bool) -> Iterator[Job]:
    """The runs of a sweep and how they are continued; the first alone where it is tiny."""
    runs = [run for run in record.runs if run.seed in SEEDS[record.name].get(run.n_train, ())]
    for run in runs[:1] if tiny else runs:
        effort = TINY if tiny else EFFORTS[record.name]
        yield job_of(record.name, run, "spectrum", effort, tiny)
        if run is runs[0] and "mixture" in record.name and not tiny:
            yield job_of(record.name, run, "spectrum", replace(effort, items=effort.items // FEWER), tiny)
        if (record.name, run.n_train, run.seed) in TRAINED and not (tiny and "digits" in record.name):
            yield job_of(record.name, run, "trained", effort, tiny)


def job_of(sweep: str, run: RunRecord, way: Way, effort: Effort, tiny: bool) -> Job:
    """One way to continue one run."""
    tau_mem = run.timescales.tau_mem.value
    begun = TINY_BEGUN if tiny else round(run.timescales.tau_gen.value)
    config = decode(run.config, Config)
    task = Task(
        config=replace(config, measure=TINY_MEASURE) if tiny else config,
        way=way,
        begun=begun,
        marks=marks_of(begun, TINY_LAST if tiny else FACTOR * tau_mem, effort.shots),
        noises=max(effort.items // run.n_train, 1),
        nodes=effort.nodes,
        n_samples=effort.n_samples,
    )
    return Job(sweep, run, task)


def marks_of(begun: int, last: float, shots: int) -> tuple[int, ...]:
    """Snapshots evenly in the logarithm of the step, from the first after `begun` to the last.

    >>> marks_of(100, 800.0, 3)
    (200, 400, 800)
    """
    steps = np.geomspace(begun, last, shots + 1)[1:]
    return tuple(sorted({round(step) for step in steps}))


# --- what the runs did ---


def run_row(record: SweepRecord, run: RunRecord, theory: Mapping[int, float]) -> RunRow:
    """A run as recorded from tau_gen on, and what the other ways tell of it."""
    tau_gen = run.timescales.tau_gen.value
    tau_mem = run.timescales.tau_mem
    train = run.curves[f"train@{LEVEL:g}"]
    later = train.step >= tau_gen
    ideal = ideal_loss(decode(run.config, Config))
    excess = [value_at(step, train.step, train.value) - ideal for step in (tau_gen, tau_mem.value)]
    ratio = theory.get(run.n_train) if record.name == "n_digits" else None
    return RunRow(
        sweep=record.name,
        n_train=run.n_train,
        seed=run.seed,
        tau_gen=tau_gen,
        tau_mem=bare(tau_mem),
        step=train.step[later],
        train=train.value[later],
        holdout=run.curves[f"holdout@{LEVEL:g}"].value[later],
        memorized=run.curves["memorized"].value[later],
        ideal=ideal,
        left=excess[1] / excess[0],
        law=by_law(record, run) / tau_mem.value,
        theory=None if ratio is None else ratio * tau_gen / tau_mem.value,
    )


def by_law(record: SweepRecord, run: RunRecord) -> float:
    """tau_mem in proportion to n, by the runs of other n."""
    others = [other for other in record.runs if other.n_train != run.n_train]
    logs = [math.log(other.timescales.tau_mem.value / other.n_train) for other in others]
    return run.n_train * math.exp(float(np.mean(logs)))


def theory_ratios(request: Request) -> dict[int, float]:
    """tau_mem/tau_gen of the random-features theory with the spectrum of digits, by n."""
    rows = of_kind(
        rows_of(load_record(request.records / f"{THEORY}.json"), "beside_digits", THEORY_ROWS), RatioRow
    )
    return {row.n_train: row.ratio for row in rows if row.t == LEVEL and abs(row.psi_p - PSI_P) < 1}


def ideal_loss(config: Config) -> float:
    """The training loss of the perfect memorizer, on the noise of the runs."""
    split = load_split(config.data)
    schedule = config.schedule.build()
    memorizer = Empirical(split.train.flatten(1).double())
    found = denoising_losses(
        ideal_model(memorizer, schedule, config.train.prediction),
        split.train,
        schedule=schedule,
        indices=[schedule.index_of_t(LEVEL)],
        repeats=config.measure.repeats,
        seed=LOSS_SEED,
        prediction=config.train.prediction,
    )
    return float(found.mean[0])


def value_at(step: float, steps: np.ndarray, values: np.ndarray) -> float:
    """A curve between its snapshots, by the logarithm of the step."""
    return float(np.interp(math.log(step), np.log(steps), values))


# --- what the linear networks did ---


@dataclass(frozen=True)
class Told:
    """What a linear network tells of its run, over the measured tau_mem; None where it tells nothing.

    Attributes:
        factor: its tau_mem.
        at_least: a bound of it.
        same_loss: when its training loss is what that of the run was at tau_mem.
        third: when its outputs are three times nearer to the perfect memorizer's.
    """

    factor: Estimate | None
    at_least: float | None
    same_loss: float | None
    third: float | None


def linear_row(record: SweepRecord, job: Job, found: Continued, run: RunRow) -> LinearRow:
    """A run continued linearly, beside what it did."""
    task = job.task
    count = trusted_count(found.train, task.way)
    predicted = predicted_time(record, job.run, found, count)
    beside = told_by(found, count, predicted, run)
    return LinearRow(
        sweep=job.sweep,
        n_train=run.n_train,
        seed=run.seed,
        way=task.way,
        noises=task.noises if task.way == "spectrum" else None,
        begun=task.begun,
        step=found.step,
        train=found.train,
        holdout=found.holdout,
        memorized=found.memorized,
        total=task.n_samples,
        trusted=float(found.step[count - 1]),
        predicted=predicted,
        factor=beside.factor,
        at_least=beside.at_least,
        same_loss=beside.same_loss,
        third=beside.third,
        rates=found.rates or None,
        weights=found.weights or None,
    )


def told_by(found: Continued, count: int, predicted: Time, run: RunRow) -> Told:
    """What a linear network tells of its run, from the first `count` snapshots."""
    tau_mem = run.tau_mem
    step = found.step[:count]
    same = first_below(step, found.train[:count], value_at(tau_mem.value, run.step, run.train))
    reached = predicted.status is Status.OBSERVED
    return Told(
        factor=over(predicted, tau_mem) if reached else None,
        at_least=None if reached else float(step[-1]) / tau_mem.value,
        same_loss=None if same is None else same / tau_mem.value,
        third=None if found.third is None else found.third / tau_mem.value,
    )


def trusted_count(train: np.ndarray, way: Way) -> int:
    """Snapshots up to the smallest training loss on noise that the kernel has not seen; all if trained.

    >>> trusted_count(np.array([0.5, 0.4, 0.45]), "spectrum")
    2
    """
    return len(train) if way == "trained" else int(np.argmin(train)) + 1


def predicted_time(record: SweepRecord, run: RunRecord, found: Continued, count: int) -> Time:
    """tau_mem of the linear network by the rule of the run, from the snapshots that are trusted."""
    shown = found.shown[:count]
    copied = copies_of(
        [shot.step for shot in shown], [shot.copies for shot in shown], [shot.total for shot in shown]
    )
    null = (0, 1) if run.null is None else (run.null.count, run.null.total)
    return tau_mem_of(copied, null, record.rules.memorized)


def over(predicted: Time, measured: Time) -> Estimate:
    """Predicted over measured; its interval joins the two in the logarithm, each taken as normal."""
    ratio = predicted.value / measured.value
    down = math.hypot(_span(predicted.low, predicted.value), _span(measured.value, measured.high))
    up = math.hypot(_span(predicted.value, predicted.high), _span(measured.low, measured.value))
    return Estimate(ratio, ratio * math.exp(-down), ratio * math.exp(up))


def _span(low: float, high: float) -> float:
    return math.inf if low <= 0 or math.isinf(high) else math.log(high / low)


def first_below(step: np.ndarray, values: np.ndarray, level: float) -> float | None:
    """Where a curve first falls to a level, between its snapshots by the logarithm of the step.

    >>> first_below(np.array([10.0, 1000.0]), np.array([1.0, 0.0]), 0.5)
    100.0
    """
    below = np.flatnonzero(values <= level)
    if not len(below):
        return None
    k = int(below[0])
    if k == 0:
        return float(step[0])
    share = (values[k - 1] - level) / (values[k - 1] - values[k])
    return round(float(np.exp(np.interp(share, [0, 1], np.log(step[k - 1 : k + 1])))), 6)


# --- the summary ---


def summarise(rows: Sequence[Row], jobs: Sequence[Job], done: Sequence[Done[Continued]]) -> dict[str, object]:
    """How many runs each way told within a factor of 2, and how far off it was, by sweep."""
    linear = of_kind(rows, LinearRow)
    found: dict[str, object] = {
        sweep: scores_of(runs, [row for row in linear if row.sweep == sweep])
        for sweep, runs in grouped(of_kind(rows, RunRow), lambda row: row.sweep).items()
    }
    seconds = grouped(zip(jobs, done, strict=True), lambda pair: f"{pair[0].sweep}, {pair[0].task.way}")
    found["seconds"] = {name: [one.seconds for _, one in pairs] for name, pairs in seconds.items()}
    return found


def scores_of(runs: Sequence[RunRow], linear: Sequence[LinearRow]) -> dict[str, object]:
    """All ways over the runs of one sweep."""
    kept = of_largest_kernels(linear)
    scores: dict[str, object] = {way: score(same) for way, same in grouped(kept, lambda row: row.way).items()}
    return scores | {
        "in proportion to n": told([run.law for run in runs]),
        "theory": told([run.theory for run in runs if run.theory is not None]),
        "loss left at tau_mem": median_or_nan([run.left for run in runs]),
    }


def score(rows: Sequence[LinearRow]) -> dict[str, object]:
    """One way over runs."""
    factors = [row.factor.value for row in rows if row.factor is not None]
    bounds = [row.at_least for row in rows if row.at_least is not None]
    thirds = [row.third for row in rows if row.third is not None]
    return {
        "runs": len(rows),
        "copied": told(factors),
        "not copied by so many tau_mem": bounds,
        "more than twice tau_mem, by a bound": sum(bound >= FACTOR * (1 - 1e-3) for bound in bounds),
        "by a third of the distance": told(thirds),
    }


def told(factors: Sequence[float]) -> dict[str, object]:
    """Forecasts over measured times: how many, how many within a factor of 2, the median and the ends."""
    return {
        "runs": len(factors),
        "within 2": sum(1 / FACTOR <= factor <= FACTOR for factor in factors),
        "median": median_or_nan(list(factors)),
        "least": min(factors, default=math.nan),
        "most": max(factors, default=math.nan),
    }
