"""p-values of samples against the training set, exact under exchangeability, and which samples are copies."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from memhorizon.auditing.ranks import AugmentedRanks, combined_counts
from memhorizon.auditing.scores import Scores
from memhorizon.checks import check_kind, check_number, check_whole
from memhorizon.errors import InputError
from memhorizon.results import ROUNDING, Fraction

_CHANGES = 2**20  # of the statistics of reference items that are held at once


@dataclass(frozen=True, eq=False, repr=False)
class PValues:
    """A conformal p-value for every sample.

    Attributes:
        p: count / (n_reference + 1). [m]
        count: how many of the reference items and the sample itself show at least as much evidence. [m]
        view: index of the view in which the sample has its smallest rank; of equal ranks, the first. [m]
        ranks: rank of every sample in every view among the reference items and itself, ties counted against
            it; ranks / (n_reference + 1) is the p-value of one view alone. [n_views, m]
        names: of the views.
        n_reference: how many reference items there are.
    """

    p: Float64[np.ndarray, " m"]
    count: Int64[np.ndarray, " m"]
    view: Int64[np.ndarray, " m"]
    ranks: Int64[np.ndarray, "n_views m"]
    names: tuple[str, ...]
    n_reference: int

    @property
    def resolution(self) -> float:
        """The smallest p-value that is possible."""
        return 1 / (self.n_reference + 1)

    def __repr__(self) -> str:
        return f"PValues({len(self.p)} samples, {len(self.names)} views, resolution {self.resolution:.3g})"


def conformal_p_values(views: Sequence[Scores]) -> PValues:
    """The full-conformal p-value of every sample, views combined by the smallest rank and calibrated again.

    For sample y_j let S_j be the reference items together with y_j, their statistics those of the training
    set that y_j has joined. With r_v(z) = #{z' in S_j : s_v(z') <= s_v(z)} in view v = 0, ..., V - 1 and
    c(z) = min_v (V r_v(z) + v), the smallest rank, of equal ranks the first view,

        p_j = #{z in S_j : c(z) <= c(y_j)} / (R + 1).

    P(p_j <= a) <= a for every a if y_j and the reference items are exchangeable given the rest of the
    training set: whatever the views are, for c treats all of S_j alike. Statistics of held-out items may be
    the reference as well, with no changes: then p_j = (1 + #{h : c(h) <= c(y_j)}) / (R + 1).

    Raises:
        InputError: if there is no view, two have one name, or they are of different samples or reference
            items.

    Source: [bates2023] Sec. 2
    """
    _check_views(views)
    parts = [_of_part([scores.part(*rows) for scores in views]) for rows in _parts(views)]
    counts, ranks = zip(*parts, strict=True)
    count = np.concatenate(counts)
    of_view = np.concatenate(ranks, axis=1)
    R = len(views[0].reference)
    names = tuple(scores.name for scores in views)
    return PValues(count / (R + 1), count, of_view.argmin(axis=0), of_view, names, R)


def _of_part(views: Sequence[Scores]) -> tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, "n_views m"]]:
    """The counts and the ranks of some samples."""
    ranks = [AugmentedRanks(scores) for scores in views]
    of_view = np.stack([own.of_samples() for own in ranks])
    least = of_view.min(axis=0)
    if len(views) == 1:  # the items of at most its rank are as many as its rank says
        return least, of_view
    # c(z) <= c(y_j) if r_v(z) is at most the smallest rank of y_j, and below it in views after that of y_j
    later = np.arange(len(views))[:, None] > of_view.argmin(axis=0)
    return combined_counts(views, ranks, least - later), of_view


def _parts(views: Sequence[Scores]) -> Iterator[tuple[int, int]]:
    """Samples in parts with at most so many changes as the memory bears: first and behind the last."""
    m = len(views[0].sample)
    rows = np.concatenate([scores.changes.row for scores in views])
    start = 0
    total = 0
    for row, size in enumerate(np.bincount(rows, minlength=m)):
        if row > start and total + size > _CHANGES:
            yield start, row
            start = row
            total = 0
        total += size
    yield start, m


def _check_views(views: Sequence[Scores]) -> None:
    if not views:
        raise InputError("views: expected at least one, got none")
    for own in views:
        check_kind("views", own, Scores)
    _check_names([own.name for own in views])
    _check_sizes([(len(own.sample), len(own.reference)) for own in views])


def _check_names(names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise InputError(f"views: expected different names, got {names}")


def _check_sizes(sizes: list[tuple[int, int]]) -> None:
    if len(set(sizes)) > 1:
        raise InputError(f"views: expected the same samples and reference items in all, got {sizes}")


@dataclass(frozen=True, eq=False, repr=False)
class Discoveries:
    """Which samples are called copies at a false-discovery rate.

    Attributes:
        q: the smallest rate at which each sample is called a copy. [m]
        rejected: whether it is called one: the hypothesis that it is an honest sample is rejected. [m]
        rate: the false-discovery rate.
    """

    q: Float64[np.ndarray, " m"]
    rejected: Bool[np.ndarray, " m"]
    rate: float

    @property
    def copied(self) -> Fraction:
        """The share of the samples that are called copies."""
        return Fraction.of(int(self.rejected.sum()), len(self.rejected))

    def __repr__(self) -> str:
        return f"Discoveries({int(self.rejected.sum())} of {len(self.rejected)} samples, rate {self.rate:g})"


def benjamini_hochberg(p: Float[np.ndarray, " m"], rate: float) -> Discoveries:
    """Call copies at a false-discovery rate, by the procedure of Benjamini and Hochberg.

    With p_(1) <= ... <= p_(m), q_(k) = min over l >= k of m p_(l) / l, and a sample is called a copy if its q
    is at most `rate`. The rate holds for p-values of held-out items in one view, which are positively
    dependent; for full-conformal p-values and combined views it is measured, not proven: `evalues` has the
    procedure with a proof.

    Args:
        p: p-values, within 0 to 1. [m]
        rate: expected share of honest samples among those that are called copies, within (0, 1).

    Raises:
        InputError: if there is no p-value, one is outside of 0 to 1, or the rate is.

    Source: [benjamini1995] Eq. (1)
    """
    from scipy import stats  # half a second that the theory does not need

    check_rate(rate)
    p = check_p_values(p)
    q = stats.false_discovery_control(p)
    # q is a quotient of whole numbers: one that is the rate must not miss it by its last bit
    return Discoveries(q, q <= rate * (1 + ROUNDING), rate)


def smallest_reportable(m: int, resolution: float, rate: float) -> int | None:
    """The smallest number of copies that an audit can report: its k p-values are the smallest possible ones.

    They are rejected if m * resolution / k <= rate.

    Args:
        m: how many samples there are.
        resolution: the smallest possible p-value.
        rate: the false-discovery rate.

    Returns:
        The number k, or None where not even m copies of m samples could be reported.

    Raises:
        InputError: if `m` is no whole number from 1, `resolution` is outside of (0, 1] or `rate` of (0, 1).

    >>> smallest_reportable(1000, 1 / 501, 0.05)
    40
    """
    check_whole("m", m, least=1)
    check_number("resolution", resolution, above=0, most=1)
    check_rate(rate)
    k = max(1, math.ceil(m * resolution / rate * (1 - ROUNDING)))
    return k if k <= m else None


def check_rate(rate: float) -> float:
    """Return a false-discovery rate if it is one.

    Raises:
        InputError: if it is not within (0, 1).
    """
    return check_number("rate", rate, above=0, below=1)


def check_p_values(p: object) -> Float64[np.ndarray, " m"]:
    """Return p-values as float64.

    Raises:
        InputError: if they are no vector of at least one number within 0 to 1.
    """
    values = np.asarray(p)
    _check_vector(values)
    _check_range(values)
    return values.astype(np.float64)


def _check_vector(values: np.ndarray) -> None:
    if values.dtype.kind not in "fiu" or values.ndim != 1 or not len(values):
        raise InputError(f"p: expected a vector of numbers, got {values.dtype} of shape {values.shape}")


def _check_range(values: np.ndarray) -> None:
    good = (values >= 0) & (values <= 1)
    if not good.all():
        where = good.argmin()
        raise InputError(f"p: expected numbers from 0 to 1, got {values[where]} at {where}")
