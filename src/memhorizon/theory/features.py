"""The random-features network at finite size: its second moments, averaged over the noise without sampling.

Every pre-activation w_i.x_t/sqrt(d) is Gaussian in the noise, so that all averages follow from Hermite
coefficients in one dimension and from the correlations of the rows of W (Mehler's formula).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp, sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from memhorizon.checks import check_kind
from memhorizon.errors import InputError
from memhorizon.theory.activations import resolve
from memhorizon.theory.arguments import count
from memhorizon.theory.coefficients import LARGEST_DEVIATION, Coefficients, coefficients
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
        span = np.hstack([self.points, self.V])  # [p, n + d]
        p, directions = span.shape
        if p <= directions:
            raise InputError(f"psi_p: expected more than n + d = {directions} features, got {p}")
        Q, _ = np.linalg.qr(span)  # [p, n + d]
        return replace(
            self,
            U=Q.T @ self.U @ Q,
            V=Q.T @ self.V,
            U_test=Q.T @ self.U_test @ Q,
            V_test=Q.T @ self.V_test,
            W=Q.T @ self.W,
            points=Q.T @ self.points,
        )


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
    sizes(model, dim)
    _check_draw(model, seed, features, noise_draws)
    draw = _drawn(model, dim, seed, equal_norms, noise_draws)
    return _matrices(draw, _true_moments(draw) if features == "true" else _equivalent_moments(draw))


def _check_draw(model: FeatureModel, seed: object, features: object, noise_draws: object) -> None:
    """Refuse what cannot be drawn.

    Raises:
        InputError: naming it.
    """
    count("seed", seed, 0, 2**64 - 1)
    _check_kind(features)
    if noise_draws is not None:
        count("noise_draws", noise_draws, 1, 10**6)
    if features == "true":
        _check_spread(model)


def _check_kind(features: object) -> None:
    if not isinstance(features, str) or features not in ("true", "equivalent"):
        raise InputError(f"features: expected 'true' or 'equivalent', got {features!r:.200}")


def _check_spread(model: FeatureModel) -> None:
    if model.total_variance > LARGEST_DEVIATION**2:
        raise InputError(
            f"spectrum: expected a variance below {LARGEST_DEVIATION**2:g}, "
            f"got {model.spectrum.variance:g}; rescale"
        )


def _drawn(model: FeatureModel, dim: int, seed: int, equal_norms: bool, noise_draws: int | None) -> "_Draw":
    """Weights and training points of a seed, each from a stream of its own."""
    n, p = sizes(model, dim)
    rng_w, rng_x, rng_rest = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))
    lam = finite_eigenvalues(model.spectrum, dim)  # [d]
    X = np.sqrt(lam)[:, None] * rng_x.standard_normal((dim, n))
    return _Draw(model, _weights(rng_w, p, dim, equal_norms), X, lam, noise_draws, rng_rest.standard_normal)


def _matrices(draw: "_Draw", found: "_Moments") -> FiniteMatrices:
    """The moments with what they were drawn from."""
    p, d = draw.W.shape
    return FiniteMatrices(
        U=found.U,
        V=found.V,
        U_test=found.U_test,
        V_test=found.V_test,
        W=draw.W,
        data=draw.X,
        points=found.points,
        scale=found.scale,
        floor=optimal_loss(draw.lam, draw.model.t),
        delta_t=draw.model.delta_t,
        psi_p=p / d,
        truncation=found.truncation,
    )


def _weights(rng: np.random.Generator, p: int, dim: int, equal_norms: bool) -> np.ndarray:
    """Gaussian first-layer weights. [p, d]."""
    W = rng.standard_normal((p, dim))
    if equal_norms:
        W *= sqrt(dim) / np.linalg.norm(W, axis=1, keepdims=True)
    return W


def sizes(model: FeatureModel, dim: int) -> tuple[int, int]:
    """Number of training points and of features at dimension `dim`.

    Raises:
        InputError: if one of them, or `dim`, is below 1, or there are too many features to diagonalise.
    """
    check_kind("model", model, FeatureModel)
    count("dim", dim, 1, MAX_ENTRIES)
    n = round(model.psi_n * dim)
    p = round(model.psi_p * dim)
    _check_sizes(n, p, dim)
    return n, p


def _check_sizes(n: int, p: int, dim: int) -> None:
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


def finite_eigenvalues(spectrum: Spectrum, dim: int) -> Float[np.ndarray, " d"]:
    """The `dim` data variances that represent a spectrum: quantiles at the middles of `dim` equal steps."""
    level = np.searchsorted(np.cumsum(spectrum.weights), (np.arange(dim) + 0.5) / dim)
    return spectrum.eigenvalues[np.minimum(level, len(spectrum.eigenvalues) - 1)]


def optimal_loss(eigenvalues: Float[np.ndarray, " d"], t: float) -> float:
    """Test loss of the exact score of Gaussian data with these variances; nothing reaches less."""
    delta = -np.expm1(-2 * t)
    return float(1 - delta * np.mean(1 / (exp(-2 * t) * eigenvalues + delta)))


Normal = Callable[[tuple[int, int]], np.ndarray]  # standard normal numbers of a given shape


class _Draw(NamedTuple):
    """One draw of weights and training points."""

    model: FeatureModel
    W: np.ndarray  # [p, d]
    X: np.ndarray  # [d, n]
    lam: np.ndarray  # variances of the data [d]
    noise_draws: int | None
    normal: Normal

    @property
    def projected(self) -> np.ndarray:
        """e^-t W X/sqrt(d), the part of the pre-activations that the data make. [p, n]."""
        return self.model.decay * self.W @ self.X / sqrt(self.W.shape[1])


class _Moments(NamedTuple):
    """What `FiniteMatrices` holds of the features."""

    U: np.ndarray  # [p, p]
    V: np.ndarray  # [p, d]
    U_test: np.ndarray  # [p, p]
    V_test: np.ndarray  # [p, d]
    points: np.ndarray  # [p, n]
    scale: float
    truncation: float


def _true_moments(draw: _Draw) -> _Moments:
    """Moments of the network itself."""
    U_test, V_test, _, bound_test = _fresh_moments(draw)
    if draw.noise_draws is None:
        U, V, points, bound = _training_moments(draw)
        return _Moments(U, V, U_test, V_test, points, 1.0, max(bound, bound_test))
    U, V, points, scale = _sampled_moments(_true_features(draw), draw)
    return _Moments(U, V, U_test, V_test, points, scale, bound_test)


def _fresh_moments(draw: _Draw) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Over fresh points: x_t has the variances e^-2t lam + Delta."""
    delta = draw.model.delta_t
    sigma = resolve(draw.model.activation)
    spread = draw.model.decay**2 * draw.lam + delta
    return gaussian_moments(sigma, draw.W, np.zeros((len(draw.W), 1)), spread, delta)


