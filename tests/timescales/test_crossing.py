"""The engine behind the times: scales, shared noise, isotonic fit, and the span between snapshots."""

import numpy as np
import pytest
from scipy import stats

from memhorizon.timescales.crossing import (
    ANGLE,
    PLAIN,
    _bends,
    _covariance,
    _quantile,
    _span,
    _variance,
    _variance_of_turns,
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


# --- the variance of a crossing and the covariance behind it ---

DRAWS = 200_000


def drawn_noise(covariance, seed):
    """Readings' noise with this covariance."""
    generator = np.random.default_rng(seed)
    return generator.multivariate_normal(np.zeros(len(covariance)), covariance, DRAWS, method="cholesky")


def close_to_simulated(found, simulated):
    """A sample variance of normal draws has the relative standard error sqrt(2 / draws): five of them."""
    assert np.allclose(found, simulated, rtol=5 * np.sqrt(2 / DRAWS), atol=0)


def test_half_of_the_variance_is_shared_by_all_readings_of_a_mean():
    """Readings made of one number that all share and of fresh ones, each with half of the variance."""
    sd = np.array([0.1, 0.3, 0.2])
    generator = np.random.default_rng(0)
    shared = generator.normal(size=(DRAWS, 1))
    fresh = generator.normal(size=(DRAWS, 3))
    readings = sd * np.sqrt(0.5) * (shared + fresh)
    found = _covariance(np.array([0.2, 0.5, 0.9]), sd, PLAIN)
    # a sample covariance has a standard error of at most sd sd' sqrt(2 / draws)
    assert np.all(abs(found - np.cov(readings.T)) < 5 * np.sqrt(2 / DRAWS) * np.outer(sd, sd))


def test_half_of_the_variance_is_that_of_samples_that_turn_once_for_proportions():
    """Half of the samples are drawn anew at each snapshot, half are the same ones, which turn once."""
    p = np.array([0.1, 0.3, 0.6])
    total = 2000
    generator = np.random.default_rng(1)
    fresh = generator.binomial(total // 2, p, size=(20_000, 3))
    turns = np.stack([np.searchsorted(np.sort(generator.random(total // 2)), p) for _ in range(20_000)])
    counts = (fresh + turns).astype(float).ravel()
    y, sd = angle_of_counts(counts, np.full(len(counts), float(total)))
    found = _covariance(np.arcsin(np.sqrt(p)), sd[:3], ANGLE)
    error = 5 * np.sqrt(2 / 20_000) + 1 / (total * p.min())  # of the draws, and of the angles' next order
    assert np.all(abs(found - np.cov(y.reshape(-1, 3).T)) < error * sd[0] ** 2)


@pytest.mark.parametrize("scale", [PLAIN, ANGLE], ids=["means", "proportions"])
def test_the_variance_between_two_readings_is_that_of_simulated_lines(scale):
    """Lines through noisy readings, straight on the line scale; noise of 1/1,000 is linear to 1 %."""
    y = np.array([0.4, 0.9])
    sd = np.array([1e-3, 2e-3])
    covariance = _covariance(y, sd, scale)
    w = np.array([[0.0, 0.2, 0.5, 0.9, 1.0]])
    noisy = y + drawn_noise(covariance, 2)
    lines = scale.back(scale.line(noisy[:, :1]) + w * np.diff(scale.line(noisy)))
    line = scale.back(scale.line(y[:1]) + w * np.diff(scale.line(y)))
    found = _variance(line, scale.rate(y), covariance, w, scale)
    close_to_simulated(found[0], lines.var(axis=0))


@pytest.mark.parametrize("scale", [PLAIN, ANGLE], ids=["means", "proportions"])
def test_the_variance_of_a_bend_is_that_of_simulated_bends(scale):
    x = np.array([0.0, 0.5, 1.7, 2.0, 3.1])
    y = np.array([0.3, 0.4, 0.7, 0.9, 1.2])
    covariance = _covariance(y, np.array([1.0, 2.0, 1.5, 1.0, 0.5]) * 1e-3, scale)
    g = scale.line(y + drawn_noise(covariance, 3))
    bends = np.diff(np.diff(g, axis=1) / np.diff(x), axis=1)
    found = _variance_of_turns(np.diff(x), scale.rate(y), covariance)
    close_to_simulated(found, bends.var(axis=0))


@pytest.mark.parametrize(
    ("level", "variance"),
    [(4.5, 1 / 4 + 1 / 4 + 2 * 0.5 / 4), (4.25, 9 / 16 + 1 / 16 + 2 * 0.5 * 3 / 16), (4.0, 1.0)],
)
def test_the_interval_on_a_straight_line_is_that_of_half_shared_noise(level, variance):
    """y = x with one standard deviation: var = w0^2 + w1^2 + 2 w0 w1 / 2 in its square."""
    x, sd = np.arange(9.0), 1e-3
    found = crossing(x, x, np.full(9, sd), level)
    half = stats.norm.ppf(0.975) * np.sqrt(variance) * sd
    assert found.centre == pytest.approx(level, abs=1e-12)
    # over the interval w changes by half of 1/32 of a bracket at most, the variance by less than 4 % of it
    assert found.high - level == pytest.approx(half, rel=0.02)
    assert level - found.low == pytest.approx(half, rel=0.02)


def test_the_noise_of_the_level_adds_in_squares():
    x, sd, level_sd = np.arange(9.0), 3e-3, 4e-3
    found = crossing(x, x, np.full(9, sd), 4.0, level_sd=level_sd)
    assert found.high - 4.0 == pytest.approx(stats.norm.ppf(0.975) * 5e-3, rel=0.02)


def test_a_bend_that_noise_explains_is_left_out():
    """Two standard deviations of a bend squared are taken off: below sqrt(2) of them nothing is left."""
    x = np.arange(3.0)
    sd = np.full(3, 0.1)
    covariance = _covariance(x, sd, PLAIN)
    # var = (1 + 4 + 1) fresh halves; what is shared drops out of a second difference
    own = 6 * 0.5 * 0.1**2
    for bend, left in ((0.99 * np.sqrt(2 * own), 0.0), (3.0, np.sqrt(9 - 2 * own))):
        y = np.array([0.0, 1.0, 2.0 + bend])
        assert _bends(x, y, np.ones(3), covariance)[1] == pytest.approx(left)


def test_at_the_ends_the_curve_may_be_flat():
    x = np.array([0.0, 1.0, 3.0])
    y = np.array([0.0, 2.0, 8.0])
    bends = _bends(x, y, np.ones(3), np.zeros((3, 3)))
    assert bends.tolist() == [2.0, 1.0, -3.0]


SPANS = [
    # bends before and after; at the middle of a bracket of length 1: below, above
    ((1.0, 1.0), (0.5, 0.0)),
    ((2.0, 1.0), (0.5, 0.0)),
    ((-1.0, -2.0), (0.0, 0.5)),
    ((1.0, -1.0), (0.5, 0.5)),
    ((0.0, 3.0), (1.5, 0.0)),
    ((0.0, -3.0), (0.0, 1.5)),
    ((0.0, 0.0), (0.0, 0.0)),
]


@pytest.mark.parametrize(("bend", "expected"), SPANS)
def test_the_span_of_two_bends(bend, expected):
    below, above = _span(np.array(bend), np.array([[0.5]]), np.array([[1.0]]))
    assert (below.item(), above.item()) == expected


def test_a_bound_may_run_straight_in_the_quantity():
    """No hit, then half: the fraction may rise in proportion from 0, far above the logistic from a bound."""
    x = np.array([0.0, 1.0, 2.0])
    count, total = np.array([0.0, 50.0, 99.0]), np.full(3, 100.0)
    y, sd = angle_of_counts(count, total)
    level = np.arcsin(np.sqrt(0.25))
    with_bound = crossing(x, y, sd, level, bound=count == 0, scale=ANGLE)
    without = crossing(x, y, sd, level, scale=ANGLE)
    assert with_bound.low < without.low
    assert with_bound.high == pytest.approx(without.high, abs=1e-9)
    assert with_bound.low < 0.5  # where a straight rise to one half passes a quarter
