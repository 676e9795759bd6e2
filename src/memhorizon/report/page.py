"""A sweep as one self-contained HTML page: no script, nothing loaded from elsewhere, same bytes each time."""

from collections.abc import Mapping, Sequence
from typing import Any

from memhorizon.experiments.run_directory import RunDir
from memhorizon.figures.records import reading
from memhorizon.records.check import check_record
from memhorizon.report.headline import headline
from memhorizon.report.ink import palette
from memhorizon.report.parts import section, text_of
from memhorizon.report.recorded import differs, facts, notes, origin
from memhorizon.report.sections import (
    choices,
    losses,
    rules,
    samples,
    short_rules,
    snapshot_to_use,
    times,
    times_of_runs,
    trends,
)
from memhorizon.report.style import CSS
from memhorizon.report.words import sentence

Row = Mapping[str, Any]
TAU = "<i>τ</i><sub>{}</sub>"


@reading()
def report(record: Any, runs: Sequence[RunDir] = ()) -> str:
    """Write the page.

    Args:
        record: of a sweep, as `experiments.record.record` makes it.
        runs: its run directories, for the generated images; without them that part says so.

    Returns:
        HTML text.

    Raises:
        InputError: if the record is no sweep, or an entry is missing or cannot be used.
    """
    others = check_record(record).get("others", ())
    name = text_of(record.get("name") or "memhorizon")
    parts = [
        f"<h1>{name}</h1>",
        f"<p>The claim: {_claim(record)}</p>" if record.get("claim") else "",
        *_found(record),
        notes(record),
        facts(record),
        *_sections(record, runs, "main", 2),
        *(_group(other, runs, i) for i, other in enumerate(others, start=2)),
        section("Where it comes from", *origin(record)),
    ]
    return _html(name, "\n".join(part for part in parts if part))


def _html(name: str, body: str) -> str:
    body = body.replace(" %", "\u00a0%")
    body = body.replace("τ_gen", TAU.format("gen")).replace("τ_mem", TAU.format("mem"))
    head = f'<meta charset="utf-8"><title>{name}</title>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}{view}<style>{CSS}{palette(body)}</style></head>\n'
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _claim(record: Row) -> str:
    return text_of(record["claim"]).replace("tau_gen", "τ_gen").replace("tau_mem", "τ_mem")


def _found(record: Row) -> list[str]:
    """The headline, the rules that it rests on, and what was found in words."""
    head = headline(record)
    interval = f" <span>{text_of(head.interval)}</span>" if head.interval else ""
    return [
        f'<p class="number">{text_of(head.number)}{interval}</p>',
        f'<p class="of">{text_of(head.words)}. {text_of(short_rules(record))}</p>',
        f'<p class="found">{text_of(sentence(record))}</p>',
        snapshot_to_use(record),
    ]


def _sections(record: Row, runs: Sequence[RunDir], name: str, level: int) -> list[str]:
    """The parts of the page about runs that can be compared with each other."""
    return [
        times(record, name, level),
        choices(record, level),
        samples(record, runs, name, level),
        times_of_runs(record, level),
        *trends(record, name, level),
        losses(record, name, level),
        rules(record, level),
    ]


def _group(other: Row, runs: Sequence[RunDir], i: int) -> str:
    """Runs that cannot be compared with the first ones: what differs, and the same parts."""
    title = f'<span id="group-{i}">Runs with {differs(other)}</span>'
    why = "<p>These runs are not in the numbers above: they cannot be compared with the first ones.</p>"
    parts = [*_found(other), notes(other), facts(other), *_sections(other, runs, f"group-{i}", 3)]
    return section(title, why, *parts, *origin(other))
