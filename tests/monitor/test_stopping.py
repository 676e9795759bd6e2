"""When looks end a training: each case as it would be decided by hand, courses of the loss as power laws."""

import math
from dataclasses import replace

import numpy as np
import pytest

from memhorizon.monitor.stopping import fall_of, scatter_of, stop_of
from memhorizon.records.monitor import Stop
from memhorizon.results import Fraction
from monitor_records import look_of


def course(b, count=8, *, scatter=0.0, last=None, **kind):
    """Looks whose loss goes as step^-b, every other one above and below it by `scatter`."""
    steps = [round(1000 * 1.2**k) for k in range(count)]
    losses = [0.5 * step**-b * (1 + scatter * (-1) ** k) for k, step in enumerate(steps)]
    looks = [look_of(*pair, train=0.4) for pair in zip(steps, losses, strict=True)]
    lowest = min(losses)
    rise = losses[-1] / lowest - 1
    return [*looks[:-1], replace(looks[-1], **{"rise": rise, "train_loss": 0.35, **kind})]


@pytest.mark.parametrize("b", [-0.3, 0.0, 0.2])
def test_the_fall_of_a_power_law_is_known(b):
    assert math.isclose(fall_of(course(b)), 1 - 1.5**-b, abs_tol=1e-12)


def test_the_fall_is_that_of_a_line_through_the_looks_within_a_factor_of_two_and_a_half():
    steps = [100, 500, 1010, 1500, 1700, 2000, 2500]
    losses = [3.0, 0.9, 0.5, 0.52, 0.47, 0.49, 0.45]
    known = [look_of(*pair) for pair in zip(steps, losses, strict=True)]
    slope = np.polyfit(np.log(steps[2:]), np.log(losses[2:]), 1)[0]
    assert math.isclose(fall_of(known), 1 - 1.5**slope)
    far = [look_of(10**k, loss) for k, loss in enumerate([9.0, 0.9, 0.5, 0.52, 0.47])]
    slope = np.polyfit(np.log(10.0) * np.arange(4), np.log([0.9, 0.5, 0.52, 0.47]), 1)[0]  # the last four
    assert math.isclose(fall_of(far), 1 - 1.5**slope)


def test_the_scatter_is_that_of_independent_errors_about_a_line():
    """s^2 from 7 looks has 5 bends; the mean over 4,000 of them is within 4 standard errors of s^2."""
    generator = np.random.default_rng(0)
    steps = [round(100 * 1.2**k) for k in range(7)]

    def squared():
        losses = 0.5 * np.array(steps) ** -0.4 * np.exp(0.03 * generator.standard_normal(7))
        return scatter_of([look_of(step, float(loss)) for step, loss in zip(steps, losses, strict=True)]) ** 2

    found = np.array([squared() for _ in range(4000)])
    assert abs(found.mean() - 0.03**2) <= 4 * found.std() / math.sqrt(len(found))


@pytest.mark.parametrize(
    ("change", "stop"),
    [
        ({}, Stop.PASSED),
        ({"rise_error": 0.021}, Stop.NO),  # within its error over items
        ({"rise": 0.019, "rise_error": 0.001}, Stop.NO),  # less than 2 %
        ({"train_loss": 0.45}, Stop.NO),  # the training loss rises too
    ],
)
def test_a_rise_of_the_held_out_loss_ends_a_training(change, stop):
    known = [look_of(step, loss, train=0.4) for step, loss in ((1000, 0.51), (1150, 0.5), (1300, 0.505))]
    now = replace(look_of(1450, 0.52, train=0.35, rise=0.04, error=0.01), **change)
    assert stop_of([*known, now], crossed=False) is stop
    assert stop_of([*known[1:], now], crossed=False) is Stop.NO  # three looks


@pytest.mark.parametrize(("rise", "stop"), [(0.08, Stop.NO), (0.10, Stop.PASSED)])
def test_a_rise_has_to_exceed_the_scatter_of_looks(rise, stop):
    """log(loss) goes up and down by 2 log(1.02): bends of 4 log(1.02), s = 0.032, 2 sqrt(2) s = 0.0915."""
    looks = course(0.1, 7, scatter=0.02, rise=rise, rise_error=0.001)
    assert math.isclose(scatter_of(looks), 4 * math.log(1.02) / math.sqrt(6), rel_tol=0.01)
    assert stop_of(looks, crossed=False) is stop


def test_at_rest_a_large_gap_ends_a_training():
    """The loss falls by 3 % while the steps grow by half where b = 0.075."""
    slow = 0.07
    assert stop_of(course(slow, gap=0.55), crossed=False) is Stop.PASSED
    assert stop_of(course(slow, gap=0.45), crossed=False) is Stop.NO
    assert stop_of(course(0.08, gap=0.55), crossed=False) is Stop.NO  # it still falls
    # one look above the others is no rest
    assert stop_of([*course(0.3, 7), look_of(3583, 0.0441, train=0.35, gap=0.6)], crossed=False) is Stop.NO


def test_at_rest_copies_beyond_the_null_end_a_training():
    """P(X >= 2) of 64 at 0.3 % is 0.017, P(X >= 1) is 0.17."""

    def rests(count):
        return course(0.07, copies=Fraction.of(count, 64))

    assert stop_of(rests(2), crossed=False, null=0.003) is Stop.PASSED
    assert stop_of(rests(1), crossed=False, null=0.003) is Stop.NO
    assert stop_of(rests(0), crossed=False, null=0.003) is Stop.NO


def test_a_loss_that_does_not_fall_any_more_ends_a_training_after_half_as_many_steps_again():
    """The loss is smallest at 1,000 steps and grows by 0.1 % per look after it."""
    looks = [look_of(round(1000 * 1.1**k), 0.5 * 1.001**k, train=0.4) for k in range(6)]
    assert [stop_of(looks[:count], crossed=False) for count in (4, 5, 6)] == [Stop.NO, Stop.NO, Stop.PASSED]


def test_looks_at_one_step_have_no_course():
    looks = [look_of(100, loss, train=0.4, gap=0.9) for loss in (0.5, 0.49, 0.51, 0.5)]
    assert math.isnan(fall_of(looks))
    assert stop_of(looks, crossed=False) is Stop.NO


def test_losses_that_are_not_finite_end_no_training():
    looks = [*course(0.2), look_of(5000, math.inf)]
    assert stop_of(looks, crossed=False) is Stop.NO


def test_proven_copies_end_a_training_at_once():
    assert stop_of([look_of(100, 0.6)], crossed=True) is Stop.COPIES
