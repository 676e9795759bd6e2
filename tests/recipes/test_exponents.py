"""Exponents by level and range: planted ones are found, the committed record follows from its inputs."""

import hashlib
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from memhorizon import figures
from memhorizon.errors import InputError
from memhorizon.experiments.record import record
from memhorizon.figures import exponents as picture
from memhorizon.timescales.rules import Rules
from sweeps import make_runs

recipe = import_module("memhorizon.recipes.exponents")
RESULTS = Path(__file__).parents[2] / "results"


def test_curves_of_one_shape_have_one_exponent_at_all_levels(tmp_path):
    """f_mem is a function of step/n, but for a scatter that is the same at every level."""
    runs = make_runs(tmp_path, n_train=(8, 16, 32, 64), seeds=(0, 1), steps=20_000)
    rows = list(recipe.rows_of(json.loads(json.dumps(record(runs, Rules(t=0.3), name="planted")))))
    for row in rows:
        scatter = {n: [(7 * n + 3 * 16) % 5 - 2] for n in row["n_train"]}
        logs = [np.log(n * 1.06 ** scatter[n][0]) for n in row["n_train"]]
        slope = np.polyfit(np.log(row["n_train"]), logs, 1)[0]
        assert row["exponent"]["value"] == pytest.approx(slope, abs=0.06)  # snapshots lie 70 % apart
        assert (row["observed"], row["censored"]) == (2 * len(row["n_train"]), 0)
    assert [row["range"] for row in rows] == ["all"] * len(recipe.LEVELS) + ["up", "down"]
    assert sum(row["recorded"] for row in rows) == 1


def test_the_tiny_twin_is_drawn(tmp_path):
    made = json.loads(recipe.run(tmp_path, tiny=True).read_text())
    (drawn,) = figures.of(made).values()
    figures.save(drawn.plot(), tmp_path / "exponents.png")
    assert len({row["sweep"] for row in made["rows"]}) == 1


def test_the_committed_record_follows_from_the_sweeps():
    made = json.loads((RESULTS / "exponents.json").read_text())
    assert set(made["settings"]["inputs"]) == set(recipe.SWEEPS)
    for name, read in made["settings"]["inputs"].items():
        text = (RESULTS / f"{name}.json").read_bytes()
        assert hashlib.sha256(text).hexdigest() == read["sha256"]
        (row,) = [row for row in made["rows"] if row["sweep"] == name and row["recorded"]]
        power = json.loads(text)["laws"]["tau_mem"]["exponents"]["n_train"]
        for end in ("value", "low", "high"):
            assert row["exponent"][end] == pytest.approx(power[end], rel=1e-5)


@pytest.mark.parametrize("bad", [[], {}, {"name": "steps", "rows": []}])
def test_another_record_is_refused(bad):
    with pytest.raises(InputError, match="expected the theory record"):
        picture.exponents(bad)
