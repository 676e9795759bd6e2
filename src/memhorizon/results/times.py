"""A training time, censored or not, and the two timescales of a run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real

from memhorizon.errors import InputError
from memhorizon.results.estimate import digits
from memhorizon.results.intervals import check_confidence, check_interval
from memhorizon.results.status import TIME_STATUSES, UNKNOWN, Status, status_among


@dataclass(frozen=True)
class Time:
    """A training time read off a curve, or the statement that it lies outside of what was looked at.

    Attributes:
        value: the estimate; where `status` is "not reached" (right censored) the last time looked at, where
            it is "before first" (left censored) the first one; NaN where it is no time.
        low: lower end of the interval; where nothing bounds it from below, 0.
        high: upper end; where nothing bounds it from above, infinity.
        status: "observed", "not reached" or "before first". Or why there is no time: "not measured" (the
            curve is missing), "still improving" (the quality was still coming down at the end, so that its
            best value is not known), "trivial level" (the level is that of a network that predicts nothing).
        rule: how it was read, in words, tolerance included.
        confidence: nominal coverage of [low, high].
    """

    value: float
    low: float
    high: float
    status: Status
    rule: str = ""
    confidence: float = 0.95

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", status_among(TIME_STATUSES, self.status))
        self._check_value()
        check_confidence(self.confidence)
        check_interval("time", self.value, self.low, self.high)

    def _check_value(self) -> None:
        if not isinstance(self.value, Real):
            raise InputError(f"value: expected a number, got {self.value!r}")
        if math.isnan(self.value) == self.known:
            raise InputError(f"value: expected what goes with {self.status!r}, got {self.value}")

    @classmethod
    def unknown(cls, status: Status, rule: str) -> "Time":
        """The statement that there is no time, and why.

        >>> print(Time.unknown(Status.STILL_IMPROVING, "held-out loss"))
        - (still improving)
        """
        return cls(math.nan, 0.0, math.inf, status, rule)

    @property
    def known(self) -> bool:
        """Whether it is a time or a bound of one."""
        return self.status not in UNKNOWN

    @property
    def observed(self) -> bool:
        """Whether the event lies within the times looked at."""
        return self.status is Status.OBSERVED

    @property
    def determined(self) -> bool:
        """Whether its interval excludes anything; what was observed with the interval [0, inf] is not."""
        return not (self.observed and self.low <= 0 and self.high == math.inf)

    def __str__(self) -> str:
        if not self.known:
            return f"- ({self.status})"
        if self.status == "not reached":
            return f"> {digits(self.value, 4)}"
        if self.status == "before first":
            return f"< {digits(self.value, 4)}"
        if self.confidence == 1 and self.low == self.high:  # computed, not measured
            return digits(self.value, 4)
        return f"{digits(self.value, 4)} [{digits(self.low, 4)}, {digits(self.high, 4)}]"


@dataclass(frozen=True, repr=False)
class Timescales:
    """The two timescales of one run or of one theory model.

    Attributes:
        tau_gen: when a fixed quality is reached.
        tau_mem: when copying is seen above its null.
        others: further times by name (the argmin of the held-out loss, the opening of the loss gap, ...).
        unit: unit of all times, "steps" for training.
    """

    tau_gen: Time
    tau_mem: Time
    others: Mapping[str, Time] = field(default_factory=dict)
    unit: str = "steps"

    def __repr__(self) -> str:
        """Both times and the names of the others.

        >>> Timescales(Time(60, 55, 67, Status.OBSERVED), Time(500, 410, 620, Status.OBSERVED))
        Timescales(tau_gen 60 [55, 67], tau_mem 500 [410, 620] steps)
        """
        others = f"; also {', '.join(self.others)}" if self.others else ""
        times = f"tau_gen {self.tau_gen}, tau_mem {self.tau_mem}"
        return f"{type(self).__name__}({times} {self.unit}{others})"
