"""What normal log times tell of others: observed ones by conditioning, censored ones by simulation.

A censored time enters through the probability that it lies beyond its bound. The times beyond their bounds
are drawn one after the other from their truncated conditionals (the simulator of Geweke, Hajivassiliou and
Keane); the product of the probabilities on the way is the weight of a draw, and its mean the probability of
all bounds. All structures of the scatter and the misfit are conditioned at once: they are the first axis g.

Source: [genz1992]
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from scipy.special import log_ndtr, ndtri
from scipy.stats import qmc

from memhorizon.forecasting.gaussian import Boards

DRAWS = 128  # quasi-random draws of the censored times; a power of 2
SMALLEST = 1e-300
LARGEST = 1 - 1e-16
JITTER = 1e-10  # added to variances, of log time: far below any scatter


@dataclass(frozen=True)
class LogTimes:
    """Log times of pilots.

    Attributes:
        log: of the time or of its bound. [rows]
        error: its standard deviation. [rows]
        side: 0 where observed, 1 where `log` is a lower bound, -1 where it is an upper one. [rows]
    """

    log: Float[np.ndarray, " rows"]
    error: Float[np.ndarray, " rows"]
    side: Int[np.ndarray, " rows"]


@dataclass(frozen=True)
class Conditional:
    """What is known of the questions under each structure, as a mixture of normals.

    Attributes:
        log_evidence: log density of what was observed, with the probability of the bounds. [g]
        weights: of the draws, sum 1 in each structure. [g, draws]
        means: [g, draws, q]
        sd: of each question, the same for all draws. [g, q]
    """

    log_evidence: Float[np.ndarray, " g"]
    weights: Float[np.ndarray, "g draws"]
    means: Float[np.ndarray, "g draws q"]
    sd: Float[np.ndarray, "g q"]


@dataclass(frozen=True)
class _Ordered:
    """Pilots in the order observed, censored: y = origin + m + L w with w ~ N(0, 1).

    Attributes:
        order: of the rows. [rows]
        seen: how many were observed.
        origin: the mean of those.
        L: L L^T = K + diag(scatter^2 + error^2). [g, rows, rows]
        residual: y - origin - m. [rows]
    """

    order: Int[np.ndarray, " rows"]
    seen: int
    origin: float
    L: Float[np.ndarray, "g rows rows"]
    residual: Float[np.ndarray, " rows"]


def condition(prior: Boards, times: LogTimes, scatter: Float[np.ndarray, " g"]) -> Conditional:
    """The questions of some boards, given the times of the pilots."""
    pilots = _ordered(prior, times, scatter)
    seen = pilots.seen
    rows = len(pilots.order)
    w = _whitened(pilots)
    drawn = _beyond(pilots.L[:, seen:], w, pilots.residual[seen:], times.side[pilots.order][seen:])
    # V = L^-1 k, with k the covariance of pilots and questions
    V = _solve(pilots.L, prior.covariance[:, pilots.order, rows:])
    # E[q | w] = m + V^T w, with the observed and the drawn part of w
    means = w[:, None, :] @ V[:, :seen] + drawn.w @ V[:, seen:]
    return Conditional(
        _log_density(pilots, w) + drawn.log_probability,
        drawn.weights,
        means + prior.mean[rows:] + pilots.origin * prior.is_time[rows:],
        _deviation(prior, V),
    )


def _deviation(prior: Boards, V: Float[np.ndarray, "g rows q"]) -> Float[np.ndarray, "g q"]:
    """The standard deviation of each question, given the pilots: Var[q | w] = v - |V|^2."""
    rows = V.shape[1]
    before = np.diagonal(prior.covariance, axis1=1, axis2=2)[:, rows:]
    return np.sqrt(np.maximum(before - np.sum(V**2, axis=1), 0.0))


def _ordered(prior: Boards, times: LogTimes, scatter: Float[np.ndarray, " g"]) -> _Ordered:
    order = np.argsort(times.side != 0, kind="stable")
    rows = len(order)
    seen = int(np.sum(times.side == 0))
    origin = float(np.mean(times.log[order][: seen or rows]))
    noise = scatter[:, None] ** 2 + times.error[order] ** 2 + JITTER
    K = prior.covariance[:, order[:, None], order[None, :]] + noise[:, :, None] * np.eye(rows)
    residual = (times.log - origin - prior.mean[:rows])[order]
    return _Ordered(order, seen, origin, np.linalg.cholesky(K), residual)


def _whitened(pilots: _Ordered) -> Float[np.ndarray, "g seen"]:
    """The w of the observed times."""
    seen = pilots.seen
    residual = np.broadcast_to(pilots.residual[:seen, None], (len(pilots.L), seen, 1))
    return _solve(pilots.L[:, :seen, :seen], residual)[:, :, 0]


def _log_density(pilots: _Ordered, w: Float[np.ndarray, "g seen"]) -> Float[np.ndarray, " g"]:
    """Of the observed times: log N(y; m, K) = -|w|^2 / 2 - sum log L_ii - seen log(2 pi) / 2."""
    diagonal = np.diagonal(pilots.L, axis1=1, axis2=2)[:, : pilots.seen]
    return -np.sum(w**2 + np.log(2 * np.pi), axis=1) / 2 - np.sum(np.log(diagonal), axis=1)


def _solve(L: Float[np.ndarray, "g r r"], right: Float[np.ndarray, "g r q"]) -> Float[np.ndarray, "g r q"]:
    """L^-1 times each column, by forward substitution over all structures at once."""
    found = np.zeros(right.shape)
    for i in range(L.shape[1]):
        known = (L[:, None, i, :i] @ found[:, :i])[:, 0]
        found[:, i] = (right[:, i] - known) / L[:, i, i, None]
    return found


@dataclass(frozen=True)
class _Drawn:
    """Draws of the whitened censored times.

    Attributes:
        w: [g, draws, censored]
        weights: [g, draws]
        log_probability: of all bounds. [g]
    """

    w: Float[np.ndarray, "g draws c"]
    weights: Float[np.ndarray, "g draws"]
    log_probability: Float[np.ndarray, " g"]


def _beyond(
    L: Float[np.ndarray, "g c rows"],
    w: Float[np.ndarray, "g seen"],
    bound: Float[np.ndarray, " c"],
    side: Int[np.ndarray, " c"],
) -> _Drawn:
    """Draw the censored times beyond their bounds, one after the other."""
    size = len(L)
    count = len(bound)
    if count == 0:
        return _Drawn(np.zeros((size, 1, 0)), np.ones((size, 1)), np.zeros(size))
    uniform = _uniform(count)
    found = np.zeros((size, DRAWS, count))
    log_weight = np.zeros((size, DRAWS))
    for i in range(count):
        z = _whitened_bound(L[:, i], bound[i], w, found[:, :, :i])
        log_tail = log_ndtr(-side[i] * z)
        log_weight += log_tail
        found[:, :, i] = _beyond_one(log_tail, int(side[i]), uniform[:, i])
    return _weighed(found, log_weight)


def _weighed(w: Float[np.ndarray, "g draws c"], log_weight: Float[np.ndarray, "g draws"]) -> _Drawn:
    """Draws with the product of the probabilities on their way; its mean is P = sum_d weight_d / draws."""
    total = np.logaddexp.reduce(log_weight, axis=1)
    return _Drawn(w, np.exp(log_weight - total[:, None]), total - np.log(DRAWS))


def _whitened_bound(
    row: Float[np.ndarray, "g rows"],
    bound: float,
    w: Float[np.ndarray, "g seen"],
    drawn: Float[np.ndarray, "g draws i"],
) -> Float[np.ndarray, "g draws"]:
    """Where W of a censored time has to lie beyond, given those before: z = (b - sum_j L_ij w_j) / L_ii."""
    seen = w.shape[1]
    i = seen + drawn.shape[2]
    by_seen = np.sum(row[:, :seen] * w, axis=1)
    by_drawn = (drawn @ row[:, seen:i, None])[:, :, 0]
    return (bound - by_seen[:, None] - by_drawn) / row[:, i, None]


def _beyond_one(
    log_tail: Float[np.ndarray, "g draws"], side: int, uniform: Float[np.ndarray, " draws"]
) -> Float[np.ndarray, "g draws"]:
    """W with side (W - z) > 0, which has the probability Phi(-side z): W = -side Phi^-1(u Phi(-side z))."""
    tail = np.clip(uniform * np.exp(log_tail), SMALLEST, LARGEST)
    return -side * ndtri(tail)


@lru_cache(maxsize=32)
def _uniform(count: int) -> Float[np.ndarray, "draws c"]:
    """The points of Sobol, shifted: the same each time."""
    shift = np.random.default_rng(0).random(count)
    return (qmc.Sobol(count, scramble=False).random(DRAWS) + shift) % 1.0
