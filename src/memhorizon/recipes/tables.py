"""Rows of recipes: typed while they are worked with, plain in the record, with the meaning of each column.

    @dataclass(frozen=True, kw_only=True)
    class RunRow:
        part: Annotated[Literal["run"], "one training"] = "run"
        n_train: Annotated[int, "number of training items"]

What a column means is written once, in the annotation of its field. Where a table has rows of several kinds,
each kind has a field `part` whose default tells it from the others.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from typing import Annotated, TypeVar, get_args, get_origin, get_type_hints

from memhorizon.errors import InputError
from memhorizon.records.codec import decode, encode, show
from memhorizon.records.plain import Plain
from memhorizon.records.table import TableRecord

Row = TypeVar("Row")
DIGITS = 7  # significant ones that a record keeps
PART = "part"


def table(
    name: str,
    rows: Sequence[object],
    kinds: Sequence[type],
    *,
    settings: Mapping[str, object],
    summary: Mapping[str, object] | None = None,
    environment: Mapping[str, Plain] | None = None,
    seconds: float | None = None,
) -> TableRecord:
    """The record of some rows.

    Args:
        name: of the record.
        rows: dataclasses of these kinds.
        kinds: of the rows; they give the columns.
        settings: what was run, seeds included.
        summary: figures drawn from the rows.
        environment: where it was made, if not in this process.
        seconds: that the work took, if not in this call.
    """
    return TableRecord(
        name,
        command="",
        columns=columns_of(kinds),
        settings=_plain_object(settings),
        summary=_plain_object(summary or {}),
        rows=tuple(plain_row(row) for row in rows),
        environment=environment or {},
        seconds=seconds,
    )


def rows_of(record: object, name: str, kinds: Sequence[type[Row]]) -> list[Row]:
    """The rows of a record, typed again.

    Raises:
        InputError: if it is the record of another recipe, has no rows, or a row is none of these kinds.
    """
    if not isinstance(record, TableRecord) or record.name != name:
        got = repr(record.name) if isinstance(record, TableRecord) else f"a {type(record).__name__}"
        raise InputError(f"record: expected the table of {name!r} (load_record gives one), got {got}")
    if not record.rows:
        raise InputError(f"record: expected rows in {name!r}, got none")
    by_part = {_part_of(kind): kind for kind in kinds}
    return [_typed(row, by_part, f"record.rows[{i}]") for i, row in enumerate(record.rows)]


def of_kind(rows: Sequence[object], kind: type[Row]) -> list[Row]:
    """The rows that are of this kind."""
    return [row for row in rows if isinstance(row, kind)]


def columns_of(kinds: Sequence[type]) -> dict[str, str]:
    """The meaning of each column; where it depends on the kind of the row, for each kind.

    Raises:
        InputError: if a field has no meaning.
    """
    meanings: dict[str, dict[str, str]] = {}
    for kind in kinds:
        for entry, hint in get_type_hints(kind, include_extras=True).items():
            if get_origin(hint) is not Annotated:
                raise InputError(f"{kind.__name__}.{entry}: expected Annotated[type, meaning], got {hint!r}")
            meanings.setdefault(entry, {})[_part_of(kind)] = get_args(hint)[1]
    return {entry: _joined(by_part, entry == PART) for entry, by_part in meanings.items()}


def plain_row(row: object) -> dict[str, Plain]:
    """A row as plain values, its numbers cut to DIGITS; what is None by default is left out."""
    tree = encode(row)
    assert isinstance(tree, Mapping)
    left_out = {entry.name for entry in _fields(type(row)) if entry.default is None}
    return {name: _cut(value) for name, value in tree.items() if not (value is None and name in left_out)}


def _plain_object(value: Mapping[str, object]) -> dict[str, Plain]:
    return {name: _cut(encode(entry)) for name, entry in value.items()}


def _cut(value: object) -> Plain:
    """The same with numbers of DIGITS significant digits."""
    if isinstance(value, Mapping):
        return {name: _cut(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_cut(entry) for entry in value]
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.{DIGITS}g}")
    assert value is None or isinstance(value, bool | int | float | str)
    return value


def _typed(row: Mapping[str, Plain], by_part: Mapping[str, type[Row]], where: str) -> Row:
    part = row.get(PART, "")
    if not isinstance(part, str) or part not in by_part:
        raise InputError(f"{where}.{PART}: expected one of {sorted(by_part)}, got {show(part)}")
    return decode(row, by_part[part], where)


def _part_of(kind: type) -> str:
    """The default of its field `part`; empty where it has none."""
    found = [entry.default for entry in _fields(kind) if entry.name == PART]
    return str(found[0]) if found and found[0] is not MISSING else ""


def _fields(kind: type) -> Sequence[Field[object]]:
    return fields(kind)  # pyright: ignore[reportArgumentType]


def _joined(by_part: Mapping[str, str], always: bool) -> str:
    """One meaning where all kinds agree, else that of each."""
    if len(set(by_part.values())) == 1 and not always:
        return next(iter(by_part.values()))
    return "; ".join(f"{part}: {meaning}" for part, meaning in by_part.items())
