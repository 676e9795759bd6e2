"""The test for the stop: an e-process against "the share of copies was at most q0 at every look".

Looks are of a network that changes, so there is no one proportion. What is tested is a whole path,

    H0: f_k <= q0 at every look k = 1, 2, ...,

where f_k is the probability that a fresh sample at look k is called a copy. Honest samples are called copies
too, with a small probability pi (the null), so "a share p0 of copies" is f = p0 + (1 - p0) pi =: q0.

For X of m samples called copies, and an alternative q1 > q0, the likelihood ratio

    L(q1) = (q1/q0)^X ((1 - q1)/(1 - q0))^(m - X)

grows with X, so under any f <= q0 its mean is at most that at q0, which is 1. The product over looks is then
a supermartingale that starts at 1: an e-process. One product that begins at the first look forgets nothing:
a long honest start weighs against copies that come later. So products that begin at each look s are mixed,
with weights v_s = 1/(s (s + 1)) that sum to 1, and over alternatives q1 with equal weights w_j:

    E_k = sum_j w_j sum_{s <= k} v_s prod_{i = s..k} L_i(q1_j) + 1/(k + 1),

the last term for the products that have not begun. By Ville's inequality P(E_k >= 1/alpha at any k) <= alpha
under H0, whatever the path, the sizes of the looks and when the training is ended, as long as the size of a
look does not follow from the samples of this look. Each look draws samples of new seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from memhorizon.checks import check_number, check_whole
from memhorizon.errors import InputError

ALTERNATIVES = (2.0, 3.0, 5.0, 10.0, 20.0, 50.0)  # multiples of q0; those of 1 or more are left out
LARGEST = 0.95  # of the alternatives


def allowed_share(target: float, null: float) -> float:
    """Give the share of samples that are called copies where a share `target` is copies: q0.

    >>> allowed_share(0.01, 0.0)
    0.01

    Raises:
        InputError: if either is no share.
    """
    check_number("target", target, above=0, below=1)
    check_number("null", null, least=0, below=1)
    # copies, and those honest samples that are called so
    return target + (1 - target) * null


def alternatives(q0: float) -> Float64[np.ndarray, " J"]:
    """Give the shares above q0 that are bet on: multiples of q0, and the largest."""
    multiples = [factor * q0 for factor in ALTERNATIVES if factor * q0 < LARGEST]
    return np.array([*multiples, (1 + q0) / 2 if q0 >= LARGEST else LARGEST])


@dataclass(frozen=True)
class EProcess:
    """The state of the test after some looks.

    Attributes:
        q0: largest share of samples called copies that is fine.
        alpha: probability of a false stop.
        looks: number of looks so far.
        log_products: for each alternative, the log of sum_s v_s prod_{i >= s} L_i; -infinity at first.
        largest: of log E_k so far.
    """

    q0: float
    alpha: float
    looks: int = 0
    log_products: tuple[float, ...] = ()
    largest: float = 0.0

    def __post_init__(self) -> None:
        check_number("q0", self.q0, above=0, below=1)
        check_number("alpha", self.alpha, above=0, below=1)
        check_whole("looks", self.looks, least=0)
        size = len(alternatives(self.q0))
        if not self.log_products:
            object.__setattr__(self, "log_products", (-math.inf,) * size)
        if len(self.log_products) != size:
            raise InputError(f"log_products: expected {size} numbers, got {len(self.log_products)}")

    def after(self, copies: int, total: int) -> "EProcess":
        """Take one more look into account.

        Args:
            copies: samples of this look that are called copies.
            total: samples of this look.

        Raises:
            InputError: if these are no counts.

        Source: [ville1939]; [shin2024]
        """
        check_whole("total", total, least=1)
        check_whole("copies", copies, least=0, most=total)
        looks = self.looks + 1
        log_v = -math.log(looks * (looks + 1))
        # R_k = (R_{k-1} + v_k) L_k, one for each alternative
        begun = np.logaddexp(np.array(self.log_products), log_v)
        products = begun + log_ratio(copies, total, self.q0)
        now = replace(self, looks=looks, log_products=tuple(products.tolist()))
        return replace(now, largest=max(self.largest, now.log_e))

    @property
    def log_e(self) -> float:
        """The logarithm of E_k: the evidence that at some look the share was above q0."""
        products = np.array(self.log_products)
        # E_k = mean_j R_j + 1/(k + 1)
        mixed = np.logaddexp.reduce(products) - math.log(len(products))
        return float(np.logaddexp(mixed, -math.log(self.looks + 1)))

    @property
    def crossed(self) -> bool:
        """Whether E reached 1/alpha at any look: the hypothesis is rejected."""
        return self.largest >= -math.log(self.alpha)


def log_ratio(copies: int, total: int, q0: float) -> Float64[np.ndarray, " J"]:
    """Give the log likelihood ratio of each alternative to q0 for `copies` of `total`."""
    q1 = alternatives(q0)
    gains = copies * np.log(q1 / q0)
    losses = (total - copies) * np.log((1 - q1) / (1 - q0))
    return gains + losses


def run_test(copies: Sequence[int], totals: Sequence[int], *, q0: float, alpha: float) -> int | None:
    """Give the first look (from 0) at which the test stops; None where it does not.

    Args:
        copies: samples called copies at each look.
        totals: samples of each look.
        q0: largest share that is fine.
        alpha: probability of a false stop.
    """
    state = EProcess(q0, alpha)
    for look, (count, total) in enumerate(zip(copies, totals, strict=True)):
        state = state.after(count, total)
        if state.crossed:
            return look
    return None
