"""The end of a command: the record is written, the file to open named, what is missing said."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from memhorizon.cli.rules import RuleFlags
from memhorizon.cli.terminal import say
from memhorizon.cli.typed import command
from memhorizon.errors import InputError
from memhorizon.experiments.environment import timestamp
from memhorizon.experiments.record import read_again
from memhorizon.experiments.run_directory import RunDir
from memhorizon.figures.reading import QUALITY_NAMES
from memhorizon.files.plain import write_atomically
from memhorizon.records.files import Record, load_record, to_plain, write_record
from memhorizon.records.sweep import SweepRecord
from memhorizon.records.table import TableRecord
from memhorizon.report import report, sentence
from memhorizon.report.sweep_page import page as page_of_sweep
from memhorizon.timescales.rules import Rules

IMAGE = b"<img "


def finish(
    made: SweepRecord, runs: Sequence[RunDir], folder: Path, *, failed: str = "", as_json: bool = False
) -> int:
    """Write record and page, name the file to open, and say what is missing.

    Returns:
        The exit status: 1 where runs failed or are left out.
    """
    made = _stamped(made)
    write_record(made, folder / "record.json")
    page = folder / "report.html"
    write_atomically(page, page_of_sweep(made, runs).encode())
    if as_json:
        print(json.dumps(to_plain(made)))
    else:
        print(f"{sentence(made)}\n{rule_text(made.rules)}\nopen {page}")
    _say_what_is_apart(made)
    if failed:
        say(f"memhorizon: {failed}")
    return 1 if failed or made.left_out else 0


def _say_what_is_apart(made: SweepRecord) -> None:
    """Name the runs that do not compare with the others, and those that could not be read."""
    for other in made.others:
        _say_apart(other)
    for run in made.left_out:
        say(f"left out: {run.key}: {run.reason}")


def _say_apart(other: SweepRecord) -> None:
    entries = ", ".join(f"{name} = {value}" for name, value in other.differs.items())
    say(f"apart on the page, for they do not compare: {len(other.runs)} of the runs, with {entries}")


def page_beside(path: Path, rules: RuleFlags, *, as_json: bool = False) -> int:
    """Write the page of a record beside its file, and name the file to open.

    Raises:
        InputError: if a page with images is there, which a record does not hold, it is no record or one
            without a page, or rules were given for one that reads no times.
    """
    made = _read_by(load_record(path), rules)
    if isinstance(made, TableRecord):
        raise InputError(f"path: a table has no page; its pictures are drawn by memhorizon figure {path}")
    page = path.with_suffix(".html")
    content = report(made).encode()
    if page.is_file() and IMAGE not in content and IMAGE in page.read_bytes():
        raise InputError(f"path: {page} is there with images, which the record does not hold: move it first")
    write_atomically(page, content)
    print(json.dumps(to_plain(made)) if as_json else f"{sentence(made)}\nopen {page}")
    return 0


def _read_by(made: Record, rules: RuleFlags) -> Record:
    """A record, of a sweep with its times read by the rules that were given."""
    if not rules.are_given:
        return made
    if not isinstance(made, SweepRecord):
        raise InputError("rules: expected none but for the record of a sweep: this one reads no timescales")
    return read_again(made, rules.over(made.rules))


def _stamped(made: SweepRecord) -> SweepRecord:
    """The record with the time when it was made, and the command that made it."""
    return replace(made, command=command(), made=timestamp())


def rule_text(rules: Rules) -> str:
    """Say how both times were read.

    >>> rule_text(Rules(t=0.3))
    'tau_gen: held-out loss at t = 0.3, 5% above the worst run; tau_mem: f_mem 0.1 above its null'
    >>> rule_text(Rules(quality="my_fid"))
    'tau_gen: my_fid, 5% above the worst run; tau_mem: f_mem 0.1 above its null'
    """
    quality = QUALITY_NAMES.get(rules.quality, rules.quality)
    where = "" if rules.at is None else f" at t = {rules.at:g}"
    level = f"{100 * rules.tolerance:.3g}% above the {rules.relative_to} run"  # above its best value
    return f"tau_gen: {quality}{where}, {level}; tau_mem: f_mem {rules.memorized:g} above its null"
