"""Forecasts of what is known: runs of each size from the smaller ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memhorizon.forecasting.fitting import Question, fit, some_of, with_a_time
from memhorizon.forecasting.pilots import Pilot
from memhorizon.results import Estimate, Status, Time

MOST_SIZES = 40  # that are forecast from the smaller ones: each is a fit of its own


@dataclass(frozen=True)
class _Forward:
    """Pilots of one size, and what the smaller ones say of it.

    Attributes:
        times: of those pilots.
        middle: median of the forecast of their log times.
        low: lower end.
        high: upper end.
    """

    times: list[Time]
    middle: float
    low: float
    high: float


def _forward(pilots: Sequence[Pilot], size: float, question: Question) -> _Forward | None:
    """The forecast of one size from the smaller ones; None where these have fewer than two sizes."""
    smaller = [pilot for pilot in pilots if pilot.point.n_train < size]
    seen = {pilot.point.n_train for pilot in smaller if pilot.time(question.timescale).observed}
    largest = [pilot for pilot in pilots if pilot.point.n_train == size]
    points = {pilot.point for pilot in largest}
    if len(seen) < 2 or len(points) != 1:
        return None
    found = fit(smaller, [points.pop()], question)
    times = [pilot.time(question.timescale) for pilot in largest]
    return _Forward(times, *found.interval(0, question.confidence))


def left_forward(pilots: Sequence[Pilot], question: Question) -> list[float]:
    """Residuals of runs, forecast from smaller sets, in half-lengths of their intervals.

    Of a time that is known as a bound it is the least that the bound allows: runs that are late are those
    that have not copied when they end, and must not be missing here.
    """
    used = with_a_time(pilots, question.timescale)
    residuals = []
    for size in some_of(sorted({pilot.point.n_train for pilot in used}), MOST_SIZES):
        one = _forward(used, size, question)
        if one is not None:
            residuals += [_residual(time, one) for time in one.times]
    return residuals


def _residual(time: Time, one: _Forward) -> float:
    """Distance from the median over that of the end of the interval on the same side."""
    off = math.log(time.value) - one.middle
    if _may_be_the_median(time, off):
        return 0.0
    return abs(off) / _half(one, off)


def _may_be_the_median(time: Time, off: float) -> bool:
    """Whether a time that is only bounded may lie at the median."""
    return (time.status is Status.NOT_REACHED and off < 0) or (time.status is Status.BEFORE_FIRST and off > 0)


def _half(one: _Forward, off: float) -> float:
    """The part of the interval on the side of the time."""
    return one.high - one.middle if off > 0 else one.middle - one.low


def left_out(pilots: Sequence[Pilot], question: Question) -> Estimate | None:
    """Time of the largest pilots over its forecast from the smaller ones; None where some are bounds."""
    one = _forward(pilots, max(pilot.point.n_train for pilot in pilots), question)
    if one is None or not all(time.observed for time in one.times):
        return None
    mean = float(np.mean([math.log(time.value) for time in one.times]))
    return Estimate(
        math.exp(mean - one.middle), math.exp(mean - one.high), math.exp(mean - one.low), question.confidence
    )
