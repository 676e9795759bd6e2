"""Which of many items are early, censored times included, and how well a number tells them from late ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from memhorizon.errors import InputError
from memhorizon.results import Status, Time

DRAWS = 2000


@dataclass(frozen=True)
class Auc:
    """Probability that an early item has the larger score, over seeds, with a 95 % bootstrap interval.

    Attributes:
        auc: mean over seeds; NaN where no seed has both early and late items.
        low: lower end.
        high: upper end.
        seeds: that have both.
        images: items of these seeds.
        each: of each seed.
    """

    auc: float
    low: float
    high: float
    seeds: int
    images: int
    each: tuple[float, ...] = ()


@dataclass(frozen=True)
class Scored:
    """Scores of the items of one seed, and which of them are early.

    Attributes:
        score: the larger, the earlier it is expected. [items]
        early: whether it is. [items]
    """

    score: Float[np.ndarray, " items"]
    early: Bool[np.ndarray, " items"]

    @property
    def of_both_kinds(self) -> bool:
        """Whether there are early and late items."""
        return bool(0 < self.early.sum() < len(self.early))


def lateness(time: Time) -> float:
    """A number by which times are ordered: infinite where not reached, 0 where before the first snapshot."""
    if time.observed:
        return time.value
    return math.inf if time.status is Status.NOT_REACHED else 0.0


def early_half(times: Sequence[Time]) -> Bool[np.ndarray, " items"]:
    """Which of the items belong to the earlier half; one that is not reached is never early."""
    order = np.array([lateness(time) for time in times])
    rank = stats.rankdata(order, method="max")  # items of one time are on one side
    return (rank <= len(order) / 2) & np.isfinite(order)


def auc(scored: Scored) -> float:
    """Probability that an early item has the larger score, ties by half; NaN if there is one kind only."""
    difference = scored.score[scored.early][:, None] - scored.score[~scored.early][None]
    return float((np.sign(difference) / 2 + 0.5).mean()) if difference.size else math.nan


def pooled_auc(seeds: Sequence[Scored], generator: np.random.Generator) -> Auc:
    """Mean over seeds of the AUC within each, with a 95 % bootstrap interval over seeds and items.

    Scores are compared within a seed only, for each seed has a scale of its own. A draw takes seeds with
    repetition, and of each its early and its late items with repetition.

    Args:
        seeds: scores and early items of each seed.
        generator: of the draws.

    Raises:
        InputError: if a seed has not as many scores as items.
    """
    _check_scores(seeds)
    both = [own for own in seeds if own.of_both_kinds]
    if not both:
        return Auc(math.nan, math.nan, math.nan, 0, 0)
    drawn = [_drawn(both, generator) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    each = tuple(auc(own) for own in both)
    images = sum(len(own.score) for own in both)
    return Auc(float(np.mean(each)), float(low), float(high), len(each), images, each)


def _check_scores(seeds: Sequence[Scored]) -> None:
    if any(len(own.score) != len(own.early) for own in seeds):
        raise InputError("seeds: expected one score for each item, got others")


def _drawn(seeds: Sequence[Scored], generator: np.random.Generator) -> float:
    """The mean AUC of one draw."""
    chosen = generator.integers(len(seeds), size=len(seeds))
    return float(np.mean([auc(_resampled(seeds[i], generator)) for i in chosen]))


def _resampled(own: Scored, generator: np.random.Generator) -> Scored:
    """Its early and its late items, each drawn with repetition."""
    early = _redrawn(own.early, generator)
    late = _redrawn(~own.early, generator)
    chosen = np.concatenate([early, late])
    return Scored(own.score[chosen], own.early[chosen])


def _redrawn(which: Bool[np.ndarray, " items"], generator: np.random.Generator) -> np.ndarray:
    """As many of the marked items as there are, with repetition: their places."""
    return generator.choice(np.flatnonzero(which), int(which.sum()))
