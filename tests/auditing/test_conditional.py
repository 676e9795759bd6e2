"""Conditional p-values: their coverage by simulation, and against direct products."""

import jaxtyping
import numpy as np
import pytest

from audit_draws import p_values_of
from memhorizon.auditing.conditional import conditional_p_values, simes_values
from memhorizon.errors import InputError


@pytest.mark.parametrize("R", [1, 2, 5, 40])
def test_the_values_are_those_of_the_products(R):
    k = max(1, R // 2)
    b = simes_values(R, confidence=0.9)
    for i in range(1, R + 1):
        ratio = np.prod([(i - step) / (R - step) for step in range(k)]) if i >= k else 0.0
        assert b[R - i] == pytest.approx(1 - (0.1 * ratio) ** (1 / k), rel=1e-12)
    assert b[R] == 1
    assert np.all(np.diff(b) >= 0)


@pytest.mark.parametrize(("R", "confidence"), [(20, 0.95), (200, 0.8)])
def test_the_order_statistics_lie_below_their_values_with_the_stated_probability(R, confidence):
    rng = np.random.default_rng(R)
    b = simes_values(R, confidence=confidence)
    n_draws = 5_000
    covered = np.mean([np.all(np.sort(rng.random(R)) <= b[:R]) for _ in range(n_draws)])
    # the inequality of Simes is an equality for independent uniform values
    error = np.sqrt(confidence * (1 - confidence) / n_draws)
    assert abs(covered - confidence) < 4 * error


def test_p_values_become_larger_and_keep_their_order():
    p_values = p_values_of(np.arange(1, 102), R=100)
    answer = conditional_p_values(p_values)
    assert np.all(answer.p >= p_values.p)
    assert np.all(np.diff(answer.p) >= 0)
    # the smallest: 1 - 0.05^(1/50)
    assert answer.resolution == answer.p[0] == pytest.approx(1 - 0.05**0.02)
    assert "With 95 % confidence over the draw of the 100 reference items" in answer.sentence
    assert repr(answer) == "ConditionalPValues(101 samples, confidence 0.95)"


def test_wrong_arguments(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users have it
    with pytest.raises(InputError, match="p_values: expected a PValues, got float"):
        conditional_p_values(0.1)
    with pytest.raises(InputError, match="confidence: expected a finite number > 0 and < 1, got 1"):
        conditional_p_values(p_values_of([1], R=3), confidence=1)
    with pytest.raises(InputError, match="n_reference: expected a whole number of at least 1, got 0"):
        simes_values(0)
