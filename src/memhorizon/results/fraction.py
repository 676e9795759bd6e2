"""A proportion with its exact interval."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from memhorizon.errors import InputError
from memhorizon.results.intervals import ROUNDING, check_confidence, check_interval

MOST_COUNTED = 2**53  # whole numbers up to here are exact in float64


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

    def __post_init__(self) -> None:
        if not self._has_counts():
            got = f"{self.count!r}, {self.total!r}"
            raise InputError(f"fraction: expected whole numbers with 0 <= count <= total, got {got}")
        check_confidence(self.confidence)
        check_interval("fraction", self.value, self.low, self.high)
        self._check_share()

    def _has_counts(self) -> bool:
        whole = isinstance(self.count, int) and isinstance(self.total, int)
        return whole and 0 <= self.count <= self.total and self.total >= 1

    def _check_share(self) -> None:
        if not self._has_share():
            got = f"{self.value} [{self.low}, {self.high}] of {self.count} / {self.total}"
            raise InputError(f"fraction: expected count / total with an interval in [0, 1], got {got}")

    def _has_share(self) -> bool:
        inside = self.low >= 0 and self.high <= 1
        return bool(inside and math.isclose(self.value, self.count / self.total, abs_tol=ROUNDING))

    @classmethod
    def of(cls, count: int | np.integer, total: int | np.integer, *, confidence: float = 0.95) -> "Fraction":
        """Estimate a proportion from its counts.

        Raises:
            InputError: if the counts are no whole numbers, `total` is not within 1..2**53, `count` is not
                within 0..total, or the confidence is not in (0, 1).

        >>> print(Fraction.of(0, 1000))
        0.0000 [0.0000, 0.0037] (0 of 1000)

        Source: [clopper1934]
        """
        _check_counts(count, total)
        if check_confidence(confidence) == 1:
            raise InputError("confidence: expected below 1, where an interval says something, got 1")
        count = int(count)
        total = int(total)
        low, high = _clopper_pearson(count, total, confidence)
        return cls(count / total, low, high, count, total, confidence)

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}] ({self.count} of {self.total})"


def _check_counts(count: int | np.integer, total: int | np.integer) -> None:
    if not _are_counts(count, total):
        raise InputError(
            "count, total: expected whole numbers with 0 <= count <= total and 1 <= total <= 2**53, "
            f"got {count!r}, {total!r}"
        )


def _are_counts(count: object, total: object) -> bool:
    if not (isinstance(count, int | np.integer) and isinstance(total, int | np.integer)):
        return False
    return bool(1 <= total <= MOST_COUNTED and 0 <= count <= total)


@lru_cache(maxsize=4096)  # curves of many items ask for the same few counts again and again
def _clopper_pearson(count: int, total: int, confidence: float) -> tuple[float, float]:
    """The ends p at which the tail beyond the count has the probability (1 - confidence) / 2.

    Source: [clopper1934]
    """
    from scipy import stats  # half a second that the theory does not need

    tail = (1 - confidence) / 2
    # P(X >= count | low) = tail and P(X <= count | high) = tail, as quantiles of Beta distributions
    low = float(stats.beta.ppf(tail, count, total - count + 1)) if count else 0.0
    high = float(stats.beta.ppf(1 - tail, count + 1, total - count)) if count < total else 1.0
    return low, high
