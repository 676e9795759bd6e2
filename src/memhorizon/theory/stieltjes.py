"""The Stieltjes transform of the spectrum of U."""

import numpy as np
from jaxtyping import Complex

from memhorizon.errors import InputError
from memhorizon.theory.arguments import row
from memhorizon.theory.equations import Equations, within
from memhorizon.theory.model import FeatureModel

_REAL = 1e-15  # an imaginary part below this share cannot be told from rounding


def stieltjes(model: FeatureModel, z: object) -> Complex[np.ndarray, " m"]:
    """Compute q(z) = lim (1/p) tr (U - z)^-1.

    At real z it is the limit from the upper half plane, so that Im q/pi is the density; at the atom it is
    infinite.

    Args:
        model: what U belongs to.
        z: points of the complex plane. [m]

    Raises:
        InputError: if a point is not finite, larger than 1e50, or cannot be solved to a relative residual of
            1e-11; it is named.

    >>> m = FeatureModel(psi_n=2, psi_p=4, t=0.1)
    >>> bool(abs(stieltjes(m, [1e8])[0] * 1e8 + 1) < 1e-6)  # q -> -1/z
    True

    Source: [bonnaire2025] Eqs. (15)-(19)
    """
    points = within("z", row("z", z, kinds="biufc").astype(complex))
    equations = Equations.of(model)
    below = np.imag(points) < 0  # the mirror images of what is solved
    w = np.where(below, points.conj(), points) - equations.s2
    found = equations.solve(np.where(np.imag(w) < _REAL * np.abs(w), np.real(w), w))
    _check_solved(model, points, found.solved)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = np.where(found.X == 0, np.inf, 1 / (equations.psi_p * found.X))
    return np.where(below, q.conj(), q)


def _check_solved(model: FeatureModel, points: np.ndarray, solved: np.ndarray) -> None:
    """Name the points that are not solved.

    Raises:
        InputError: if there are any.
    """
    if np.all(solved):
        return
    failed = points[~solved].tolist()
    raise InputError(
        f"z: expected points at which the equations are solved to 1e-11, got {failed!s:.200} for {model}"
    )
