"""The real solutions of the equations as a curve, and the stationary points of w on it: candidates for edges.

With eta = kappa/Y, Y = X + b2, rho = X/Y, e = eta al/(1 + eta al), d = 1 - e, (I) is quadratic in rho,

    g rho^2 - (g - b2 + c) rho + c = 0,    g = (psi_n - 1 + <d>)/(psi_n eta),    c = v2/psi_n,

so that eta and the choice of a root are coordinates of the curve. On it
w = Y (v2 eta - (psi_p - 1) rho - rho^2 <d>), and w is stationary where J = 0,

    J = (psi_p - <(1 - rho d)^2>)(<e^2> - psi_n) + (v2 eta/rho + rho <e d>)^2.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from memhorizon.theory.equations import Equations

_REACH, _SPACING = 44.0, 0.2  # of the first grid, in the logarithm of the distance to the poles of eta
_TURN = 0.2  # largest change of log |rho| and log |1 - rho| from one grid point to the next
_AROUND = np.concatenate([[0.0], *([s * _SPACING * 2.0 ** -np.arange(1, 45)] for s in (1, -1))], axis=None)
_PARTS, _ROUNDS = 16, 12  # of the search for a change of sign


class Points(NamedTuple):
    """Points on the eta axis; the two roots rho lie along the axis of length 2."""

    cell: np.ndarray  # which interval between poles [m]
    x: np.ndarray  # coordinate in it, increasing with eta [m]
    h: np.ndarray  # <e^2> - psi_n, zero where g is stationary [m]
    g: np.ndarray  # [m]
    logs: np.ndarray  # log |rho|, log |1 - rho| [2, 2, m]
    J: np.ndarray  # in units of the sum of its terms [2, m]
    w: np.ndarray  # [2, m]


class Curve:
    """The real curve of one model, and grids on it."""

    def __init__(self, equations: Equations) -> None:
        self.eq = equations
        self.al, self.weights = equations.al[equations.al > 0], equations.weights[equations.al > 0]
        self.null = float(equations.weights[equations.al == 0].sum())
        self.poles = np.append(-1 / self.al, 0.0)  # of eta, ascending
        self.between = self.poles[:, None] - self.poles
        self.between[:-1, :-1] = (self.al[:, None] - self.al) / np.outer(self.al, self.al)  # to all digits
        self.c = equations.v2 / equations.psi_n
        b, c = np.sqrt(equations.b2), np.sqrt(self.c)
        self.folds = ((b + c) ** 2, (b - c) ** 2)  # the roots are real where g is not between them

    def critical(self) -> Float[np.ndarray, " m"]:
        """All stationary values of w, ascending, those of solutions that are not physical included."""
        with np.errstate(all="ignore"):  # the ends of the grid may overflow; nothing is stationary there
            grid = np.arange(-_REACH, _REACH, _SPACING)
            cells = np.arange(len(self.poles) + 1)
            points = self._at(np.repeat(cells, len(grid)), np.tile(grid, len(cells)))
            points = self._with(points, *self._zeros(points, lambda p: p.h))  # g is monotone in between now
            for level in (*self.folds, 0.0):  # rho has square roots at the folds and a pole at g = 0
                cell, x = self._zeros(points, lambda p, level=level: p.g - level)
                around = (x + _AROUND[:, None]).ravel()
                points = self._with(points, np.tile(cell, len(_AROUND)), around)
            points = self._refined(points, self._coarse, 8)
            points = self._refined(points, self._dips, 30)
            return np.sort(np.concatenate([self._stationary(points, root) for root in (0, 1)]))

    def _at(self, cell: np.ndarray, x: np.ndarray) -> Points:
        """Evaluate; where the roots are complex, their common real part takes their place."""
        eq, distance = self.eq, self._distances(cell, x)
        eta, e, d = distance[-1], distance[-1] / distance[:-1], 1 / (self.al[:, None] * distance[:-1])
        mean_d, mean_d2 = self.null + self.weights @ d, self.null + self.weights @ d**2
        h = 1 - eq.psi_n - self.null - self.weights @ (d * (1 + e))
        g = (eq.psi_n - 1 + mean_d) / (eq.psi_n * eta)
        rho, sigma = self._roots(g)
        miss = 1 - 2 * rho * mean_d + rho**2 * mean_d2
        left, right = eq.v2 * eta / rho, rho * (self.weights @ (e * d))
        J = (eq.psi_p - miss) * h + (left + right) ** 2
        J /= (eq.psi_p + np.abs(miss)) * np.abs(h) + (np.abs(left) + np.abs(right)) ** 2
        w = eq.b2 / sigma * (eq.v2 * eta - (eq.psi_p - 1) * rho - rho**2 * mean_d)
        return Points(cell, x, h, g, np.log(np.abs([rho, sigma])), J, w)

    def _distances(self, cell: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Eta minus each pole (the last one is eta itself), to all digits."""
        last = len(self.poles)
        left, right = np.clip(cell - 1, 0, None), np.clip(cell, None, last - 1)
        inner = (cell > 0) & (cell < last)
        width = np.where(inner, self.between[right, left], np.abs(self.poles[right]) + 1 / self.al[-1])
        from_left = width * np.where(inner, 1 / (1 + np.exp(-x)), np.exp(x))
        to_right = width * np.where(inner, 1 / (1 + np.exp(x)), np.exp(-x))
        passed = np.arange(last)[:, None] < cell
        return np.where(passed, from_left + self.between[left].T, -(to_right + self.between[:, right]))

    def _roots(self, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both roots rho and 1 - rho, each in the form that does not cancel."""
        b2, c, sign = self.eq.b2, self.c, np.array([[1.0], [-1.0]])
        split = sign * np.sqrt(np.clip((g - self.folds[0]) * (g - self.folds[1]), 0.0, None))
        m, n = g - b2 + c, g + b2 - c
        rho = np.where(m * split > 0, (m + split) / (2 * g), 2 * c / (m - split))
        sigma = np.where(n * split < 0, (n - split) / (2 * g), 2 * b2 / (n + split))
        return rho, sigma

    def _with(self, points: Points, cell: np.ndarray, x: np.ndarray) -> Points:
        """Add grid points, in order."""
        new = self._at(cell, x)
        merged = [np.concatenate([a, b], axis=-1) for a, b in zip(points, new, strict=True)]
        order = np.lexsort((merged[1], merged[0]))
        return Points(*(column[..., order] for column in merged))

    def _refined(self, points: Points, where: Callable[[Points], np.ndarray], rounds: int) -> Points:
        """Halve the steps that `where` picks until it picks none."""
        for _ in range(rounds):
            i = where(points)
            if len(i) == 0:
                break
            points = self._with(points, points.cell[i], 0.5 * (points.x[i] + points.x[i + 1]))
        return points

    def _coarse(self, points: Points) -> np.ndarray:
        """Steps in which a root moves too far."""
        moves = np.max(np.abs(np.diff(points.logs)), axis=(0, 1)) > _TURN
        return np.flatnonzero(moves & self._joined(points))

    def _dips(self, points: Points) -> np.ndarray:
        """Steps next to a point where J comes near zero without changing sign."""
        joined = self._joined(points)
        size = np.abs(points.J)
        fall = size[:, :-1] - size[:, 1:]  # positive where J approaches zero
        same = points.J[:, :-1] * points.J[:, 1:] > 0
        low = joined[:-1] & joined[1:] & np.all([same[:, :-1], same[:, 1:]], axis=0)
        low = low & (fall[:, :-1] >= 0) & (fall[:, 1:] <= 0)
        low &= np.maximum(fall[:, :-1], -fall[:, 1:]) > 0.02 * size[:, 1:-1]
        low &= self._near(points)[:, 1:-1] & (size[:, 1:-1] > 1e-13)  # below that J is rounding noise
        i = np.flatnonzero(np.any(low, axis=0))
        return np.unique(np.concatenate([i, i + 1]))

    def _joined(self, points: Points) -> np.ndarray:
        """Steps within one interval with real roots at both ends."""
        real = (points.g >= self.folds[0]) | (points.g <= self.folds[1])
        return (np.diff(points.cell) == 0) & real[:-1] & real[1:]

    def _near(self, points: Points) -> np.ndarray:
        """Where w is no larger than the spectrum of U; far outside J is rounding noise."""
        return np.abs(points.w) < 2 * self.eq.top

    def _zeros(self, points: Points, of: Callable[[Points], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Both ends of the last bracket of each sign change along the eta axis."""
        value = of(points)
        i = np.flatnonzero((np.diff(points.cell) == 0) & ((value[:-1] > 0) != (value[1:] > 0)))
        cell, low, high = self._bracket(points, i, of)
        return np.tile(cell, 2), np.concatenate([low, high])

    def _stationary(self, points: Points, root: int) -> np.ndarray:
        """Stationary values of w along one root."""
        J, near = points.J[root], self._near(points)[root]
        crossed = ((J[:-1] > 0) != (J[1:] > 0)) & (near[:-1] | near[1:])
        i = np.flatnonzero(self._joined(points) & crossed)
        cell, low, high = self._bracket(points, i, lambda p: p.J[root])
        return self._at(cell, 0.5 * (low + high)).w[root]

    def _bracket(
        self, points: Points, i: np.ndarray, of: Callable[[Points], np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cut the steps i, over which a function changes sign, into 16 parts again and again."""
        cell, low, high = points.cell[i], points.x[i], points.x[i + 1]
        rising = of(points)[i + 1] > 0
        for _ in range(_ROUNDS):
            x = low + (high - low) * (np.arange(1, _PARTS) / _PARTS)[:, None]  # [parts - 1, i]
            value = of(self._at(np.tile(cell, _PARTS - 1), x.ravel())).reshape(x.shape)
            past = np.sum(np.cumsum((value > 0) == rising, axis=0) == 0, axis=0)  # parts before the change
            ladder = np.concatenate([[low], x, [high]])
            low, high = ladder[past, np.arange(len(i))], ladder[past + 1, np.arange(len(i))]
        return cell, low, high
