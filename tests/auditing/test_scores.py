"""What a view may hand on, and what is refused."""

import jaxtyping
import numpy as np
import pytest

from memhorizon.auditing.scores import Changes, Scores
from memhorizon.errors import InputError

NONE = Changes.none()


def ints(*values):
    return np.array(values, dtype=np.int64)


def floats(*values):
    return np.array(values, dtype=np.float64)


def test_scores_show_their_sizes_only():
    changes = Changes(ints(1, 0), ints(2, 0), floats(0.5, np.inf))
    scores = Scores("pixels", floats(0.1, np.inf), floats(0.3, 0.2, 0.9), changes, ints(7, 0))
    assert repr(scores) == "Scores('pixels', 2 samples, 3 reference items, 2 changes)"
    assert repr(changes) == "Changes(2)"
    assert len(NONE) == 0


@pytest.fixture
def as_users(monkeypatch):
    """Without the checker of annotations, which runs in tests only."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.usefixtures("as_users")
@pytest.mark.parametrize(
    ("row", "item", "value", "message"),
    [
        (ints(0), ints(0, 1), floats(1.0), "changes.item: expected a vector of 1 whole numbers"),
        (ints(0, 1), ints(0), floats(1.0), "changes.row: expected a vector of 1 whole numbers"),
        (floats(0.0), ints(0), floats(1.0), "changes.row: expected a vector of 1 whole numbers, got float64"),
        (ints(-1), ints(0), floats(1.0), "changes.row: expected indices from 0, got -1"),
        (
            ints(0),
            ints(0),
            floats(np.nan),
            "changes.value: expected finite numbers or .infinity, got nan at 0",
        ),
        (ints(0), ints(0), [1.0], "changes.value: expected a vector of float64, got list"),
        (ints(0, 2, 1, 2), ints(4, 3, 4, 3), floats(1, 2, 3, 4), "several for sample 2 and item 3"),
    ],
)
def test_changes_that_are_none_are_refused(row, item, value, message):
    with pytest.raises(InputError, match=message):
        Changes(row, item, value)


@pytest.mark.usefixtures("as_users")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": 3}, "name: expected a str, got int"),
        ({"sample": floats()}, "sample: expected at least 1 statistic"),
        ({"sample": floats(0.1, -np.inf)}, "sample: expected finite numbers or .infinity, got -inf at 1"),
        (
            {"sample": np.zeros((2, 1))},
            r"sample: expected a vector of float64, got float64 of shape \(2, 1\)",
        ),
        (
            {"reference": np.zeros(2, dtype=np.float32)},
            "reference: expected a vector of float64, got float32",
        ),
        ({"changes": None}, "changes: expected a Changes, got NoneType"),
        ({"changes": Changes(ints(2), ints(0), floats(1.0))}, "changes.row: expected indices below 2, got 2"),
        (
            {"changes": Changes(ints(0), ints(3), floats(1.0))},
            "changes.item: expected indices below 3, got 3",
        ),
        ({"nearest": ints(1)}, "nearest: expected a vector of 2 whole numbers"),
        ({"nearest": ints(1, -1)}, "nearest: expected indices from 0, got -1"),
    ],
)
def test_scores_that_are_none_are_refused(wrong, message):
    good = {
        "name": "pixels",
        "sample": floats(0.1, 0.2),
        "reference": floats(0.3, 0.4, 0.5),
        "changes": NONE,
        "nearest": ints(0, 1),
    }
    with pytest.raises(InputError, match=message):
        Scores(**{**good, **wrong})
