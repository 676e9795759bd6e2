"""The equations of the resolvent of U in the limit, in two unknowns, and their physical solution."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float, Shaped

from memhorizon.errors import InputError
from memhorizon.theory.coefficients import Coefficients, coefficients
from memhorizon.theory.model import FeatureModel

_BLOCK = 2**18  # entries of the largest temporary array
FARTHEST = 1e50  # the largest |z| that is solved: powers of it must not overflow
NO_DATA = 1e-20  # eigenvalues of Sigma below this share of the noise are zeros, to all digits
_NOTHING_LEARNED = (
    "activation, spectrum: expected an activation with a linear part on the scale of the data; "
    "an even one, or a sine over many periods, learns nothing (a = b = 0)"
)
_ACCURATE = 1e-11  # a residual above this is a failure; usual ones are below 1e-15


class Solution(NamedTuple):
    """Points of the physical branch.

    Attributes:
        X: 1/(psi_p q), where q = tr R/p is the Stieltjes transform of U; Im X <= 0.
        kappa: 1/(1 + tr(C R)/n), C the part of U that each sample adds; Im kappa <= 0.
        residual: relative residual of the equations. [m]
        solved: whether the residual is small and the branch the physical one. [m]
    """

    X: Complex[np.ndarray, " m"]
    kappa: Complex[np.ndarray, " m"]
    residual: Float[np.ndarray, " m"]
    solved: Bool[np.ndarray, " m"]


@dataclass(frozen=True, eq=False)
class Equations:
    """The equations of one model, in w = z - s2: near s2 it is the difference that has digits.

    With D = X + b2 + kappa al and < > the average over the eigenvalues of Sigma,
        (I)   1/kappa = 1 + v2/(psi_n X) + <al/D>/psi_n
        (II)  w = v2 kappa - (psi_p - 1) X - X^2 <1/D>.

    `F` and `G` below are (I) times psi_n X kappa, and (II), each with all terms on one side.

    Attributes:
        psi_n: n/d.
        psi_p: p/d.
        b2: b^2.
        v2: v^2.
        s2: s^2.
        al: alpha * eigenvalues of Sigma, alpha = a^2 exp(-2t). [k]
        weights: of the eigenvalues of Sigma. [k]
    """

    psi_n: float
    psi_p: float
    b2: float
    v2: float
    s2: float
    al: Float[np.ndarray, " k"]
    weights: Float[np.ndarray, " k"]

    @classmethod
    def of(cls, model: FeatureModel) -> "Equations":
        """Collect the constants of a model.

        Raises:
            InputError: if the activation has no linear part: then nothing is learned.

        Source: [bonnaire2025] Eqs. (15)-(19)
        """
        return cls.from_constants(model, coefficients(model))

    @classmethod
    def from_constants(cls, model: FeatureModel, c: Coefficients) -> "Equations":
        """The same where the constants of the activation are known already."""
        spectrum = model.spectrum
        alpha = (c.a * model.decay) ** 2
        if c.b**2 + alpha * spectrum.variance <= 1e-20 * (c.s2 + c.v2):
            raise InputError(_NOTHING_LEARNED)
        al = alpha * spectrum.eigenvalues  # [k]
        al[al < NO_DATA * c.b**2] = 0.0
        return cls(float(model.psi_n), float(model.psi_p), c.b**2, c.v2, c.s2, al, spectrum.weights)

    @property
    def atom(self) -> float:
        """Weight of the atom of U at s2."""
        return max(0.0, 1 - (1 + self.psi_n) / self.psi_p)

    @property
    def top(self) -> float:
        """An upper bound of the spectrum of U, from the norms of its factors W, X and Omega."""
        wide = (1 + self.psi_p**0.5) ** 2  # |W|^2/d
        long = (1 + self.psi_n**-0.5) ** 2  # |X|^2/n for Sigma = I
        noise = self.v2 * (1 + (self.psi_p / self.psi_n) ** 0.5) ** 2  # v2 |Omega|^2/n
        return float(self.s2 + noise + self.b2 * wide + self.al[-1] * wide * long)

    def solve(self, w: Shaped[np.ndarray, " m"]) -> Solution:
        """Solve at z = s2 + w, Im w >= 0; at real w this is the limit from above.

        Each point comes down from a large imaginary part, where the solution is known, in geometric steps of
        Newton's method; where the result is not on the physical branch the steps are made three times finer,
        twice.
        """
        w = np.asarray(w, dtype=complex)
        if len(w) == 0:
            return _NONE
        size = max(1, _BLOCK // len(self.al))
        blocks = [self._block(w[i : i + size]) for i in range(0, len(w), size)]
        return Solution(*(np.concatenate(column) for column in zip(*blocks, strict=True)))

    def _block(self, w: np.ndarray) -> Solution:
        """Solve points that fit into memory together."""
        with np.errstate(all="ignore"):  # a failing point may overflow on its way; `solved` says so
            found = self._checked(w, *self._descend(w, 16, 2))
            for stages in (48, 144):
                again = ~found.solved
                if not np.any(again):
                    break
                retried = self._checked(w[again], *self._descend(w[again], stages, 3))
                for column, new in zip(found, retried, strict=True):
                    column[again] = new
        return found

    def _descend(self, w: np.ndarray, stages: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Homotopy in Im w, then Newton's method at the target: X and kappa [m]."""
        high = 4 * (self.top + np.abs(w))  # [m]
        low = np.maximum(np.imag(w), 1e-3 * np.maximum(np.abs(w), 1e-30 * self.top))  # [m]
        X, kappa = self._far(np.real(w) + 1j * high)
        for stage in range(stages + 1):
            place = np.real(w) + 1j * high * (low / high) ** (stage / stages)
            for _ in range(steps):
                X, kappa, *_ = self.newton(X, kappa, place)
        self._polish(X, kappa, w)
        return X, kappa

    def _far(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """X and kappa [m] to leading order in 1/w, q ~ -1/w: where the descent begins."""
        mean = self.weights @ self.al + self.v2  # tr C/p
        X = -(w - mean - self.b2) / self.psi_p
        kappa = 1 / (1 - self.psi_p * mean / (self.psi_n * w))
        return X, kappa

    def _polish(self, X: np.ndarray, kappa: np.ndarray, w: np.ndarray) -> None:
        """Newton's method in place, each point until its step or its residual is rounding."""
        active = np.arange(len(w))
        for _ in range(60):
            X[active], kappa[active], step, residual = self.newton(X[active], kappa[active], w[active])
            active = active[(step > 1e-14) & (residual > 2e-16)]
            if len(active) == 0:
                return

    def _checked(self, w: np.ndarray, X: np.ndarray, kappa: np.ndarray) -> Solution:
        """Settle real points in gaps on the real axis, and say which points can be trusted."""
        near = (np.imag(w) == 0) & (np.abs(np.imag(X)) < 1e-6 * np.abs(X))
        self._settle(np.flatnonzero(near), w, X, kappa)
        *_, residual = self.newton(X, kappa, w)
        physical = self._physical(w, X, kappa)
        pole = (w == 0) & (self.psi_p >= 1 + self.psi_n)  # q is infinite: an atom or a hard edge
        X[pole] = 0
        kappa[pole] = 0
        residual[pole] = 0
        return Solution(X, kappa, residual, (physical & (residual < _ACCURATE)) | pole)

    def _settle(self, near: np.ndarray, w: np.ndarray, X: np.ndarray, kappa: np.ndarray) -> None:
        """Move points next to the real axis onto it, in place, where that is a solution of a gap."""
        if len(near) == 0:
            return
        place = np.real(w)[near]
        x = np.real(X)[near]
        k = np.real(kappa)[near]
        for _ in range(3):
            x, k, *_ = self.newton(x, k, place)
        *_, residual = self.newton(x, k, place)
        real = (residual < _ACCURATE) & (self.slope(x, k) < 0)
        X[near[real]] = x[real]
        kappa[near[real]] = k[real]
        _reflect(near[~real], X, kappa)

    def _physical(self, w: np.ndarray, X: np.ndarray, kappa: np.ndarray) -> np.ndarray:
        """Whether points are on the physical branch. [m]."""
        physical = (np.imag(X) <= 0) & (np.imag(kappa) <= 0)
        flat = (np.imag(w) == 0) & (np.imag(X) == 0)
        slope = self.slope(np.real(X[flat]), np.real(kappa[flat]))
        steep = np.abs(slope * w[flat] / X[flat]) > 1e6  # on an edge, where the sign of the slope is noise
        physical[flat] = (slope < 0) | steep
        return physical

    def sums(self, X: np.ndarray, kappa: np.ndarray) -> np.ndarray:
        """<1/D>, <al/D>, <1/D^2>, <al/D^2>, <al^2/D^2>, [5, m]."""
        inverse = 1 / (X + self.b2 + kappa * self.al[:, None])  # 1/D [k, m]
        first = self._averages[:2] @ inverse
        inverse *= inverse
        return np.concatenate([first, self._averages @ inverse])

    @cached_property
    def _averages(self) -> np.ndarray:
        return self.weights * np.stack([np.ones_like(self.al), self.al, self.al**2])

    def jacobian(self, X: np.ndarray, kappa: np.ndarray, w: np.ndarray) -> "Jacobian":
        """Both equations and their derivatives.

        Source: [bonnaire2025] Eqs. (15)-(19)
        """
        sums = Sums(*self.sums(X, kappa))
        F, F_X, F_k = self._first_equation(X, kappa, sums)
        G, G_X, G_k, size = self._second_equation(X, kappa, w, sums)
        return Jacobian(F, G, F_X, F_k, G_X, G_k, size)

    def _first_equation(self, X: np.ndarray, kappa: np.ndarray, sums: "Sums") -> tuple[np.ndarray, ...]:
        """F = psi_n X kappa times (I), F_X and F_kappa."""
        A = self.psi_n * X + self.v2 + X * sums.S1
        F = kappa * A - self.psi_n * X
        F_X = kappa * (self.psi_n + sums.S1 - X * sums.T1) - self.psi_n
        F_k = A - kappa * X * sums.T2
        return F, F_X, F_k

    def _second_equation(
        self, X: np.ndarray, kappa: np.ndarray, w: np.ndarray, sums: "Sums"
    ) -> tuple[np.ndarray, ...]:
        """G = (II), G_X, G_kappa and the size of the terms of G."""
        B = X * X * sums.S0
        G = self.v2 * kappa - (self.psi_p - 1) * X - B - w
        G_X = X * (X * sums.T0 - 2 * sums.S0) - (self.psi_p - 1)
        G_k = self.v2 + X * X * sums.T1
        size = self.v2 * np.abs(kappa) + abs(self.psi_p - 1) * np.abs(X) + np.abs(B) + np.abs(w)
        return G, G_X, G_k, size

    def newton(self, X: np.ndarray, kappa: np.ndarray, w: np.ndarray) -> "Step":
        """One step of Newton's method on F = G = 0."""
        F, G, F_X, F_k, G_X, G_k, size = self.jacobian(X, kappa, w)
        # (dX, dkappa) = -J^-1 (F, G)
        det = F_X * G_k - F_k * G_X
        dX = (F_k * G - G_k * F) / det
        dk = (G_X * F - F_X * G) / det
        residual = np.abs(F) / np.abs(self.psi_n * X) + np.abs(G) / size
        return Step(X + dX, kappa + dk, np.abs(dX / X) + np.abs(dk / kappa), residual)

    def slope(self, X: np.ndarray, kappa: np.ndarray) -> np.ndarray:
        """dX/dw along the solution; negative in gaps, where q grows."""
        found = self.jacobian(X, kappa, np.zeros_like(X))
        # F_X dX + F_kappa dkappa = 0 and G_X dX + G_kappa dkappa = dw
        return found.F_k / (found.F_k * found.G_X - found.F_X * found.G_k)


class Sums(NamedTuple):
    """Averages over the eigenvalues of Sigma; all [m]."""

    S0: np.ndarray  # <1/D>
    S1: np.ndarray  # <al/D>
    T0: np.ndarray  # <1/D^2>
    T1: np.ndarray  # <al/D^2>
    T2: np.ndarray  # <al^2/D^2>


class Jacobian(NamedTuple):
    """Both equations as F = G = 0, and their derivatives by X and kappa; all [m]."""

    F: np.ndarray
    G: np.ndarray
    F_X: np.ndarray
    F_k: np.ndarray
    G_X: np.ndarray
    G_k: np.ndarray
    size: np.ndarray  # sum of the absolute values of the terms of G


class Step(NamedTuple):
    """A step of Newton's method; all [m]."""

    X: np.ndarray
    kappa: np.ndarray
    size: np.ndarray  # relative
    residual: np.ndarray  # before it


def _reflect(edge: np.ndarray, X: np.ndarray, kappa: np.ndarray) -> None:
    """Within rounding of an edge: the lower of two mirror images, or real where signs are noise. In place."""
    X_above = np.imag(X[edge]) > 0
    kappa_above = np.imag(kappa[edge]) > 0
    for x in (X, kappa):
        x[edge] = np.where(X_above != kappa_above, np.real(x[edge]), x[edge])
        x[edge] = np.where(X_above & kappa_above, x[edge].conj(), x[edge])


def within(name: str, points: Shaped[np.ndarray, " m"]) -> Shaped[np.ndarray, " m"]:
    """Check that points are finite, and not so large that their powers overflow.

    Raises:
        InputError: if one is.
    """
    if not np.all(np.abs(points) <= FARTHEST):
        raise InputError(f"{name}: expected finite numbers up to {FARTHEST:g}, got {points.tolist()!s:.200}")
    return points


_NONE = Solution(np.zeros(0, complex), np.zeros(0, complex), np.zeros(0), np.zeros(0, dtype=bool))
