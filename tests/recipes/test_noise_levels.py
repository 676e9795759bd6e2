"""Planted openings and lags are found, bounds stay bounds, the committed record follows from its inputs."""

import hashlib
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from memhorizon import figures

ROOT = Path(__file__).parents[2]
STEPS = np.geomspace(10, 1e5, 41)
SEEDS, SIZES = (0, 1, 2), (16, 32, 64)
OPENING = {0.1: 20.0, 0.3: 30.0, 1.0: math.inf}  # steps per item


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    from memhorizon.recipes import noise_levels

    return noise_levels


def curve(values):
    half = np.full(len(STEPS), 2e-6)
    ends = {"low": (values - half).tolist(), "high": (values + half).tolist()}
    return {"step": STEPS.tolist(), "value": values.tolist(), **ends, "total": None, "confidence": 0.95}


def planted(n, seed):
    """The gap opens at OPENING n 1.1^seed, the held-out loss has its minimum 2 at 1000, copying at 500 n."""
    curves = {}
    for t, per_item in OPENING.items():
        at = per_item * n * 1.1**seed
        gap = np.clip(0.21 + 0.1 * np.log(STEPS / at), 0, None) if math.isfinite(at) else np.zeros(len(STEPS))
        curves[f"gap@{t:g}"] = curve(gap)  # 0.21 is a tenth of 1.05 * 2
        curves[f"holdout@{t:g}"] = curve(2 + 0.1 * np.log(STEPS / 1000) ** 2)
    mem = {"value": 500.0 * n, "low": 490.0 * n, "high": 510.0 * n, "status": "observed", "rule": "planted"}
    return {"key": f"n{n}s{seed}", "n_train": n, "seed": seed, "curves": curves, "times": {"tau_mem": mem}}


@pytest.fixture
def rows(recipe):
    runs = [planted(n, seed) for n in SIZES for seed in SEEDS]
    record = {"name": "planted", "rules": {"tolerance": 0.05, "t": 0.3}, "runs": runs}
    own = list(recipe.run_rows(record, recipe.levels_of(record)))
    return [*own, *recipe.group_rows(own)]


def test_the_planted_order_and_opening_times_are_found(recipe, rows):
    for row in (r for r in rows if r["part"] == "run" and r["t"] < 1):
        planted_at = OPENING[row["t"]] * row["n_train"] * 1.1 ** row["seed"]
        assert row["opening"]["value"] == pytest.approx(planted_at, rel=1e-6)
        assert row["argmin"]["value"] == pytest.approx(1000, rel=1e-6)
    first = recipe.summarise(rows)["planted"]["first to open"]["all"]
    assert first == {"t = 0.1": 9, "t = 0.3": 0, "t = 1": 0, "runs": 9, "beyond doubt": 9}


def test_the_planted_lag_is_found_with_the_t_interval_of_three_seeds(rows):
    for row in (r for r in rows if r["part"] == "group" and r["n_train"] and r["t"] < 1):
        lag = row["lag"]
        assert lag["value"] == pytest.approx(500 / (OPENING[row["t"]] * 1.1), rel=1e-6)
        half = 4.3026527 * math.log(1.1) / math.sqrt(3)  # t quantile, 2 degrees; logs 0, 1, 2 times log 1.1
        assert math.log(lag["high"] / lag["value"]) == pytest.approx(half, rel=1e-5)
        assert math.log(lag["value"] / lag["low"]) == pytest.approx(half, rel=1e-5)
        assert row["relative"]["value"] == pytest.approx(OPENING[row["t"]] / 30, rel=1e-6)


def test_a_gap_that_never_opens_gives_bounds_only(rows):
    for row in (r for r in rows if r["part"] == "group" and r["t"] == 1):
        assert row["opening"]["status"] == "at least"
        assert row["opening"]["value"] == pytest.approx(STEPS[-1])
        assert row["lag"]["status"] == "at most"
        assert row["lag"]["low"] is row["lag"]["high"] is None
        assert row["lag"]["observed"] == 0


