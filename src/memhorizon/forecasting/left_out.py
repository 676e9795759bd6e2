"""Forecasts of what is known: runs of each size from the smaller ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from memhorizon.forecasting.fitting import Question, fit, some_of, with_a_time
from memhorizon.forecasting.pilots import Pilot
from memhorizon.results import Estimate

MOST_SIZES = 40  # that are forecast from the smaller ones: each is a fit of its own


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


def left_forward(pilots: Sequence[Pilot], question: Question) -> list[float]:
    """Residuals of runs, forecast from smaller sets, in half-lengths of their intervals."""
    used = with_a_time(pilots, question.timescale)
    residuals = []
    for size in some_of(sorted({pilot.point.n_train for pilot in used}), MOST_SIZES):
        one = _forward(used, size, question)
        if one is not None:
            residuals += [_residual(log, one) for log in one.logs]
    return residuals


def _residual(log: float, one: _Forward) -> float:
    """Distance from the median over that of the end of the interval on the same side."""
    half = one.high - one.middle if log > one.middle else one.middle - one.low
    return abs(log - one.middle) / half


def left_out(pilots: Sequence[Pilot], question: Question) -> Estimate | None:
    """Time of the largest pilots over its forecast from the smaller ones."""
    one = _forward(pilots, max(pilot.point.n_train for pilot in pilots), question)
    if one is None:
        return None
    mean = float(np.mean(one.logs))
    return Estimate(
        math.exp(mean - one.middle), math.exp(mean - one.high), math.exp(mean - one.low), question.confidence
    )
