"""Gradient descent with a finite step and with momentum, as functions of U, against gradient flow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated

import numpy as np
from jaxtyping import Float, Int

from memhorizon.recipes.theory.rows import QUANTITIES, columns_of, stacked
from memhorizon.theory import FeatureModel
from memhorizon.theory.ensembles import Modes, descent_filter
from memhorizon.theory.features import finite_matrices

MODEL = FeatureModel(4.0, 16.0, 0.1)
MOMENTA = (0.0, 0.9, 0.95)
STEPS = (0.02, 0.5, 0.95)  # shares of the largest stable one
HERE = (60, 200_000)  # d, last step
TINY = (10, 1000)
SEED = 0
SETTLED = 10  # steps after which L_gen is held against the flow


@dataclass(frozen=True)
class BestScores:
    """The smallest E_score along training.

    Attributes:
        descent: of gradient descent.
        flow: of gradient flow, on a grid of 3 % in tau.
    """

    descent: float
    flow: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """The curves of one step and one momentum."""

    step: Annotated[
        float, "of gradient descent, as a share of the largest stable one, 2 (1 + momentum)/lambda_max"
    ]
    momentum: Annotated[float, "of the heavy ball"]
    dim: Annotated[int, "d"]
    seed: Annotated[int, "of W and of the data"]
    steps: Annotated[tuple[int, ...], "number of steps"]
    tau: Annotated[
        Float[np.ndarray, " m"], "effective training time, steps * step/(1 - momentum), in units of tau"
    ]
    L_train: Annotated[Float[np.ndarray, " m"], "train loss per coordinate"]
    L_test: Annotated[Float[np.ndarray, " m"], "test loss per coordinate"]
    L_gen: Annotated[Float[np.ndarray, " m"], "their difference"]
    E_score: Annotated[Float[np.ndarray, " m"], "mean square distance to the true score, per coordinate"]
    flow: Annotated[Float[np.ndarray, "4 m"], "the same four of gradient flow at tau [4][m]"]
    E_score_best: Annotated[BestScores, "smallest E_score along training; flow: on a grid of 3 % in tau"]
    L_gen_inf: Annotated[float, "end of training, the same for every stable step"]


ROWS = (Row,)


def rows_of(dim: int, last: int) -> Iterator[Row]:
    """Curves for several steps and momenta, of one network."""
    modes = Modes.of(finite_matrices(MODEL, dim, SEED))
    steps = np.unique(np.geomspace(1, last, 60).astype(int))
    for momentum, step in product(MOMENTA, STEPS):
        yield row_of(modes, dim, step, momentum, steps)


def row_of(modes: Modes, dim: int, step: float, momentum: float, steps: Int[np.ndarray, " m"]) -> Row:
    """Curves of one step and one momentum, beside the flow at the same effective time."""
    # decay of a mode of eigenvalue 1 in one step; stable below 2 (1 + momentum)/lambda_max
    rate = step * 2 * (1 + momentum) / modes.eigenvalues[-1]
    tau = steps * rate / (1 - momentum) / modes.rate(1.0)
    curves = modes.losses(tau, [descent_filter(int(k), rate, momentum) for k in steps])
    best_of_flow = modes.flow(np.geomspace(0.1, 1e3, 311)).E_score.min()
    return Row(
        step=step,
        momentum=momentum,
        dim=dim,
        seed=SEED,
        steps=tuple(steps.tolist()),
        tau=tau,
        **columns_of(stacked(curves)),
        flow=stacked(modes.flow(tau)),
        E_score_best=BestScores(float(curves.E_score.min()), float(best_of_flow)),
        L_gen_inf=float(modes.flow([np.inf]).L_gen[0]),
    )


def summarise(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Largest distance from flow of L_gen beyond ten steps, relative to its end, and the best score error."""
    found = {}
    for row in rows:
        settled = np.array(row.steps) >= SETTLED
        apart = np.abs(row.L_gen - row.flow[QUANTITIES.index("L_gen")])[settled].max()
        found[f"step {row.step}, momentum {row.momentum}"] = {
            "L_gen apart from flow, share of its end": float(apart / row.L_gen_inf),
            "E_score best over that of flow": row.E_score_best.descent / row.E_score_best.flow,
        }
    return found
