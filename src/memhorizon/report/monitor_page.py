"""The page of a monitored training: verdict, checkpoint, course, signals, samples, other rules, facts."""

from pathlib import Path

from memhorizon.figures import monitor as drawn
from memhorizon.files.plain import write_at
from memhorizon.records.monitor import MonitorRecord
from memhorizon.report.monitor.facts import cost, looks, origin, rule
from memhorizon.report.monitor.others import others
from memhorizon.report.monitor.sheets import Find, SheetPictures, in_folder, sheets
from memhorizon.report.monitor.signals import course, evidence, signals
from memhorizon.report.monitor.style import CSS
from memhorizon.report.monitor.verdict import certificate, sentence, verdict
from memhorizon.report.page import Page, document

__all__ = ["PAGE", "SheetPictures", "html", "sentence", "write"]


def html(record: MonitorRecord, find: Find | None = None) -> str:
    """Write the page of a monitored training.

    Args:
        record: what was seen.
        find: gives the images of a contact sheet, or None where there are none; None: the page has none.

    Returns:
        HTML text of less than 6 MB: no script, nothing loaded from elsewhere, the same bytes each time.

    Raises:
        InputError: if `record` is no record of a monitored training, or the pictures are not those of the
            record.
    """
    drawn.monitor_of(record)
    parts = [
        *verdict(record),
        certificate(record),
        course(record),
        "" if find is None else sheets(record, find),
        others(record),
        signals(record),
        evidence(record),
        rule(record),
        looks(record),
        cost(record),
        origin(record),
    ]
    return document("memhorizon monitor", parts, css=CSS)


def write(record: MonitorRecord, path: Path, *, root: Path | None = None) -> Path:
    """Write the page to a file, whole or not at all, with the contact sheets in the folder of the monitor.

    Args:
        record: what was seen.
        path: of the page.
        root: folder of the monitor; None: the page has no contact sheets.

    Raises:
        InputError: as `html`, or if no file can be written at `path`.
    """
    page = html(record, None if root is None else in_folder(root))
    write_at(path, page.encode())
    return path


PAGE = Page(MonitorRecord, html, sentence)
