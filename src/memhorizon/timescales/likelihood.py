"""The likelihood of log times that are normal about a line, some of them known as bounds only.

Source: [tobin1958]
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import optimize
from scipy.linalg import solve_triangular
from scipy.special import erfcx, log_ndtr

SMALLEST_SCATTER = 1e-7  # of log time: a power law that holds exactly
_LARGEST_LOG_SCATTER = 10.0
_LEAST_LEFT = 1e-6  # share of the information on the coefficients that is left where the scatter is not known


@dataclass(frozen=True)
class Fit:
    """The best parameters and what they reach.

    Attributes:
        coefficients: of the columns of the design. [k]
        log_scatter: natural logarithm of the scatter.
        deviance: minus twice the log likelihood.
    """

    coefficients: Float[np.ndarray, " k"]
    log_scatter: float
    deviance: float


@dataclass(frozen=True)
class _Derivatives:
    """Derivatives of the log likelihood of each row by its center and its variance v; all are [m].

    Attributes:
        center2: minus the second one by the center.
        mixed: minus that by the center and v.
        variance2: minus the second one by v.
        variance1: the first one by v.
    """

    center2: np.ndarray
    mixed: np.ndarray
    variance2: np.ndarray
    variance1: np.ndarray


@dataclass(frozen=True)
class Information:
    """Minus the second derivatives of the log likelihood at (coefficients, log scatter), in three parts.

    Attributes:
        weights: d of the rows, none negative: the block of the coefficients is X^T diag(d) X. [rows]
        mixed: c, by a coefficient and the log scatter. [k]
        scatter: s, by the log scatter twice.
    """

    weights: Float[np.ndarray, " rows"]
    mixed: Float[np.ndarray, " k"]
    scatter: float

    def by_scatter(self, inverse: Float[np.ndarray, "k k"]) -> np.ndarray:
        """What not knowing the scatter adds to the covariance; nothing where it is no maximum. [k, k].

        R^-1 v v^T R^-T / (1 - v^T v), v = R^-T c / sqrt(s), from R^-1.
        """
        v = inverse.T @ self.mixed / np.sqrt(self.scatter)
        left = 1 - float(v @ v)
        if left < _LEAST_LEFT:
            return np.zeros_like(inverse)
        along = inverse @ v
        return np.outer(along, along) / left


@dataclass(frozen=True)
class Held:
    """A coefficient that is held at a value."""

    index: int
    value: float


@dataclass(frozen=True)
class Covariance:
    """Of the coefficients.

    Attributes:
        matrix: positive by construction; None where the rows leave a coefficient undetermined. [k, k]
        no_scatter: whether the scatter is nothing.
    """

    matrix: Float[np.ndarray, "k k"] | None
    no_scatter: bool = False


@dataclass(frozen=True)
class LogTimes:
    """Log times y with their errors, the side on which they are censored, and the design X.

    Attributes:
        y: log times, or log bounds.
        error: their standard deviations.
        side: 0 where observed, 1 where y is a lower bound, -1 where it is an upper one.
        X: a column of ones and one for each factor.
    """

    y: Float[np.ndarray, " rows"]
    error: Float[np.ndarray, " rows"]
    side: Float[np.ndarray, " rows"]
    X: Float[np.ndarray, "rows columns"]

    @property
    def seen(self) -> np.ndarray:
        """Which were observed."""
        return self.side == 0

    def deviance(
        self, parameters: Float[np.ndarray, " q"], offset: Float[np.ndarray, " rows"], X: np.ndarray
    ) -> tuple[float, Float[np.ndarray, " q"]]:
        """Minus twice the log likelihood at (coefficients of X, log scatter), and its gradient."""
        # z = (y - X beta) / sqrt(v), v = scatter^2 + error^2
        scatter2 = np.exp(2 * parameters[-1])
        variance = scatter2 + self.error**2
        sd = np.sqrt(variance)
        z = (self.y - offset - X @ parameters[:-1]) / sd
        u, hazard = self._tail(z)

        # log density -z^2/2 - log sd where observed, log Phi(u) where censored
        terms = np.where(self.seen, -(z**2) / 2 - np.log(sd), log_ndtr(u))

        # its derivatives by the center X beta and by the variance v
        by_center = np.where(self.seen, z, self.side * hazard) / sd
        by_variance = np.where(self.seen, z**2 - 1, -hazard * u) / (2 * variance)

        # dv / d log scatter = 2 scatter^2
        gradient = np.append(X.T @ by_center, 2 * scatter2 * by_variance.sum())
        return -2 * float(terms.sum()), -2 * gradient

    def information(self, fit: Fit) -> Information:
        """The second derivatives at a fit."""
        scatter2 = np.exp(2 * fit.log_scatter)
        v = scatter2 + self.error**2
        z = (self.y - self.X @ fit.coefficients) / np.sqrt(v)
        found = self._derivatives(z, v)
        # d2 by log scatter = d2 by v (2 scatter^2)^2 + d by v 4 scatter^2
        scatter = np.sum(found.variance2 * (2 * scatter2) ** 2 - found.variance1 * 4 * scatter2)
        return Information(found.center2, self.X.T @ (found.mixed * 2 * scatter2), float(scatter))

    def _derivatives(self, z: np.ndarray, v: np.ndarray) -> _Derivatives:
        """Those of each row at z = (y - center)/sqrt v, from phi where it was seen and from Phi elsewhere."""
        u, hazard = self._tail(z)
        bend = np.clip(hazard * (hazard + u), 0, 1)  # -(log Phi)'', within (0, 1) but for rounding
        mixed = self.side * (hazard - bend * u) / 2
        variance2 = (bend * u**2 - 3 * hazard * u) / 4
        return _Derivatives(
            center2=np.where(self.seen, 1, bend) / v,
            mixed=np.where(self.seen, z, mixed) / v**1.5,
            variance2=np.where(self.seen, z**2 - 0.5, variance2) / v**2,
            variance1=np.where(self.seen, z**2 - 1, -hazard * u) / (2 * v),
        )

    def covariance(self, fit: Fit) -> Covariance:
        """Of the coefficients at a fit.

        The information has the blocks A = X^T diag(d) X = R^T R of the coefficients, c mixed and s of log
        scatter. With v = R^-T c / sqrt(s), the block of its inverse is

            (A - c c^T / s)^-1 = R^-1 (1 + v v^T / (1 - v^T v)) R^-T.

        Where the scatter lies at its bound, is flat in the likelihood or no maximum (v^T v >= 1), there is no
        inverse: the scatter is then taken as known, and (R^T R)^-1 is left.
        """
        known = self.information(fit)
        R = np.asarray(np.linalg.qr(np.sqrt(known.weights)[:, None] * self.X, mode="r"))
        if np.min(abs(np.diag(R))) <= 1e-14 * np.max(abs(R)):
            return Covariance(None)
        inverse = solve_triangular(R, np.eye(len(R)))
        of_known_scatter = inverse @ inverse.T
        at_bound = fit.log_scatter <= np.log(SMALLEST_SCATTER) + 1e-6
        if at_bound or known.scatter < 1e-3 * len(self.y):  # 2 a row where the scatter is all there is
            return Covariance(of_known_scatter, no_scatter=True)
        return Covariance(of_known_scatter + known.by_scatter(inverse))

    def fit(self, start: np.ndarray, scatters: Sequence[float], held: Held | None = None) -> Fit:
        """The best parameters, one coefficient held if told so.

        Beside errors and bounds the deviance can have two minima in the scatter, one of them near 0, so the
        search begins at each of `scatters`.
        """
        free = [i for i in range(self.X.shape[1]) if held is None or i != held.index]
        offset = self._offset(held)
        tried = [self._search(np.append(start[free], np.log(one)), offset, free) for one in scatters]
        found = min(tried, key=lambda one: one.fun)
        best = np.full(self.X.shape[1], 0.0 if held is None else held.value)
        best[free] = found.x[:-1]
        return Fit(best, float(found.x[-1]), float(found.fun))

    def _offset(self, held: Held | None) -> Float[np.ndarray, " rows"]:
        """What the coefficient that is held adds to the line."""
        return np.zeros_like(self.y) if held is None else self.X[:, held.index] * held.value

    def _search(
        self, start: np.ndarray, offset: Float[np.ndarray, " rows"], free: Sequence[int]
    ) -> optimize.OptimizeResult:
        scatter = (np.log(SMALLEST_SCATTER), _LARGEST_LOG_SCATTER)
        return optimize.minimize(
            self.deviance,
            start,
            args=(offset, self.X[:, free]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(None, None)] * len(free) + [scatter],
            options={"ftol": 1e-13, "gtol": 1e-7},
        )

    def _tail(self, z: Float[np.ndarray, " rows"]) -> tuple[np.ndarray, np.ndarray]:
        """A censored time lies beyond its bound with probability Phi(u): u, and the derivative of log Phi."""
        u = -self.side * z
        return u, np.sqrt(2 / np.pi) / erfcx(-u / np.sqrt(2))  # no difference of large numbers far out
