"""Answers that are kept apart from copies: leaning towards the training set, and what no audit says."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Int64

from memhorizon.checks import check_kind, check_number, check_whole
from memhorizon.errors import InputError

MEMBERSHIP = (
    "Passing this audit says nothing about membership: whether somebody's data were used in training may be "
    "found out from samples of which none is a copy, and the absence of copies does not make a model or its "
    "samples anonymous (arXiv:2505.01524; EDPB Opinion 28/2024)."
)


@dataclass(frozen=True)
class Leaning:
    """How much the samples lean towards the training set.

    Attributes:
        share: of the samples whose nearest record is one of the training set; 1/2 without leaning if as many
            held-out as training records were offered.
        expected: the share without leaning: that of the training set among the records.
        low: lower end of the interval of shares without leaning, from exchanging the labels of the records.
        high: upper end.
        p: two-sided p-value of the hypothesis that training and held-out records are exchangeable.
        deviation: standard deviation of the share without leaning.
        n_records: records of both kinds.
        n_samples: samples.
        n_permutations: exchanges of labels that were drawn.
        confidence: of the interval.
    """

    share: float
    expected: float
    low: float
    high: float
    p: float
    deviation: float
    n_records: int
    n_samples: int
    n_permutations: int
    confidence: float

    def __str__(self) -> str:
        return f"{self.share:.3f}, without leaning [{self.low:.3f}, {self.high:.3f}] (p = {self.p:.2g})"


def leaning(
    counts: Int[np.ndarray, " records"],
    is_train: Bool[np.ndarray, " labels"],
    *,
    generator: np.random.Generator,
    n_permutations: int = 9_999,
    confidence: float = 0.95,
) -> Leaning:
    """The share of samples nearer to the training set than to held-out records, against exchanged labels.

    c_u samples have record u as their nearest one of all records, training and held-out. Without leaning the
    labels of the records are exchangeable given the counts, whatever attracts samples to a record: so hubs
    cost no validity, where a binomial test, which takes the samples for independent, fails.

    Args:
        counts: how many samples are nearest to each record. [records]
        is_train: whether a record is one of the training set. As many of either kind are best. [records]
        generator: draws the exchanges.
        n_permutations: how many.
        confidence: of the interval without leaning.

    Raises:
        InputError: if lengths differ, a count is negative, all are zero, or one of both kinds is missing.

    Source: [phipson2010]
    """
    check_kind("generator", generator, np.random.Generator)
    check_whole("n_permutations", n_permutations, least=1)
    tail = (1 - check_number("confidence", confidence, above=0, below=1)) / 2
    _check_records(counts, is_train)
    m = int(counts.sum())
    n_records = len(counts)
    n_train = int(is_train.sum())
    nearer = int(counts[is_train].sum())
    drawn = _exchanged(counts, n_train, n_permutations, generator)
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf") / m
    return Leaning(
        share=nearer / m,
        expected=n_train / n_records,
        low=float(low),
        high=float(high),
        # |T/m - n_train/n_records| in whole numbers, where equal ones are equal
        p=_p_value(abs(n_records * nearer - n_train * m), np.abs(n_records * drawn - n_train * m)),
        deviation=_deviation(counts, n_train),
        n_records=n_records,
        n_samples=m,
        n_permutations=n_permutations,
        confidence=confidence,
    )


def _exchanged(
    counts: Int[np.ndarray, " records"], n_train: int, n_permutations: int, generator: np.random.Generator
) -> Int64[np.ndarray, " permutations"]:
    """How many samples are nearest to records with the label of the training set, labels exchanged.

    Records of equal counts are alike: how many of each kind get the label is multivariate hypergeometric.
    """
    values, sizes = np.unique(counts, return_counts=True)
    labelled = generator.multivariate_hypergeometric(sizes, n_train, size=n_permutations, method="marginals")
    return labelled @ values.astype(np.int64)


def _p_value(distance: int, drawn: Int64[np.ndarray, " permutations"]) -> float:
    """Share of exchanges that are at least as far out; the labels as they are count as one of them."""
    return float(1 + np.sum(drawn >= distance)) / (1 + len(drawn))


def _deviation(counts: Int[np.ndarray, " records"], n_train: int) -> float:
    """The standard deviation of the share over all exchanges; of many records sqrt(sum c_u^2) / (2 m)."""
    c = counts.astype(np.float64)
    N = len(c)
    # Var T = n_train n_holdout / (N (N - 1)) sum_u (c_u - mean)^2
    variance = n_train * (N - n_train) / (N * (N - 1)) * np.sum((c - c.mean()) ** 2)
    return float(np.sqrt(variance) / c.sum())


def _check_records(counts: Int[np.ndarray, " records"], is_train: Bool[np.ndarray, " labels"]) -> None:
    _check_counts(counts)
    _check_truth_values(is_train, len(counts))
    _check_both_kinds(is_train)


def _check_counts(counts: Int[np.ndarray, " records"]) -> None:
    if not _are_counts(counts):
        raise InputError(
            f"counts: expected whole numbers from 0, not all 0, got {counts.dtype} of shape {counts.shape}"
        )


def _are_counts(counts: np.ndarray) -> bool:
    if counts.ndim != 1 or counts.dtype.kind not in "iu":
        return False
    return bool((counts >= 0).all() and counts.any())


def _check_truth_values(is_train: Bool[np.ndarray, " labels"], count: int) -> None:
    if is_train.shape != (count,) or is_train.dtype != bool:
        raise InputError(
            f"is_train: expected {count} truth values, got {is_train.dtype} of shape {is_train.shape}"
        )


def _check_both_kinds(is_train: Bool[np.ndarray, " labels"]) -> None:
    count = len(is_train)
    n_train = int(is_train.sum())
    if not 0 < n_train < count:
        raise InputError(
            f"is_train: expected records of both kinds, got {n_train} of the training set among {count}"
        )
