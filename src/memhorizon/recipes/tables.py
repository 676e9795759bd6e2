"""Rows of recipes: typed while they are worked with, plain in the record, with the meaning of each column.

    @dataclass(frozen=True, kw_only=True)
    class RunRow:
        part: Annotated[Literal["run"], "one training"] = "run"
        n_train: Annotated[int, "number of training items"]

What a column means is written once, in the annotation of its field. Where a table has rows of several kinds,
each kind has a field `part` whose default tells it from the others.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from typing import Annotated, TypeVar, get_args, get_origin, get_type_hints

from memhorizon.errors import InputError
from memhorizon.experiments.recipe import Found
from memhorizon.records.codec import decode, encode, show
from memhorizon.records.plain import Plain
from memhorizon.records.table import TableRecord

Row = TypeVar("Row")
Key = TypeVar("Key", bound=Hashable)
DIGITS = 7  # significant ones that a record keeps
PART = "part"


def table(
    name: str,
    rows: Sequence[object],
    kinds: Sequence[type],
    *,
    settings: Mapping[str, object],
    summary: Mapping[str, object] | None = None,
) -> TableRecord:
    """The record of some rows.

    Args:
        name: of the record.
        rows: dataclasses of these kinds.
        kinds: of the rows; they give the columns.
        settings: what was run, seeds included.
        summary: figures drawn from the rows.
    """
    return TableRecord(
        name,
        command="",
        columns=columns_of(kinds),
        settings=_plain_object(settings),
        summary=_plain_object(summary or {}),
        rows=tuple(plain_row(row) for row in rows),
    )


def found_table(
    name: str,
    rows: Sequence[object],
    kinds: Sequence[type],
    *,
    settings: Mapping[str, object],
    summary: Mapping[str, object] | None = None,
) -> Found:
    """What a recipe gives whose record has these rows, made here and now; see `table`."""
    return Found(table(name, rows, kinds, settings=settings, summary=summary))


def rows_of(record: object, name: str, kinds: Sequence[type[Row]]) -> list[Row]:
    """The rows of a record, typed again.

    Raises:
        InputError: if it is the record of another recipe, has no rows, or a row is none of these kinds.
    """
    found = _table_named(record, name)
    if not found.rows:
        raise InputError(f"record: expected rows in {name!r}, got none")
    return typed_rows(found.rows, kinds)


def typed_rows(rows: Sequence[Mapping[str, Plain]], kinds: Sequence[type[Row]]) -> list[Row]:
    """Plain rows typed: each of the kind that its part names, else of the first that has all its entries.

    Raises:
        InputError: if a row is none of these kinds.
    """
    return [_typed(row, kinds, f"record.rows[{i}]") for i, row in enumerate(rows)]


def of_kind(rows: Sequence[object], kind: type[Row]) -> list[Row]:
    """The rows that are of this kind."""
    return [row for row in rows if isinstance(row, kind)]


def grouped(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    """The rows by a key, in order of its appearance.

    >>> grouped([3, 4, 5], lambda n: n % 2)
    {1: [3, 5], 0: [4]}
    """
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def entries(row: object, *names: str) -> dict[str, object]:
    """Some entries of a row."""
    return {name: getattr(row, name) for name in names}


def columns_of(kinds: Sequence[type]) -> dict[str, str]:
    """The meaning of each column; where it depends on the kind of the row, for each kind.

    Raises:
        InputError: if a field has no meaning.
    """
    meanings: dict[str, dict[str, str]] = {}
    for kind in kinds:
        for entry, hint in get_type_hints(kind, include_extras=True).items():
            meanings.setdefault(entry, {})[_part_of(kind)] = _meaning(hint, f"{kind.__name__}.{entry}")
    return {entry: _joined(by_part, entry == PART) for entry, by_part in meanings.items()}


def plain_row(row: object) -> dict[str, Plain]:
    """A row as plain values, its numbers cut to DIGITS; what is None by default is left out."""
    tree = encode(row)
    assert isinstance(tree, Mapping)
    left_out = _none_by_default(type(row))
    return {name: _cut(value) for name, value in tree.items() if not (value is None and name in left_out)}


def _none_by_default(kind: type) -> set[str]:
    return {entry.name for entry in _fields(kind) if entry.default is None}


def _table_named(record: object, name: str) -> TableRecord:
    """The record, if it is the table of this name."""
    if isinstance(record, TableRecord) and record.name == name:
        return record
    got = repr(record.name) if isinstance(record, TableRecord) else f"a {type(record).__name__}"
    raise InputError(f"record: expected the table of {name!r} (load_record gives one), got {got}")


def _meaning(hint: object, where: str) -> str:
    if get_origin(hint) is not Annotated:
        raise InputError(f"{where}: expected Annotated[type, meaning], got {hint!r}")
    return get_args(hint)[1]


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


def _typed(row: Mapping[str, Plain], kinds: Sequence[type[Row]], where: str) -> Row:
    by_part = {_part_of(kind): kind for kind in kinds}
    if "" in by_part:
        return decode(row, _with_entries(kinds, row), where)
    part = row.get(PART, "")
    if not isinstance(part, str) or part not in by_part:
        raise InputError(f"{where}.{PART}: expected one of {sorted(by_part)}, got {show(part)}")
    return decode(row, by_part[part], where)


def _with_entries(kinds: Sequence[type[Row]], names: Iterable[str]) -> type[Row]:
    """The first kind that has all these entries; where none has, the first, which says what is wrong."""
    wanted = set(names)
    fitting = [kind for kind in kinds if wanted <= {entry.name for entry in _fields(kind)}]
    return (fitting or kinds)[0]


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
