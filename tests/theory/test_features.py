"""Moments of the network at finite size against quadrature, sampling and the arcsine kernel."""

import numpy as np
import pytest

from memhorizon.errors import InputError
from memhorizon.theory import FeatureModel, Spectrum
from memhorizon.theory.activations import resolve
from memhorizon.theory.features import finite_eigenvalues, finite_matrices, optimal_loss, sizes
from memhorizon.theory.mehler import MAX_ORDER, gaussian_moments, hermite_coefficients


def grid(step=0.05, reach=9.0):
    x = step * np.arange(-round(reach / step), round(reach / step) + 1)
    return x, step * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def brute_entry(sigma, means, covariance):
    """E[sigma(h_1) sigma(h_2)] by a fine product rule, from the Cholesky factor."""
    x, w = grid()
    L = np.linalg.cholesky(covariance)
    h1 = means[0] + L[0, 0] * x[:, None]
    h2 = means[1] + L[1, 0] * x[:, None] + L[1, 1] * x[None]
    return w @ (sigma(h1) * sigma(h2)) @ w


@pytest.mark.parametrize("activation", ["tanh", "erf", "sin", "sigmoid", "gelu", "silu", "softplus"])
@pytest.mark.parametrize("t", [0.01, 1.0])
def test_entries_of_u_equal_quadrature_in_two_dimensions(activation, t):
    sigma, rng, d = resolve(activation), np.random.default_rng(0), 40
    delta = -np.expm1(-2 * t)
    W, center = rng.standard_normal((6, d)), rng.standard_normal((6, 3))
    U, V, points, bound = gaussian_moments(sigma, W, center, np.full(d, delta), delta)
    covariance = delta * W @ W.T / d
    for i, j in [(0, 0), (0, 1), (2, 5)]:
        pair = np.array([[covariance[i, i], covariance[i, j]], [covariance[i, j], covariance[j, j]]])
        if i == j:
            x, w = grid()
            h = center[i][:, None] + np.sqrt(pair[0, 0]) * x
            expected = np.mean(sigma.function(h) ** 2 @ w)
        else:
            expected = np.mean([brute_entry(sigma.function, center[[i, j], k], pair) for k in range(3)])
        # the series says how far it is off; both quadratures are good to the nearest pole of tanh, 1e-11
        assert abs(U[i, j] - expected) < bound + 2e-11
    assert bound < 1e-6  # rows of 40 coordinates are correlated up to about 0.5


def test_cross_moment_and_means_equal_sampling():
    sigma, rng, d, draws = resolve("tanh"), np.random.default_rng(1), 5, 200_000
    W, center, delta = rng.standard_normal((3, d)), rng.standard_normal((3, 1)), 0.3
    _, V, points, _ = gaussian_moments(sigma, W, center, np.full(d, delta), delta)
    z = rng.standard_normal((d, draws))
    s = np.tanh(center + np.sqrt(delta / d) * W @ z)
    error = (s @ z.T / draws - V) / (np.std(s[:, None] * z[None], axis=2) / np.sqrt(draws))
    assert np.max(np.abs(error)) < 4.5  # 15 entries, in standard errors
    error = (s.mean(axis=1) - points[:, 0]) / (s.std(axis=1) / np.sqrt(draws))
    assert np.max(np.abs(error)) < 4.5


def test_population_equals_the_arcsine_kernel():
    model, d = FeatureModel(2, 4, 0.1, "erf", Spectrum.atoms([0.5, 1.5])), 50
    m = finite_matrices(model, d, 0)
    lam = finite_eigenvalues(model.spectrum, d)
    C = (m.W * (model.decay**2 * lam + model.delta_t)) @ m.W.T / d
    norm = 1 + 2 * np.diagonal(C)
    exact = 2 / np.pi * np.arcsin(2 * C / np.sqrt(np.outer(norm, norm)))
    assert np.max(np.abs(m.U_test - exact)) <= m.truncation + 1e-14


def test_the_bound_of_the_series_is_the_first_term_left_out():
    """E[sin h sin h'] = exp(-s^2) sinh(s^2 R): R^k c_k^2 at odd k, c_k^2 = exp(-s^2) s^(2k)/k!.

    At s = 3 and R = 1/2 the series ends at MAX_ORDER = 20. The bound is R^21 times all c_k^2 beyond, of which
    order 21 has 0.86; in the error itself it has 0.96 or more.
    """
    s, R = 3.0, 0.5
    W = np.sqrt(2) * s * np.array([[1.0, 0.0], [R, np.sqrt(1 - R**2)]])  # [p, d]: rows of length s sqrt(d)
    U, _, _, bound = gaussian_moments(resolve("sin"), W, np.zeros((2, 1)), np.ones(2), 1.0)
    error = abs(U[0, 1] - np.exp(-(s**2)) * np.sinh(s**2 * R))
    assert 0.8 < error / bound < 1


