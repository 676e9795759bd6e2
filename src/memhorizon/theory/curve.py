"""The real solutions of the equations as a curve, and the stationary points of w on it: candidates for edges.

With eta = kappa/Y, Y = X + b2, rho = X/Y, e = eta al/(1 + eta al), d = 1 - e, (I) is quadratic in rho,

    g rho^2 - (g - b2 + c) rho + c = 0,    g = (psi_n - 1 + <d>)/(psi_n eta),    c = v2/psi_n,

so that eta and the choice of a root are coordinates of the curve. On it
w = Y (v2 eta - (psi_p - 1) rho - rho^2 <d>), and w is stationary where J = 0,

    J = (psi_p - <(1 - rho d)^2>)(<e^2> - psi_n) + (v2 eta/rho + rho <e d>)^2.

A solution on the real axis is that of a gap only if both brackets of J are of the sign that they have far
outside of the spectrum, so that <e^2> < psi_n. In u = 1/eta, e^2 = al^2/(u + al)^2 is convex between two
poles; where its minimum between neighbouring poles is above psi_n, no gap can be, and nothing is searched.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from memhorizon.theory.equations import Equations

_BLOCK = 2**20  # entries of the largest temporary array
# Of the first grid, in the logarithm of the distance to the poles of eta.
_REACH = 44.0
_SPACING = 0.2
_THIRDS = 60  # (2/3)^60 of the width
_HALVES = 12  # 2^-12 of the width
_TURN = 0.2  # largest change of log |rho| and log |1 - rho| from one grid point to the next
_AROUND = np.concatenate([[0.0], *([s * _SPACING * 2.0 ** -np.arange(1, 45)] for s in (1, -1))], axis=None)
# Of the search for a change of sign.
_PARTS = 16
_ROUNDS = 12


class Points(NamedTuple):
    """Points on the eta axis; the two roots rho lie along the axis of length 2."""

    cell: np.ndarray  # which interval between poles [m]
    x: np.ndarray  # coordinate in it, increasing with eta [m]
    h: np.ndarray  # <e^2> - psi_n, zero where g is stationary [m]
    g: np.ndarray  # [m]
    logs: np.ndarray  # log |rho|, log |1 - rho| [2, 2, m]
    J: np.ndarray  # in units of the sum of its terms [2, m]
    w: np.ndarray  # [2, m]


class Averages(NamedTuple):
    """Of e and d = 1 - e over the eigenvalues of Sigma, at each eta; all [m]."""

    d: np.ndarray  # <d>
    d2: np.ndarray  # <d^2>
    ed: np.ndarray  # <e d>
    h: np.ndarray  # <e^2> - psi_n


Places = tuple[np.ndarray, np.ndarray]  # cells and coordinates of points [m]
Value = Callable[[Points], np.ndarray]  # a function on the eta axis [m]


class Curve:
    """The real curve of one model, and grids on it."""

    def __init__(self, equations: Equations) -> None:
        self.eq = equations
        positive = equations.al > 0
        self.al = equations.al[positive]
        self.weights = equations.weights[positive]
        self.null = float(equations.weights[equations.al == 0].sum())
        self.poles = np.append(-1 / self.al, 0.0)  # of eta, ascending
        self.between = self._pole_differences()
        b = np.sqrt(equations.b2)
        c = np.sqrt(equations.v2 / equations.psi_n)
        self.c = equations.v2 / equations.psi_n
        self.folds = ((b + c) ** 2, (b - c) ** 2)  # the roots are real where g is not between them

    def _pole_differences(self) -> np.ndarray:
        """Pole i minus pole j, to all digits. [k + 1, k + 1]."""
        between = self.poles[:, None] - self.poles
        # -1/al_i + 1/al_j = (al_i - al_j)/(al_i al_j)
        between[:-1, :-1] = (self.al[:, None] - self.al) / np.outer(self.al, self.al)
        return between

    def critical(self) -> Float[np.ndarray, " m"]:
        """All stationary values of w, ascending, those of solutions that are not physical included."""
        with np.errstate(all="ignore"):  # the ends of the grid may overflow; nothing is stationary there
            points = self._first_grid()
            points = self._with(points, self._zeros(points, lambda p: p.h))  # g is monotone in between now
            for level in (*self.folds, 0.0):  # rho has square roots at the folds and a pole at g = 0
                points = self._with(points, self._around(points, level))
            points = self._refined(points, self._coarse, 8)
            points = self._refined(points, self._dips, 30)
            found = [self._stationary(points, root) for root in (0, 1)]
        return np.sort(np.concatenate(found))

    def _first_grid(self) -> Points:
        """The same coordinates in the intervals at the ends; in the others as far as <e^2> < psi_n."""
        ends = np.array([0, len(self.al), len(self.poles)])
        inner, low, high = self._stable()
        low = np.concatenate([np.full(len(ends), -_REACH), low - _SPACING])
        high = np.concatenate([np.full(len(ends), _REACH), high + _SPACING])
        counts = np.ceil((high - low) / _SPACING).astype(int) + 1
        step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return self._at(
            np.repeat(np.concatenate([ends, inner]), counts), np.repeat(low, counts) + _SPACING * step
        )

    def _stable(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Intervals between neighbouring poles where <e^2> < psi_n somewhere, and their ends there. [m]."""
        # w A/(u + al)^2 of the two poles alone, at its minimum: (A^(1/3) + B^(1/3))^3 / distance^2
        roots = np.cbrt(self.weights * self.al**2)
        least = (roots[:-1] + roots[1:]) ** 3 / np.diff(self.al) ** 2
        cell = 1 + np.flatnonzero(least < self.eq.psi_n)
        x = self._lowest(cell)
        below = self._h(cell, x) < 0
        cell = cell[below]
        x = x[below]
        return cell, self._border(cell, x, -_REACH), self._border(cell, x, _REACH)

    def _lowest(self, cell: np.ndarray) -> np.ndarray:
        """Where <e^2> is smallest in inner intervals, by thirds: it falls, then rises. [m]."""
        low = np.full(len(cell), -_REACH)
        high = np.full(len(cell), _REACH)
        for _ in range(_THIRDS):
            first = low + (high - low) / 3
            second = high - (high - low) / 3
            rising = self._h(cell, first) < self._h(cell, second)
            low = np.where(rising, low, first)
            high = np.where(rising, second, high)
        return 0.5 * (low + high)

    def _border(self, cell: np.ndarray, inside: np.ndarray, end: float) -> np.ndarray:
        """How far towards an end <e^2> < psi_n, by halves, to less than a step of the grid. [m]."""
        outside = np.full(len(cell), end)
        for _ in range(_HALVES):
            middle = 0.5 * (inside + outside)
            below = self._h(cell, middle) < 0
            inside = np.where(below, middle, inside)
            outside = np.where(below, outside, middle)
        return outside

    def _h(self, cell: np.ndarray, x: np.ndarray) -> np.ndarray:
        """<e^2> - psi_n. [m]."""
        return self._averages(self._distances(cell, x)).h

    def _around(self, points: Points, level: float) -> Places:
        """Places that cluster at the points where g is this large."""
        cell, x = self._zeros(points, lambda p: p.g - level)
        return np.tile(cell, len(_AROUND)), (x + _AROUND[:, None]).ravel()

    def _at(self, cell: np.ndarray, x: np.ndarray) -> Points:
        """Evaluate; where the roots are complex, their common real part takes their place."""
        size = max(1, _BLOCK // len(self.poles))
        starts = range(0, max(1, len(cell)), size)
        blocks = [self._block(cell[i : i + size], x[i : i + size]) for i in starts]
        return Points(*(np.concatenate(column, axis=-1) for column in zip(*blocks, strict=True)))

    def _block(self, cell: np.ndarray, x: np.ndarray) -> Points:
        """Evaluate points that fit into memory together."""
        eq = self.eq
        distance = self._distances(cell, x)  # [k + 1, m]
        eta = distance[-1]
        mean = self._averages(distance)
        # g = (psi_n - 1 + <d>)/(psi_n eta)
        g = (eq.psi_n - 1 + mean.d) / (eq.psi_n * eta)
        rho, sigma = self._roots(g)  # sigma = 1 - rho [2, m]
        J = self._stationarity(eta, rho, mean)
        # w = Y (v2 eta - (psi_p - 1) rho - rho^2 <d>), Y = b2/(1 - rho)
        w = eq.b2 / sigma * (eq.v2 * eta - (eq.psi_p - 1) * rho - rho**2 * mean.d)
        return Points(cell, x, mean.h, g, np.log(np.abs([rho, sigma])), J, w)

    def _averages(self, distance: np.ndarray) -> Averages:
        """From the distances of eta to the poles: e = eta/(eta - pole), d = 1/(al (eta - pole))."""
        e = distance[-1] / distance[:-1]  # [k, m]
        d = 1 / (self.al[:, None] * distance[:-1])  # [k, m]
        return Averages(
            d=self.null + self.weights @ d,
            d2=self.null + self.weights @ d**2,
            ed=self.weights @ (e * d),
            # e^2 = 1 - d (1 + e)
            h=1 - self.eq.psi_n - self.null - self.weights @ (d * (1 + e)),
        )

    def _stationarity(self, eta: np.ndarray, rho: np.ndarray, mean: Averages) -> np.ndarray:
        """J in units of the sum of its terms. [2, m]."""
        eq = self.eq
        miss = 1 - 2 * rho * mean.d + rho**2 * mean.d2  # <(1 - rho d)^2>
        left = eq.v2 * eta / rho
        right = rho * mean.ed
        # J = (psi_p - <(1 - rho d)^2>)(<e^2> - psi_n) + (v2 eta/rho + rho <e d>)^2
        J = (eq.psi_p - miss) * mean.h + (left + right) ** 2
        # the same with each term at its size
        unit = (eq.psi_p + np.abs(miss)) * np.abs(mean.h) + (np.abs(left) + np.abs(right)) ** 2
        return J / unit

    def _distances(self, cell: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Eta minus each pole (the last one is eta itself), to all digits. [k + 1, m]."""
        last = len(self.poles)
        left = np.clip(cell - 1, 0, None)
        right = np.clip(cell, None, last - 1)
        from_left, to_right = self._ends(cell, x, left, right)
        passed = np.arange(last)[:, None] < cell
        return np.where(passed, from_left + self.between[left].T, -(to_right + self.between[:, right]))

    def _ends(self, cell: np.ndarray, x: np.ndarray, left: np.ndarray, right: np.ndarray) -> Places:
        """Distances of eta to the poles on its left and on its right. [m]."""
        inner = (cell > 0) & (cell < len(self.poles))
        width = np.where(inner, self.between[right, left], self._outer_width(right))
        # between two poles eta is a logistic function of x, outside an exponential one
        from_left = width * np.where(inner, 1 / (1 + np.exp(-x)), np.exp(x))
        to_right = width * np.where(inner, 1 / (1 + np.exp(x)), np.exp(-x))
        return from_left, to_right

    def _outer_width(self, pole: np.ndarray) -> np.ndarray:
        """Unit of the distance to a pole beyond which there is none. [m]."""
        return np.abs(self.poles[pole]) + 1 / self.al[-1]

    def _roots(self, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both roots rho and 1 - rho, each in the form that does not cancel. [2, m]."""
        b2 = self.eq.b2
        c = self.c
        split = np.array([[1.0], [-1.0]]) * self._discriminant_root(g)
        m = g - b2 + c
        n = g + b2 - c
        rho = np.where(m * split > 0, (m + split) / (2 * g), 2 * c / (m - split))
        sigma = np.where(n * split < 0, (n - split) / (2 * g), 2 * b2 / (n + split))
        return rho, sigma

    def _discriminant_root(self, g: np.ndarray) -> np.ndarray:
        """Square root of the discriminant of g rho^2 - (g - b2 + c) rho + c; 0 where it is negative. [m]."""
        return np.sqrt(np.clip((g - self.folds[0]) * (g - self.folds[1]), 0.0, None))

    def _with(self, points: Points, places: Places) -> Points:
        """Add grid points, in order."""
        new = self._at(*places)
        merged = Points(*(np.concatenate([a, b], axis=-1) for a, b in zip(points, new, strict=True)))
        return _in_order(merged)

    def _refined(self, points: Points, where: Value, rounds: int) -> Points:
        """Halve the steps that `where` picks until it picks none."""
        for _ in range(rounds):
            i = where(points)
            if not len(i):
                break
            points = self._halved(points, i)
        return points

    def _halved(self, points: Points, i: np.ndarray) -> Points:
        """Add the middles of these steps."""
        middle = 0.5 * (points.x[i] + points.x[i + 1])
        return self._with(points, (points.cell[i], middle))

    def _coarse(self, points: Points) -> np.ndarray:
        """Steps in which a root moves too far."""
        moves = np.max(np.abs(np.diff(points.logs)), axis=(0, 1)) > _TURN
        return np.flatnonzero(moves & self._joined(points))

    def _dips(self, points: Points) -> np.ndarray:
        """Steps next to a point where J comes near zero without changing sign."""
        joined = self._joined(points)
        low = joined[:-1] & joined[1:] & _dipping(points.J)
        low &= self._near(points)[:, 1:-1]
        i = np.flatnonzero(np.any(low, axis=0))
        return np.unique(np.concatenate([i, i + 1]))

    def _joined(self, points: Points) -> np.ndarray:
        """Steps within one interval with real roots at both ends."""
        real = self._are_real(points)
        return (np.diff(points.cell) == 0) & real[:-1] & real[1:]

    def _are_real(self, points: Points) -> np.ndarray:
        """Where the roots are real: g does not lie between the folds. [m]."""
        return (points.g >= self.folds[0]) | (points.g <= self.folds[1])

    def _near(self, points: Points) -> np.ndarray:
        """Where w is no larger than the spectrum of U; far outside J is rounding noise."""
        return np.abs(points.w) < 2 * self.eq.top

    def _zeros(self, points: Points, of: Value) -> Places:
        """Both ends of the last bracket of each sign change along the eta axis."""
        value = of(points)
        changed = (np.diff(points.cell) == 0) & _changes(value)
        cell, low, high = self._bracket(points, np.flatnonzero(changed), of)
        return np.tile(cell, 2), np.concatenate([low, high])

    def _stationary(self, points: Points, root: int) -> np.ndarray:
        """Stationary values of w along one root."""
        near = self._near(points)[root]
        crossed = _changes(points.J[root]) & (near[:-1] | near[1:]) & self._joined(points)
        cell, low, high = self._bracket(points, np.flatnonzero(crossed), lambda p: p.J[root])
        return self._at(cell, 0.5 * (low + high)).w[root]

    def _bracket(self, points: Points, i: np.ndarray, of: Value) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cut the steps i, over which a function changes sign, into 16 parts again and again."""
        cell = points.cell[i]
        low = points.x[i]
        high = points.x[i + 1]
        rising = of(points)[i + 1] > 0
        for _ in range(_ROUNDS):
            x = low + (high - low) * (np.arange(1, _PARTS) / _PARTS)[:, None]  # [parts - 1, i]
            value = of(self._at(np.tile(cell, _PARTS - 1), x.ravel())).reshape(x.shape)
            low, high = _part_of_change(low, x, high, (value > 0) == rising)
        return cell, low, high


def _in_order(points: Points) -> Points:
    """Sorted by cell, and by x within a cell."""
    order = np.lexsort((points.x, points.cell))
    return Points(*(column[..., order] for column in points))


def _part_of_change(low: np.ndarray, x: np.ndarray, high: np.ndarray, after: np.ndarray) -> Places:
    """Ends of the part in which the change lies; `after` says which x lie behind it. [i]."""
    past = np.sum(np.cumsum(after, axis=0) == 0, axis=0)  # parts before the change
    ladder = np.concatenate([[low], x, [high]])  # [parts + 1, i]
    column = np.arange(len(low))
    return ladder[past, column], ladder[past + 1, column]


def _changes(value: np.ndarray) -> np.ndarray:
    """Steps over which a function changes sign."""
    return (value[:-1] > 0) != (value[1:] > 0)


def _dipping(J: np.ndarray) -> np.ndarray:
    """Inner points [2, m - 2] at which |J| is lowest without a change of sign, and not by rounding."""
    size = np.abs(J)
    fall = size[:, :-1] - size[:, 1:]  # positive where J approaches zero
    before = fall[:, :-1]
    after = fall[:, 1:]
    inner = size[:, 1:-1]
    lowest = (before >= 0) & (after <= 0) & _keeps_its_sign(J)
    steep = np.maximum(before, -after) > 0.02 * inner
    return lowest & steep & (inner > 1e-13)  # below that J is rounding noise


def _keeps_its_sign(J: np.ndarray) -> np.ndarray:
    """Inner points whose neighbours on both sides have their sign. [2, m - 2]."""
    same = J[:, :-1] * J[:, 1:] > 0
    return same[:, :-1] & same[:, 1:]
