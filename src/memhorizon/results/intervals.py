"""Intervals with their nominal coverage: what can be one, and how wide a normal or t interval is."""

import math
from functools import lru_cache
from numbers import Real

from memhorizon.errors import InputError

NORMAL_95 = 1.959963984540054  # standard deviations on both sides of a normal mean that hold 95 %
ROUNDING = 1e-9  # relative: ends of an interval are computed apart from its value


def check_confidence(confidence: float) -> float:
    """Return the nominal coverage of an interval if it can be one.

    Raises:
        InputError: if it is not above 0 and at most 1 (1 is the coverage of what is computed, not measured).
    """
    if not (isinstance(confidence, Real) and 0 < confidence <= 1):
        raise InputError(f"confidence: expected a number in (0, 1], got {confidence!r}")
    return confidence


@lru_cache(maxsize=256)  # a curve or a table of times asks for the same one at each point
def two_sided(confidence: float, degrees: int = 0) -> float:
    """How many standard errors on both sides of a mean are its interval.

    Args:
        confidence: nominal coverage, below 1.
        degrees: degrees of freedom of a t interval; 0 for a normal one.

    >>> round(two_sided(0.95, 2), 4)
    4.3027
    """
    from scipy import stats  # half a second that the theory does not need

    tail = (1 - confidence) / 2
    return float(stats.t.isf(tail, degrees) if degrees else stats.norm.isf(tail))


def check_interval(what: str, value: float, low: float, high: float) -> None:
    """Refuse an interval that does not hold its value, but for rounding; NaN lies anywhere."""
    if not all(isinstance(number, Real) for number in (value, low, high)):
        raise InputError(f"{what}: expected numbers, got {value!r} in [{low!r}, {high!r}]")
    if not _is_within(value, low, high):
        raise InputError(f"{what}: expected low <= value <= high, got {low}, {value}, {high}")


def _is_within(value: float, low: float, high: float) -> bool:
    slack = ROUNDING * abs(value) if math.isfinite(value) else 0.0
    return bool(low <= high and (math.isnan(value) or low - slack <= value <= high + slack))