def _training_moments(draw: _Draw) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Over training points: only the noise varies."""
    delta = draw.model.delta_t
    sigma = resolve(draw.model.activation)
    return gaussian_moments(sigma, draw.W, draw.projected, np.full(draw.W.shape[1], delta), delta)


def _true_features(draw: _Draw) -> Callable[[np.ndarray], np.ndarray]:
    """The features of the training points as a function of the noises z [d, n]."""
    sigma = resolve(draw.model.activation)
    center = draw.projected  # [p, n]
    slope = sqrt(draw.model.delta_t / draw.W.shape[1])
    # sigma((e^-t W X + sqrt(Delta) W z)/sqrt(d))
    return lambda z: sigma.function(center + slope * draw.W @ z)


def _equivalent_moments(draw: _Draw) -> _Moments:
    """The same for the Gaussian equivalent, with the mean mu0 of the features kept as their one outlier."""
    c = coefficients(draw.model)
    points = _equivalent_points(draw, c)
    noise_part = _equivalent_noise(draw, c)
    U_test = _equivalent_population(draw, c, noise_part)
    V = c.b * draw.W / sqrt(draw.W.shape[1])
    if draw.noise_draws is None:
        U = points @ points.T / draw.X.shape[1] + noise_part
        return _Moments(U, V, U_test, V, points, 1.0, 0.0)
    U, V_train, _, scale = _sampled_moments(_equivalent_features(draw, c, points), draw)
    return _Moments(U, V_train, U_test, V, points, scale, 0.0)


def _equivalent_features(
    draw: _Draw, c: Coefficients, points: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """The features as a function of the noises z [d, n]: mean + b W z/sqrt(d) + s Omega, Omega drawn anew."""
    slope = c.b / sqrt(draw.W.shape[1])
    return lambda z: points + slope * draw.W @ z + sqrt(c.s2) * draw.normal(points.shape)


def _equivalent_points(draw: _Draw, c: Coefficients) -> np.ndarray:
    """Mean features mu0 + a e^-t W X/sqrt(d) + v Omega. [p, n]."""
    p, d = draw.W.shape
    signal = c.a * draw.model.decay * draw.W @ draw.X / sqrt(d)
    return c.mu0 + signal + sqrt(c.v2) * draw.normal((p, draw.X.shape[1]))


def _equivalent_noise(draw: _Draw, c: Coefficients) -> np.ndarray:
    """What the noise adds to U: b^2 W W^T/d + s2. [p, p]."""
    p, d = draw.W.shape
    part = c.b**2 * draw.W @ draw.W.T / d
    part[np.diag_indices(p)] += c.s2
    return part


def _equivalent_population(draw: _Draw, c: Coefficients, noise_part: np.ndarray) -> np.ndarray:
    """U_test = mu0^2 + a^2 e^-2t W Sigma W^T/d + v2 + what the noise adds. [p, p]."""
    p, d = draw.W.shape
    signal = (c.a * draw.model.decay) ** 2 * (draw.W * draw.lam) @ draw.W.T / d
    U_test = c.mu0**2 + signal + noise_part
    U_test[np.diag_indices(p)] += c.v2
    return U_test


def _sampled_moments(
    features: Callable[[np.ndarray], np.ndarray], draw: _Draw
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """U, V, mean features and mean |z|^2/d over the noises of the draw, so many per training point."""
    p, d = draw.W.shape
    n = draw.X.shape[1]
    noise_draws = draw.noise_draws
    assert noise_draws is not None
    U = np.zeros((p, p))
    V = np.zeros((p, d))
    points = np.zeros((p, n))
    scale = 0.0
    for _ in range(noise_draws):
        z = draw.normal((d, n))
        Z = features(z)  # [p, n]
        U += Z @ Z.T
        V += Z @ z.T
        points += Z
        scale += float(np.mean(z**2))
    total = n * noise_draws
    return U / total, V / total, points / noise_draws, scale / noise_draws
