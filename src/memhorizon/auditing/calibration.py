"""p-values of samples from views: found, ranked, and exact where it matters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from memhorizon.auditing.scores import Changes, Scores
from memhorizon.auditing.statistics import PValues, conformal_p_values
from memhorizon.auditing.views.base import Found, Progress, Report, View
from memhorizon.experiments.cache import Cache, Key, cached

SCREEN = 0.1  # p-values up to here are those of the training set that the sample has joined
_PAIRS = 1 << 22  # of a sample and a reference item that may change it, in memory at a time, at most
_TOGETHER = 2000  # items whose statistics are kept in one file of the cache


@dataclass(frozen=True, eq=False)
class Reference:
    """The items that p-values are calibrated on.

    Attributes:
        items: as they are compared. [R, *item]
        left_out: of training items the group that is left out; None for held-out items. [R]
    """

    items: Float[Tensor, " R *item"]
    left_out: Int[Tensor, " R"] | None


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Samples with their p-values.

    Attributes:
        p_values: of all samples.
        scores: of the samples and the reference items, one for each view, no sample joined.
    """

    p_values: PValues
    scores: tuple[Scores, ...]


def find_all(
    view: View,
    items: Float[Tensor, " q *item"],
    left_out: Int[Tensor, " q"] | None,
    *,
    cache: Cache | None,
    key: Key,
    report: Report,
) -> Found:
    """The statistics of items in a view; parts that the cache has are not computed again."""
    parts = []
    for start in range(0, len(items), _TOGETHER):
        some = slice(start, start + _TOGETHER)
        own = None if left_out is None else left_out[some]
        compute = partial(_tensors, view, items[some], own, _part_of_items(report, start, len(items)))
        parts.append(cached(cache, {**key, "start": start}, compute))
        report(min(start + _TOGETHER, len(items)), len(items))
    joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    statistic = joined.pop("statistic").numpy()
    nearest = joined.pop("nearest").numpy()
    return Found(statistic, nearest, joined)


def _part_of_items(report: Report, start: int, total: int) -> Report:
    """Tells of some of the items, which begin at `start`."""
    return lambda done, _: report(start + done, total)


def _tensors(
    view: View, items: Float[Tensor, " q *item"], left_out: Int[Tensor, " q"] | None, report: Report
) -> dict[str, Tensor]:
    """What a view finds of some items, as tensors by name."""
    found = view.find(items, left_out, report)
    arrays = {"statistic": torch.from_numpy(found.statistic), "nearest": torch.from_numpy(found.nearest)}
    return {**arrays, **found.state}


def calibrate(
    views: Sequence[View],
    reference: Reference,
    of_reference: Sequence[Found],
    samples: Float[Tensor, " m *item"],
    of_samples: Sequence[Found],
    forms: Sequence[Callable[[Tensor], Tensor]],
    progress: Progress,
) -> Calibrated:
    """p-values of samples, those up to 0.1 exact.

    p_j follows from the statistics of the reference items in the training set that y_j has joined. A first
    p-value p'_j, with the training set as it is, tells for which samples that has to be computed: p_j is
    taken where p'_j <= 0.1, else p'_j. Then {p <= a} is part of {p_j <= a} for every a < 0.1, so that
    P(p <= a) <= a.

    Args:
        views: that are joined.
        reference: items that p-values are calibrated on.
        of_reference: their statistics in each view.
        samples: as they are compared.
        of_samples: their statistics in each view.
        forms: gives the items in the form in which each view compares them.
        progress: told what is done.
    """
    first = _without_changes(views, of_reference, of_samples)
    p_values = conformal_p_values(first)
    if reference.left_out is None:  # held-out items are searched for in the training set alone
        return Calibrated(p_values, tuple(first))
    rows = np.flatnonzero(p_values.p <= SCREEN)
    size = max(1, _PAIRS // len(reference.items))
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        tell = _Part(progress, start, len(some), len(rows))
        changes = _changes(views, reference, of_reference, samples[torch.from_numpy(some)], forms, tell)
        exact = [_with_changes(own, some, change) for own, change in zip(first, changes, strict=True)]
        p_values = _joined(p_values, conformal_p_values(exact), some)
    return Calibrated(p_values, tuple(first))


def _without_changes(
    views: Sequence[View], of_reference: Sequence[Found], of_samples: Sequence[Found]
) -> list[Scores]:
    """The scores in the training set as it is."""
    return [
        Scores(view.name, found.statistic, known.statistic, Changes.none(), found.nearest)
        for view, known, found in zip(views, of_reference, of_samples, strict=True)
    ]


@dataclass(frozen=True)
class _Part:
    """Tells of some of the samples: where they start, how many they are, of how many."""

    progress: Progress
    start: int
    count: int
    total: int

    def report(self, label: str) -> Report:
        """Told how much of them is done."""
        return lambda done, of: self.progress(label, self.start * of + self.count * done, self.total * of)


def _changes(
    views: Sequence[View],
    reference: Reference,
    of_reference: Sequence[Found],
    joining: Float[Tensor, " j *item"],
    forms: Sequence[Callable[[Tensor], Tensor]],
    tell: _Part,
) -> list[Changes]:
    """What changes in each view once each of the joining samples has joined the training set."""
    assert reference.left_out is not None
    changes = []
    for view, known, form in zip(views, of_reference, forms, strict=True):
        report = tell.report(f"{view.name}: exact p-values")
        changes.append(view.changes(form(reference.items), reference.left_out, known, form(joining), report))
    return changes


def _with_changes(scores: Scores, rows: Int[np.ndarray, " r"], changes: Changes) -> Scores:
    """The scores of some samples, with what changes once each of them joins the training set."""
    return Scores(scores.name, scores.sample[rows], scores.reference, changes, scores.nearest[rows])


def _joined(first: PValues, exact: PValues, rows: Int[np.ndarray, " r"]) -> PValues:
    """The exact p-values, which are those of these samples, and the first ones of the others."""
    p = first.p.copy()
    count = first.count.copy()
    view = first.view.copy()
    ranks = first.ranks.copy()
    p[rows] = exact.p
    count[rows] = exact.count
    view[rows] = exact.view
    ranks[:, rows] = exact.ranks
    return PValues(p, count, view, ranks, first.names, first.n_reference)
