"""Recipes of the theory run and go on where they were cut off; records say what their numbers are."""

import dataclasses
import functools
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from memhorizon import recipes
from memhorizon.errors import InputError
from memhorizon.experiments.executors import Inline
from memhorizon.recipes.tables import columns_of, rows_of, table, typed_rows
from memhorizon.records.files import load_record, record_of

ROOT = Path(__file__).parents[2]
NAMES = [
    "beside_digits",
    "exponent",
    "heatmap",
    "losses",
    "mixture",
    "noise_draws",
    "optimizers",
    "spectra",
    "steps",
    "third_group",
    "timescales",
]
NAMING = {"psi_n", "psi_p", "t", "variance", "separation", "step", "momentum"}  # rows are told apart by these
ROUNDING = 5e-7  # half a unit of the seventh digit of 1.000000, relative: what a record rounds a number by


def numbers_of(name):
    return import_module(f"memhorizon.recipes.theory_{name}.numbers")


@functools.cache
def committed(name):
    return load_record(ROOT / "results" / "theory" / f"{name}.json")


def made(name, tmp_path, work="runs"):
    recipe = recipes.load(f"theory_{name}")
    path = recipe.run(tmp_path, "tiny", root=tmp_path / work, records=ROOT / "results", executor=Inline())
    return path, load_record(path)


@pytest.mark.parametrize("name", NAMES)
def test_the_tiny_twin_is_written_read_and_drawn(name, tmp_path):
    path, record = made(name, tmp_path)
    assert path == tmp_path / "theory" / f"{name}-tiny.json"
    assert record.tiny
    assert record.command == f"memhorizon reproduce theory_{name} --size tiny"
    assert {entry for row in record.rows for entry in row} <= set(record.columns)
    pictures = recipes.figures_of(record)
    assert pictures.keys() == recipes.load(f"theory_{name}").figures.keys()
    for label, picture in pictures.items():
        if (name, label) != ("losses", "check"):  # one dimension is no line
            assert picture.frame()


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_record_is_a_full_run_with_the_columns_of_the_code(name):
    record = committed(name)
    assert not record.tiny
    assert record.name == name
    assert record.command == f"memhorizon reproduce theory_{name}"
    assert record.columns == columns_of(numbers_of(name).ROWS)
    assert {entry for row in record.rows for entry in row} <= set(record.columns)


def rounded_anew(value, name, generator):
    """The same value with every number moved as far as a record may round it."""
    if name in NAMING or isinstance(value, bool | int | str) or value is None:
        return value
    if dataclasses.is_dataclass(value):
        entries = {
            entry.name: rounded_anew(getattr(value, entry.name), entry.name, generator)
            for entry in dataclasses.fields(value)
        }
        return dataclasses.replace(value, **entries)
    if isinstance(value, tuple):
        return tuple(rounded_anew(entry, "", generator) for entry in value)
    factor = 1 + ROUNDING * generator.uniform(-1, 1, np.shape(value))
    return value * factor


def leaves(tree, where=""):
    if isinstance(tree, dict):
        for name, entry in tree.items():
            yield from leaves(entry, f"{where}.{name}")
    elif isinstance(tree, list | tuple):
        for i, entry in enumerate(tree):
            yield from leaves(entry, f"{where}[{i}]")
    else:
        yield where, {"inf": np.inf, "-inf": -np.inf, "nan": np.nan}.get(tree, tree)


@pytest.mark.parametrize("name", [n for n in NAMES if hasattr(numbers_of(n), "summarise")])
def test_the_committed_summary_follows_from_the_committed_rows(name):
    """It was computed from the rows before they were rounded: it lies within what rounding moves it by."""
    record = committed(name)
    module = numbers_of(name)
    rows = typed_rows(record.rows, module.ROWS)
    generator = np.random.default_rng(0)
    moved = [[rounded_anew(row, "", generator) for row in rows] for _ in range(4)]
    found, *others = (
        dict(leaves(table(name, (), module.ROWS, settings={}, summary=module.summarise(some)).summary))
        for some in (rows, *moved)
    )
    given = dict(leaves(record.summary))
    added = {where for where in found if where.endswith(".confidence")}
    assert found.keys() - added == given.keys()
    for where, value in given.items():
        if not isinstance(value, float) or not np.isfinite(value):
            assert found[where] is value or found[where] == value or np.isnan([found[where], value]).all()
            continue
        reach = max(abs(other[where] - found[where]) for other in others)
        # a normal sum of rounding errors is beyond 4 times the largest of four draws once in 10^3 numbers
        # even where all numbers are rounded by the most; on average the errors are a third of it
        assert abs(value - found[where]) <= 4 * reach + 2 * ROUNDING * abs(value), where


def test_a_part_that_is_done_is_read_and_one_with_other_settings_is_made_again(tmp_path):
    _, first = made("exponent", tmp_path)
    part = tmp_path / "runs" / "theory_exponent-tiny" / "true-psi_n4.json"
    found = json.loads(part.read_text())
    found["found"]["rows"][0]["minimum"] = 0.125
    part.write_text(json.dumps(found))
    _, second = made("exponent", tmp_path)
    assert second.rows[:-1] == first.rows[:-1]
    assert second.rows[-1]["minimum"] == 0.125
    found["settings"]["arguments"][-1] += 1
    part.write_text(json.dumps(found))
    _, third = made("exponent", tmp_path)
    assert third.rows == first.rows


@pytest.mark.parametrize("name", NAMES)
def test_another_record_is_refused(name):
    other = committed("steps" if name != "steps" else "mixture")
    for draw in recipes.load(f"theory_{name}").figures.values():
        with pytest.raises(InputError, match=f"expected the table of '{name}'"):
            draw(other)


def test_rows_that_are_missing_or_damaged_are_refused():
    record = committed("steps")
    kinds = numbers_of("steps").ROWS
    with pytest.raises(InputError, match="expected rows in 'steps', got none"):
        rows_of(dataclasses.replace(record, rows=()), "steps", kinds)
    damaged = {name: entry for name, entry in record.rows[0].items() if name != "tau"}
    with pytest.raises(InputError, match=r"rows\[0\].*tau"):
        rows_of(dataclasses.replace(record, rows=(damaged,)), "steps", kinds)
    with pytest.raises(InputError, match=r"rows\[0\]\.tau"):
        rows_of(dataclasses.replace(record, rows=({**record.rows[0], "tau": "late"},)), "steps", kinds)


def test_a_file_of_version_1_is_drawn_as_the_record_that_it_was():
    """It was called clocks, and null was what is nan now."""
    record = committed("timescales")
    rows = [{name: old(value) for name, value in row.items()} for row in record.rows]
    file = {"name": "clocks", "command": "", "columns": {}, "settings": {}, "summary": {}, "rows": rows}
    upgraded = record_of(file)
    assert upgraded.rows == record.rows
    (picture,) = recipes.figures_of(upgraded).values()
    (today,) = recipes.figures_of(record).values()
    assert str(picture.frame()) == str(today.frame())


def old(value):
    """A value as version 1 wrote it."""
    if isinstance(value, list):
        return [old(entry) for entry in value]
    return None if value == "nan" else value
