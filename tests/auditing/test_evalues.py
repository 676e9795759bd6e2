"""e-values and e-BH: the rate holds in simulations, also where that of Benjamini and Hochberg does not."""

import jaxtyping
import numpy as np
import pytest

from audit_draws import p_values_of, ratio_scores
from memhorizon.auditing.evalues import conformal_e_values, e_benjamini_hochberg, guaranteed_copies
from memhorizon.auditing.statistics import benjamini_hochberg, conformal_p_values
from memhorizon.errors import InputError


@pytest.mark.parametrize(("R", "rate"), [(10, 0.05), (60, 0.2), (5_000, 0.05), (3, 0.9)])
def test_the_mean_over_uniform_ranks_is_one(R, rate):
    e = conformal_e_values(p_values_of(np.arange(1, R + 2), R), rate)
    assert e.mean() == pytest.approx(1, rel=1e-12)
    assert np.all(np.diff(e) <= 0)


def test_e_bh_is_its_definition():
    rng = np.random.default_rng(0)
    for _ in range(200):
        e = rng.choice([0, 1, 10, 20, 40], size=12) * rng.random()
        largest = [k for k in range(1, 13) if np.sort(e)[-k] >= 12 / (0.3 * k)]
        k = max(largest, default=0)
        assert set(np.flatnonzero(e_benjamini_hochberg(e, 0.3))) == set(np.argsort(-e, kind="stable")[:k])


def test_a_quotient_that_is_the_threshold_is_rejected():
    # 3 e-values of 100 / (0.03 * 3) each: what the last bit of the division says must not decide
    e = np.zeros(100)
    e[:3] = 100 / (0.03 * 3)
    assert e_benjamini_hochberg(e, 0.03).sum() == 3
    assert e_benjamini_hochberg(e * (1 - 1e-6), 0.03).sum() == 0


@pytest.mark.parametrize(("m", "R", "rate"), [(1_000, 5_000, 0.05), (100, 300, 0.1), (30, 50, 0.3)])
def test_the_smallest_reportable_number_is_reported_and_one_less_is_not(m, R, rate):
    smallest = guaranteed_copies(p_values_of(np.full(m, R + 1), R), rate).smallest_reportable
    for k, found in ((smallest, smallest), (smallest - 1, 0)):
        counts = np.full(m, R + 1)
        counts[:k] = 1
        answer = guaranteed_copies(p_values_of(counts, R), rate)
        assert answer.rejected.sum() == found
    assert repr(answer) == f"Guaranteed(0 of {m} samples, rate {rate:g})"


def test_where_no_number_is_reportable():
    answer = guaranteed_copies(p_values_of([1, 1, 1], R=5), 0.05)
    assert answer.smallest_reportable is None
    assert not answer.rejected.any()


def test_the_rate_holds_for_full_conformal_p_values_and_copies_are_found():
    rng = np.random.default_rng(1)
    rate = 0.3
    n_runs = 250
    shares = np.empty(n_runs)
    found = np.empty(n_runs)
    for run in range(n_runs):
        train = rng.normal(size=(100, 5))
        honest = rng.normal(size=(20, 5))
        copies = train[rng.choice(100, size=10, replace=False)] + 0.01 * rng.normal(size=(10, 5))
        p_values = conformal_p_values([ratio_scores(train, 50, np.concatenate([honest, copies]))])
        rejected = guaranteed_copies(p_values, rate).rejected
        shares[run] = rejected[:20].sum() / max(1, rejected.sum())
        found[run] = rejected[20:].mean()
    assert shares.mean() <= rate + 3 * shares.std() / np.sqrt(n_runs)
    assert found.mean() > 0.9


def test_the_rate_holds_under_the_worst_dependence():
    # all honest; with probability rate/k, k of them have their p-values in the k-th cell of the procedure
    rng = np.random.default_rng(2)
    m = 10
    rate = 0.1
    R = 1_999
    cell = int(rate * (R + 1) / m)
    n_runs = 1_500
    chances = rate / np.arange(1, m + 1)
    sizes = rng.choice(m + 1, size=n_runs, p=[1 - chances.sum(), *chances])
    false = np.zeros((2, n_runs), dtype=bool)
    for run, k in enumerate(sizes):
        counts = rng.integers(int(rate * (R + 1)) + 1, R + 2, size=m)
        counts[rng.choice(m, size=k, replace=False)] = rng.integers(cell * (k - 1) + 1, cell * k + 1, size=k)
        p_values = p_values_of(counts, R)
        false[0, run] = benjamini_hochberg(p_values.p, rate).rejected.any()
        false[1, run] = guaranteed_copies(p_values, rate).rejected.any()
    error = np.sqrt(rate * (1 - rate) / n_runs)
    assert false[1].mean() <= rate + 3 * error
    # the case is a hard one: rate * (1 + 1/2 + ... + 1/10) = 0.29
    assert false[0].mean() > 2 * rate


def test_wrong_arguments(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users have it
    p_values = p_values_of([1, 2], R=5)
    with pytest.raises(InputError, match="rate: expected a finite number > 0 and < 1, got 5"):
        guaranteed_copies(p_values, 5)
    with pytest.raises(InputError, match="p_values: expected a PValues, got list"):
        guaranteed_copies([0.1], 0.1)
    for wrong in (np.array([]), np.array([-1.0]), np.array([np.nan]), np.zeros((2, 2))):
        with pytest.raises(InputError, match="e: expected a vector of numbers from 0, got"):
            e_benjamini_hochberg(wrong, 0.1)
