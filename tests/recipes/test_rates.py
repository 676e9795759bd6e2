"""Times against lr / (1 - momentum): planted laws, paired intervals, the committed record, the page."""

import hashlib
import json
import math
from importlib import import_module

import numpy as np
import pytest
from scipy import stats

from evidence_records import RECORDS, drawn, lines_of, observed, read, rows_of, shown

recipe = import_module("memhorizon.recipes.rates")
KNOBS = {
    "lr_sgd_mixture": [(1e-3, 0.95), (2e-3, 0.95), (4e-3, 0.95)],
    "momentum_mixture": [(4e-3, 0.0), (4e-3, 0.8), (4e-3, 0.9)],
}


def planted(time):
    """Sweeps whose runs copy at `time(lr, momentum, seed)`."""
    return {name: {"name": name, "runs": list(_runs(knobs, time))} for name, knobs in KNOBS.items()}


def _runs(knobs, time):
    for lr, momentum in knobs:
        for seed in (0, 1, 2):
            own = observed(time(lr, momentum, seed)) | {"rule": ""}
            optimizer = {"lr": lr, "momentum": momentum}
            yield {
                "config": {"optimizer": optimizer},
                "seed": seed,
                "times": {"tau_gen": own, "tau_mem": own},
            }


def test_times_of_the_flow_have_the_exponent_minus_one_and_agree_at_one_rate():
    rows = list(
        recipe.rows_of(planted(lambda lr, momentum, seed: (1 + 0.1 * seed) * 30 * (1 - momentum) / lr))
    )
    pairs, same = ([row for row in rows if row["part"] == part] for part in ("pair", "same"))
    assert len(pairs) == 2 * 2 * 2  # two sweeps, two steps between rates, two clocks
    for row in pairs:
        assert [row["exponent"][end] for end in ("value", "low", "high")] == pytest.approx([-1] * 3)
    assert [(row["rate"], row["momentum"]) for row in same[::2]] == [(0.02, [0.8, 0.95]), (0.04, [0.9, 0.95])]
    assert all(row["ratio"]["value"] == pytest.approx(1) for row in same)
    settings = [row for row in rows if row["part"] == "setting"]
    assert {round(row["time"]["value"], 6) for row in settings} == {
        round(30 * math.exp(np.log([1, 1.1, 1.2]).mean()), 6)
    }


def test_intervals_are_those_of_paired_differences():
    generator = np.random.default_rng(0)
    noise = {key: generator.normal(0, 0.1) for key in [(m, s) for m in (0.0, 0.8, 0.9) for s in (0, 1, 2)]}
    records = planted(
        lambda lr, momentum, seed: math.exp(
            seed + noise.get((momentum, seed), 0.0) - math.log(lr / (1 - momentum))
        )
    )
    rows = list(recipe.rows_of(records))
    row = next(r for r in rows if r["part"] == "pair" and r["rate"] == 0.004 and r["clock"] == "tau_mem")
    logs = [[noise[m, s] + math.log((1 - m) / 0.004) for s in (0, 1, 2)] for m in (0.0, 0.8)]
    ends = stats.ttest_rel(logs[1], logs[0]).confidence_interval(0.95)
    unit = math.log(5)  # the rates are 0.004 and 0.02
    assert row["exponent"]["low"] == pytest.approx(ends.low / unit)
    assert row["exponent"]["high"] == pytest.approx(ends.high / unit)


def test_times_that_were_not_reached_are_bounds():
    records = planted(lambda lr, momentum, seed: 1 / lr)
    for run in records["momentum_mixture"]["runs"]:
        if run["config"]["optimizer"]["momentum"] == 0.0:
            run["times"]["tau_mem"] |= {"status": "not reached", "high": None}
    row = next(
        r
        for r in recipe.pair_rows(
            recipe.settings_of([row for record in records.values() for row in recipe.run_rows(record)])
        )
        if (r["sweep"], r["rate"], r["clock"]) == ("momentum_mixture", 0.004, "tau_mem")
    )
    assert (row["exponent"]["status"], row["exponent"]["low"]) == ("at most", None)


def test_the_tiny_twin_is_drawn(tmp_path):
    made = json.loads(recipe.run(tmp_path, tiny=True).read_text())
    assert {row["sweep"] for row in made["rows"]} == {"lr_sgd_mixture"}
    drawn(made, tmp_path)


def test_the_committed_record_follows_from_the_sweeps(tmp_path):
    made = read(recipe)
    for name in recipe.SWEEPS:
        text = (RECORDS / f"{name}.json").read_bytes()
        assert hashlib.sha256(text).hexdigest() == made["settings"]["inputs"][name]["sha256"]
    assert json.loads(recipe.run(tmp_path).read_text())["rows"] == made["rows"]
    drawn(made, tmp_path)


def test_the_page_says_what_the_record_says():
    made, page = read(recipe), lines_of(recipe)
    pairs = [row for row in rows_of(made, "pair") if row["clock"] == "tau_mem"]
    assert len(pairs) == 7
    for row in pairs:
        assert shown(row["exponent"]) in page
    for row in rows_of(made, "same"):
        if row["clock"] == "tau_mem":
            assert shown(row["ratio"]) in page
