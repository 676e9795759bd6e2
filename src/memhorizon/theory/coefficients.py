"""The five constants to which an activation reduces in high dimension."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from memhorizon.errors import InputError
from memhorizon.theory.activations import Activation, Function, resolve
from memhorizon.theory.arguments import array
from memhorizon.theory.model import FeatureModel

_RANGE = 10.0  # the Gaussian weight is 2e-22 there
LARGEST_DEVIATION = 1e3  # standard deviation of h up to which a quadrature resolves functions of unit scale
_STEEPEST = 1e3  # data over noise up to which the panels of `_kinked` are tried: their number grows with it
_BLOCK = 2**20  # entries of the largest temporary array


@dataclass(frozen=True)
class Coefficients:
    """Constants of the Gaussian equivalent of sigma(h), h = exp(-t) sx u + sqrt(Delta_t) g.

    Attributes:
        mu0: E sigma(h).
        a: E sigma'(h), the slope along the data.
        b: E[g sigma(h)] = sqrt(Delta_t) a, the slope along the noise.
        v2: variance over u of E_g sigma beyond its linear part.
        s2: mean variance over g of sigma beyond its linear part.
        residual: change of the constants on the last refinement of the quadrature, absolute; 0 for closed
            forms. Rounding alone moves v2 by 1e-33, and for odd functions it falls as exp(-6t): that of tanh
            is good to 0.2 % at t = 11.
        status: "closed form", "quadrature", or "not converged" where the residual is above 1e-10.
    """

    mu0: float
    a: float
    b: float
    v2: float
    s2: float
    residual: float
    status: str

    @property
    def converged(self) -> bool:
        """Whether the constants are those of the activation."""
        return self.status != "not converged"


def coefficients(model: FeatureModel) -> Coefficients:
    """Compute the constants, as sums of squares: the differences of the paper lose digits at small t.

    With a mean (relu, sigmoid) v2 has mu0^2 removed: it only adds one outlier to U.

    Raises:
        InputError: if the activation is linear, or not finite, or does not keep the shape of its argument.

    >>> c = coefficients(FeatureModel(psi_n=2, psi_p=4, t=0.01))
    >>> print(f"{c.a:.12f} {c.v2:.10e} {c.s2:.10e}")
    0.605705509602 2.5541776444e-02 1.8735495911e-03

    Source: [bonnaire2025] Eqs. (12)-(14)
    """
    activation = resolve(model.activation)
    signal = model.decay * float(np.sqrt(model.spectrum.variance))
    noise = float(np.sqrt(model.delta_t))
    if callable(model.activation):  # what it computes may depend on more than its argument: never kept
        return _coefficients(activation, signal, noise)
    return _known_coefficients(activation, signal, noise)


def _coefficients(activation: Activation, signal: float, noise: float) -> Coefficients:
    """For h = signal * u + noise * g."""
    residual, status = 0.0, "closed form"
    if activation.moments is None and np.hypot(signal, noise) > LARGEST_DEVIATION:
        raise InputError(
            f"spectrum: expected a standard deviation below {LARGEST_DEVIATION:g}, got {signal:g}; rescale"
        )
    if activation.moments is not None:
        mu0, a, v2, s2 = activation.moments(signal, noise)
    else:
        (mu0, a, v2, s2), residual = _converged(_smooth, activation.function, signal, noise)
        if residual > 1e-14 and signal < _STEEPEST * noise:
            kinked, other = _converged(_kinked, activation.function, signal, noise)
            if other < residual:
                (mu0, a, v2, s2), residual = kinked, other
        status = "quadrature" if residual < 1e-10 else "not converged"
    if v2 + s2 <= 1e-20 * (mu0**2 + a**2 * (signal**2 + noise**2)):
        raise InputError(
            "activation: expected a nonlinear one, got a linear function, or one that is linear on the scale "
            f"of the data ({np.hypot(signal, noise):.3g}): then v2 = s2 = 0"
        )
    return Coefficients(mu0, a, noise * a, v2, s2, residual, status)


_known_coefficients = lru_cache(maxsize=1024)(_coefficients)


def _converged(
    rule: Callable[..., np.ndarray], function: Function, signal: float, noise: float
) -> tuple[tuple[float, float, float, float], float]:
    """Refine a rule until its constants stop changing."""
    before, change = rule(function, signal, noise, 0), np.inf
    for level in range(1, 5):
        after = rule(function, signal, noise, level)
        change = float(np.max(np.abs(after - before) / np.maximum(1.0, np.abs(after))))
        before = after
        if change < 4e-15:
            break
    mu0, a, v2, s2 = (float(value) for value in before)
    return (mu0, a, v2, s2), change


def _smooth(function: Function, signal: float, noise: float, level: int) -> np.ndarray:
    """Trapezoid rule in (u, g): geometric convergence for analytic functions."""
    x, w = _gaussian_trapezoid(0.1 / 2**level)
    total = np.hypot(signal, noise)
    mu0 = w @ _values(function, total * x)
    a = w @ (x * _values(function, total * x)) / total
    v2 = s2 = 0.0
    parts = 1 + len(x) ** 2 // _BLOCK
    for u, share in zip(np.array_split(x, parts), np.array_split(w, parts), strict=True):
        values = _values(function, signal * u[:, None] + noise * x)  # [u, g]
        mean = values @ w  # E_g sigma [u]
        v2 += share @ (mean - mu0 - a * signal * u) ** 2
        s2 += share @ ((values - mean[:, None] - a * noise * x) ** 2 @ w)
    return np.array([mu0, a, v2, s2])


def _kinked(function: Function, signal: float, noise: float, level: int) -> np.ndarray:
    """Gauss rules in h on panels that end at multiples of 1/4: exact across kinks and jumps there."""
    total = np.hypot(signal, noise)
    panels = int(np.ceil(4 * _RANGE * total)) * 2**level
    width = 0.25 / 2**level
    node, weight = np.polynomial.legendre.leggauss(12)
    h = (width * (np.arange(-panels, panels)[:, None] + 0.5 + 0.5 * node)).ravel()
    dh = np.tile(0.5 * width * weight, 2 * panels)
    values = _values(function, h)
    u, w = _gaussian_trapezoid(min(0.05, 0.7 * noise / signal))  # E_g sigma varies on this scale
    marginal = dh * _density(h / total) / total
    mu0 = marginal @ values
    a = marginal @ (values * h) / total**2
    v2 = s2 = 0.0
    parts = 1 + len(u) // 16
    for part, share in zip(np.array_split(u, parts), np.array_split(w, parts), strict=True):
        reach = signal * part[[0, -1]] + noise * _RANGE * np.array([-1, 1])
        near = slice(*np.searchsorted(h, reach))  # where the noise can bring this part of u
        g = (h[near] - signal * part[:, None]) / noise  # [u, h]
        given = dh[near] * _density(g) / noise
        mean = given @ values[near]
        v2 += share @ (mean - mu0 - a * signal * part) ** 2
        s2 += share @ (given * (values[near] - mean[:, None] - a * noise * g) ** 2).sum(axis=1)
    return np.array([mu0, a, v2, s2])


def _gaussian_trapezoid(step: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the standard Gaussian measure."""
    half = round(_RANGE / step)
    x = step * np.arange(-half, half + 1)
    return x, step * _density(x)


def _density(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)


def _values(function: Function, x: np.ndarray) -> np.ndarray:
    values = array("activation", function(x)).astype(float)
    if values.shape != x.shape:
        raise InputError(f"activation: expected values of shape {x.shape}, got shape {values.shape}")
    if not np.all(np.isfinite(values)):
        raise InputError("activation: expected finite values, got some that are not")
    return values
