"""p-values of samples from views: found, ranked, and exact where it matters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from memhorizon.auditing.cache import Cache, Key, cached
from memhorizon.auditing.scores import Changes, Scores
from memhorizon.auditing.statistics import PValues, conformal_p_values
from memhorizon.auditing.views.base import Found, Report, View

SCREEN = 0.1  # p-values up to here are those of the training set that the sample has joined
_TOGETHER = 2000  # items whose statistics are kept in one file of the cache

Progress = Callable[[str, int, int], None]


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
        scores: what they follow from, one for each view.
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
        some = items[start : start + _TOGETHER]
        own = None if left_out is None else left_out[start : start + _TOGETHER]

        def compute(some: Tensor = some, own: Tensor | None = own, start: int = start) -> dict[str, Tensor]:
            found = view.find(some, own, lambda done, _: report(start + done, len(items)))
            arrays = {
                "statistic": torch.from_numpy(found.statistic),
                "nearest": torch.from_numpy(found.nearest),
            }
            return {**arrays, **found.state}

        parts.append(cached(cache, {**key, "view": view.name, "start": start}, compute))
        report(min(start + _TOGETHER, len(items)), len(items))
    joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    statistic = joined.pop("statistic").numpy()
    nearest = joined.pop("nearest").numpy()
    return Found(statistic, nearest, joined)


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
    pairs = list(zip(views, of_reference, of_samples, strict=True))
    first = [_scores(view, known, found, Changes.none()) for view, known, found in pairs]
    p_values = conformal_p_values(first)
    if reference.left_out is None:  # held-out items are searched for in the training set alone
        return Calibrated(p_values, tuple(first))
    rows = np.flatnonzero(p_values.p <= SCREEN)
    if not len(rows):
        return Calibrated(p_values, tuple(first))
    exact = []
    for (view, known, found), form in zip(pairs, forms, strict=True):
        joining = form(samples[torch.from_numpy(rows)])
        changes = view.changes(
            form(reference.items),
            reference.left_out,
            known,
            joining,
            lambda done, total, name=view.name: progress(f"{name}: exact p-values", done, total),
        )
        moved = Changes(rows[changes.row], changes.item, changes.value)
        exact.append(_scores(view, known, found, moved))
    return Calibrated(_joined(p_values, conformal_p_values(exact), rows), tuple(exact))


def _scores(view: View, known: Found, found: Found, changes: Changes) -> Scores:
    return Scores(view.name, found.statistic, known.statistic, changes, found.nearest)


def _joined(first: PValues, exact: PValues, rows: Int[np.ndarray, " r"]) -> PValues:
    """The exact p-values of these samples, the first ones of the others."""
    p = first.p.copy()
    count = first.count.copy()
    view = first.view.copy()
    ranks = first.ranks.copy()
    p[rows] = exact.p[rows]
    count[rows] = exact.count[rows]
    view[rows] = exact.view[rows]
    ranks[:, rows] = exact.ranks[:, rows]
    return PValues(p, count, view, ranks, first.names, first.n_reference)
