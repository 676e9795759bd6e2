"""Pairs by evidence, and a CSV file that neither a reader nor a spreadsheet takes for anything else."""

import csv
import io

import pytest

from memhorizon.auditing.pairs import COLUMNS, FORMULA, csv_of, harmless, pairs_of
from memhorizon.records.audit import AuditedSample, AuditRecord, ItemSet
from memhorizon.results import Fraction


def sample(index, p, *, name="x.png", statistic=0.1, is_copy=True):
    return AuditedSample(index, name, p, p, is_copy, False, "pixels", statistic, 2, "train/2.png", "flipped")


def record(samples):
    count = sum(one.is_copy for one in samples)
    total = len(samples)
    sets = tuple(ItemSet(name, name, total, (1, 8, 8), (1, 8, 8), "") for name in ("samples", "train"))
    share = Fraction.of(count, total)
    return AuditRecord(
        copies=share,
        guaranteed=share,
        null=None,
        fdr=0.05,
        n_reference=99,
        reference="train",
        resolution=0.01,
        smallest_reportable=1,
        confident=0,
        samples=tuple(samples),
        views=(),
        sets=sets,
    )


def test_copies_come_by_evidence_and_others_not_at_all():
    samples = [
        sample(0, 0.02, statistic=0.0),
        sample(1, 0.01, statistic=0.3),
        sample(2, 0.01, statistic=0.2),
        sample(3, 0.9, is_copy=False),
        sample(4, 0.01, statistic=0.2),
    ]
    rows = pairs_of(record(samples))
    assert [row["sample_index"] for row in rows] == [2, 4, 1, 0]
    assert all(tuple(row) == COLUMNS for row in rows)
    assert rows[0] == {
        "sample": "x.png",
        "train": "train/2.png",
        "p": 0.01,
        "q": 0.01,
        "view": "pixels",
        "edit": "flipped",
        "is_guaranteed": False,
        "statistic": 0.2,
        "sample_index": 2,
        "train_index": 2,
    }


def test_a_csv_file_is_read_back():
    names = ["a,b.png", 'a"b.png', "a;b.png", "α.png"]
    rows = pairs_of(record([sample(i, 0.01, name=name) for i, name in enumerate(names)]))
    read = list(csv.DictReader(io.StringIO(csv_of(rows))))
    assert [row["sample"] for row in read] == names
    assert [float(row["p"]) for row in read] == [0.01] * 4
    assert list(read[0]) == list(COLUMNS)
    assert csv_of([]).strip() == ",".join(COLUMNS)


@pytest.mark.parametrize("start", FORMULA)
def test_no_name_is_a_formula(start):
    for name in (f"{start}cmd|' /C calc'!A0.png", f"  {start}1+1"):
        text = csv_of(pairs_of(record([sample(0, 0.01, name=name)])))
        (row,) = csv.DictReader(io.StringIO(text))
        assert not row["sample"].strip().startswith(FORMULA)


@pytest.mark.parametrize(
    "name", ["a\nb.png", "a\r\nb", "\x1b[2J", "\u202egnp", b"\xff".decode(errors="surrogateescape")]
)
def test_a_name_is_one_printable_cell(name):
    text = csv_of(pairs_of(record([sample(0, 0.01, name=name)])))
    assert len(text.encode().splitlines()) == 2
    assert harmless(name).isprintable()
