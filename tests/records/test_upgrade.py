"""Files of version 1 are read as what they said: null was infinite or no number, entries had other names."""

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest

from memhorizon.errors import InputError
from memhorizon.records.files import load_record, record_of, to_text
from memhorizon.records.reading import measured_by
from memhorizon.results import Estimate, Fraction, Status, Time

CURVE = {"step": [10.0, 20.0], "value": [0.5, 0.4], "low": [None, 0.3], "high": [None, 0.5]}
COPIES = {
    "step": [10.0, 20.0],
    "value": [0.0, 0.25],
    "low": [0.0, 0.1],
    "high": [0.1, 0.4],
    "total": [40.0, 40.0],
}
NULL = {"value": 0.0, "low": 0.0, "high": 0.0037, "count": 0, "total": 1000}
CONFIG = {
    "kind": "Config",
    "data": {"kind": "DataConfig", "name": "mixture", "n_train": 8},
    "model": {"kind": "MLPConfig", "width": 16, "steps": 1000},
    "schedule": {"kind": "linear", "steps": 1000},
    "train": {"kind": "TrainConfig", "steps": 400, "t": None},
    "measure": {"sampler": "ddim", "sampler_steps": 25, "times": [0.1], "threshold": 0.3, "keep": False},
    "seed": 1,
}
RUN = {
    "key": "mixture-n8",
    "config": CONFIG,
    **{"n_train": 8, "width": 16, "dropout": None, "lr": 0.001, "optimizer": "adam", "seed": 1},
    "environment": {"torch": "2"},
    "data": {"fingerprint": None, "n_files": 9, "ignored": {"count": 3, "suffixes": {".txt": 3}}},
    "curves": {"holdout@0.1": CURVE, "memorized": COPIES},
    "null": NULL,
    "times": {
        "tau_gen": {"value": None, "low": None, "high": None, "status": "still improving", "rule": "r"},
        "tau_mem": {"value": 20.0, "low": 15.0, "high": None, "status": "not reached", "rule": "r"},
        "others": {"argmin": {"value": 15.0, "low": 0.0, "high": 30.0, "status": "observed", "rule": "r"}},
        "unit": "steps",
    },
}
LAW = {
    "exponents": {"n_train": {"value": None, "low": None, "high": None}},
    "log_prefactor": None,
    "covariance": [[None, None], [None, None]],
    "scatter": None,
    "observed": 0,
    "censored": 2,
    "status": "not fitted: 0 observed times for 2 parameters and the scatter; left out: 1 still improving",
    "left_out": 1,
}
CONTRAST = {
    "factor": "lr",
    "reference": 0.001,
    "value": 0.01,
    "clock": "tau_mem",
    "ratio": {"value": 1.5, "low": None, "high": None},
    "observed": 2,
    "censored": 0,
    "status": "fitted, but most times are censored",
}
OLD = {
    "kind": "sweep",
    "name": "old",
    "command": "memhorizon sweep",
    "date": "2026-01-01T00:00:00+00:00",
    "rules": {"quality": "holdout", "t": 0.1, "tolerance": 0.05, "memorized": 0.1},
    "runs": [RUN],
    "laws": {"tau_mem": LAW},
    "collapse": {"status": "curves: no common range"},
    "contrasts": [CONTRAST],
    "left_out": [{"key": "x", "reason": "y"}],
    "others": [{"kind": "sweep", "rules": {"quality": "kl", "t": None, "tolerance": 1.0, "memorized": 0.2}}],
    "seconds": 3.5,
}
OLD["others"][0] |= {
    "name": "old",
    "command": "",
    "runs": [{**RUN, "null": 0.0}],
    "differs": {"train.steps": 3, "measure.sampler": "ddpm", "model.steps": 9},
}


def test_a_sweep_of_version_1():
    made = record_of(OLD)
    (run,) = made.runs
    assert (made.name, made.made, made.seconds, made.collapse_note) == (
        "old",
        OLD["date"],
        3.5,
        "curves: no common range",
    )
    assert run.factors == {"width": 16, "dropout": None, "lr": 0.001, "optimizer": "adam"}
    assert (run.factor("n_train"), run.factor("seed"), run.n_updates) == (8, 1, 400)
    assert run.curves["holdout@0.1"].low.tolist() == [-math.inf, 0.3]
    assert run.curves["holdout@0.1"].name == "holdout@0.1"
    assert run.null == Fraction(**NULL)
    assert run.data.ignored == {".txt": 3}
    assert run.data.fingerprint == ""
    assert run.timescales.tau_gen == Time.unknown(Status.STILL_IMPROVING, "r") or math.isnan(
        run.timescales.tau_gen.value
    )
    assert run.timescales.tau_mem == Time(20.0, 15.0, math.inf, Status.NOT_REACHED, "r")


def test_its_configuration_has_the_names_of_version_2():
    run = record_of(OLD).runs[0]
    assert run.config == {
        "data": {"name": "mixture", "n_train": 8},
        "model": {"kind": "MLPConfig", "width": 16},
        "schedule": {"kind": "linear", "n_levels": 1000},
        "train": {"n_updates": 400, "diffusion_time": None},
        "measure": {
            "sampler": {"method": "ddim", "n_solver_steps": 25},
            "diffusion_times": [0.1],
            "threshold": 0.3,
            "keep": False,
        },
        "seed": 1,
    }
    measured = measured_by(run)
    assert (measured.threshold, measured.sampler.n_solver_steps, measured.keep) == (0.3, 25, False)


