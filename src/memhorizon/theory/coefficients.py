"""The five constants to which an activation reduces in high dimension."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from memhorizon.checks import check_kind
from memhorizon.errors import InputError
from memhorizon.results import Status
from memhorizon.theory.activations import Activation, Function, Moments, resolve
from memhorizon.theory.arguments import array
from memhorizon.theory.model import FeatureModel

_RANGE = 10.0  # the Gaussian weight is 2e-22 there
LARGEST_DEVIATION = 1e3  # standard deviation of h up to which a quadrature resolves functions of unit scale
_STEEPEST = 1e3  # data over noise up to which the panels of `_kinked` are tried: their number grows with it
_CONVERGED = 1e-10  # largest residual of constants that can be relied on
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
        status: SOLVED, or NOT_CONVERGED where the residual is above 1e-10.
        note: "closed form" or "quadrature".
    """

    mu0: float
    a: float
    b: float
    v2: float
    s2: float
    residual: float
    status: Status
    note: str

    @property
    def converged(self) -> bool:
        """Whether the constants are those of the activation."""
        return self.status is Status.SOLVED


def coefficients(model: FeatureModel) -> Coefficients:
    """Compute the constants, as sums of squares: the differences of the paper lose digits at small t.

    With a mean (relu, gelu, sigmoid, ...) v2 has mu0^2 removed: it only adds one outlier to U.

    Raises:
        InputError: if it is no model, or its activation is linear, or not finite, or takes no array, or does
            not keep the shape of its argument.

    >>> c = coefficients(FeatureModel(psi_n=2, psi_p=4, t=0.01))
    >>> print(f"{c.a:.12f} {c.v2:.10e} {c.s2:.10e}")
    0.605705509602 2.5541776444e-02 1.8735495911e-03

    Source: [bonnaire2025] Eqs. (12)-(14)
    """
    check_kind("model", model, FeatureModel)
    activation = resolve(model.activation)
    signal, noise = _deviations(model)
    if callable(model.activation):  # what it computes may depend on more than its argument: never kept
        return _coefficients(activation, signal, noise)
    return _known_coefficients(activation, signal, noise)


def _deviations(model: FeatureModel) -> tuple[float, float]:
    """Standard deviations of what the data and what the noise add to the argument of sigma."""
    signal = model.decay * float(np.sqrt(model.spectrum.variance))
    noise = float(np.sqrt(model.delta_t))
    return signal, noise


def _coefficients(activation: Activation, signal: float, noise: float) -> Coefficients:
    """For h = signal * u + noise * g."""
    found = _moments(activation, signal, noise)
    _check_nonlinear(found.moments, signal, noise)
    mu0, a, v2, s2 = found.moments
    status = Status.SOLVED if found.residual < _CONVERGED else Status.NOT_CONVERGED
    note = "quadrature" if activation.moments is None else "closed form"
    return Coefficients(mu0, a, noise * a, v2, s2, found.residual, status, note)


_known_coefficients = lru_cache(maxsize=1024)(_coefficients)


class _Found(NamedTuple):
    """Constants, and how far they moved on the last refinement."""

    moments: Moments
    residual: float


def _moments(activation: Activation, signal: float, noise: float) -> _Found:
    """In closed form where there is one."""
    if activation.moments is None:
        return _integrated(activation.function, signal, noise)
    return _Found(activation.moments(signal, noise), 0.0)


def _check_nonlinear(moments: Moments, signal: float, noise: float) -> None:
    """Refuse sigma(h) that is linear in h to all digits.

    Raises:
        InputError: if it is.
    """
    if _is_nonlinear(moments, signal, noise):
        return
    raise InputError(
        "activation: expected a nonlinear one, got a linear function, or one that is linear on the scale "
        f"of the data ({np.hypot(signal, noise):.3g}): then v2 = s2 = 0"
    )


def _is_nonlinear(moments: Moments, signal: float, noise: float) -> bool:
    """Whether v2 + s2 is more than rounding of the mean square mu0^2 + a^2 G^2 + v2 + s2."""
    mu0, a, v2, s2 = moments
    return v2 + s2 > 1e-20 * (mu0**2 + a**2 * (signal**2 + noise**2))


def _check_spread(signal: float, noise: float) -> None:
    if np.hypot(signal, noise) > LARGEST_DEVIATION:
        raise InputError(
            f"spectrum: expected a standard deviation below {LARGEST_DEVIATION:g}, got {signal:g}; rescale"
        )


def _integrated(function: Function, signal: float, noise: float) -> _Found:
    """Constants by quadrature: the trapezoid rule, and where it does not converge panels for kinks.

    Raises:
        InputError: if the data spread too far for a quadrature.
    """
    _check_spread(signal, noise)
    smooth = _converged(_smooth, function, signal, noise)
    if smooth.residual <= 1e-14 or signal >= _STEEPEST * noise:
        return smooth
    kinked = _converged(_kinked, function, signal, noise)
    return kinked if kinked.residual < smooth.residual else smooth


Rule = Callable[[Function, float, float, int], np.ndarray]  # function, signal, noise, level -> constants [4]


def _converged(rule: Rule, function: Function, signal: float, noise: float) -> _Found:
    """Refine a rule until its constants stop changing."""
    before = rule(function, signal, noise, 0)
    change = np.inf
    for level in range(1, 5):
        after = rule(function, signal, noise, level)
        change = _largest_change(before, after)
        before = after
        if change < 4e-15:
            break
    return _Found(Moments(*map(float, before)), change)


