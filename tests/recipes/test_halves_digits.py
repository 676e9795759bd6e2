"""Two halves: one unit, no preference of what has learned nothing, planted times, the committed record."""

import math

import numpy as np
import pytest
import torch

from evidence_records import lines_of, read, rows_of, shown
from memhorizon.experiments import recipes
from memhorizon.training import OptimizerConfig

halves = recipes.load("halves_digits")


def test_halves_are_disjoint_and_in_one_unit():
    configs = [halves.config(32, half, 1, "here") for half in (0, 1)]
    one, other = halves.both_halves(configs)
    assert not set(one.train_index.tolist()) & set(other.train_index.tolist())
    assert torch.equal(one.holdout_index, other.holdout_index)
    # The same held-out images with the mean of either half differ by rounding only, once in one unit.
    assert torch.allclose(one.holdout, other.holdout, atol=1e-5)
    assert float((halves.load_split(configs[1].data).holdout - one.holdout).abs().max()) > 1e-3


def test_networks_that_have_learned_nothing_prefer_no_half():
    """Samples of two untrained networks are the same: one nearer to a half is not nearer to the other."""
    configs = [halves.config(8, half, 0, "tiny") for half in (0, 1)]
    still = [halves.replace(own, optimizer=OptimizerConfig("sgd", lr=1e-12, momentum=0.0)) for own in configs]
    part = halves.train_pair(still)
    assert (2 * part["own"] == part["total"]).all()


def planted_part():
    """Own share rises through 0.55 at 300 steps, copies through 0.1 at 2,000, the loss turns at 500."""
    step = np.unique(np.geomspace(20, 8000, 30).round())
    total = np.full(len(step), 100_000)
    own = 0.5 + 0.1 / (1 + (300 / step) ** 2)
    copies = 0.2 / (1 + (2000 / step) ** 3)
    holdout = 0.3 + 0.05 * np.log(step / 500) ** 2
    return {
        "step": step.tolist(),
        "own": (own * total).round().astype(int).tolist(),
        "copies": (copies * total).round().astype(int).tolist(),
        "total": total.tolist(),
        "null": [0, 100_000],
        "holdout": holdout.tolist(),
        "error": [1e-6] * len(step),
        "seconds": 1.0,
    }


def test_planted_times_of_a_pair_are_recovered():
    row = halves.run_row(32, 0, planted_part(), level=0.3 + 0.05 * math.log(5) ** 2)
    # Snapshots lie 20 % apart and a logistic is nearly straight between them.
    for clock, step in (("tau_gen", 100), ("tau_bias", 300), ("argmin", 500), ("tau_mem", 2000)):
        assert row[clock]["value"] == pytest.approx(step, rel=0.02)
    assert row["own_at_argmin"] == pytest.approx(0.5 + 0.1 / (1 + (300 / 500) ** 2), abs=2e-3)
    group = halves.group_row([row, row, row], 32)
    assert group["lead"]["value"] == pytest.approx(300 / 500, rel=0.02)
    assert group["window"]["value"] == pytest.approx(20, rel=0.03)
    assert group["safe_window"]["value"] == pytest.approx(3, rel=0.03)


def test_the_record_of_halves_follows_from_its_curves():
    record = read(halves)
    runs = rows_of(record, "run")
    assert {(row["n_train"], row["pair"]) for row in runs} == {
        (n, p) for n in halves.STEPS for p in halves.PAIRS
    }
    parts = [
        {
            **row,
            "own": np.round(np.array(row["own"]) * row["total"]).astype(int).tolist(),
            "copies": np.round(np.array(row["copies"]) * row["total"]).astype(int).tolist(),
            "error": row["holdout_error"],
        }
        for row in runs
    ]
    level = halves.quality_level([halves.curves_of(part)[2] for part in parts], tolerance=0.05)
    for row, part in zip(runs, parts, strict=True):
        made = halves.run_row(row["n_train"], row["pair"], part, level)
        for clock in halves.CLOCKS:
            assert made[clock]["status"] == row[clock]["status"]
            assert made[clock]["value"] == pytest.approx(row[clock]["value"], rel=1e-3)
    for group in rows_of(record, "group"):
        own = [row for row in runs if group["n_train"] in (None, row["n_train"])]
        made = halves.group_row(own, group["n_train"])
        for name in (*halves.CLOCKS, "lead", "window", "safe_window"):
            assert made[name]["status"] == group[name]["status"]
            if group[name]["status"] != "undetermined":
                assert made[name]["value"] == pytest.approx(group[name]["value"], rel=1e-3)
        assert made["own_at_argmin"]["value"] == pytest.approx(group["own_at_argmin"]["value"], rel=1e-3)


def test_the_page_says_of_halves_what_the_record_says():
    summary, page = read(halves)["summary"], lines_of(halves)
    for n_train in halves.STEPS:
        found = summary[f"n = {n_train}"]
        assert shown(found["own_at_argmin"]) in page
        for name in ("tau_bias", "argmin"):
            assert shown(found[name], 0) in page
        for name in ("window", "safe_window"):
            assert shown(found[name], 1) in page
    assert shown(summary["n = all"]["lead"]) in page
    for clock in halves.CLOCKS:
        assert shown(summary["n = all"]["exponent"][clock]) in page
