"""What the reader has to know before the numbers: runs, files and items that are not in them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from memhorizon.figures.labels import label_of
from memhorizon.figures.reading import quality_label
from memhorizon.records.sweep import DataFacts, Duplicates, RunRecord, SweepRecord
from memhorizon.report.parts import folded, paragraphs, text_of
from memhorizon.report.words import counted


def notes(record: SweepRecord) -> str:
    """A list; empty where there is nothing to say."""
    lines = [*_left_out(record), *_others(record), *_counted(record.runs, _of_data), *_of_quality(record)]
    return paragraphs(lines, kind="notes")


def differences(other: SweepRecord) -> str:
    """What tells a group of runs from the first one."""
    pairs = [f"{text_of(label_of(name))} = {text_of(value)}" for name, value in other.differs.items()]
    return ", ".join(pairs) or "another configuration"


def _left_out(record: SweepRecord) -> list[str]:
    missing = record.left_out
    if not missing:
        return []
    total = len(missing) + sum(len(one.runs) for one in (record, *record.others))
    are = "is" if len(missing) == 1 else "are"
    reasons = [f"<code>{text_of(run.key)}</code>: {text_of(run.reason)}" for run in missing]
    return [folded(f"{len(missing)} of {total} runs {are} not in this page", paragraphs(reasons))]


def _others(record: SweepRecord) -> list[str]:
    """One line per further group, with the way to its part of the page."""
    return [
        f"{counted(len(other.runs), 'run')} cannot be compared with these and "
        f"{'is' if len(other.runs) == 1 else 'are'} shown apart: "
        f'<a href="#group-{i}">{differences(other)}</a>'
        for i, other in enumerate(record.others, start=2)
    ]


def _of_quality(record: SweepRecord) -> list[str]:
    """What limits the quality that tau_gen is read from."""
    label = text_of(quality_label(record))

    def limits(run: RunRecord) -> list[str]:
        note = run.notes.get(record.rules.curve)
        return [f"{label}: {text_of(note)}"] if note else []

    return _counted(record.runs, limits)


def _counted(runs: Sequence[RunRecord], lines_of: Callable[[RunRecord], Sequence[str]]) -> list[str]:
    """What is said of runs, each line once with the number of runs that it holds for."""
    counts = Counter(line for run in runs for line in lines_of(run))
    return [_with_count(line, count, len(runs)) for line, count in counts.items()]


def _with_count(line: str, count: int, total: int) -> str:
    return line + (f" ({count} of {counted(total, 'run')})" if count < total else "")


def _of_data(run: RunRecord) -> list[str]:
    """Files passed over, and duplicates."""
    data = run.data
    lines = []
    if data.n_skipped:
        lines.append(_skipped(data))
    if data.ignored:
        lines.append(_ignored(data.ignored))
    if data.duplicates is not None and data.duplicates.items:
        lines.append(_duplicates(data.duplicates, data.n_train))
    return lines


def _skipped(data: DataFacts) -> str:
    """How many files could not be read, with the first names."""
    of = f" of {data.n_files:,}" if data.n_files else ""
    listed = [f"<code>{text_of(file.name)}</code>: {text_of(file.reason)}" for file in data.skipped]
    more = data.n_skipped - len(listed)
    if listed and more > 0:
        listed.append(f"and {more:,} more")
    summary = f"{data.n_skipped:,}{of} files of the data could not be read and are not used"
    return folded(summary, paragraphs(listed)) if listed else summary


def _ignored(ignored: Mapping[str, int]) -> str:
    """How many files were passed over, by suffix."""
    kinds = [f"{text_of(suffix or 'without suffix')} ({count:,})" for suffix, count in ignored.items()]
    total = sum(ignored.values())
    return f"{total:,} files beside the data were not read, by their suffix: {', '.join(kinds)}"


def _duplicates(found: Duplicates, n_train: int | None) -> str:
    """How many items are duplicates, and which were left out for it."""
    of = f" of {n_train:,}" if n_train else ""
    parts = [
        f"{found.items:,}{of} training items are duplicates of each other, in {found.groups:,} groups "
        f"(the largest of {found.largest:,}); a group counts as one item when copies are counted"
    ]
    left_out = {"holdout": found.left_out_of_holdout, "training": found.left_out_of_training}
    for name, count in left_out.items():
        if count:
            parts.append(f"{count:,} items were left out of the {name} set, as duplicates of the other set")
    rule = f". Rule: {text_of(found.rule)}" if found.rule else ""
    return "; ".join(parts) + rule
