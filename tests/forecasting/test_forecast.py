"""Forecasts: calibrated in a world that is as believed, right where there is a law, else refused."""

import math
from dataclasses import replace

import numpy as np
import pytest

from memhorizon.errors import InputError
from memhorizon.forecasting.conformal import widening
from memhorizon.forecasting.evidence import _alone, _conflict
from memhorizon.forecasting.fitting import Question, fit
from memhorizon.forecasting.forecast import Asked, forecast_of
from memhorizon.forecasting.left_out import left_forward
from memhorizon.forecasting.next_pilot import candidate_sizes
from memhorizon.forecasting.pilots import Pilot, Point, pilots_of_rows
from memhorizon.forecasting.priors import BENDS, ONLY, SCATTER, STEPS_OFF, Exponent, beliefs
from memhorizon.forecasting.refusals import contradictory
from memhorizon.results import Status, Time

QUESTION = Question("tau_mem", beliefs("tau_mem", None), 0.9)


def rows(times, **others):
    """Rows of a table from times by n."""
    return [{"n": n, "time": t, **others} for n, every in times.items() for t in every]


def asked(times, n_train=128, **others):
    return forecast_of(pilots_of_rows(rows(times)), Asked(n_train, **others))


def drawn(rng):
    """Log times of three seeds at each of some n, drawn from what is believed; a path may bend."""
    doublings = np.arange(5.0)
    scatter = SCATTER.median * np.exp(SCATTER.log_sd * rng.normal())
    slope = rng.normal(1.0, 0.4) * math.log(2)
    if rng.random() < 0.5:
        misfit = STEPS_OFF.median * np.exp(STEPS_OFF.log_sd * rng.normal())
        walk = np.cumsum([0, *(misfit * rng.normal(size=4))])
    else:  # an integrated walk: within a doubling its end and its slope correlate
        misfit = BENDS.median * np.exp(BENDS.log_sd * rng.normal())
        walk = np.zeros(5)
        bend = 0.0
        for i in range(1, 5):
            turn, inner = rng.normal(size=2)
            walk[i] = walk[i - 1] + bend + misfit * (turn / 2 + inner / math.sqrt(12))
            bend += misfit * turn
    center = 6 + slope * doublings + walk
    return center[:, None] + scatter * rng.normal(size=(5, 3))


@pytest.mark.parametrize("censored", [False, True])
def test_intervals_cover_what_is_drawn_from_the_model(censored):
    """Pilots at three n, a run at four times the largest: 0.9 within 3.5 standard errors."""
    rng = np.random.default_rng(2)
    trials = 40 if censored else 200
    covered = 0
    for _ in range(trials):
        logs = drawn(rng)
        table = [{"n": 16 * 2**i, "time": math.exp(y)} for i in range(3) for y in logs[i]]
        if censored:  # everything ends at the median of the third size
            end = math.exp(np.median(logs[2]))
            table = [row | {"time": min(row["time"], end), "censored": row["time"] > end} for row in table]
        if not {16, 32} <= {row["n"] for row in table if not row.get("censored")}:
            trials -= 1
            continue
        _, low, high = fit(pilots_of_rows(table), [Point(256.0)], QUESTION).interval(0, 0.9)
        covered += low <= logs[4, 0] <= high
    # beliefs lie on a grid of few scatters and misfits: 1 % of coverage at most
    assert abs(covered / trials - 0.9) <= 3.5 * math.sqrt(0.09 / trials) + 0.01


def test_an_exact_law_is_extended():
    found = asked({n: [3.0 * n**1.2] * 3 for n in (8, 16, 32, 64)})
    assert found.status is Status.FORECAST
    assert found.tau_mem.step.value == pytest.approx(3 * 128**1.2, rel=0.05)
    assert found.tau_mem.alone.value == pytest.approx(1.2, abs=1e-6)
    assert found.tau_mem.left_out.value == pytest.approx(1, abs=0.06)
    assert found.tau_gen.status is Status.NOT_MEASURED


