"""Exponents by level and range: planted ones are found, the committed record follows from its inputs."""

import numpy as np
import pytest

from evidence_records import RECORDS, drawn, inputs_are_those_beside, read
from memhorizon import recipes
from memhorizon.errors import InputError
from memhorizon.experiments.record import record
from memhorizon.recipes.exponents import numbers
from memhorizon.recipes.exponents.figure import exponents
from memhorizon.recipes.tables import rows_of
from memhorizon.records.files import load_record
from memhorizon.timescales.rules import Rules
from sweeps import make_runs


def test_curves_of_one_shape_have_one_exponent_at_all_levels(tmp_path):
    """f_mem is a function of step/n, but for a scatter that is the same at every level."""
    runs = make_runs(tmp_path, n_train=(8, 16, 32, 64), seeds=(0, 1), steps=20_000)
    rows = list(numbers.rows_of(record(runs, Rules(t=0.3), name="planted")))
    for row in rows:
        scatter = {n: (7 * n + 3 * 16) % 5 - 2 for n in row.n_train}
        logs = [np.log(n * 1.06 ** scatter[n]) for n in row.n_train]
        slope = np.polyfit(np.log(row.n_train), logs, 1)[0]
        assert row.exponent.value == pytest.approx(slope, abs=0.06)  # snapshots lie 70 % apart
        assert (row.observed, row.censored) == (2 * len(row.n_train), 0)
    assert [row.range for row in rows] == ["all"] * len(numbers.LEVELS) + ["up", "down"]
    assert sum(row.recorded for row in rows) == 1


def test_the_tiny_twin_is_drawn(tmp_path):
    made = load_record(recipes.load("exponents").run(tmp_path, "tiny", records=RECORDS))
    drawn(made, tmp_path)
    assert len({row["sweep"] for row in made.rows}) == 1


def test_the_committed_record_follows_from_the_sweeps():
    made = read("exponents")
    assert set(made.settings["inputs"]) == set(numbers.SWEEPS)
    inputs_are_those_beside(made)
    rows = rows_of(made, "exponents", numbers.KINDS)
    for name in numbers.SWEEPS:
        (row,) = [row for row in rows if row.sweep == name and row.recorded]
        law = read(name).laws["tau_mem"].exponents["n_train"]
        found = (row.exponent.value, row.exponent.low, row.exponent.high)
        assert found == pytest.approx((law.value, law.low, law.high), rel=1e-5)


@pytest.mark.parametrize("bad", [[], {}, "rates", "n_digits"])
def test_another_record_is_refused(bad):
    with pytest.raises(InputError, match="expected the table of 'exponents'"):
        exponents(read(bad) if isinstance(bad, str) else bad)
