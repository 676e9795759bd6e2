"""Reruns: comparisons against closed forms and planted differences, the committed record, the page."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from evidence_records import drawn, inputs_are_those_beside, lines_of, not_reached, observed, read, shown
from memhorizon.recipes.reruns import numbers
from memhorizon.recipes.sweeps import ENTRIES
from memhorizon.recipes.tables import of_kind, rows_of

ABOUT = {"sweep": "planted", "timescale": "tau_mem", "factor": "n_train"}


@pytest.mark.parametrize("name", numbers.SWEEPS)
def test_a_rerun_shares_nothing_but_the_configuration(name):
    first = ENTRIES[name].configs("here")
    other = numbers.again(name, "here")
    assert not {own.seed for own in first} & {own.seed for own in other}
    for old, new in zip(first, other, strict=True):
        same = replace(new, seed=old.seed, data=replace(new.data, subset=old.data.subset))
        assert same == old
        assert new.data.subset == new.seed


def points(factor, exponent=1.0, seed=0):
    noise = 0.1 * np.random.default_rng(seed).standard_normal((4, 3))
    return [
        (n, observed(factor * n**exponent * math.exp(e)))
        for n, own in zip((16, 32, 64, 128), noise, strict=True)
        for e in own
    ]


def test_the_difference_of_two_laws_has_the_interval_of_independent_errors():
    one = points(10, seed=1)
    two = points(10, seed=2)
    row = numbers.law_row(one, two, **ABOUT)
    fits = [stats.linregress(*np.log([(n, time.value) for n, time in own]).T) for own in (one, two)]
    halves = [fit.stderr * stats.t.ppf(0.975, 10) for fit in fits]
    wanted = fits[1].slope - fits[0].slope
    assert row.difference.value == pytest.approx(wanted, abs=1e-4)
    assert row.difference.high - wanted == pytest.approx(math.hypot(*halves), rel=1e-2)
    assert row.agree
    assert row.inside
    assert row.both.high - row.both.low < row.first.high - row.first.low


def test_another_exponent_is_found_out():
    row = numbers.law_row(points(10, seed=1), points(10, exponent=2.0, seed=2), **ABOUT)
    assert not row.agree
    assert not row.inside
    assert row.difference.value == pytest.approx(1, abs=0.3)


def test_a_law_that_cannot_be_fitted_is_not_compared():
    late = [(n, not_reached(100.0)) for n in (16, 32) for _ in range(3)]
    row = numbers.law_row(points(10), late, **ABOUT)
    assert (row.difference, row.inside, row.agree) == (None, None, None)


def test_settings_are_compared_as_by_welch():
    first, other = ([observed(t) for t in own] for own in ([100.0, 110.0, 95.0], [150.0, 300.0, 210.0]))
    row = numbers.setting_row(first, other, **ABOUT, value=16)
    a, b = (np.log([time.value for time in own]) for own in (other, first))
    va, vb = a.var(ddof=1) / 3, b.var(ddof=1) / 3
    freedom = (va + vb) ** 2 / (va**2 / 2 + vb**2 / 2)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(va + vb)
    assert row.ratio.value == pytest.approx(math.exp(a.mean() - b.mean()))
    assert row.ratio.high == pytest.approx(math.exp(a.mean() - b.mean() + half))
    assert row.agree == (abs(a.mean() - b.mean()) <= half)


def test_bounds_are_not_compared():
    late = [not_reached(100.0)] * 3
    row = numbers.setting_row([observed(90.0)] * 3, late, **ABOUT, value=16)
    assert (row.ratio, row.agree) == (None, None)
    assert row.again == tuple(late)


def test_the_record_of_reruns_follows_from_its_runs(tmp_path):
    record = read("reruns")
    inputs_are_those_beside(record)
    rows = rows_of(record, "reruns", numbers.KINDS)
    runs = of_kind(rows, numbers.RunRow)
    for law in of_kind(rows, numbers.LawRow):
        own = [row for row in runs if row.sweep == law.sweep]
        assert {row.seed for row in own} == {3, 4, 5}
        made = numbers.power_from([(row.value, getattr(row, law.timescale)) for row in own])
        assert made.value == pytest.approx(law.again.value, rel=1e-3)
    drawn(record, tmp_path)


def test_the_page_says_of_reruns_what_the_record_says():
    rows = rows_of(read("reruns"), "reruns", numbers.KINDS)
    page = lines_of("reruns")
    for law in (law for law in of_kind(rows, numbers.LawRow) if law.timescale == "tau_mem"):
        for side in (law.first, law.again, law.both):
            assert shown(side) in page
    compared = [row for row in of_kind(rows, numbers.SettingRow) if row.agree is not None]
    counts = numbers.agreement(compared, "tau_mem")
    assert f"{counts['agree']} of {counts['compared']} settings" in page