def test_intervals_grow_with_the_distance_and_shrink_with_pilots():
    times = {16: [100, 110, 95], 32: [210, 190, 200], 64: [390, 420, 400]}
    spans = [found.tau_mem.step for found in (asked(times, n) for n in (128, 256, 1024))]
    widths = [math.log(span.high / span.low) for span in spans]
    assert widths == sorted(widths)
    fewer = asked({n: times[n] for n in (16, 32)}, 256).tau_mem.step
    assert math.log(fewer.high / fewer.low) > widths[1]


def test_a_bound_is_no_time():
    """Runs at 64 that had not copied after 300 steps make the forecast later, not earlier."""
    times = {16: [100, 110], 32: [150, 160]}
    table = rows(times)
    bounds = [{"n": 64, "time": 300, "censored": True}] * 2
    plain, bounded, early = (
        forecast_of(pilots_of_rows(every), Asked(128)).tau_mem
        for every in (table, table + bounds, table + [row | {"time": 10} for row in bounds])
    )
    assert bounded.censored == 2
    assert bounded.step.value > 1.1 * plain.step.value
    assert early.step.value == pytest.approx(plain.step.value, rel=0.02)  # a bound far below says nothing


def test_units():
    table = [row | {"batch_size": 8} for row in rows({16: [100, 110], 32: [150, 160]})]
    found = forecast_of(pilots_of_rows(table), Asked(64)).tau_mem
    assert found.epochs.value == pytest.approx(found.step.value * 8 / 64)
    assert found.items.high == pytest.approx(found.step.high * 8)
    without = forecast_of(pilots_of_rows(rows({16: [100, 110], 32: [150, 160]})), Asked(64)).tau_mem
    assert math.isnan(without.epochs.value)


def test_a_prior_that_is_sharp_wins_and_is_found_in_conflict():
    times = {16: [100, 101], 32: [400, 404], 64: [1600, 1610]}  # n^2
    found = asked(times, 128, exponent=(1.0, 0.01))
    assert found.tau_mem.exponents[ONLY].value == pytest.approx(1.0, abs=0.02)
    assert found.tau_mem.conflict < 0.001
    assert asked(times, 128).tau_mem.conflict == pytest.approx(0.012, abs=0.002)  # z = 1 / 0.4


@pytest.mark.parametrize(
    ("times", "status", "words"),
    [
        ({16: [100, 110]}, Status.ONE_VALUE, "n_train"),
        ({16: [100, 900], 32: [200]}, Status.CONTRADICTORY, "row 1"),
        ({16: [1000, 1100], 64: [300, 310]}, Status.CONTRADICTORY, "larger sets are copied earlier"),
    ],
)
def test_refusals(times, status, words):
    found = asked(times, 256)
    assert found.status is status
    assert words in found.tau_mem.note
    assert math.isnan(found.tau_mem.step.value)
    assert found.next_pilot is not None
    assert found.next_pilot.n_train < 256


