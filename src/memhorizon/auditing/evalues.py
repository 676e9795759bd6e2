"""Copies with a guaranteed false-discovery rate: e-values of conformal p-values and the e-BH procedure."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from memhorizon.auditing.statistics import PValues, check_rate
from memhorizon.checks import check_kind
from memhorizon.errors import InputError
from memhorizon.results import ROUNDING


@dataclass(frozen=True, eq=False, repr=False)
class Guaranteed:
    """The samples that are called copies with a proof, however the samples depend on one another.

    Attributes:
        e: an e-value for every sample: its mean is at most 1 if the sample is honest. [m]
        rejected: whether the sample is called a copy. [m]
        rate: the false-discovery rate.
        smallest_reportable: the smallest number of copies that could have been called so; None if none could.
    """

    e: Float64[np.ndarray, " m"]
    rejected: Bool[np.ndarray, " m"]
    rate: float
    smallest_reportable: int | None

    def __repr__(self) -> str:
        return f"Guaranteed({int(self.rejected.sum())} of {len(self.rejected)} samples, rate {self.rate:g})"


def guaranteed_copies(p_values: PValues, rate: float) -> Guaranteed:
    """Call copies by e-BH on e-values of full-conformal p-values: E[false share] <= rate, always.

    The e-values of `conformal_e_values` need nothing but P(p_j <= a) <= a for each honest sample alone, and
    e-BH holds under any dependence between them. What it costs: a copy must show a p-value that is smaller by
    the factor h than Benjamini and Hochberg ask for.

    Raises:
        InputError: if the rate is outside of (0, 1).

    Source: [wang2022]
    """
    e = conformal_e_values(p_values, rate)
    R = p_values.n_reference
    # k copies of the smallest p-value are called so if k * largest >= m / rate
    largest = (R + 1) / _harmonic(_cutoff(R, rate))
    smallest = math.ceil(len(e) / (rate * largest) * (1 - ROUNDING))
    return Guaranteed(e, e_benjamini_hochberg(e, rate), rate, smallest if smallest <= len(e) else None)


def conformal_e_values(p_values: PValues, rate: float) -> Float64[np.ndarray, " m"]:
    """e-values of conformal p-values, valid for scores that change with the sample.

    With ranks c_j = (R + 1) p_j,

        e_j = (R + 1) / (h c_j) if c_j <= c_max, else 0,    h = 1 + 1/2 + ... + 1/c_max.

    E[e_j] <= 1 for an honest sample, since P(c_j <= c) <= c / (R + 1) and e falls with c: the largest mean is
    that of uniform ranks, (1 / (R + 1)) sum over c <= c_max of (R + 1) / (h c) = 1. c_max is fixed before
    the samples are seen: the largest rank with which all samples at once would be rejected,
    h c_max <= rate (R + 1).

    A full-conformal e-value with a threshold learned from the other samples ([lee2025], [bashari2023]) is
    larger, but needs scores that treat reference items and samples alike: the score of another sample would
    have to be taken within the training set that y_j has joined, distances between samples included. Ours are
    not; with these e-values nothing depends on it.

    Raises:
        InputError: if the rate is outside of (0, 1).

    Source: [wang2022]
    """
    check_kind("p_values", p_values, PValues)
    check_rate(rate)
    R = p_values.n_reference
    cutoff = _cutoff(R, rate)
    e = (R + 1) / (_harmonic(cutoff) * p_values.count)
    return np.where(p_values.count <= cutoff, e, 0.0)


def e_benjamini_hochberg(e: Float64[np.ndarray, " m"], rate: float) -> Bool[np.ndarray, " m"]:
    """Reject the k hypotheses of the largest e-values, k the largest number with k e_(k) >= m / rate.

    Args:
        e: an e-value for every hypothesis, 0 or above. [m]
        rate: the false-discovery rate.

    Raises:
        InputError: if there is no e-value, one is negative or NaN, or the rate is outside of (0, 1).

    Source: [wang2022]
    """
    check_rate(rate)
    if e.ndim != 1 or not len(e) or not (e >= 0).all():
        raise InputError(f"e: expected a vector of numbers from 0, got shape {e.shape}")
    return e >= _least_rejected(e, rate)


def _least_rejected(e: Float64[np.ndarray, " m"], rate: float) -> float:
    """The smallest e-value that is rejected, e_(k) of the largest k; infinity where none is."""
    falling = np.sort(e)[::-1]
    k = np.arange(1, len(e) + 1)
    enough = np.flatnonzero(k * falling * rate >= len(e) * (1 - ROUNDING))
    return float(falling[enough[-1]]) if len(enough) else np.inf


def _cutoff(R: int, rate: float) -> int:
    """The largest rank c with c (1 + 1/2 + ... + 1/c) <= rate (R + 1), and 1 if there is none."""
    ranks = np.arange(1, R + 2)
    needed = ranks * np.cumsum(1 / ranks)
    return max(1, int(np.searchsorted(needed, rate * (R + 1) * (1 + ROUNDING), side="right")))


def _harmonic(n: int) -> float:
    return math.fsum(1 / c for c in range(1, n + 1))