def _largest_change(before: np.ndarray, after: np.ndarray) -> float:
    """Absolute below 1, relative above."""
    scale = np.maximum(1.0, np.abs(after))
    return float(np.max(np.abs(after - before) / scale))


def _smooth(function: Function, signal: float, noise: float, level: int) -> np.ndarray:
    """Trapezoid rule in (u, g): geometric convergence for analytic functions."""
    x, weight = _gaussian_trapezoid(0.1 / 2**level)  # [m]
    mu0, a = _line(function, np.hypot(signal, noise), x, weight)
    # v2 = E_u (E_g sigma - mu0 - a signal u)^2, s2 = E (sigma - E_g sigma - a noise g)^2
    v2 = 0.0
    s2 = 0.0
    for u, share in _parts(x, weight, 1 + len(x) ** 2 // _BLOCK):
        sigma = _values(function, signal * u[:, None] + noise * x)  # [u, g]
        mean = sigma @ weight  # E_g sigma [u]
        v2 += share @ (mean - mu0 - a * signal * u) ** 2
        s2 += share @ ((sigma - mean[:, None] - a * noise * x) ** 2 @ weight)
    return np.array([mu0, a, v2, s2])


def _line(function: Function, G: float, x: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """The line closest to sigma(G x): mu0 = E sigma(G x), a = E[x sigma(G x)]/G."""
    marginal = _values(function, G * x)  # [m]
    return float(weight @ marginal), float(weight @ (x * marginal) / G)


def _kinked(function: Function, signal: float, noise: float, level: int) -> np.ndarray:
    """Gauss rules in h on panels that end at multiples of 1/4: exact across kinks and jumps there."""
    G = np.hypot(signal, noise)
    h, dh = _panels(G, level)  # [m]
    nodes = _Nodes(h, dh, _values(function, h))
    # mu0 = E sigma(h), a = E[h sigma(h)]/G^2, h of variance G^2
    marginal = dh * _density(h / G) / G
    mu0 = marginal @ nodes.sigma
    a = marginal @ (nodes.sigma * h) / G**2
    v2, s2 = _beyond_line(nodes, mu0, a, signal, noise)
    return np.array([mu0, a, v2, s2])


@dataclass(frozen=True)
class _Nodes:
    """Nodes and weights in h, and the activation at the nodes; all are [m]."""

    h: np.ndarray
    dh: np.ndarray
    sigma: np.ndarray

    def part(self, which: slice) -> "_Nodes":
        """Some of them, one after the other."""
        return _Nodes(self.h[which], self.dh[which], self.sigma[which])


def _beyond_line(nodes: _Nodes, mu0: float, a: float, signal: float, noise: float) -> tuple[float, float]:
    """v2 and s2 as in _smooth, with h in place of g = (h - signal u)/noise."""
    v2 = 0.0
    s2 = 0.0
    u, weight = _gaussian_trapezoid(min(0.05, 0.7 * noise / signal))  # E_g sigma varies on this scale
    for part, share in _parts(u, weight, 1 + len(u) // 16):
        near = nodes.part(_reach(nodes.h, signal * part, noise))
        g = (near.h - signal * part[:, None]) / noise  # [u, h]
        given = near.dh * _density(g) / noise  # [u, h]
        # v2 = E_u (E_g sigma - mu0 - a signal u)^2
        mean = given @ near.sigma  # [u]
        v2 += share @ (mean - mu0 - a * signal * part) ** 2
        # s2 = E_u E_g (sigma - E_g sigma - a noise g)^2
        rest = near.sigma - mean[:, None] - a * noise * g
        s2 += share @ (given * rest**2).sum(axis=1)
    return float(v2), float(s2)


def _panels(G: float, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights in h of Gauss rules on panels of width 1/4 and less."""
    count = int(np.ceil(4 * _RANGE * G)) * 2**level  # on each side of zero
    width = 0.25 / 2**level
    node, weight = np.polynomial.legendre.leggauss(12)
    h = width * (np.arange(-count, count)[:, None] + 0.5 + 0.5 * node)
    return h.ravel(), np.tile(0.5 * width * weight, 2 * count)


def _reach(h: np.ndarray, means: np.ndarray, noise: float) -> slice:
    """Nodes h that the noise can reach from these means, which ascend."""
    ends = means[[0, -1]] + noise * _RANGE * np.array([-1, 1])
    return slice(*np.searchsorted(h, ends))


def _parts(x: np.ndarray, weight: np.ndarray, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Nodes and weights in `count` pieces."""
    return zip(np.array_split(x, count), np.array_split(weight, count), strict=True)


def _gaussian_trapezoid(step: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the standard Gaussian measure."""
    half = round(_RANGE / step)
    x = step * np.arange(-half, half + 1)
    return x, step * _density(x)


def _density(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)


def _values(function: Function, x: np.ndarray) -> np.ndarray:
    """Evaluate an activation and look at what it gives.

    Raises:
        InputError: if it is not one finite number per entry.
    """
    values = array("activation", function(x)).astype(float)
    _check_values(values, x.shape)
    return values


def _check_values(values: np.ndarray, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise InputError(f"activation: expected values of shape {shape}, got shape {values.shape}")
    if not np.all(np.isfinite(values)):
        raise InputError("activation: expected finite values, got some that are not")
