"""Metrics of copying and of quality, as their papers define them, each beside its null.

Each metric has two forms. A function of all items at once, such as `f_mem(samples, train, holdout=holdout)`,
returns a `Measurement`. A class, such as `FMem`, collects batches and works in a `MetricCollection` of
torchmetrics, which it needs installed: `pip install "memhorizon[metrics]"`. `METRICS` is the table of both.
"""

from typing import TYPE_CHECKING

from memhorizon.extras import need
from memhorizon.metrics.copies import auth_pct, calibrated_l2, f_mem
from memhorizon.metrics.data_copying import c_t
from memhorizon.metrics.distances import frechet, kernel, mifid
from memhorizon.metrics.likelihood import fls_overfit, generalization_gap
from memhorizon.metrics.measurement import Measurement
from memhorizon.metrics.overlap import coverage, density, precision, recall
from memhorizon.metrics.table import MetricInfo

if TYPE_CHECKING:
    from memhorizon.metrics.accumulator import Accumulator

# A metric is added by its row here: function, class, is_asymmetric, needs_holdout, higher_is_better.
_ROWS = (
    MetricInfo(f_mem, "FMem", True, False, False),
    MetricInfo(calibrated_l2, "CalibratedL2", True, False, False),
    MetricInfo(auth_pct, "AuthPct", True, False, True),
    MetricInfo(c_t, "CT", True, True, None),
    MetricInfo(mifid, "MiFID", True, False, False),
    MetricInfo(fls_overfit, "FLSOverfit", True, True, False),
    MetricInfo(generalization_gap, "GeneralizationGap", True, True, True),
    MetricInfo(precision, "Precision", True, False, True),
    MetricInfo(recall, "Recall", True, False, True),
    MetricInfo(density, "Density", True, False, True),
    MetricInfo(coverage, "Coverage", True, False, True),
    MetricInfo(frechet, "Frechet", False, False, False),
    MetricInfo(kernel, "Kernel", False, False, False),
)
#: All metrics by the names of their functions, each a `MetricInfo`.
METRICS = {row.name: row for row in _ROWS}
_CLASSES = {row.accumulator: row for row in _ROWS}

__all__ = ["METRICS", "Measurement", "MetricInfo", *METRICS, *_CLASSES]


def __getattr__(name: str) -> "type[Accumulator]":
    if name not in _CLASSES:
        raise AttributeError(f"module 'memhorizon.metrics' has no attribute {name!r}")
    need("torchmetrics", extra="metrics", what=name)
    from memhorizon.metrics.accumulator import accumulator_of

    return accumulator_of(_CLASSES[name])


def __dir__() -> list[str]:
    return sorted(__all__)
