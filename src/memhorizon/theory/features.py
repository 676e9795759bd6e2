"""The random-features network at finite size: its second moments, averaged over the noise without sampling.

Every pre-activation w_i.x_t/sqrt(d) is Gaussian in the noise, so that all averages follow from Hermite
coefficients in one dimension and from the correlations of the rows of W (Mehler's formula).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp, sqrt

import numpy as np
from jaxtyping import Float

from memhorizon.errors import InputError
from memhorizon.theory.activations import resolve
from memhorizon.theory.arguments import count
from memhorizon.theory.coefficients import LARGEST_DEVIATION, coefficients
from memhorizon.theory.mehler import gaussian_moments
from memhorizon.theory.model import FeatureModel
from memhorizon.theory.spectra import Spectrum

MAX_ENTRIES = 2**28  # of each [p, n] and [d, n] matrix: 2 GB
MAX_FEATURES = 20_000  # then each of the handful of p x p matrices takes 3 GB


@dataclass(frozen=True)
class FiniteMatrices:
    """All that gradient descent on the output weights A can see of one draw of the network and of its data.

    Attributes:
        U: second moment of the features over training points and noise. [p, p]
        V: their correlation with the noise. [p, d]
        U_test: second moment of the features over fresh points and noise. [p, p]
        V_test: its correlation with the noise. [p, d]
        W: first-layer weights. [p, d]
        data: training points, their covariance diagonal. [d, n]
        points: mean feature vector of each training point. [p, n]
        scale: train loss at A = 0: mean of |z|^2/d over the noise of the training set; 1 if averaged exactly.
        floor: lowest test loss that any function reaches, L_opt.
        delta_t: variance of the noise, 1 - exp(-2t).
        psi_p: p/d, which sets the unit of training time.
        truncation: bound on the error of any entry of U and U_test.
    """

    U: Float[np.ndarray, "p p"]
    V: Float[np.ndarray, "p d"]
    U_test: Float[np.ndarray, "p p"]
    V_test: Float[np.ndarray, "p d"]
    W: Float[np.ndarray, "p d"]
    data: Float[np.ndarray, "d n"]
    points: Float[np.ndarray, "p n"]
    scale: float
    floor: float
    delta_t: float
    psi_p: float
    truncation: float

    def on_span(self) -> "FiniteMatrices":
        """The same network with A held to the n + d directions that the mean features and V span.

        In the Gaussian equivalent nothing is lost: A never leaves them. In the network A leaves them by the
        spread of the lengths of the rows of W, which goes to zero with d.

        Raises:
            InputError: if there are not more features than these directions.
        """
        p, d = self.V.shape
        if p <= self.points.shape[1] + d:
            raise InputError(
                f"psi_p: expected more than n + d = {self.points.shape[1] + d} features, got {p}"
            )
        Q, _ = np.linalg.qr(np.hstack([self.points, self.V]))  # [p, n + d]
        U, U_test = Q.T @ self.U @ Q, Q.T @ self.U_test @ Q
        V, V_test, W, points = (Q.T @ m for m in (self.V, self.V_test, self.W, self.points))
        return replace(self, U=U, V=V, U_test=U_test, V_test=V_test, W=W, points=points)


def finite_matrices(
    model: FeatureModel,
    dim: int,
    seed: int,
    *,
    features: str = "true",
    equal_norms: bool = False,
    noise_draws: int | None = None,
) -> FiniteMatrices:
    """Draw W and Gaussian training data at dimension `dim` and average the features over the noise.

    Args:
        model: sizes are n = psi_n * dim and p = psi_p * dim, rounded.
        dim: dimension d of the data.
        seed: of this draw; "true" and "equivalent" features of one seed share W and the data.
        features: "true" for the network itself, "equivalent" for its Gaussian equivalent.
        equal_norms: scale every row of W to length sqrt(d). Rows of random length spread s_t^2, and with it
            the atom of the spectrum, by d^(-1/2); equal lengths remove that without moving the limit.
        noise_draws: noise vectors per training point, kept fixed in training; None averages over all noise.

    Raises:
        InputError: if a size comes out below 1 or `features` is neither of the two words.

    Source: [bonnaire2025] Eq. (9)
    """
    n, p = sizes(model, dim)
    count("seed", seed, 0, 2**64 - 1)
    if not isinstance(features, str) or features not in ("true", "equivalent"):
        raise InputError(f"features: expected 'true' or 'equivalent', got {features!r:.200}")
    if noise_draws is not None:
        count("noise_draws", noise_draws, 1, 10**6)
    if features == "true" and model.total_variance > LARGEST_DEVIATION**2:
        raise InputError(
            f"spectrum: expected a variance below {LARGEST_DEVIATION**2:g}, "
            f"got {model.spectrum.variance:g}; rescale"
        )
    rng_w, rng_x, rng_rest = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))
    W = rng_w.standard_normal((p, dim))
    if equal_norms:
        W *= sqrt(dim) / np.linalg.norm(W, axis=1, keepdims=True)
    lam = finite_eigenvalues(model.spectrum, dim)
    X = np.sqrt(lam)[:, None] * rng_x.standard_normal((dim, n))
    make = _true_moments if features == "true" else _equivalent_moments
    *moments, scale, truncation = make(model, W, X, lam, noise_draws, rng_rest.standard_normal)
    U, V, U_test, V_test, points = moments
    floor = optimal_loss(lam, model.t)
    return FiniteMatrices(
        U, V, U_test, V_test, W, X, points, scale, floor, model.delta_t, p / dim, truncation
    )


def sizes(model: FeatureModel, dim: int) -> tuple[int, int]:
    """Number of training points and of features at dimension `dim`.

    Raises:
        InputError: if one of them, or `dim`, is below 1, or there are too many features to diagonalise.
    """
    count("dim", dim, 1, MAX_ENTRIES)
    n, p = round(model.psi_n * dim), round(model.psi_p * dim)
    if p > MAX_FEATURES:
        raise InputError(
            f"dim: expected psi_p * dim of at most {MAX_FEATURES} features (U is p x p), got {p}"
        )
    if min(dim, n, p) < 1:
        raise InputError(
            f"dim: expected psi_n * dim and psi_p * dim of at least 1, got dim={dim}, n={n}, p={p}"
        )
    if n * max(dim, p) > MAX_ENTRIES or p * dim > MAX_ENTRIES:
        raise InputError(
            f"dim: expected n * d, n * p and p * d of at most {MAX_ENTRIES:,} numbers each, "
            f"got n={n}, p={p}, d={dim}"
        )
    return n, p


def finite_eigenvalues(spectrum: Spectrum, dim: int) -> Float[np.ndarray, " d"]:
    """The `dim` data variances that stand for a spectrum: quantiles at the middles of `dim` equal steps."""
    level = np.searchsorted(np.cumsum(spectrum.weights), (np.arange(dim) + 0.5) / dim)
    return spectrum.eigenvalues[np.minimum(level, len(spectrum.eigenvalues) - 1)]


def optimal_loss(eigenvalues: Float[np.ndarray, " d"], t: float) -> float:
    """Test loss of the exact score of Gaussian data with these variances; nothing reaches less."""
    delta = -np.expm1(-2 * t)
    return float(1 - delta * np.mean(1 / (exp(-2 * t) * eigenvalues + delta)))


Moments = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, float, float]
Normal = Callable[[tuple[int, int]], np.ndarray]  # standard normal numbers of a given shape


def _true_moments(
    model: FeatureModel,
    W: np.ndarray,
    X: np.ndarray,
    lam: np.ndarray,
    noise_draws: int | None,
    normal: Normal,
) -> Moments:
    """U, V, U_test, V_test, points, scale, truncation of the network itself."""
    d, delta = W.shape[1], model.delta_t
    sigma = resolve(model.activation)
    center = model.decay * W @ X / sqrt(d)  # [p, n]
    fresh, variance = np.zeros((len(W), 1)), model.decay**2 * lam + delta
    U_test, V_test, _, bound_test = gaussian_moments(sigma, W, fresh, variance, delta)
    if noise_draws is None:
        U, V, points, bound = gaussian_moments(sigma, W, center, np.full(d, delta), delta)
        return U, V, U_test, V_test, points, 1.0, max(bound, bound_test)

    def features(z: np.ndarray) -> np.ndarray:
        return sigma.function(center + sqrt(delta / d) * W @ z)

    U, V, points, scale = _sampled_moments(features, (*W.shape, X.shape[1]), noise_draws, normal)
    return U, V, U_test, V_test, points, scale, bound_test


def _equivalent_moments(
    model: FeatureModel,
    W: np.ndarray,
    X: np.ndarray,
    lam: np.ndarray,
    noise_draws: int | None,
    normal: Normal,
) -> Moments:
    """The same for the Gaussian equivalent, with the mean mu0 of the features kept as their one outlier."""
    (p, d), n = W.shape, X.shape[1]
    c, diagonal = coefficients(model), np.diag_indices(p)
    points = c.mu0 + c.a * model.decay * W @ X / sqrt(d) + sqrt(c.v2) * normal((p, n))
    noise_part = c.b**2 * W @ W.T / d
    noise_part[diagonal] += c.s2
    U_test = c.mu0**2 + (c.a * model.decay) ** 2 * (W * lam) @ W.T / d + noise_part
    U_test[diagonal] += c.v2
    V = c.b * W / sqrt(d)
    if noise_draws is None:
        return points @ points.T / n + noise_part, V, U_test, V, points, 1.0, 0.0

    def features(z: np.ndarray) -> np.ndarray:
        return points + c.b / sqrt(d) * W @ z + sqrt(c.s2) * normal((p, n))

    U, V_train, _, scale = _sampled_moments(features, (p, d, n), noise_draws, normal)
    return U, V_train, U_test, V, points, scale, 0.0


def _sampled_moments(
    features: Callable[[np.ndarray], np.ndarray],
    shape: tuple[int, int, int],
    noise_draws: int,
    normal: Normal,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """U, V, mean features and mean |z|^2/d over `noise_draws` noises per training point; shape (p, d, n)."""
    p, d, n = shape
    U, V, points, scale = np.zeros((p, p)), np.zeros((p, d)), np.zeros((p, n)), 0.0
    for _ in range(noise_draws):
        z = normal((d, n))
        Z = features(z)
        U += Z @ Z.T
        V += Z @ z.T
        points += Z
        scale += float(np.mean(z**2))
    return U / (n * noise_draws), V / (n * noise_draws), points / noise_draws, scale / noise_draws
