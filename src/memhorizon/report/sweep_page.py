"""The page of a sweep: its headline, the snapshot to use, times, trends, rules, and where it comes from."""

from collections.abc import Callable, Sequence

from memhorizon.experiments.run_directory import RunDir
from memhorizon.figures.reading import sweep_of
from memhorizon.records.sweep import SweepRecord
from memhorizon.report.page import Page, document
from memhorizon.report.parts import section, text_of
from memhorizon.report.sweep.facts import facts, origin
from memhorizon.report.sweep.headline import headline
from memhorizon.report.sweep.notes import differences, notes
from memhorizon.report.sweep.part import Part
from memhorizon.report.sweep.rules import rules, short_rules
from memhorizon.report.sweep.sentence import sentence
from memhorizon.report.sweep.snapshots import choices, snapshot_to_use
from memhorizon.report.sweep.times import losses, samples, times, times_of_runs, window
from memhorizon.report.sweep.trends import contrasts, growth

TAU = "<i>τ</i><sub>{}</sub>"
# the sections about runs that can be compared with each other, in the order of the page
SECTIONS: tuple[Callable[[Part], str], ...] = (
    window,
    times,
    choices,
    samples,
    times_of_runs,
    growth,
    contrasts,
    losses,
    rules,
)


def page(record: SweepRecord, runs: Sequence[RunDir] = ()) -> str:
    """Write the page of a sweep.

    Args:
        record: of the sweep.
        runs: its run directories, for the generated images; without them that part says so.

    Raises:
        InputError: if `record` is no record of a sweep, or a number in it cannot be drawn.
    """
    sweep_of(record)
    main = Part(record, runs, "main", 2)
    groups = [_group(other, runs, i) for i, other in enumerate(record.others, start=2)]
    parts = [
        f"<p>The claim: {_claim(record)}</p>" if record.claim else "",
        *_about(main),
        *groups,
        section("Where it comes from", *origin(record)),
    ]
    return document(record.name or "memhorizon", [_with_times(part) for part in parts])


def _with_times(part: str) -> str:
    """Markup in which both times are written as symbols with an index."""
    return part.replace("τ_gen", TAU.format("gen")).replace("τ_mem", TAU.format("mem"))


def _claim(record: SweepRecord) -> str:
    return text_of(record.claim).replace("tau_gen", "τ_gen").replace("tau_mem", "τ_mem")


def _about(part: Part) -> list[str]:
    """All about runs that can be compared: what was found, what is not in it, facts, sections."""
    found = [*_found(part.record), notes(part.record), facts(part.record)]
    return found + [write(part) for write in SECTIONS]


def _found(record: SweepRecord) -> list[str]:
    """The headline, the rules that it rests on, and what was found in words."""
    head = headline(record)
    interval = f" <span>{text_of(head.interval)}</span>" if head.interval else ""
    return [
        f'<p class="number">{text_of(head.number)}{interval}</p>',
        f'<p class="of">{text_of(head.words)}. {text_of(short_rules(record))}</p>',
        f'<p class="found">{text_of(sentence(record))}</p>',
        snapshot_to_use(record),
    ]


def _group(other: SweepRecord, runs: Sequence[RunDir], i: int) -> str:
    """Runs that cannot be compared with the first ones: what differs, and the same parts."""
    title = f'<span id="group-{i}">Runs with {differences(other)}</span>'
    why = "<p>These runs are not in the numbers above: they cannot be compared with the first ones.</p>"
    return section(title, why, *_about(Part(other, runs, f"group-{i}", 3)), *origin(other))


PAGE = Page(SweepRecord, page, sentence)
