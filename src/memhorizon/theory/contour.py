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
from memhorizon.results import Status
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
        self.z, self.weight = _ellipse(support.lowest, float(support.intervals[-1, 1]))
        self.b2 = equations.b2
        self.sign = np.where(np.arange(len(self.z)) % 2, -1.0, 1.0)
        found = equations.solve(self.z - equations.s2)
        self.solved = bool(np.all(found.solved)) and support.status is Status.SOLVED
        point = Point(found.X, found.kappa)
        K1 = trace(equations, point)  # [n]
        self.same = pair_kernel(equations, point, point)  # [n, n]
        self.mirrored = pair_kernel(equations, point, point.mirrored)  # [n, n]
        self.once = -2 * self.b2 * self.weight * K1  # both half planes

    def losses(self, f: Complex[np.ndarray, "m n"]) -> Losses:
        """Losses of filters given by their values at the nodes.

        Source: [bonnaire2025] Eq. (10)
        """
        F = f * self.weight  # [m, n]
        single = (self.z * f * f - 2 * f) * self.once  # (z f^2 - 2 f) K1 [m, n]
        pairs = F * self._rows(F)  # f(z) f(z') (1 - kappa kappa') M, summed over z' [m, n]
        drop = np.sum(np.real(single), axis=1)
        gap = 2 * self.b2 * np.sum(np.real(pairs), axis=1)
        return Losses(drop, gap, self._change(F, single, pairs))

    def _change(self, F: np.ndarray, single: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """How far both losses are from those of half of the nodes. [m].

        Every second node of the whole contour is a quadrature rule as well: here the even ones, in the mirror
        image the odd ones.
        """
        once = np.abs(np.imag(single) @ self.sign)
        alternating = F * self.sign
        other = alternating @ self.same - alternating.conj() @ self.mirrored.T
        twice = np.abs(np.sum(np.real(alternating * other), axis=1))
        mixed = np.abs(np.imag(pairs) @ self.sign)
        return once + 2 * self.b2 * (twice + 2 * mixed)

    def slopes(
        self, f: Complex[np.ndarray, "m n"], df: Complex[np.ndarray, "m n"]
    ) -> Float[np.ndarray, " m"]:
        """Derivative of L_test when the filters change by df."""
        single = (self.z * f - 1) * 2 * df * self.once
        pairs = f * self.weight * self._rows(df * self.weight)
        return np.sum(np.real(single), axis=1) + 4 * self.b2 * np.sum(np.real(pairs), axis=1)

    def _rows(self, F: np.ndarray) -> np.ndarray:
        """Sum over the second node, mirror images included. [m, n]."""
        return F @ self.same + F.conj() @ self.mirrored.T


def _ellipse(lowest: float, highest: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of the upper half z and weights dz/(2 pi i) around the interval of the spectrum, both [n]."""
    low = np.log(lowest)
    high = np.log(highest)
    nodes = 256 if high - low < np.log(1e4) else 512
    middle = 0.5 * (high + low)
    half = 0.5 * (high - low)
    # z = exp(middle + half cosh u), u on a line: foci at log lowest and log highest
    angle = (np.arange(nodes // 2) + 0.5) * 2 * np.pi / nodes
    u = np.arcsinh(_HEIGHT / half) + 1j * angle
    z = np.exp(middle + half * np.cosh(u))
    return z, z * half * np.sinh(u) / nodes


class Point(NamedTuple):
    """Places of the complex plane, by the solution there."""

    X: np.ndarray  # [n]
    kappa: np.ndarray  # [n]

    @property
    def mirrored(self) -> "Point":
        """The complex conjugates."""
        return Point(self.X.conj(), self.kappa.conj())

    def resolvent(self, equations: Equations) -> np.ndarray:
        """1/D, D = X + b^2 + kappa al. [k, n]."""
        return 1 / (self.X + equations.b2 + self.kappa * equations.al[:, None])


def trace(equations: Equations, point: Point) -> np.ndarray:
    """K1 = tr W^T R W/d^2 = <1/D>. [n]."""
    return equations.weights @ point.resolvent(equations)


def pair_kernel(equations: Equations, point: Point, other: Point) -> np.ndarray:
    """(1 - kappa kappa') M(z, z'), M = tr W^T R C R' W/d^2. [n, n'].

    By leaving out one sample, then one column of W; see docs/theory.md, "Losses".
    """
    XX = np.outer(point.X, other.X)
    kk = np.outer(point.kappa, other.kappa)
    h0, h1, h2, mixed = _pair_averages(equations, point, other)
    lift = equations.v2 + XX * h1  # v2 + h_1
    # Y = 1/(X X' (psi_p - <m m'/(D D')>)), and here times v2 + h_1
    both = lift / (XX * (equations.psi_p - mixed))
    # N = Y h_0 (v2 + h_1) + h_1/(X X')
    N = XX * h0 * both + h1
    # chi = (Y (v2 + h_1)^2 + h_2/(X X'))/psi_n
    chi = (both * lift + h2) / equations.psi_n
    # M = N/(1 - kappa kappa' chi)
    return (1 - kk) * N / (1 - kk * chi)


def _pair_averages(equations: Equations, point: Point, other: Point) -> list[np.ndarray]:
    """h_j/(X X') = <al^j/(D D')> for j = 0, 1, 2, and <m m'/(D D')>, m = b^2 + kappa al; all [n, n']."""
    weights = equations.weights[:, None]
    al = equations.al[:, None]
    R = point.resolvent(equations)  # 1/D [k, n]
    R2 = other.resolvent(equations)  # 1/D' [k, n']
    h = [R.T @ (weights * al**power * R2) for power in range(3)]
    mixed = (1 - point.X * R).T @ (weights * (1 - other.X * R2))
    return [*h, mixed]


def limits(equations: Equations) -> tuple[float, float]:
    """L_train and L_gen after infinite training, from the single point z = 0.

    Raises:
        InputError: if that point cannot be solved.
    """
    zero = _point_at_zero(equations)
    # f = 1/z: L_train = 1 - b^2 K1(0) and L_gen = b^2 (1 - kappa^2) M(0, 0)
    L_train = 1 - equations.b2 * trace(equations, zero)[0]
    L_gen = equations.b2 * pair_kernel(equations, zero, zero)[0, 0]
    return float(L_train), float(L_gen)


def _point_at_zero(equations: Equations) -> Point:
    found = equations.solve(np.array([-equations.s2]))
    if not found.solved[0]:
        raise InputError(
            f"model: expected one that is solved to 1e-11 at z = 0, got residual {found.residual[0]:.2g}"
        )
    return Point(np.real(found.X), np.real(found.kappa))
