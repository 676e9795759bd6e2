"""The density of eigenvalues of U."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from memhorizon.results import Status
from memhorizon.theory.arguments import row
from memhorizon.theory.equations import Equations, Solution, within
from memhorizon.theory.model import FeatureModel


@dataclass(frozen=True, repr=False)
class SpectralDensity:
    """The spectrum of U at given places.

    Attributes:
        eigenvalues: where. [m]
        density: of the continuous part; it integrates to 1 minus the weight of the atom. [m]
        cumulative: fraction of all eigenvalues, atom included, up to here. [m]
        residual: relative residual of the equations. [m]
        place: "inside" the support, "outside", "atom" (exactly at s2, where q is infinite), or "failed": no
            physical solution was found, density and cumulative are NaN. [m]
    """

    eigenvalues: Float[np.ndarray, " m"]
    density: Float[np.ndarray, " m"]
    cumulative: Float[np.ndarray, " m"]
    residual: Float[np.ndarray, " m"]
    place: Shaped[np.ndarray, " m"]

    def __repr__(self) -> str:
        """How many eigenvalues, from where to where."""
        at = self.eigenvalues
        span = f" from {at.min():.4g} to {at.max():.4g}" if len(at) else ""
        return f"SpectralDensity({len(at)} eigenvalues{span}; {self.status})"

    @property
    def status(self) -> Status:
        """SOLVED, or NOT_RESOLVED where a place has failed."""
        return Status.NOT_RESOLVED if np.any(self.place == "failed") else Status.SOLVED


def spectral_density(model: FeatureModel, eigenvalues: object) -> SpectralDensity:
    """Compute the density exactly on the real axis, with no small imaginary part.

    Args:
        model: what U belongs to.
        eigenvalues: where to evaluate it. [m]

    Raises:
        InputError: if an eigenvalue is not finite, or above 1e50.

    Source: [bonnaire2025] Eqs. (15)-(19)
    """
    points = within("eigenvalues", row("eigenvalues", eigenvalues).astype(float))
    equations = Equations.of(model)
    return density_at(equations, points - equations.s2)


def density_at(equations: Equations, w: Float[np.ndarray, " m"]) -> SpectralDensity:
    """Evaluate at s2 + w, for callers that know w to more digits than s2 + w has."""
    found = equations.solve(w)
    density = _density(equations, found)
    total = cumulative(equations, w, found)
    density[~found.solved] = np.nan
    total[~found.solved] = np.nan
    return SpectralDensity(equations.s2 + w, density, total, found.residual, _places(found))


def _density(equations: Equations, found: Solution) -> np.ndarray:
    """Im q/pi, q = 1/(psi_p X). [m]."""
    atom = found.X == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.where(atom, 0.0, (1 / found.X).imag / (np.pi * equations.psi_p))
    density[atom & (equations.atom == 0)] = np.inf  # a hard edge
    return density


def _places(found: Solution) -> np.ndarray:
    """Where each point lies, in words. [m]."""
    place = np.where(np.imag(found.X) < 0, "inside", "outside")
    place[found.X == 0] = "atom"
    place[~found.solved] = "failed"
    return place


def cumulative(equations: Equations, w: Float[np.ndarray, " m"], found: Solution) -> Float[np.ndarray, " m"]:
    """Fraction of eigenvalues up to s2 + w, from the closed form of the log-determinant.

    (1/d) log det (U - z) = (psi_p - 1) log X - psi_n log kappa + <log D> - kappa <al/D> - w/X + constant,
    stationary in X and kappa; its imaginary part at z + i0 is -pi psi_p times the fraction. X, kappa and D
    stay in the lower half plane, so that the principal logarithm is the right one; in gaps only signs count.

    Source: [bonnaire2025] Eq. (147)
    """
    X = found.X
    kappa = found.kappa
    lifted = kappa * equations.al[:, None]  # kappa al [k, m]
    D = X + equations.b2 + lifted  # [k, m]
    with np.errstate(divide="ignore", invalid="ignore"):
        phase = (equations.psi_p - 1) * _angle(X) - equations.psi_n * _angle(kappa)
        phase += equations.weights @ (_angle(D) - (lifted / D).imag) - (w / X).imag
    return np.where(X == 0, equations.atom, -phase / (np.pi * equations.psi_p))


def _angle(x: np.ndarray) -> np.ndarray:
    """Angle in [-pi, 0] of numbers of the closed lower half plane, negative ones at -pi."""
    return -np.abs(np.angle(x))
