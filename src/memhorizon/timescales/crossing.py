"""Where a noisy rising curve first passes a level, with an interval from its noise and from its spacing.

The interval is the set of times x at which "the curve equals the level at x" is not rejected. Three things
enter:

1. Noise. Readings are normal on a working scale of known variance. How much of it neighbouring readings
   share is not known to the curve (a run that draws the same seeds at every snapshot shares most of it, fresh
   seeds share none), so half of the variance is taken as shared and half as fresh: `SHARED`.
2. Monotony. The truth only rises, so the readings are first replaced by their isotonic regression.
3. Spacing. Between two readings the curve is taken as straight on the line scale, against log step. The lines
   through the two readings before and the two after a bracket say how far it may run from that; the level is
   rejected only where it lies outside of this span by more than the noise. At the ends of a run, and beside
   readings that are a bound only (no hits, all hits), the span is widened for what nothing was seen of.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit, ndtr, ndtri

from memhorizon.results import two_sided

SHARED = 0.5
_POINTS = 33  # per bracket, ends included; the test statistic is taken as straight between them


@dataclass(frozen=True)
class Scale:
    """How readings are turned into something straight in log step.

    Attributes:
        line: from the working scale, where noise has a known variance, to the scale of straight lines.
        back: its inverse.
        rate: derivative of `line`.
        value: from the working scale to the quantity itself.
        working: its inverse.
    """

    line: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]
    rate: Callable[[np.ndarray], np.ndarray]
    value: Callable[[np.ndarray], np.ndarray]
    working: Callable[[np.ndarray], np.ndarray]


PLAIN = Scale(lambda y: y, lambda g: g, np.ones_like, lambda y: y, lambda v: v)
ANGLE = Scale(  # a fraction p as arcsin(sqrt(p)), straight as logit(p): any logistic or power-law onset
    line=lambda y: logit(np.sin(y) ** 2),
    back=lambda g: np.arcsin(np.sqrt(expit(g))),
    rate=lambda y: 4 / np.sin(2 * y),
    value=lambda y: np.sin(y) ** 2,
    working=lambda p: np.arcsin(np.sqrt(p)),
)


def steep(unit: float) -> Scale:
    """A quantity that falls over orders of magnitude is straight as asinh(y / unit).

    Far beyond the unit that is the logarithm of its size, within it the quantity itself, which may be 0 or of
    the other sign: corrected distances are, near 0.
    """
    return Scale(
        line=lambda y: np.arcsinh(y / unit),
        back=lambda g: unit * np.sinh(g),
        rate=lambda y: 1 / np.hypot(y, unit),
        value=lambda y: y,
        working=lambda v: v,
    )


@dataclass(frozen=True)
class Crossing:
    """A crossing in log step: -inf is before the first reading, inf after the last."""

    centre: float
    low: float
    high: float


def angle_of_counts(
    count: Float[np.ndarray, " m"], total: Float[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """The variance-stabilised proportion arcsin(sqrt(p)) and its standard deviation.

    Source: [anscombe1948]
    """
    return np.arcsin(np.sqrt((count + 0.375) / (total + 0.75))), 0.5 / np.sqrt(total + 0.5)


def shared_fractions(y: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m m"]:
    """Correlation of proportions whose samples turn once, each at its own time: cov = p_min (1 - p_max)."""
    odds = np.tan(y) ** 2
    return np.sqrt(np.minimum.outer(odds, odds) / np.maximum.outer(odds, odds))


def isotonic(y: Float[np.ndarray, " m"], sd: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """The best rising fit, weighted by the precision of each reading."""
    return isotonic_regression(y, weights=1 / sd**2).x


def crossing(
    x: Float[np.ndarray, " m"],
    y: Float[np.ndarray, " m"],
    sd: Float[np.ndarray, " m"],
    level: float,
    *,
    level_sd: float = 0.0,
    bound: Bool[np.ndarray, " m"] | None = None,
    scale: Scale = PLAIN,
    confidence: float = 0.95,
) -> Crossing:
    """Find the first x at which the rising truth behind y reaches the level.

    Args:
        x: log steps, increasing.
        y: readings on the working scale.
        sd: their standard deviations, positive.
        level: on the working scale.
        level_sd: standard deviation of the level itself.
        bound: readings that say no more on the line scale than that the truth lies beyond them.
        scale: working and line scale.
        confidence: nominal coverage.

    Source: [tang2012] (monotone counts on a grid of times: the inverse at a level, by test inversion)
    """
    y = isotonic(y, sd)
    covariance = _covariance(y, sd, scale)
    weak = np.zeros(len(y), dtype=bool) if bound is None else bound
    path = _at_readings(x, y, covariance) if len(y) == 1 else _between(x, y, covariance, weak, scale)
    straight = scale.line(path.line) - scale.line(np.array(level))
    low, high = _not_rejected(path, level, level_sd, confidence)
    return Crossing(_first(path.x, straight), low, high)


def _not_rejected(path: "_Path", level: float, level_sd: float, confidence: float) -> tuple[float, float]:
    """First and last x at which the level is not rejected: bottom - z noise <= level <= top + z noise."""
    noise = np.sqrt(path.variance + level_sd**2)
    z = _quantile((path.top - path.bottom) / noise, confidence)
    early = (path.top - level) / noise + z
    late = (path.bottom - level) / noise - z
    return _first(path.x, early), -_first(-path.x[::-1], -late[::-1])


def _covariance(
    y: Float[np.ndarray, " m"], sd: Float[np.ndarray, " m"], scale: Scale
) -> Float[np.ndarray, "m m"]:
    """Of the readings: half of the variance is fresh in each, half is shared as far as they are alike.

    C_ij = sd_i sd_j ((1 - s) delta_ij + s r_ij), s = SHARED, with r_ii = 1, r_ij = 1 of means, and of
    proportions the correlation of samples that turn once.
    """
    alike = shared_fractions(y) if scale is ANGLE else np.ones((len(y), len(y)))
    return np.outer(sd, sd) * ((1 - SHARED) * np.eye(len(y)) + SHARED * alike)


@dataclass(frozen=True)
class _Path:
    """Where the curve may run, on the working scale.

    Attributes:
        x: log steps. [g]
        line: straight between the readings on the line scale. [g]
        bottom: the lowest that the curve may run. [g]
        top: the highest. [g]
        variance: of `line`, from the noise of the readings. [g]
    """

    x: Float[np.ndarray, " g"]
    line: Float[np.ndarray, " g"]
    bottom: Float[np.ndarray, " g"]
    top: Float[np.ndarray, " g"]
    variance: Float[np.ndarray, " g"]


def _at_readings(
    x: Float[np.ndarray, " m"], y: Float[np.ndarray, " m"], covariance: Float[np.ndarray, "m m"]
) -> _Path:
    """The readings themselves: there is nothing between them."""
    return _Path(x, y, y, y, np.diag(covariance))


def _quantile(width: Float[np.ndarray, " g"], confidence: float) -> Float[np.ndarray, " g"]:
    """How many standard deviations beyond both ends of a span of that width hold the truth anywhere in it.

    Solves Phi(z + width) - Phi(-z) = confidence: between the two-sided normal quantile (no width) and the
    one-sided one (wide).

    Source: [imbens2004]
    """
    width = np.minimum(width, 40.0)  # beyond it the far end is never met
    low = np.full_like(width, -ndtri(1 - confidence))
    top = two_sided(confidence)
    z = np.maximum(low, 0.0)
    for _ in range(20):  # Newton on a function that is concave above 0: never overshoots there
        missing = confidence - (ndtr(z + width) - ndtr(-z))
        density = _density(z + width) + _density(z)
        nearer = np.clip(z + missing / density, low, top)
        if np.array_equal(nearer, z):
            break
        z = nearer
    return z


def _density(z: Float[np.ndarray, " g"]) -> Float[np.ndarray, " g"]:
    """Of the standard normal distribution."""
    return np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def _first(x: Float[np.ndarray, " g"], y: Float[np.ndarray, " g"]) -> float:
    """First x with y >= 0, interpolated: -inf if from the start, inf if never."""
    up = np.flatnonzero(y >= 0)
    if len(up) == 0:
        return np.inf
    j = int(up[0])
    if j == 0:
        return -np.inf
    return float(x[j] - (x[j] - x[j - 1]) * y[j] / (y[j] - y[j - 1]))


def _between(
    x: Float[np.ndarray, " m"],
    y: Float[np.ndarray, " m"],
    covariance: Float[np.ndarray, "m m"],
    weak: Bool[np.ndarray, " m"],
    scale: Scale,
) -> _Path:
    """Where the curve may run between readings, at _POINTS places in each bracket."""
    w = np.linspace(0, 1, _POINTS)[None]  # [1, points]
    h = np.diff(x)[:, None]  # [m-1, 1]
    g = scale.line(y)
    rate = scale.rate(y)

    # g(w) = g_0 + w (g_1 - g_0)
    chord = _chord(g, w)
    line = scale.back(chord)
    below, above = _span(_bends(x, g, rate, covariance), w, h)

    # a line that starts from a bound may as well be one of the quantity itself
    plain = scale.working(_chord(scale.value(y), w))
    bottom = _at_bounds(np.minimum, scale.back(chord - below), plain, weak)
    top = _at_bounds(np.maximum, scale.back(chord + above), plain, weak)

    variance = _variance(line, rate, covariance, w, scale)
    at = x[:-1, None] + w * h
    return _Path(at.ravel(), line.ravel(), bottom.ravel(), top.ravel(), variance.ravel())


def _at_bounds(
    farther: Callable[[np.ndarray, np.ndarray], np.ndarray],
    limit: Float[np.ndarray, "brackets points"],
    plain: Float[np.ndarray, "brackets points"],
    weak: Bool[np.ndarray, " m"],
) -> Float[np.ndarray, "brackets points"]:
    """A limit of the curve; in brackets that end at a bound the plain line where that lies farther out."""
    either = (weak[:-1] | weak[1:])[:, None]
    return np.where(either, farther(limit, plain), limit)


def _chord(
    values: Float[np.ndarray, " m"], w: Float[np.ndarray, "1 points"]
) -> Float[np.ndarray, "brackets points"]:
    """Straight from each value to the next."""
    return values[:-1, None] + w * np.diff(values)[:, None]


def _variance(
    line: Float[np.ndarray, "brackets points"],
    rate: Float[np.ndarray, " m"],
    covariance: Float[np.ndarray, "m m"],
    w: Float[np.ndarray, "1 points"],
    scale: Scale,
) -> Float[np.ndarray, "brackets points"]:
    """Of the line on the working scale, to first order in the noise of the two readings.

    With g = line(y), dy = a dy_0 + b dy_1, where a = (1 - w) g'(y_0) / g'(y) and b = w g'(y_1) / g'(y), so
    var y = a^2 C_00 + b^2 C_11 + 2 a b C_01.
    """
    own = np.diag(covariance)
    here = scale.rate(line)
    a = (1 - w) * rate[:-1, None] / here
    b = w * rate[1:, None] / here
    both = np.diag(covariance, 1)[:, None]
    return a**2 * own[:-1, None] + b**2 * own[1:, None] + 2 * a * b * both


def _span(
    bend: Float[np.ndarray, " m"], w: Float[np.ndarray, "1 points"], h: Float[np.ndarray, "brackets 1"]
) -> tuple[Float[np.ndarray, "brackets points"], Float[np.ndarray, "brackets points"]]:
    """How far below and above its chord a curve may run that bends by so much at its readings.

    The lines through the neighbouring readings run `left` and `right` below the chord. A curve that bends one
    way only lies between the chord and the nearer of the two; one that bends both ways, between the two.
    """
    left = bend[:-1, None] * w * h
    right = bend[1:, None] * (1 - w) * h
    agree = left * right > 0
    nearer = np.minimum(abs(left), abs(right))
    below = np.where(agree, nearer * (left > 0), np.maximum(left, 0) + np.maximum(right, 0))
    above = np.where(agree, nearer * (left < 0), np.maximum(-left, 0) + np.maximum(-right, 0))
    return below, above


def _bends(
    x: Float[np.ndarray, " m"],
    g: Float[np.ndarray, " m"],
    rate: Float[np.ndarray, " m"],
    covariance: Float[np.ndarray, "m m"],
) -> Float[np.ndarray, " m"]:
    """Change of slope at each reading.

    What noise shows is taken off, by Akaike's rule: a bend whose square is below twice its variance is better
    left out. Nothing is known beyond the ends, so there the curve may be flat.
    """
    # bend_i = (g_{i+1} - g_i) / h_i - (g_i - g_{i-1}) / h_{i-1}
    h = np.diff(x)
    slope = np.diff(g) / h
    turn = np.diff(slope)  # [m-2]
    variance = _variance_of_turns(h, rate, covariance)
    inner = np.sign(turn) * np.sqrt(np.maximum(turn**2 - 2 * variance, 0))
    return np.concatenate([[slope[0]], inner, [-slope[-1]]])


def _variance_of_turns(
    h: Float[np.ndarray, " brackets"], rate: Float[np.ndarray, " m"], covariance: Float[np.ndarray, "m m"]
) -> Float[np.ndarray, " turns"]:
    """Of the changes of slope, to first order in the noise of the three readings of each.

    bend_i is linear in g_{i-1}, g_i, g_{i+1} with the weights 1/h_{i-1}, -1/h_{i-1} - 1/h_i, 1/h_i, and
    dg = g'(y) dy, so var bend_i = u^T C u with u = weights * g'(y).
    """
    count = len(rate) - 2
    weights = np.stack([1 / h[:-1], -1 / h[:-1] - 1 / h[1:], 1 / h[1:]])  # [3, m-2]
    u = weights * np.stack([rate[k : k + count] for k in range(3)])
    blocks = np.array([covariance[i : i + 3, i : i + 3] for i in range(count)]).reshape(-1, 3, 3)
    return np.einsum("ai,iab,bi->i", u, blocks, u)
