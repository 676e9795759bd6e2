"""From histories to verdicts, choices and dates of looks: each case as it would be decided by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from memhorizon.errors import InputError
from memhorizon.monitor.choice import best_look, fall_rate, is_candidate
from memhorizon.monitor.looks import LookPlan, Purse, next_step
from memhorizon.monitor.verdict import fall_of, finding_of, scatter_of, stop_of
from memhorizon.records.monitor import LevelLoss, Look, Phase, Stop, Verdict, percent
from memhorizon.results import Fraction

NAN = math.nan


def look(step, loss, *, train=None, rise=0.0, error=0.005, gap=0.1, copies=None, certified=False, upper=NAN):
    return Look(
        step,
        Phase.CANNOT_TELL,
        train_loss=loss if train is None else train,
        holdout_loss=loss,
        rise=rise,
        rise_error=error,
        gap=gap,
        copies=None if copies is None else Fraction.of(*copies),
        certified=certified,
        upper=upper,
    )


def verdict_of(looks, **rules):
    return finding_of(looks, **rules).verdict


def phase(*looks, crossed=False):
    return verdict_of(looks, target=0.01, crossed=crossed).phase


CLEAN = (0, 64)


def test_a_loss_that_falls_fast_is_learning():
    assert phase(look(100, 1.0, copies=CLEAN), look(150, 0.8)) is Phase.LEARNING


def test_a_loss_that_hardly_falls_is_the_window():
    looks = [look(100, 0.5, copies=CLEAN), look(120, 0.497), look(150, 0.495)]
    verdict = verdict_of(looks, target=0.01, crossed=False)
    assert verdict.phase is Phase.WINDOW
    assert "0 of 64 samples at step 100" in verdict.reason
    assert verdict.evidence["samples"] == 64


def test_without_samples_the_window_cannot_be_told():
    looks = [look(100, 0.5), look(120, 0.497), look(150, 0.495)]
    assert "No samples" in verdict_of(looks, target=0.01, crossed=False).reason
    assert phase(*looks) is Phase.CANNOT_TELL


def test_the_window_takes_three_looks_over_half_of_the_steps():
    assert phase(look(100, 0.5, copies=CLEAN), look(150, 0.495)) is Phase.CANNOT_TELL
    close = [look(100, 0.5, copies=CLEAN), look(120, 0.497), look(149, 0.495)]
    assert phase(*close) is Phase.CANNOT_TELL
    assert phase(*close, look(150, 0.495)) is Phase.WINDOW


def test_a_loss_that_pauses_while_it_falls_is_learning_all_the_time():
    """That of a network for x_0 on 150 digits: it fell by 8 % per look, but not from 24 to 29."""
    steps = [20, 24, 29, 35, 42, 51, 62, 75, 90, 108, 130, 156, 188]
    losses = [0.338, 0.320, 0.319, 0.294, 0.279, 0.246, 0.233, 0.225, 0.211, 0.204, 0.197, 0.193, 0.187]
    looks = [look(*pair, copies=CLEAN) for pair in zip(steps, losses, strict=True)]
    phases = [phase(*looks[:count]) for count in range(2, len(looks) + 1)]
    assert set(phases) == {Phase.LEARNING}


def test_a_network_that_has_learned_nothing_is_not_in_the_window():
    """Noise has a variance of 1, so a constant output has a loss of 1; 0.1 % below it counts."""
    for loss, wanted in ((1.0, Phase.CANNOT_TELL), (0.9995, Phase.CANNOT_TELL), (0.97, Phase.WINDOW)):
        looks = [replace(look(step, loss, copies=CLEAN), trivial_loss=1.0) for step in (100, 120, 150)]
        verdict = verdict_of(looks, target=0.01, crossed=False)
        assert verdict.phase is wanted
    causes = ("not trained yet", "another prediction", "another scale")
    looks = [replace(look(step, 1.3, copies=CLEAN), trivial_loss=1.0) for step in (100, 120, 150)]
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
    broken = replace(look(150, NAN), losses=levels, train_loss=NAN)
    for looks in ([broken], [look(100, 0.5), look(120, 0.49), broken], [look(100, 0.5), look(150, math.inf)]):
        verdict = verdict_of(looks, target=0.01, crossed=False)
        assert verdict.phase is Phase.CANNOT_TELL
        assert "not finite" in verdict.reason


def test_a_loss_that_never_moved_is_not_the_lowest_so_far():
    looks = [look(step, 0.5, copies=CLEAN) for step in (100, 120, 150)]
    assert "the same at every look" in verdict_of(looks, target=0.01, crossed=False).reason


def test_one_look_is_not_enough():
    assert phase(look(100, 0.5, copies=CLEAN)) is Phase.CANNOT_TELL
    assert phase() is Phase.CANNOT_TELL


def test_without_held_out_items_nothing_but_copies_can_be_told():
    looks = [look(100, NAN, copies=CLEAN), look(150, NAN, copies=CLEAN)]
    assert phase(*looks) is Phase.CANNOT_TELL
    assert phase(*looks, crossed=True) is Phase.MEMORIZING


def test_the_fall_is_read_over_a_third_of_the_steps_at_least():
    """1 % from 190 to 200, but 20 % since 140: still learning."""
    looks = [look(100, 1.0), look(140, 0.8), look(190, 0.645), look(200, 0.64)]
    assert phase(*looks) is Phase.LEARNING


def course(b, count=8, *, scatter=0.0, last=None, **kind):
    """Looks whose loss goes as step^-b, every other one above and below it by `scatter`."""
    steps = [round(1000 * 1.2**k) for k in range(count)]
    losses = [0.5 * step**-b * (1 + scatter * (-1) ** k) for k, step in enumerate(steps)]
    looks = [look(*pair, train=0.4) for pair in zip(steps, losses, strict=True)]
    lowest = min(losses)
    rise = losses[-1] / lowest - 1
    return [*looks[:-1], replace(looks[-1], **{"rise": rise, "train_loss": 0.35, **kind})]


@pytest.mark.parametrize("b", [-0.3, 0.0, 0.2])
def test_the_fall_of_a_power_law_is_known(b):
    assert math.isclose(fall_of(course(b)), 1 - 1.5**-b, abs_tol=1e-12)


def test_the_fall_is_that_of_a_line_through_the_looks_within_a_factor_of_two_and_a_half():
    steps = [100, 500, 1010, 1500, 1700, 2000, 2500]
    losses = [3.0, 0.9, 0.5, 0.52, 0.47, 0.49, 0.45]
    known = [look(*pair) for pair in zip(steps, losses, strict=True)]
    slope = np.polyfit(np.log(steps[2:]), np.log(losses[2:]), 1)[0]
    assert math.isclose(fall_of(known), 1 - 1.5**slope)
    far = [look(10**k, loss) for k, loss in enumerate([9.0, 0.9, 0.5, 0.52, 0.47])]
    slope = np.polyfit(np.log(10.0) * np.arange(4), np.log([0.9, 0.5, 0.52, 0.47]), 1)[0]  # the last four
    assert math.isclose(fall_of(far), 1 - 1.5**slope)


def test_the_scatter_is_that_of_independent_errors_about_a_line():
    """s^2 from 7 looks has 5 bends; the mean over 4,000 of them is within 4 standard errors of s^2."""
    generator = np.random.default_rng(0)
    steps = [round(100 * 1.2**k) for k in range(7)]

    def squared():
        losses = 0.5 * np.array(steps) ** -0.4 * np.exp(0.03 * generator.standard_normal(7))
        return scatter_of([look(step, float(loss)) for step, loss in zip(steps, losses, strict=True)]) ** 2

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
    known = [look(step, loss, train=0.4) for step, loss in ((1000, 0.51), (1150, 0.5), (1300, 0.505))]
    now = replace(look(1450, 0.52, train=0.35, rise=0.04, error=0.01), **change)
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
    assert stop_of([*course(0.3, 7), look(3583, 0.0441, train=0.35, gap=0.6)], crossed=False) is Stop.NO


def test_at_rest_copies_beyond_the_null_end_a_training():
    """P(X >= 2) of 64 at 0.3 % is 0.017, P(X >= 1) is 0.17."""

    def rests(count):
        return course(0.07, copies=Fraction.of(count, 64))

    assert stop_of(rests(2), crossed=False, null=0.003) is Stop.PASSED
    assert stop_of(rests(1), crossed=False, null=0.003) is Stop.NO
    assert stop_of(rests(0), crossed=False, null=0.003) is Stop.NO


def test_a_loss_that_does_not_fall_any_more_ends_a_training_after_half_as_many_steps_again():
    """The loss is smallest at 1,000 steps and grows by 0.1 % per look after it."""
    looks = [look(round(1000 * 1.1**k), 0.5 * 1.001**k, train=0.4) for k in range(6)]
    assert [stop_of(looks[:count], crossed=False) for count in (4, 5, 6)] == [Stop.NO, Stop.NO, Stop.PASSED]


def test_looks_at_one_step_have_no_course():
    looks = [look(100, loss, train=0.4, gap=0.9) for loss in (0.5, 0.49, 0.51, 0.5)]
    assert math.isnan(fall_of(looks))
    assert stop_of(looks, crossed=False) is Stop.NO


def test_losses_that_are_not_finite_end_no_training():
    looks = [*course(0.2), look(5000, math.inf)]
    assert stop_of(looks, crossed=False) is Stop.NO


def test_proven_copies_end_a_training_at_once():
    assert stop_of([look(100, 0.6)], crossed=True) is Stop.COPIES


def test_the_best_has_the_smallest_loss_among_those_with_a_certificate():
    looks = [
        look(100, 0.6, copies=(0, 528), certified=True, upper=0.00998),
        look(120, 0.5, copies=(0, 528), certified=True, upper=0.00998),
        look(150, 0.4, copies=(3, 528), certified=True, upper=0.02),  # not below the target
        look(180, 0.3, copies=(0, 64), upper=0.045),  # not certified
    ]
    assert best_look(looks, 0.01) is looks[1]
    assert best_look(looks[2:], 0.01) is None


def test_without_a_quality_the_best_is_the_latest_with_a_certificate():
    looks = [look(step, NAN, certified=True, upper=0.005) for step in (100, 200)]
    assert best_look(looks, 0.01) is looks[1]


@pytest.mark.parametrize(
    ("loss", "best", "is_one"),
    [
        (0.495, None, True),
        (0.40, None, False),  # still falls by a fifth
        (0.52, None, False),  # 4 % above the lowest
        (0.495, look(120, 0.50), False),  # 1 % better than the best
        (0.495, look(120, 0.52), True),
    ],
)
def test_a_candidate_is_near_the_lowest_slow_and_better(loss, best, is_one):
    earlier = [look(100, 0.6), look(120, 0.5)]
    assert is_candidate(loss, earlier, best=best, step=144, phase_is_copying=False) is is_one
    assert not is_candidate(loss, earlier, best=best, step=144, phase_is_copying=True)


def test_the_fall_per_fifth_of_the_steps_is_that_of_a_power_law():
    """A loss of 1/step falls by a sixth while the steps grow by a fifth, between any two looks."""
    for step in (110, 200, 1000):
        assert math.isclose(fall_rate(100 / step, step, look(100, 1.0)), 1 / 6)


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
    looks = [look(100, 0.5, copies=(64, 64), upper=1.0)]
    assert "(at most 100 %)" in verdict_of(looks, target=0.01, crossed=True).reason
    # the largest share that two figures write without an exponent, and the next
    assert [percent(0.994), percent(0.996)] == ["99 %", "100 %"]


def test_the_samples_of_a_certificate_stand_in_place_of_earlier_ones_of_that_look_or_at_the_end():
    course = [look(100, 0.5, copies=CLEAN, upper=0.05), look(120, 0.497), look(150, 0.495)]
    found = finding_of(course, target=0.01, crossed=False)
    loss = "The held-out loss is 0.495, the lowest so far."
    assert found.verdict.reason == f"{loss} 0 of 64 samples at step 100 are copies (at most 5 %)."
    same = found.certified(look(100, 0.5, copies=(1, 800), upper=0.01)).verdict
    assert same.reason == f"{loss} 1 of 800 samples at step 100 are copies (at most 1 %)."
    other = found.certified(look(120, 0.497, copies=(1, 800), upper=0.01)).verdict
    after = "1 of 800 samples at step 120 are copies (at most 1 %)."
    assert other.reason == f"{found.verdict.reason} {after}"
    assert replace(other, reason="") == replace(found.verdict, reason="")
    samples = {"copies": 1.0, "samples": 800.0, "copies_upper": 0.01, "copies_step": 100.0}
    assert same.evidence == {**found.verdict.evidence, **samples}
