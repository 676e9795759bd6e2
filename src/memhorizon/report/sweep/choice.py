"""Which snapshot of a run to use: the best of those up to which no copies are seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from memhorizon.records.sweep import RunRecord
from memhorizon.results import Curve, Estimate, Fraction, Status, Time

LEVEL = 0.05  # of the tests whether copies are above the null, all snapshots of a run together


@dataclass(frozen=True)
class Choice:
    """The snapshots of a run that show no more copies than held-out items do.

    Attributes:
        last: the last one; all before it are like it.
        ended: whether a later one was measured, and shows more.
        none_at_all: whether no sample counted as a copy up to there.
        good: the first of them that has reached the level of quality; None where none has, or it is unknown.
        step: the one of best quality; None where quality was not measured at any of them.
        quality: there.
        copies: the share of copies there.
    """

    last: int
    ended: bool
    none_at_all: bool
    good: int | None
    step: int | None
    quality: Estimate | None
    copies: Estimate | None


def choice_of(run: RunRecord, quality_name: str) -> Choice | None:
    """Choose among the snapshots of a run; None where no copies were looked for, or all show some."""
    copies = run.curves.get("memorized")
    if copies is None or copies.total is None:
        return None
    totals = copies.total.astype(int).tolist()
    counts = np.round(copies.value * copies.total).astype(int).tolist()
    clean = _clean(counts, totals, run.null)
    if clean == 0:
        return None
    steps = copies.step[:clean]
    quality = run.curves.get(quality_name)
    best = None if quality is None else _best(quality, steps)
    return Choice(
        last=int(steps[-1]),
        ended=clean < len(counts),
        none_at_all=not any(counts[:clean]),
        good=_first_good(run.timescales.tau_gen, steps),
        step=best,
        quality=None if quality is None or best is None else _at(quality, best),
        copies=None if best is None else _at(copies, best),
    )


def _clean(counts: Sequence[int], totals: Sequence[int], null: Fraction | None) -> int:
    """How many snapshots there are before the first that shows more copies than the null lets expect."""
    # one of m snapshots seems to copy by chance with probability at most m (LEVEL / m)
    level = LEVEL / len(counts)
    for i, (count, total) in enumerate(zip(counts, totals, strict=True)):
        if _above(count, total, null, level):
            return i
    return len(counts)


def _above(count: int, total: int, null: Fraction | None, level: float) -> bool:
    """Whether so many copies are more than the null lets expect: Fisher's exact test, one-sided.

    Given k copies among both, those among the samples are hypergeometric if the shares are the same. Where
    no held-out item was looked at, any copy is too many.
    """
    if null is None:
        return count > 0
    k = count + null.count
    return float(stats.hypergeom.sf(count - 1, total + null.total, k, total)) < level


def _first_good(tau_gen: Time, steps: np.ndarray) -> int | None:
    """The first of these steps at which the quality had reached its level."""
    if tau_gen.status is Status.NOT_REACHED or not tau_gen.known:
        return None
    reached = steps[steps >= tau_gen.value]
    return int(reached[0]) if len(reached) else None


def _best(quality: Curve, steps: np.ndarray) -> int | None:
    """The step of the smallest value among these steps."""
    among = np.isin(quality.step, steps)
    return int(quality.step[among][np.argmin(quality.value[among])]) if among.any() else None


def _at(curve: Curve, step: int) -> Estimate:
    """The value of a curve at a step."""
    i = int(np.flatnonzero(curve.step == step)[0])
    return Estimate(float(curve.value[i]), float(curve.low[i]), float(curve.high[i]), curve.confidence)
