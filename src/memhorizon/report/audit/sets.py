"""The sets of an audit: most copied items, duplicates, held-out items in the training set, skipped files."""

from collections.abc import Sequence
from typing import TypeAlias

from memhorizon.records.audit import AuditRecord, DuplicateGroup, ItemSet, SharedItem
from memhorizon.report.audit.pictures import AuditPictures, Frames, Which, side_for
from memhorizon.report.audit.words import copies_text, items_word, name_of, short
from memhorizon.report.parts import folded, paragraphs, section, table, text_of

COPIED = 12  # training items on the page that are copied most
GROUPS = 6  # groups of duplicates of which pictures are shown, the largest
OF_GROUP = 4  # pictures of each
PAIRS = 8  # held-out items that are shown beside the training item
ROWS = 100  # of a table that is folded
FILES = 50  # skipped files that are named
NAMES = {"samples": "samples", "train": "training set", "holdout": "held-out set"}
SHELVED = COPIED + GROUPS * OF_GROUP + 2 * PAIRS  # small pictures at most
BYTES = 900_000  # that they take at most
Place: TypeAlias = tuple[Which, int]
ALTERNATIVES: dict[Which, str] = {
    "samples": "sample",
    "train": "training image",
    "holdout": "held-out image",
}


def most_copied(record: AuditRecord, pictures: AuditPictures | None) -> str:
    """The training items with the most copies."""
    found = sorted(record.most_copied, key=lambda one: (-one.copies, one.index))
    if not found:
        return ""
    first = found[:COPIED]
    left = len(found) - len(first)
    words = [f"<b>{copies_text(one.copies)}</b><br>{name_of(one.name)}" for one in first]
    shown = _shelf(pictures, [("train", one.index) for one in first], words)
    more = f"<p>{left:,} further training {items_word(record)} have copies.</p>" if left else ""
    return section(f"The training {items_word(record)} that are copied most", shown, more)


def duplicates(record: AuditRecord, pictures: AuditPictures | None) -> str:
    """Groups of training items that count as one: their number, the rule, the largest."""
    groups = sorted(record.duplicates, key=lambda group: (-len(group.items), group.items))
    rule = f" Rule: {text_of(record.duplicate_rule.rstrip('.'))}." if record.duplicate_rule else ""
    items = items_word(record)
    title = "Duplicates in the training set"
    if not groups:
        return section(title, f"<p>None was found among the training {items}.{rule}</p>" if rule else "")
    total = sum(len(group.items) for group in groups)
    said = (
        f"<p>{total:,} training {items} are in {len(groups):,} {'group' if len(groups) == 1 else 'groups'} "
        f"of duplicates; a group counts as one {items_word(record, 1)}.{rule}</p>"
    )
    return section(title, said, *_largest(groups, pictures), _all_groups(groups))


def _largest(groups: Sequence[DuplicateGroup], pictures: AuditPictures | None) -> list[str]:
    """Pictures of the largest groups, side by side."""
    if pictures is None or not pictures.are_images:
        return []
    shelves = [
        _shelf(
            pictures,
            [("train", index) for index in group.items[:OF_GROUP]],
            [name_of(name) for name in group.names[:OF_GROUP]],
            title=_alike(len(group.items)),
        )
        for group in groups[:GROUPS]
    ]
    return [_side_by_side(shelves)]


def _alike(count: int) -> str:
    """The title of a group.

    >>> _alike(2), _alike(70)
    ('2 alike', '70 alike, the first 4')
    """
    return f"{count:,} alike" + (f", the first {OF_GROUP}" if count > OF_GROUP else "")


def _side_by_side(shelves: Sequence[str]) -> str:
    return f'<div class="shelves">{"".join(shelves)}</div>'


def _all_groups(groups: Sequence[DuplicateGroup]) -> str:
    rows = [[f"{len(group.items):,}", *_few(group.names)] for group in groups[:ROWS]]
    left = len(groups) - len(rows)
    more = f"<p>{left:,} further groups are in the record.</p>" if left else ""
    return folded("All groups" if not left else "The largest groups", table(["size", "names"], rows) + more)


def _few(names: Sequence[str]) -> list[str]:
    """The first names of a group in a cell."""
    left = len(names) - OF_GROUP
    return [", ".join(map(short, names[:OF_GROUP])) + (f" and {left:,} more" if left > 0 else "")]