@pytest.mark.parametrize("per_size", [1, 25])
def test_many_pilots_of_one_law_do_not_contradict_each_other(per_size):
    """Of many the furthest two lie further apart than two do; 0.1 is a usual scatter between seeds."""
    rng = np.random.default_rng(0)
    sizes = np.unique(np.geomspace(50, 5000, 100 // per_size).astype(int))
    times = {int(n): (10 * n * np.exp(0.1 * rng.normal(size=per_size))).tolist() for n in sizes}
    found = asked(times, 20_000)
    assert found.status is Status.FORECAST
    assert found.tau_mem.step.low < 10 * 20_000 < found.tau_mem.step.high
    times[int(sizes[-1])] = [100.0]  # far earlier than smaller sets
    assert asked(times, 20_000).status is Status.CONTRADICTORY


def test_of_many_sizes_some_are_candidates():
    sizes = candidate_sizes(list(range(100, 1100)), 1000)
    assert (len(sizes), sizes[0], sizes[-1]) == (16, 100, 1000)


def test_all_censored_asks_for_a_longer_pilot():
    table = [{"n": n, "time": 500, "censored": True} for n in (16, 32)]
    found = forecast_of(pilots_of_rows(table), Asked(64))
    assert found.status is Status.ALL_CENSORED
    assert (found.next_pilot.n_train, found.next_pilot.n_updates) == (16, 2000)


def test_one_size_is_answered_where_the_prior_is_accepted():
    found = asked({16: [100, 110, 105]}, 64, accept_prior=True)
    assert found.status is Status.ASSUMED
    assert found.tau_mem.step.value == pytest.approx(105 * 4, rel=0.1)
    assert found.tau_mem.step.high / found.tau_mem.step.low > 3


def test_mixed_settings_name_what_differs_and_still_a_pilot():
    pilots = pilots_of_rows(rows({16: [100, 110], 32: [180]}))
    sgd = [replace(pilots[0], setting={"optimizer.name": "sgd"})]
    adam = [replace(pilot, setting={"optimizer.name": "adam"}) for pilot in pilots]
    found = forecast_of([*sgd, *adam], Asked(128))
    assert found.status is Status.MIXED
    assert "optimizer.name: sgd, adam" in found.tau_mem.note
    assert found.next_pilot is not None


def test_the_next_pilot_is_worth_its_time():
    """Its interval is narrower, and it is neither the run itself nor larger."""
    found = asked({16: [100, 110], 32: [190, 200]}, 512).next_pilot
    assert found.n_train in candidate_sizes([16, 32], 512)
    assert found.factor < 0.9 * found.before
    assert found.items == pytest.approx(found.n_updates * found.n_train, rel=0.01)


def test_seconds_are_those_of_the_pilots():
    pilot = Pilot(
        "a",
        Point(16.0, 8.0),
        Time(100, 100, 100, Status.OBSERVED),
        Time.unknown(Status.NOT_MEASURED, ""),
        n_updates=200,
        seconds=16.0,
        batch_limit=8.0,
    )
    found = forecast_of([pilot, replace(pilot, key="b")], Asked(64)).next_pilot
    assert found.seconds == pytest.approx(found.items * 16 / (200 * 8))


def test_conformal_intervals_cover_without_a_model():
    """Scores of any law: the next one lies within the widened interval in at least 0.9 of all cases."""
    rng = np.random.default_rng(0)
    trials = 3000
    scores = rng.pareto(1.5, size=(trials, 20))
    inside = [score <= widening(list(known), 0.9) for *known, score in scores]
    assert np.mean(inside) >= 0.9 - 3 * math.sqrt(0.09 / trials)
    assert widening([9.0] * 8, 0.9) == 1.0  # too few


def test_what_the_run_is_has_to_be_said_where_pilots_differ():
    table = [row | {"width": w} for w in (8, 16) for row in rows({16: [100], 32: [200]})]
    with pytest.raises(InputError, match="^width: expected that of the run"):
        forecast_of(pilots_of_rows(table), Asked(64))
    assert forecast_of(pilots_of_rows(table), Asked(64, width=16.0)).status is Status.FORECAST
    with pytest.raises(InputError, match="^lr: expected none"):
        forecast_of(pilots_of_rows(table), Asked(64, width=16.0, lr=0.1))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"time": 5}, r"pilots\[0\]: expected n_train or n"),
        ({"n": 5}, "expected time or tau_mem"),
        ({"n": 5, "time": "soon"}, "expected a number of steps or a Time"),
        ({"n": 5, "time": -1}, "expected a finite number >= 1e-15 and <= 1e"),
        ({"n": 5, "time": 1e300}, "expected a finite number >= 1e-15 and <= 1e"),
        ({"n": 5, "time": Time(1e300, 1e300, 1e300, Status.OBSERVED)}, "expected a finite number"),
        ({"n": 10**16, "time": 5}, r"pilots\[0\].n: expected a whole number of at least 1 and at most 1"),
        ({"n": 5, "time": None}, r"pilots\[0\].time: expected a number of steps or a Time, got None"),
        ({"n": None, "time": 5}, r"pilots\[0\].n: expected a whole number .* got None"),
        ({"n": 5, "time": 5, "cencored": True}, "expected columns of n_train, n, .* got 'cencored'"),
        ({"n": 5, "time": 5, "censored": "above"}, '"right" or "left"'),
        (7, "expected a row with n and time"),
    ],
)
def test_rows_that_cannot_be_read(row, words):
    with pytest.raises(InputError, match=words):
        pilots_of_rows([row])


