"""The readings of a curve as rules take them: the logarithm of the step, the noise, which are alike."""

import numpy as np
from jaxtyping import Bool, Float

from memhorizon.checks import check_number
from memhorizon.errors import InputError
from memhorizon.results import Curve, two_sided
from memhorizon.timescales.crossing import SHARED

_LARGEST = 1e100  # value of a curve of means, see deviation


def check_curve(curve: object) -> None:
    """Refuse what is no curve.

    Raises:
        InputError: if it is none.
    """
    if not isinstance(curve, Curve):
        raise InputError(f"curve: expected a Curve, got {type(curve).__name__}")


def has_intervals(curve: Curve) -> bool:
    """Whether the error of every reading is known."""
    return bool(np.all(np.isfinite(curve.low) & np.isfinite(curve.high)))


def log_step(curve: Curve) -> Float[np.ndarray, " m"]:
    """Logarithm of the step of each reading.

    Raises:
        InputError: if a step is not positive and finite, or two of them have one logarithm.
    """
    _check_steps(curve)
    x = np.log(curve.step)
    if not np.all(np.diff(x) > 0):
        raise InputError(
            f"curve {curve.name!r}: expected steps apart in their logarithm, got {curve.step.tolist()}"
        )
    return x


def _check_steps(curve: Curve) -> None:
    if not (curve.step[0] > 0 and np.isfinite(curve.step[-1])):
        raise InputError(f"curve {curve.name!r}: expected positive, finite steps, got {curve.step.tolist()}")


def deviation(curve: Curve) -> Float[np.ndarray, " m"]:
    """Standard deviations from the intervals; exact values get one that is far below any difference.

    The floor of 1e-150, and values and deviations of at most 1e100, keep squares of both and of slopes, and
    their inverses, within what numbers hold.
    """
    sd = (curve.high - curve.low) / (2 * two_sided(checked_confidence(curve.confidence)))
    _check_deviation(curve, sd)
    return np.maximum(sd, np.maximum(1e-12 * np.abs(curve.value), 1e-150))


def _check_deviation(curve: Curve, sd: Float[np.ndarray, " m"]) -> None:
    if not (np.all(np.isfinite(sd)) and np.all(sd >= 0)):
        raise InputError(f"curve {curve.name!r}: expected finite intervals with low <= high")
    if max(float(np.max(sd)), float(np.max(np.abs(curve.value)))) > _LARGEST:
        raise InputError(f"curve {curve.name!r}: expected values and intervals within {_LARGEST:g}")


def apart(curve: Curve, reading: int) -> Float[np.ndarray, " m"]:
    """Standard deviation of the difference of each reading from one of them.

    var(y_i - y_j) = sd_i^2 + sd_j^2 - 2 s sd_i sd_j with the share s = SHARED of variance in common.
    """
    sd = deviation(curve)
    return np.sqrt(sd**2 + sd[reading] ** 2 - 2 * SHARED * sd * sd[reading])


def alike(curve: Curve, confidence: float) -> Bool[np.ndarray, " m"]:
    """Which readings cannot be told from the smallest, each compared with it."""
    best = int(np.argmin(curve.value))
    above = curve.value - curve.value[best]
    return above <= two_sided(checked_confidence(confidence)) * apart(curve, best)


def checked_confidence(confidence: object) -> float:
    """Return a nominal coverage.

    Raises:
        InputError: if it does not lie in (0, 1).
    """
    check_number("confidence", confidence, above=0, below=1)
    return float(confidence)  # pyright: ignore[reportArgumentType]
