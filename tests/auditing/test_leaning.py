"""Leaning: exact on small sets, nominal with hubs where a binomial test is not, and with power."""

import itertools
import math

import jaxtyping
import numpy as np
import pytest
from scipy import stats

from memhorizon.auditing.leaning import MEMBERSHIP, leaning
from memhorizon.errors import InputError


def test_the_p_value_is_that_of_all_exchanges():
    counts = np.array([9, 0, 4, 4, 0, 1, 2, 0])
    is_train = np.array([True, False, True, True, False, False, False, True])
    totals = np.array([counts[list(chosen)].sum() for chosen in itertools.combinations(range(8), 4)])
    exact = np.mean(np.abs(totals - 10) >= abs(17 - 10))
    answer = leaning(counts, is_train, generator=np.random.default_rng(0), n_permutations=20_000)
    assert answer.p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000))
    assert answer.deviation == pytest.approx(totals.std() / 20, rel=1e-12)
    assert answer.share == 17 / 20
    assert answer.expected == 1 / 2
    assert {answer.low, answer.high} <= set(totals / 20)
    assert (answer.n_records, answer.n_samples) == (8, 20)


def test_the_deviation_of_many_records_is_that_of_the_squares():
    rng = np.random.default_rng(0)
    counts = np.bincount(rng.choice(20_000, size=500))
    counts = np.pad(counts, (0, 20_000 - len(counts)))
    is_train = np.arange(20_000) < 10_000
    answer = leaning(counts, is_train, generator=rng)
    # sqrt(sum c^2)/(2 m), up to the mean count: relative m/(2 N)
    assert answer.deviation == pytest.approx(math.sqrt(np.sum(counts**2)) / 1_000, rel=500 / 20_000)
    half = (answer.high - answer.low) / 2
    # 95 % of a normal distribution; the step of the share is 1/500
    assert half == pytest.approx(1.96 * answer.deviation, abs=2 / 500)


def hubs(rng, n_records=400, m=300):
    """Samples whose nearest records are drawn with heavy-tailed attractions."""
    attraction = rng.pareto(1.2, n_records)
    return np.bincount(rng.choice(n_records, size=m, p=attraction / attraction.sum()), minlength=n_records)


def test_false_alarms_are_nominal_with_hubs_and_those_of_a_binomial_test_are_not():
    rng = np.random.default_rng(3)
    n_runs = 1_500
    alarms = np.zeros((2, n_runs), dtype=bool)
    for run in range(n_runs):
        counts = hubs(rng)
        is_train = rng.permutation(400) < 200
        nearer = int(counts[is_train].sum())
        alarms[0, run] = leaning(counts, is_train, generator=rng, n_permutations=399).p <= 0.05
        # the normal form of the binomial test of share 1/2
        alarms[1, run] = 2 * stats.norm.sf(abs(nearer - 150) / math.sqrt(75)) <= 0.05
    error = math.sqrt(0.05 * 0.95 / n_runs)
    assert abs(alarms[0].mean() - 0.05) < 4 * error
    assert alarms[1].mean() > 0.3


def test_leaning_is_seen():
    rng = np.random.default_rng(4)
    is_train = np.arange(400) < 200
    weights = np.where(is_train, 2.0, 1.0)
    counts = np.bincount(rng.choice(400, size=1_000, p=weights / weights.sum()), minlength=400)
    answer = leaning(counts, is_train, generator=rng)
    # two of three, within 4 binomial standard errors
    assert answer.share == pytest.approx(2 / 3, abs=4 * math.sqrt(2 / 9 / 1_000))
    assert answer.p == 1 / 10_000
    assert answer.high < answer.share
    assert str(answer).startswith(f"{answer.share:.3f}, without leaning [")
    swapped = leaning(counts, ~is_train, generator=rng)
    assert swapped.share == pytest.approx(1 - answer.share)
    assert swapped.share < swapped.low < swapped.expected


def test_the_same_generator_gives_the_same_answer():
    counts = hubs(np.random.default_rng(0))
    is_train = np.arange(400) < 100
    answers = [leaning(counts, is_train, generator=np.random.default_rng(7)) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0].expected == 1 / 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"counts": np.array([1.0, 2.0])}, "counts: expected whole numbers from 0, not all 0, got float64"),
        ({"counts": np.array([1, -2])}, "counts: expected whole numbers"),
        ({"counts": np.array([0, 0])}, "counts: expected whole numbers"),
        ({"is_train": np.array([True])}, "is_train: expected 2 truth values, got bool of shape"),
        ({"is_train": np.array([1, 0])}, "is_train: expected 2 truth values, got int64"),
        ({"is_train": np.array([True, True])}, "is_train: expected records of both kinds, got 2"),
        ({"generator": 0}, "generator: expected a Generator, got int"),
        ({"n_permutations": 0}, "n_permutations: expected a whole number of at least 1, got 0"),
        ({"confidence": 1.0}, "confidence: expected a finite number > 0 and < 1, got 1.0"),
    ],
)
def test_wrong_arguments(monkeypatch, wrong, message):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users have it
    good = {
        "counts": np.array([1, 2]),
        "is_train": np.array([True, False]),
        "generator": np.random.default_rng(0),
    }
    with pytest.raises(InputError, match=message):
        leaning(**{**good, **wrong})


def test_the_sentence_on_membership_names_its_sources():
    assert "says nothing about membership" in MEMBERSHIP
    assert "arXiv:2505.01524" in MEMBERSHIP
    assert "Opinion 28/2024" in MEMBERSHIP
