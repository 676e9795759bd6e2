"""The engine behind the times: scales, shared noise, isotonic fit, and the span between snapshots."""

import numpy as np
import pytest
from scipy import stats

from memhorizon.timescales.crossing import (
    ANGLE,
    PLAIN,
    _quantile,
    angle_of_counts,
    crossing,
    isotonic,
    shared_fractions,
)


@pytest.mark.parametrize(("p", "total"), [(0.1, 100), (0.5, 50), (0.05, 400)])
def test_angles_have_the_stated_variance(p, total):
    """Summed over the binomial distribution, not simulated; the next order is O(1 / (n p)) of it."""
    k = np.arange(total + 1)
    y, sd = angle_of_counts(k.astype(float), np.full(total + 1, float(total)))
    weight = stats.binom.pmf(k, total, p)
    mean = weight @ y
    assert weight @ (y - mean) ** 2 == pytest.approx(sd[0] ** 2, rel=1 / (total * p))
    assert mean == pytest.approx(np.arcsin(np.sqrt(p)), abs=0.1 * sd[0])


def test_a_test_of_one_snapshot_has_its_nominal_size():
    """P(reject) at the true level, summed over the binomial: below 5 % by discreteness, never far above."""
    k = np.arange(1001)
    y, sd = angle_of_counts(k.astype(float), np.full(1001, 1000.0))
    for p in (0.01, 0.1, 0.5):
        outside = abs(y - np.arcsin(np.sqrt(p))) > 1.96 * sd
        # one lattice point on either side of the limits carries at most the density there
        step = 2 * stats.binom.pmf(int(1000 * p + 2 * np.sqrt(1000 * p * (1 - p))), 1000, p)
        assert stats.binom.pmf(k, 1000, p) @ outside == pytest.approx(0.05, abs=step)


def test_samples_that_turn_once_are_correlated_as_stated():
    """Each of a million samples turns at its own uniform time; 5 standard errors of a correlation."""
    p = np.array([0.02, 0.1, 0.5, 0.9])
    turned = np.random.default_rng(0).uniform(size=(1_000_000, 1)) < p
    found = np.corrcoef(turned.T)
    assert np.allclose(found, shared_fractions(np.arcsin(np.sqrt(p))), atol=5e-3)


def test_isotonic_is_the_max_min_of_block_means():
    generator = np.random.default_rng(1)
    y, sd = generator.normal(size=12), generator.uniform(0.5, 2, size=12)
    weight = sd**-2

    def mean(a, b):
        return np.average(y[a : b + 1], weights=weight[a : b + 1])

    slow = [max(min(mean(a, b) for b in range(i, 12)) for a in range(i + 1)) for i in range(12)]
    assert np.allclose(isotonic(y, sd), slow, atol=1e-12)


@pytest.mark.parametrize("confidence", [1e-6, 0.2, 0.5, 0.9, 0.95, 0.999, 1 - 1e-9])
def test_quantile_solves_its_equation_between_two_limits(confidence):
    width = np.array([0, 0.01, 0.3, 1, 3, 10, 1e12])
    z = _quantile(width, confidence)
    assert np.allclose(stats.norm.cdf(z + width) - stats.norm.cdf(-z), confidence, atol=1e-12)
    assert z[0] == pytest.approx(stats.norm.ppf(0.5 + confidence / 2))
    assert z[-1] == pytest.approx(stats.norm.ppf(confidence))
    assert np.all(np.diff(z) <= 1e-15)


@pytest.mark.parametrize("steepness", [0.7, 2.0, 6.0])
def test_logistic_growth_is_read_without_error_of_interpolation(steepness):
    """It is a straight line on the line scale: only rounding is left between coarse snapshots."""
    x = np.arange(-4, 3, np.log(2))
    y = np.arcsin(np.sqrt(1 / (1 + np.exp(-steepness * x))))
    found = crossing(x, y, np.full(len(x), 1e-9), np.arcsin(np.sqrt(0.1)), scale=ANGLE)
    assert found.centre == pytest.approx(-np.log(9) / steepness, abs=1e-9)
    # the ends of the interval are read from 32 straight pieces a bracket: second order in the piece
    assert found.low == pytest.approx(found.centre, abs=np.log(2) / 32**2)
    assert found.high == pytest.approx(found.centre, abs=np.log(2) / 32**2)


