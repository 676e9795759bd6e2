"""Records and answers print in a line: what they are, not all of their numbers."""

from pathlib import Path

import pytest

from memhorizon.records.files import load_record
from memhorizon.results import Status

RESULTS = Path(__file__).parents[2] / "results"


@pytest.mark.parametrize("name", ["n_digits", "decay_mixture", "width_mixture", "rates", "theory/losses"])
def test_a_record_prints_in_a_line(name):
    made = load_record(RESULTS / f"{name}.json")
    assert repr(made.name) in repr(made)
    assert len(repr(made)) < 700
    assert "array" not in repr(made)


def test_parts_of_a_record_print_in_a_line():
    made = load_record(RESULTS / "n_digits.json")
    run = made.runs[0]
    assert repr(run).startswith("RunRecord('digits-n16-unet16-seed0-7de61bd7', 16 curves, tau_gen ")
    assert repr(run.curves["memorized"]).startswith(
        "Curve('memorized', 24 points, steps 20 to 2000, values 0 to"
    )
    law = made.laws["tau_mem"]
    assert repr(law) == "ScalingLaw(n_train^1.14 [0.948, 1.32], fitted, 12 observed, 0 censored)"
    assert law.status is Status.FITTED
    assert len(repr(run)) + len(repr(law)) < 250
