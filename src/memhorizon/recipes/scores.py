"""How well forecasts did: means and medians where there are any, intervals over whole sweeps."""

import math
from collections.abc import Sequence

import numpy as np

RESAMPLED = 2000  # sets of whole sweeps, drawn with replacement


def mean_or_nan(values: Sequence[float]) -> float:
    """The mean; NaN of none."""
    return float(np.mean(values)) if values else math.nan


def median_or_nan(values: Sequence[float]) -> float:
    """The median; NaN of none."""
    return float(np.median(values)) if values else math.nan


def resampled(shares: Sequence[tuple[str, float]]) -> tuple[float, float]:
    """95 % interval of the mean over forecasts, with whole sweeps drawn with replacement."""
    sums: dict[str, list[float]] = {}
    for sweep, share in shares:
        sums.setdefault(sweep, []).append(share)
    if len(sums) < 2:
        return math.nan, math.nan
    table = np.array([(sum(values), len(values)) for values in sums.values()])
    drawn = np.random.default_rng(0).integers(len(table), size=(RESAMPLED, len(table)))
    total = table[drawn].sum(axis=1)
    low, high = np.quantile(total[:, 0] / total[:, 1], [0.025, 0.975]).tolist()
    return low, high
