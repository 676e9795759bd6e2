"""Reruns: comparisons against closed forms and planted differences, the committed record, the page."""

import hashlib
import math
from importlib import import_module

import numpy as np
import pytest
from scipy import stats

from evidence_records import RECORDS, lines_of, observed, read, rows_of, shown
from memhorizon.recipes.sweeps import SWEEPS

recipe = import_module("memhorizon.recipes.reruns")


@pytest.mark.parametrize("name", recipe.SWEEPS)
def test_a_rerun_shares_nothing_but_the_configuration(name):
    first = SWEEPS[name].configs("here")
    other = recipe.again(name, "here")
    assert len(first) == len(other)
    assert not {own.seed for own in first} & {own.seed for own in other}
    for old, new in zip(first, other, strict=True):
        same = recipe.replace(new, seed=old.seed, data=recipe.replace(new.data, subset=old.data.subset))
        assert same == old
        assert new.data.subset == new.seed


def points(factor, sizes=(16, 32, 64, 128), exponent=1.0, scatter=0.1, seed=0):
    generator = np.random.default_rng(seed)
    noise = scatter * generator.standard_normal((len(sizes), 3))
    return [
        (n, observed(factor * n**exponent * math.exp(e)))
        for n, own in zip(sizes, noise, strict=True)
        for e in own
    ]


def test_the_difference_of_two_laws_has_the_interval_of_independent_errors():
    one, two = points(10, seed=1), points(10, seed=2)
    row = recipe.law_row(one, two)
    fits = [
        stats.linregress(np.log([n for n, _ in p]), np.log([t["value"] for _, t in p])) for p in (one, two)
    ]
    halves = [fit.stderr * stats.t.ppf(0.975, 10) for fit in fits]
    wanted = fits[1].slope - fits[0].slope
    assert row["difference"]["value"] == pytest.approx(wanted, abs=1e-4)
    assert row["difference"]["high"] - wanted == pytest.approx(math.hypot(*halves), rel=1e-2)
    assert row["agree"]
    assert row["inside"]
    assert row["both"]["high"] - row["both"]["low"] < row["first"]["high"] - row["first"]["low"]


def test_another_exponent_is_found_out():
    row = recipe.law_row(points(10, seed=1), points(10, exponent=2.0, seed=2))
    assert not row["agree"]
    assert not row["inside"]
    assert row["difference"]["value"] == pytest.approx(1, abs=0.3)


def test_a_law_that_cannot_be_fitted_is_not_compared():
    late = [
        (n, {**observed(100.0), "high": None, "status": "not reached"}) for n in (16, 32) for _ in range(3)
    ]
    row = recipe.law_row(points(10), late)
    assert (row["difference"], row["inside"], row["agree"]) == (None, None, None)


def test_settings_are_compared_as_by_welch():
    first, other = ([observed(t) for t in own] for own in ([100.0, 110.0, 95.0], [150.0, 300.0, 210.0]))
    row = recipe.setting_row(first, other)
    a, b = (np.log([t["value"] for t in own]) for own in (other, first))
    va, vb = a.var(ddof=1) / 3, b.var(ddof=1) / 3
    freedom = (va + vb) ** 2 / (va**2 / 2 + vb**2 / 2)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(va + vb)
    assert row["ratio"]["value"] == pytest.approx(math.exp(a.mean() - b.mean()))
    assert row["ratio"]["high"] == pytest.approx(math.exp(a.mean() - b.mean() + half))
    assert row["agree"] == (abs(a.mean() - b.mean()) <= half)


def test_bounds_are_not_compared():
    late = [{**observed(100.0), "high": None, "status": "not reached"}] * 3
    row = recipe.setting_row([observed(90.0)] * 3, late)
    assert (row["ratio"], row["agree"]) == (None, None)
    assert row["again"] == late


def test_the_record_of_reruns_follows_from_its_runs():
    record = read(recipe)
    for name, source in record["settings"]["inputs"].items():
        assert hashlib.sha256((RECORDS / f"{name}.json").read_bytes()).hexdigest() == source["sha256"]
    runs = rows_of(record, "run")
    for law in rows_of(record, "law"):
        own = [row for row in runs if row["sweep"] == law["sweep"]]
        assert {row["seed"] for row in own} == {3, 4, 5}
        made = recipe.law_of([(row["value"], row[law["clock"]]) for row in own])
        assert made.exponents["factor"].value == pytest.approx(law["again"]["value"], rel=1e-3)


def test_the_page_says_of_reruns_what_the_record_says():
    record, page = read(recipe), lines_of(recipe)
    for law in record["summary"]["laws"]:
        if law["clock"] == "tau_mem":
            for side in ("first", "again", "both"):
                assert shown(law[side]) in page
    counts = record["summary"]["settings"]["tau_mem"]
    assert f"{counts['agree']} of {counts['compared']} settings" in page
