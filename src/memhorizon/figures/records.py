"""What the figures of recipes read of records that have no types yet; it goes when they have."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from memhorizon.errors import InputError
from memhorizon.experiments.hyperparameters import HYPERPARAMETERS
from memhorizon.figures.labels import printable
from memhorizon.results import Curve, Time

__all__ = ["FACTOR_NAMES", "Row", "curve_of", "printable", "reading", "time_of"]

Row = dict[str, Any]
FACTOR_NAMES = {name: entry.symbol for name, entry in HYPERPARAMETERS.items()}
DAMAGED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


@contextmanager
def reading() -> Iterator[None]:
    """Turn what a damaged record raises where it is used into an InputError.

    A record may come from a stranger. `sweep_of` checks its form; that its numbers can be drawn (a step of
    1e308, a text where a factor stands) shows where they are, and the answer is the same everywhere.

    Raises:
        InputError: if an entry is missing, of another kind, or a number that cannot be used.
    """
    try:
        yield
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(
            f"record: expected entries as memhorizon writes them, got one that cannot be used "
            f"({type(error).__name__}: {printable(str(error))[:200]})"
        ) from error


def curve_of(run: Mapping[str, Any], name: str) -> Curve:
    """A curve of a run; an end of an interval that is null in JSON is infinite.

    Raises:
        InputError: if the run has no such curve.
    """
    if name not in run["curves"]:
        raise InputError(f"record: run {run['key']} has no curve {name!r}; it has {sorted(run['curves'])}")
    entry = run["curves"][name]
    value, step = _array(entry["value"], math.nan), _array(entry["step"], math.nan)
    low, high = _array(entry["low"], -math.inf), _array(entry["high"], math.inf)
    total = None if entry.get("total") is None else _array(entry["total"], math.nan)
    return Curve(step, value, low, high, name, total, entry.get("confidence", 0.95))


def _array(values: Sequence[float | None], null: float) -> np.ndarray:
    return np.array([null if v is None else v for v in values], dtype=float)


def time_of(entry: Mapping[str, Any]) -> Time:
    """A time of a record; null in JSON stands for no time, no lower end, and an infinite upper end."""
    value = math.nan if entry["value"] is None else float(entry["value"])
    high = math.inf if entry["high"] is None else float(entry["high"])
    return Time(value, float(entry["low"] or 0.0), high, entry["status"], entry["rule"])
