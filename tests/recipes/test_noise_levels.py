"""Planted openings and lags are found, bounds stay bounds, the committed record follows from its inputs."""

import math

import numpy as np
import pytest

from evidence_records import RECORDS, inputs_are_those_beside, read
from memhorizon import recipes
from memhorizon.recipes.noise_levels import numbers
from memhorizon.recipes.noise_levels.figure import noise_levels
from memhorizon.recipes.tables import of_kind, rows_of
from memhorizon.records.files import load_record
from memhorizon.records.sweep import DataFacts, RunRecord, SweepRecord
from memhorizon.results import Curve, Status, Time, Timescales
from memhorizon.timescales.rules import Rules

STEPS = np.geomspace(10, 1e5, 41)
SEEDS = (0, 1, 2)
SIZES = (16, 32, 64)
OPENING = {0.1: 20.0, 0.3: 30.0, 1.0: math.inf}  # steps per item


def curve(values):
    return Curve(STEPS, values, values - 2e-6, values + 2e-6)


def gap(at):
    """A gap that reaches 0.21, a tenth of 1.05 times 2, at a step."""
    return np.clip(0.21 + 0.1 * np.log(STEPS / at), 0, None) if math.isfinite(at) else np.zeros(len(STEPS))


def planted(n, seed):
    """The gap opens at OPENING n 1.1^seed, the held-out loss has its minimum 2 at 1000, copying at 500 n."""
    curves = {f"gap@{t:g}": curve(gap(per_item * n * 1.1**seed)) for t, per_item in OPENING.items()}
    curves |= {f"holdout@{t:g}": curve(2 + 0.1 * np.log(STEPS / 1000) ** 2) for t in OPENING}
    tau_mem = Time(500.0 * n, 490.0 * n, 510.0 * n, Status.OBSERVED, "planted")
    times = Timescales(Time.unknown(Status.NOT_MEASURED, ""), tau_mem)
    return RunRecord(f"n{n}s{seed}", n, seed, {}, {}, {}, DataFacts(), curves, None, times)


@pytest.fixture(scope="module")
def rows():
    runs = tuple(planted(n, seed) for n in SIZES for seed in SEEDS)
    rules = Rules(quality="holdout", t=0.3, tolerance=0.05, memorized=0.1)
    return numbers.rows_of(SweepRecord("planted", "", rules, runs))


def test_the_planted_order_and_opening_times_are_found(rows):
    runs = of_kind(rows, numbers.RunRow)
    for row in (row for row in runs if row.t < 1):
        planted_at = OPENING[row.t] * row.n_train * 1.1**row.seed
        assert row.opening.value == pytest.approx(planted_at, rel=1e-6)
        assert row.argmin.value == pytest.approx(1000, rel=1e-6)
    first = numbers.first_to_open(runs)
    assert first == {"t = 0.1": 9, "t = 0.3": 0, "t = 1": 0, "runs": 9, "beyond doubt": 9}


def test_the_planted_lag_is_found_with_the_t_interval_of_three_seeds(rows):
    for row in (row for row in of_kind(rows, numbers.GroupRow) if row.n_train and row.t < 1):
        assert row.lag.value == pytest.approx(500 / (OPENING[row.t] * 1.1), rel=1e-6)
        half = 4.3026527 * math.log(1.1) / math.sqrt(3)  # t quantile, 2 degrees; logs 0, 1, 2 times log 1.1
        assert math.log(row.lag.high / row.lag.value) == pytest.approx(half, rel=1e-5)
        assert math.log(row.lag.value / row.lag.low) == pytest.approx(half, rel=1e-5)
        assert row.relative.value == pytest.approx(OPENING[row.t] / 30, rel=1e-6)


def test_a_gap_that_never_opens_gives_bounds_only(rows):
    for row in (row for row in of_kind(rows, numbers.GroupRow) if row.t == 1):
        assert row.opening.status == "at least"
        assert row.opening.value == pytest.approx(STEPS[-1])
        assert row.lag.status == "at most"
        assert (row.lag.low, row.lag.high) == (-math.inf, math.inf)
        assert row.lag.observed == 0


def test_the_planted_power_of_n_is_found(rows):
    groups = of_kind(rows, numbers.GroupRow)
    (row,) = [row for row in groups if row.n_train is None and row.t == 0.1]
    assert row.exponent.value == pytest.approx(1, abs=1e-5)
    assert row.exponent_argmin.value == pytest.approx(0, abs=1e-5)


def test_at_the_level_of_the_rules_the_times_are_those_of_the_sweep():
    record = read("n_digits")
    rows = list(numbers.run_rows(record, [record.rules.t]))
    for row, run in zip(rows, record.runs, strict=True):
        for found, name in ((row.opening, "gap_opening"), (row.argmin, "argmin")):
            recorded = run.timescales.others[name]
            assert (found.value, found.status) == (pytest.approx(recorded.value), recorded.status)


def test_the_tiny_twin_writes_a_record_that_is_drawn(tmp_path):
    record = load_record(recipes.load("noise_levels").run(tmp_path, "tiny", records=RECORDS))
    assert record.tiny
    assert {key for row in record.rows for key in row} <= set(record.columns)
    assert noise_levels(record).plot().axes


def test_the_committed_record_follows_from_the_sweeps_beside_it():
    record = read("noise_levels")
    assert record.command == "memhorizon reproduce noise_levels"
    assert not record.tiny
    inputs_are_those_beside(record)
    rows = rows_of(record, "noise_levels", numbers.KINDS)
    made = numbers.rows_of(read("n_digits"))
    kept = [row for row in rows if row.sweep == "n_digits"]
    for new, old in zip(of_kind(made, numbers.RunRow), of_kind(kept, numbers.RunRow), strict=True):
        assert new.opening.value == pytest.approx(old.opening.value, rel=1e-5)
        assert new.argmin.status == old.argmin.status
    of_level = [row for row in of_kind(kept, numbers.RunRow) if row.t == 0.1]
    lags = [math.log(row.tau_mem.value / row.opening.value) for row in of_level]
    (group,) = [g for g in of_kind(kept, numbers.GroupRow) if (g.t, g.n_train) == (0.1, None)]
    assert group.lag.value == pytest.approx(math.exp(np.mean(lags)), rel=1e-5)


def test_every_mean_of_the_committed_record_is_drawn():
    picture = noise_levels(read("noise_levels"))
    axes = picture.plot().axes[0]
    groups = [row for row in picture.rows if row.sweep == "n_digits" and row.n_train]
    wanted = sorted(row.lag.value for row in groups if row.lag.status != "undetermined")
    shown = [line for line in axes.lines if line.get_marker() not in ("None", "", None)]
    heights = sorted(float(np.asarray(line.get_ydata())[0]) for line in shown)
    assert heights == pytest.approx(wanted)
