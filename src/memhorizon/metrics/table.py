"""What is known of a metric: one row for both of its forms, the function and the accumulator."""

from collections.abc import Callable
from dataclasses import dataclass

from memhorizon.metrics.measurement import Measurement


@dataclass(frozen=True)
class MetricInfo:
    """One metric of `memhorizon.metrics.METRICS`.

    Attributes:
        function: the metric as a function of samples and training items.
        accumulator: name of the class that has it in torchmetrics' form.
        is_asymmetric: whether it matters which set is the samples and which the training items.
        needs_holdout: whether it compares with held-out items; else these give the null alone.
        higher_is_better: whether a larger number is that of a better generator; None where 0 is best.
    """

    function: Callable[..., Measurement]
    accumulator: str
    is_asymmetric: bool
    needs_holdout: bool
    higher_is_better: bool | None

    @property
    def name(self) -> str:
        """Name of the function, and of the numbers of the accumulator."""
        return self.function.__name__
