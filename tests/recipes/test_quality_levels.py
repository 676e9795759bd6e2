"""tau_gen by level and n: planted curves are read exactly, the committed record follows from its inputs."""

import math
from dataclasses import replace

import numpy as np
import pytest

from evidence_records import (
    RECORDS,
    drawn,
    inputs_are_those_beside,
    passes_where_its_readings_do,
    read,
    without_origin,
)
from memhorizon import recipes
from memhorizon.errors import InputError
from memhorizon.experiments.record import record
from memhorizon.recipes.quality_levels import numbers
from memhorizon.recipes.quality_levels.figure import quality_levels
from memhorizon.recipes.tables import of_kind, rows_of
from memhorizon.records.files import load_record
from memhorizon.results import Curve
from memhorizon.timescales.rules import Rules
from sweeps import make_runs

SIZES = (8, 16, 32, 64)
FLOOR = 29


@pytest.fixture
def planted(tmp_path):
    """Distances fall as 4000/step at every n, down to 29/n."""
    made = record(make_runs(tmp_path, n_train=SIZES, seeds=(0, 1)), Rules(t=0.3), name="planted")
    runs = []
    for run in made.runs:
        step = run.curves["memorized"].step
        value = np.maximum(4000 / step, FLOOR / run.n_train)
        curve = Curve(step, value, value * 0.98, value * 1.02, name="frechet")
        runs.append(replace(run, curves={**run.curves, "frechet": curve}))
    return replace(made, runs=tuple(runs))


def test_a_quality_that_does_not_depend_on_n_has_one_time_at_each_level(planted):
    rows = list(numbers.rows_of(planted))
    laws = of_kind(rows, numbers.LawRow)
    assert {row.quality for row in rows} == {"frechet"}
    assert [row.level for row in laws] == [16.0, 8.0, 4.0, 2.0]
    for law in laws:
        reached = [n for n in SIZES if FLOOR / n <= law.level]
        assert (law.observed, law.censored) == (2 * len(reached), 2 * (len(SIZES) - len(reached)))
        if len(reached) == len(SIZES):
            assert law.exponent.low < 0 < law.exponent.high
        else:  # the smallest sets never have the quality: later than the others
            assert law.exponent.high < 0
    step = planted.runs[0].curves["frechet"].step
    for row in of_kind(rows, numbers.SizeRow):
        for time in row.tau_gen:
            assert time.observed == (FLOOR / row.n_train <= row.level)
            if time.observed:  # between the readings on either side of the time itself
                after = np.searchsorted(step, 4000 / row.level)
                assert step[after - 1] <= time.value <= step[after]


def test_levels_are_powers_of_two_that_three_sizes_reach(planted):
    levels = numbers.levels_of(planted.runs, "frechet")
    assert all(math.log2(level).is_integer() for level in levels)
    best = {run.n_train: run.curves["frechet"].value.min() for run in planted.runs}
    assert sum(value <= levels[-1] for value in best.values()) >= numbers.FEWEST_SIZES
    assert sum(value <= levels[-1] / 2 for value in best.values()) < numbers.FEWEST_SIZES


def test_the_tiny_twin_is_drawn(tmp_path):
    made = load_record(recipes.load("quality_levels").run(tmp_path, "tiny", records=RECORDS))
    drawn(made, tmp_path)
    assert len({row["sweep"] for row in made.rows}) == 1


def test_the_committed_record_follows_from_the_sweeps(tmp_path):
    made = read("quality_levels")
    assert set(made.settings["inputs"]) == set(numbers.SWEEPS)
    inputs_are_those_beside(made)
    again = load_record(recipes.load("quality_levels").run(tmp_path, records=RECORDS))
    assert without_origin(again) == without_origin(made)


def test_a_reading_of_the_curves_without_intervals_finds_the_same_times():
    for row in of_kind(rows_of(read("quality_levels"), "quality_levels", numbers.KINDS), numbers.SizeRow):
        runs = [run for run in read(row.sweep).runs if run.n_train == row.n_train]
        for run, time in zip(runs, row.tau_gen, strict=True):
            if np.isfinite(time.value) and time.value > run.curves[row.quality].step[0]:
                passes_where_its_readings_do(time, run.curves[row.quality], row.level)


@pytest.mark.parametrize("bad", [[], {}, "rates", "n_digits"])
def test_another_record_is_refused(bad):
    with pytest.raises(InputError, match="expected the table of 'quality_levels'"):
        quality_levels(read(bad) if isinstance(bad, str) else bad)