def test_an_interval_of_the_largest_times_holds_the_pilots_and_has_a_width():
    """At both bounds at once, and far beyond: nothing is cut off at the largest number of float64."""
    for first, last in ((1e14, 1e15), (1e-15, 1e15)):
        table = [{"n": 50, "time": first}, {"n": 100, "time": last}]
        step = forecast_of(pilots_of_rows(table), Asked(10**15)).tau_mem.step
        assert last < step.value
        assert 2 * step.low < step.value < step.high / 2
        assert math.isfinite(step.high)


def test_all_that_a_forecast_keeps_of_a_pilot_is_a_row():
    table = [{"n": n, "time": 10 * n, "tau_gen": 5, "batch_size": 8, "width": 4, "lr": 0.1} for n in (16, 32)]
    found = forecast_of(pilots_of_rows(table), Asked(64))
    again = forecast_of(pilots_of_rows([vars(pilot) for pilot in found.pilots]), Asked(64))
    assert again.summary() == found.summary()


def bounded(low):
    """Two sizes that copied, and a run that had not at 4 times the law, as far as `low` is certain."""
    law = {n: [10.0 * n, 11.0 * n] for n in (16, 32)}
    pilots = pilots_of_rows(rows(law))
    time = Time(2560.0, low, math.inf, Status.NOT_REACHED)
    return [*pilots, Pilot("late", Point(64.0), time, pilots[0].tau_gen)]


def test_a_bound_is_as_certain_as_its_interval_says():
    """From a hard bound to one that says nothing, the forecast moves to that without it."""
    lows = (2560.0, 1280.0, 320.0, 0.0)
    medians = [forecast_of(bounded(low), Asked(128)).tau_mem.step.value for low in lows]
    without = forecast_of(bounded(0.0)[:-1], Asked(128)).tau_mem.step.value
    assert medians == sorted(medians, reverse=True)
    assert medians[0] > 1.3 * without
    assert medians[-1] == pytest.approx(without, rel=0.05)


def test_late_runs_are_not_missing_where_forecasts_are_judged():
    """Two of five runs end at 2.4 times the law without copies: the intervals are widened for them."""
    rng = np.random.default_rng(0)
    table = []
    for n in (16, 32, 64, 128, 256, 512):
        table += [{"n": n, "time": 10 * n * math.exp(0.05 * rng.normal())} for _ in range(3)]
        late = n >= 64
        table += [{"n": n, "time": 10 * n * (2.4 if late else 1.0), "censored": late}] * 2
    pilots = pilots_of_rows(table)
    scores = left_forward(pilots, QUESTION)
    assert len(scores) == 20  # all runs from the third size on
    found = fit([p for p in pilots if p.point.n_train < 64], [Point(64.0)], QUESTION)
    middle, _, high = found.interval(0, QUESTION.confidence)
    assert scores[4] == pytest.approx((math.log(64 * 24.0) - middle) / (high - middle))
    answer = forecast_of(pilots, Asked(1024)).tau_mem
    assert answer.widened == pytest.approx(sorted(scores)[18])  # ceil(21 * 0.9) = 19th
    assert answer.widened > 1.5
    assert answer.left_out is None  # of the largest runs some are bounds