@pytest.mark.parametrize("equal_norms", [False, True])
def test_relu_in_closed_form_equals_quadrature_and_the_arc_cosine_kernel(equal_norms):
    d = 60
    model = FeatureModel(1, 2, 0.1, "relu")
    m = finite_matrices(model, d, 0, equal_norms=equal_norms)
    G = np.sqrt(np.sum(m.W**2, axis=1) / d)
    angle = np.arccos(np.clip(m.W @ m.W.T / d / np.outer(G, G), -1, 1))
    exact = np.outer(G, G) / (2 * np.pi) * (np.sin(angle) + (np.pi - angle) * np.cos(angle))
    # arccos loses half of the digits on the diagonal
    assert np.max(np.abs(m.U_test - exact)) <= m.truncation + 1e-7
    c, square = hermite_coefficients(resolve("relu"), np.array([[0.3]]), np.array([0.7]))
    x, w = grid(step=1e-4)
    h = np.maximum(0.3 + 0.7 * x, 0)
    assert abs(square[0, 0] - w @ h**2) < 1e-8  # the rule errs by step^2 at the kink
    for k, he in [
        (0, 1 + 0 * x),
        (1, x),
        (2, (x**2 - 1) / np.sqrt(2)),
        (4, (x**4 - 6 * x**2 + 3) / np.sqrt(24)),
    ]:
        assert abs(c[k, 0, 0] - w @ (h * he)) < 1e-8


def test_hermite_coefficients_exhaust_the_second_moment():
    c, square = hermite_coefficients(resolve("sin"), np.array([[0.2]]), np.array([0.5]))
    assert c.shape == (MAX_ORDER + 1, 1, 1)
    # sin is entire: order k holds s^(2k)/k!, so 20 orders at s = 1/2 leave 1e-32
    assert abs(np.sum(c**2) - square[0, 0]) < 1e-15


def test_equal_norms_remove_the_spread_of_the_atom():
    # s2 of a row varies by its length (as d^-1/2, which equal lengths remove) and by its n points (as n^-1/2)
    model = FeatureModel(8, 3, 0.1)
    spread = {}
    for equal in (False, True):
        m = finite_matrices(model, 60, 0, equal_norms=equal)
        spread[equal] = np.std(np.diagonal(m.U - m.points @ m.points.T / m.points.shape[1]))
        if equal:
            np.testing.assert_allclose(np.sum(m.W**2, axis=1), 60, rtol=1e-12)
    assert spread[True] < spread[False] / 3


def test_one_seed_gives_both_kinds_the_same_weights_and_the_same_draw_twice():
    model = FeatureModel(2, 3, 0.1)
    true, again = finite_matrices(model, 20, 7), finite_matrices(model, 20, 7)
    equivalent = finite_matrices(model, 20, 7, features="equivalent")
    np.testing.assert_array_equal(true.U, again.U)
    np.testing.assert_array_equal(true.W, equivalent.W)
    assert not np.array_equal(true.W, finite_matrices(model, 20, 8).W)


@pytest.mark.parametrize("features", ["true", "equivalent"])
def test_many_noise_draws_approach_the_exact_average(features):
    model = FeatureModel(2, 3, 0.3)
    exact = finite_matrices(model, 10, 0, features=features)
    error = []
    for draws in (20, 80, 320):
        m = finite_matrices(model, 10, 0, features=features, noise_draws=draws)
        error.append(np.linalg.norm(m.U - exact.U) + np.linalg.norm(m.V - exact.V))
    # a mean over independent noises errs by draws^(-1/2); the norm averages over hundreds of entries
    slope = np.polyfit(np.log([20, 80, 320]), np.log(error), 1)[0]
    assert -0.65 < slope < -0.35


def test_quantiles_keep_the_weights_of_atoms():
    lam = finite_eigenvalues(Spectrum.atoms([1.5, 0.5, 4.0], [0.25, 0.5, 0.25]), 40)
    assert [int(np.sum(lam == x)) for x in (0.5, 1.5, 4.0)] == [20, 10, 10]
    assert optimal_loss(np.ones(3), 0.1) == pytest.approx(np.exp(-0.2), rel=1e-14)


def test_bad_input_is_named():
    model = FeatureModel(0.01, 4, 0.1)
    with pytest.raises(InputError, match="dim"):
        sizes(model, 10)
    with pytest.raises(InputError, match="at most"):
        sizes(FeatureModel(2, 64, 0.1), 1000)
    with pytest.raises(InputError, match="features"):
        finite_matrices(FeatureModel(2, 4, 0.1), 10, 0, features="real")
    with pytest.raises(InputError, match="noise_draws"):
        finite_matrices(FeatureModel(2, 4, 0.1), 10, 0, noise_draws=0)
    with pytest.raises(InputError, match="psi_p"):
        finite_matrices(FeatureModel(2, 3, 0.1), 10, 0).on_span()
