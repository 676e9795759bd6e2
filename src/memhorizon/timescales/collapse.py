"""How well the curves of several runs become one when time is divided by a power of n."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from memhorizon.errors import InputError
from memhorizon.results import Curve, Estimate
from memhorizon.timescales.crossing import isotonic
from memhorizon.timescales.readings import deviation, log_step

_SHARES = np.linspace(0.1, 0.9, 9)  # of the range of values that all curves cover


def collapse_quality(
    curves: Sequence[Curve],
    factor_values: Sequence[float] | np.ndarray,
    exponent: float = 1.0,
    *,
    confidence: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Estimate:
    """How well curves fall on one another in step / factor ** exponent: 0 perfect, 1 no better than in step.

    At nine values v that all curves pass, from a tenth to nine tenths of their common range, log
    tau_j(v) is the log step at which curve j passes v, and

        quality = mean_v var_j(log tau_j(v) - exponent log factor_j) / mean_v var_j(log tau_j(v)).

    Spreads are compared at matched value, not at matched time: sliding curves apart until only their
    flat parts overlap would make the latter look perfect. Above 1 the rescaling is worse than none.

    Limits: the curves must be monotone up to noise (a loss is cut at its minimum first) and differ in
        the factor;
    what lies outside of the common range of values is not looked at; noise alone gives a number above 0;
    with few curves the interval, a bootstrap over curves, is too short, and with two there is none.

    Args:
        curves: the same quantity of several runs, rising or falling.
        factor_values: the factor (n_train, say) of each curve.
        exponent: of the factor.
        confidence: nominal coverage of the bootstrap interval.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        InputError: if there are fewer than two curves or factors, a factor is not positive, or the
            curves are not monotone or have no common range of values.
    """
    matched = _matched(curves, factor_values)
    if not np.isfinite(exponent):
        raise InputError(f"exponent: expected a finite number, got {exponent}")
    m = len(matched.log_factor)
    value = float(matched.quality(np.arange(m)[None], exponent).item())
    if m < 3:
        return Estimate(value, 0.0, np.inf, confidence)
    found = matched.quality(_draws(matched, draws, seed), exponent)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(found, tails, method="inverted_cdf")  # no mean of infinities
    return Estimate(value, min(float(low), value), max(float(high), value), confidence)


def _draws(matched: "_Matched", draws: int, seed: int) -> np.ndarray:
    """Curves drawn with repetition; a draw of one factor alone says nothing and is left out. [draws, m]."""
    m = len(matched.log_factor)
    pick = np.random.default_rng(seed).integers(m, size=(draws, m))
    return pick[np.ptp(matched.log_factor[pick], axis=1) > 0]


@dataclass(frozen=True)
class _Matched:
    """Curves compared where they pass the same values.

    Attributes:
        log_step: log tau_j(v), at which curve j passes value v. [m, levels]
        log_factor: logarithm of the factor of each curve. [m]
    """

    log_step: Float[np.ndarray, "m levels"]
    log_factor: Float[np.ndarray, " m"]

    def quality(self, pick: np.ndarray, exponent: float) -> np.ndarray:
        """The quality of each selection of curves. [draws, m] -> [draws]."""
        z = self.log_step[pick]
        before = z.var(axis=1).mean(axis=1)
        # after log tau_j(v) -> log tau_j(v) - exponent log factor_j
        after = (z - exponent * self.log_factor[pick][..., None]).var(axis=1).mean(axis=1)
        unspread = np.where(after > 0, np.inf, 1.0)
        return np.divide(after, before, out=unspread, where=before > 0)


def _matched(curves: Sequence[Curve], factor_values: Sequence[float] | np.ndarray) -> _Matched:
    """The curves at nine values that all of them pass."""
    factors = _checked_factors(curves, factor_values)
    trend = float(np.sign(sum(curve.value[-1] - curve.value[0] for curve in curves)))
    fits = [_monotone(curve, trend) for curve in curves]
    values = _common_values(fits)
    passed = [_passed(curve, fit, values) for curve, fit in zip(curves, fits, strict=True)]
    return _Matched(np.array(passed), np.log(factors))


def _common_values(fits: Sequence[np.ndarray]) -> np.ndarray:
    """Values from a tenth to nine tenths of the range that all rising fits cover. [levels]."""
    bottom = max(fit[0] for fit in fits)
    top = min(fit[-1] for fit in fits)
    if not bottom < top:
        raise InputError("curves: expected values that all curves pass, but their ranges do not overlap")
    return bottom + (top - bottom) * _SHARES


def _checked_factors(curves: Sequence[Curve], factor_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The factors, one for each curve. [m]."""
    factors = np.asarray(factor_values, dtype=float)
    if len(curves) != len(factors) or len(curves) < 2:
        raise InputError(
            f"curves, factor_values: expected two or more of each, got {len(curves)} and {len(factors)}"
        )
    _check_different(factors)
    return factors


def _check_different(factors: Float[np.ndarray, " m"]) -> None:
    if not (np.all(np.isfinite(factors)) and np.all(factors > 0) and np.ptp(factors) > 0):
        raise InputError(f"factor_values: expected positive, different values, got {factors.tolist()}")


def _passed(curve: Curve, fit: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Log steps at which the monotone fit of a curve passes the values. [levels]."""
    # of equal values the last: the first step beyond is the next
    rises = np.append(np.diff(fit) > 0, True)
    return np.interp(values, fit[rises], log_step(curve)[rises])


def _monotone(curve: Curve, trend: float) -> Float[np.ndarray, " points"]:
    """The isotonic fit of the curve, or of its negative where the curves fall."""
    y = trend * curve.value
    fit = isotonic(y, np.ones_like(y) if curve.total is not None else deviation(curve))
    if np.var(y - fit) > 0.5 * np.var(y):
        raise InputError(
            f"curve {curve.name!r}: expected a monotone curve up to noise; cut a loss at its minimum"
        )
    return fit
