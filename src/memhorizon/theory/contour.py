"""Sums over the modes of U that the losses need, as integrals on one contour around the spectrum.

For any filter f, A = -sqrt(p/Delta) V^T f(U) (gradient flow, ridge, descent, ...), with R(z) = (U - z)^-1,

    L_train - 1 = -b^2 oint (z f^2 - 2 f) K1(z) dz/(2 pi i)                        K1 = tr W^T R W/d^2
    L_gen = b^2 oint oint f(z) f(z') (1 - kappa kappa') M(z, z') dz dz'/(2 pi i)^2  M = tr W^T R C R' W/d^2

where C is the covariance that one sample adds to U. Both traces are closed forms in X and kappa.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float

from memhorizon.errors import InputError
from memhorizon.theory.equations import Equations
from memhorizon.theory.support import Support

_HEIGHT = (
    0.8  # of the ellipse in log z: half way from the spectrum (0) to Re z < 0 (pi/2), where exp(-cz) grows
)


class Losses(NamedTuple):
    """What a filter does to the losses.

    Attributes:
        drop: L_train - 1. [m]
        gap: L_gen. [m]
        residual: change of both from half of the nodes to all, a bound on the error of the quadrature. [m]
    """

    drop: Float[np.ndarray, " m"]
    gap: Float[np.ndarray, " m"]
    residual: Float[np.ndarray, " m"]


class Contour:
    """Quadrature nodes around the spectrum of one model; the lower half plane is the mirror image.

    z = exp(zeta), zeta on an ellipse with foci at the logarithms of the ends of the spectrum: the trapezoid
    rule converges geometrically, and as Re z > 0 the same nodes serve every training time.
    """

    def __init__(self, equations: Equations, support: Support) -> None:
        low, high = np.log(support.lowest), np.log(support.intervals[-1, 1])
        nodes = 256 if high - low < np.log(1e4) else 512
        middle, half = 0.5 * (high + low), 0.5 * (high - low)
        angle = (np.arange(nodes // 2) + 0.5) * 2 * np.pi / nodes
        u = np.arcsinh(_HEIGHT / half) + 1j * angle
        self.z: Complex[np.ndarray, " n"] = np.exp(middle + half * np.cosh(u))
        self.weight = self.z * half * np.sinh(u) / nodes  # dz/(2 pi i)
        found = equations.solve(self.z - equations.s2)
        self.solved = bool(np.all(found.solved)) and support.status == "solved"
        self.b2 = equations.b2
        self.sign = np.where(np.arange(nodes // 2) % 2, -1.0, 1.0)
        K1, self.same = pair_kernel(equations, found.X, found.kappa, found.X, found.kappa)
        _, self.mirrored = pair_kernel(equations, found.X, found.kappa, found.X.conj(), found.kappa.conj())
        self.once = -2 * self.b2 * self.weight * K1

    def losses(self, f: Complex[np.ndarray, "m n"]) -> Losses:
        """Losses of filters given by their values at the nodes."""
        F = f * self.weight
        single, pairs = (self.z * f * f - 2 * f) * self.once, F * self._rows(F)  # [m, n]
        # every second node of the whole contour is a rule of its own: here even ones, in the mirror odd ones
        alternating = F * self.sign
        other = alternating @ self.same - alternating.conj() @ self.mirrored.T
        change = np.abs(np.imag(single) @ self.sign) + 2 * self.b2 * (
            np.abs(np.sum(np.real(alternating * other), axis=1)) + 2 * np.abs(np.imag(pairs) @ self.sign)
        )
        return Losses(np.sum(np.real(single), axis=1), 2 * self.b2 * np.sum(np.real(pairs), axis=1), change)

    def slopes(
        self, f: Complex[np.ndarray, "m n"], df: Complex[np.ndarray, "m n"]
    ) -> Float[np.ndarray, " m"]:
        """Derivative of L_test when the filters change by df."""
        single, pairs = (self.z * f - 1) * 2 * df * self.once, f * self.weight * self._rows(df * self.weight)
        return np.sum(np.real(single), axis=1) + 4 * self.b2 * np.sum(np.real(pairs), axis=1)

    def _rows(self, F: np.ndarray) -> np.ndarray:
        """Sum over the second node, mirror images included. [m, n]."""
        return F @ self.same + F.conj() @ self.mirrored.T


def pair_kernel(
    equations: Equations, X: np.ndarray, kappa: np.ndarray, X2: np.ndarray, kappa2: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """K1(z) [n] and (1 - kappa kappa') M(z, z') [n, n'].

    By leaving out one sample, then one column of W; see docs/theory.md, section 5.
    """
    eq, weights, al = equations, equations.weights[:, None], equations.al[:, None]
    R, R2 = 1 / (X + eq.b2 + kappa * al), 1 / (X2 + eq.b2 + kappa2 * al)  # [k, n], [k, n']
    XX, kk = np.outer(X, X2), np.outer(kappa, kappa2)
    h0, h1, h2 = (R.T @ (weights * al**power * R2) for power in range(3))  # <al^j/(D D')> [n, n']
    mixed = (1 - X * R).T @ (weights * (1 - X2 * R2))  # <m m'/(D D')>, m = b^2 + kappa al
    lift = eq.v2 + XX * h1
    both = lift / (XX * (eq.psi_p - mixed))  # Y2 (v2 + <al h>)
    N = XX * h0 * both + h1
    chi = (both * lift + h2) / eq.psi_n
    return eq.weights @ R, (1 - kk) * N / (1 - kk * chi)


def limits(equations: Equations) -> tuple[float, float]:
    """L_train and L_gen after infinite training, from the single point z = 0.

    Raises:
        InputError: if that point cannot be solved.
    """
    found = equations.solve(np.array([-equations.s2]))
    if not found.solved[0]:
        raise InputError(
            f"model: expected one that is solved to 1e-11 at z = 0, got residual {found.residual[0]:.2g}"
        )
    X, kappa = np.real(found.X), np.real(found.kappa)
    K1, pair = pair_kernel(equations, X, kappa, X, kappa)
    return float(1 - equations.b2 * K1[0]), float(equations.b2 * pair[0, 0])
