"""The answers that memhorizon gives.

Nothing here needs torch: theory and experiments return the same types. A number has its evidence beside it:
counts, an interval, or the statement that a time was not reached.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from numbers import Real

import numpy as np
from jaxtyping import Float

from memhorizon.errors import InputError

NORMAL_95 = 1.959963984540054  # standard deviations on both sides of a normal mean that hold 95 %
MOST_COUNTED = 2**53  # whole numbers up to here are exact in float64
_COLUMNS = ("step", "value", "low", "high")
ROUNDING = 1e-9  # relative: ends of an interval are computed apart from its value


def check_confidence(confidence: float) -> float:
    """Return the nominal coverage of an interval if it can be one.

    Raises:
        InputError: if it is not above 0 and at most 1 (1 is the coverage of what is computed, not measured).
    """
    if not (isinstance(confidence, Real) and 0 < confidence <= 1):
        raise InputError(f"confidence: expected a number in (0, 1], got {confidence!r}")
    return confidence


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


def _check_interval(what: str, value: float, low: float, high: float) -> None:
    """Refuse an interval that does not hold its value, but for rounding; NaN lies anywhere."""
    if not all(isinstance(number, Real) for number in (value, low, high)):
        raise InputError(f"{what}: expected numbers, got {value!r} in [{low!r}, {high!r}]")
    slack = ROUNDING * abs(value) if math.isfinite(value) else 0.0
    if not (low <= high and (math.isnan(value) or low - slack <= value <= high + slack)):
        raise InputError(f"{what}: expected low <= value <= high, got {low}, {value}, {high}")


@dataclass(frozen=True)
class Fraction:
    """A proportion `count / total` with its exact two-sided interval.

    Attributes:
        value: count / total.
        low: lower end of the Clopper-Pearson interval.
        high: upper end; above zero also when nothing was found (0 of 1,000 gives 0.0037).
        count: how many of `total` have the property.
        total: how many were looked at.
        confidence: nominal coverage of [low, high].
    """

    value: float
    low: float
    high: float
    count: int
    total: int
    confidence: float = 0.95

    def __post_init__(self) -> None:
        whole = isinstance(self.count, int) and isinstance(self.total, int)
        if not (whole and 0 <= self.count <= self.total and self.total >= 1):
            got = f"{self.count!r}, {self.total!r}"
            raise InputError(f"fraction: expected whole numbers with 0 <= count <= total, got {got}")
        check_confidence(self.confidence)
        _check_interval("fraction", self.value, self.low, self.high)
        inside = self.low >= 0 and self.high <= 1
        if not (inside and math.isclose(self.value, self.count / self.total, abs_tol=ROUNDING)):
            got = f"{self.value} [{self.low}, {self.high}] of {self.count} / {self.total}"
            raise InputError(f"fraction: expected count / total with an interval in [0, 1], got {got}")

    @classmethod
    def of(cls, count: int | np.integer, total: int | np.integer, *, confidence: float = 0.95) -> "Fraction":
        """Estimate a proportion from its counts.

        Raises:
            InputError: if the counts are no whole numbers, `total` is not within 1..2**53, `count` is not
                within 0..total, or the confidence is not in (0, 1).

        >>> print(Fraction.of(0, 1000))
        0.0000 [0.0000, 0.0037] (0 of 1000)

        Source: [clopper1934]
        """
        _check_counts(count, total)
        if check_confidence(confidence) == 1:
            raise InputError("confidence: expected below 1, where an interval says something, got 1")
        count = int(count)
        total = int(total)
        low, high = _clopper_pearson(count, total, confidence)
        return cls(count / total, low, high, count, total, confidence)

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}] ({self.count} of {self.total})"


def _check_counts(count: int | np.integer, total: int | np.integer) -> None:
    whole = isinstance(count, int | np.integer) and isinstance(total, int | np.integer)
    if not whole or not 1 <= total <= MOST_COUNTED or not 0 <= count <= total:
        raise InputError(
            "count, total: expected whole numbers with 0 <= count <= total and 1 <= total <= 2**53, "
            f"got {count!r}, {total!r}"
        )


@lru_cache(maxsize=4096)  # curves of many items ask for the same few counts again and again
def _clopper_pearson(count: int, total: int, confidence: float) -> tuple[float, float]:
    """The ends p at which the tail beyond the count has the probability (1 - confidence) / 2.

    Source: [clopper1934]
    """
    from scipy import stats  # half a second that the theory does not need

    tail = (1 - confidence) / 2
    # P(X >= count | low) = tail and P(X <= count | high) = tail, as quantiles of Beta distributions
    low = float(stats.beta.ppf(tail, count, total - count + 1)) if count else 0.0
    high = float(stats.beta.ppf(1 - tail, count + 1, total - count)) if count < total else 1.0
    return low, high


@dataclass(frozen=True)
class Estimate:
    """A number with its confidence interval.

    Attributes:
        value: the estimate; NaN where it is not known.
        low: lower end of the interval, -infinity where nothing bounds it.
        high: upper end, infinity where nothing bounds it.
        confidence: nominal coverage of [low, high].
    """

    value: float
    low: float
    high: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        _check_interval("estimate", self.value, self.low, self.high)

    def __str__(self) -> str:
        return f"{_digits(self.value, 3)} [{_digits(self.low, 3)}, {_digits(self.high, 3)}]"


@dataclass(frozen=True, repr=False)
class Curve:
    """One measured quantity along training.

    Attributes:
        step: training times, strictly increasing. [m]
        value: the estimate at each time. [m]
        low: lower end of its interval. [m]
        high: upper end of its interval. [m]
        name: what was measured.
        total: for a fraction, how many samples each value rests on; None for a mean. [m]
        confidence: nominal coverage of [low, high] at each time.
    """

    step: Float[np.ndarray, " m"]
    value: Float[np.ndarray, " m"]
    low: Float[np.ndarray, " m"]
    high: Float[np.ndarray, " m"]
    name: str = ""
    total: Float[np.ndarray, " m"] | None = None
    confidence: float = 0.95

    def __repr__(self) -> str:
        """Name, number of points and range.

        >>> Curve.of_means([10, 20, 40], [0.9, 0.5, 0.4], [0.1, 0.1, 0.1], name="holdout@0.1")
        Curve('holdout@0.1', 3 points, steps 10 to 40, values 0.4 to 0.9)
        """
        steps = f"steps {self.step[0]:g} to {self.step[-1]:g}"
        values = f"values {self.value.min():.3g} to {self.value.max():.3g}"
        return f"Curve({self.name!r}, {len(self.step)} points, {steps}, {values})"

    def __post_init__(self) -> None:
        about = f"curve {self.name!r}"
        names = _COLUMNS if self.total is None else (*_COLUMNS, "total")
        columns = {name: _column(getattr(self, name), f"{about}: {name}") for name in names}
        for name, column in columns.items():
            object.__setattr__(self, name, column)
        _check_lengths(columns, about)
        _check_steps(self.step, about)
        self._check_values(about)
        check_confidence(self.confidence)

    def _check_values(self, about: str) -> None:
        """Refuse values that are not finite or lie outside of their interval, but for rounding."""
        if not np.all(np.isfinite(self.value)):
            raise InputError(f"{about}: expected finite values, got {self.value.tolist()}")
        slack = ROUNDING * np.abs(self.value)
        if not np.all((self.low - slack <= self.value) & (self.value <= self.high + slack)):
            raise InputError(f"{about}: expected low <= value <= high at every step")

    @classmethod
    def of_fractions(
        cls, step: Sequence[float] | np.ndarray, fractions: Sequence[Fraction], *, name: str = ""
    ) -> "Curve":
        """Build the curve of a proportion, keeping the counts.

        Raises:
            InputError: if the fractions are stated at different confidences, or it is no curve.
        """
        if not (isinstance(fractions, Sequence) and all(isinstance(f, Fraction) for f in fractions)):
            raise InputError(f"curve {name!r}: expected a sequence of Fraction, got {fractions!r}")
        if len({f.confidence for f in fractions}) > 1:
            raise InputError(f"curve {name!r}: expected one confidence for all fractions, got several")
        columns = [[f.value, f.low, f.high, float(f.total)] for f in fractions]
        value, low, high, total = np.array(columns, dtype=float).reshape(-1, 4).T
        confidence = fractions[0].confidence if fractions else 0.95
        return cls(_column(step, f"curve {name!r}: step"), value, low, high, name, total, confidence)

    @classmethod
    def of_means(
        cls,
        step: Sequence[float] | np.ndarray,
        mean: Sequence[float] | np.ndarray,
        standard_error: Sequence[float] | np.ndarray,
        *,
        name: str = "",
    ) -> "Curve":
        """Build the curve of a mean from its standard errors; intervals are normal, 95 %."""
        centre = _column(mean, f"curve {name!r}: mean")
        error = _column(standard_error, f"curve {name!r}: standard_error")
        if len(centre) != len(error) or not np.all(error >= 0):
            raise InputError(f"curve {name!r}: expected one standard error >= 0 for each mean")
        half = NORMAL_95 * error
        return cls(_column(step, f"curve {name!r}: step"), centre, centre - half, centre + half, name)


def _check_lengths(columns: Mapping[str, Float[np.ndarray, " _"]], about: str) -> None:
    lengths = [len(column) for column in columns.values()]
    if len(set(lengths)) > 1:
        raise InputError(f"{about}: expected as many values as steps, got lengths {lengths}")
    if lengths[0] == 0:
        raise InputError(f"{about}: expected at least one point, got none")


def _check_steps(step: Float[np.ndarray, " m"], about: str) -> None:
    if not (np.all(np.isfinite(step)) and np.all(np.diff(step) > 0)):
        raise InputError(f"{about}: expected strictly increasing steps, got {step.tolist()}")


def _column(values: object, name: str) -> Float[np.ndarray, " m"]:
    """Real numbers in one row, as an array of float64.

    Raises:
        InputError: if they are anything else, or some are masked.
    """
    array = _as_array(values, name)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iuf"):
        raise InputError(f"{name}: expected a row of real numbers, got {array.dtype} of shape {array.shape}")
    if np.ma.is_masked(values):
        raise InputError(f"{name}: expected numbers, got a masked array")
    return array.astype(float)


def _as_array(values: object, name: str) -> np.ndarray:
    """Whatever NumPy makes of it."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # rows of several lengths; a tensor's own types
        raise InputError(f"{name}: expected a row of real numbers, got {values!r} ({error})") from error


