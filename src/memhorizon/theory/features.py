"""The random-features network at finite size: its second moments, averaged over the noise without sampling any.

With rows w_i of W and training points x^nu, every pre-activation w_i.x_t/sqrt(d) is Gaussian in the noise, so that
all averages follow from one-dimensional Hermite coefficients and the correlations of the rows (Mehler's formula).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, exp, sqrt
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped
from scipy.special import ndtr

from memhorizon.results import InputError
from memhorizon.theory.activations import activation_function
from memhorizon.theory.coefficients import coefficients
from memhorizon.theory.model import FeatureModel, Spectrum

Features = Literal["true", "equivalent"]
ENTRY_TOLERANCE = 1e-12  # the Hermite series of U stops when no entry can change by more
MAX_ORDER = 20  # Hermite functions up to this order fit into the range of the quadrature
BLOCK = 2**23  # numbers held at once while averaging over the noise


@dataclass(frozen=True)
class FiniteMatrices:
    """All that gradient descent on the output weights A can see of one draw of the network and of its data.

    Attributes:
        U: second moment of the features over training points and noise. [p, p]
        V: their correlation with the noise. [p, d]
        U_test: second moment of the features over fresh points and noise. [p, p]
        V_test: its correlation with the noise. [p, d]
        W: first-layer weights. [p, d]
        points: mean feature vector of each training point. [p, n]
        scale: train loss at A = 0: mean of |z|^2/d over the noise of the training set; 1 if averaged exactly.
        floor: lowest test loss that any function reaches, L_opt.
        delta_t: variance of the noise, 1 - exp(-2t).
        truncation: bound on the error of any entry of U and U_test.
    """

    U: Float[np.ndarray, "p p"]
    V: Float[np.ndarray, "p d"]
    U_test: Float[np.ndarray, "p p"]
    V_test: Float[np.ndarray, "p d"]
    W: Float[np.ndarray, "p d"]
    points: Float[np.ndarray, "p n"]
    scale: float
    floor: float
    delta_t: float
    truncation: float


def finite_matrices(
    model: FeatureModel,
    dim: int,
    seed: int,
    *,
    features: Features = "true",
    equal_norms: bool = False,
    noise_draws: int | None = None,
) -> FiniteMatrices:
    """Draw W and Gaussian training data at dimension `dim` and average the features over the noise.

    Args:
        model: sizes are n = psi_n * dim and p = psi_p * dim, rounded.
        dim: dimension d of the data.
        seed: of this draw; "true" and "equivalent" features of one seed share W and the data.
        features: "true" for the network itself, "equivalent" for its Gaussian equivalent.
        equal_norms: scale every row of W to length sqrt(d). Rows of random length spread s_t^2, and with it the
            atom of the spectrum, by d^(-1/2); equal lengths remove that without moving the limit.
        noise_draws: noise vectors per training point, kept fixed in training; None averages over all noise.

    Raises:
        InputError: if a size comes out below 1 or `features` is neither of the two words.

    Source: [bonnaire2025] Eq. (9)
    """
    n, p = sizes(model, dim)
    if features not in ("true", "equivalent"):
        raise InputError(f"features: expected 'true' or 'equivalent', got {features!r}")
    if noise_draws is not None and noise_draws < 1:
        raise InputError(f"noise_draws: expected at least 1, or None for all noise, got {noise_draws}")
    rng_w, rng_x, rng_rest = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))
    W = rng_w.standard_normal((p, dim))
    if equal_norms:
        W *= sqrt(dim) / np.linalg.norm(W, axis=1, keepdims=True)
    lam = finite_eigenvalues(model.spectrum, dim)
    X = np.sqrt(lam)[:, None] * rng_x.standard_normal((dim, n))
    make = _true_matrices if features == "true" else _equivalent_matrices
    return make(model, W, X, lam, noise_draws, rng_rest)


def sizes(model: FeatureModel, dim: int) -> tuple[int, int]:
    """Number of training points and of features at dimension `dim`.

    Raises:
        InputError: if one of them, or `dim`, is below 1.
    """
    n, p = round(model.psi_n * dim), round(model.psi_p * dim)
    if min(dim, n, p) < 1:
        raise InputError(
            f"dim: expected psi_n * dim and psi_p * dim of at least 1, got dim={dim}, n={n}, p={p}"
        )
    return n, p


def finite_eigenvalues(spectrum: Spectrum, dim: int) -> Float[np.ndarray, " d"]:
    """The `dim` data variances that stand for a spectrum: its quantiles at the middles of `dim` equal steps."""
    order = np.argsort(spectrum.eigenvalues)
    lam, weight = np.asarray(spectrum.eigenvalues)[order], np.asarray(spectrum.weights)[order]
    level = np.cumsum(weight) / np.sum(weight)
    return lam[np.minimum(np.searchsorted(level, (np.arange(dim) + 0.5) / dim), len(lam) - 1)]


def optimal_loss(eigenvalues: Float[np.ndarray, " d"], t: float) -> float:
    """Test loss of the exact score of Gaussian data with these variances; nothing reaches less."""
    delta = -np.expm1(-2 * t)
    return float(1 - delta * np.mean(1 / (exp(-2 * t) * eigenvalues + delta)))


# --- the network itself


def _true_matrices(
    model: FeatureModel,
    W: np.ndarray,
    X: np.ndarray,
    lam: np.ndarray,
    noise_draws: int | None,
    rng: np.random.Generator,
) -> FiniteMatrices:
    d, delta, decay = W.shape[1], float(-np.expm1(-2 * model.t)), exp(-model.t)
    sigma = activation_function(model.activation)
    center = decay * W @ X / sqrt(d)  # [p, n]
    fresh = np.zeros((W.shape[0], 1))
    U_test, V_test, _, bound = gaussian_moments(sigma, W, fresh, decay**2 * lam + delta, delta)
    if noise_draws is None:
        U, V, points, bound_train = gaussian_moments(sigma, W, center, np.full(d, delta), delta)
        return FiniteMatrices(
            U, V, U_test, V_test, W, points, 1.0, optimal_loss(lam, model.t), delta, max(bound, bound_train)
        )

    def draw(z: np.ndarray) -> np.ndarray:
        noise = sqrt(delta / d) * (W @ z.reshape(d, -1)).reshape(W.shape[0], *z.shape[1:])
        return sigma(center[:, :, None] + noise)

    U, V, points, scale = _sampled_moments(draw, d, X.shape[1], noise_draws, rng)
    return FiniteMatrices(U, V, U_test, V_test, W, points, scale, optimal_loss(lam, model.t), delta, bound)


def gaussian_moments(
    sigma: Callable[[np.ndarray], np.ndarray],
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
        power, rest = np.ones_like(R), square.copy()
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
    )  # Stein: E[sigma z] = E[sigma'] d(pre-activation)/dz
    return U / n, V, points, bound


def hermite_coefficients(
    sigma: Callable[[np.ndarray], np.ndarray],
    center: Float[np.ndarray, "p n"],
    spread: Float[np.ndarray, " p"],
) -> tuple[Float[np.ndarray, "k p n"], Float[np.ndarray, "p n"]]:
    """E[sigma(m + s g) h_k(g)] for the orthonormal Hermite polynomials h_k, and E[sigma(m + s g)^2], g standard.

    By the trapezoid rule, whose error falls exponentially with the distance of the nearest pole of sigma; relu,
    which has a kink, in closed form.
    """
    s = spread[:, None]
    if getattr(sigma, "__name__", "") == "relu":
        return _relu_coefficients(center / s, s)
    node, weight = _nodes(float(np.max(spread)))
    value = sigma(center[None] + s[None] * node[:, None, None])  # [nodes, p, n]
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
    """Orthonormal Hermite polynomials of orders 0 to MAX_ORDER. [k, m]"""
    h = [np.ones_like(x), x]
    for k in range(1, MAX_ORDER):
        h.append((x * h[k] - sqrt(k) * h[k - 1]) / sqrt(k + 1))
    return np.stack(h)


def _nodes(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Trapezoid nodes and weights of the standard Gaussian, fine enough for sigma stretched by `scale`."""
    step = 0.3 / max(1.0, scale)
    node = step * np.arange(-ceil(9 / step), ceil(9 / step) + 1)
    return node, step * np.exp(-(node**2) / 2) / sqrt(2 * np.pi)


