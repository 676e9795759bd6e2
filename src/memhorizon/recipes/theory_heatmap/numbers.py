"""Maps of the generalization gap over (psi_n, psi_p) at several training times, in the limit (figure 5 C)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float

from memhorizon.theory import FeatureModel, LossCurves, loss_curves

TIMES = (1e2, 1e3, 1e4, 1e5, np.inf)  # training times


@dataclass(frozen=True)
class Sizes:
    """How much is computed.

    Attributes:
        diffusion_times: a line of maps each.
        points: of each axis.
    """

    diffusion_times: tuple[float, ...]
    points: int


HERE = Sizes((0.01, 0.1), 40)
TINY = Sizes((0.1,), 3)


@dataclass(frozen=True, kw_only=True)
class Row:
    """The maps of one training time and one diffusion time."""

    tau: Annotated[float, "training time, steps * learning rate/d^2"]
    t: Annotated[float, "diffusion time"]
    psi_n: Annotated[Float[np.ndarray, " n"], "n/d: grid, first axis"]
    psi_p: Annotated[Float[np.ndarray, " p"], "p/d: grid, second axis"]
    L_gen: Annotated[Float[np.ndarray, "n p"], "test loss minus train loss [psi_n][psi_p]"]
    E_score: Annotated[
        Float[np.ndarray, "n p"], "mean square distance to the true score, per coordinate [psi_n][psi_p]"
    ]
    unsolved: Annotated[int, "number of grid points whose status is not 'solved'"]


ROWS = (Row,)


def grid(points: int) -> Float[np.ndarray, " points"]:
    """The values of psi_n, and of psi_p."""
    return np.geomspace(0.5, 128, points)


def rows_of(t: float, points: int) -> list[Row]:
    """The maps of all training times at one diffusion time."""
    psi = grid(points)
    curves = [loss_curves(FeatureModel(n, p, t), TIMES) for n in psi for p in psi]
    gap = square([curve.L_gen for curve in curves], points)
    error = square([curve.E_score for curve in curves], points)
    return [
        Row(
            tau=tau,
            t=t,
            psi_n=psi,
            psi_p=psi,
            L_gen=gap[:, :, i],
            E_score=error[:, :, i],
            unsolved=unsolved(curves),
        )
        for i, tau in enumerate(TIMES)
    ]


def square(values: Sequence[Float[np.ndarray, " m"]], points: int) -> Float[np.ndarray, "points points m"]:
    """The values of all models as a map [psi_n, psi_p, tau]."""
    return np.array(values).reshape(points, points, -1)


def unsolved(curves: Sequence[LossCurves]) -> int:
    """How many models were not solved to the digits that are promised."""
    return sum(curve.status != "solved" for curve in curves)