def _digits(value: float, digits: int) -> str:
    """Write a number to some digits, with all of those before the point up to a billion.

    >>> _digits(1643.2, 3), _digits(0.12345, 3), _digits(float("inf"), 3)
    ('1,643', '0.123', 'inf')
    """
    return f"{value:,.0f}" if 10 ** (digits - 1) <= abs(value) < 1e9 else f"{value:.{digits}g}"


class Worded(str, Enum):
    """A base of enumerations whose members carry a sentence.

    A member is its text, so it compares with it and is written as it: `Status.OBSERVED == "observed"`.

    Attributes:
        sentence: that goes with it.
    """

    sentence: str

    def __new__(cls, text: str, sentence: str) -> "Worded":
        """Make a member of its text."""
        member = str.__new__(cls, text)
        member._value_ = text
        member.sentence = sentence
        return member

    def __str__(self) -> str:
        return self.value

    __format__ = str.__format__


class Status(Worded):
    """How an answer came about; each member carries the sentence on what to try (`advice`)."""

    OBSERVED = "observed", ""
    NOT_REACHED = "not reached", "Train longer: the time lies beyond the last snapshot, which bounds it."
    BEFORE_FIRST = "before first", "Take the first snapshot earlier: the time lies before it."
    NOT_MEASURED = "not measured", "Measure the curve: the note says what it needs."
    STILL_IMPROVING = "still improving", "Train longer: the best value of the quality is not known yet."
    TRIVIAL_LEVEL = "trivial level", "Train longer or change the network: it is no better than predicting 0."
    UNDETERMINED = "undetermined", "Add seeds or samples: the data bound the value on neither side."
    AT_LEAST = "at least", "Train longer: some times are lower bounds, so this is one as well."
    AT_MOST = "at most", "Take snapshots earlier: some times are upper bounds, so this is one as well."
    NEVER_REACHED = "never reached", "Nothing to wait for: even infinite time does not reach the level."
    FITTED = "fitted", ""
    MOSTLY_CENSORED = "fitted, mostly censored", "Train longer: most times entered the fit as bounds."
    NOT_FITTED = "not fitted", "Add runs: the note says what is missing."
    FINE = "fine", ""
    BIASED = "biased", "Take more items: the note says how many are too few."
    NO_ERROR = "no error", "Take more items: the note says how many a standard error needs."
    TOO_ALIKE = "too alike", "Compare independent draws: these have equal classes, or items in common."
    SOLVED = "solved", ""
    NOT_RESOLVED = "not resolved", "Check the residual: it is too large for the digits that are promised."
    NOT_CONVERGED = "not converged", "Take a smoother activation or more quadrature nodes."
    EXTRAPOLATED = "extrapolated", "A model beyond the data: take more reference items for an exact answer."
    HEAVIER_TAIL = "heavier tail", "Do not use it: low statistics are more frequent than the model says."
    LEADING_ORDER = "leading order", "An expansion: trust it only where psi_n and psi_p are large."
    FORECAST = "forecast", ""
    IN_PROGRESS = "from a run in progress", "Forecast again later: the nearer it is to copying, the narrower."
    ASSUMED = "rests on the prior", "Run the next pilot: an exponent is believed, not measured."
    ALL_CENSORED = "all censored", "Train the next pilot until it copies: so far there are only bounds."
    ONE_VALUE = "one value only", "Run the next pilot, or accept the prior: pilots of one size show no law."
    CONTRADICTORY = "contradictory", "Look at the pilots that the note names: no law holds for all of them."
    MIXED = "mixed settings", "Give pilots that differ in size, width, rate, batch or seed alone."

    @property
    def advice(self) -> str:
        """What to try where the answer is not what one wanted; empty where nothing needs to be tried."""
        return self.sentence


