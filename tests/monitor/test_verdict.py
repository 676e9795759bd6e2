"""From histories to verdicts, choices and dates of looks: each case as it would be decided by hand."""

import math
from dataclasses import replace

import pytest

from memhorizon.errors import InputError
from memhorizon.monitor.choice import best_look, fall_rate, is_candidate
from memhorizon.monitor.looks import LookPlan, Purse, next_step
from memhorizon.monitor.verdict import finding_of
from memhorizon.records.monitor import LevelLoss, Phase, Stop, Verdict, percent
from monitor_records import look_of

NAN = math.nan


def verdict_of(looks, **rules):
    return finding_of(looks, **rules).verdict


def phase(*looks, crossed=False):
    return verdict_of(looks, target=0.01, crossed=crossed).phase


CLEAN = (0, 64)


def test_a_loss_that_falls_fast_is_learning():
    assert phase(look_of(100, 1.0, copies=CLEAN), look_of(150, 0.8)) is Phase.LEARNING


def test_a_loss_that_hardly_falls_is_the_window():
    looks = [look_of(100, 0.5, copies=CLEAN), look_of(120, 0.497), look_of(150, 0.495)]
    verdict = verdict_of(looks, target=0.01, crossed=False)
    assert verdict.phase is Phase.WINDOW
    assert "0 of 64 samples at step 100" in verdict.reason
    assert verdict.evidence["samples"] == 64


def test_without_samples_the_window_cannot_be_told():
    looks = [look_of(100, 0.5), look_of(120, 0.497), look_of(150, 0.495)]
    assert "No samples" in verdict_of(looks, target=0.01, crossed=False).reason
    assert phase(*looks) is Phase.CANNOT_TELL


def test_the_window_takes_three_looks_over_half_of_the_steps():
    assert phase(look_of(100, 0.5, copies=CLEAN), look_of(150, 0.495)) is Phase.CANNOT_TELL
    close = [look_of(100, 0.5, copies=CLEAN), look_of(120, 0.497), look_of(149, 0.495)]
    assert phase(*close) is Phase.CANNOT_TELL
    assert phase(*close, look_of(150, 0.495)) is Phase.WINDOW


def test_a_loss_that_pauses_while_it_falls_is_learning_all_the_time():
    """That of a network for x_0 on 150 digits: it fell by 8 % per look, but not from 24 to 29."""
    steps = [20, 24, 29, 35, 42, 51, 62, 75, 90, 108, 130, 156, 188]
    losses = [0.338, 0.320, 0.319, 0.294, 0.279, 0.246, 0.233, 0.225, 0.211, 0.204, 0.197, 0.193, 0.187]
    looks = [look_of(*pair, copies=CLEAN) for pair in zip(steps, losses, strict=True)]
    phases = [phase(*looks[:count]) for count in range(2, len(looks) + 1)]
    assert set(phases) == {Phase.LEARNING}


def test_a_network_that_has_learned_nothing_is_not_in_the_window():
    """Noise has a variance of 1, so a constant output has a loss of 1; 0.1 % below it counts."""
    for loss, wanted in ((1.0, Phase.CANNOT_TELL), (0.9995, Phase.CANNOT_TELL), (0.97, Phase.WINDOW)):
        looks = [replace(look_of(step, loss, copies=CLEAN), trivial_loss=1.0) for step in (100, 120, 150)]
        verdict = verdict_of(looks, target=0.01, crossed=False)
        assert verdict.phase is wanted
    causes = ("not trained yet", "another prediction", "another scale")
    looks = [replace(look_of(step, 1.3, copies=CLEAN), trivial_loss=1.0) for step in (100, 120, 150)]
    reason = verdict_of(looks, target=0.01, crossed=False).reason
    assert all(cause in reason for cause in causes)
    unseen = [
        replace(one, holdout_loss=NAN, train_loss=loss, losses=(LevelLoss(0.5, 1, loss),))
        for one, loss in zip(looks, (1.5, 1.4, 1.3), strict=True)
    ]
    reason = verdict_of(unseen, target=0.01, crossed=False).reason
    assert "training loss is 1.3, not below the 1 of a constant" in reason  # that of the latest look


def test_values_that_are_not_finite_are_the_reason():
    levels = (LevelLoss(0.5, 1, NAN),)
    broken = replace(look_of(150, NAN), losses=levels, train_loss=NAN)
    for looks in (
        [broken],
        [look_of(100, 0.5), look_of(120, 0.49), broken],
        [look_of(100, 0.5), look_of(150, math.inf)],
    ):
        verdict = verdict_of(looks, target=0.01, crossed=False)
        assert verdict.phase is Phase.CANNOT_TELL
        assert "not finite" in verdict.reason


def test_a_loss_that_never_moved_is_not_the_lowest_so_far():
    looks = [look_of(step, 0.5, copies=CLEAN) for step in (100, 120, 150)]
    assert "the same at every look" in verdict_of(looks, target=0.01, crossed=False).reason


def test_one_look_is_not_enough():
    assert phase(look_of(100, 0.5, copies=CLEAN)) is Phase.CANNOT_TELL
    assert phase() is Phase.CANNOT_TELL


def test_without_held_out_items_nothing_but_copies_can_be_told():
    looks = [look_of(100, NAN, copies=CLEAN), look_of(150, NAN, copies=CLEAN)]
    assert phase(*looks) is Phase.CANNOT_TELL
    assert phase(*looks, crossed=True) is Phase.MEMORIZING


def test_the_fall_is_read_over_a_third_of_the_steps_at_least():
    """1 % from 190 to 200, but 20 % since 140: still learning."""
    looks = [look_of(100, 1.0), look_of(140, 0.8), look_of(190, 0.645), look_of(200, 0.64)]
    assert phase(*looks) is Phase.LEARNING


