"""The verdict of an audit in words, and how sure it is."""

from memhorizon.auditing.deciding import Deciding, deciding
from memhorizon.auditing.statistics import smallest_reportable
from memhorizon.records.audit import AuditRecord
from memhorizon.report.audit.words import (
    few_for_null,
    items_word,
    share_of,
    share_text_of,
    two_digits_text,
)
from memhorizon.report.parts import paragraphs, section, text_of

BY_VIEWS = "; edits that no view sees are not counted."


def sentence(record: AuditRecord) -> str:
    """Say in one sentence how many samples are copies, and how sure that is."""
    if record.smallest_reportable is None and not record.copies.count:
        return _no_answer(record)
    if not record.copies.count:
        return (
            f"None of the {record.copies.total:,} samples is reported as a copy of a training "
            f"{items_word(record, 1)}, at a false-discovery rate of {_rate(record)}. {_least(record)}"
        )
    count = record.copies.count
    verb = "is reported as a copy" if count == 1 else "are reported as copies"
    return (
        f"{count:,} of {record.copies.total:,} samples {verb} of training {items_word(record)} "
        f"({share_text_of(record.copies)}), at a false-discovery rate of {_rate(record)}; "
        f"{_some(record.guaranteed.count)} of them with a guarantee, {_some(record.confident)} with 95 % "
        "confidence over the reference items."
    )


def _some(count: int) -> str:
    return f"{count:,}" if count else "none"


def _no_answer(record: AuditRecord) -> str:
    return (
        f"This audit cannot tell: not even {record.copies.total:,} copies among {record.copies.total:,} "
        "samples could be reported, for the smallest possible p-value is "
        f"{two_digits_text(record.resolution)} ({record.n_reference:,} reference items) and the "
        f"false-discovery rate {_rate(record)}. Give more training or held-out items."
    )


def _rate(record: AuditRecord) -> str:
    return f"{100 * record.fdr:g} %"


def verdict(record: AuditRecord) -> list[str]:
    """The number of copies with its interval, the null beside it, and the sentence."""
    known = record.smallest_reportable is not None or record.copies.count
    number = f"{record.copies.count:,}" if known else "?"
    among = f"of {record.copies.total:,} samples"
    share = f"copies of training {items_word(record)}: {share_text_of(record.copies)} of the samples"
    about = share if known else "copies were looked for"
    return [
        f'<p class="number">{number} <span>{among}</span></p>',
        f'<p class="of">{text_of(about)}. {text_of(_null(record))}</p>',
        f'<p class="found">{text_of(sentence(record))}</p>',
        paragraphs([text_of(line) for line in undecided(record)], kind="notes"),
    ]


def undecided(record: AuditRecord) -> list[str]:
    """Samples with as much evidence as exact copies have that are not reported all the same."""
    needed = deciding(record)
    if needed is None:
        return []
    count = len(record.undecided)
    least = max(one.p for one in record.undecided)
    what = "1 sample has" if count == 1 else f"{count:,} samples have"
    return [
        f"{what} a p-value as small as those of exact copies (at most {two_digits_text(least)}), too few "
        f"among {len(record.samples):,} samples to be reported. {'It' if count == 1 else 'All'} would be "
        f"reported {_ways(record, needed)}. Look at the undecided pairs on the page before you take this for "
        "an answer."
    ]


def _ways(record: AuditRecord, needed: Deciding) -> str:
    """The numbers that would report the undecided samples, each by itself."""
    more = f"{needed.n_reference:,} reference items in place of {record.n_reference:,}"
    ways = [f"with {more} (at the same ranks)"]
    if needed.fdr is not None:
        ways.append(f"with --fdr {needed.fdr:g}, had that been chosen beforehand")
    return ", or ".join(ways)


def _null(record: AuditRecord) -> str:
    """What the same rule reports among held-out items."""
    if record.null is None and record.set_named("holdout") is not None:
        return f"There is no null beside it: {few_for_null(record)}."
    if record.null is None:
        return "No held-out items were given that would show how many honest ones the rule reports."
    return f"The null: the same rule reports {share_of(record.null)} held-out {items_word(record)}."


def certainty(record: AuditRecord) -> str:
    """How sure the verdict is: the rate, the guarantee, the confidence, the resolution."""
    lines = [_of_rate(record), _of_guarantee(record), _of_confidence(record), _of_p(record), _least(record)]
    return section("How sure is this?", paragraphs([text_of(line) for line in lines]))


def _of_rate(record: AuditRecord) -> str:
    return (
        f"False-discovery rate {_rate(record)}: of the samples that are reported as copies, at most this "
        "share is expected to be honest (Benjamini and Hochberg). It is proven for held-out reference items "
        "and one view; for training items and combined views it was measured."
    )


def _of_guarantee(record: AuditRecord) -> str:
    return (
        f"{_which(record.guaranteed.count)} reported with a guarantee: by e-BH the rate holds however the "
        "samples depend on one another. It asks for smaller p-values."
    )


def _of_confidence(record: AuditRecord) -> str:
    return (
        f"{_which(record.confident)} reported with 95 % confidence: for the {record.n_reference:,} reference "
        "items that were drawn, and not only on average over their draw (Simes)."
    )


def _which(count: int) -> str:
    """The subject of a sentence and its verb."""
    if not count:
        return "No sample is"
    return "1 is" if count == 1 else f"{count:,} are"


def _of_p(record: AuditRecord) -> str:
    items = items_word(record)
    if record.reference == "train":
        how = (
            f"{record.n_reference:,} training {items}, each left out with its duplicates while the sample "
            "joins the training set (full-conformal)"
        )
    else:
        how = f"{record.n_reference:,} held-out {items}"
    return (
        f"p-values are exact, nothing is extrapolated: those of honest samples are at most a with a "
        f"probability of at most a. Reference: {how}. The smallest possible one is "
        f"{two_digits_text(record.resolution)}."
    )


def _least(record: AuditRecord) -> str:
    """How many copies an audit can miss, and how many exact ones it cannot.

    Copies of reference items have twice the smallest p-value, since both then have the lowest ranks.
    """
    fewest = record.smallest_reportable
    if fewest is None:
        return "No number of copies could have been reported: there are too few reference items."
    least = f"With fewer than {fewest:,} copies this audit could have reported none"
    if record.reference != "train":
        return least + BY_VIEWS
    which = f"of the training {items_word(record)} that calibrate it"
    surely = smallest_reportable(record.copies.total, 2 * record.resolution, record.fdr)
    if surely is None:
        return f"{least}, and none at all where they are copies {which}{BY_VIEWS}"
    return (
        f"{least}, with {surely:,} exact ones it would have reported all (in between it depends on how many "
        f"are {which}){BY_VIEWS}"
    )