def test_interval_at_a_snapshot_is_noise_over_slope():
    """With a snapshot at the crossing, log tau varies by sd(p) / (dp / dx), dp / dx = k p (1 - p)."""
    total, k, h = 4_000_000.0, 2.0, np.log(1.3)
    x = -np.log(9) / k + h * np.arange(-8, 9)
    p = 1 / (1 + np.exp(-k * x))
    y, sd = angle_of_counts(total * p, np.full(17, total))
    found = crossing(x, y, sd, np.arcsin(np.sqrt(0.1)), scale=ANGLE)
    expected = 1.96 * np.sqrt(0.1 * 0.9 / total) / (k * 0.1 * 0.9)
    # the statistic is straight over 1/32 of a bracket, over which the deviation falls by less than 1/32
    assert found.high - found.low == pytest.approx(2 * expected, rel=1 / 32)


def test_a_jump_between_two_snapshots_can_be_anywhere_between_them():
    """No hit in 100, then all: nothing is known of the time but the bracket, and noise adds a little."""
    x = np.arange(6.0)
    count = np.array([0, 0, 0, 100, 100, 100.0])
    y, sd = angle_of_counts(count, np.full(6, 100.0))
    found = crossing(x, y, sd, np.arcsin(np.sqrt(0.3)), bound=np.ones(6, dtype=bool), scale=ANGLE)
    assert found.low <= 2.05
    assert found.high >= 2.95
    assert found.low > 1.5
    assert found.high < 3.5


@pytest.mark.parametrize("power", [0.5, 1.5, 3.0])
def test_the_span_holds_a_bent_curve(power):
    """Without noise, convex between coarse snapshots: the chord errs, the interval holds the truth."""
    for phase in np.linspace(0, 1, 11):
        x = np.arange(-4 + phase * np.log(2), 3, np.log(2))
        found = crossing(x, np.exp(power * x), np.full(len(x), 1e-9), 1.0)
        assert found.low <= 1e-9
        assert found.high >= -1e-9
        assert found.centre <= 1e-9 + np.log(2)


def test_what_lies_outside_is_infinite():
    x, sd = np.arange(4.0), np.full(4, 0.01)
    below, above = crossing(x, x / 10, sd, 5.0), crossing(x, x / 10, sd, -5.0)
    assert (below.centre, below.low, below.high) == (np.inf, np.inf, np.inf)
    assert (above.centre, above.low, above.high) == (-np.inf, -np.inf, -np.inf)


def test_a_level_known_less_well_gives_a_longer_interval():
    x = np.arange(8.0)
    sharp, blunt = (crossing(x, x, np.full(8, 0.1), 3.5, level_sd=s) for s in (0.0, 0.5))
    # a straight line: the half-lengths are 1.96 times the root of the summed variances, up to the shared half
    assert blunt.high - blunt.low == pytest.approx(2 * 1.96 * 0.5, rel=0.05)
    assert sharp.high - sharp.low < 2 * 1.96 * 0.1 * 1.01


def test_plain_scale_leaves_values_as_they_are():
    y = np.array([1.0, 2.0])
    assert np.array_equal(PLAIN.back(PLAIN.line(y)), y)
    assert np.allclose(ANGLE.back(ANGLE.line(y / 2)), y / 2, atol=1e-12)
    assert np.allclose(ANGLE.working(ANGLE.value(y / 2)), y / 2, atol=1e-12)
    step = 1e-6  # central difference: error of order step ** 2
    slope = (ANGLE.line(y / 2 + step) - ANGLE.line(y / 2 - step)) / (2 * step)
    assert np.allclose(ANGLE.rate(y / 2), slope, rtol=1e-8)
