"""Records of strangers: whatever an entry is changed to, it is taken or refused by name."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memhorizon.errors import InputError
from memhorizon.experiments.record import record
from memhorizon.records.check import check_sweep
from memhorizon.records.files import load_record, record_of, to_plain, to_text
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Curve
from sweeps import make_runs

ROOT = Path(__file__).parents[2]
HOSTILE = ["<img src=x>", "\x1b[31m", None, True, [], {}, [None], -1, 1.5, 10**400, math.nan, math.inf, "inf"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    runs = make_runs(tmp_path_factory.mktemp("runs"), n_train=(8, 16), widths=(8, 16))
    return json.loads(to_text(record(runs)))


@pytest.fixture(scope="module")
def contrasted(tmp_path_factory):
    """A record with every kind of entry: others, what was left out, contrasts, null, data."""
    record_of_dropout = load_record(ROOT / "results" / "dropout_digits.json")
    short = replace(record_of_dropout, runs=record_of_dropout.runs[:2], contrasts=())
    return json.loads(to_text(replace(record_of_dropout, runs=record_of_dropout.runs[-2:], others=(short,))))


@pytest.mark.parametrize("path", sorted((ROOT / "results").rglob("*.json")), ids=lambda path: path.stem)
def test_the_committed_files_are_records_and_are_written_as_they_are(path):
    made = load_record(path)
    assert to_text(made) == path.read_text()


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
        record_of(made)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["made", "contrasted"])
@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 11])
def test_every_change_of_one_entry_is_taken_or_refused_by_name(request, name, every):
    """Entries of one run and of the laws, each by four values: one kind of error, in printable words."""
    made = request.getfixturevalue(name)
    run = made["runs"][0]
    names = ("holdout@0.1", "memorized")
    kept = {**run, "curves": {name: run["curves"][name] for name in names}}
    short = copy.deepcopy({**made, "runs": [kept], "others": [{**o, "runs": [kept]} for o in made["others"]]})
    told = []
    for i, (holder, key) in enumerate(list(places(short))[::every]):
        before = holder[key]
        for value in HOSTILE[i % 3 :: 3]:
            holder[key] = value
            told.append(answer(short))
        holder[key] = before
    assert answer(short) == ""
    refused = [text for text in told if text]
    assert len(refused) > 0.5 * len(told)
    assert all(text.isprintable() and "expected" in text for text in refused)


NAMED = [
    (("runs", 0, "curves", "holdout@0.1", "step"), "x"),
    (("runs", 0, "curves", "holdout@0.1", "step", 0), -1.0),
    (("runs", 0, "curves", "holdout@0.1", "step", -1), 1e15),
    (("runs", 0, "curves", "holdout@0.1", "value"), [1.0]),
    (("runs", 0, "curves", "holdout@0.1", "value", 0), "nan"),
    (("runs", 0, "curves", "memorized", "total"), None),
    (("runs", 0, "curves", "memorized", "total", 0), 0.0),
    (("runs", 0, "curves", "memorized", "low", 0), 2.0),
    (("runs", 0, "curves"), {}),
    (("runs", 0, "config", "measure", "threshold"), "x"),
    (("runs", 0, "config", "measure", "sampler"), "ddim"),
    (("runs", 0, "config", "data", "name"), ["mixture"]),
    (("runs", 0, "config", "data"), "mixture"),
    (("runs", 0, "n_updates"), "x"),
    (("runs", 0, "n_updates"), -1),
    (("runs", 0, "n_train"), "8"),
    (("runs", 0, "n_train"), 0),
    (("runs", 0, "n_train"), 80),  # not that of the configuration
    (("runs", 0, "key"), 3),
    (("runs", 0, "seed"), None),
    (("runs", 0, "timescales", "tau_gen", "value"), "x"),
    (("runs", 0, "timescales", "tau_gen", "low"), -1.0),
    (("runs", 0, "timescales", "tau_gen", "value"), "inf"),
    (("runs", 0, "timescales", "tau_mem", "status"), "soon"),
    (("runs", 0, "null", "value"), "x"),
    (("runs", 0, "null", "value"), 0.5),
    (("runs", 0, "null", "count"), -1),
    (("runs", 1, "factors", "width"), []),
    (("runs", 1, "factors", "width"), -8),
    (("runs", 1, "factors", "width"), "inf"),
    (("rules", "quality"), "my loss"),
    (("rules", "memorized"), 2),
    (("laws", "tau_mem", "exponents", "n_train", "value"), "x"),
    (("laws", "tau_mem", "exponents", "n_train", "value"), "nan"),
    (("laws", "tau_mem", "covariance"), [[0.0]]),
    (("laws", "tau_mem", "covariance", 0, 0), "nan"),
    (("laws", "tau_mem", "status"), "not fitted"),
    (("laws", "tau_mem", "observed"), -1),
    (("collapse", "steps / n_train", "low"), 1e9),
    (("runs",), []),
    (("version",), 3),
    (("version",), True),
    (("format",), "other"),
    (("kind",), ["sweep"]),
    (("extra",), 1),
]


@pytest.mark.parametrize(("path", "value"), NAMED, ids=str)
def test_the_entry_is_named(made, path, value):
    with pytest.raises(InputError) as caught:
        record_of(changed(made, path, value))
    words = [f"[{key}]" if isinstance(key, int) else key for key in path]
    parent = words[-2] if isinstance(path[-1], int) else words[-1]
    above = words[-3] if isinstance(path[-1], int) and len(words) > 2 else words[max(len(words) - 2, 0)]
    assert parent in str(caught.value) or above in str(caught.value)


@pytest.mark.parametrize(("path", "value"), [case for case in NAMED if case[0][0] == "runs"], ids=str)
def test_others_are_held_to_the_same(made, path, value):
    inner = {name: entry for name, entry in made.items() if name not in ("format", "version", "kind")}
    assert record_of({**made, "others": [{**inner, "differs": {"train.prediction": "x0"}}]})
    with pytest.raises(InputError, match=r"others\[0\]"):
        record_of({**made, "others": [changed(inner, path, value)]})
    with pytest.raises(InputError, match=r"others\[0\].others: expected none"):
        record_of({**made, "others": [{**inner, "others": [inner]}]})


def test_a_training_counts_once(made):
    for again in (
        made["runs"][0],
        made["runs"][0] | {"key": "another"},
        made["runs"][1] | {"key": made["runs"][0]["key"]},
    ):
        with pytest.raises(InputError, match=r"runs\[\d\]: expected each training once"):
            record_of({**made, "runs": [*made["runs"], again]})


def test_a_contrast_is_of_a_hyperparameter_that_each_run_has(contrasted):
    without = copy.deepcopy(contrasted)
    del without["runs"][1]["factors"]["dropout"]
    for made in (without, changed(contrasted, ("contrasts", 0, "factor"), "optimizer")):
        with pytest.raises(InputError, match=r"contrasts\[0\].factor: expected a number"):
            record_of(made)


@pytest.mark.parametrize(
    ("entry", "value"),
    [("timescale", "tau"), ("status", "observed"), ("value", "inf"), ("at_least", "nan"), ("ratio", 2.0)],
)
def test_a_contrast_of_other_values_is_refused(contrasted, entry, value):
    with pytest.raises(InputError, match=r"contrasts\[0\]"):
        record_of(changed(contrasted, ("contrasts", 0, entry), value))


def test_depth_and_kind_are_bounded(made):
    deep = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(InputError, match="levels"):
        record_of({**made, "extra": deep})
    for value in (None, [], "sweep"):
        with pytest.raises(InputError, match="expected an object"):
            record_of(value)
    wrong = ({"kind": "duplicates", "version": 2}, {"kind": ["sweep"]}, {"kind": "sweep", "version": 2.5})
    for value in wrong:
        with pytest.raises(InputError, match="kind|version"):
            record_of(value)


def test_a_record_that_was_made_in_python_is_checked_as_well(made):
    good = record_of(made)
    assert isinstance(good, SweepRecord)
    assert check_sweep(good) is good
    assert to_plain(good) == to_plain(record_of(made))
    far = Curve(np.array([1.0, 1e20]), np.zeros(2), np.zeros(2), np.zeros(2))
    run: RunRecord = replace(good.runs[0], curves={"holdout@0.1": far})
    with pytest.raises(InputError, match=r"runs\[0\].curves.holdout@0.1.step"):
        check_sweep(replace(good, runs=(run,)))
