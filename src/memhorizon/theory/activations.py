"""Activations of the random features: functions, and closed forms of their constants where there are any."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb, factorial
from typing import cast

import numpy as np
from scipy.special import erf, expit

from memhorizon.errors import InputError

Function = Callable[[np.ndarray], np.ndarray]
Moments = tuple[float, float, float, float]  # mu0, a, v2, s2


@dataclass(frozen=True)
class Activation:
    """An entrywise function.

    Attributes:
        name: how it is called.
        function: from an array to an array of the same shape.
        moments: (signal, noise) -> (mu0, a, v2, s2) in closed form, for h = signal * u + noise * g;
            None: by quadrature.
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
        return Activation(getattr(activation, "__name__", "callable"), cast(Function, activation))
    if isinstance(activation, str) and activation == "linear":
        raise InputError(
            "activation: expected a nonlinear one, got 'linear': then v2 = s2 = 0, the features span only d "
            "directions, U is singular and nothing in the theory separates memorising from generalising"
        )
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise InputError(
            f"activation: expected one of {sorted(ACTIVATIONS)} or a callable, got {activation!r:.200}"
        )
    return ACTIVATIONS[activation]


def activation_function(activation: object) -> Function:
    """Return the entrywise function itself.

    Raises:
        InputError: if the name is unknown, or the activation is linear.
    """
    return resolve(activation).function


def relu(x: np.ndarray) -> np.ndarray:
    """Return the positive part."""
    return np.maximum(x, 0.0)


def _erf_moments(signal: float, noise: float) -> Moments:
    """Arcsine kernel K(C) = (2/pi) asin(2C/(1+2G^2)); no difference or root loses digits or sign."""
    total = 1 + 2 * (signal**2 + noise**2)
    x0 = 2 * signal**2 / total
    gap = 2 * noise**2 / total
    x1 = x0 + gap
    v2 = 2 / np.pi * (np.arcsin(x0) - x0 if x0 > 0.1 else _rise(_ASIN, 0.0, x0))
    # asin x1 - asin x0 = asin(x1 cos0 - x0 cos1), and that difference times the sum is x1^2 - x0^2
    cos0 = np.sqrt((1 + 2 * noise**2) / total * (1 + x0))
    cos1 = np.sqrt((1 + x1) / total)
    turn = np.arcsin(gap * (x1 + x0) / (x1 * cos0 + x0 * cos1))
    s2 = 2 / np.pi * (turn - gap if x1 > 0.1 else _rise(_ASIN, x0, gap))
    return 0.0, float(2 / np.sqrt(np.pi * total)), float(v2), float(s2)


def _sin_moments(signal: float, noise: float) -> Moments:
    """K(C) = exp(-G^2) sinh C, with the exponentials joined so that a large variance does not overflow."""
    c, delta = signal**2, noise**2
    scale = np.exp(-(c + delta))
    v2 = scale * _rise(_SINH, 0.0, c) if c < 0.5 else -0.5 * np.exp(-delta) * np.expm1(-2 * c) - c * scale
    if c + delta < 0.5:
        s2 = scale * _rise(_SINH, c, delta)
    else:
        s2 = (np.exp(-delta / 2) + np.exp(-2 * c - 1.5 * delta)) * np.sinh(delta / 2) - delta * scale
    return 0.0, float(np.sqrt(scale)), float(v2), float(s2)


def _relu_moments(signal: float, noise: float) -> Moments:
    """K(C) = (G^2/2pi) (sin th + (pi - th) cos th), cos th = C/G^2 (the arc-cosine kernel of order one)."""
    total = signal**2 + noise**2
    cosine, sine = signal**2 / total, noise * np.sqrt(2 * signal**2 + noise**2) / total
    angle = np.arctan2(sine, cosine)
    complement = np.arctan2(cosine, sine)
    v2 = total / (2 * np.pi) * (cosine * complement - cosine**2 / (1 + sine))
    s2 = noise**2 / 4 - total / (2 * np.pi) * (sine - angle * cosine)
    return float(np.sqrt(total / (2 * np.pi))), 0.5, float(v2), float(s2)


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


# asin x - x up to x = 0.1: (2k-1)!!/((2k)!! (2k+1)), 1e-24 at the end; sinh x - x up to 1/2: 1/(2k+1)!
_ASIN = [comb(2 * k, k) / 4**k / (2 * k + 1) for k in range(1, 12)]
_SINH = [1 / factorial(2 * k + 1) for k in range(1, 9)]

ACTIVATIONS = {
    "tanh": Activation("tanh", np.tanh),
    "erf": Activation("erf", erf, _erf_moments),
    "relu": Activation("relu", relu, _relu_moments),
    "sin": Activation("sin", np.sin, _sin_moments),
    "sigmoid": Activation("sigmoid", expit),
}