def test_the_planted_power_of_n_is_found(rows):
    (row,) = [r for r in rows if r["part"] == "group" and r["n_train"] is None and r["t"] == 0.1]
    assert row["exponent"]["value"] == pytest.approx(1, abs=1e-5)
    assert row["exponent_argmin"]["value"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("above", "below", "side"),
    [
        ("observed", "observed", 0),
        ("not reached", "observed", 1),
        ("observed", "not reached", -1),
        ("observed", "before first", 1),
        ("not reached", "before first", 1),
        ("not reached", "not reached", None),
        ("observed", "undetermined", None),
    ],
)
def test_a_ratio_with_a_censored_time_is_a_bound_on_the_right_side(recipe, above, below, side):
    found = recipe.ratio({"value": 6.0, "status": above}, {"value": 2.0, "status": below})
    assert found == (None if side is None else (pytest.approx(math.log(3)), side))


def test_bounds_on_both_sides_or_too_few_known_leave_a_mean_undetermined(recipe):
    assert recipe.geometric_mean([(0.0, 1), (1.0, -1)])["status"] == "undetermined"
    assert recipe.geometric_mean([(0.0, 0), None, None])["status"] == "undetermined"
    assert recipe.geometric_mean([(math.log(2), 0), (math.log(8), 0)])["value"] == pytest.approx(4)


def test_at_the_level_of_the_rules_the_times_are_those_of_the_sweep(recipe):
    record = json.loads((ROOT / "results" / "n_digits.json").read_text())
    rows = list(recipe.run_rows(record, [record["rules"]["t"]]))
    for row, run in zip(rows, record["runs"], strict=True):
        for name, recorded in (("opening", "gap_opening"), ("argmin", "argmin")):
            other = run["times"]["others"][recorded]
            assert row[name]["value"] == pytest.approx(other["value"])
            assert row[name]["status"] == other["status"]


def test_the_tiny_twin_writes_a_record_that_is_drawn(recipe, tmp_path):
    record = json.loads(recipe.run(tmp_path, tiny=True).read_text())
    assert record["tiny"]
    assert {key for row in record["rows"] for key in row} <= set(record["columns"])
    assert figures.of(record)["lead"].plot().axes


def test_the_committed_record_follows_from_the_sweeps_beside_it(recipe):
    record = json.loads((ROOT / "results" / "noise_levels.json").read_text())
    assert record["command"] == "memhorizon reproduce noise_levels"
    assert not record["tiny"]
    for name, source in record["settings"]["inputs"].items():
        text = (ROOT / "results" / f"{name}.json").read_bytes()
        now = hashlib.sha256(text).hexdigest()
        assert now == source["sha256"], f"{name} changed: run `{record['command']}`"
    digits = record["summary"]["n_digits"]
    own = [r for r in record["rows"] if (r["part"], r["sweep"], r["t"]) == ("run", "n_digits", 0.1)]
    lags = [math.log(r["tau_mem"]["value"] / r["opening"]["value"]) for r in own]
    assert digits["t = 0.1"]["lag"]["value"] == pytest.approx(math.exp(np.mean(lags)), rel=1e-5)


def test_every_mean_of_the_committed_record_is_drawn(recipe):
    record = json.loads((ROOT / "results" / "noise_levels.json").read_text())
    axes = figures.of(record)["lead"].plot().axes[0]
    groups = [r for r in record["rows"] if r["part"] == "group" and r["sweep"] == "n_digits" and r["n_train"]]
    wanted = sorted(r["lag"]["value"] for r in groups if r["lag"]["status"] != "undetermined")
    drawn = sorted(
        float(np.asarray(line.get_ydata())[0])
        for line in axes.lines
        if line.get_marker() in figures.style.MARKERS
    )
    assert drawn == pytest.approx(wanted)