def test_its_laws_and_contrasts():
    made = record_of(OLD)
    law = made.laws["tau_mem"]
    assert (law.status, law.left_out) == (Status.NOT_FITTED, 1)
    assert law.note == "0 observed times for 2 parameters and the scatter; left out: 1 still improving"
    assert np.isnan(law.covariance).all()
    (contrast,) = made.contrasts
    assert (contrast.timescale, contrast.status) == ("tau_mem", Status.MOSTLY_CENSORED)
    assert contrast.ratio == Estimate(1.5, -math.inf, math.inf)


def test_its_others():
    (other,) = record_of(OLD).others
    assert other.differs == {"train.n_updates": 3, "measure.sampler.method": "ddpm"}
    assert other.runs[0].null is None  # a null of 0 was that of a run without held-out items


TABLE = {
    "name": "clocks",
    "command": "memhorizon reproduce theory_clocks",
    "tiny": False,
    "settings": {"config": CONFIG, "seeds": [0, 1]},
    "summary": {"half_time/clock": 2.0, "law": {"value": 1.0, "low": None, "high": 2.0, "status": "fitted"}},
    "columns": {"clock": "which", "status": "fitted, or why the numbers should not be trusted"},
    "wall_seconds": 2.5,
    "cpu_seconds": 2.0,
    "machine": {"cores": 2},
    "versions": {"numpy": "2"},
    "rows": [
        {"clock": "tau_mem", "tau_first": None, "level_times": [1.0, None], "n_train": None, "far": "inf"},
        {"time": {"value": 3.0, "low": 0.0, "high": None, "status": "undetermined"}},
        {
            "mean": {
                "value": None,
                "low": None,
                "high": None,
                "status": "undetermined",
                "known": 0,
                "observed": 0,
            }
        },
    ],
}


def test_a_table_of_version_1():
    made = record_of(TABLE)
    assert (made.seconds, made.cpu_seconds) == (2.5, 2.0)
    assert made.environment == {"cores": 2, "numpy": "2"}
    assert made.settings["config"]["train"] == {"n_updates": 400, "diffusion_time": None}
    assert made.columns == {"timescale": "which", "status": "of the fit", "note": "details of the status"}
    assert made.summary["half_time/timescale"] == 2.0
    assert made.summary["law"] == {"value": 1.0, "low": "-inf", "high": 2.0, "status": "fitted", "note": ""}
    first, second, third = made.rows
    assert first == {
        "timescale": "tau_mem",
        "tau_first": "nan",  # a number of that column in this table, unlike n_train
        "level_times": [1.0, "nan"],
        "n_train": None,
        "far": "inf",
    }
    assert second["time"] == {"value": 3.0, "low": 0.0, "high": "inf", "status": "observed"}
    assert third["mean"]["status"] == "undetermined"
    assert third["mean"]["value"] == "nan"


def test_first_digits_has_a_row_for_each_image():
    seeds = [
        {"seed": 0, "step": [1, 2], "images": [{"image": 5}, {"image": 7}]},
        {"seed": 1, "step": [1, 2], "images": [{"image": 5}]},
    ]
    old = {
        "kind": "duplicates",
        "name": "first_digits",
        "command": "",
        "columns": {},
        "summary": {"level": 0.5},
    }
    made = record_of({**old, "settings": {}, "seeds": seeds})
    assert made.rows == ({"seed": 0, "image": 5}, {"seed": 0, "image": 7}, {"seed": 1, "image": 5})
    assert made.summary["seeds"] == [{"seed": 0, "step": [1, 2]}, {"seed": 1, "step": [1, 2]}]


HOSTILE = ["<img>", None, True, [], {}, [None], {"a": 1}, -1, 10**400, math.inf]


def answer(made):
    try:
        record_of(made)
    except InputError as error:
        return str(error)
    return ""


def places(value):
    entries = list(value.items()) if isinstance(value, dict) else list(enumerate(value))[:1]
    for key, entry in entries:
        yield value, key
        if isinstance(entry, dict | list):
            yield from places(entry)


@pytest.mark.parametrize("old", [OLD, TABLE], ids=["sweep", "table"])
@pytest.mark.parametrize(
    "value", ["<img>", None, True, [], {}, [None], {"a": 1}, -1, 10**400, math.inf], ids=str
)
def test_a_changed_file_of_version_1_is_taken_or_refused(old, value):
    changed = copy.deepcopy(old)
    for holder, key in list(places(changed)):
        before = holder[key]
        holder[key] = value
        assert answer(changed) == "" or answer(changed).isprintable()
        holder[key] = before


def test_a_file_of_version_1_is_written_as_version_2(tmp_path):
    path = tmp_path / "record.json"
    path.write_text(json.dumps(OLD))
    made = load_record(path)
    path.write_text(to_text(made))
    assert json.loads(path.read_text())["version"] == 2
    assert to_text(load_record(Path(path))) == to_text(made)


@pytest.mark.parametrize("old", [{}, {"kind": "coverage"}, {"kind": None, "columns": {}}])
def test_what_is_neither_is_refused(old):
    with pytest.raises(InputError, match="record.kind: expected a sweep or a table"):
        record_of(old)
