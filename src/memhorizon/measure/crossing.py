"""Where a noisy rising curve first passes a level, with an interval from its noise and from its spacing.

The interval is the set of times x at which "the curve equals the level at x" is not rejected. Three
things enter:

1. Noise. Readings are normal on a working scale of known variance. How much of it neighbouring readings
   share is not known to the curve (a run that draws the same seeds at every snapshot shares most of it,
   fresh seeds share none), so half of the variance is taken as shared and half as fresh: `SHARED`.
2. Monotony. The truth only rises, so the readings are first replaced by their isotonic regression.
3. Spacing. Between two readings the curve is taken as straight on the line scale, against log step. The
   lines through the two readings before and the two after a bracket say how far it may bend there; what
   is more than noise in that enters as an error that is uniform over the span (variance span ** 2 / 12).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

SHARED = 0.5
_POINTS = 33  # per bracket, ends included; the test statistic is taken as straight between them


@dataclass(frozen=True)
class Scale:
    """How readings are turned into something straight in log step.

    Attributes:
        line: from the working scale, where noise has a known variance, to the scale of straight lines.
        back: its inverse.
        rate: derivative of `line`.
    """

    line: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]
    rate: Callable[[np.ndarray], np.ndarray]


PLAIN = Scale(lambda y: y, lambda y: y, lambda y: np.ones_like(y))
ANGLE = Scale(  # a fraction p as arcsin(sqrt(p)), straight as logit(p): any logistic or power-law onset
    lambda y: logit(np.sin(y) ** 2), lambda g: np.arcsin(np.sqrt(expit(g))), lambda y: 4 / np.sin(2 * y)
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
        scale: working and line scale.
        confidence: nominal coverage.

    Source: [tang2012] (monotone counts on a grid of times: the inverse at a level, by test inversion)
    """
    y = isotonic(y, sd)
    alike = shared_fractions(y) if scale is ANGLE else np.ones((len(y), len(y)))
    covariance = np.outer(sd, sd) * ((1 - SHARED) * np.eye(len(y)) + SHARED * alike)
    if len(y) == 1:
        centre, test = y - level, (y - level) / np.hypot(sd, level_sd)
    else:
        x, middle, centre, variance = _between(x, y, covariance, scale)
        test = (middle - level) / np.sqrt(variance + level_sd**2)
        centre = centre - level
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    return Crossing(_first(x, centre), _first(x, test + z), -_first(-x[::-1], z - test[::-1]))


def _first(x: Float[np.ndarray, " g"], y: Float[np.ndarray, " g"]) -> float:
    """First x with y >= 0, interpolated: -inf if from the start, inf if never."""
    up = np.flatnonzero(y >= 0)
    if len(up) == 0:
        return np.inf
    j = int(up[0])
    return float(x[j] - (x[j] - x[j - 1]) * y[j] / (y[j] - y[j - 1])) if j else -np.inf


def _between(
    x: Float[np.ndarray, " m"], y: Float[np.ndarray, " m"], covariance: Float[np.ndarray, "m m"], scale: Scale
) -> tuple[Float[np.ndarray, " g"], ...]:
    """Between readings: x, middle of where the curve may run, straight line, variance about the middle."""
    h = np.diff(x)[:, None]  # [m-1, 1]
    w = np.linspace(0, 1, _POINTS)[None]  # [1, points]
    g, rate = scale.line(y), scale.rate(y)
    chord = g[:-1, None] + w * np.diff(g)[:, None]  # [m-1, points]
    bend = _bends(x, g, rate, covariance)
    left, right = (
        bend[:-1, None] * w * h,
        bend[1:, None] * (1 - w) * h,
    )  # positive: the curve runs below the chord
    agree = left * right > 0
    least = np.minimum(abs(left), abs(right))
    below = np.where(agree, np.where(left > 0, least, 0), np.maximum(left, 0) + np.maximum(right, 0))
    above = np.where(agree, np.where(left < 0, least, 0), np.maximum(-left, 0) + np.maximum(-right, 0))
    line, bottom, top = scale.back(chord), scale.back(chord - below), scale.back(chord + above)
    before, after = (1 - w) * rate[:-1, None] / scale.rate(line), w * rate[1:, None] / scale.rate(line)
    own = np.diag(covariance)
    noise = before**2 * own[:-1, None] + after**2 * own[1:, None]
    noise = noise + 2 * before * after * np.diag(covariance, 1)[:, None]
    grid = x[:-1, None] + w * h
    return (
        grid.ravel(),
        ((bottom + top) / 2).ravel(),
        line.ravel(),
        (noise + (top - bottom) ** 2 / 12).ravel(),
    )


def _bends(
    x: Float[np.ndarray, " m"],
    g: Float[np.ndarray, " m"],
    rate: Float[np.ndarray, " m"],
    covariance: Float[np.ndarray, "m m"],
) -> Float[np.ndarray, " m"]:
    """Change of slope at each inner reading, less what noise alone would show; 0 at the ends."""
    h = np.diff(x)
    turn = np.diff(np.diff(g) / h)  # [m-2]
    weights = np.stack([1 / h[:-1], -1 / h[:-1] - 1 / h[1:], 1 / h[1:]])  # [3, m-2]
    inner = len(x) - 2
    weights = weights * np.stack([rate[k : k + inner] for k in range(3)])
    blocks = np.array([covariance[i : i + 3, i : i + 3] for i in range(inner)]).reshape(-1, 3, 3)
    variance = np.einsum("ai,iab,bi->i", weights, blocks, weights)
    return np.pad(np.sign(turn) * np.sqrt(np.maximum(turn**2 - variance, 0)), 1)
