"""The JSON Schema of a file of records, made from the types; docs/record.schema.json holds it.

    python dev/record_schema.py        (writes it)

It tells what `files.load_record` asks of each entry by itself. That an interval holds its value, that steps
rise and the like is asked by the types themselves and by `check`.
"""

import inspect
import json
import re
from collections.abc import Mapping
from enum import Enum
from typing import Literal, get_args, get_origin

import numpy as np

from memhorizon.records import codec
from memhorizon.records.files import FORMAT, KINDS, VERSION
from memhorizon.records.plain import Plain

Schema = dict[str, object]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
NUMBER: Schema = {"anyOf": [{"type": "number"}, {"enum": list(codec.NON_FINITE)}]}
SCALARS: dict[object, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"$ref": "#/$defs/number"},
    str: {"type": "string"},
    type(None): {"type": "null"},
}
ENTRY = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)$", re.MULTILINE)  # of a docstring's "Attributes:"


def record_schema() -> Schema:
    """The schema of a file: a sweep or a table, with the definitions that they are made of."""
    definitions: Schema = {"number": NUMBER}
    kinds = [_file(name, kind, definitions) for name, kind in KINDS.items()]
    return {
        "$schema": DIALECT,
        "title": f"A record of {FORMAT}, version {VERSION}",
        "description": "A number that is not finite is the text inf, -inf or nan; null is a missing value.",
        "oneOf": kinds,
        "$defs": definitions,
    }


def schema_text() -> str:
    """The schema as docs/record.schema.json holds it."""
    return json.dumps(record_schema(), indent=1) + "\n"


def _file(name: str, kind: type, definitions: Schema) -> Schema:
    """The entries of a record of one kind, with those that tell the format."""
    _of(kind, definitions)
    return {
        "properties": {"format": {"const": FORMAT}, "version": {"const": VERSION}, "kind": {"const": name}},
        "required": ["format", "version", "kind"],
        "$ref": f"#/$defs/{kind.__name__}",
    }


def _of(hint: object, definitions: Schema) -> Schema:
    """The schema of a type; dataclasses are put into `definitions`."""
    if hint in SCALARS:
        return SCALARS[hint]
    if hint in (Plain, object):
        return {}
    if codec.is_dataclass_type(hint):
        return _dataclass(hint, definitions)
    if getattr(hint, "array_type", None) is np.ndarray:
        return _array(len(getattr(hint, "dims", ())))
    if codec.is_class(hint) and issubclass(hint, Enum):
        return {"enum": [member.value for member in hint]}
    if codec.is_union(hint):
        return {"anyOf": [_of(inner, definitions) for inner in get_args(hint)]}
    return _container(hint, definitions)


def _container(hint: object, definitions: Schema) -> Schema:
    origin = get_origin(hint)
    inner = get_args(hint)
    if origin is Literal:
        return {"enum": list(inner)}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(inner[1], definitions)}
    if origin is tuple and inner[-1] is Ellipsis:
        return {"type": "array", "items": _of(inner[0], definitions)}
    raise TypeError(f"hint: expected one that a record may have, got {hint}")


def _array(axes: int) -> Schema:
    entry = SCALARS[float]
    for _ in range(axes):
        entry = {"type": "array", "items": entry}
    return entry


def _dataclass(kind: type, definitions: Schema) -> Schema:
    """A reference to the definition of a dataclass, which is made on first use."""
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # for those that hold values of their own type
        definitions[kind.__name__] = _definition(kind, definitions)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _definition(kind: type, definitions: Schema) -> Schema:
    described = _described(kind)
    properties = {
        name: {"description": described[name], **_of(hint, definitions)}
        if name in described
        else _of(hint, definitions)
        for name, hint in codec.entries_of(kind).items()
    }
    top = kind in KINDS.values()
    tags = dict.fromkeys(("format", "version", "kind"), True) if top else {}
    return {
        "description": (inspect.getdoc(kind) or "").split("\n\n")[0],
        "type": "object",
        "properties": {**tags, **properties},
        "required": sorted(codec.required_of(kind)),
        "additionalProperties": False,
    }


def _described(kind: type) -> dict[str, str]:
    """What the docstring of a dataclass says of each entry."""
    _, _, attributes = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    return {name: re.sub(r"\s+", " ", text) for name, text in ENTRY.findall(attributes)}