def test_the_best_has_the_smallest_loss_among_those_with_a_certificate():
    looks = [
        look_of(100, 0.6, copies=(0, 528), certified=True, upper=0.00998),
        look_of(120, 0.5, copies=(0, 528), certified=True, upper=0.00998),
        look_of(150, 0.4, copies=(3, 528), certified=True, upper=0.02),  # not below the target
        look_of(180, 0.3, copies=(0, 64), upper=0.045),  # not certified
    ]
    assert best_look(looks, 0.01) is looks[1]
    assert best_look(looks[2:], 0.01) is None


def test_without_a_quality_the_best_is_the_latest_with_a_certificate():
    looks = [look_of(step, NAN, certified=True, upper=0.005) for step in (100, 200)]
    assert best_look(looks, 0.01) is looks[1]


@pytest.mark.parametrize(
    ("loss", "best", "is_one"),
    [
        (0.495, None, True),
        (0.40, None, False),  # still falls by a fifth
        (0.52, None, False),  # 4 % above the lowest
        (0.495, look_of(120, 0.50), False),  # 1 % better than the best
        (0.495, look_of(120, 0.52), True),
    ],
)
def test_a_candidate_is_near_the_lowest_slow_and_better(loss, best, is_one):
    earlier = [look_of(100, 0.6), look_of(120, 0.5)]
    assert is_candidate(loss, earlier, best=best, step=144, phase_is_copying=False) is is_one
    assert not is_candidate(loss, earlier, best=best, step=144, phase_is_copying=True)


def test_the_fall_per_fifth_of_the_steps_is_that_of_a_power_law():
    """A loss of 1/step falls by a sixth while the steps grow by a fifth, between any two looks."""
    for step in (110, 200, 1000):
        assert math.isclose(fall_rate(100 / step, step, look_of(100, 1.0)), 1 / 6)


def test_looks_are_spaced_evenly_in_the_logarithm():
    steps = [20]
    while steps[-1] < 10_000:
        steps.append(next_step(steps[-1], 1.2))
    ratios = [b / a for a, b in zip(steps, steps[1:], strict=False)]
    assert all(1.2 <= ratio <= 1.2 + 1 / 20 for ratio in ratios)
    assert len(steps) <= 2 + math.log(500) / math.log(1.2)


def test_what_is_spent_stays_within_the_budget():
    purse = Purse(0.05, train_seconds=100.0, per_losses=1.0, per_sample=0.01)
    assert purse.may_measure_losses()
    purse.paid_losses(2.5)
    assert purse.spent == 2.5
    assert not purse.may_measure_losses()  # 2.5 and 1.75 are more than three fifths of 5
    assert purse.may_draw(64, suspected=False)
    assert not purse.may_draw(101, suspected=False)  # more than a fifth of 5
    assert purse.may_draw(101, suspected=True)
    assert purse.may_certify(250)
    assert not purse.may_certify(251)


def test_the_budget_of_a_planned_training_may_be_spent_early():
    purse = Purse(0.05, train_seconds=10.0, planned_seconds=100.0, per_losses=1.0)
    purse.paid_losses(1.0)
    assert purse.may_measure_losses()
    assert not Purse(0.05, train_seconds=10.0, per_losses=1.0).may_measure_losses()


def test_without_a_budget_everything_may_be_done():
    purse = Purse(None, per_losses=1.0)
    assert purse.may_measure_losses()
    assert purse.may_draw(10**6, suspected=False)
    assert purse.may_certify(10**6)


@pytest.mark.parametrize("name", ["first", "ratio", "sample_ratio", "n_samples", "n_probe", "n_shown"])
def test_a_plan_that_is_none_is_refused(name):
    with pytest.raises(InputError, match=name):
        LookPlan(**{name: -1})


def test_a_verdict_says_what_the_page_says():
    passed = Verdict(Phase.WINDOW, 100, "Why.", Stop.PASSED)
    assert str(passed) == "window, past the best (step 100): Why."
    assert str(replace(passed, stop=Stop.NO)) == "window (step 100): Why."
    assert str(replace(passed, phase=Phase.MEMORIZING)) == "memorizing (step 100): Why."


def test_shares_near_one_are_written_in_full():
    """Of 64 samples that are all copies the limit is 1."""
    looks = [look_of(100, 0.5, copies=(64, 64), upper=1.0)]
    assert "(at most 100 %)" in verdict_of(looks, target=0.01, crossed=True).reason
    # the largest share that two figures write without an exponent, and the next
    assert [percent(0.994), percent(0.996)] == ["99 %", "100 %"]


def test_the_samples_of_a_certificate_stand_in_place_of_earlier_ones_of_that_look_or_at_the_end():
    course = [look_of(100, 0.5, copies=CLEAN, upper=0.05), look_of(120, 0.497), look_of(150, 0.495)]
    found = finding_of(course, target=0.01, crossed=False)
    loss = "The held-out loss is 0.495, the lowest so far."
    assert found.verdict.reason == f"{loss} 0 of 64 samples at step 100 are copies (at most 5 %)."
    same = found.certified(look_of(100, 0.5, copies=(1, 800), upper=0.01)).verdict
    assert same.reason == f"{loss} 1 of 800 samples at step 100 are copies (at most 1 %)."
    other = found.certified(look_of(120, 0.497, copies=(1, 800), upper=0.01)).verdict
    after = "1 of 800 samples at step 120 are copies (at most 1 %)."
    assert other.reason == f"{found.verdict.reason} {after}"
    assert replace(other, reason="") == replace(found.verdict, reason="")
    samples = {"copies": 1.0, "samples": 800.0, "copies_upper": 0.01, "copies_step": 100.0}
    assert same.evidence == {**found.verdict.evidence, **samples}
