"""The two timescales of one run, read off its measured curves by stated rules.

Every rule asks when a curve first reaches a level, interpolated in the logarithm of the step
(`crossing`). A time outside of the snapshots is not guessed: it is censored, with the bound that the
readings support.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from memhorizon.checks import check_flag, check_number
from memhorizon.errors import InputError
from memhorizon.results import Curve, Estimate, Fraction, Status, Time, Timescales, two_sided
from memhorizon.timescales.crossing import ANGLE, PLAIN, Crossing, angle_of_counts, crossing
from memhorizon.timescales.crossing import steep as steep_scale
from memhorizon.timescales.readings import alike, check_curve, checked_confidence, deviation, log_step


def memorization_time(
    curve: Curve, *, level: float = 0.1, null: Fraction | float = 0.0, confidence: float = 0.95
) -> Time:
    """When the memorized fraction first exceeds its null by `level`.

    The default level, a tenth, is seen with 100 samples (a level of 0.01 needs 1,000 to be told from
    nothing) and stands well above the null of any data of intrinsic dimension 4 or more (at a ratio
    threshold of 1/3: 0.012).

    Args:
        curve: memorized fractions with their totals (`Curve.of_fractions`).
        level: how far above the null, in (0, 1).
        null: the fraction that held-out data show under the same threshold; its interval enters.
        confidence: nominal coverage of the interval.

    Returns:
        The time in steps. "not reached" carries a lower bound in `low`, "before first" an upper one in
        `high`.

    Raises:
        InputError: if the curve has no totals or is not a fraction, null + level does not lie in (0, 1),
            or a step is not positive.
    """
    check_curve(curve)
    base = _null(null)
    target = _target(level, base)
    total = _totals(curve)
    count = np.round(curve.value * total)
    angle, sd = angle_of_counts(count, total)
    found = crossing(
        log_step(curve),
        angle,
        sd,
        math.asin(math.sqrt(target)),
        level_sd=base.sd * _rate_of_angle(target),
        bound=(count == 0) | (count == total),
        scale=ANGLE,
        confidence=checked_confidence(confidence),
    )
    rule = f"memorized fraction {level:g} above its null {base.value:.3g}"
    return _time(curve, found, rule, confidence)


def _rate_of_angle(p: float) -> float:
    """How fast the angle of a fraction grows: d arcsin(sqrt(p)) = dp / (2 sqrt(p (1 - p)))."""
    return 1 / (2 * math.sqrt(p * (1 - p)))


def _target(level: object, base: "_Base") -> float:
    """The fraction that is to be reached."""
    check_number("level", level, above=0, below=1)
    target = base.value + float(level)  # pyright: ignore[reportArgumentType]
    if not (base.value >= 0 and target < 1):
        wanted = "0 <= null and null + level < 1"
        raise InputError(f"level, null: expected {wanted}, got {level} and {base.value}")
    return target


def _totals(curve: Curve) -> Float[np.ndarray, " m"]:
    """How many samples each fraction of a curve rests on."""
    if curve.total is None:
        raise InputError(f"curve {curve.name!r}: expected fractions with totals, got a curve of means")
    if not (np.all(curve.total >= 1) and np.all((curve.value >= 0) & (curve.value <= 1))):
        raise InputError(f"curve {curve.name!r}: expected totals >= 1 and fractions in [0, 1]")
    return curve.total


def generalization_time(
    curve: Curve, *, level: float, level_sd: float = 0.0, steep: bool = False, confidence: float = 0.95
) -> Time:
    """When a falling measure of quality (held-out loss, score error, distance) first reaches a fixed level.

    The level is the same for all runs that are compared (`quality_level`): the time of a fixed level
    does not depend on n, whereas the argmin of the held-out loss drifts with it. The curve counts up to
    its minimum.

    Args:
        curve: the quality along training, the smaller the better, with its intervals.
        level: in the unit of the curve.
        level_sd: standard deviation of the level itself; it enters the interval.
        steep: whether the quality falls over orders of magnitude, as distances of samples do: between
            readings it then runs as asinh(quality / level), near a straight line in the logarithm.
        confidence: nominal coverage of the interval.

    Raises:
        InputError: if the level is not finite, its deviation is negative, a step is not positive or an
            interval is missing.
    """
    check_curve(curve)
    check_number("level", level)
    check_number("level_sd", level_sd, least=0)
    check_flag("steep", steep)
    end = int(np.argmin(curve.value)) + 1
    found = crossing(
        log_step(curve)[:end],
        -curve.value[:end],
        deviation(curve)[:end],
        -level,
        level_sd=float(level_sd),
        scale=steep_scale(abs(level)) if steep and level else PLAIN,
        confidence=checked_confidence(confidence),
    )
    return _time(curve, found, f"{curve.name or 'quality'} first at or below {level:.4g}", confidence)


def argmin_time(curve: Curve, *, confidence: float = 0.95) -> Time:
    """When a curve is smallest: the vertex of the parabola through the smallest value and its neighbours.

    The interval reaches past all snapshots that cannot be told from the smallest, each compared with it
    at the given confidence; as in `crossing`, half of the variance is taken as shared by the two. It is
    censored where the smallest is the last ("not reached": still falling) or the first snapshot.
    """
    check_curve(curve)
    x = log_step(curve)
    best = int(np.argmin(curve.value))
    found = Crossing(_vertex_of(x, curve.value, best), *_around(x, alike(curve, confidence)))
    return _time(curve, found, f"argmin of {curve.name or 'the curve'}", confidence)


def _around(x: Float[np.ndarray, " m"], marked: Bool[np.ndarray, " m"]) -> tuple[float, float]:
    """The reading before the first marked one and that after the last; infinite where there is none."""
    places = np.flatnonzero(marked)
    first = int(places[0])
    last = int(places[-1])
    low = float(x[first - 1]) if first > 0 else -np.inf
    high = float(x[last + 1]) if last < len(x) - 1 else np.inf
    return low, high


def _vertex_of(x: Float[np.ndarray, " m"], y: Float[np.ndarray, " m"], best: int) -> float:
    """Where the smallest value lies; infinite where that is an end."""
    if best == 0:
        return -np.inf
    if best == len(x) - 1:
        return np.inf
    return _vertex(x[best - 1 : best + 2], y[best - 1 : best + 2])


def gap_opening_time(
    gap: Curve, *, level: float, null: Estimate | float = 0.0, confidence: float = 0.95
) -> Time:
    """When the paired gap between held-out and training loss exceeds its null by `level`, and stays there.

    The gap is taken to grow: an excursion that comes back is averaged away and does not count. A gap is
    not a copy.

    Args:
        gap: mean of held-out minus training loss with its standard errors (`Curve.of_means`).
        level: how far above the null, positive, in the unit of the gap.
        null: the gap of a model that cannot have learned its training set by heart.
        confidence: nominal coverage of the interval.
    """
    check_curve(gap)
    check_number("level", level, above=0)  # noise alone crosses zero at any time
    base = _null(null)
    found = crossing(
        log_step(gap),
        gap.value,
        deviation(gap),
        base.value + level,
        level_sd=base.sd,
        confidence=checked_confidence(confidence),
    )
    rule = f"loss gap {level:.4g} above its null {base.value:.3g} and staying there"
    return _time(gap, found, rule, confidence)


def timescales(
    quality: Curve | None,
    memorized: Curve | None,
    *,
    quality_level: float | None,
    quality_level_sd: float = 0.0,
    steep: bool = False,
    memorized_level: float = 0.1,
    null: Fraction | float = 0.0,
    gap: Curve | None = None,
    gap_level: float | None = None,
    status: Status = Status.NOT_MEASURED,
) -> Timescales:
    """Both timescales of a run, with the argmin of its quality and the opening of its loss gap beside them.

    Readings without a finite interval are passed over: nothing is known of their error.

    Args:
        quality: what tau_gen is read from, the smaller the better; None where it was not measured.
        memorized: memorized fractions with totals; None where they were not measured.
        quality_level: see `generalization_time`; None where there is none.
        quality_level_sd: its standard deviation.
        steep: see `generalization_time`.
        memorized_level: see `memorization_time`.
        null: of the memorized fraction.
        gap: held-out minus training loss, if it was measured.
        gap_level: see `gap_opening_time`; a tenth of the quality level where not given.
        status: why there is no quality level, where there is none.
    """
    quality = _with_intervals(quality)
    gap = _with_intervals(gap)
    others = {} if quality is None else {"argmin": argmin_time(quality)}
    if gap_level is None and quality_level is not None:
        gap_level = 0.1 * quality_level
    if gap is not None and gap_level is not None:
        others["gap_opening"] = gap_opening_time(gap, level=gap_level)
    tau_gen = _generalized(quality, quality_level, quality_level_sd, steep, status)
    tau_mem = _memorized(memorized, memorized_level, null)
    return Timescales(tau_gen, tau_mem, others)


def _generalized(
    quality: Curve | None, level: float | None, level_sd: float, steep: bool, status: Status
) -> Time:
    """tau_gen, or why it is not known."""
    if quality is None:
        return Time.unknown(Status.NOT_MEASURED, "no quality with its error was measured")
    if level is None:
        return Time.unknown(status, f"{quality.name or 'quality'} at a level relative to its best value")
    return generalization_time(quality, level=level, level_sd=level_sd, steep=steep)


def _memorized(memorized: Curve | None, level: float, null: Fraction | float) -> Time:
    """tau_mem, or why it is not known."""
    if memorized is None:
        return Time.unknown(Status.NOT_MEASURED, "the memorized fraction was not measured")
    return memorization_time(memorized, level=level, null=null)


def _with_intervals(curve: Curve | None) -> Curve | None:
    """The readings whose intervals are finite; None where there is none."""
    if curve is None:
        return None
    known = np.isfinite(curve.low) & np.isfinite(curve.high)
    if np.all(known):
        return curve
    return _readings(curve, known) if np.any(known) else None


def _readings(curve: Curve, known: Bool[np.ndarray, " m"]) -> Curve:
    """The marked readings of a curve."""
    return Curve(
        curve.step[known],
        curve.value[known],
        curve.low[known],
        curve.high[known],
        curve.name,
        confidence=curve.confidence,
    )


@dataclass(frozen=True)
class _Base:
    """A null level and its standard deviation."""

    value: float
    sd: float


def _null(null: object) -> _Base:
    if not isinstance(null, Fraction | Estimate):
        check_number("null", null)
        return _Base(float(null), 0.0)  # pyright: ignore[reportArgumentType]
    return _measured_null(null)


def _measured_null(null: Fraction | Estimate) -> _Base:
    if not (math.isfinite(null.value) and math.isfinite(null.high - null.low)):
        raise InputError(f"null: expected a number with a finite interval, got {null}")
    return _Base(null.value, (null.high - null.low) / (2 * two_sided(checked_confidence(null.confidence))))


def _vertex(x: Float[np.ndarray, "3"], y: Float[np.ndarray, "3"]) -> float:
    """Of the parabola through three points, the middle one of which is the smallest.

    Its slope is straight between the two midpoints, and 0 at the vertex.
    """
    left, right = np.diff(y) / np.diff(x)  # left <= 0 <= right
    if not right > left:
        return float(x[1])
    middle = (x[:-1] + x[1:]) / 2
    return float(middle[0] + (middle[1] - middle[0]) * left / (left - right))


def _time(curve: Curve, found: Crossing, rule: str, confidence: float) -> Time:
    """Turn a crossing in log step into a Time, censored where it lies outside of the snapshots."""
    low = float(np.exp(found.low))
    high = float(np.exp(found.high))
    if found.centre == np.inf:
        last = float(curve.step[-1])
        return Time(last, min(low, last), np.inf, Status.NOT_REACHED, rule, confidence)
    if found.centre == -np.inf:
        first = float(curve.step[0])
        return Time(first, 0.0, max(high, first), Status.BEFORE_FIRST, rule, confidence)
    value = float(np.exp(found.centre))
    return Time(value, min(low, value), max(high, value), Status.OBSERVED, rule, confidence)
