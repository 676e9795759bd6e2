"""Copies along training: their share at each snapshot, and when it exceeds that of held-out items."""

from collections.abc import Sequence

from memhorizon.recipes.pooled import bare
from memhorizon.results import Curve, Fraction, Time
from memhorizon.timescales.times import memorization_time


def copies_of(step: Sequence[int], count: Sequence[int], total: Sequence[int]) -> Curve:
    """The memorized fraction along training.

    Args:
        step: the snapshots. [m]
        count: samples that are copies at each.
        total: samples at each.
    """
    fractions = [Fraction.of(*pair) for pair in zip(count, total, strict=True)]
    return Curve.of_fractions(step, fractions, name="memorized")


def tau_mem_of(copied: Curve, null: tuple[int, int], level: float) -> Time:
    """When copies exceed their null, count and total of held-out items, by a level."""
    return bare(memorization_time(copied, level=level, null=Fraction.of(*null)))
