"""Times and numbers of several runs put together: censored times enter as bounds, means have t intervals.

Four ways, for four questions. All of them keep what is known of a time that was not reached:

- How do times grow with n, width, ...? `power_law.fit_scaling` and `exponent_of` (were recipes.times.exponent
  and .power).
- How much later under one setting, seed by seed? `contrasts.time_ratio` (was experiments.record._ratio).
- Which time, or which ratio of two times, on average? `log_time` or `log_ratio`, then `geometric_mean` (were
  recipes.times.ratio, with a unit for a single time, and .geometric_mean).
- How do times of many items grow with a factor of theirs? `item_exponent`, `item_log_ratio` (were
  recipes.first_digits_statistics.exponent and .log_ratio).

Numbers without censoring: `over_seeds` (mean with its t interval; recipes.times.over_seeds) and
`mean_and_error` (mean with its standard error; recipes.theory_record.mean_and_error). Who is early and who is
late among items: `timescales.ordering`. A t or normal quantile is `results.two_sided` everywhere.

`Time` itself is what `recipes.times.plain_time` and `.as_time` turned to and fro: a row has a field of type
`Time`, and `records.codec` writes and reads it. What was "undetermined" there is `not time.determined`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from memhorizon.errors import InputError
from memhorizon.results import Estimate, ScalingLaw, Status, Time, two_sided
from memhorizon.timescales.power_law import fit_scaling

SIDES = {Status.OBSERVED: 0, Status.NOT_REACHED: 1, Status.BEFORE_FIRST: -1}
POOLED_STATUSES = {0: Status.OBSERVED, 1: Status.AT_LEAST, -1: Status.AT_MOST}


@dataclass(frozen=True)
class LogTime:
    """The logarithm of a time or of a ratio of times, and what is known of it.

    Attributes:
        log: the natural logarithm.
        side: 0 where it was observed, 1 where it is at least `log`, -1 where it is at most `log`.
    """

    log: float
    side: int = 0


@dataclass(frozen=True)
class Pooled:
    """The geometric mean of times, or of ratios of times, over runs.

    Attributes:
        value: the mean; a bound where `status` is "at least" or "at most"; NaN where it is undetermined.
        low: lower end of the 95 % t interval; minus infinity where there is none.
        high: upper end; infinity where there is none.
        status: "observed", "at least", "at most" or "undetermined".
        known: runs that have a time or a bound.
        observed: runs whose times were observed.
    """

    value: float
    low: float
    high: float
    status: Status
    known: int = 0
    observed: int = 0

    def __post_init__(self) -> None:
        if self.status not in (*POOLED_STATUSES.values(), Status.UNDETERMINED):
            raise InputError(f"status: expected that of a mean of times, got {str(self.status)!r:.60}")
        object.__setattr__(self, "status", Status(self.status))

    @property
    def estimate(self) -> Estimate:
        """The value with its interval."""
        return Estimate(self.value, self.low, self.high)

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"- ({self.status})"
        mark = {Status.AT_LEAST: "> ", Status.AT_MOST: "< "}.get(self.status, "")
        return f"{mark}{self.estimate}" if math.isfinite(self.low) else f"{mark}{self.value:.3g}"


@dataclass(frozen=True)
class SeedMean:
    """The mean of a number over seeds with its 95 % t interval.

    Attributes:
        value: the mean; NaN without a seed.
        low: lower end; minus infinity where one seed or none has the number.
        high: upper end; infinity where one seed or none has it.
        seeds: how many have the number.
    """

    value: float
    low: float
    high: float
    seeds: int

    @property
    def estimate(self) -> Estimate:
        """The value with its interval."""
        return Estimate(self.value, self.low, self.high)


@dataclass(frozen=True)
class MeanError:
    """A mean over seeds with its standard error.

    Attributes:
        mean: over seeds.
        standard_error: NaN of one seed.
        seeds: how many.
    """

    mean: float
    standard_error: float
    seeds: int


@dataclass(frozen=True)
class Exponent:
    """One exponent of a scaling law, and what it rests on.

    Attributes:
        value: the exponent; NaN where the law is not fitted.
        low: lower end of its interval.
        high: upper end of its interval.
        observed: times that were observed.
        censored: times that entered as bounds.
        status: fitted, fitted with most times censored, or not fitted.
        note: details of the status.
    """

    value: float
    low: float
    high: float
    observed: int
    censored: int
    status: Status
    note: str = ""

    @property
    def estimate(self) -> Estimate:
        """The value with its interval."""
        return Estimate(self.value, self.low, self.high)


# --- times and their ratios over runs ---


def log_time(time: Time) -> LogTime | None:
    """The logarithm of a time; None where there is none, or nothing bounds the one that was observed."""
    if not (time.known and time.determined):
        return None
    return LogTime(math.log(time.value), SIDES[time.status])


def log_ratio(above: Time, below: Time) -> LogTime | None:
    """The logarithm of above / below; None where one is unknown, or their bounds bound the ratio nowhere."""
    up = log_time(above)
    down = log_time(below)
    if up is None or down is None or up.side * -down.side < 0:
        return None
    return LogTime(math.log(above.value / below.value), up.side or -down.side)


def geometric_mean(logs: Sequence[LogTime | None]) -> Pooled:
    """Geometric mean of times or of ratios over runs with its 95 % t interval.

    Where some are bounds, all on one side, the mean of the bounds is a bound of the mean, without interval.
    Where bounds lie on both sides, or less than half is known at all, it is undetermined.
    """
    known = [log for log in logs if log is not None]
    sides = {log.side for log in known if log.side}
    observed = sum(log.side == 0 for log in known)
    if not known or 2 * len(known) < len(logs) or len(sides) > 1:
        return Pooled(math.nan, -math.inf, math.inf, Status.UNDETERMINED, len(known), observed)
    x = np.array([log.log for log in known])
    status = POOLED_STATUSES[sum(sides)]
    found = Pooled(math.exp(x.mean()), -math.inf, math.inf, status, len(known), observed)
    return found if sides or len(x) == 1 else _with_interval(found, x)


def _with_interval(found: Pooled, x: np.ndarray) -> Pooled:
    """The mean with the t interval of the logarithms x."""
    half = _half_width(x)
    return replace(found, low=math.exp(x.mean() - half), high=math.exp(x.mean() + half))


# --- numbers over seeds ---


def over_seeds(values: Sequence[float]) -> SeedMean:
    """Mean over seeds with its 95 % t interval, over those where there is a finite value."""
    x = np.array([value for value in values if math.isfinite(value)])
    if len(x) == 0:
        return SeedMean(math.nan, -math.inf, math.inf, 0)
    if len(x) == 1:
        return SeedMean(float(x[0]), -math.inf, math.inf, 1)
    half = _half_width(x)
    return SeedMean(float(x.mean()), float(x.mean() - half), float(x.mean() + half), len(x))


def mean_and_error(values: Sequence[float] | np.ndarray) -> MeanError:
    """Mean over seeds and its standard error.

    Raises:
        InputError: if there is no value.
    """
    x = _one_row(values)
    error = _standard_error(x) if len(x) > 1 else math.nan
    return MeanError(float(x.mean()), error, len(x))


def _one_row(values: Sequence[float] | np.ndarray) -> np.ndarray:
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or len(x) == 0:
        raise InputError(f"values: expected one row of at least one number, got shape {x.shape}")
    return x


def _standard_error(x: np.ndarray) -> float:
    return float(x.std(ddof=1)) / math.sqrt(len(x))


def _half_width(x: np.ndarray) -> float:
    """Of the 95 % t interval of the mean."""
    return two_sided(0.95, len(x) - 1) * _standard_error(x)


# --- laws ---


def exponent_of(law: ScalingLaw, factor: str) -> Exponent:
    """The exponent of a factor with what it rests on.

    Raises:
        InputError: if the law has no such factor.
    """
    if factor not in law.exponents:
        raise InputError(f"factor: expected one of {sorted(law.exponents)}, got {factor!r}")
    found = law.exponents[factor]
    return Exponent(found.value, found.low, found.high, law.observed, law.censored, law.status, law.note)


def item_exponent(factors: Sequence[float], times: Sequence[Time]) -> float:
    """Give b of time ~ factor^b over items by maximum likelihood, censored times included.

    How well each time is known is left to the scatter between items: late times have open intervals and
    would count for nothing.

    Returns:
        The exponent; NaN if it cannot be fitted.

    Source: [tobin1958]
    """
    exact = [replace(time, low=time.value, high=time.value) if time.observed else time for time in times]
    rows = [({"factor": factor}, time) for factor, time in zip(factors, exact, strict=True)]
    return fit_scaling(rows, by=("factor",)).exponents["factor"].value


def item_log_ratio(times: Sequence[Time], others: Sequence[Time]) -> float:
    """Log of the geometric mean of `times` over that of `others`; NaN if it cannot be fitted.

    Censored times enter by the probability to lie beyond their bound.

    Source: [tobin1958]
    """
    factors = [math.e] * len(times) + [1.0] * len(others)
    return item_exponent(factors, [*times, *others])
