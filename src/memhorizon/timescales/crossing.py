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
from scipy import stats
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit, ndtr

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
    alike = shared_fractions(y) if scale is ANGLE else np.ones((len(y), len(y)))
    covariance = np.outer(sd, sd) * ((1 - SHARED) * np.eye(len(y)) + SHARED * alike)
    if len(y) == 1:
        line = bottom = top = y
        noise = sd**2
    else:
        weak = np.zeros(len(y), dtype=bool) if bound is None else bound
        x, line, bottom, top, noise = _between(x, y, covariance, weak, scale)
    noise = np.sqrt(noise + level_sd**2)
    z = _quantile((top - bottom) / noise, confidence)
    early, late = (top - level) / noise + z, (bottom - level) / noise - z
    straight = scale.line(line) - scale.line(np.array(level))
    return Crossing(_first(x, straight), _first(x, early), -_first(-x[::-1], -late[::-1]))


def _quantile(width: Float[np.ndarray, " g"], confidence: float) -> Float[np.ndarray, " g"]:
    """How many standard deviations beyond both ends of a span of that width hold the truth anywhere in it.

    Between the two-sided normal quantile (no width) and the one-sided one (wide).

    Source: [imbens2004]
    """
    width = np.minimum(width, 40.0)  # beyond it the far end is never met
    low = np.full_like(width, stats.norm.isf(1 - confidence))
    top = two_sided(confidence)
    z = np.maximum(low, 0.0)
    for _ in range(20):  # Newton on a function that is concave above 0: never overshoots there
        missing = confidence - (ndtr(z + width) - ndtr(-z))
        density = (np.exp(-((z + width) ** 2) / 2) + np.exp(-(z**2) / 2)) / math.sqrt(2 * math.pi)
        z = np.clip(z + missing / density, low, top)
    return z


def _first(x: Float[np.ndarray, " g"], y: Float[np.ndarray, " g"]) -> float:
    """First x with y >= 0, interpolated: -inf if from the start, inf if never."""
    up = np.flatnonzero(y >= 0)
    if len(up) == 0:
        return np.inf
    j = int(up[0])
    return float(x[j] - (x[j] - x[j - 1]) * y[j] / (y[j] - y[j - 1])) if j else -np.inf


def _between(
    x: Float[np.ndarray, " m"],
    y: Float[np.ndarray, " m"],
    covariance: Float[np.ndarray, "m m"],
    weak: Bool[np.ndarray, " m"],
    scale: Scale,
) -> tuple[Float[np.ndarray, " g"], ...]:
    """Between readings: x, the straight line, the lowest and the highest that the curve may run, variance."""
    h = np.diff(x)[:, None]  # [m-1, 1]
    w = np.linspace(0, 1, _POINTS)[None]  # [1, points]
    g, rate, own = scale.line(y), scale.rate(y), np.diag(covariance)
    chord = g[:-1, None] + w * np.diff(g)[:, None]  # [m-1, points]
    below, above = _span(_bends(x, g, rate, covariance), w, h)
    line, bottom, top = scale.back(chord), scale.back(chord - below), scale.back(chord + above)
    value = scale.value(y)
    plain = scale.working(value[:-1, None] + w * np.diff(value)[:, None])
    either = (weak[:-1] | weak[1:])[
        :, None
    ]  # a line that starts from a bound may as well be one of the quantity
    bottom = np.where(either, np.minimum(bottom, plain), bottom)
    top = np.where(either, np.maximum(top, plain), top)
    here = scale.rate(line)
    before, after = (1 - w) * rate[:-1, None] / here, w * rate[1:, None] / here
    noise = before**2 * own[:-1, None] + after**2 * own[1:, None]
    noise = noise + 2 * before * after * np.diag(covariance, 1)[:, None]
    return (x[:-1, None] + w * h).ravel(), line.ravel(), bottom.ravel(), top.ravel(), noise.ravel()


def _span(
    bend: Float[np.ndarray, " m"], w: Float[np.ndarray, "1 points"], h: Float[np.ndarray, "brackets 1"]
) -> tuple[Float[np.ndarray, "brackets points"], Float[np.ndarray, "brackets points"]]:
    """How far below and above its chord a curve may run that bends by so much at its readings.

    The lines through the neighbouring readings run `left` and `right` below the chord. A curve that bends one
    way only lies between the chord and the nearer of the two; one that bends both ways, between the two.
    """
    left, right = bend[:-1, None] * w * h, bend[1:, None] * (1 - w) * h
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
    h, count = np.diff(x), len(x) - 2
    slope = np.diff(g) / h
    turn = np.diff(slope)  # [m-2]
    weights = np.stack([1 / h[:-1], -1 / h[:-1] - 1 / h[1:], 1 / h[1:]])  # [3, m-2]
    weights = weights * np.stack([rate[k : k + count] for k in range(3)])
    blocks = np.array([covariance[i : i + 3, i : i + 3] for i in range(count)]).reshape(-1, 3, 3)
    variance = np.einsum("ai,iab,bi->i", weights, blocks, weights)
    inner = np.sign(turn) * np.sqrt(np.maximum(turn**2 - 2 * variance, 0))
    return np.concatenate([[slope[0]], inner, [-slope[-1]]])
