"""The rules behind tau_gen and tau_mem: known answers, censoring, coverage of the intervals, bad input."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from memhorizon.errors import InputError
from memhorizon.results import Curve, Estimate, Fraction, Status
from memhorizon.timescales.levels import level_deviation, quality_level
from memhorizon.timescales.times import (
    argmin_time,
    gap_opening_time,
    generalization_time,
    memorization_time,
    timescales,
)

STUDY = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "coverage.py"), run_name="study")
STEPS = np.geomspace(100, 10_000, 20)


def logistic(tau, steepness=2.0, steps=STEPS):
    return 1 / (1 + (steps / tau) ** -steepness)


def copied(value, total=1000, steps=STEPS):
    return Curve.of_fractions(
        list(steps), [Fraction.of(round(float(v) * total), total) for v in value], name="memorized"
    )


def loss(value, se=0.0, steps=STEPS):
    return Curve.of_means(list(steps), list(value), [se] * len(steps), name="holdout")


# --- coverage: the simulations of benchmarks/coverage.py, smaller ---


def in_tolerance(hits, low, high):
    """Whether a count can come from a coverage in [low, high]; each side is rejected at one in a thousand."""
    count, total = int(np.sum(hits)), len(hits)
    return stats.binom.cdf(count, total, low) > 1e-3 and stats.binom.sf(count - 1, total, high) > 1e-3


@pytest.mark.parametrize("noise", ["fresh", "shared"])
def test_tau_mem_is_covered_as_often_as_stated(noise):
    """Six families, slow and steep, 100 to 10,000 samples, spacing 1.1 to 2, level 1 to 50 %."""
    generator, hits, statuses = np.random.default_rng(10), [], set()
    for _ in range(300):
        _, answer, tau = STUDY["memorization_case"](noise, generator)
        hits.append(answer.low <= tau <= answer.high)
        statuses.add(answer.status)
    assert in_tolerance(hits, 0.92, 0.98)
    assert statuses == {"observed", "not reached", "before first"}


@pytest.mark.parametrize("noise", ["fresh", "shared"])
@pytest.mark.parametrize("case", ["generalization_case", "gap_case", "argmin_case"])
def test_times_of_means_are_covered_at_least_as_often_as_stated(case, noise):
    """Errors that all snapshots share: 95 %. Fresh ones: the intervals are too long, never too short."""
    generator, hits = np.random.default_rng(11), []
    for _ in range(150):
        _, answer, tau = STUDY[case](noise, generator)
        hits.append(answer.low <= tau * (1 + 1e-9) and tau * (1 - 1e-9) <= answer.high)
    assert in_tolerance(hits, 0.92, 1.0)


# --- known answers ---


@pytest.mark.parametrize("level", [0.02, 0.1, 0.5])
def test_tau_mem_of_a_logistic_curve(level):
    """Counts are rounded by half of one in a million, so log tau is off by at most that over the slope."""
    answer = memorization_time(copied(logistic(1000), total=1_000_000), level=level)
    truth = 1000 * (level / (1 - level)) ** 0.5
    around = STEPS[1] / STEPS[0]  # within a bracket the slope falls by less than this ratio to the power 2
    assert np.log(answer.value / truth) == pytest.approx(0, abs=1e-6 / (2 * level * (1 - level)) * around**2)
    assert answer.low < truth < answer.high


def test_null_shifts_the_level_and_its_interval_widens_the_answer():
    curve = copied(logistic(1000))
    plain = memorization_time(curve, level=0.2)
    exact = memorization_time(curve, level=0.1, null=0.1)
    counted = memorization_time(curve, level=0.1, null=Fraction.of(10, 100))
    assert (exact.value, exact.low, exact.high) == pytest.approx((plain.value, plain.low, plain.high))
    assert counted.value == pytest.approx(plain.value)
    assert counted.low < exact.low
    assert counted.high > exact.high


def test_unit_of_time_does_not_matter():
    value = logistic(700)
    one, other = memorization_time(copied(value)), memorization_time(copied(value, steps=8.0 * STEPS))
    assert (other.value, other.low, other.high) == pytest.approx((8 * one.value, 8 * one.low, 8 * one.high))


def test_more_confidence_and_fewer_samples_lengthen_the_interval():
    usual = memorization_time(copied(logistic(1000)))
    sure = memorization_time(copied(logistic(1000)), confidence=0.999)
    few = memorization_time(copied(logistic(1000), total=100))
    assert sure.low < usual.low < usual.high < sure.high
    assert few.low < usual.low < usual.high < few.high


def test_not_reached_is_a_lower_bound():
    far = memorization_time(copied(0 * STEPS))
    near = memorization_time(copied(logistic(18_000, 4.0), total=100))
    assert (far.status, far.value, far.low, far.high) == ("not reached", 10_000, 10_000, np.inf)
    assert (near.status, near.value, near.high) == ("not reached", 10_000, np.inf)
    assert near.low < 10_000  # 9 of 100 does not exclude a tenth
    assert str(far) == "> 10,000"


def test_reached_before_the_first_snapshot_is_an_upper_bound():
    answer = memorization_time(copied(np.full(20, 0.5)))
    assert (answer.status, answer.value, answer.low, answer.high) == ("before first", 100, 0.0, 100)


def test_one_snapshot_bounds_from_one_side():
    one = np.array([50.0])
    assert memorization_time(copied([0.0], steps=one)).low == 50
    assert memorization_time(copied([0.9], steps=one)).high == 50
    assert memorization_time(copied([0.0], total=5, steps=one)).low == 0  # 0 of 5 excludes nothing


def test_tau_gen_is_the_first_time_although_the_loss_rises_again():
    value = 1 + (STEPS / 100) ** -1.0 + 0.5 * (STEPS / 10_000) ** 2
    fine = np.geomspace(100, 10_000, 100_001)
    truth = fine[np.argmax(1 + (fine / 100) ** -1.0 + 0.5 * (fine / 10_000) ** 2 <= 1.2)]
    answer = generalization_time(loss(value), level=1.2)
    assert answer.low <= truth <= answer.high
    # straight between snapshots: at most h ** 2 / 8 times curvature over slope, both near 0.2 for exp(-x)
    assert np.log(answer.value / truth) == pytest.approx(0, abs=np.log(STEPS[1] / STEPS[0]) ** 2 / 8 * 1.3)
    assert generalization_time(loss(value), level=0.9).status == "not reached"
    assert generalization_time(loss(value), level=3.0).status == "before first"


def test_tau_gen_does_not_depend_on_when_the_loss_rises_but_the_argmin_does():
    """The reason for the default rule, on curves that differ only in when they are learned by heart."""
    early, late = (1 + (STEPS / 100) ** -1.0 + 1e-3 * STEPS / tau for tau in (20, 160))
    first = [generalization_time(loss(v), level=1.4).value for v in (early, late)]
    smallest = [argmin_time(loss(v)).value for v in (early, late)]
    # at the level the rising part differs by 1e-3 * 250 * (1/20 - 1/160), over a slope of 0.4 in log step
    assert np.log(first[1] / first[0]) == pytest.approx(0, abs=1e-3 * 300 / 20 / 0.4)
    # d/ds of 100 / s + 1e-3 s / tau vanishes at s = sqrt(1e5 tau): sqrt(8) apart
    assert smallest[1] / smallest[0] == pytest.approx(np.sqrt(8), rel=0.1)


def test_argmin_of_a_parabola_in_log_step_is_exact():
    x = np.log(STEPS)
    answer = argmin_time(loss(1 + (x - np.log(777)) ** 2, se=0.01))
    assert answer.value == pytest.approx(777, rel=1e-9)
    assert answer.low < 777 < answer.high


def test_argmin_at_an_end_is_censored():
    falling, rising = argmin_time(loss(1 / STEPS)), argmin_time(loss(STEPS))
    assert (falling.status, falling.value, falling.high) == ("not reached", 10_000, np.inf)
    assert (rising.status, rising.value, rising.low) == ("before first", 100, 0.0)


def test_argmin_interval_holds_all_that_noise_cannot_tell_apart():
    flat = argmin_time(loss(1 + 1e-4 * (np.arange(20) - 10.0) ** 2, se=0.1))
    assert (flat.low, flat.high) == (0.0, np.inf)


def test_gap_opens_where_it_stays_open():
    gap = np.where(STEPS > 2000, 0.5, 0.0)
    gap[3] = 0.5  # an excursion that comes back
    opening = gap_opening_time(loss(gap, se=0.01), level=0.25)
    k = int(np.argmax(STEPS > 2000))
    assert STEPS[k - 1] * (1 - 1e-9) <= opening.low <= opening.high <= STEPS[k] * (1 + 1e-9)
    assert (
        gap_opening_time(loss(gap, se=0.01), level=0.25, null=Estimate(0.5, 0.4, 0.6)).status == "not reached"
    )


def test_both_clocks_together_are_the_single_rules():
    quality, memorized = loss(1 + 100 / STEPS + STEPS / 20_000, se=0.01), copied(logistic(1000))
    both = timescales(quality, memorized, quality_level=1.3, gap=loss(STEPS / 10_000, se=0.01), null=0.01)
    assert both.tau_gen == generalization_time(quality, level=1.3)
    assert both.tau_mem == memorization_time(memorized, null=0.01)
    assert both.others["argmin"] == argmin_time(quality)
    assert both.others["gap_opening"] == gap_opening_time(loss(STEPS / 10_000, se=0.01), level=0.13)
    assert set(timescales(quality, memorized, quality_level=1.3).others) == {"argmin"}


# --- bad input ---


def raw(step, value, total=None, low=None, high=None):
    value = np.asarray(value, dtype=float)
    totals = None if total is None else np.full(len(value), float(total))
    low, high = (value if end is None else np.asarray(end, dtype=float) for end in (low, high))
    return Curve(np.asarray(step, dtype=float), value, low, high, total=totals)


def past_the_checker(function):
    """The function without the checker of annotations, which runs in tests only."""
    return getattr(function, "__wrapped__", function)


def distances(tau, floor, error, noise, generator, steps=STEPS):
    """Corrected distances that fall from 40 to a floor, D = floor + 40 exp(-(step / tau)^(1/2))."""
    shift = generator.normal(size=len(steps)) if noise == "fresh" else generator.normal()
    value = floor + 40 * np.exp(-((steps / tau) ** 0.5)) + error * shift
    return loss(value, error, steps)


@pytest.mark.parametrize("noise", ["fresh", "shared"])
@pytest.mark.parametrize("floor", [0.0, 0.3, 6.0])  # none, below what noise tells from 0, far above
def test_the_time_of_samples_as_good_as_they_get_is_covered(floor, noise):
    """Three runs that improve ever later; the level is twice the best value, or twice what can be told."""
    generator = np.random.default_rng(13)
    hits = []
    error = 0.3
    steps = np.geomspace(30, 30_000, 22)
    level = 2 * max(floor, stats.norm.isf(0.025) * error)
    for _ in range(120):
        taus = generator.uniform(20, 60, size=3)
        curves = [distances(tau, floor, error, noise, generator, steps) for tau in taus]
        found = quality_level(curves, tolerance=1.0, relative_to="best")
        sd = level_deviation(curves, tolerance=1.0, relative_to="best")
        truth = taus[1] * np.log(40 / (level - floor)) ** 2  # 40 exp(-(step / tau)^(1/2)) = level - floor
        answer = generalization_time(curves[1], level=found, level_sd=sd)
        hits.append(answer.low <= truth <= answer.high)
    assert in_tolerance(hits, 0.92, 1.0)


def test_an_uncertain_level_lengthens_the_interval():
    curve = loss(4 + 400 / STEPS, 0.1)
    sure = generalization_time(curve, level=5.0)
    unsure = generalization_time(curve, level=5.0, level_sd=0.3)
    assert unsure.value == sure.value
    assert unsure.low < sure.low
    assert unsure.high > sure.high


@pytest.mark.parametrize("number", [np.float32, np.float64])
def test_a_null_may_be_a_number_of_numpy(number):
    time = past_the_checker(memorization_time)(GOOD, null=number(0.25))
    assert time == memorization_time(GOOD, null=0.25)


GOOD = raw([1, 2], [0.0, 0.5], total=100)
BAD = {
    "nan value": lambda: memorization_time(raw([1, 2], [0.0, np.nan], total=9)),
    "no points": lambda: memorization_time(raw([], [], total=9)),
    "decreasing steps": lambda: memorization_time(raw([2, 1], [0.0, 0.5], total=9)),
    "repeated steps": lambda: memorization_time(raw([1, 1], [0.0, 0.5], total=9)),
    "step zero": lambda: memorization_time(raw([0, 1], [0.0, 0.5], total=9)),
    "negative step": lambda: memorization_time(raw([-1, 1], [0.0, 0.5], total=9)),
    "infinite step": lambda: memorization_time(raw([1, np.inf], [0.0, 0.5], total=9)),
    "one step, nan": lambda: memorization_time(raw([np.nan], [0.5], total=9)),
    "level 0": lambda: memorization_time(GOOD, level=0.0),
    "level 1": lambda: memorization_time(GOOD, level=1.0),
    "level nan": lambda: memorization_time(GOOD, level=np.nan),
    "level + null above 1": lambda: memorization_time(GOOD, level=0.6, null=0.5),
    "null negative": lambda: memorization_time(GOOD, null=-0.1),
    "null nan": lambda: memorization_time(GOOD, null=np.nan),
    "curve of means": lambda: memorization_time(raw([1, 2], [0.0, 0.5])),
    "fraction above 1": lambda: memorization_time(raw([1, 2], [0.0, 1.5], total=9)),
    "total 0": lambda: memorization_time(raw([1, 2], [0.0, 0.5], total=0)),
    "confidence 1": lambda: memorization_time(GOOD, confidence=1.0),
    "quality level nan": lambda: generalization_time(GOOD, level=np.nan),
    "nan interval": lambda: generalization_time(raw([1, 2], [0, 1], low=[np.nan, 0]), level=0.5),
    "low above high": lambda: generalization_time(raw([1, 2], [0, 1], low=[1, 2], high=[0, 1]), level=0.5),
    "infinite interval": lambda: argmin_time(raw([1, 2], [0, 1], high=[np.inf, 1])),
    "confidence 0": lambda: argmin_time(GOOD, confidence=0.0),
    "gap level 0": lambda: gap_opening_time(GOOD, level=0.0),
    "gap level infinite": lambda: gap_opening_time(GOOD, level=np.inf),
    "no curve": lambda: past_the_checker(memorization_time)(None),
    "a list for a curve": lambda: past_the_checker(generalization_time)([1, 2], level=1.0),
    "no curve for its argmin": lambda: past_the_checker(argmin_time)(None),
    "no gap": lambda: past_the_checker(gap_opening_time)(None, level=1.0),
    "level in words": lambda: past_the_checker(memorization_time)(GOOD, level="a"),
    "level None": lambda: past_the_checker(memorization_time)(GOOD, level=None),
    "null in words": lambda: past_the_checker(memorization_time)(GOOD, null="a"),
    "null None": lambda: past_the_checker(memorization_time)(GOOD, null=None),
    "null a tensor": lambda: past_the_checker(memorization_time)(GOOD, null=torch.tensor(0.1)),
    "confidence in words": lambda: past_the_checker(memorization_time)(GOOD, confidence="a"),
    "quality level in words": lambda: past_the_checker(generalization_time)(GOOD, level="a"),
    "quality level None": lambda: past_the_checker(generalization_time)(GOOD, level=None),
    "values beyond squares": lambda: generalization_time(
        raw([1, 2, 3], [3e300, 2e300, 1e300]), level=1.5e300
    ),
    "errors beyond squares": lambda: argmin_time(raw([1, 2], [0, 1], low=[-1e299, 0], high=[1e299, 1])),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_clear_error(case):
    with pytest.raises(InputError, match="expected"):
        BAD[case]()


# --- what is no time ---

DOUBLED = np.geomspace(10, 10_240, 11)


def reading(values, error=1e-3):
    return Curve.of_means(DOUBLED, values, np.full(len(DOUBLED), error), name="loss")


def test_curves_that_are_missing_leave_the_other_clock():
    quality, copies = (
        reading(0.5 + 1 / DOUBLED),
        Curve.of_fractions(DOUBLED, [Fraction.of(k, 10) for k in range(11)]),
    )
    both = timescales(quality, copies, quality_level=0.51)
    without = timescales(None, copies, quality_level=None)
    assert (without.tau_gen.status, without.tau_mem) == ("not measured", both.tau_mem)
    without = timescales(quality, None, quality_level=0.51)
    assert (without.tau_gen, without.tau_mem.status) == (both.tau_gen, "not measured")
    unknown = timescales(quality, copies, quality_level=None, status=Status.STILL_IMPROVING).tau_gen
    assert (unknown.status, np.isnan(unknown.value), unknown.low, unknown.high) == (
        "still improving",
        True,
        0,
        np.inf,
    )


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_exact_readings_of_any_size_are_read_without_overflow(scale):
    """Zeros, and a first reading far above all others, leave no infinite weight."""
    values = scale * np.array([1e12, 4.0, 3.0, 2.0, 1.0, 0.0])
    curve = Curve.of_means(DOUBLED[:6], values, np.zeros(6))
    time = generalization_time(curve, level=2.5 * scale)
    assert time.value == pytest.approx(np.sqrt(DOUBLED[2] * DOUBLED[3]))
    flat = gap_opening_time(Curve.of_means([1, 2, 3], [0, 0, 0], [0, 0, 0]), level=scale)
    assert flat.status == "not reached"


def test_steps_that_no_logarithm_tells_apart_are_refused():
    curve = Curve.of_means([2.0**60, 2.0**60 + 512], [2.0, 1.0], [0.1, 0.1])
    with pytest.raises(InputError, match="steps"):
        generalization_time(curve, level=1.5)
