"""A model of the statistic beyond what was seen: never mixed with the exact p-values, and labelled."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from memhorizon.auditing.scores import Scores
from memhorizon.checks import check_kind, check_whole
from memhorizon.errors import InputError
from memhorizon.results import NORMAL_95, Estimate, Status

_MODEL = "power law of the lower tail"
_FEWEST = 10  # statistics that a tail is fitted to
_MISFIT = 1.6448536269514722  # standard errors of a one-sided test at 5 %


@dataclass(frozen=True, eq=False, repr=False)
class Extrapolated:
    """p-values of a model that was fitted to the lowest reference statistics. They are no guarantee.

    Attributes:
        p: of every sample; NaN where the statistic is not below the fitted range, or nothing was fitted. [m]
        model: name of the model.
        exponent: D of P(s <= x) proportional to x^D.
        fit_low: lowest reference statistic that was fitted.
        fit_high: the statistic that bounds the fitted range.
        n_fitted: how many reference statistics were fitted.
        misfit: standard errors by which the tail is heavier than the model: a score test.
        status: extrapolated; heavier tail, where the p-values are too small; or not fitted.
    """

    p: Float64[np.ndarray, " m"]
    model: str
    exponent: Estimate
    fit_low: float
    fit_high: float
    n_fitted: int
    misfit: float
    status: Status

    def __repr__(self) -> str:
        return f"Extrapolated({self.model}, {len(self.p)} samples, {self.status})"


def extrapolated_p_values(scores: Scores, *, n_fitted: int = 100) -> Extrapolated:
    """Extend the lower tail of the reference statistics by a power law.

    With the k lowest statistics x_1 <= ... <= x_k below x_(k+1), P(s <= x) = (k / R) (x / x_(k+1))^D and
    1 / D = mean of log(x_(k+1) / x_i): for a ratio of distances D is the dimension of the data, if nothing
    but chance brings two items close. Duplicates within a data set make the tail heavier: `misfit` is the
    score test of the shape of a generalized Pareto distribution of log(x_(k+1) / x) at 0, against a positive
    shape. It looks at the fitted range alone, and cannot see what happens below.

    Args:
        scores: of one view; statistics are ratios, 0 or above. Changes are left out.
        n_fitted: how many of the lowest reference statistics enter, at most half of them.

    Raises:
        InputError: if `n_fitted` is no whole number from 10, or a statistic is negative.

    Source: [hill1975]
    """
    check_kind("scores", scores, Scores)
    check_whole("n_fitted", n_fitted, least=_FEWEST)
    _check_signs(scores)
    x = np.sort(scores.reference)
    k = min(n_fitted, len(x) // 2)
    if not _can_be_fitted(x, k):
        return _not_fitted(scores)
    u = np.log(x[k] / x[:k])
    D = 1 / u.mean()
    misfit = _misfit(u)
    below = np.where(scores.sample < x[k], scores.sample, np.nan)
    return Extrapolated(
        p=k / len(x) * (below / x[k]) ** D,
        model=_MODEL,
        exponent=_exponent(D, k),
        fit_low=float(x[0]),
        fit_high=float(x[k]),
        n_fitted=k,
        misfit=misfit,
        status=Status.HEAVIER_TAIL if misfit > _MISFIT else Status.EXTRAPOLATED,
    )


def _check_signs(scores: Scores) -> None:
    lowest = min(scores.reference.min(), scores.sample.min())
    if lowest < 0:
        raise InputError(f"scores: expected statistics from 0, got {lowest}")


def _can_be_fitted(x: Float64[np.ndarray, " R"], k: int) -> bool:
    """Whether there are enough statistics, none of them 0, not all equal, below a finite one."""
    return k >= _FEWEST and bool(0 < x[0] < x[k] < np.inf)


def _misfit(u: Float64[np.ndarray, " k"]) -> float:
    """Standard errors by which the shape of a generalized Pareto distribution lies above 0, by its score."""
    # sqrt(k) (mean u^2 / (2 (mean u)^2) - 1) -> N(0, 1) where u is exponential
    return float(np.sqrt(len(u)) * (np.mean(u**2) / (2 * u.mean() ** 2) - 1))


def _exponent(D: float, k: int) -> Estimate:
    """D with its interval: log D has the standard error 1 / sqrt(k)."""
    factor = np.exp(NORMAL_95 / np.sqrt(k))
    return Estimate(float(D), float(D / factor), float(D * factor))


def _not_fitted(scores: Scores) -> Extrapolated:
    """Nothing to fit: too few statistics, equal ones, or duplicates at distance 0."""
    nothing = np.full(len(scores.sample), np.nan)
    unknown = Estimate(np.nan, -np.inf, np.inf)
    return Extrapolated(nothing, _MODEL, unknown, np.nan, np.nan, 0, np.nan, Status.NOT_FITTED)
