"""The page of an audit: the verdict, how sure it is, three answers, pairs, the null, where it comes from."""

from memhorizon.figures import audit as drawn
from memhorizon.records.audit import AuditRecord
from memhorizon.report.audit.answers import answers
from memhorizon.report.audit.origin import origin
from memhorizon.report.audit.pairs import pairs
from memhorizon.report.audit.pictures import AuditPictures, check_pictures
from memhorizon.report.audit.private import DIGITS, private_record
from memhorizon.report.audit.sets import duplicates, most_copied, shared, skipped
from memhorizon.report.audit.style import CSS
from memhorizon.report.audit.verdict import certainty, sentence, undecided, verdict
from memhorizon.report.page import Page, document
from memhorizon.report.parts import paragraphs, picture, section, text_of

__all__ = ["PAGE", "AuditPictures", "html", "sentence"]


def html(record: AuditRecord, pictures: AuditPictures | None = None, *, private: bool = False) -> str:
    """Write the page of an audit.

    Args:
        record: what was found.
        pictures: the images; without them the page names them.
        private: show hashes only: no picture, no name of a file, no place on a disk.

    Returns:
        HTML text of less than 6 MB: no script, nothing loaded from elsewhere, the same bytes each time.

    Raises:
        InputError: if `record` is no record of an audit, or the pictures are not those of the record.
    """
    drawn.audit_of(record)
    if pictures is not None:
        check_pictures(record, pictures)
    if private:
        record = private_record(record, pictures)
    shown = None if private else pictures
    parts = [
        *verdict(record),
        _hashes(pictures) if private else "",
        certainty(record),
        answers(record),
        pairs(record, shown),
        _statistics(record),
        _p_values(record),
        most_copied(record, shown),
        duplicates(record, shown),
        shared(record, shown),
        skipped(record),
        origin(record, private=private),
    ]
    return document("memhorizon audit", parts, css=CSS)


def _hashes(pictures: AuditPictures | None) -> str:
    """What names stand for on a private page."""
    if pictures is None:
        of = "its name: a name that can be guessed can be recognized by it"
    else:
        of = "its values (32-bit floats, little-endian): who has the item can recognize it, nobody else"
    line = (
        f"Private page: no pictures and no names. An item is shown as the first {DIGITS} digits of the "
        f"SHA-256 of {of}."
    )
    return paragraphs([text_of(line)], kind="notes")


def _statistics(record: AuditRecord) -> str:
    """The histogram of each view, and what each compares."""
    caption = (
        "Share of the samples (line) and of the reference items (filled: the null) in each bin of the "
        "statistic, the last bin with all that is beyond; the axis is logarithmic, for it is the few near 0 "
        "that count."
    )
    alt = "Histograms of the statistic of each view, samples against reference items."
    views = [f"{text_of(view.name)}: {text_of(view.compares)}" for view in record.views if view.compares]
    shown = picture("statistics", lambda: drawn.statistics(record), caption, alt)
    return section("The statistic of each view against its null", shown, paragraphs(views))


def _p_values(record: AuditRecord) -> str:
    caption = (
        "Sorted p-values against their rank, both axes logarithmic. Samples up to the last one below the "
        "limit are reported as copies."
    )
    alt = "Sorted p-values with the limit of Benjamini and Hochberg."
    return section("The p-values", picture("p-values", lambda: drawn.p_values(record), caption, alt))


def _told(record: AuditRecord) -> str:
    """The verdict, and what it leaves undecided."""
    return "\n".join([sentence(record), *(f"Undecided: {line}" for line in undecided(record))])


PAGE = Page(AuditRecord, html, _told)
