"""When to look and what a look may cost, reckoned by hand."""

import math

import pytest

from memhorizon.monitor.looks import LookPlan, Purse, paced, rows_paid_for


def test_a_new_purse_has_spent_nothing_and_knows_no_cost():
    purse = Purse(0.05)
    assert (purse.spent, purse.base, purse.limit) == (0, 0, 0)
    assert purse.step_seconds(10) == 0
    assert purse.may_measure_losses()  # nobody knows yet what they cost
    assert not purse.may_certify(1)  # here it has to be known
    assert purse.may_end_with(0)
    assert purse.may_write()


def test_all_that_is_spent_counts():
    purse = Purse(None, on_losses=1, on_samples=2, on_certificates=4, on_files=8, on_rest=16)
    assert purse.spent == 31


def test_the_time_of_an_update_is_that_since_losses_were_tried():
    purse = Purse(0.05, train_seconds=80.0, tried_step=100, tried_seconds=50.0)
    assert purse.step_seconds(160) == 0.5  # 30 s for 60 updates
    assert purse.step_seconds(100) == 0.8  # none since: 80 s for 100
    assert purse.step_seconds(0) == 80


def test_at_the_end_all_that_is_left_of_the_whole_may_be_spent():
    """5 % of 200 s are 10 s, of which 4 are spent: 60 samples of 0.1 s are left."""
    purse = Purse(0.05, train_seconds=100.0, planned_seconds=50.0, whole_seconds=200.0)
    purse.paid_losses(4.0)
    purse.per_sample = 0.1
    assert purse.may_end_with(60)
    assert not purse.may_end_with(61)
    longer = Purse(0.05, train_seconds=400.0, whole_seconds=200.0, per_sample=0.1)
    assert longer.may_end_with(200)  # the training took longer than planned: 20 s
    assert not longer.may_end_with(201)
    assert Purse(None, per_sample=0.1).may_end_with(10**9)


def test_files_may_take_a_tenth_of_the_budget():
    assert Purse(0.05, train_seconds=100.0, on_files=0.5).may_write()
    assert not Purse(0.05, train_seconds=100.0, on_files=0.51).may_write()


def test_samples_are_paid_for_by_what_they_are_drawn_for():
    """The cost of one is 1 s at first; then halfway between that and 3 s."""
    purse = Purse(0.05)
    purse.paid_samples(4.0, 4)
    assert (purse.on_samples, purse.on_certificates, purse.per_sample) == (4, 0, 1)
    purse.paid_certificate(6.0, 2)
    assert (purse.on_samples, purse.on_certificates, purse.per_sample) == (4, 6, 2)


def test_losses_that_cost_nothing_are_measured_on_all_rows():
    assert rows_paid_for(128, 0.0, 0.1, 0.05, 2000) == 128
    # 0.75 * 0.05 * 2000 * 0.1 / 20 = 0.375 s for a look: three eighths of the rows where all take 1 s
    assert rows_paid_for(128, 1.0, 0.1, 0.05, 2000) == 48
    assert rows_paid_for(16, 10.0, 0.1, 0.05, 2000) == 16  # never more than are wanted


@pytest.mark.parametrize(
    ("step", "share"),
    [(0, 0.0), (1, 0.0), (10, 0.0), (20, 1 / 3), (40, 2 / 3), (80, 1.0), (160, 1.0)],
)
def test_the_budget_of_a_planned_training_is_spent_evenly_in_the_logarithm(step, share):
    assert math.isclose(paced(step, 10, 80), share, abs_tol=1e-12)


@pytest.mark.parametrize("n_updates", [5, 10])
def test_a_training_that_ends_with_the_first_look_may_spend_all(n_updates):
    assert paced(3, 10, n_updates) == 1


def test_the_plan_where_none_is_asked_for():
    plan = LookPlan()
    assert (plan.first, plan.ratio, plan.sample_ratio) == (20, 1.2, 2.0)
    assert (plan.n_samples, plan.n_probe, plan.n_shown) == (64, 128, 16)
