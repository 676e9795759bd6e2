"""Data copying by cells: are samples nearer to the training items than held-out items are?"""

import math
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np
from jaxtyping import Bool, Float64, Shaped
from scipy import stats
from torch import Tensor

from memhorizon.checks import check_whole
from memhorizon.measure.features import Features
from memhorizon.measure.items import Items
from memhorizon.measure.neighbors import nearest_of
from memhorizon.metrics.cells import cells_of, nearest_center
from memhorizon.metrics.measurement import Measurement
from memhorizon.metrics.sets import BATCH, Sets, sets_of
from memhorizon.results import NORMAL_95, Estimate, Status

UNKNOWN = Estimate(math.nan, -math.inf, math.inf)
HONEST = "samples drawn as the held-out items are"


def c_t(
    samples: Items,
    train: Items,
    *,
    holdout: Items | None = None,
    cells: SupportsIndex = 3,
    least: SupportsIndex = 20,
    seed: SupportsIndex = 0,
    features: Features = None,
    batch_size: SupportsIndex = BATCH,
    same_units: bool = False,
) -> Measurement:
    """Give C_T, a mean of Z scores: far below 0 where samples copy, far above 0 where they underfit.

    The training items are cut into cells by k-means. In each cell the distances to the nearest training item
    of the cell, of the samples and of the held-out items, give a Mann-Whitney statistic and its Z.
    Cells are weighted by their share of held-out items; those with fewer than `least` samples, or without a
    held-out item, are left out. Ties count half, and the variance is the one for ties.

    Args:
        samples: generated items, [m, *item]: tensor, array, path or ImageSet.
        train: training items, [n, *item].
        holdout: held-out items, [h, *item].
        cells: how many.
        least: samples that a cell needs.
        seed: of the centers that k-means starts from.
        features: distances are taken between these features, by default between the items' entries.
        batch_size: items per call of `features`.
        same_units: vouch that all sets have one unit (see `nearest`).

    Returns:
        An `Estimate`. Its interval takes of the variance under the null and that of the samples at hand the
        larger one. The null is 0 with the interval of honest samples. NaN where no cell has samples enough.

    Raises:
        InputError: if an option is out of its range, or items or features cannot be used.

    Source: [meehan2020] Sec. 3; [delong1988]
    """
    _check_options(cells, least, seed)
    sets = sets_of(samples, train, holdout, features=features, batch_size=batch_size, same_units=same_units)
    distances = _by_cell(sets, int(cells), int(seed))
    scores = [_Score.of(*pair) for pair in distances if len(pair[0]) >= int(least) and len(pair[1])]
    note = f"{len(scores)} of {len(distances)} cells have samples enough"
    if not scores:
        return Measurement("c_t", UNKNOWN, sets.sizes, status=Status.NOT_MEASURED, note=note)
    value, null = _average(scores)
    return sets.measurement("c_t", value, null, null_rule=HONEST, note=note)


def _check_options(cells: SupportsIndex, least: SupportsIndex, seed: SupportsIndex) -> None:
    check_whole("cells", cells, least=1)
    check_whole("least", least, least=1)
    check_whole("seed", seed, least=0)


def _by_cell(sets: Sets, cells: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """In every cell, the distances to its training items: of the samples, and of the held-out items there."""
    train_cell, center = cells_of(sets.train, cells, seed)
    sample_cell = nearest_center(sets.samples, center)
    holdout_cell = nearest_center(sets.held, center)
    found = []
    for cell in range(len(center)):
        there = _there(sets.train, train_cell == cell)
        of_samples = _distances(_there(sets.samples, sample_cell == cell), there)
        of_holdout = _distances(_there(sets.held, holdout_cell == cell), there)
        found.append((of_samples, of_holdout))
    return found


def _there(rows: Shaped[Tensor, "m d"], is_there: Bool[Tensor, " m"]) -> Shaped[Tensor, "some d"]:
    return rows[is_there.to(rows.device)]


def _distances(rows: Shaped[Tensor, "m d"], train: Shaped[Tensor, "n d"]) -> Float64[np.ndarray, " m"]:
    """Distances to the nearest training item."""
    if not (len(rows) and len(train)):
        return np.empty(0)
    return nearest_of(rows, train, 1)[0][:, 0].double().cpu().numpy()


@dataclass(frozen=True)
class _Score:
    """Z of one cell.

    Attributes:
        z: (U - m h / 2) / sd of U if samples and held-out items are alike.
        variance: of z, at these samples and held-out items.
        holdout: how many held-out items the cell has.
    """

    z: float
    variance: float
    holdout: int

    @classmethod
    def of(cls, samples: Float64[np.ndarray, " m"], holdout: Float64[np.ndarray, " h"]) -> "_Score":
        m = len(samples)
        h = len(holdout)
        rank = stats.rankdata(np.concatenate([samples, holdout]))
        variance = _null_variance(m, h, rank)
        if variance <= 0:  # all at one distance
            return cls(0.0, 1.0, h)
        # U counts the pairs with d(y) > d(x), ties half;  Z = (U - m h / 2) / sd U
        U = rank[:m].sum() - m * (m + 1) / 2
        z = (U - m * h / 2) / math.sqrt(variance)
        return cls(float(z), _variance(samples, holdout, rank) / variance, h)


def _null_variance(m: int, h: int, rank: Float64[np.ndarray, " N"]) -> float:
    """Variance of U where samples and held-out items are alike.

    m h / 12 (N + 1 - sum (t^3 - t) / N (N - 1)), N = m + h, t the sizes of ties.
    """
    N = m + h
    t = np.unique(rank, return_counts=True)[1].astype(float)
    return m * h / 12 * (N + 1 - float((t**3 - t).sum()) / (N * (N - 1)))


def _variance(
    samples: Float64[np.ndarray, " m"], holdout: Float64[np.ndarray, " h"], rank: Float64[np.ndarray, " N"]
) -> float:
    """Estimate the variance of U wherever it lies: var U = (m h)^2 (var V / m + var W / h).

    V_i is the share of held-out items nearer than sample i, W_j that of samples farther than held-out item j.

    Source: [delong1988]
    """
    m = len(samples)
    h = len(holdout)
    if min(m, h) < 2:
        return 0.0
    V = (rank[:m] - stats.rankdata(samples)) / h
    W = 1 - (rank[m:] - stats.rankdata(holdout)) / m
    return float((m * h) ** 2 * (V.var(ddof=1) / m + W.var(ddof=1) / h))


def _average(scores: list[_Score]) -> tuple[Estimate, Estimate]:
    """C_T = sum P(cell) Z(cell) / sum P(cell), P the share of held-out items; and what it is by chance."""
    count = np.array([score.holdout for score in scores], dtype=float)
    weight = count / count.sum()
    z = np.array([score.z for score in scores])
    variance = np.array([max(1.0, score.variance) for score in scores])
    # var C_T = sum w^2 var Z, and var Z = 1 by chance
    value = _normal(float(weight @ z), float(weight**2 @ variance))
    return value, _normal(0.0, float(weight @ weight))


def _normal(value: float, variance: float) -> Estimate:
    """An estimate with its normal interval."""
    half = NORMAL_95 * math.sqrt(variance)
    return Estimate(value, value - half, value + half)
