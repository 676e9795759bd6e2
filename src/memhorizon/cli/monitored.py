"""What `watch` and `report` show of the folder of a monitor."""

import json
import math
import time
from pathlib import Path

from memhorizon.cli.terminal import check_reader
from memhorizon.errors import InputError
from memhorizon.monitor.keeping import RECORD
from memhorizon.records.files import load_record, to_plain
from memhorizon.records.monitor import Look, MonitorRecord
from memhorizon.report.audit.words import share_text_of
from memhorizon.report.monitor_page import sentence, write

SHOWN = 12  # looks that `watch` shows
REFRESH = 2.0  # seconds between two looks of `watch`
HEAD = f"{'step':>10}  {'held-out loss':>13}  {'gap':>7}  {'copies':>22}  verdict"


def is_monitored(path: Path) -> bool:
    """Whether a folder is that of a monitor."""
    return (path / RECORD).is_file()


def watch_monitor(path: Path, *, once: bool) -> int:
    """Show the state of a monitored training whenever it changes, until Ctrl-C is typed."""
    check_reader()
    shown = ""
    try:
        while True:
            text = _state(path)
            if text != shown:
                print(f"{text}\n", flush=True)
                shown = text
            if once:
                return 0
            time.sleep(REFRESH)
    except KeyboardInterrupt:
        return 0


def report_monitor(path: Path, *, as_json: bool) -> int:
    """Write the page of a monitored training into its folder."""
    record = _record(path)
    page = write(record, path / "report.html", root=path)
    print(json.dumps(to_plain(record)) if as_json else f"{sentence(record)}\nopen {page}")
    return 0


def _record(path: Path) -> MonitorRecord:
    """The record in the folder of a monitor.

    Raises:
        InputError: if it is another one.
    """
    record = load_record(path / RECORD)
    if not isinstance(record, MonitorRecord):
        raise InputError(f"path: expected the record of a monitor, got another in {str(path / RECORD)!r}")
    return record


def _state(path: Path) -> str:
    """The verdict, the checkpoint to use, and the last looks, as lines."""
    record = _record(path)
    head = f"{_verdict(record, record.name or path.absolute().name)} ({_about(record)})"
    looks = [_line(look) for look in record.looks[-SHOWN:]]
    return "\n".join([head, sentence(record), HEAD, *looks, *_sheet(record, path)])


def _verdict(record: MonitorRecord, name: str) -> str:
    stop = f", {record.verdict.stop}" if record.verdict.is_past else ""
    return f"{name}: {record.verdict.phase}{stop} after step {record.verdict.step:,}"


def _about(record: MonitorRecord) -> str:
    cost = "" if record.budget is None else f", {100 * record.overhead:.1f} % of the time of training"
    return f"{len(record.looks):,} looks{cost}"


def _sheet(record: MonitorRecord, path: Path) -> list[str]:
    """Where the last contact sheet is, if there is one."""
    sheets = [path / look.sheet for look in record.looks if look.sheet]
    return [f"samples beside the training set: {sheets[-1]}"] if sheets else []


def _line(look: Look) -> str:
    """One look."""
    loss = "" if math.isnan(look.holdout_loss) else f"{look.holdout_loss:.4g}"
    gap = "" if math.isnan(look.gap) else f"{100 * look.gap:.1f} %"
    copies = "" if look.copies is None else share_text_of(look.copies)
    return f"{look.step:>10,}  {loss:>13}  {gap:>7}  {copies:>22}  {look.phase}"
