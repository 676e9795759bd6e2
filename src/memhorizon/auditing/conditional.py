"""p-values that are valid for the reference items that were drawn, not only on average over their draw."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from memhorizon.auditing.statistics import PValues
from memhorizon.checks import check_kind, check_number, check_whole


@dataclass(frozen=True, eq=False, repr=False)
class ConditionalPValues:
    """p-values that hold, with some confidence, for these very reference items.

    Attributes:
        p: at least as large as the marginal p-values that they were made of. [m]
        n_reference: how many reference items there are.
        confidence: probability, over the draw of the reference items, that P(p <= a | they) <= a at every a.
    """

    p: Float64[np.ndarray, " m"]
    n_reference: int
    confidence: float

    @property
    def resolution(self) -> float:
        """The smallest value that is possible."""
        return float(simes_values(self.n_reference, confidence=self.confidence)[0])

    @property
    def sentence(self) -> str:
        """What these p-values promise."""
        return (
            f"With {100 * self.confidence:g} % confidence over the draw of the {self.n_reference:,} "
            "reference items, an honest sample has a p-value of at most a with probability at most a, for "
            "every a, in this audit and not only on average over audits."
        )

    def __repr__(self) -> str:
        return f"ConditionalPValues({len(self.p)} samples, confidence {self.confidence:g})"


def conditional_p_values(p_values: PValues, *, confidence: float = 0.95) -> ConditionalPValues:
    """Adjust conformal p-values so that they hold for the reference items that were drawn.

    A marginal p-value of c / (R + 1) becomes b_c of `simes_values`. The proof needs reference statistics that
    are independent draws, as those of held-out items in one view are. Leave-one-out statistics of training
    items depend on one another, as do combined ranks; for these the coverage is measured
    (docs/audit-statistics.md).

    Raises:
        InputError: if the confidence is outside of (0, 1).

    Source: [bates2023] Sec. 3
    """
    check_kind("p_values", p_values, PValues)
    values = simes_values(p_values.n_reference, confidence=confidence)
    return ConditionalPValues(values[p_values.count - 1], p_values.n_reference, confidence)


def simes_values(n_reference: int, *, confidence: float = 0.95) -> Float64[np.ndarray, " n"]:
    """The values b_1 <= ... <= b_(R+1) = 1 that c / (R + 1) is replaced by, c = 1, ..., R + 1.

    With R uniform order statistics U_(c), P(U_(c) <= b_c for all c) >= 1 - delta, by the inequality of Simes.

    Raises:
        InputError: if there is no reference item or the confidence is outside of (0, 1).

    Source: [bates2023] Sec. 3
    """
    R = check_whole("n_reference", n_reference, least=1)
    delta = 1 - check_number("confidence", confidence, above=0, below=1)
    k = max(1, R // 2)
    # b_(R+1-i) = 1 - [delta i (i-1)...(i-k+1) / (R ...(R-k+1))]^(1/k), in logarithms; 1 for i < k
    logs = np.log(np.arange(1, R + 1))
    totals = np.concatenate([[0.0], np.cumsum(logs)])
    products = totals[k:] - totals[:-k]  # of i = k, ..., R
    a = np.exp((np.log(delta) + products - products[-1]) / k)
    b = np.ones(R + 1)
    b[: len(a)] = 1 - a[::-1]
    return b
