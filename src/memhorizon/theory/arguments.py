"""What the theory accepts: numbers within the range that double precision can solve, and lists of numbers."""

from typing import TypeGuard

import numpy as np
from jaxtyping import Shaped

from memhorizon.errors import InputError


def number(name: str, value: object, low: float, high: float) -> float:
    """Check that a number lies in low..high, both included.

    Raises:
        InputError: if it is no number, or outside.
    """
    if not _is_number(value) or not low <= value <= high:
        raise InputError(f"{name}: expected a number from {low:g} to {high:g}, got {value!r:.200}")
    return float(value)


def count(name: str, value: object, low: int, high: int) -> int:
    """Check that a whole number lies in low..high, both included.

    Raises:
        InputError: if it is no whole number, or outside.
    """
    if not _is_whole(value) or not low <= value <= high:
        raise InputError(f"{name}: expected a whole number from {low} to {high}, got {value!r:.200}")
    return int(value)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float | np.integer | np.floating)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int | np.integer)


def array(name: str, value: object, *, kinds: str = "biuf") -> Shaped[np.ndarray, "..."]:
    """Read numbers, of one of the `kinds` of NumPy's types.

    Raises:
        InputError: if they are anything else (words, None, lists of unequal lengths, ...).
    """
    found = _as_array(name, value)
    if found.dtype.kind not in kinds:
        raise InputError(f"{name}: expected numbers, got {value!r:.200}")
    return found


def _as_array(name: str, value: object) -> np.ndarray:
    """Whatever NumPy makes of it."""
    try:
        return np.asarray(value)
    except (RuntimeError, TypeError, ValueError) as error:  # torch: needs a gradient, or lies on a GPU
        raise InputError(f"{name}: expected numbers, got {type(value).__name__}: {error}") from error


def row(name: str, value: object, *, kinds: str = "biuf") -> Shaped[np.ndarray, " m"]:
    """Read one number, or a list of them: of none, the answer is an empty one.

    Raises:
        InputError: if they are anything else.
    """
    found = np.atleast_1d(array(name, value, kinds=kinds))
    if found.ndim != 1:
        raise InputError(f"{name}: expected a list of numbers, got shape {found.shape}")
    return found


def times(tau: object) -> Shaped[np.ndarray, " m"]:
    """Read training times, 0 and infinity included.

    Raises:
        InputError: if one is negative or not a number.
    """
    found = row("tau", tau).astype(float)
    if not np.all(found >= 0):
        raise InputError(f"tau: expected times of at least 0, got {tau!r:.200}")
    return found
