"""The time between the training and its monitor, by a timer that is moved by hand."""

import math

import pytest

from memhorizon.monitor.looks import Purse
from memhorizon.monitor.metering import Meter


class Hand:
    """A timer that stands still until it is moved."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_every_second_is_the_trainings_or_the_monitors():
    hand = Hand()
    meter = Meter(hand, first=10, n_updates=None)
    purse = Purse(0.05)
    meter.start()
    hand.now += 8
    meter.start()  # it has begun: nothing changes
    with meter.aside(purse, 10):
        hand.now += 1
        with meter.timed() as seconds:
            hand.now += 4
        purse.paid_losses(seconds[0])
        hand.now += 2
    hand.now += 16
    with meter.aside(purse, 20):
        pass
    assert (purse.train_seconds, purse.on_losses, purse.on_rest) == (24, 4, 3)
    assert purse.planned_seconds == 0


def test_what_fails_is_paid_for_as_well():
    hand = Hand()
    meter = Meter(hand, first=10, n_updates=None)
    purse = Purse(None)

    def fail():
        with meter.aside(purse, 10):
            hand.now += 2
            raise RuntimeError("in a look")

    with pytest.raises(RuntimeError, match="in a look"):
        fail()
    assert purse.spent == 2


def test_a_planned_training_is_reckoned_from_the_steps_so_far():
    """After 100 of 1,000 steps in 50 s all take 500 s; half way in the logarithm, half of that counts."""
    hand = Hand()
    meter = Meter(hand, first=10, n_updates=1000)
    purse = Purse(0.05)
    meter.start()
    hand.now += 50
    with meter.aside(purse, 100):
        pass
    assert math.isclose(purse.planned_seconds, 250)
    assert math.isclose(purse.limit, 0.05 * 250)


def test_time_before_a_resumption_is_not_counted_again():
    hand = Hand()
    meter = Meter(hand, first=10, n_updates=None)
    purse = Purse(None)
    meter.start()
    hand.now += 1000
    meter.forget()
    meter.start()
    hand.now += 3
    with meter.aside(purse, 10):
        pass
    assert purse.train_seconds == 3
    assert purse.limit == math.inf
