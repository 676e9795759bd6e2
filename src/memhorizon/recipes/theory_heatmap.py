"""Maps of the generalization gap over (psi_n, psi_p) at several training times, in the limit (figure 5 C)."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from memhorizon.recipes.theory_record import write_record
from memhorizon.theory import FeatureModel, loss_curves

TIMES = (1e2, 1e3, 1e4, 1e5, np.inf)

COLUMNS = {
    "tau": "training time, steps * learning rate/d^2",
    "t": "diffusion time",
    "psi_n": "n/d: grid, first axis",
    "psi_p": "p/d: grid, second axis",
    "L_gen": "test loss minus train loss [psi_n][psi_p]",
    "E_score": "mean square distance to the true score, per coordinate [psi_n][psi_p]",
    "unsolved": "number of grid points whose status is not 'solved'",
}


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/heatmap.json. Minutes on one core; seconds when tiny."""
    points = 3 if tiny else 40
    psi = np.geomspace(0.5, 128, points)

    def rows() -> Iterator[Mapping[str, object]]:
        for t in (0.1,) if tiny else (0.01, 0.1):
            curves = [[loss_curves(FeatureModel(n, p, t), TIMES) for p in psi] for n in psi]
            unsolved = sum(curve.status != "solved" for line in curves for curve in line)
            for i, tau in enumerate(TIMES):
                maps = {
                    name: [[getattr(curve, name)[i] for curve in line] for line in curves]
                    for name in ("L_gen", "E_score")
                }
                yield {"tau": tau, "t": t, "psi_n": psi, "psi_p": psi, **maps, "unsolved": unsolved}

    settings = {"grid": points, "activation": "tanh", "spectrum": "isotropic"}
    return write_record(out, "heatmap", rows, columns=COLUMNS, settings=settings, tiny=tiny)
