"""Files of records: one reader, one writer, a line for each entry, nothing half written."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import memhorizon as mh
from memhorizon.errors import InputError
from memhorizon.records.files import load_record, to_plain, to_text, write_record
from memhorizon.records.table import TableRecord

ROOT = Path(__file__).parents[2]
TABLE = TableRecord(
    name="t",
    command="c",
    columns={"x": "a number"},
    settings={},
    summary={"mean": 1.5},
    rows=({"x": 1.0}, {"x": "inf"}),
)


def test_a_table_is_read_as_it_was_written(tmp_path):
    path = write_record(TABLE, tmp_path / "deep" / "t.json")
    assert load_record(path) == TABLE
    assert mh.load_record(str(path)) == TABLE
    assert [entry.name for entry in path.parent.iterdir()] == ["t.json"]


def test_each_row_has_a_line():
    lines = to_text(TABLE).splitlines()
    assert '  {"x": 1.0},' in lines
    assert '  {"x": "inf"}' in lines
    longer = to_text(replace(TABLE, rows=(*TABLE.rows, {"x": 3.0}))).splitlines()
    assert len(longer) == len(lines) + 1


def test_the_head_tells_the_format():
    assert list(to_plain(TABLE).items())[:3] == [("format", "memhorizon"), ("version", 2), ("kind", "table")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is no record: expected JSON"),
        (b"[]", "expected an object"),
        (b"\xff", "is damaged"),
        (b'{"version": 2, "kind": "table", "name": NaN}', "is no record"),
        (b"[" * 100_000, "is no record"),
        (
            b'{"version": 2, "kind": "novel"}',
            "record.kind: expected one of sweep, table, audit, monitor, forecast, plan, got 'novel'",
        ),
        (b'{"version": 99, "kind": "table"}', "record.version: expected one up to 2, got 99"),
        (b'{"format": "other"}', "record.format: expected 'memhorizon', got 'other'"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path, content, message):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_record(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    for path in (tmp_path / "none.json", tmp_path, "a\0b"):
        with pytest.raises(InputError, match="path|file"):
            load_record(path)


def test_only_records_are_written(tmp_path):
    with pytest.raises(InputError, match="record: expected one of SweepRecord, .*PlanRecord, got dict"):
        to_plain({"kind": "table"})
    with pytest.raises(InputError, match="plain form"):
        write_record(replace(TABLE, summary={"a": object()}), tmp_path / "t.json")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["n_digits", "rates"])
def test_committed_files_are_json_of_finite_numbers(name):
    def refuse(constant):
        raise AssertionError(constant)

    json.loads((ROOT / "results" / f"{name}.json").read_text(), parse_constant=refuse)
