"""What is believed of exponents before a pilot is seen: shown with every forecast, and to be changed.

tau_mem ~ n where every item is in each update: the law of the paper. At a batch smaller than n the evidence
lies between the same law in steps (the paper, batch 512) and the same law in passes, which is n^2 in steps
(results/repetition_mixture.json): the middle of the two. Scatter and misfit were chosen by the likelihood of
the mixture sweeps. How well intervals then hold: results/forecasts.json.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from memhorizon.checks import check_number
from memhorizon.errors import InputError


@dataclass(frozen=True)
class Exponent:
    """A normal belief about an exponent.

    Attributes:
        mean: its mean.
        sd: its standard deviation.
    """

    mean: float
    sd: float


STEEPEST = 10.0  # mean of an exponent that may be believed, in magnitude: times stay within float64
SUREST = 1e-6  # standard deviation of it
VAGUEST = 5.0
# The exponents of n where the batch is the whole set, and where it is fixed; of the width; of the rate.
FULL = "n_train (full batch)"
FIXED = "n_train (fixed batch)"
ONLY = "n_train"
BELIEFS: Mapping[str, Mapping[str, Exponent]] = {
    "tau_mem": {
        ONLY: Exponent(1.0, 0.4),
        FULL: Exponent(1.0, 0.3),
        FIXED: Exponent(1.5, 0.5),
        "width": Exponent(-1.0, 0.3),
        "lr": Exponent(-0.5, 0.3),
    },
    "tau_gen": {
        ONLY: Exponent(0.0, 0.3),
        FULL: Exponent(0.0, 0.3),
        FIXED: Exponent(0.0, 0.3),
        "width": Exponent(-1.0, 0.3),
        "lr": Exponent(-0.5, 0.3),
    },
}


@dataclass(frozen=True)
class Spread:
    """A log-normal belief about a positive number.

    Attributes:
        median: its median.
        log_sd: standard deviation of its logarithm.
    """

    median: float
    log_sd: float

    def weights(self, values: Float[np.ndarray, " v"]) -> Float[np.ndarray, " v"]:
        """Its density at some values, as log weights that sum to 1."""
        z = (np.log(values) - np.log(self.median)) / self.log_sd
        return -(z**2) / 2 - np.log(np.sum(np.exp(-(z**2) / 2)))


SCATTER = Spread(0.08, 0.5)  # of log time between seeds
STEPS_OFF = Spread(0.15, 1.0)  # misfit of the law per doubling, as a random walk
BENDS = Spread(0.2, 1.0)  # change of its slope per doubling, as a random walk: log time per doubling


def beliefs(timescale: str, exponent: tuple[float, float] | None) -> dict[str, Exponent]:
    """The beliefs of a timescale, with another one of the exponent of n where it is given.

    Raises:
        InputError: if the given one is no pair of a number from -10 to 10 and one from 1e-6 to 5.
    """
    known = dict(BELIEFS[timescale])
    if exponent is None or timescale != "tau_mem":
        return known
    if not isinstance(exponent, tuple | list) or len(exponent) != 2:
        raise InputError(f"exponent: expected a mean and a standard deviation, got {exponent!r:.60}")
    mean = check_number("exponent[0]", exponent[0], least=-STEEPEST, most=STEEPEST)
    sd = check_number("exponent[1]", exponent[1], least=SUREST, most=VAGUEST)
    return known | dict.fromkeys((ONLY, FULL, FIXED), Exponent(mean, sd))
