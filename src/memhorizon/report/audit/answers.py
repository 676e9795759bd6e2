"""Three answers that are kept apart: copies, leaning towards the training set, membership."""

from memhorizon.auditing.leaning import MEMBERSHIP
from memhorizon.records.audit import AuditRecord, LeaningFacts
from memhorizon.report.audit.words import items_word, two_digits_text
from memhorizon.report.parts import section, text_of


def answers(record: AuditRecord) -> str:
    """A block for each answer: what it is, its number, what it does and does not say."""
    blocks = [
        _block("Copies", f"{record.copies.count:,} of {record.copies.total:,}", _copies()),
        _leaning(record),
        _block("Membership", "no statement", MEMBERSHIP),
    ]
    return section("Three answers, kept apart", f'<div class="answers">{"".join(blocks)}</div>')


def _block(title: str, number: str, words: str) -> str:
    return f'<div><h3>{title}</h3><p class="value">{text_of(number)}</p><p>{text_of(words)}</p></div>'


def _copies() -> str:
    return (
        "Samples that repeat one training item. They alone decide the exit status (--fail-above), with those "
        "that are undecided if asked (--fail-undecided)."
    )


def _leaning(record: AuditRecord) -> str:
    title = "Leaning"
    if record.leaning is None:
        return _block(title, "not measured", "It takes held-out items to compare with; none were given.")
    return _block(title, f"{100 * record.leaning.share:.1f} %", _leaning_words(record, record.leaning))


def _leaning_words(record: AuditRecord, found: LeaningFacts) -> str:
    items = items_word(record)
    return (
        f"of {found.n_samples:,} samples are nearer to one of {found.n_items:,} training {items} than to one "
        f"of as many held-out ones. Without leaning it is {100 * found.low:.1f} to {100 * found.high:.1f} % "
        f"({100 * found.confidence:g} % of {found.n_permutations:,} exchanges of their labels); p = "
        f"{two_digits_text(found.p)}. It is no ground for the exit status: models lean long before they copy."
    )
