"""The forecast of one timescale: what the pilots say, what was believed, and how far both can be trusted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import stats

from memhorizon.errors import InputError
from memhorizon.forecasting.answers import ForecastTime
from memhorizon.forecasting.conformal import widening
from memhorizon.forecasting.design import Design, design
from memhorizon.forecasting.pilots import Pilot, Point
from memhorizon.forecasting.posterior import Posterior, posterior
from memhorizon.forecasting.priors import FIXED, FULL, ONLY, Exponent
from memhorizon.forecasting.refusals import Refusal, assumed, contradictory, unmeasured
from memhorizon.forecasting.times import log_times, usable
from memhorizon.results import Curve, Estimate, ScalingLaw, Status
from memhorizon.timescales.power_law import fit_scaling


@dataclass(frozen=True)
class Question:
    """What is asked of pilots.

    Attributes:
        timescale: "tau_mem" or "tau_gen".
        beliefs: about each exponent.
        confidence: of the prediction intervals.
        accept_prior: whether an exponent that the pilots do not show may be assumed.
    """

    timescale: str
    beliefs: Mapping[str, Exponent]
    confidence: float = 0.9
    accept_prior: bool = False


@dataclass(frozen=True)
class Fit:
    """What pilots say of some points.

    Attributes:
        design: of the pilots that were used, and the points.
        posterior: of the points in their order, then of the exponents.
        pilots: that were used.
        refusal: why the first point has no answer, or that it rests on the prior; None where all is well.
    """

    design: Design
    posterior: Posterior
    pilots: tuple[Pilot, ...]
    refusal: Refusal | None = None

    def interval(self, point: int, confidence: float) -> tuple[float, float, float]:
        """Median and both ends of the log time of one more run at a point."""
        tail = (1 - confidence) / 2
        low, middle, high = (self.posterior.quantile(point, share) for share in (tail, 0.5, 1 - tail))
        return middle, low, high

    def log_width(self, point: int, confidence: float) -> float:
        """Length of the interval of one more run in log time."""
        _, low, high = self.interval(point, confidence)
        return high - low


def refused(status: Status, note: str, confidence: float) -> ForecastTime:
    """No answer, and why."""
    nothing = Estimate(math.nan, 0.0, math.inf, confidence)
    return ForecastTime(nothing, nothing, nothing, status, note)


def check_pilots(pilots: Sequence[Pilot], question: Question) -> Refusal | None:
    """Why these pilots cannot tell, whatever is asked; None where they can."""
    timescale = question.timescale
    return unmeasured(pilots, timescale) or contradictory(_usable(pilots, timescale), timescale)


def fit(pilots: Sequence[Pilot], points: Sequence[Point], question: Question) -> Fit:
    """What the pilots that have a time say of some points, the first of which is asked for."""
    used = _usable(pilots, question.timescale)
    times = [pilot.time(question.timescale) for pilot in used]
    made = design([pilot.point for pilot in used], points, question.beliefs)
    observed = [time.observed for time in times]
    found = posterior(made, log_times(times))
    only_first = replace(made, asked=made.asked[:1])
    refusal = assumed(_moving(only_first), observed, accept_prior=question.accept_prior)
    return Fit(made, found, tuple(used), refusal)


def _moving(found: Design) -> Design:
    """The design without columns that vary only in points other than the first, which is asked for."""
    both = np.vstack([found.pilots, found.asked])
    kept = [i for i in range(len(found.names)) if np.ptp(both[:, i]) > 1e-9]
    return replace(
        found,
        names=tuple(found.names[i] for i in kept),
        pilots=found.pilots[:, kept],
        asked=found.asked[:, kept],
        mean=found.mean[kept],
        sd=found.sd[kept],
    )


def _usable(pilots: Sequence[Pilot], timescale: str) -> list[Pilot]:
    return [pilot for pilot in pilots if usable(pilot.time(timescale))]


def answer(pilots: Sequence[Pilot], point: Point, question: Question) -> ForecastTime:
    """When a run at a point would reach the timescale."""
    refusal = check_pilots(pilots, question)
    if refusal is not None:
        return refused(refusal.status, refusal.note, question.confidence)
    found = fit(pilots, [point], question)
    status = Status.FORECAST if found.refusal is None else found.refusal.status
    note = "" if found.refusal is None else found.refusal.note
    if status not in (Status.FORECAST, Status.ASSUMED):
        return _with_evidence(refused(status, note, question.confidence), found, question)
    widened = widening(_left_forward(pilots, question), question.confidence)
    steps = _steps(found, question.confidence, widened)
    made = replace(in_units(steps, point, status, note), widened=widened)
    return _with_evidence(made, found, question)


def in_units(steps: Estimate, point: Point, status: Status, note: str) -> ForecastTime:
    """An answer in steps, epochs and items seen."""
    return ForecastTime(
        steps, _scaled(steps, _per_epoch(point)), _scaled(steps, point.batch_size), status, note
    )


def _steps(found: Fit, confidence: float, widened: float) -> Estimate:
    """Median and interval of one more run in steps."""
    middle, low, high = found.interval(0, confidence)
    ends = (middle, middle - widened * (middle - low), middle + widened * (high - middle))
    value, down, up = (math.exp(min(end, 700.0)) for end in ends)  # the largest number is exp(709)
    return Estimate(value, down, up, confidence)


def _per_epoch(point: Point) -> float | None:
    """Share of the training set that one step sees."""
    return None if point.batch_size is None else point.batch_size / point.n_train


def _scaled(steps: Estimate, factor: float | None) -> Estimate:
    """The same in another unit; not known where the factor is not."""
    if factor is None:
        return Estimate(math.nan, 0.0, math.inf, steps.confidence)
    return replace(steps, value=steps.value * factor, low=steps.low * factor, high=steps.high * factor)


# --- what an answer rests on ---


def _with_evidence(made: ForecastTime, found: Fit, question: Question) -> ForecastTime:
    """The answer with exponents, prior, conflict and what the smaller pilots say of the largest."""
    times = [pilot.time(question.timescale) for pilot in found.pilots]
    law = _alone(found.pilots, question)
    return replace(
        made,
        exponents=_exponents(found, question.confidence),
        prior={name: _believed(question.beliefs[name], question.confidence) for name in found.design.names},
        alone=None if law is None else law.exponents[ONLY],
        conflict=math.nan if law is None else _conflict(law, found.design, question.beliefs),
        left_out=_left_out(found.pilots, question),
        observed=sum(time.observed for time in times),
        censored=sum(not time.observed for time in times),
    )


def _exponents(found: Fit, confidence: float) -> dict[str, Estimate]:
    """What pilots and prior say of the exponents, which come last among the questions."""
    tail = (1 - confidence) / 2
    first = len(found.design.asked)
    exponents = {}
    for i, name in enumerate(found.design.names):
        middle, low, high = (
            found.posterior.quantile(first + i, share, of_a_run=False) for share in (0.5, tail, 1 - tail)
        )
        exponents[name] = Estimate(middle, low, high, confidence)
    return exponents


def _believed(belief: Exponent, confidence: float) -> Estimate:
    half = float(stats.norm.isf((1 - confidence) / 2)) * belief.sd
    return Estimate(belief.mean, belief.mean - half, belief.mean + half, confidence)


def _alone(pilots: Sequence[Pilot], question: Question) -> ScalingLaw | None:
    """The law of the pilots without a prior; None where they show none."""
    every = design([pilot.point for pilot in pilots], [], question.beliefs)
    if FULL in every.names and FIXED in every.names:
        return None
    by = tuple(ONLY if name in (FULL, FIXED) else name for name in every.names)
    if ONLY not in by:
        return None
    rows = [({**_factors(pilot.point), "time": pilot.time(question.timescale)}) for pilot in pilots]
    try:
        law = fit_scaling(rows, by=by, confidence=question.confidence)
    except InputError:  # factors that cannot be told apart, or times of several confidences
        return None
    return law if law.fitted else None


def _factors(point: Point) -> dict[str, object]:
    return {"n_train": point.n_train, "width": point.width, "lr": point.lr}


def _conflict(law: ScalingLaw, found: Design, beliefs: Mapping[str, Exponent]) -> float:
    """Probability of an exponent as far from the prior: z = (alone - mean) / sqrt(error^2 + sd^2)."""
    name = next((name for name in found.names if name in (ONLY, FULL, FIXED)), None)
    if name is None:
        return math.nan
    place = 1 + list(law.exponents).index(ONLY)
    error2 = float(law.covariance[place, place])
    belief = beliefs[name]
    z = (law.exponents[ONLY].value - belief.mean) / math.sqrt(error2 + belief.sd**2)
    return float(2 * stats.norm.sf(abs(z)))


# --- forecasts of what is known ---


@dataclass(frozen=True)
class _Forward:
    """Pilots of one size, and what the smaller ones say of it.

    Attributes:
        logs: log times of those that were observed.
        middle: median of the forecast.
        low: lower end.
        high: upper end.
    """

    logs: list[float] = field(default_factory=list)
    middle: float = math.nan
    low: float = math.nan
    high: float = math.nan


def _forward(pilots: Sequence[Pilot], size: float, question: Question) -> _Forward | None:
    """The forecast of one size from the smaller ones; None where these have fewer than two sizes."""
    smaller = [pilot for pilot in pilots if pilot.point.n_train < size]
    seen = {pilot.point.n_train for pilot in smaller if pilot.time(question.timescale).observed}
    largest = [pilot for pilot in pilots if pilot.point.n_train == size]
    points = {pilot.point for pilot in largest}
    logs = [math.log(t.value) for t in (pilot.time(question.timescale) for pilot in largest) if t.observed]
    if len(seen) < 2 or len(points) != 1 or not logs:
        return None
    found = fit(smaller, [points.pop()], question)
    return _Forward(logs, *found.interval(0, question.confidence))


def _left_forward(pilots: Sequence[Pilot], question: Question) -> list[float]:
    """Residuals of each run, forecast from smaller sets, in half-lengths of its interval."""
    used = _usable(pilots, question.timescale)
    residuals = []
    for size in sorted({pilot.point.n_train for pilot in used}):
        one = _forward(used, size, question)
        if one is not None:
            residuals += [_residual(log, one) for log in one.logs]
    return residuals


def _residual(log: float, one: _Forward) -> float:
    """Distance from the median over that of the end of the interval on the same side."""
    half = one.high - one.middle if log > one.middle else one.middle - one.low
    return abs(log - one.middle) / half


def _left_out(pilots: Sequence[Pilot], question: Question) -> Estimate | None:
    """Time of the largest pilots over its forecast from the smaller ones."""
    one = _forward(pilots, max(pilot.point.n_train for pilot in pilots), question)
    if one is None:
        return None
    mean = float(np.mean(one.logs))
    return Estimate(
        math.exp(mean - one.middle), math.exp(mean - one.high), math.exp(mean - one.low), question.confidence
    )


def curve_of(found: Fit, steps: Sequence[float], first: int, confidence: float, name: str) -> Curve:
    """The median along some points with the interval of one more run, from question `first` on."""
    rows = [found.interval(first + i, confidence) for i in range(len(steps))]
    value, low, high = np.exp(np.clip(np.array(rows), -700, 700)).T
    return Curve(np.array(steps, dtype=float), value, low, high, name, confidence=confidence)
