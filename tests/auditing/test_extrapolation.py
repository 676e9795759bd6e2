"""The tail model: right where it holds, and marked where it does not."""

import jaxtyping
import numpy as np
import pytest

from memhorizon.auditing.extrapolation import extrapolated_p_values
from memhorizon.auditing.scores import Changes, Scores
from memhorizon.errors import InputError
from memhorizon.results import Status


def scores_of(sample, reference):
    sample = np.asarray(sample, dtype=float)
    return Scores(
        "pixels", sample, np.asarray(reference, dtype=float), Changes.none(), np.zeros(len(sample), int)
    )


def test_the_exponent_of_a_power_law_and_its_interval():
    rng = np.random.default_rng(0)
    n_runs = 400
    covered = 0
    for _ in range(n_runs):
        answer = extrapolated_p_values(scores_of([0.1], rng.random(1_000) ** (1 / 6)))
        covered += answer.exponent.low <= 6 <= answer.exponent.high
    # 95 % up to the skewness of a mean of 100 exponential variables, below 1 %
    assert covered / n_runs == pytest.approx(0.95, abs=0.01 + 3 * np.sqrt(0.95 * 0.05 / n_runs))


def test_p_values_beyond_the_data():
    rng = np.random.default_rng(1)
    sample = np.array([0.05, 0.2, 0.9])
    answer = extrapolated_p_values(scores_of(sample, rng.random(20_000) ** (1 / 3)), n_fitted=1_000)
    # the error of log p is that of D, D / sqrt(k), times log(x_k / x), and 1 / sqrt(k) of the share k / R
    reach = np.log(answer.fit_high / sample[:2])
    error = (3 * reach + 1) / np.sqrt(1_000)
    assert np.all(np.abs(np.log(answer.p[:2] / sample[:2] ** 3)) < 4 * error)
    assert np.isnan(answer.p[2])  # not below the fitted range
    assert answer.fit_low < 0.2 < answer.fit_high
    assert answer.n_fitted == 1_000
    assert repr(answer) == f"Extrapolated(power law of the lower tail, 3 samples, {answer.status})"


def test_a_heavier_tail_is_marked_and_a_power_law_seldom():
    rng = np.random.default_rng(2)
    n_runs = 1_000
    alarms = 0
    for _ in range(n_runs):
        answer = extrapolated_p_values(scores_of([0.1], rng.random(400) ** (1 / 6)))
        alarms += answer.status is Status.HEAVIER_TAIL
    # nominal 5 %, of a statistic that is normal for many
    assert alarms / n_runs < 0.05 + 0.02
    # near-duplicates: 5 of 2,000 items have a neighbour of theirs at a tenth of the distance
    reference = rng.random(2_000) ** (1 / 20)
    reference[:5] = 0.1 * rng.random(5)
    assert extrapolated_p_values(scores_of([0.1], reference)).status is Status.HEAVIER_TAIL


@pytest.mark.parametrize(
    "reference", [np.linspace(0.1, 1, 19), np.linspace(0, 1, 100), np.full(100, 0.5), np.full(100, np.inf)]
)
def test_nothing_to_fit(reference):
    answer = extrapolated_p_values(scores_of([0.1, 0.2], reference))
    assert answer.status is Status.NOT_FITTED
    assert np.isnan(answer.p).all()


def test_wrong_arguments(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users have it
    with pytest.raises(InputError, match="scores: expected a Scores, got list"):
        extrapolated_p_values([0.1])
    with pytest.raises(InputError, match="n_fitted: expected a whole number of at least 10, got 3"):
        extrapolated_p_values(scores_of([0.1], np.ones(50)), n_fitted=3)
    with pytest.raises(InputError, match="scores: expected statistics from 0, got -0.1"):
        extrapolated_p_values(scores_of([-0.1], np.ones(50)))
