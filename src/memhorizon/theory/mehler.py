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
    covariance = (W * variance) @ W.T / d
    spread = np.sqrt(np.diagonal(covariance).copy())  # [p]
    R = covariance / np.outer(spread, spread)
    off = np.abs(R)
    np.fill_diagonal(off, 0.0)
    largest = float(np.max(off))
    U, slope = np.zeros((p, p)), np.zeros(p)
    diagonal, points, bound = np.zeros(p), np.empty_like(center), 0.0
    for block in _blocks(center.shape[1], p, _nodes(float(np.max(spread)))[0].size):
        coefficient, square = hermite_coefficients(sigma, center[:, block], spread)
        diagonal += square.sum(axis=1)
        points[:, block], first = coefficient[0], coefficient[1]
        slope += first.sum(axis=1) / spread
        power, rest, tail = np.ones_like(R), square.copy(), 0.0
        for k, c in enumerate(coefficient):
            U += power * (c @ c.T)
            rest -= c**2  # what the terms beyond k still hold: Parseval
            tail = largest ** (k + 1) * max(float(np.max(rest)), 0.0)
            if tail < ENTRY_TOLERANCE:
                break
            power *= R
        bound = max(bound, tail)
    np.fill_diagonal(U, diagonal)
    n = center.shape[1]
    V = (
        sqrt(noise_variance / d) * (slope / n)[:, None] * W
    )  # Stein: E[z sigma] = E[sigma'] times the slope in z
    return U / n, V, points, bound


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
    coefficient = (_hermite(node) * weight) @ flat
    np.square(flat, out=flat)
    return coefficient.reshape(-1, *center.shape), (weight @ flat).reshape(center.shape)


def _relu_coefficients(x: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same for relu with x = m/s: all derivatives beyond the first are those of a Gaussian density."""
    density, below = np.exp(-(x**2) / 2) / sqrt(2 * np.pi), ndtr(x)
    coefficient = [s * (x * below + density), s * below]
    hermite = _hermite(x.ravel()).reshape(-1, *x.shape)
    for k in range(2, MAX_ORDER + 1):  # h_{k-2} sqrt((k-2)!/k!) = He_{k-2}/sqrt(k!)
        coefficient.append((-1) ** k * s * density * hermite[k - 2] / sqrt(k * (k - 1)))
    return np.stack(coefficient), s**2 * ((1 + x**2) * below + x * density)


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
