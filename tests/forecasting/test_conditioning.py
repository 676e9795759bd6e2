"""Conditioning of normal log times: against closed forms, another library, and rejection of draws."""

import numpy as np
import pytest
from scipy import stats

from memhorizon.forecasting.conditioning import DRAWS, LogTimes, condition
from memhorizon.forecasting.gaussian import Boards

SCATTER = 0.3


def a_board(seed=0, rows=5):
    """A covariance of pilots, one question and one exponent, and means."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(rows + 2, rows + 4))
    return board_of(rng.normal(size=rows + 2), root @ root.T)


def board_of(mean, covariance):
    """One structure, whose last question is an exponent."""
    return Boards(mean, covariance[None], np.append(np.ones(len(mean) - 1), 0.0))


def conditioned(board, some):
    """Of one structure."""
    return condition(board, some, np.array([SCATTER]))


def times(log, side, error=0.0):
    log = np.asarray(log, dtype=float)
    return LogTimes(log, np.full(len(log), error), np.asarray(side))


def test_observed_times_are_textbook_conditioning():
    board = a_board()
    seen = times([0.3, -0.2, 1.0, 0.4, -1.0], [0] * 5, error=0.1)
    found = conditioned(board, seen)
    K = board.covariance[0][:5, :5] + (SCATTER**2 + 0.1**2) * np.eye(5)
    k = board.covariance[0][5, :5]
    origin = seen.log.mean()
    residual = seen.log - origin - board.mean[:5]
    assert found.means[0, 0, 0] == pytest.approx(board.mean[5] + origin + k @ np.linalg.solve(K, residual))
    assert found.sd[0, 0] ** 2 == pytest.approx(board.covariance[0][5, 5] - k @ np.linalg.solve(K, k))
    assert found.log_evidence[0] == pytest.approx(
        stats.multivariate_normal(board.mean[:5] + origin, K).logpdf(seen.log), abs=1e-6
    )
    # the exponent has no prefactor
    to_exponent = board.covariance[0][6, :5]
    assert found.means[0, 0, 1] == pytest.approx(board.mean[6] + to_exponent @ np.linalg.solve(K, residual))


@pytest.mark.parametrize("side", [1, -1])
def test_the_probability_of_bounds_is_that_of_another_library(side):
    """Three bounds beside two times, against the integral of SciPy (Genz)."""
    board = a_board(seed=3)
    log = np.array([0.1, 0.5, 0.2, -0.3, 0.8])
    some = times(log, [0, 0, side, side, side])
    found = conditioned(board, some)
    origin = log[:2].mean()
    K = board.covariance[0][:5, :5] + SCATTER**2 * np.eye(5)
    mean = board.mean[:5] + origin
    solve = np.linalg.solve(K[:2, :2], K[:2, 2:])
    later_mean = mean[2:] + solve.T @ (log[:2] - mean[:2])
    later = K[2:, 2:] - K[2:, :2] @ solve
    # P(y > b) = P(-y < -b)
    # a function of all releases of SciPy takes the number of points; the law does not
    place = -side * log[2:], -side * later_mean, later
    bounds = stats.multivariate_normal.logcdf(*place, maxpts=2_000_000, abseps=1e-7)
    density = stats.multivariate_normal(mean[:2], K[:2, :2]).logpdf(log[:2])
    # the weights of 128 quasi-random draws vary by less than a factor: 1 / sqrt(128) bounds their error
    assert found.log_evidence[0] == pytest.approx(density + bounds, abs=1 / np.sqrt(DRAWS))


def test_questions_given_bounds_are_those_of_accepted_draws():
    """Plain draws of everything, of which those beyond the bounds are kept."""
    board = a_board(seed=5, rows=3)
    bounds = np.array([0.4, -0.2])
    some = times([0.0, *bounds], [0, 1, -1])
    found = conditioned(board, some)
    rng = np.random.default_rng(1)
    noise = np.diag([SCATTER**2] * 3 + [0, 0])
    every = rng.multivariate_normal(board.mean, board.covariance[0] + noise, size=400_000)
    every[:, :4] += some.log[0]  # the origin is the one observed time
    near = abs(every[:, 0]) < 0.05
    kept = every[near & (every[:, 1] > bounds[0]) & (every[:, 2] < bounds[1])]
    mean = found.weights[0] @ found.means[0, :, 0]
    sd = np.sqrt(found.weights[0] @ (found.means[0, :, 0] - mean) ** 2 + found.sd[0, 0] ** 2)
    error = kept[:, 3].std() * (1 / np.sqrt(len(kept)) + 1 / np.sqrt(DRAWS))
    assert len(kept) > 200
    assert mean == pytest.approx(kept[:, 3].mean(), abs=3 * error)
    assert sd == pytest.approx(kept[:, 3].std(), rel=4 / np.sqrt(2 * len(kept)) + 0.05)


def test_the_order_of_the_rows_does_not_matter():
    board = a_board(seed=7)
    log = np.array([0.1, 0.5, 0.2, -0.3, 0.8])
    side = np.array([1, 0, 0, 1, 0])
    turned = [4, 3, 2, 1, 0]
    every = [*turned, 5, 6]
    other = board_of(board.mean[every], board.covariance[0][np.ix_(every, every)])
    one = conditioned(board, times(log, side))
    two = conditioned(other, times(log[turned], side[turned]))
    for found in (one, two):
        assert found.weights.sum() == pytest.approx(1)
    # the bounds are drawn in another order, so the points of Sobol fall otherwise
    assert one.weights[0] @ one.means[0, :, 0] == pytest.approx(two.weights[0] @ two.means[0, :, 0], abs=0.05)
    assert one.sd == pytest.approx(two.sd)
