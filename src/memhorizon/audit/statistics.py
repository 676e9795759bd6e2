"""p-values of samples against the training set, exact under exchangeability."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from memhorizon.audit.ranks import AugmentedRanks, combined_counts
from memhorizon.audit.scores import Scores
from memhorizon.checks import check_kind
from memhorizon.errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class PValues:
    """A conformal p-value for every sample.

    Attributes:
        p: count / (n_reference + 1). [m]
        count: how many of the reference items and the sample itself show at least as much evidence. [m]
        view: index of the view in which the sample has its smallest rank; of equal ones, the first. [m]
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
    set that y_j has joined. With r_v(z) = #{z' in S_j : s_v(z') <= s_v(z)} and c(z) = min_v r_v(z),

        p_j = #{z in S_j : c(z) <= c(y_j)} / (R + 1).

    P(p_j <= a) <= a for every a if y_j and the reference items are exchangeable given the rest of the
    training set: whatever the views are, for c treats all of S_j alike. Statistics of held-out items may be
    the reference as well, with no changes: then p_j = (1 + #{h : c(h) <= c(y_j)}) / (R + 1).

    Raises:
        InputError: if there is no view, two have one name, or they are of different samples or reference
            items.

    Source: [bates2023] Eq. (3)
    """
    _check_views(views)
    scores = list(views)
    ranks = [AugmentedRanks(own) for own in scores]
    of_view = np.stack([own.of_samples() for own in ranks])  # [n_views, m]
    least = of_view.min(axis=0)
    # of one view, the items of at most the rank of the sample are as many as its rank says
    count = least if len(scores) == 1 else combined_counts(scores, ranks, least)
    R = len(scores[0].reference)
    names = tuple(own.name for own in scores)
    return PValues(count / (R + 1), count, of_view.argmin(axis=0), of_view, names, R)


def _check_views(views: Sequence[Scores]) -> None:
    if not views:
        raise InputError("views: expected at least one, got none")
    for own in views:
        check_kind("views", own, Scores)
    names = [own.name for own in views]
    if len(set(names)) < len(names):
        raise InputError(f"views: expected different names, got {names}")
    sizes = [(len(own.sample), len(own.reference)) for own in views]
    if len(set(sizes)) > 1:
        raise InputError(f"views: expected the same samples and reference items in all, got {sizes}")
