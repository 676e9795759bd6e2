"""The level of quality that times are read at: which runs set it, how well it is known, what is refused."""

import numpy as np
import pytest
from scipy import stats

from memhorizon.errors import InputError
from memhorizon.results import Curve, Status
from memhorizon.timescales.levels import (
    Level,
    level_by,
    level_deviation,
    quality_level,
    resolved_best,
    still_improving,
)
from memhorizon.timescales.rules import Rules
from memhorizon.timescales.times import generalization_time

STEPS = np.geomspace(100, 10_000, 20)
DOUBLED = np.geomspace(10, 10_240, 11)


def loss(value, se=0.0, steps=STEPS):
    return Curve.of_means(list(steps), list(value), [se] * len(steps), name="holdout")


def reading(values, error=1e-3):
    return loss(values, error, DOUBLED)


def test_quality_level_is_reached_by_every_run():
    runs = [loss(best + 100 / STEPS) for best in (1.0, 1.5, 2.0)]
    level = quality_level(runs, tolerance=0.1)
    assert level == pytest.approx(1.1 * 2.01)
    assert all(generalization_time(run, level=level).status != "not reached" for run in runs)


def test_the_level_of_good_samples_is_that_of_the_best_run_and_the_others_may_never_reach_it():
    good = loss(4 + 40 / STEPS, 1e-6)
    poor = loss(12 + 40 / STEPS, 1e-6)
    level = quality_level([poor, good], tolerance=1.0, relative_to="best")
    assert level == 2 * good.value.min()
    assert quality_level([poor, good], tolerance=1.0) == 2 * poor.value.min()
    assert generalization_time(poor, level=level).status is Status.NOT_REACHED
    assert level_deviation([poor, good], tolerance=1.0, relative_to="best") == pytest.approx(2e-6)
    assert level_deviation([poor, good], tolerance=1.0) == 0


def test_a_best_value_below_its_noise_counts_as_its_noise():
    curve = loss(np.linspace(9, -0.2, len(STEPS)), 0.5)
    assert resolved_best(curve) == pytest.approx(stats.norm.isf(0.025) * 0.5)
    assert level_deviation([curve], relative_to="best") == 0
    with pytest.raises(InputError, match="positive"):
        quality_level([curve])


IMPROVING = {
    "a power law": (DOUBLED**-0.5, 1e-3, True),
    "a power law hidden by noise": (DOUBLED**-0.5, 0.1, False),
    "a power law that flattens out": (0.5 + DOUBLED**-0.5, 1e-3, False),
    "within the tolerance": (2 - 0.02 * np.log(DOUBLED), 1e-4, False),
    "a minimum in the middle": (0.1 + np.log(DOUBLED / 500) ** 2, 1e-3, False),
    "the minimum is the last but one": (np.append(DOUBLED[:-1] ** -0.5, 0.5), 1e-3, False),
    "flat": (np.ones(11), 1e-3, False),
    "rising": (DOUBLED**0.5, 1e-3, False),
}


@pytest.mark.parametrize("case", IMPROVING)
def test_whether_a_quality_was_still_improving(case):
    values, error, expected = IMPROVING[case]
    assert still_improving(reading(values, error)) is expected


def test_noise_alone_is_seldom_an_improvement():
    """Noise beyond the tolerance: told apart in fewer than the 2.5 % of one comparison."""
    generator = np.random.default_rng(0)
    found = [still_improving(reading(1 + 0.2 * generator.normal(size=11), 0.2)) for _ in range(400)]
    assert np.mean(found) <= 0.025


def test_one_reading_says_nothing_of_improvement():
    assert not still_improving(Curve.of_means([5], [1.0], [0.1]))


# --- which runs settle it ---

LOSS = Rules()
SETTLED = reading(0.1 + 0.5 * np.minimum(1, 20 / DOUBLED) ** 2, 1e-4)
LATE = reading(DOUBLED**-0.3, 1e-4)
NOTHING = reading(np.ones(11), 1e-4)


def test_a_run_that_still_improves_or_learned_nothing_is_left_to_the_others():
    level = level_by(LOSS, [SETTLED, LATE, NOTHING], predicts_noise=True)
    assert level == Level(1.05 * SETTLED.value.min(), Status.OBSERVED)
    assert level_by(LOSS, [LATE, NOTHING], predicts_noise=True) == Level(None, Status.STILL_IMPROVING)
    assert level_by(LOSS, [NOTHING], predicts_noise=True) == Level(None, Status.TRIVIAL_LEVEL)
    assert level_by(LOSS, [], predicts_noise=True) == Level(None, Status.NOT_MEASURED)


def test_a_loss_of_1_is_trivial_of_the_noise_alone():
    assert level_by(LOSS, [NOTHING], predicts_noise=False) == Level(1.05, Status.OBSERVED)
    assert level_by(Rules("kl", t=None), [NOTHING], predicts_noise=True).value == 1.05


def test_a_level_of_samples_is_as_uncertain_as_the_best_of_them():
    level = level_by(Rules.of_samples(), [SETTLED, NOTHING], predicts_noise=True)
    assert level.value == 2 * resolved_best(SETTLED)
    assert level.sd == pytest.approx(2e-4)


def past_the_checker(function):
    """The function without the checker of annotations, which runs in tests only."""
    return getattr(function, "__wrapped__", function)


PERFECT = Curve(np.array([1.0, 2.0]), np.array([0.0, 0.5]), np.array([0.0, 0.5]), np.array([0.0, 0.5]))
BAD = {
    "no curves": lambda: quality_level([]),
    "tolerance negative": lambda: quality_level([PERFECT], tolerance=-0.1),
    "best value 0": lambda: quality_level([PERFECT]),
    "no curve for its level": lambda: past_the_checker(quality_level)([None]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_clear_error(case):
    with pytest.raises(InputError, match="expected"):
        BAD[case]()