def test_the_curve_and_the_next_pilot_are_as_wide_as_the_answer():
    rng = np.random.default_rng(3)
    factor = {16: 1.0, 32: 1.0, 64: 1.0, 128: 1.0, 256: 2.9, 512: 2.9}
    times = {n: (10 * n * b * np.exp(0.03 * rng.normal(size=3))).tolist() for n, b in factor.items()}
    found = asked(times, 512)
    step = found.tau_mem.step
    assert found.tau_mem.widened > 1.5
    along = found.tau_mem_by_n
    alone = asked(times, round(float(along.step[-1]))).tau_mem.step  # the same n, asked for itself
    assert (along.value[-1], along.low[-1], along.high[-1]) == pytest.approx(
        (alone.value, alone.low, alone.high), rel=0.02
    )
    if found.next_pilot is not None:
        assert found.next_pilot.before == pytest.approx(step.high / step.low)


def test_pilots_at_one_batch_are_held_to_the_belief_for_that_batch():
    """Whatever the batch of the run that is asked for: 1.5 is what was believed of batches of 32."""
    table = [{"n": n, "time": n**1.5 * k, "batch_size": 32} for n in (64, 128, 256) for k in (1.0, 1.1)]
    found = [forecast_of(pilots_of_rows(table), Asked(512, batch_size=b)).tau_mem.conflict for b in (32, 64)]
    assert found[0] == pytest.approx(found[1])
    assert found[0] > 0.9


def test_a_conflict_is_rarely_found_where_there_is_none():
    """Exponents drawn from the belief; three pilots leave one degree of freedom. At most 5 %, 3 se of 300."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        exponent = rng.normal(1.0, 0.05)
        times = {n: [n**exponent * np.exp(0.15 * rng.normal())] for n in (64, 128, 256)}
        law, name = _alone(pilots_of_rows(rows(times)), QUESTION)
        found.append(_conflict(law, Exponent(1.0, 0.05)) < 0.05)
        assert name == ONLY
    assert np.mean(found) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_times_of_many_settings_rarely_contradict_each_other():
    """Forty settings of two seeds, scatter 0.3, with which two differ threefold in 1 %: 1 % of all, 3 se."""
    rng = np.random.default_rng(0)
    scatter = math.log(3) / (math.sqrt(2) * 2.5758)
    refused = 0
    for _ in range(300):
        table = [
            {"n": 50, "time": 900 * math.exp(scatter * rng.normal()), "lr": lr} for lr in range(1, 41)
        ] + [{"n": 50, "time": 900 * math.exp(scatter * rng.normal()), "lr": lr} for lr in range(1, 41)]
        refused += contradictory(pilots_of_rows(table), "tau_mem") is not None
    assert refused / 300 < 0.01 + 3 * math.sqrt(0.01 * 0.99 / 300)


@pytest.mark.parametrize(("batch", "refused"), [(None, True), (4096, True), (32, True), (100, True)])
def test_a_larger_set_that_is_copied_first_contradicts_at_equal_passes(batch, refused):
    """At a full batch as well, where each set has a batch of its own."""
    column = {} if batch is None else {"batch_size": batch}
    table = [{"n": n, "time": t, **column} for n, t in ((100, 4000), (100, 4100), (200, 1000), (200, 1100))]
    assert (contradictory(pilots_of_rows(table), "tau_mem") is not None) is refused


def test_a_smaller_batch_explains_more_steps():
    table = [{"n": 100, "time": 4000, "batch_size": 16}, {"n": 200, "time": 1000, "batch_size": 128}]
    assert contradictory(pilots_of_rows(table), "tau_mem") is None


def test_what_nothing_bounds_from_above_contradicts_nothing_later():
    ends = [(1000.0, 700.0, math.inf), (3600.0, 3200.0, 4000.0)]
    observed = [Time(*numbers, Status.OBSERVED) for numbers in ends]
    pilots = pilots_of_rows([{"n": 50, "time": time} for time in observed])
    assert contradictory(pilots, "tau_mem") is None
