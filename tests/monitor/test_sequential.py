"""The e-process: a slow twin, its level and its delay by simulation."""

import math

import numpy as np
import pytest

from memhorizon.errors import InputError
from memhorizon.monitor.certificate import certified_size, samples_needed, upper_limit
from memhorizon.monitor.sequential import EProcess, allowed_share, alternatives, run_test


def slow_log_e(copies, totals, q0):
    """The sum over alternatives and starts, written out."""
    q1 = alternatives(q0)
    k = len(copies)
    total = 0.0
    for q in q1:
        for s in range(1, k + 1):
            product = 1 / (s * (s + 1))
            for x, m in zip(copies[s - 1 :], totals[s - 1 :], strict=True):
                product *= (q / q0) ** x * ((1 - q) / (1 - q0)) ** (m - x)
            total += product / len(q1)
    return math.log(total + 1 / (k + 1))


@pytest.mark.parametrize("q0", [0.01, 0.2, 0.97])
def test_it_is_the_sum_over_alternatives_and_starts(q0):
    generator = np.random.default_rng(0)
    totals = [64, 64, 3, 1, 500, 64]
    copies = [int(generator.binomial(m, 0.02)) for m in totals]
    state = EProcess(q0, 0.05)
    for k, (x, m) in enumerate(zip(copies, totals, strict=True), 1):
        state = state.after(x, m)
        assert math.isclose(state.log_e, slow_log_e(copies[:k], totals[:k], q0), rel_tol=1e-9, abs_tol=1e-9)


def test_before_any_look_the_evidence_is_one():
    assert EProcess(0.01, 0.05).log_e == 0.0
    assert not EProcess(0.01, 0.05).crossed


def false_stops(path, sizes, *, q0, alpha, runs, seed):
    generator = np.random.default_rng(seed)
    stops = 0
    for _ in range(runs):
        copies = [int(generator.binomial(m, f)) for f, m in zip(path, sizes, strict=True)]
        stops += run_test(copies, sizes, q0=q0, alpha=alpha) is not None
    return stops / runs


@pytest.mark.parametrize(
    "path",
    [
        [0.01] * 40,  # at the limit all the time
        [0.0] * 20 + [0.01] * 20,  # rises up to it
        [0.01 * (k % 2) for k in range(40)],  # to and fro
    ],
)
def test_it_stops_falsely_at_most_as_often_as_it_says(path):
    sizes = [64] * 19 + [528] + [64] * 20
    runs = 600
    share = false_stops(path, sizes, q0=0.01, alpha=0.05, runs=runs, seed=1)
    # Ville: at most 0.05; four standard errors of the simulation above
    assert share <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)


def test_a_rise_after_a_long_honest_start_is_seen_soon():
    """30 % copies from look 20 on: seen at once (one product from the first look never does)."""
    generator = np.random.default_rng(2)
    sizes = [64] * 30
    delays = []
    for _ in range(200):
        copies = [0] * 20 + [int(generator.binomial(64, 0.3)) for _ in range(10)]
        stop = run_test(copies, sizes, q0=0.01, alpha=0.05)
        assert stop is not None
        delays.append(stop - 19)
    assert np.mean(np.array(delays) == 1) > 0.99
    never = sum(math.log(0.7 / 0.99) * 64 for _ in range(20)) + 19 * math.log(30)
    assert never < -math.log(20)


def test_more_copies_are_more_evidence():
    values = [EProcess(0.01, 0.05).after(x, 64).log_e for x in range(65)]
    assert (np.diff(values) > 0).all()


def test_what_is_allowed_for_is_the_share_called_copies():
    """Of 10,000 samples 1 % are copies, all called so, and 2 % of the others."""
    assert math.isclose(allowed_share(0.01, 0.02), (100 + 0.02 * 9900) / 10_000)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: EProcess(0.0, 0.05), "q0"),
        (lambda: EProcess(0.01, 1.0), "alpha"),
        (lambda: EProcess(0.01, 0.05).after(65, 64), "copies"),
        (lambda: EProcess(0.01, 0.05).after(0, 0), "total"),
        (lambda: EProcess(0.01, 0.05, log_products=(0.0,)), "log_products"),
        (lambda: EProcess(0.01, 0.05, log_products=(0.0,) * 100), "log_products"),
        (lambda: allowed_share(0.0, 0.0), "target"),
        (lambda: upper_limit(1, 0, confidence=0.95), "total"),
        (lambda: samples_needed(1e-9, confidence=0.95), "target"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_the_limit_is_the_share_at_which_so_few_are_as_rare_as_the_level():
    from scipy import stats

    for copies, total, K in [(0, 64, 1), (0, 528, 10), (3, 700, 10), (63, 64, 2)]:
        limit = upper_limit(copies, total, confidence=0.95, candidates=K)
        assert math.isclose(stats.binom.cdf(copies, total, limit), 0.05 / K, rel_tol=1e-6)
    assert upper_limit(5, 5, confidence=0.95) == 1.0


def test_fewer_samples_than_needed_do_not_certify():
    for copies in (0, 1, 4):
        size = samples_needed(0.01, confidence=0.95, candidates=10, copies=copies)
        assert upper_limit(copies, size, confidence=0.95, candidates=10) <= 0.01
        assert upper_limit(copies, size - 1, confidence=0.95, candidates=10) > 0.01


def test_a_certified_look_bears_the_null():
    """With a null of 0.3 % the expected false copies of the look still leave the limit below the target."""
    size = certified_size(0.01, 0.003, confidence=0.95, candidates=10)
    assert size > certified_size(0.01, 0.0, confidence=0.95, candidates=10) == 528
    assert upper_limit(round(0.003 * size), size, confidence=0.95, candidates=10) <= 0.01


def test_the_best_of_ten_certificates_holds():
    """Ten checkpoints, each with 2 % copies, the luckiest is chosen: in 95 % of runs its limit holds."""
    generator = np.random.default_rng(3)
    runs = 2000
    wrong = 0
    for _ in range(runs):
        fewest = int(generator.binomial(528, 0.02, size=10).min())
        wrong += upper_limit(fewest, 528, confidence=0.95, candidates=10) < 0.02
    assert wrong / runs <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)
