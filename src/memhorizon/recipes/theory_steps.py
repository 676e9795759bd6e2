"""Gradient descent with a finite step and with momentum, as functions of U, against gradient flow."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from memhorizon.recipes.theory_record import write_record
from memhorizon.theory import FeatureModel
from memhorizon.theory.ensembles import Modes, descent_filter
from memhorizon.theory.features import finite_matrices

MODEL = FeatureModel(4.0, 16.0, 0.1)
QUANTITIES = ("L_train", "L_test", "L_gen", "E_score")
COLUMNS = {
    "step": "of gradient descent, as a share of the largest stable one, 2 (1 + momentum)/lambda_max",
    "momentum": "of the heavy ball",
    "dim": "d",
    "seed": "of W and of the data",
    "steps": "number of steps",
    "tau": "effective training time, steps * step/(1 - momentum), in units of tau",
    "L_train": "train loss per coordinate",
    "L_test": "test loss per coordinate",
    "L_gen": "their difference",
    "E_score": "mean square distance to the true score, per coordinate",
    "flow": "the same four of gradient flow at tau [4][m]",
    "E_score_best": "smallest E_score along training; flow: on a grid of 3 % in tau",
    "L_gen_inf": "end of training, the same for every stable step",
}


def rows_of(dim: int, seed: int, last: int) -> Iterator[dict[str, object]]:
    """Curves for several steps and momenta."""
    modes = Modes.of(finite_matrices(MODEL, dim, seed))
    best_of_flow = modes.flow(np.geomspace(0.1, 1e3, 311)).E_score.min()
    counts = np.unique(np.geomspace(1, last, 60).astype(int))
    for momentum in (0.0, 0.9, 0.95):
        for share in (0.02, 0.5, 0.95):
            rate = share * 2 * (1 + momentum) / modes.eigenvalues[-1]  # of a mode of eigenvalue 1
            tau = counts * rate / (1 - momentum) / modes.rate(1.0)
            curves = modes.losses(tau, [descent_filter(int(k), rate, momentum) for k in counts])
            flow = modes.flow(tau)
            yield {
                "step": share,
                "momentum": momentum,
                "dim": dim,
                "seed": seed,
                "steps": counts,
                "tau": tau,
                **{name: getattr(curves, name) for name in QUANTITIES},
                "flow": [getattr(flow, name) for name in QUANTITIES],
                "E_score_best": {"descent": curves.E_score.min(), "flow": best_of_flow},
                "L_gen_inf": modes.flow([np.inf]).L_gen[0],
            }


def summarise(rows: list[Mapping[str, object]]) -> dict[str, object]:
    """Largest distance from flow of L_gen beyond ten steps, relative to its end, and the best score error."""
    found = {}
    for r in rows:
        late = np.asarray(r["steps"]) >= 10
        apart = np.abs(np.asarray(r["L_gen"]) - np.asarray(r["flow"][2]))[late].max() / r["L_gen_inf"]
        found["step {step}, momentum {momentum}".format(**r)] = {
            "L_gen apart from flow, share of its end": apart,
            "E_score best over that of flow": r["E_score_best"]["descent"] / r["E_score_best"]["flow"],
        }
    return found


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/steps.json. Seconds."""
    dim, last = (10, 1000) if tiny else (60, 200_000)

    def rows() -> Iterator[Mapping[str, object]]:
        return rows_of(dim, 0, last)

    settings = {"psi_n": MODEL.psi_n, "psi_p": MODEL.psi_p, "t": MODEL.t, "activation": "tanh"}
    return write_record(out, "steps", rows, columns=COLUMNS, settings=settings, summary=summarise, tiny=tiny)
