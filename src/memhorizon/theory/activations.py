"""Activations of the random features: functions, and closed forms of their constants where there are any."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.special import erf, expit

from memhorizon.results import InputError

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
    if activation == "linear":
        raise InputError(
            "activation: expected a nonlinear one, got 'linear': then v2 = s2 = 0, the features span only d "
            "directions, U is singular and nothing in the theory separates memorising from generalising"
        )
    if activation not in ACTIVATIONS:
        raise InputError(
            f"activation: expected one of {sorted(ACTIVATIONS)} or a callable, got {activation!r}"
        )
    return ACTIVATIONS[str(activation)]


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
    """Arcsine kernel K(C) = (2/pi) asin(2C/(1+2G^2)); differences are formed without cancellation."""
    total = 1 + 2 * (signal**2 + noise**2)
    x0, gap = 2 * signal**2 / total, 2 * noise**2 / total
    x1 = x0 + gap
    v2 = 2 / np.pi * _excess_asin(x0)
    chord = x1 * np.sqrt(1 - x0**2) + x0 * np.sqrt(1 - x1**2)
    s2 = 2 / np.pi * (np.arcsin(gap * (x1 + x0) / chord) - gap)
    return 0.0, float(2 / np.sqrt(np.pi * total)), float(v2), float(s2)


def _sin_moments(signal: float, noise: float) -> Moments:
    """K(C) = exp(-G^2) sinh C, with the exponentials joined so that a large variance does not overflow."""
    c, delta = signal**2, noise**2
    scale = np.exp(-(c + delta))
    v2 = scale * _excess_sinh(c) if c < 0.5 else -0.5 * np.exp(-delta) * np.expm1(-2 * c) - c * scale
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


def _excess_asin(x: float) -> float:
    """Return asin x - x."""
    if x > 0.1:
        return float(np.arcsin(x) - x)
    term, total = x, 0.0
    for k in range(1, 12):  # (2k-1)!!/(2k)!! x^(2k+1)/(2k+1): 1e-24 at the end
        term *= x * x * (2 * k - 1) / (2 * k)
        total += term / (2 * k + 1)
    return total


def _excess_sinh(x: float) -> float:
    """Return sinh x - x for x below 1/2, where the difference of the two would lose digits."""
    term, total = x, 0.0
    for k in range(1, 9):  # x^(2k+1)/(2k+1)!
        term *= x * x / (2 * k * (2 * k + 1))
        total += term
    return total


ACTIVATIONS = {
    "tanh": Activation("tanh", np.tanh),
    "erf": Activation("erf", erf, _erf_moments),
    "relu": Activation("relu", relu, _relu_moments),
    "sin": Activation("sin", np.sin, _sin_moments),
    "sigmoid": Activation("sigmoid", expit),
}
