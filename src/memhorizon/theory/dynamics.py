"""Train loss, test loss and score error against training time, in the limit."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class LossCurves:
    """Losses along gradient flow from A = 0.

    Attributes:
        tau: training times, in units of d^2 steps of unit learning rate (tau = steps * rate/d^2). [m]
        L_train: train loss per coordinate, 1 at tau = 0. [m]
        L_test: the same over fresh data. [m]
        L_gen: L_test - L_train. [m]
        E_score: mean square distance to the true score, per coordinate; NaN where `status` says why. [m]
        residual: estimated absolute error of the losses; None where they come from a finite network. [m]
        status: "solved", or what limits the numbers.
    """

    tau: Float[np.ndarray, " m"]
    L_train: Float[np.ndarray, " m"]
    L_test: Float[np.ndarray, " m"]
    L_gen: Float[np.ndarray, " m"]
    E_score: Float[np.ndarray, " m"]
    residual: Float[np.ndarray, " m"] | None = None
    status: str = "solved"
