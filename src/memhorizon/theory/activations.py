"""Activations of the random features: functions, and closed forms of their constants where there are any."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb, factorial
from typing import NamedTuple, cast

import numpy as np
from scipy.special import erf, expit, ndtr

from memhorizon.errors import InputError

Function = Callable[[np.ndarray], np.ndarray]


class Moments(NamedTuple):
    """Constants of sigma(h), h = signal * u + noise * g with u and g standard normal.

    Attributes:
        mu0: E sigma(h).
        a: E sigma'(h).
        v2: variance over u of E_g sigma beyond its linear part.
        s2: mean variance over g of sigma beyond its linear part.
    """

    mu0: float
    a: float
    v2: float
    s2: float


@dataclass(frozen=True)
class Activation:
    """An entrywise function.

    Attributes:
        name: how it is called.
        function: from an array to an array of the same shape.
        moments: (signal, noise) -> constants in closed form; None: by quadrature.
    """

    name: str
    function: Function
    moments: Callable[[float, float], Moments] | None = None


def resolve(activation: object) -> Activation:
    """Find an activation by its name, or wrap a callable.

    Raises:
        InputError: if the name is unknown, or the activation is linear.
    """
    if callable(activation):
        return _wrapped(cast(Function, activation))
    name = activation if isinstance(activation, str) else ""
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    raise InputError(_LINEAR if name == "linear" else _unknown(activation))


def _wrapped(function: Function) -> Activation:
    """A callable under its name."""
    name = getattr(function, "__name__", "callable")
    return Activation(name, _guarded(name, function))


def _guarded(name: str, function: Function) -> Function:
    """A callable that names its argument where it takes no array."""

    def guarded(x: np.ndarray) -> np.ndarray:
        try:
            return function(x)
        except (TypeError, ValueError) as error:
            raise InputError(
                "activation: expected a function from an array to an array, entry by entry, "
                "as np.maximum(x, 0) where max(x, 0) takes single numbers; "
                f"got {name}, which raised {type(error).__name__}: {error}"
            ) from error

    return guarded


def _unknown(activation: object) -> str:
    """What to say of a name that is none."""
    names = ", ".join(ACTIVATIONS)
    return f"activation: expected one of {names} or a callable, got {activation!r:.200}"


def relu(x: np.ndarray) -> np.ndarray:
    """Return the positive part."""
    return np.maximum(x, 0.0)


def gelu(x: np.ndarray) -> np.ndarray:
    """Return x Phi(x), Phi the distribution function of the standard normal (not its tanh approximation)."""
    return x * ndtr(x)


def silu(x: np.ndarray) -> np.ndarray:
    """Return x/(1 + exp(-x)), also called swish."""
    return x * expit(x)


def softplus(x: np.ndarray) -> np.ndarray:
    """Return log(1 + exp(x))."""
    return np.logaddexp(0.0, x)


# The closed forms below are differences of a kernel, K(C) = E[sigma(h) sigma(h')] with Var h = G^2 and
# Cov(h, h') = C: v2 = K(signal^2) - mu0^2 - a^2 signal^2 and s2 = K(G^2) - K(signal^2) - a^2 noise^2, where
# G^2 = signal^2 + noise^2. They are rearranged so that no difference or root loses digits or sign.


def _erf_moments(signal: float, noise: float) -> Moments:
    """From the arcsine kernel K(C) = (2/pi) asin(2C/(1 + 2G^2))."""
    total = 1 + 2 * (signal**2 + noise**2)  # 1 + 2 G^2
    a = 2 / np.sqrt(np.pi * total)
    x0 = 2 * signal**2 / total  # argument of the arcsine at C = signal^2
    gap = 2 * noise**2 / total  # what C = G^2 adds to it
    v2 = 2 / np.pi * _asin_excess(x0)
    s2 = 2 / np.pi * _asin_gain(x0, gap, total, noise)
    return Moments(0.0, float(a), float(v2), float(s2))


def _asin_excess(x0: float) -> float:
    """Return asin x0 - x0."""
    return np.arcsin(x0) - x0 if x0 > 0.1 else _rise(_ASIN, 0.0, x0)


def _asin_gain(x0: float, gap: float, total: float, noise: float) -> float:
    """Return asin x1 - asin x0 - (x1 - x0), x1 = x0 + gap."""
    x1 = x0 + gap
    if x1 <= 0.1:
        return _rise(_ASIN, x0, gap)
    cos0 = np.sqrt((1 + 2 * noise**2) / total * (1 + x0))  # sqrt(1 - x0^2)
    cos1 = np.sqrt((1 + x1) / total)  # sqrt(1 - x1^2)
    # asin x1 - asin x0 = asin(x1 cos0 - x0 cos1), and that difference times the sum is x1^2 - x0^2
    sine = gap * (x1 + x0) / (x1 * cos0 + x0 * cos1)
    return np.arcsin(sine) - gap


def _sin_moments(signal: float, noise: float) -> Moments:
    """From K(C) = exp(-G^2) sinh C, exponentials joined so that a large variance does not overflow."""
    c = signal**2
    delta = noise**2
    scale = np.exp(-(c + delta))  # a^2 = exp(-G^2)
    v2 = _sinh_excess(c, delta, scale)
    s2 = _sinh_gain(c, delta, scale)
    return Moments(0.0, float(np.sqrt(scale)), float(v2), float(s2))


def _sinh_excess(c: float, delta: float, scale: float) -> float:
    """Return exp(-c - delta) (sinh c - c)."""
    if c < 0.5:
        return scale * _rise(_SINH, 0.0, c)
    return -0.5 * np.exp(-delta) * np.expm1(-2 * c) - c * scale


def _sinh_gain(c: float, delta: float, scale: float) -> float:
    """Return exp(-c - delta) (sinh(c + delta) - sinh c - delta)."""
    if c + delta < 0.5:
        return scale * _rise(_SINH, c, delta)
    return _sinh_rise(c, delta) - delta * scale


def _sinh_rise(c: float, delta: float) -> float:
    """Return exp(-c - delta) (sinh(c + delta) - sinh c)."""
    # sinh(c + delta) - sinh c = 2 cosh(c + delta/2) sinh(delta/2)
    cosh = np.exp(-delta / 2) + np.exp(-2 * c - 1.5 * delta)
    return cosh * np.sinh(delta / 2)


def _relu_moments(signal: float, noise: float) -> Moments:
    """From the arc-cosine kernel K(C) = (G^2/2pi) (sin th + (pi - th) cos th), cos th = C/G^2."""
    total = signal**2 + noise**2  # G^2
    cosine = signal**2 / total
    sine = noise * np.sqrt(2 * signal**2 + noise**2) / total
    angle = np.arctan2(sine, cosine)  # th
    complement = np.arctan2(cosine, sine)  # pi/2 - th
    mu0 = np.sqrt(total / (2 * np.pi))
    v2 = total / (2 * np.pi) * (cosine * complement - cosine**2 / (1 + sine))
    s2 = noise**2 / 4 - total / (2 * np.pi) * (sine - angle * cosine)
    return Moments(float(mu0), 0.5, float(v2), float(s2))


def _rise(series: Sequence[float], x0: float, gap: float) -> float:
    """Return f(x0 + gap) - f(x0) for f(x) = sum_k series[k-1] x^(2k+1), a sum of positive terms only."""
    power = x0  # x0^m
    rise = gap  # x1^m - x0^m = x1 (x1^(m-1) - x0^(m-1)) + gap x0^(m-1)
    total = 0.0
    for coefficient in series:
        for _ in range(2):
            rise = (x0 + gap) * rise + gap * power
            power *= x0
        total += coefficient * rise
    return total


_LINEAR = (
    "activation: expected a nonlinear one, got 'linear': then v2 = s2 = 0, the features span only d "
    "directions, U is singular and nothing in the theory separates memorization from generalization"
)
# asin x - x up to x = 0.1: (2k-1)!!/((2k)!! (2k+1)), 1e-24 at the end; sinh x - x up to 1/2: 1/(2k+1)!
_ASIN = [comb(2 * k, k) / 4**k / (2 * k + 1) for k in range(1, 12)]
_SINH = [1 / factorial(2 * k + 1) for k in range(1, 9)]

ACTIVATIONS = {
    "tanh": Activation("tanh", np.tanh),
    "erf": Activation("erf", erf, _erf_moments),
    "relu": Activation("relu", relu, _relu_moments),
    "sin": Activation("sin", np.sin, _sin_moments),
    "sigmoid": Activation("sigmoid", expit),
    "gelu": Activation("gelu", gelu),
    "silu": Activation("silu", silu),
    "softplus": Activation("softplus", softplus),
}
