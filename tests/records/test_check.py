"""Records of strangers: whatever an entry is changed to, it is taken or refused by name."""

import copy
import json
import math
from pathlib import Path

import pytest

from memhorizon.errors import InputError
from memhorizon.experiments.record import POWERS as FITTED
from memhorizon.experiments.record import record
from memhorizon.experiments.sweep import AXES
from memhorizon.records.check import FACTORS, POWERS, check_record
from sweeps import make_runs

ROOT = Path(__file__).parents[2]
RECORDS = [json.loads(path.read_text()) for path in sorted((ROOT / "results").glob("*.json"))]
SWEEPS = [made for made in RECORDS if made.get("kind") == "sweep"]
HOSTILE = ["<img src=x>", "\x1b[31m", None, True, [], {}, [None], -1, 1.5, 10**400, math.nan, math.inf]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    runs = make_runs(tmp_path_factory.mktemp("runs"), n_train=(8, 16), widths=(8, 16))
    return json.loads(json.dumps(record(runs)))


@pytest.mark.parametrize("made", SWEEPS, ids=[made["name"] for made in SWEEPS])
def test_the_committed_records_are_records(made):
    short = {**made, "runs": made["runs"][-2:]}
    assert check_record(short) is short


def test_a_record_just_made_is_one(made):
    assert check_record(made) is made


def places(value):
    """Every entry at any depth, as what holds it and its name there; of a list the first."""
    entries = list(value.items()) if isinstance(value, dict) else list(enumerate(value))[:1]
    for key, entry in entries:
        yield value, key
        if isinstance(entry, dict | list):
            yield from places(entry)


def changed(made, path, value):
    other = copy.deepcopy(made)
    entry = other
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    return other


def answer(made):
    try:
        check_record(made)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 11])
def test_every_change_of_one_entry_is_taken_or_refused_by_name(made, every):
    """Entries of one run and of the laws, each by four values: one kind of error, in printable words."""
    run = made["runs"][0]
    names = ("holdout@0.1", "memorized")
    short = copy.deepcopy(
        {**made, "runs": [{**run, "curves": {name: run["curves"][name] for name in names}}]}
    )
    said = []
    for i, (holder, key) in enumerate(list(places(short))[::every]):
        before = holder[key]
        for value in HOSTILE[i % 3 :: 3]:
            holder[key] = value
            said.append(answer(short))
        holder[key] = before
    assert answer(short) == ""
    refused = [text for text in said if text]
    assert len(refused) > 0.5 * len(said)
    assert all(text.isprintable() and ("expected" in text or "lacks" in text) for text in refused)


NAMED = {
    ("runs", 0, "curves", "holdout@0.1", "step"): "x",
    ("runs", 0, "curves", "holdout@0.1", "value"): [1.0],
    ("runs", 0, "curves", "memorized", "total"): None,
    ("runs", 0, "curves", "memorized", "low", 0): 2.0,
    ("runs", 0, "config", "train", "steps"): "x",
    ("runs", 0, "n_train"): "8",
    ("runs", 0, "key"): 3,
    ("runs", 0, "seed"): None,
    ("runs", 0, "times", "tau_gen", "value"): "x",
    ("runs", 0, "times", "tau_mem", "status"): "soon",
    ("runs", 0, "null", "value"): "x",
    ("runs", 0, "null", "count"): -1,
    ("runs", 1, "width"): [],
    ("rules", "quality"): "beauty",
    ("rules", "memorized"): 2,
    ("laws", "tau_mem", "exponents", "n_train", "value"): "x",
    ("laws", "tau_mem", "covariance"): [[0.0]],
    ("collapse", "steps / n_train", "low"): 1e9,
}


@pytest.mark.parametrize("path", NAMED, ids=str)
def test_the_entry_is_named(made, path):
    with pytest.raises(InputError) as caught:
        check_record(changed(made, path, NAMED[path]))
    words = [f"[{key}]" if isinstance(key, int) else key for key in path]
    parent = words[-2] if isinstance(path[-1], int) else words[-1]
    above = words[-3] if isinstance(path[-1], int) else words[-2]
    assert parent in str(caught.value) or above in str(caught.value)


@pytest.mark.parametrize("path", [p for p in NAMED if p[0] == "runs"], ids=str)
def test_others_are_held_to_the_same(made, path):
    other = changed({**made, "differs": {}}, path, NAMED[path])
    assert check_record({**made, "others": [{**made, "differs": {"train.prediction": "x0"}}]})
    with pytest.raises(InputError, match=r"others\[0\]"):
        check_record({**made, "others": [other]})


def test_depth_and_kind_are_bounded(made):
    deep = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(InputError, match="levels"):
        check_record({**made, "extra": deep})
    for value in (None, [], "sweep", {"kind": "duplicates"}, {"kind": ["sweep"]}):
        with pytest.raises(InputError, match="kind"):
            check_record(value)


def test_every_factor_of_a_sweep_is_checked():
    assert set(AXES) <= set(FACTORS)
    assert set(POWERS) == set(FITTED)
