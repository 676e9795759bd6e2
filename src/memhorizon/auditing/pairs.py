"""The samples that are copies beside their training items, as rows and as a CSV file."""

import csv
import io
from collections.abc import Sequence
from typing import TypeAlias

from memhorizon.files.bounds import printable
from memhorizon.records.audit import AuditedSample, AuditRecord

Cell: TypeAlias = str | int | float | bool
Row: TypeAlias = dict[str, Cell]

COLUMNS = (
    *("sample", "train", "p", "q", "view", "edit"),
    *("is_guaranteed", "statistic", "sample_index", "train_index"),
)
# What a spreadsheet takes for the beginning of a formula, in half and in full width.
FORMULA = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")


def pairs_of(record: AuditRecord) -> list[Row]:
    """One row for each copy, the strongest evidence first: by p, then by the statistic, then in order."""
    copies = [one for one in record.samples if one.is_copy]
    return [_row(one) for one in sorted(copies, key=lambda one: (one.p, one.statistic, one.index))]


def _row(one: AuditedSample) -> Row:
    cells = (
        *(one.name, one.nearest_name, one.p, one.q, one.view, one.edit),
        *(one.is_guaranteed, one.statistic, one.index, one.nearest),
    )
    return dict(zip(COLUMNS, cells, strict=True))


def csv_of(rows: Sequence[Row]) -> str:
    """Rows of pairs as a CSV file with a line of names; texts as they can be printed.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in rows:
        table.writerow([_cell(row[name]) for name in COLUMNS])
    return file.getvalue()


def _cell(value: Cell) -> Cell:
    return harmless(value) if isinstance(value, str) else value


def harmless(text: str) -> str:
    """A text that no spreadsheet computes.

    >>> harmless("=HYPERLINK(0)"), harmless("a-b.png")
    ("'=HYPERLINK(0)", 'a-b.png')
    """
    shown = printable(text)
    return f"'{shown}" if shown.lstrip().startswith(FORMULA) else shown