def shared(record: AuditRecord, pictures: AuditPictures | None) -> str:
    """Held-out items that are in the training set."""
    holdout = record.set_named("holdout")
    if holdout is None:
        return ""
    items = items_word(record)
    title = f"Held-out {items} that are in the training set"
    found = sorted(record.shared, key=lambda one: (one.distance, one.index))
    if not found:
        return section(title, f"<p>None of {holdout.count:,}.</p>")
    said = (
        f"<p>{len(found):,} of {holdout.count:,} held-out {items}; they are left out of the null and of "
        "leaning. If these are your test set, their scores do not measure generalization.</p>"
    )
    rows = [[short(one.name), short(one.train_name), f"{one.distance:.4g}"] for one in found[:ROWS]]
    left = len(found) - len(rows)
    more = f"<p>{left:,} further ones are in the record.</p>" if left else ""
    listed = table(["held-out", "training", "distance"], rows) + more
    return section(title, said, *_shared_pairs(found, pictures), folded("By name", listed))


def _shared_pairs(found: Sequence[SharedItem], pictures: AuditPictures | None) -> list[str]:
    """Pictures of the nearest pairs, side by side."""
    if pictures is None or not pictures.are_images:
        return []
    shelves = [
        _shelf(
            pictures,
            [("holdout", one.index), ("train", one.train)],
            [name_of(one.name), name_of(one.train_name)],
        )
        for one in found[:PAIRS]
    ]
    return [_side_by_side(shelves)]


def _shelf(
    pictures: AuditPictures | None, places: Sequence[Place], words: Sequence[str], title: str = ""
) -> str:
    """Small pictures with words below each; a list where there are no pictures."""
    if pictures is None or not pictures.are_images:
        return paragraphs([line.replace("<br>", ": ") for line in words])
    frames = Frames(pictures, side_for(SHELVED, int(pictures.train.shape[1]), BYTES))
    shown = [
        f"<div>{frames.tag(which, index, ALTERNATIVES[which])}<span>{word}</span></div>"
        for (which, index), word in zip(places, words, strict=True)
    ]
    head = f"<h3>{title}</h3>" if title else ""
    return f'<div>{head}<div class="shelf">{"".join(shown)}</div></div>'


def skipped(record: AuditRecord) -> str:
    """What each set is, what could not be read, and what larger items were reduced to."""
    heads = ["", "used", "skipped", "other files", "size", "compared at"]
    rows = [
        [
            NAMES[one.name],
            f"{one.count:,}",
            f"{len(one.skipped):,}",
            f"{one.ignored:,}",
            size_text(one.shape),
            size_text(one.compared_at),
        ]
        for one in record.sets
    ]
    reduced = [one for one in record.sets if one.shape != one.compared_at]
    note = (
        "<p>Reduced before they were compared: details below that size play no part.</p>" if reduced else ""
    )
    notes = [f"{text_of(view.name)}: {text_of(view.note)}" for view in record.views if view.note]
    return section(
        "What was compared, and what was skipped",
        table(heads, rows),
        note,
        paragraphs(notes),
        *[_files(one) for one in record.sets if one.skipped],
    )


def size_text(shape: Sequence[int]) -> str:
    """The shape of an item in words.

    >>> size_text((3, 32, 48)), size_text((1, 28, 28)), size_text((10,))
    ('32 × 48 pixels, colour', '28 × 28 pixels, grey', '10 values')
    """
    if len(shape) != 3:
        return " × ".join(map(str, shape)) + " values" if shape else "1 value"
    kind = {1: "grey", 3: "colour"}.get(shape[0], f"{shape[0]} channels")
    return f"{shape[1]} × {shape[2]} pixels, {kind}"


def _files(one: ItemSet) -> str:
    """Files that could not be read."""
    lines = [
        f"{name_of(file.name)}{': ' if file.reason else ''}{text_of(file.reason)}"
        for file in one.skipped[:FILES]
    ]
    left = len(one.skipped) - len(lines)
    if left:
        lines.append(f"and {left:,} more, which the record names")
    count = len(one.skipped)
    summary = f"{count:,} {'file' if count == 1 else 'files'} of the {NAMES[one.name]} could not be read"
    return folded(summary, paragraphs(lines))
