"""The recipes of the theory section run, and the committed records say what their numbers are."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = [
    "beside_digits",
    "clocks",
    "exponent",
    "heatmap",
    "losses",
    "mixture",
    "noise_draws",
    "optimizers",
    "spectra",
    "steps",
    "third_group",
]
RECORDS = [path for name in NAMES if (path := ROOT / "results" / "theory" / f"{name}.json").exists()]


def well_formed(record):
    assert record["rows"]
    assert record["command"].startswith("memhorizon reproduce theory_")
    assert set(record["versions"]) >= {"numpy", "scipy", "memhorizon"}
    named = {key for row in record["rows"] for key in row}
    assert named <= set(record["columns"]), named - set(record["columns"])


@pytest.mark.parametrize("name", NAMES)
def test_tiny_twin_writes_a_record(name, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = import_module(f"memhorizon.recipes.theory_{name}").run(tmp_path, tiny=True)
    assert path == tmp_path / f"{name}-tiny.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["tiny"]
    well_formed(record)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_committed_record_is_a_full_run(path):
    record = json.loads(path.read_text(encoding="utf-8"))
    assert not record["tiny"]
    assert record["name"] == path.stem
    well_formed(record)
