"""The certificate of a checkpoint: an upper limit of the share of its samples that are copies.

The checkpoint is chosen among K looks with the help of what was seen there, so each of the K limits has
the level (1 - confidence)/K: all of them hold together with the confidence, whichever is chosen
(Bonferroni). K is fixed before the training, not counted after it. What is limited is the share of samples
that are *called* copies; it includes honest ones that are called so, so no null has to be known.
"""

import math
from collections.abc import Callable

from memhorizon.checks import check_number, check_whole
from memhorizon.errors import InputError

MOST_SAMPLES = 100_000  # that `samples_needed` looks for


def upper_limit(copies: int, total: int, *, confidence: float, candidates: int = 1) -> float:
    """Give the one-sided upper limit of a share, at the level (1 - confidence)/candidates.

    The p at which P(X <= copies) is that level, for X binomial.

    Args:
        copies: samples called copies.
        total: samples.
        confidence: that all the limits of the candidates hold.
        candidates: looks among which the checkpoint may be chosen, K.

    Raises:
        InputError: if these are no counts, or no confidence.

    Source: [clopper1934]

    >>> round(upper_limit(0, 528, confidence=0.95, candidates=10), 5)
    0.00998
    """
    from scipy import stats  # half a second that no cheap look needs

    check_whole("total", total, least=1)
    check_whole("copies", copies, least=0, most=total)
    check_number("confidence", confidence, above=0, below=1)
    check_whole("candidates", candidates, least=1)
    if copies == total:
        return 1.0
    level = (1 - confidence) / candidates
    return float(stats.beta.ppf(1 - level, copies + 1, total - copies))


def samples_needed(target: float, *, confidence: float, candidates: int = 1, copies: int = 0) -> int:
    """Give how many samples certify a share of at most `target` if so many of them are called copies.

    >>> [samples_needed(0.01, confidence=0.95, candidates=K) for K in (1, 10, 30)]
    [299, 528, 637]

    Raises:
        InputError: if `target` is no share, or more than 100,000 samples are needed.
    """
    check_number("target", target, above=0, below=1)

    def certify(total: int) -> bool:
        return upper_limit(copies, total, confidence=confidence, candidates=candidates) <= target

    least = copies + 1
    most = 2 * least
    while not certify(most):
        least = most
        most *= 2
        if most > 2 * MOST_SAMPLES:
            raise InputError(f"target: expected one that {MOST_SAMPLES:,} samples can certify, got {target}")
    return _fewest(certify, least, most)


def _fewest(certify: Callable[[int], bool], least: int, most: int) -> int:
    """The smallest number of samples that certify; the limit falls with their number."""
    while least < most:
        middle = (least + most) // 2
        least, most = (least, middle) if certify(middle) else (middle + 1, most)
    return most


def certified_size(target: float, null: float, *, confidence: float, candidates: int) -> int:
    """Give the size of a certified look: enough for the copies that are to be expected among honest samples.

    With h = ceil(null m) expected false copies the limit is still below the target.

    Args:
        target: of the certificate.
        null: share of honest samples that are called copies.
        confidence: of the certificate.
        candidates: K.
    """
    size = samples_needed(target, confidence=confidence, candidates=candidates)
    for _ in range(20):
        expected = math.ceil(null * size - 0.5)  # rounded
        wanted = samples_needed(target, confidence=confidence, candidates=candidates, copies=expected)
        if wanted <= size:
            break
        size = wanted
    return size
