"""Names of files that a page has to show and not to obey."""

from dataclasses import replace

from memhorizon.records.audit import DuplicateGroup
from memhorizon.records.sweep import Skipped

HOSTILE = (
    '<img src=x onerror="alert(1)">.png',
    "\u202egnp.exe\u2069.png",
    "a\nb\x1b[31m.png",
    "x" * 300 + ".png",
    "שלום_עולם.png",
    "&amp;</bdi>'\".png",
    "a %_τ_gen\u0000.png",
)


def renamed(record, names):
    """The record with these names in turn, for everything that has one."""
    turn = iter(names * (1 + 10 * len(record.samples) // len(names)))
    return replace(
        record,
        samples=tuple(replace(one, name=next(turn), nearest_name=next(turn)) for one in record.samples),
        most_copied=tuple(replace(one, name=next(turn)) for one in record.most_copied),
        duplicates=tuple(
            DuplicateGroup(group.items, tuple(next(turn) for _ in group.items)) for group in record.duplicates
        ),
        shared=tuple(replace(one, name=next(turn), train_name=next(turn)) for one in record.shared),
        sets=tuple(
            replace(one, source=next(turn), skipped=tuple(Skipped(n, f"no file {n}") for n in names))
            for one in record.sets
        ),
    )
