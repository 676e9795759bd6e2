"""Files of records: one format, one writer, one reader.

    {"format": "memhorizon", "version": 2, "kind": "sweep", ...}
    kinds: sweep, table, audit, monitor, forecast, plan

A file may come from a stranger: its size and depth are bounded, every entry is checked against its type
(docs/record.schema.json), and the first that is wrong is named. Files of version 1 are read as well.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from memhorizon.errors import InputError
from memhorizon.files.plain import check_path, parse_json, read_text, write_at
from memhorizon.records.audit import AuditRecord
from memhorizon.records.check import check_sweep
from memhorizon.records.codec import check_plain, decode, encode_object, show
from memhorizon.records.forecast import ForecastRecord
from memhorizon.records.monitor import MonitorRecord
from memhorizon.records.plain import Plain
from memhorizon.records.plan import PlanRecord
from memhorizon.records.sweep import SweepRecord
from memhorizon.records.table import TableRecord
from memhorizon.records.upgrade import upgrade

Record = SweepRecord | TableRecord | AuditRecord | MonitorRecord | ForecastRecord | PlanRecord
FORMAT = "memhorizon"
VERSION = 2
HEAD = ("format", "version", "kind")
KINDS: dict[str, type[Record]] = {
    "sweep": SweepRecord,
    "table": TableRecord,
    "audit": AuditRecord,
    "monitor": MonitorRecord,
    "forecast": ForecastRecord,
    "plan": PlanRecord,
}


def load_record(path: Path | str) -> Record:
    """Read a record: that of a sweep, a table, an audit, a monitored training, a forecast or a plan.

    Raises:
        InputError: if there is no such file, it is no record, or an entry of it is wrong; the entry is named.
    """
    path = check_path("path", path)
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise InputError(f"path: cannot read the record {str(path)!r}: {error}") from error
    return record_of(parse_json(text, f"path: {path} is no record"))


def record_of(tree: object) -> Record:
    """A record from the plain values of its file.

    Raises:
        InputError: as `load_record`.
    """
    check_plain(tree)
    entries = _in_this_version(tree)
    record = decode(_content(entries), KINDS[_kind(entries)])
    return check_sweep(record) if isinstance(record, SweepRecord) else record


def _in_this_version(tree: object) -> dict[str, object]:
    """The entries of a file, those of version 1 with the names of today."""
    if not isinstance(tree, Mapping):
        raise InputError(f"record: expected an object, got {show(tree)}")
    _check_format(tree)
    return dict(tree if _version(tree) == VERSION else upgrade(tree))


def _check_format(tree: Mapping[str, Plain]) -> None:
    if tree.get("format", FORMAT) != FORMAT:
        raise InputError(f"record.format: expected {FORMAT!r}, got {show(tree['format'])}")


def _version(tree: Mapping[str, Plain]) -> Plain:
    version = tree.get("version", 1)
    if version not in (1, VERSION) or isinstance(version, bool):
        raise InputError(f"record.version: expected one up to {VERSION}, got {show(version)}")
    return version


def _kind(entries: Mapping[str, object]) -> str:
    kind = entries.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"record.kind: expected one of {', '.join(KINDS)}, got {show(kind)}")
    return kind


def _content(entries: Mapping[str, object]) -> dict[str, object]:
    """What a record has beside its head."""
    return {name: entry for name, entry in entries.items() if name not in HEAD}


def write_record(record: Record, path: Path | str) -> Path:
    """Write a record to a file, whole or not at all; folders are made.

    Raises:
        InputError: if it is no record, or something in it has no plain form.
    """
    path = check_path("path", path)
    write_at(path, to_text(record).encode())
    return path


def to_plain(record: Record) -> dict[str, Plain]:
    """The plain values of the file of a record.

    Raises:
        InputError: if it is no record.
    """
    kinds = [name for name, kind in KINDS.items() if isinstance(record, kind)]
    if not kinds:
        names = ", ".join(kind.__name__ for kind in KINDS.values())
        raise InputError(f"record: expected one of {names}, got {type(record).__name__}")
    return {"format": FORMAT, "version": VERSION, "kind": kinds[0], **encode_object(record)}


def to_text(record: Record) -> str:
    """The file of a record: an entry, run or row has a line, so that a diff shows what is different."""
    tree = to_plain(record)
    lines = [f" {_dumps(name)}: {_lines(entry)}" for name, entry in tree.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _lines(entry: Plain) -> str:
    """An entry of the outermost object, with a line for each of its parts if it has several."""
    if isinstance(entry, Mapping) and entry:
        parts = [f"  {_dumps(name)}: {_dumps(part)}" for name, part in entry.items()]
        return "{\n" + ",\n".join(parts) + "\n }"
    if isinstance(entry, list) and entry:
        return "[\n" + ",\n".join(f"  {_dumps(part)}" for part in entry) + "\n ]"
    return _dumps(entry)


def _dumps(value: object) -> str:
    return json.dumps(value, allow_nan=False)
