"""A number from a sample, with its standard error."""

import math
from dataclasses import dataclass

from jaxtyping import Shaped
from torch import Tensor

from memhorizon.devices import wide
from memhorizon.results import NORMAL_95


@dataclass(frozen=True)
class Mean:
    """A mean, or a smooth function of means, with its standard error.

    Attributes:
        value: the estimate.
        standard_error: of the value; infinity where nothing can be concluded.
        count: how many independent items it rests on.
    """

    value: float
    standard_error: float
    count: int

    @classmethod
    def of(cls, values: Shaped[Tensor, "..."]) -> "Mean":
        """Average independent values; the error of a single one is infinity."""
        values = wide(values)
        count = len(values)
        error = float(values.std()) / math.sqrt(count) if count > 1 else math.inf
        return cls(float(values.mean()), error, count)

    @property
    def low(self) -> float:
        """Lower end of the normal 95 % interval."""
        return self.value - NORMAL_95 * self.standard_error

    @property
    def high(self) -> float:
        """Upper end of the normal 95 % interval."""
        return self.value + NORMAL_95 * self.standard_error

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def jackknife_error(left_out: Shaped[Tensor, "..."]) -> float:
    """Give the standard error of an estimate from its values with each of g equal groups left out.

    Source: [efron1981] Eq. (1.4)
    """
    g = len(left_out)
    return math.sqrt((g - 1) * float(left_out.double().var(correction=0)))
