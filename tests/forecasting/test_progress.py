"""tau_mem from the losses before it: planted curves, and quantiles against accepted draws."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memhorizon.forecasting.forecast import Asked, forecast_of
from memhorizon.forecasting.pilots import Pilot, Point
from memhorizon.forecasting.progress import (
    LEADS,
    SWEEPS,
    Lead,
    expected_time,
    passing_step,
    relative_gap,
)
from memhorizon.results import Curve, Status, Time

RECORD = Path(__file__).parents[2] / "results" / "in_progress.json"
STEP = np.geomspace(10, 10_000, 31)


def exact(value, name=""):
    return Curve(STEP, value, value, value, name)


def grown(power=1.0, scale=1000.0):
    """A relative gap that passes 1 at a step."""
    return exact((STEP / scale) ** power)


def test_a_level_is_passed_where_the_curve_says():
    assert passing_step(grown(), 0.4) == pytest.approx(400, rel=0.02)  # readings lie 26 % apart
    assert passing_step(grown(), 100.0) is None
    assert passing_step(grown(), 1e-9) is None  # before the first reading
    dips = grown().value.copy()
    dips[20] = 0.01  # after 0.4 was passed at reading 18: it counts from then on
    assert passing_step(exact(dips), 0.4) == pytest.approx(STEP[20], rel=0.3)
    assert passing_step(exact(dips), 0.4) > STEP[20]


def test_the_gap_is_relative_to_the_training_loss_and_ends_where_it_is_known():
    train = exact(np.linspace(0.5, 0.2, len(STEP)), "train@0.1")
    gap = exact(grown().value * train.value, "gap@0.1")
    found = relative_gap({"gap@0.1": gap, "train@0.1": train}, until=500.0)
    assert found.value == pytest.approx(grown().value[STEP <= 500])
    assert relative_gap({"gap@0.1": gap, "train@0.1": train}, until=15.0) is None
    assert relative_gap({"gap@0.1": gap}) is None


@pytest.mark.parametrize("now", [300.0, 1500.0])
def test_quantiles_are_those_of_draws_that_lie_later(now):
    """log tau = log step + factor + sd sqrt(1 + 1/15) t_14, of which those after now are kept."""
    leads = (Lead(0.1, 2.0, 0.4), Lead(0.4, 1.0, 0.2))
    found = expected_time(grown(), now=now, leads=leads)
    rng = np.random.default_rng(0)
    count = 400_000
    t = rng.standard_t(SWEEPS - 1, size=count)
    logs = np.log(passing_step(grown(), 0.4)) + 1.0 + 0.2 * np.sqrt(1 + 1 / SWEEPS) * t
    kept = logs[logs > np.log(now)]
    ends = np.exp(np.quantile(kept, [0.5, 0.05, 0.95]))
    # a quantile of k draws is known to sqrt(q (1 - q) / k) over the density; 4 of these at most
    assert (found.value, found.low, found.high) == pytest.approx(
        tuple(ends), rel=4 / np.sqrt(len(kept)) + 0.005
    )
    assert found.low > now


def test_nothing_passed_tells_nothing():
    assert expected_time(exact(np.full(len(STEP), 0.01)), now=100.0) is None


def test_the_factors_are_those_of_the_record():
    rows = [row for row in json.loads(RECORD.read_text())["rows"] if row["part"] == "lead"]
    told = [(row["level"], row["log_factor"], row["sd"]) for row in rows]
    assert told == [pytest.approx((lead.level, lead.log_factor, lead.sd), abs=6e-4) for lead in LEADS]


def test_a_run_in_progress_answers_for_itself():
    """It has not copied at step 500, its gap passed 0.4 at 400; once another has copied, the law answers."""
    bound = Time(500.0, 500.0, np.inf, Status.NOT_REACHED)
    nothing = Time.unknown(Status.NOT_MEASURED, "")
    point = Point(64.0, 16.0)
    gap = relative_gap({"gap@0.1": grown(), "train@0.1": exact(np.ones(len(STEP)))}, until=500.0)
    running = Pilot("run", point, bound, nothing, batch_limit=16.0, gap=gap)
    found = forecast_of([running], Asked(64)).tau_mem
    assert found.status is Status.IN_PROGRESS
    assert found.step == expected_time(gap, now=500.0)
    assert found.epochs.value == pytest.approx(found.step.value * 16 / 64)
    assert "up to step 500" in found.note
    other = replace(
        running, key="other", point=Point(32.0, 16.0), tau_mem=Time(300, 290, 310, Status.OBSERVED)
    )
    assert forecast_of([running, other], Asked(64)).status is not Status.IN_PROGRESS
    assert forecast_of([running], Asked(128)).status is Status.ALL_CENSORED
    assert forecast_of([replace(running, gap=None)], Asked(64)).status is Status.ALL_CENSORED


@pytest.mark.parametrize("factor", [2.0, 4.0, 10.0, 1e6])
def test_a_run_that_does_not_copy_is_forecast_after_now_or_not_at_all(factor):
    now = factor * passing_step(grown(), 1.5)
    found = expected_time(grown(), now=now)
    assert found is None or now < found.low < found.value < found.high
    assert (found is None) == (factor >= 10.0)  # 8 standard deviations and more
