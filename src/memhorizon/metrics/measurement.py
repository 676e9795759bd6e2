"""One metric of a set of samples, as every function of `memhorizon.metrics` returns it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor

from memhorizon.measure.quality import Distance
from memhorizon.results import Estimate, Fraction, Status

Number: TypeAlias = Fraction | Estimate | Distance


@dataclass(frozen=True, repr=False, eq=False)
class Measurement:
    """One metric of a set of samples, with its evidence.

    Attributes:
        name: of the metric.
        value: the metric: a share with its exact interval, an estimate with its interval, or a distance.
        sizes: how many items each set has: "samples", "train" and, where it was given, "holdout".
        null: the same number for samples that copy nothing; None where it is not known.
        null_rule: what the null was taken from, in words.
        per_sample: what was computed of each sample, where the metric is one over samples: its docstring
            says what. [m]
        status: whether the number can be trusted, see `Status`.
        note: the numbers behind the status, and whatever else there is to know.
    """

    name: str
    value: Number
    sizes: Mapping[str, int]
    null: Number | None = None
    null_rule: str = ""
    per_sample: Float[Tensor, " m"] | None = None
    status: Status = Status.FINE
    note: str = ""

    def __float__(self) -> float:
        return float(self.value.value)

    def __str__(self) -> str:
        parts = [f"{self.name} {_words(self.value)}", self._null_in_words()]
        if self.status is not Status.FINE:
            parts.append(str(self.status))
        if self.note:
            parts.append(self.note)
        return "; ".join(parts)

    def _null_in_words(self) -> str:
        if self.null is not None:
            return f"null {_words(self.null)}, {self.null_rule}"
        return "null not known" if "holdout" in self.sizes else "null not known: give held-out items"

    __repr__ = __str__

    def numbers(self) -> dict[str, float]:
        """Give the numbers under names for a log.

        `NAME` is the value, `NAME_low` and `NAME_high` the ends of its interval (of a distance: that of
        `NAME_corrected`), `NAME_null` the null where it is known.
        """
        found = {self.name: float(self)}
        interval = self.value.corrected if isinstance(self.value, Distance) else self.value
        if isinstance(self.value, Distance):
            found[f"{self.name}_corrected"] = self.value.corrected.value
        found[f"{self.name}_low"] = float(interval.low)
        found[f"{self.name}_high"] = float(interval.high)
        if self.null is not None:
            found[f"{self.name}_null"] = float(self.null.value)
        return found


def _words(number: Number) -> str:
    """A number and its interval.

    >>> _words(Fraction.of(0, 1000))
    '0.0000 [0.0000, 0.0037] (0 of 1000)'
    """
    if not isinstance(number, Distance):
        return str(number)
    if math.isinf(number.corrected.standard_error):
        return f"{number.value:.4g}"
    return f"{number.value:.4g} (corrected {number.corrected})"
