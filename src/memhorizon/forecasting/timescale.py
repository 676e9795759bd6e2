"""The forecast of one timescale: what the pilots say, what was believed, and how far both can be trusted."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from memhorizon.forecasting.answers import ForecastTime
from memhorizon.forecasting.conformal import widening
from memhorizon.forecasting.evidence import with_evidence
from memhorizon.forecasting.fitting import Fit, Question, check_pilots, fit
from memhorizon.forecasting.left_out import left_forward
from memhorizon.forecasting.pilots import Pilot, Point
from memhorizon.results import Curve, Estimate, Status


def refused(status: Status, note: str, confidence: float) -> ForecastTime:
    """No answer, and why."""
    nothing = Estimate(math.nan, 0.0, math.inf, confidence)
    return ForecastTime(nothing, nothing, nothing, status, note)


def answer(pilots: Sequence[Pilot], point: Point, question: Question) -> ForecastTime:
    """When a run at a point would reach the timescale."""
    refusal = check_pilots(pilots, question)
    if refusal is not None:
        return refused(refusal.status, refusal.note, question.confidence)
    found = fit(pilots, [point], question)
    status = Status.FORECAST if found.refusal is None else found.refusal.status
    note = "" if found.refusal is None else found.refusal.note
    if status not in (Status.FORECAST, Status.ASSUMED):
        return with_evidence(refused(status, note, question.confidence), found, question)
    widened = widening(left_forward(pilots, question), question.confidence)
    steps = _steps(found, question.confidence, widened)
    made = replace(in_units(steps, point, status, note), widened=widened)
    return with_evidence(made, found, question)


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


def curve_of(found: Fit, n_train: Sequence[float], confidence: float, widened: float, name: str) -> Curve:
    """The median along n with the interval of one more run, whose points follow the one that is asked for."""
    rows = np.array([found.interval(1 + i, confidence) for i in range(len(n_train))])
    middle = rows[:, :1]
    value, low, high = np.exp(np.clip(middle + [1.0, widened, widened] * (rows - middle), -700, 700)).T
    return Curve(np.array(n_train, dtype=float), value, low, high, name, confidence=confidence)