def _blocks(n: int, p: int, copies: int) -> Iterator[slice]:
    """Slices of the n training points such that `copies` arrays [p, block] stay below BLOCK numbers."""
    size = max(1, BLOCK // (p * copies))
    return (slice(i, min(i + size, n)) for i in range(0, n, size))


# --- the Gaussian equivalent


def _equivalent_matrices(
    model: FeatureModel,
    W: np.ndarray,
    X: np.ndarray,
    lam: np.ndarray,
    noise_draws: int | None,
    rng: np.random.Generator,
) -> FiniteMatrices:
    (p, d), n = W.shape, X.shape[1]
    c = coefficients(model)
    delta, decay = float(-np.expm1(-2 * model.t)), exp(-model.t)
    points = c.mu0 + c.a * decay * W @ X / sqrt(d) + sqrt(c.v2) * rng.standard_normal((p, n))
    noise_part = c.b**2 * W @ W.T / d
    noise_part[np.diag_indices(p)] += c.s2
    U_test = c.mu0**2 + (c.a * decay) ** 2 * (W * lam) @ W.T / d + noise_part
    U_test[np.diag_indices(p)] += c.v2
    V, scale = c.b * W / sqrt(d), 1.0
    V_test = V
    if noise_draws is None:
        U = points @ points.T / n + noise_part
    else:

        def draw(z: np.ndarray) -> np.ndarray:
            linear = c.b / sqrt(d) * (W @ z.reshape(d, -1)).reshape(p, *z.shape[1:])
            rest = sqrt(c.s2) * rng.standard_normal(linear.shape)
            return points[:, :, None] + linear + rest

        U, V, _, scale = _sampled_moments(draw, d, n, noise_draws, rng)
    return FiniteMatrices(U, V, U_test, V_test, W, points, scale, optimal_loss(lam, model.t), delta, 0.0)


def _sampled_moments(
    draw: Callable[[np.ndarray], np.ndarray], d: int, n: int, noise_draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """U, V, mean features and mean |z|^2/d over `noise_draws` noise vectors per training point."""
    U = V = np.zeros(())
    scale, points = 0.0, []
    probe = draw(np.zeros((d, n, 0))).shape[0]
    for block in _blocks(noise_draws, probe, n):
        z = rng.standard_normal((d, n, block.stop - block.start))
        Z = draw(z)
        flat, z_flat = Z.reshape(probe, -1), z.reshape(d, -1)
        U, V = U + flat @ flat.T, V + flat @ z_flat.T
        scale += float(np.sum(z_flat**2)) / d
        points.append(Z.sum(axis=2))
    total = n * noise_draws
    return U / total, V / total, np.sum(points, axis=0) / noise_draws, scale / total
