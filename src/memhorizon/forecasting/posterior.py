"""The forecast as a mixture of normals over what the scatter and the misfit of the law may be.

Each structure is weighted by its belief and by the density of the pilots' times under it. Taken in the order
of n that density is the product of the densities with which each size is forecast from the smaller ones: a
structure counts for as much as it forecast well what was left out.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from memhorizon.forecasting.conditioning import Conditional, LogTimes, condition
from memhorizon.forecasting.design import Design
from memhorizon.forecasting.gaussian import Structure, boards
from memhorizon.forecasting.priors import BENDS, SCATTER, STEPS_OFF

SCATTERS = np.geomspace(0.02, 0.6, 7)
MISFITS = np.geomspace(0.02, 0.8, 6)
LIGHTEST = 1e-7  # weight below which a component is left out
WIDEST = 8.0  # standard deviations on both sides of a component within which a quantile lies
HALVINGS = 45


@dataclass(frozen=True)
class Posterior:
    """What is known of the questions of a design: a mixture of normals.

    Attributes:
        weights: of the components, sum 1. [c]
        means: of the noiseless log times, then of the exponents. [c, q]
        sd: [c, q]
        scatter: of log time between seeds, in each component. [c]
    """

    weights: Float[np.ndarray, " c"]
    means: Float[np.ndarray, "c q"]
    sd: Float[np.ndarray, "c q"]
    scatter: Float[np.ndarray, " c"]

    def quantile(self, question: int, share: float, *, of_a_run: bool = True) -> float:
        """Below which a log time lies with this probability.

        Args:
            question: which.
            share: the probability.
            of_a_run: of one more run, with its scatter; else of the law, or of an exponent.
        """
        means = self.means[:, question]
        noise = self.scatter**2 if of_a_run else 0.0
        sd = np.sqrt(self.sd[:, question] ** 2 + noise + np.finfo(float).tiny)
        low = float(np.min(means - WIDEST * sd))
        high = float(np.max(means + WIDEST * sd))
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = float(self.weights @ ndtr((middle - means) / sd)) < share
            low, high = (middle, high) if below else (low, middle)
        return (low + high) / 2


def posterior(design: Design, times: LogTimes) -> Posterior:
    """What the pilots' times say of what is asked."""
    believed = structures()
    scatters = np.array([structure.scatter for structure, _ in believed])
    found = condition(boards(design, [structure for structure, _ in believed]), times, scatters)
    logs = np.array([log for _, log in believed]) + found.log_evidence
    shares = np.exp(logs - np.logaddexp.reduce(logs))
    return _mixture(found, shares, scatters)


@cache
def structures() -> list[tuple[Structure, float]]:
    """Every structure with its log belief; the two kinds of misfit are believed alike."""
    scatter = list(zip(SCATTERS, SCATTER.weights(SCATTERS), strict=True))
    kinds = [
        (bends, misfit, log)
        for bends, belief in ((False, STEPS_OFF), (True, BENDS))
        for misfit, log in zip(MISFITS, belief.weights(MISFITS), strict=True)
    ]
    return [
        (Structure(float(s), float(misfit), bends), float(log_s + log))
        for (s, log_s), (bends, misfit, log) in product(scatter, kinds)
    ]


def _mixture(
    found: Conditional, shares: Float[np.ndarray, " g"], scatters: Float[np.ndarray, " g"]
) -> Posterior:
    """All components that weigh anything, in one table."""
    weights = shares[:, None] * found.weights
    structure, draw = np.nonzero(weights > LIGHTEST)
    kept = weights[structure, draw]
    return Posterior(
        kept / np.sum(kept), found.means[structure, draw], found.sd[structure], scatters[structure]
    )
