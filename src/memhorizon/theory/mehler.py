"""Averages of sigma(Gaussian vector) without sampling: Hermite coefficients and Mehler's formula."""

from collections.abc import Iterator
from math import ceil, sqrt

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from memhorizon.theory.activations import Activation

ENTRY_TOLERANCE = 1e-12  # the Hermite series of U stops when no entry can change by more
MAX_ORDER = 20  # Hermite functions up to this order fit into the range of the quadrature
BLOCK = 2**25  # numbers held at once while averaging over the noise


def gaussian_moments(
    sigma: Activation,
    W: Float[np.ndarray, "p d"],
    center: Float[np.ndarray, "p n"],
    variance: Float[np.ndarray, " d"],
    noise_variance: float,
) -> tuple[Float[np.ndarray, "p p"], Float[np.ndarray, "p d"], Float[np.ndarray, "p n"], float]:
    """Moments of sigma(center + W y/sqrt(d)), y Gaussian with independent coordinates of the given variances.

    Returns:
        Second moment averaged over the n centers; correlation with the standard noise z that y contains as
        sqrt(noise_variance) z; mean features per center; bound on the error of an entry of the first. The
        off-diagonal entries are the Hermite series in the correlation of two rows, the diagonal is exact.

    Source: [mehler1866]
    """
    p, d = W.shape
    n = center.shape[1]
    spread, R = _correlations(W, variance)
    sums = _Sums(p, n, R)
    for block in _blocks(n, p, len(_nodes(float(np.max(spread)))[0])):
        coefficient, square = hermite_coefficients(sigma, center[:, block], spread)
        sums.add(block, coefficient, square, spread)
    np.fill_diagonal(sums.U, sums.diagonal)
    # Stein: E[z sigma] is E[sigma'] times the slope of the argument in z
    V = sqrt(noise_variance / d) * (sums.slope / n)[:, None] * W  # [p, d]
    return sums.U / n, V, sums.points, sums.bound


def _correlations(W: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations [p] and correlations [p, p] of W y/sqrt(d)."""
    covariance = (W * variance) @ W.T / W.shape[1]
    spread = np.sqrt(np.diagonal(covariance).copy())
    return spread, covariance / np.outer(spread, spread)


class _Sums:
    """Sums over the training points, made block by block.

    Attributes:
        U: sum of E[sigma sigma^T], right off the diagonal. [p, p]
        diagonal: sum of E[sigma^2]. [p]
        slope: sum of E[sigma']. [p]
        points: E[sigma] of each point. [p, n]
        bound: on the error of an entry of U/n.
    """

    def __init__(self, p: int, n: int, R: np.ndarray) -> None:
        self.R = R
        off = np.abs(R)
        np.fill_diagonal(off, 0.0)
        self.largest = float(np.max(off))
        self.U = np.zeros((p, p))
        self.diagonal = np.zeros(p)
        self.slope = np.zeros(p)
        self.points = np.empty((p, n))
        self.bound = 0.0

    def add(self, block: slice, coefficient: np.ndarray, square: np.ndarray, spread: np.ndarray) -> None:
        """Add points by their Hermite coefficients [k, p, block] and E[sigma^2] [p, block]."""
        self.points[:, block] = coefficient[0]
        self.slope += coefficient[1].sum(axis=1) / spread  # E[g sigma] = spread E[sigma']
        self.diagonal += square.sum(axis=1)
        self.bound = max(self.bound, self._add_series(coefficient, square))

    def _add_series(self, coefficient: np.ndarray, square: np.ndarray) -> float:
        """U_ij += sum_k R_ij^k c_ik c_jk until no entry can change; returns what is left out at most."""
        power = np.ones_like(self.R)  # R^k, entry by entry
        rest = square.copy()  # sum of c_k^2 beyond k, by Parseval
        tail = 0.0
        for k, c in enumerate(coefficient):
            self.U += power * (c @ c.T)
            rest -= c**2
            tail = self.largest ** (k + 1) * max(float(np.max(rest)), 0.0)
            if tail < ENTRY_TOLERANCE:
                break
            power *= self.R
        return tail


def hermite_coefficients(
    sigma: Activation,
    center: Float[np.ndarray, "p n"],
    spread: Float[np.ndarray, " p"],
) -> tuple[Float[np.ndarray, "k p n"], Float[np.ndarray, "p n"]]:
    """E[sigma(m + s g) h_k(g)] for orthonormal Hermite polynomials h_k, and E[sigma(m + s g)^2]; g standard.

    By the trapezoid rule, whose error falls exponentially with the distance of the nearest pole of sigma;
    relu, which has a kink, in closed form. A callable should be smooth.
    """
    s = spread[:, None]
    if sigma.name == "relu" and sigma.moments is not None:
        return _relu_coefficients(center / s, s)
    node, weight = _nodes(float(np.max(spread)))
    value = sigma.function(center[None] + s[None] * node[:, None, None])  # [nodes, p, n]
    flat = value.reshape(len(node), -1)
    coefficient = (_hermite(node) * weight) @ flat  # [k, p n]
    np.square(flat, out=flat)
    square = weight @ flat  # [p n]
    return coefficient.reshape(-1, *center.shape), square.reshape(center.shape)


def _relu_coefficients(x: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same for relu with x = m/s: all derivatives beyond the first are those of a Gaussian density."""
    density = np.exp(-(x**2) / 2) / sqrt(2 * np.pi)
    below = ndtr(x)
    # c_0 = s (x Phi(x) + phi(x)), c_1 = s Phi(x)
    coefficient = [s * (x * below + density), s * below, *_beyond_first(x, s, density)]
    # E sigma^2 = s^2 ((1 + x^2) Phi(x) + x phi(x))
    square = s**2 * ((1 + x**2) * below + x * density)
    return np.stack(coefficient), square


def _beyond_first(x: np.ndarray, s: np.ndarray, density: np.ndarray) -> list[np.ndarray]:
    """c_k for k >= 2: (-1)^k s phi(x) He_{k-2}(x)/sqrt(k!), He_{k-2}/sqrt(k!) = h_{k-2}/sqrt(k (k - 1))."""
    hermite = _hermite(x.ravel()).reshape(-1, *x.shape)
    signed = [(-1) ** k * s * density for k in range(2, MAX_ORDER + 1)]
    return [c * hermite[i] / sqrt((i + 2) * (i + 1)) for i, c in enumerate(signed)]


def _hermite(x: np.ndarray) -> np.ndarray:
    """Orthonormal Hermite polynomials of orders 0 to MAX_ORDER. Shape [k, m]."""
    h = [np.ones_like(x), x]
    for k in range(1, MAX_ORDER):
        h.append((x * h[k] - sqrt(k) * h[k - 1]) / sqrt(k + 1))
    return np.stack(h)


def _nodes(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Trapezoid nodes and weights of the standard Gaussian, fine enough for sigma stretched by `scale`."""
    step = 0.25 / max(0.5, scale)
    node = step * np.arange(-ceil(9 / step), ceil(9 / step) + 1)
    return node, step * np.exp(-(node**2) / 2) / sqrt(2 * np.pi)


def _blocks(n: int, p: int, copies: int) -> Iterator[slice]:
    """Slices of the n training points such that `copies` arrays [p, block] stay below BLOCK numbers."""
    size = max(1, BLOCK // (p * copies))
    return (slice(i, min(i + size, n)) for i in range(0, n, size))
