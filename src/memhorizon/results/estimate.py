"""A number with its interval, and how numbers are written."""

from dataclasses import dataclass

from memhorizon.results.intervals import check_confidence, check_interval


@dataclass(frozen=True)
class Estimate:
    """A number with its confidence interval.

    Attributes:
        value: the estimate; NaN where it is not known.
        low: lower end of the interval, -infinity where nothing bounds it.
        high: upper end, infinity where nothing bounds it.
        confidence: nominal coverage of [low, high].
    """

    value: float
    low: float
    high: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        check_interval("estimate", self.value, self.low, self.high)

    def __str__(self) -> str:
        return f"{digits(self.value, 3)} [{digits(self.low, 3)}, {digits(self.high, 3)}]"


def digits(value: float, digits: int) -> str:
    """Write a number to some digits, with all of those before the point up to a billion.

    >>> digits(1643.2, 3), digits(0.12345, 3), digits(float("inf"), 3)
    ('1,643', '0.123', 'inf')
    """
    return f"{value:,.0f}" if 10 ** (digits - 1) <= abs(value) < 1e9 else f"{value:.{digits}g}"