CENSORED = (Status.NOT_REACHED, Status.BEFORE_FIRST)  # a time that is known as a bound
UNKNOWN = (Status.NOT_MEASURED, Status.STILL_IMPROVING, Status.TRIVIAL_LEVEL)  # these are no times
TIME_STATUSES = (Status.OBSERVED, *CENSORED, *UNKNOWN)
LAW_STATUSES = (Status.FITTED, Status.MOSTLY_CENSORED, Status.NOT_FITTED)


def status_among(allowed: Collection[Status], status: object) -> Status:
    """One of the allowed; a text that is one of them becomes the member."""
    if status not in allowed:
        raise InputError(f"status: expected one of {', '.join(allowed)}, got {str(status)!r}")
    return Status(status)


@dataclass(frozen=True)
class Time:
    """A training time read off a curve, or the statement that it lies outside of what was looked at.

    Attributes:
        value: the estimate; where `status` is "not reached" (right censored) the last time looked at, where
            it is "before first" (left censored) the first one; NaN where it is no time.
        low: lower end of the interval; where nothing bounds it from below, 0.
        high: upper end; where nothing bounds it from above, infinity.
        status: "observed", "not reached" or "before first". Or why there is no time: "not measured" (the
            curve is missing), "still improving" (the quality was still coming down at the end, so that its
            best value is not known), "trivial level" (the level is that of a network that predicts nothing).
        rule: how it was read, in words, tolerance included.
        confidence: nominal coverage of [low, high].
    """

    value: float
    low: float
    high: float
    status: Status
    rule: str = ""
    confidence: float = 0.95

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", status_among(TIME_STATUSES, self.status))
        self._check_value()
        check_confidence(self.confidence)
        _check_interval("time", self.value, self.low, self.high)

    def _check_value(self) -> None:
        if not isinstance(self.value, Real):
            raise InputError(f"value: expected a number, got {self.value!r}")
        if math.isnan(self.value) == self.known:
            raise InputError(f"value: expected what goes with {self.status!r}, got {self.value}")

    @classmethod
    def unknown(cls, status: Status, rule: str) -> "Time":
        """The statement that there is no time, and why.

        >>> print(Time.unknown(Status.STILL_IMPROVING, "held-out loss"))
        - (still improving)
        """
        return cls(math.nan, 0.0, math.inf, status, rule)

    @property
    def known(self) -> bool:
        """Whether it is a time or a bound of one."""
        return self.status not in UNKNOWN

    @property
    def observed(self) -> bool:
        """Whether the event lies within the times looked at."""
        return self.status is Status.OBSERVED

    @property
    def determined(self) -> bool:
        """Whether its interval excludes anything; what was observed with the interval [0, inf] is not."""
        return not (self.observed and self.low <= 0 and self.high == math.inf)

    def __str__(self) -> str:
        if not self.known:
            return f"- ({self.status})"
        if self.status == "not reached":
            return f"> {_digits(self.value, 4)}"
        if self.status == "before first":
            return f"< {_digits(self.value, 4)}"
        if self.confidence == 1 and self.low == self.high:  # computed, not measured
            return _digits(self.value, 4)
        return f"{_digits(self.value, 4)} [{_digits(self.low, 4)}, {_digits(self.high, 4)}]"


