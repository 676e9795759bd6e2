"""How two sets overlap, by balls around the items of one that reach to the k-th nearest: P, R, D, C.

The balls are closed. With open ones (as some implementations have them) an item that occurs more than k times
has an empty ball, and exact copies of it count as outside.
"""

from dataclasses import dataclass
from typing import SupportsIndex

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from memhorizon.checks import check_whole
from memhorizon.errors import InputError
from memhorizon.measure.features import Features
from memhorizon.measure.items import Items
from memhorizon.measure.means import Mean
from memhorizon.measure.neighbors import nearest_of, pairs_in_balls
from memhorizon.metrics.measurement import Measurement
from memhorizon.metrics.sets import BATCH, sets_of
from memhorizon.results import Estimate, Fraction


def precision(
    samples: Items,
    train: Items,
    *,
    holdout: Items | None = None,
    k: SupportsIndex = 5,
    features: Features = None,
    batch_size: SupportsIndex = BATCH,
    same_units: bool = False,
) -> Measurement:
    """Give the share of samples in the ball of some training item.

    The ball of an item reaches to its k-th nearest of the same set.

    Args:
        samples: generated items, [m, *item]: tensor, array, path or ImageSet.
        train: training items (or other real ones), [n, *item].
        holdout: held-out items for the null, [h, *item].
        k: up to which neighbour a ball reaches.
        features: distances are taken between these features, by default between the items' entries.
        batch_size: items per call of `features`.
        same_units: vouch that all sets have one unit (see `nearest`).

    Returns:
        A `Fraction` of the samples; `per_sample` counts the balls that hold each.

    Raises:
        InputError: if a set has no k-th neighbour, or items or features cannot be used.

    Source: [kynkaanniemi2019] Eqs. (1)-(2)
    """
    check_whole("k", k, least=1)
    sets = sets_of(samples, train, holdout, features=features, batch_size=batch_size, same_units=same_units)

    balls = _Balls.of(sets.train, int(k), "train")

    def counts(rows: Shaped[Tensor, "rows d"]) -> Tensor:
        return balls.overlap(rows)[1].double()

    return sets.of_samples("precision", counts, _share_in_a_ball)


def recall(
    samples: Items,
    train: Items,
    *,
    holdout: Items | None = None,
    k: SupportsIndex = 5,
    features: Features = None,
    batch_size: SupportsIndex = BATCH,
    same_units: bool = False,
) -> Measurement:
    """Give the share of training items in the ball of some sample: `precision` with the sets exchanged.

    Arguments and errors as for `precision`. Returns a `Fraction` of the training items.

    Source: [kynkaanniemi2019] Eqs. (1)-(2)
    """
    check_whole("k", k, least=1)
    sets = sets_of(samples, train, holdout, features=features, batch_size=batch_size, same_units=same_units)

    def share(rows: Shaped[Tensor, "rows d"]) -> Fraction:
        return _share_in_a_ball(_Balls.of(rows, int(k), "samples").overlap(sets.train)[1])

    return sets.of_sets("recall", share)


def density(
    samples: Items,
    train: Items,
    *,
    holdout: Items | None = None,
    k: SupportsIndex = 5,
    features: Features = None,
    batch_size: SupportsIndex = BATCH,
    same_units: bool = False,
) -> Measurement:
    """Give how many balls of training items hold a sample, on average, over k.

    Arguments and errors as for `precision`. Returns an `Estimate` with the normal interval of a mean over
    samples, given the training items; `per_sample` counts the balls that hold each, over k.

    Source: [naeem2020] Sec. 3
    """
    check_whole("k", k, least=1)
    sets = sets_of(samples, train, holdout, features=features, batch_size=batch_size, same_units=same_units)
    balls = _Balls.of(sets.train, int(k), "train")

    def counts_over_k(rows: Shaped[Tensor, "rows d"]) -> Tensor:
        return balls.overlap(rows)[1].double() / int(k)

    return sets.of_samples("density", counts_over_k, _mean)


def coverage(
    samples: Items,
    train: Items,
    *,
    holdout: Items | None = None,
    k: SupportsIndex = 5,
    features: Features = None,
    batch_size: SupportsIndex = BATCH,
    same_units: bool = False,
) -> Measurement:
    """Give the share of training items whose ball holds a sample.

    Arguments and errors as for `precision`. Returns a `Fraction` of the training items.

    Source: [naeem2020] Sec. 3
    """
    check_whole("k", k, least=1)
    sets = sets_of(samples, train, holdout, features=features, batch_size=batch_size, same_units=same_units)
    balls = _Balls.of(sets.train, int(k), "train")

    def share(rows: Shaped[Tensor, "rows d"]) -> Fraction:
        return _share_in_a_ball(balls.overlap(rows)[0])

    return sets.of_sets("coverage", share)


@dataclass(frozen=True)
class _Balls:
    """Closed balls around items, which reach to the k-th nearest of the same set."""

    center: Shaped[Tensor, "n d"]
    radius: Float[Tensor, " n"]

    @classmethod
    def of(cls, items: Shaped[Tensor, "n d"], k: int, name: str) -> "_Balls":
        _check_enough(len(items), k, name)
        distance, _ = nearest_of(items, items, k + 1)  # the first is the item itself
        return cls(items, distance[:, k])

    def overlap(self, points: Shaped[Tensor, "m d"]) -> tuple[Int[Tensor, " n"], Int[Tensor, " m"]]:
        """Count, for each ball, the points in it, and for each point the balls that hold it."""
        points_in_ball = torch.zeros(len(self.center), dtype=torch.int64, device=self.radius.device)
        balls_of_point = torch.zeros(len(points), dtype=torch.int64, device=self.radius.device)
        for ball, point in pairs_in_balls(self.center, points, self.radius):
            points_in_ball += ball.bincount(minlength=len(self.center))
            balls_of_point += point.bincount(minlength=len(points))
        return points_in_ball, balls_of_point


def _check_enough(count: int, k: int, name: str) -> None:
    if count <= k:
        wanted = f"more than k = {k} items, since a ball reaches to the k-th nearest"
        raise InputError(f"{name}: expected {wanted}, got {count}")


def _share_in_a_ball(counts: Shaped[Tensor, " m"]) -> Fraction:
    return Fraction.of(int((counts > 0).sum()), len(counts))


def _mean(values: Shaped[Tensor, " m"]) -> Estimate:
    mean = Mean.of(values)
    return Estimate(mean.value, mean.low, mean.high)
