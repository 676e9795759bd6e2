"""The window between good samples and copies: what is drawn, and where one looks at samples."""

from dataclasses import replace

import numpy as np
import pytest

from evidence_records import not_reached, observed, read
from memhorizon.errors import InputError
from memhorizon.figures.sheets import WHEN, places, sheets
from memhorizon.figures.window import window, window_of


def test_the_numbers_of_the_picture_are_the_curves_of_the_record():
    record = read("window_digits")
    rows = window(record).frame()
    assert {row["quantity"] for row in rows} == {"frechet", "memorized"}
    drawn = [row["value"] for row in rows if row["quantity"] == "memorized" and row["n_train"] == 64]
    curves = [run.curves["memorized"].value for run in record.runs if run.n_train == 64]
    assert sorted(drawn) == sorted(np.concatenate(curves).tolist())
    assert window(record).plot().get_axes()


def test_a_window_is_open_where_good_samples_come_first():
    runs = read("window_digits").runs
    found = {(run.n_train, run.seed): window_of(run).is_open for run in runs}
    assert all(found[n, seed] for n in (256, 512, 1024) for seed in (0, 1, 2))
    assert not window_of(never_good(runs[0])).is_open
    assert not window_of(good_at(runs[0], 2 * runs[0].timescales.tau_mem.value)).is_open


def never_good(run):
    return replace(run, timescales=replace(run.timescales, tau_gen=not_reached(6000.0)))


def good_at(run, step):
    return replace(run, timescales=replace(run.timescales, tau_gen=observed(step)))


def test_one_looks_at_the_first_good_snapshot_half_way_and_at_the_end():
    (run,) = [run for run in read("window_digits").runs if (run.n_train, run.seed) == (512, 0)]
    steps = [int(step) for step in run.curves["memorized"].step]
    good, middle, late = places(run, steps)
    gen = run.timescales.tau_gen
    mem = run.timescales.tau_mem
    assert [place.when for place in (good, middle, late)] == list(WHEN)
    assert good.step == min(step for step in steps if step >= gen.value)
    half = np.sqrt(gen.value * mem.value)
    assert all(abs(np.log(middle.step / half)) <= abs(np.log(step / half)) for step in steps)
    assert late.step == steps[-1]
    assert late.why == "not yet at"


def test_where_samples_never_are_good_there_is_nothing_to_show():
    (run,) = [run for run in read("window_digits").runs if (run.n_train, run.seed) == (64, 0)]
    good, middle, late = places(never_good(run), [1000, 3000])
    assert (good.step, middle.step) == (None, None)
    assert late.step == 3000


def test_without_run_directories_there_are_no_sheets():
    with pytest.raises(InputError, match="run directories with samples"):
        sheets(read("window_digits"), [])
