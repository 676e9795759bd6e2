"""The answers that memhorizon gives, and the errors that it raises.

Nothing here needs torch: theory and experiments return the same types. A number leaves with its evidence:
counts, an interval, or the statement that a time was not reached.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float


class InputError(ValueError):
    """Something that the user gave cannot be used; the message names it, what was expected and what came."""


class MissingExtraError(ImportError):
    """An optional dependency is not installed; the message is the line that installs it."""


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

    @classmethod
    def of(cls, count: int, total: int, *, confidence: float = 0.95) -> "Fraction":
        """Estimate a proportion from its counts.

        Raises:
            InputError: if `total` is below 1 or `count` is not within 0..total.

        >>> print(Fraction.of(0, 1000))
        0.0000 [0.0000, 0.0037] (0 of 1000)

        Source: [clopper1934]
        """
        if total < 1 or not 0 <= count <= total:
            raise InputError(
                f"count, total: expected 0 <= count <= total and total >= 1, got {count}, {total}"
            )
        from scipy import stats  # half a second that the theory does not need

        tail = (1 - confidence) / 2
        low = float(stats.beta.ppf(tail, count, total - count + 1)) if count else 0.0
        high = float(stats.beta.ppf(1 - tail, count + 1, total - count)) if count < total else 1.0
        return cls(count / total, low, high, count, total, confidence)

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}] ({self.count} of {self.total})"


@dataclass(frozen=True)
class Estimate:
    """A number with its confidence interval."""

    value: float
    low: float
    high: float
    confidence: float = 0.95

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True)
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

    def __post_init__(self) -> None:
        if len(self.step) == 0:
            raise InputError(f"curve {self.name!r}: expected at least one point, got none")
        if not np.all(np.diff(self.step) > 0):
            raise InputError(
                f"curve {self.name!r}: expected strictly increasing steps, got {self.step.tolist()}"
            )
        if not np.all(np.isfinite(self.value)):
            raise InputError(f"curve {self.name!r}: expected finite values, got {self.value.tolist()}")

    @classmethod
    def of_fractions(cls, step: Sequence[float], fractions: Sequence[Fraction], *, name: str = "") -> "Curve":
        """Build the curve of a proportion, keeping the counts."""
        columns = [[f.value, f.low, f.high, float(f.total)] for f in fractions]
        value, low, high, total = np.array(columns, dtype=float).reshape(-1, 4).T
        confidence = fractions[0].confidence if fractions else 0.95
        return cls(np.asarray(step, dtype=float), value, low, high, name, total, confidence)

    @classmethod
    def of_means(
        cls, step: Sequence[float], mean: Sequence[float], standard_error: Sequence[float], *, name: str = ""
    ) -> "Curve":
        """Build the curve of a mean from its standard errors; intervals are normal, 95 %."""
        centre, half = (
            np.asarray(mean, dtype=float),
            1.959963984540054 * np.asarray(standard_error, dtype=float),
        )
        return cls(np.asarray(step, dtype=float), centre, centre - half, centre + half, name)


TimeStatus = Literal["observed", "not reached", "before first"]


@dataclass(frozen=True)
class Time:
    """A training time read off a curve, or the statement that it lies outside of what was looked at.

    Attributes:
        value: the estimate; where `status` is "not reached" (right censored) the last time looked at, where
            it is "before first" (left censored) the first one.
        low: lower end of the interval; where nothing bounds it from below, 0.
        high: upper end; where nothing bounds it from above, infinity.
        status: "observed", "not reached" or "before first".
        rule: how it was read, in words, tolerance included.
        confidence: nominal coverage of [low, high].
    """

    value: float
    low: float
    high: float
    status: TimeStatus
    rule: str
    confidence: float = 0.95

    @property
    def observed(self) -> bool:
        """Whether the event lies within the times looked at."""
        return self.status == "observed"

    def __str__(self) -> str:
        if self.status == "not reached":
            return f"> {self.value:,.4g}"
        if self.status == "before first":
            return f"< {self.value:,.4g}"
        return f"{self.value:,.4g} [{self.low:,.4g}, {self.high:,.4g}]"


@dataclass(frozen=True)
class Timescales:
    """The two clocks of one run or of one theory model.

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


@dataclass(frozen=True)
class ScalingLaw:
    """A power law `time = prefactor * prod_k factor_k ** exponent_k`, fitted with censored times included.

    Attributes:
        exponents: one per factor, with intervals.
        log_prefactor: natural logarithm of the prefactor.
        covariance: of (log_prefactor, exponents...) in the order of `exponents`. [k+1, k+1]
        scatter: residual standard deviation of log time.
        observed: number of times that were observed.
        censored: number of times that entered as bounds.
        status: "fitted", or why the numbers should not be trusted.
        confidence: nominal coverage of the intervals.
        explained: share of the variance of the observed log times that the law explains.
        degrees: degrees of freedom of the t intervals; 0 where they are normal.
    """

    exponents: Mapping[str, Estimate]
    log_prefactor: float
    covariance: Float[np.ndarray, "k k"]
    scatter: float
    observed: int
    censored: int
    status: str
    confidence: float = 0.95
    explained: float = math.nan
    degrees: int = 0

    def predict(self, **factors: float) -> Estimate:
        """Expected time at these factors, with the interval of the fitted line (not of one more run).

        Raises:
            InputError: if the factors are not those of the law or not positive.
        """
        if set(factors) != set(self.exponents) or min(factors.values(), default=1.0) <= 0:
            raise InputError(f"factors: expected positive values for {sorted(self.exponents)}, got {factors}")
        from scipy import stats

        x = np.array([1.0, *(math.log(factors[name]) for name in self.exponents)])
        beta = np.array([self.log_prefactor, *(e.value for e in self.exponents.values())])
        centre, half = float(x @ beta), math.sqrt(float(x @ self.covariance @ x))
        tail = 0.5 + self.confidence / 2
        half *= float(stats.t.ppf(tail, self.degrees) if self.degrees else stats.norm.ppf(tail))
        return Estimate(math.exp(centre), math.exp(centre - half), math.exp(centre + half), self.confidence)


def plain(value: Any) -> Any:
    """Turn answers into JSON values: dataclasses to objects, arrays to lists, what is no number to null."""
    if hasattr(value, "__dataclass_fields__"):
        return {key: plain(getattr(value, key)) for key in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value
