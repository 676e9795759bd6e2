import math

import mpmath as mp
import numpy as np
import pytest
from scipy.special import erf

from memhorizon.errors import InputError
from memhorizon.results import Status
from memhorizon.theory import FeatureModel, Spectrum, coefficients, simulate
from memhorizon.theory.activations import ACTIVATIONS
from memhorizon.theory.coefficients import _kinked, _smooth


def model(t, activation="tanh", variance=1.0):
    return FeatureModel(2.0, 4.0, t, activation, Spectrum.isotropic(variance))


@pytest.mark.parametrize("t", [1e-3, 0.01, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("variance", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("name", ["erf", "sin", "relu"])
def test_closed_forms_are_the_quadrature(name, t, variance):
    m = model(t, name, variance)
    rule = _kinked if name == "relu" else _smooth
    other = rule(ACTIVATIONS[name].function, m.decay * variance**0.5, m.delta_t**0.5, 1)
    c = coefficients(m)
    np.testing.assert_allclose(
        [c.mu0, c.a, c.v2, c.s2], other, rtol=0, atol=2e-15
    )  # sums of 1e5 terms of order one


@pytest.mark.parametrize("t", [1e-3, 0.1, 3.0])
def test_erf_constants_to_all_digits(t):
    """Differences of the arcsine kernel in 40 digits, where cancellation does no harm."""
    mp.mp.dps = 40
    C, G2 = mp.exp(-2 * mp.mpf(t)), mp.mpf(1)

    def K(x):
        return 2 / mp.pi * mp.asin(2 * x / (1 + 2 * G2))

    a2 = 4 / (mp.pi * (1 + 2 * G2))
    c = coefficients(model(t, "erf"))
    # e^{-t} and its square round to 1e-16; v2 goes as their cube
    assert c.v2 == pytest.approx(float(K(C) - a2 * C), rel=2e-15)
    assert c.s2 == pytest.approx(float(K(G2) - K(C) - a2 * (G2 - C)), rel=2e-15)


@pytest.mark.parametrize(("t", "variance"), [(0.01, 1.0), (0.1, 4.0), (1.0, 1.0)])
def test_tanh_constants_by_another_quadrature(t, variance):
    """Nested adaptive quadrature; the paper's differences, whose cancellation is harmless in 30 digits."""
    mp.mp.dps = 20
    signal, noise = mp.exp(-mp.mpf(t)) * mp.sqrt(variance), mp.sqrt(-mp.expm1(-2 * mp.mpf(t)))
    ends = mp.linspace(-9, 9, 10)

    def mean(f):
        return mp.quad(lambda x: f(x) * mp.exp(-x * x / 2), ends, maxdegree=6) / mp.sqrt(2 * mp.pi)

    G = mp.sqrt(signal**2 + noise**2)
    a = mean(lambda x: x * mp.tanh(G * x)) / G
    square = mean(lambda x: mp.tanh(G * x) ** 2)
    x, w = np.polynomial.legendre.leggauss(400)  # the inner average, to 1e-16
    weight = 9 * w * np.exp(-40.5 * x**2) / np.sqrt(2 * np.pi)
    inner = np.array([weight @ np.tanh(float(signal) * 9 * u + float(noise) * 9 * x) for u in x])
    v2 = weight @ (inner - float(a) * float(signal) * 9 * x) ** 2
    c = coefficients(model(t, "tanh", variance))
    assert c.a == pytest.approx(float(a), rel=1e-14)
    assert c.v2 == pytest.approx(v2, rel=1e-12)
    assert c.v2 + c.s2 == pytest.approx(float(square - (a * G) ** 2), rel=1e-12)


SMOOTH = {  # in arbitrary precision
    "gelu": lambda x: x * mp.ncdf(x),
    "silu": lambda x: x / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
}


@pytest.mark.parametrize("name", sorted(SMOOTH))
@pytest.mark.parametrize(("t", "variance"), [(0.01, 1.0), (0.5, 4.0)])
def test_smooth_relus_by_another_quadrature(name, t, variance):
    """E sigma, E sigma' and E sigma^2 over h in 20 digits; v2 from the kernel, over two correlated h.

    K(C) = E[sigma(h) sigma(h')] by Gauss-Legendre in u and g, v2 = K(signal^2) - mu0^2 - a^2 signal^2.
    """
    sigma = SMOOTH[name]
    decay = mp.exp(-mp.mpf(t))
    signal = decay * mp.sqrt(variance)
    noise = mp.sqrt(-mp.expm1(-2 * mp.mpf(t)))
    G = mp.sqrt(signal**2 + noise**2)

    def mean(f):
        with mp.workdps(20):
            return mp.quad(lambda x: f(G * x) * mp.npdf(x), mp.linspace(-9, 9, 10), maxdegree=6)

    c = coefficients(model(t, name, variance))
    mu0 = mean(sigma)
    assert c.mu0 == pytest.approx(float(mu0), rel=1e-13)
    assert c.a == pytest.approx(float(mean(lambda h: h * sigma(h)) / G**2), rel=1e-13)
    assert c.a == pytest.approx(0.5, rel=1e-13)  # sigma(x) - x/2 is even
    total = mean(lambda h: sigma(h) ** 2) - mu0**2 - (G / 2) ** 2
    assert c.v2 + c.s2 == pytest.approx(float(total), rel=1e-12)
    x, w = np.polynomial.legendre.leggauss(200)
    weight = 9 * w * np.exp(-40.5 * x**2) / np.sqrt(2 * np.pi)
    inner = ACTIVATIONS[name].function(float(signal) * 9 * x[:, None] + float(noise) * 9 * x) @ weight
    kernel = weight @ inner**2
    # a difference of numbers of order one, each with the roundings of 200 weights
    assert c.v2 == pytest.approx(kernel - c.mu0**2 - float(signal) ** 2 / 4, abs=200 * 2.2e-16 * 2)


@pytest.mark.parametrize("variance", [1e-8, 1e6])
@pytest.mark.parametrize("name", sorted(SMOOTH))
def test_smooth_relus_of_narrow_and_of_wide_data(name, variance):
    """To second order at zero they are parabolas; far out relu, up to 1/variance of its constants.

    sigma'' = sqrt(2/pi), 1/2, 1/4 at zero. With q = sigma''/2, v2 = 2 q^2 signal^4 and s2 = 2 q^2 (G^4 -
    signal^4); the next term is of relative order G^2 < 1e-7.
    """
    t = 1e-9 if variance < 1 else 0.1
    m = model(t, name, variance)
    c = coefficients(m)
    signal2 = m.decay**2 * variance
    total2 = signal2 + m.delta_t
    if variance < 1:
        q = {"gelu": np.sqrt(2 / np.pi), "silu": 0.5, "softplus": 0.25}[name] / 2
        expected = [2 * q**2 * signal2**2, 2 * q**2 * (total2**2 - signal2**2)]
        # rounding of sigma itself, 1e-16 of softplus(0), beside v of order 1e-8
        np.testing.assert_allclose([c.v2, c.s2], expected, rtol=1e-6)
    else:
        relu = coefficients(model(t, "relu", variance))
        # |sigma - relu| integrates to pi^2/6 at most, over a density of 1/(G sqrt(2 pi)): mu0 moves by 1/G
        assert c.mu0 == pytest.approx(relu.mu0, rel=4 / total2)
        assert c.v2 == pytest.approx(relu.v2, rel=20 / total2)


PUBLISHED = [  # t, sx^2, a, b, v2, s2 in six decimals, by Gauss-Hermite with 200 nodes
    (0.001, 1.0, 0.605706, 0.027074, 0.027221, 0.000194),
    (0.01, 1.5, 0.532916, 0.074990, 0.041733, 0.002165),
    (0.1, 0.25, 0.766763, 0.326455, 0.000881, 0.005445),
    (1.0, 1.0, 0.605706, 0.563229, 0.000055, 0.027361),
]


@pytest.mark.parametrize(("t", "variance", "a", "b", "v2", "s2"), PUBLISHED)
def test_tanh_constants_of_the_table(t, variance, a, b, v2, s2):
    c = coefficients(model(t, "tanh", variance))
    np.testing.assert_allclose(
        [c.a, c.b, c.v2, c.s2], [a, b, v2, s2], rtol=0, atol=5.1e-7
    )  # six printed decimals


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("t", [0.01, 1.0])
def test_constants_add_up_to_the_mean_square(name, t):
    """mu0^2 + a^2 G^2 + v2 + s2 = E sigma(G x)^2, by Gauss-Legendre in one dimension."""
    m = model(t, name)
    x, weight = np.polynomial.legendre.leggauss(200)  # accurate to some 200 roundings, 1e-14
    x, weight = 10 * x, 10 * weight * np.exp(-50 * x**2) / np.sqrt(2 * np.pi)
    square = 0.5 if name == "relu" else weight @ ACTIVATIONS[name].function(x) ** 2
    c = coefficients(m)
    assert c.mu0**2 + c.a**2 + c.v2 + c.s2 == pytest.approx(square, abs=5e-14)
    assert c.b == pytest.approx(m.delta_t**0.5 * c.a, rel=1e-15)


def test_a_callable_is_its_name():
    assert coefficients(model(0.1, np.tanh)).v2 == coefficients(model(0.1, "tanh")).v2


@pytest.mark.parametrize("t", [0.01, 0.3])
def test_kinked_callable_has_its_closed_form(t):
    """Leaky relu = 0.55 x + 0.45 |x|: the even part alone makes v2 and s2, from the kernel of |x|."""

    def leaky(x):
        return np.where(x > 0, x, 0.1 * x)

    def K(C):
        return 2 / np.pi * (np.sqrt(1 - C**2) + C * np.arcsin(C))

    c, C = coefficients(model(t, leaky)), np.exp(-2 * t)
    assert (c.status, c.note) == (Status.SOLVED, "quadrature")
    assert c.a == pytest.approx(0.55, rel=1e-13)
    assert c.mu0 == pytest.approx(0.45 * np.sqrt(2 / np.pi), rel=1e-13)
    assert c.v2 == pytest.approx(0.45**2 * (K(C) - K(0)), rel=1e-12)
    assert c.s2 == pytest.approx(0.45**2 * (1 - K(C)), rel=1e-11)  # K(1) = 1


@pytest.mark.parametrize("variance", [50.0, 5e3])
def test_wide_data_are_integrated_too(variance):
    """Erf as a callable, steep on the scale of the data, against its arcsine kernel."""
    wide = coefficients(model(0.1, lambda x: erf(x), variance))
    closed = coefficients(model(0.1, "erf", variance))
    assert wide.residual < 1e-14
    np.testing.assert_allclose(
        [wide.a, wide.v2, wide.s2], [closed.a, closed.v2, closed.s2], rtol=0, atol=1e-13
    )
    with pytest.raises(InputError, match="rescale"):
        coefficients(model(0.1, "tanh", 1e8))


def test_what_cannot_be_integrated_says_so():
    """A kink where no panel ends: the residual is not zero, and it covers the true error."""
    c = coefficients(model(0.1, lambda x: np.abs(x - 0.1)))
    exact = 0.1 * (2 * 0.539827837277029 - 1) + 2 * np.exp(-0.005) / np.sqrt(
        2 * np.pi
    )  # folded normal, N(-0.1, 1)
    assert abs(c.mu0 - exact) <= max(10 * c.residual, 1e-12)
    assert c.residual > 1e-14


@pytest.mark.parametrize(
    ("activation", "word"),
    [("linear", "nonlinear"), (lambda x: 2 * x + 1, "linear"), ("swish", "one of"), (np.log, "finite")],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_useless_activations_are_refused(activation, word):
    with pytest.raises(InputError, match=word):
        coefficients(model(0.1, activation))


@pytest.mark.parametrize("activation", [lambda x: max(x, 0), math.tanh])
def test_a_function_of_single_numbers_is_refused(activation):
    with pytest.raises(InputError, match="activation: expected a function from an array to an array"):
        coefficients(model(0.1, activation))
    with pytest.raises(InputError, match="activation: expected a function from an array to an array"):
        simulate(model(0.1, activation), dim=4, seed=0, tau=[1.0])


@pytest.mark.parametrize(
    ("name", "value"),
    [("psi_n", 0.0), ("psi_p", -1.0), ("t", float("nan")), ("psi_n", "2"), ("spectrum", [1.0])],
)
def test_impossible_models_are_refused(name, value):
    m = model(0.1)
    object.__setattr__(m, name, value)  # past the type checker of the tests, which a user does not have
    with pytest.raises(InputError, match=name):
        m.__post_init__()