@dataclass(frozen=True, repr=False)
class Timescales:
    """The two timescales of one run or of one theory model.

    Attributes:
        tau_gen: when a fixed quality is reached.
        tau_mem: when copying is seen above its null.
        others: further times by name (the argmin of the held-out loss, the opening of the loss gap, ...).
        unit: unit of all times, "steps" for training.
    """

    tau_gen: Time
    tau_mem: Time
    others: Mapping[str, Time] = field(default_factory=dict)
    unit: str = "steps"

    def __repr__(self) -> str:
        """Both times and the names of the others.

        >>> Timescales(Time(60, 55, 67, Status.OBSERVED), Time(500, 410, 620, Status.OBSERVED))
        Timescales(tau_gen 60 [55, 67], tau_mem 500 [410, 620] steps)
        """
        others = f"; also {', '.join(self.others)}" if self.others else ""
        times = f"tau_gen {self.tau_gen}, tau_mem {self.tau_mem}"
        return f"{type(self).__name__}({times} {self.unit}{others})"


@dataclass(frozen=True, repr=False)
class ScalingLaw:
    """A power law `time = prefactor * prod_k factor_k ** exponent_k`, fitted with censored times included.

    Attributes:
        exponents: one per factor, with intervals.
        log_prefactor: natural logarithm of the prefactor.
        covariance: of (log_prefactor, exponents...) in the order of `exponents`. [k+1, k+1]
        scatter: residual standard deviation of log time.
        observed: number of times that were observed.
        censored: number of times that entered as bounds.
        status: fitted, fitted with most times censored, or not fitted.
        confidence: nominal coverage of the intervals.
        explained: share of the variance of the observed log times that the law explains.
        degrees: degrees of freedom of the t intervals; 0 where they are normal.
        left_out: number of rows that have no time, only the reason why.
        note: why it is not fitted, and for which reasons rows were left out; empty where there is nothing to
            add.
    """

    exponents: Mapping[str, Estimate]
    log_prefactor: float
    covariance: Float[np.ndarray, "k k"]
    scatter: float
    observed: int
    censored: int
    status: Status
    confidence: float = 0.95
    explained: float = math.nan
    degrees: int = 0
    left_out: int = 0
    note: str = ""

    def __repr__(self) -> str:
        """Exponents, status and how many times they rest on."""
        powers = ", ".join(f"{name}^{exponent}" for name, exponent in self.exponents.items())
        times = f"{self.observed} observed, {self.censored} censored"
        return f"ScalingLaw({powers}, {self.status}, {times})"

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", status_among(LAW_STATUSES, self.status))
        check_confidence(self.confidence)

    @property
    def fitted(self) -> bool:
        """Whether it has numbers."""
        return self.status is not Status.NOT_FITTED

    def predict(self, **factors: float) -> Estimate:
        """Expected time at these factors, with the interval of the fitted line (not of one more run).

        Raises:
            InputError: if the factors are not those of the law or not positive.
        """
        _check_factors(factors, self.exponents)
        centre, error = self._log_time(factors)
        half = two_sided(self.confidence, self.degrees) * error
        with np.errstate(over="ignore"):  # infinity is the answer beyond the largest number
            value, low, high = np.exp([centre, centre - half, centre + half]).tolist()
        if math.isnan(half):
            return Estimate(value, 0.0, math.inf, self.confidence)
        return Estimate(value, low, high, self.confidence)

    def _log_time(self, factors: Mapping[str, float]) -> tuple[float, float]:
        """Log time and its standard error: x . beta and sqrt(x^T C x) with x = (1, log factors)."""
        x = np.array([1.0, *(math.log(factors[name]) for name in self.exponents)])
        beta = np.array([self.log_prefactor, *(exponent.value for exponent in self.exponents.values())])
        variance = max(float(x @ self.covariance @ x), 0.0)  # rounding alone makes it negative; NaN stays
        return float(x @ beta), math.sqrt(variance)


def _check_factors(factors: Mapping[str, float], known: Mapping[str, Estimate]) -> None:
    positive = all(isinstance(value, Real) and 0 < value < math.inf for value in factors.values())
    if set(factors) != set(known) or not positive:
        raise InputError(f"factors: expected positive values for {sorted(known)}, got {factors}")
