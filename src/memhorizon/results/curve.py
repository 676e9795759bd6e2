"""One measured quantity along training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from jaxtyping import Float

from memhorizon.errors import InputError
from memhorizon.results.fraction import Fraction
from memhorizon.results.intervals import NORMAL_95, ROUNDING, check_confidence

_COLUMNS = ("step", "value", "low", "high")


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

    def __eq__(self, other: object) -> bool:
        """Whether all numbers are equal, and what is said of them."""
        if not isinstance(other, Curve):
            return NotImplemented
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return all(np.array_equal(mine, theirs) for mine, theirs in pairs)

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
        self._check_intervals(about)

    def _check_intervals(self, about: str) -> None:
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
        _check_fractions(fractions, name)
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


def _check_fractions(fractions: object, name: str) -> None:
    if not _are_fractions(fractions):
        raise InputError(f"curve {name!r}: expected a sequence of Fraction, got {fractions!r}")
    if len({f.confidence for f in fractions}) > 1:
        raise InputError(f"curve {name!r}: expected one confidence for all fractions, got several")


def _are_fractions(values: object) -> TypeGuard[Sequence[Fraction]]:
    return isinstance(values, Sequence) and all(isinstance(f, Fraction) for f in values)


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
