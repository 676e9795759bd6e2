"""How well forecasts did: means and medians where there are any, intervals over whole sweeps."""

import math
from collections.abc import Iterable, Sequence
from operator import itemgetter

import numpy as np
from jaxtyping import Float, Int

from memhorizon.recipes.tables import grouped

RESAMPLED = 2000  # sets of whole sweeps, drawn with replacement


def mean_or_nan(values: Sequence[float]) -> float:
    """The mean; NaN of none."""
    return float(np.mean(values)) if values else math.nan


def median_or_nan(values: Sequence[float]) -> float:
    """The median; NaN of none."""
    return float(np.median(values)) if values else math.nan


def resampled(shares: Sequence[tuple[str, float]]) -> tuple[float, float]:
    """95 % interval of the mean over forecasts, with whole sweeps drawn with replacement."""
    by_sweep = grouped(shares, itemgetter(0))
    if len(by_sweep) < 2:
        return math.nan, math.nan
    return _middle_95(_means_of_draws(_sums(by_sweep.values())))


def _sums(sweeps: Iterable[Sequence[tuple[str, float]]]) -> Float[np.ndarray, "sweeps 2"]:
    """The sum over the forecasts of each sweep, and their number."""
    return np.array([(sum(share for _, share in own), len(own)) for own in sweeps])


def _means_of_draws(table: Float[np.ndarray, "sweeps 2"]) -> Float[np.ndarray, " draws"]:
    total = table[_draws(len(table))].sum(axis=1)
    return total[:, 0] / total[:, 1]


def _draws(count: int) -> Int[np.ndarray, "draws sweeps"]:
    """Which sweeps are in each set."""
    return np.random.default_rng(0).integers(count, size=(RESAMPLED, count))


def _middle_95(values: Float[np.ndarray, " draws"]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975]).tolist()
    return low, high
