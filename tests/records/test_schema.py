"""The schema of a file is that of the types, and the committed files are what it says."""

import json
from pathlib import Path

import pytest

from memhorizon.records.schema import record_schema, schema_text

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "record.schema.json").read_text())
TYPES = {
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "string": lambda v: isinstance(v, str),
    "null": lambda v: v is None,
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}


def valid(value, schema):
    """What JSON Schema (2020-12) says of those keywords that are used, written from its specification."""
    if schema is True:
        return True
    rules = {
        "$ref": lambda name: valid(value, SCHEMA["$defs"][name.removeprefix("#/$defs/")]),
        "type": lambda name: TYPES[name](value),
        "const": lambda one: type(value) is type(one) and value == one,
        "enum": lambda every: any(type(value) is type(one) and value == one for one in every),
        "anyOf": lambda every: any(valid(value, one) for one in every),
        "oneOf": lambda every: sum(valid(value, one) for one in every) == 1,
        "required": lambda names: not isinstance(value, dict) or set(names) <= set(value),
        "properties": lambda entries: (
            not isinstance(value, dict)
            or all(valid(value[name], one) for name, one in entries.items() if name in value)
        ),
        "items": lambda one: not isinstance(value, list) or all(valid(entry, one) for entry in value),
        "additionalProperties": lambda one: (
            not isinstance(value, dict)
            or all(
                one is not False and valid(entry, one)
                for name, entry in value.items()
                if name not in schema.get("properties", {})
            )
        ),
    }
    told = {"$schema", "title", "description", "$defs"}
    assert set(schema) <= set(rules) | told
    return all(rules[name](rule) for name, rule in schema.items() if name in rules)


def test_the_committed_schema_is_that_of_the_types():
    assert (ROOT / "docs" / "record.schema.json").read_text() == schema_text()


@pytest.mark.parametrize(
    "name", ["n_digits", "dropout_digits", "rates", "theory/losses", "benchmarks/nearest"]
)
def test_committed_records_are_valid(name):
    assert valid(json.loads((ROOT / "results" / f"{name}.json").read_text()), SCHEMA)


@pytest.mark.parametrize(
    ("entry", "value"),
    [("version", 1), ("kind", "table"), ("runs", {}), ("rules", None), ("extra", 1), ("seconds", "long")],
)
def test_others_are_not(entry, value):
    made = json.loads((ROOT / "results" / "dropout_digits.json").read_text())
    assert not valid({**made, "runs": made["runs"][:1], entry: value}, SCHEMA)


def test_each_entry_is_described():
    lacking = [
        f"{kind}.{name}"
        for kind, definition in record_schema()["$defs"].items()
        for name, entry in definition.get("properties", {}).items()
        if isinstance(entry, dict) and "description" not in entry
    ]
    assert [name for name in lacking if not name.startswith(("Skipped.", "LeftOut."))] == []
