"""Times of several runs as recipes put them together: means, ratios run by run, the power of one factor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from memhorizon.results import ScalingLaw, Time
from memhorizon.timescales.pooling import (
    Exponent,
    Pooled,
    SeedMean,
    exponent_of,
    geometric_mean,
    log_ratio,
    log_time,
)
from memhorizon.timescales.power_law import fit_scaling

M = TypeVar("M", Pooled, SeedMean)


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % interval; NaN with an unbounded interval where it is not known.

    Attributes:
        value: the number.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value lies in the interval."""
        return self.low <= value <= self.high


def bare(time: Time) -> Time:
    """A time without the words on how it was read, as rows have it."""
    return replace(time, rule="")


def mapped(mean: M, function: Callable[[float], float]) -> M:
    """A mean and its interval in another unit, by an increasing function."""
    low = function(mean.low)
    high = function(mean.high)
    return replace(mean, value=function(mean.value), low=low, high=high)


def mean_time(times: Sequence[Time]) -> Pooled:
    """Geometric mean of times."""
    return geometric_mean([log_time(time) for time in times])


def mean_ratio(above: Sequence[Time], below: Sequence[Time]) -> Pooled:
    """Geometric mean of ratios, run by run."""
    return geometric_mean([log_ratio(up, down) for up, down in zip(above, below, strict=True)])


def law_of(values: Sequence[float], times: Sequence[Time], factor: str = "factor") -> ScalingLaw:
    """Times as a power of one factor, censored ones included."""
    rows = [({factor: value}, time) for value, time in zip(values, times, strict=True)]
    return fit_scaling(rows, by=(factor,))


def power_of(values: Sequence[float], times: Sequence[Time]) -> Exponent:
    """The exponent of one factor, with what it rests on."""
    return exponent_of(law_of(values, times), "factor")
