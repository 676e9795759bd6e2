"""What is due at a step, decided by hand: a sample costs 1 s, and the budget is 5 % of the time."""

import math
from dataclasses import replace

import pytest

from memhorizon.monitor.due import (
    certificate_due,
    may_certify,
    may_look,
    ratio_after,
    samples_due,
    samples_wanted,
    steps_to_wait,
    suspected,
)
from memhorizon.monitor.looks import LookPlan, Purse
from memhorizon.monitor.sequential import EProcess
from memhorizon.monitor.settings import MonitorSettings
from memhorizon.monitor.state import Memory
from memhorizon.records.monitor import Look, Phase
from memhorizon.results import Fraction

PLAN = LookPlan(first=10, ratio=1.44, n_samples=8)
SETTINGS = MonitorSettings(plan=PLAN, most_certificates=4)
SIZE = 100  # samples of a certified look
RICH = 1e6  # seconds of training that pay for everything


def look(step, loss=0.5, copies=None, **numbers):
    seen = None if copies is None else Fraction.of(*copies)
    losses = {"train_loss": 0.5, "holdout_loss": loss, "trivial_loss": 1.0}
    return Look(step, Phase.CANNOT_TELL, copies=seen, **losses, **numbers)


def memory(*looks, seconds=RICH, next_sample=0, certificates=0):
    purse = Purse(0.05, train_seconds=seconds, per_losses=1.0, per_sample=1.0)
    return Memory(
        purse, EProcess(0.01, 0.05), 0, next_sample, 0, looks=list(looks), certificates=certificates
    )


SLOWED = (look(100), look(140), look(200))  # the loss rests, so that the next look is a candidate


def wanted(held, now, *, has_holdout=True):
    """Samples of a look that is due, and whether it is certified."""
    if certificate_due(held, SETTINGS, now, SIZE, has_holdout=has_holdout):
        return SIZE, True
    return samples_wanted(held, PLAN, now), False


@pytest.mark.parametrize(
    ("looks", "answer"),
    [
        ((), False),
        ((look(10),), False),
        ((look(10, copies=(1, 8)),), True),
        ((look(10, copies=(0, 8)),), False),
        ((look(10, copies=(1, 8)), look(20)), True),  # the last samples count, not the last look
        ((look(10, copies=(1, 8)), look(20, copies=(0, 8))), False),
    ],
)
def test_a_copy_among_the_last_samples_is_a_suspicion(looks, answer):
    assert suspected(memory(*looks)) is answer


def test_samples_are_due_at_their_step_or_where_copies_are_suspected():
    assert not samples_due(memory(next_sample=50), PLAN, 49)
    assert samples_due(memory(next_sample=50), PLAN, 50)
    assert samples_due(memory(look(10, copies=(1, 8)), next_sample=50), PLAN, 20)


def test_samples_that_cannot_be_paid_for_are_not_due():
    """8 s are 15 % of a budget of 53.4 s, of 1,067 s of training; all of a budget of 8 s, where suspected."""
    assert samples_due(memory(seconds=1067), PLAN, 10)
    assert not samples_due(memory(seconds=1066), PLAN, 10)
    copied = look(10, copies=(1, 8))
    assert samples_due(memory(copied, seconds=160), PLAN, 10)
    assert not samples_due(memory(copied, seconds=159), PLAN, 10)


def test_a_look_is_paid_for_by_its_losses_or_by_samples_of_a_suspicion():
    """Losses of 1 s are three quarters of a budget of 1.33 s, of 26.7 s of training."""
    assert may_look(memory(seconds=27), PLAN, 10)
    assert not may_look(memory(seconds=26), PLAN, 10)
    held = memory(look(10, copies=(1, 8)), seconds=200)
    held.purse.on_losses = 8.0  # too much for another one; 2 of 10 s are left, too little for samples
    assert not may_look(held, PLAN, 20)
    held.purse.per_sample = 0.25
    assert may_look(held, PLAN, 20)
    clean = memory(look(10, copies=(0, 8)), seconds=200)
    clean.purse.on_losses = 8.0
    clean.purse.per_sample = 0.01
    assert not may_look(clean, PLAN, 20)


def test_a_candidate_is_certified():
    assert wanted(memory(*SLOWED), look(280)) == (SIZE, True)


def test_a_look_without_its_held_out_loss_is_no_candidate_where_there_are_held_out_items():
    assert wanted(memory(*SLOWED), look(280, math.nan)) == (PLAN.n_samples, False)
    unseen = [look(step, math.nan) for step in (100, 140, 200)]
    assert wanted(memory(*unseen), look(280, math.nan), has_holdout=False) == (SIZE, True)


def test_of_the_certificates_half_is_kept_for_the_end():
    assert wanted(memory(*SLOWED, certificates=1), look(280)) == (SIZE, True)
    assert wanted(memory(*SLOWED, certificates=2), look(280)) == (PLAN.n_samples, False)
    assert may_certify(memory(*SLOWED, certificates=3), SETTINGS, look(280))
    assert not may_certify(memory(*SLOWED, certificates=4), SETTINGS, look(280))
    unseen = look(280, math.nan)
    assert wanted(memory(certificates=3), unseen, has_holdout=False) == (SIZE, True)


def test_what_has_learned_nothing_is_not_certified_even_when_asked_for():
    nothing = replace(look(280), trivial_loss=0.5)
    assert not may_certify(memory(*SLOWED), SETTINGS, nothing)
    assert wanted(memory(*SLOWED), nothing) == (PLAN.n_samples, False)


def test_a_certificate_has_to_be_paid_for_unless_it_is_asked_for():
    """100 s are 5 % of 2,000 s."""
    assert wanted(memory(*SLOWED, seconds=2000), look(280)) == (SIZE, True)
    assert wanted(memory(*SLOWED, seconds=1999), look(280)) == (PLAN.n_samples, False)
    poor = memory(*SLOWED, seconds=1999)
    assert may_certify(poor, SETTINGS, look(280))
    assert poor.purse.without_limit().may_certify(10 * SIZE)


def test_where_the_loss_has_slowed_every_look_draws_samples():
    falling = (look(100, 0.8), look(140, 0.6))
    late = 10**6  # the step at which samples are due
    assert wanted(memory(*SLOWED, next_sample=late, certificates=4), look(280)) == (PLAN.n_samples, False)
    assert wanted(memory(*falling, next_sample=late), look(200, 0.4)) == (0, False)
    assert wanted(memory(*falling, next_sample=200), look(200, 0.4)) == (PLAN.n_samples, False)
    assert wanted(memory(next_sample=late), look(10)) == (0, False)  # the first look is no slow one


def test_the_next_look_is_nearer_where_copies_were_seen_or_the_loss_has_risen():
    assert ratio_after(look(10), PLAN) == PLAN.ratio
    assert ratio_after(look(10, copies=(0, 8)), PLAN) == PLAN.ratio
    assert math.isclose(ratio_after(look(10, copies=(1, 8)), PLAN), 1.2)
    assert math.isclose(ratio_after(look(10, rise=0.01), PLAN), 1.2)
    assert ratio_after(look(10, rise=0.0), PLAN) == PLAN.ratio


def test_a_look_that_waits_comes_halfway_to_the_next_one():
    assert steps_to_wait(100, PLAN) == 20
    assert steps_to_wait(2, PLAN) == 1
