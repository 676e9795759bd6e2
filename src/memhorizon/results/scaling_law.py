"""A power law between factors and a time."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np
from jaxtyping import Float

from memhorizon.errors import InputError
from memhorizon.results.estimate import Estimate
from memhorizon.results.intervals import check_confidence, two_sided
from memhorizon.results.status import LAW_STATUSES, Status, status_among


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
        """Exponents, where it has any, status and how many times they rest on."""
        powers = [f"{name}^{exponent}" for name, exponent in self.exponents.items()] if self.fitted else []
        times = [f"{self.observed} observed", f"{self.censored} censored"]
        return f"ScalingLaw({', '.join([*powers, str(self.status), *times])})"

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
    if set(factors) != set(known) or not _are_positive(factors.values()):
        raise InputError(f"factors: expected positive values for {sorted(known)}, got {factors}")


def _are_positive(values: Iterable[float]) -> bool:
    return all(isinstance(value, Real) and 0 < value < math.inf for value in values)
