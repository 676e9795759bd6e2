"""What an audit found, in words for a terminal or a log: three answers that are kept apart."""

from memhorizon.auditing.leaning import MEMBERSHIP
from memhorizon.records.audit import AuditRecord
from memhorizon.report.audit.verdict import sentence, undecided
from memhorizon.report.audit.words import few_for_null, share_of, share_text_of


def summary(record: AuditRecord) -> str:
    """A line for each answer and for each thing that one has to know about them."""
    unsure = [f"Undecided: {line}" for line in undecided(record)]
    lines = [f"Copies: {sentence(record)}", *unsure, f"Share: {_share(record)}", *_facts(record)]
    return "\n".join([*lines, f"Leaning: {_leaning(record)}", f"Membership: {MEMBERSHIP}"])


def _share(record: AuditRecord) -> str:
    """The share of copies with its interval, beside what the same rule reports of honest items."""
    null = few_for_null(record)
    if record.null is not None:
        null = f"its null, the same rule among held-out items, is {share_of(record.null)}"
    return f"{share_text_of(record.copies)} of the samples are reported; {null}."


def _facts(record: AuditRecord) -> list[str]:
    """Duplicates, held-out items that were trained on, and what could not be used."""
    return [*_duplicates(record), *_shared(record), *_skipped(record)]


def _duplicates(record: AuditRecord) -> list[str]:
    if not record.duplicates:
        return []
    items = sum(len(group.items) for group in record.duplicates)
    rule = f" ({record.duplicate_rule})" if record.duplicate_rule else ""
    return [
        f"Duplicates: {items:,} training items are {_counted(len(record.duplicates), 'group')} of "
        f"duplicates, each of which counts as one item{rule}."
    ]


def _shared(record: AuditRecord) -> list[str]:
    if not record.shared:
        return []
    verb = "is" if len(record.shared) == 1 else "are"
    return [
        f"Shared: {_counted(len(record.shared), 'held-out item')} {verb} in the training set as well, "
        "and left out of the null."
    ]


def _skipped(record: AuditRecord) -> list[str]:
    skipped = ", ".join(f"{len(one.skipped):,} of {one.name}" for one in record.sets if one.skipped)
    if not skipped:
        return []
    return [f"Skipped: {skipped} could not be used and are not counted; the record lists them."]


def _leaning(record: AuditRecord) -> str:
    found = record.leaning
    if found is None:
        return "not measured, for it takes held-out items to compare with."
    return (
        f"{100 * found.share:.1f} % of {found.n_samples:,} samples are nearer to one of {found.n_items:,} "
        f"training items than to one of as many held-out ones; without leaning it is {100 * found.low:.1f} "
        f"to {100 * found.high:.1f} % (p = {found.p:.2g}). Leaning is not copying."
    )


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
