"""The two clocks of one run, read off its measured curves by stated rules.

Every rule looks for the first time that a curve reaches a level, interpolated in the logarithm of the step.
A time that lies outside of the snapshots is not guessed: it is censored, with the bound that they support.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.optimize import isotonic_regression

from memhorizon.results import Curve, Fraction, InputError, Time, Timescales


def _log_step(curve: Curve) -> Float[np.ndarray, " m"]:
    if curve.step[0] <= 0:
        raise InputError(f"curve {curve.name!r}: expected positive steps, got {curve.step[0]:g} as the first")
    return np.log(curve.step)


def _reach(x: Float[np.ndarray, " m"], y: Float[np.ndarray, " m"], level: float) -> float:
    """First x at which the rising y reaches the level: -inf if from the start, inf if never."""
    above = np.flatnonzero(y >= level)
    if len(above) == 0:
        return np.inf
    j = int(above[0])
    if j == 0:
        return -np.inf
    return float(x[j - 1] + (x[j] - x[j - 1]) * (level - y[j - 1]) / (y[j] - y[j - 1]))


def _time(curve: Curve, crossings: Sequence[float], rule: str) -> Time:
    """Turn crossings in log step into a Time, censored where they lie outside of the snapshots."""
    centre, early, late = crossings
    first, last = float(curve.step[0]), float(curve.step[-1])
    low, high = float(np.exp(early)), float(np.exp(late))
    if centre == np.inf:
        return Time(last, min(low, last), np.inf, "not reached", rule, curve.confidence)
    if centre == -np.inf:
        return Time(first, 0.0, max(high, first), "before first", rule, curve.confidence)
    return Time(float(np.exp(centre)), low, high, "observed", rule, curve.confidence)


def memorization_time(
    curve: Curve, *, level: float = 0.1, null: Fraction | float = 0.0, confidence: float = 0.95
) -> Time:
    """When the memorized fraction first exceeds its null by `level`.

    Args:
        curve: memorized fractions with their totals (`Curve.of_fractions`).
        level: how far above the null, in (0, 1).
        null: the fraction that held-out data show under the same threshold.
        confidence: nominal coverage of the interval.

    Returns:
        The time in steps. "not reached" carries a lower bound, "before first" an upper one.

    Raises:
        InputError: if the curve has no totals, the level does not lie in (0, 1), or a step is not positive.
    """
    base = null.value if isinstance(null, Fraction) else float(null)
    if not 0 < level < 1 or not 0 <= base < 1 or base + level >= 1:
        raise InputError(f"level, null: expected 0 < level and null + level < 1, got {level}, {base}")
    if curve.total is None:
        raise InputError(f"curve {curve.name!r}: expected a curve of fractions with totals, got one of means")
    x = _log_step(curve)
    fit = isotonic_regression(curve.value, weights=curve.total).x
    crossings = [
        _reach(x, isotonic_regression(y, weights=curve.total).x, base + level)
        for y in (fit, curve.high, curve.low)
    ]
    return _time(curve, crossings, f"memorized fraction reaches {level:g} above its null {base:g}")


def quality_level(curves: Sequence[Curve], *, tolerance: float = 0.05) -> float:
    """One level that every run reaches: (1 + tolerance) times the worst of the runs' best values.

    Raises:
        InputError: if there is no curve, the tolerance is negative, or a best value is not positive.
    """
    if not curves or tolerance < 0:
        raise InputError(
            f"curves, tolerance: expected a curve and tolerance >= 0, got {len(curves)}, {tolerance}"
        )
    worst = max(float(curve.value.min()) for curve in curves)
    if worst <= 0:
        raise InputError(f"curves: expected positive best values, got {worst}")
    return (1 + tolerance) * worst


def generalization_time(curve: Curve, *, level: float) -> Time:
    """The first time that a falling measure of quality (a loss, a distance) reaches a fixed level.

    Args:
        curve: the quality along training, the smaller the better, with its intervals.
        level: the level, the same for all runs that are compared (see `quality_level`).

    Raises:
        InputError: if the level is not finite or a step is not positive.
    """
    if not np.isfinite(level):
        raise InputError(f"level: expected a finite number, got {level}")
    x = _log_step(curve)
    crossings = [_reach(x, -y, -level) for y in (curve.value, curve.low, curve.high)]
    return _time(curve, crossings, f"{curve.name or 'quality'} first at or below {level:g}")


def argmin_time(curve: Curve) -> Time:
    """The step of the smallest value; the interval spans the steps that bands do not tell from it."""
    best = int(np.argmin(curve.value))
    same = np.flatnonzero(curve.low <= curve.high[best])
    low = 0.0 if same[0] == 0 else float(curve.step[same[0] - 1])
    high = np.inf if same[-1] == len(curve.step) - 1 else float(curve.step[same[-1] + 1])
    return Time(
        float(curve.step[best]),
        low,
        high,
        "observed" if best < len(curve.step) - 1 else "not reached",
        f"argmin of {curve.name or 'the curve'}",
        curve.confidence,
    )


def gap_opening_time(gap: Curve, *, level: float = 0.0) -> Time:
    """The first time from which the paired gap holdout - train stays above the level.

    Args:
        gap: mean of holdout - train loss with its standard errors (`Curve.of_means`).
        level: the gap that counts as closed.
    """
    x = _log_step(gap)
    crossings = [_reach(x, np.minimum.accumulate(y[::-1])[::-1], level) for y in (gap.low, gap.high, gap.low)]
    return _time(gap, crossings, f"loss gap above {level:g} from here on")


def timescales(
    quality: Curve,
    memorized: Curve,
    *,
    quality_level: float,
    memorized_level: float = 0.1,
    null: Fraction | float = 0.0,
    gap: Curve | None = None,
) -> Timescales:
    """Both clocks of a run, with the argmin of its quality and the opening of its loss gap beside them."""
    others = {"argmin": argmin_time(quality)}
    if gap is not None:
        others["gap_opening"] = gap_opening_time(gap)
    return Timescales(
        generalization_time(quality, level=quality_level),
        memorization_time(memorized, level=memorized_level, null=null),
        others,
    )
