"""Pairs of a sample and its training item side by side, those with the most evidence first."""

from collections.abc import Sequence

from memhorizon.records.audit import AuditedSample, AuditRecord
from memhorizon.report.audit.pictures import AuditPictures, Frames, side_for
from memhorizon.report.audit.words import items_word, name_of, short, two_digits_text
from memhorizon.report.parts import folded, section, table, text_of

OPEN = 30  # pairs that are shown
MOST = 200  # pairs on the page, the folded ones included
CLOSEST = 6  # pairs that are shown of samples that are neither reported nor undecided
OPEN_BYTES = 2_300_000  # of the pictures of the pairs that are shown
FOLDED_BYTES = 2_300_000  # of those that are folded


def pairs(record: AuditRecord, pictures: AuditPictures | None) -> str:
    """The section about copies, about undecided samples, and about the closest of the others."""
    copies = by_evidence([one for one in record.samples if one.is_copy])
    unsure = by_evidence(record.undecided)
    set_apart = {one.index for one in (*copies, *unsure)}
    others = by_evidence([one for one in record.samples if one.index not in set_apart])[:CLOSEST]
    write = _Pairs(record, pictures)
    return (
        section("The copies", *write.copies(copies))
        + section("Undecided", *write.undecided(unsure))
        + section("The closest samples that are not reported", write.closest(others))
    )


def by_evidence(samples: Sequence[AuditedSample]) -> list[AuditedSample]:
    """Samples in the order of the page and of the CSV of pairs: by p, then by the statistic."""
    return sorted(samples, key=lambda one: (one.p, one.statistic, one.index))


class _Pairs:
    """Writes pairs, with pictures where there are any."""

    def __init__(self, record: AuditRecord, pictures: AuditPictures | None) -> None:
        self.record = record
        self.pictures = pictures if pictures is not None and pictures.are_images else None

    def copies(self, samples: Sequence[AuditedSample]) -> list[str]:
        """The first ones open, more behind a line, the rest counted."""
        if not samples:
            return ["<p>No sample is reported as a copy.</p>"]
        first = self._shown(samples[:OPEN], OPEN_BYTES, start=1)
        return [self._order(), first, self._more(samples), _not_shown(samples)]

    def _order(self) -> str:
        order = "Sorted by evidence: the smallest p-value first, then the smallest statistic."
        return f"<p>{text_of(order)} {text_of(self._about())}</p>"

    def _more(self, samples: Sequence[AuditedSample]) -> str:
        more = samples[OPEN:MOST]
        if not more:
            return ""
        return folded(f"{len(more):,} more pairs", self._shown(more, FOLDED_BYTES, OPEN + 1))

    def undecided(self, samples: Sequence[AuditedSample]) -> list[str]:
        """Open, for a person has to look at them."""
        if not samples:
            return []
        left = len(samples) - OPEN
        about = "Evidence as strong as that of exact copies, in too few samples to report them at this rate."
        return [
            f"<p>{text_of(about)}</p>",
            self._shown(samples[:OPEN], OPEN_BYTES, start=0),
            f"<p>{left:,} further ones are not shown; the record has them.</p>" if left > 0 else "",
        ]

    def closest(self, samples: Sequence[AuditedSample]) -> str:
        """Those next to the limit: folded, for they are no finding."""
        if not samples:
            return ""
        summary = f"{len(samples)} pairs, for comparison"
        return folded(summary, self._shown(samples, FOLDED_BYTES // 4, start=0))

    def _about(self) -> str:
        items = items_word(self.record)
        if self.pictures is None:
            return f"The {items} themselves are not on this page."
        low, high = self.pictures.span
        shown = "" if (low, high) == (0.0, 1.0) else f" Black is {low:.4g} and white {high:.4g}."
        laid = "the training image laid on the sample, where a view registers them"
        return f"Each sample, the training image that it copies, and {laid}.{shown}"

    def _shown(self, samples: Sequence[AuditedSample], most_bytes: int, start: int) -> str:
        if self.pictures is None:
            return self._listed(samples)
        channels = int(self.pictures.train.shape[1])
        frames = Frames(self.pictures, side_for(3 * len(samples), channels, most_bytes))
        cards = [f"<li>{_images(one, frames)}{_words(one)}</li>" for one in samples]
        numbered = f' start="{start}"' if start else ' class="unnumbered"'
        laid = any(one.index in self.pictures.registered for one in samples)
        look = "pairs" if laid else "pairs of-two"
        return f'<div class="{look}"><ol{numbered}>{"".join(cards)}</ol></div>'

    def _listed(self, samples: Sequence[AuditedSample]) -> str:
        """A table, where there are no pictures."""
        item = items_word(self.record, 1)
        heads = ["sample", f"training {item}", "p", "q", "guaranteed", "view", "statistic", "edit"]
        rows = [
            [
                short(one.name),
                short(one.nearest_name),
                two_digits_text(one.p),
                two_digits_text(one.q),
                "yes" if one.is_guaranteed else "no",
                one.view,
                two_digits_text(one.statistic),
                one.edit or "–",
            ]
            for one in samples
        ]
        return table(heads, rows)


def _not_shown(copies: Sequence[AuditedSample]) -> str:
    left = len(copies) - MOST
    return f"<p>{left:,} further copies are not shown; the CSV of pairs names them.</p>" if left > 0 else ""


def _images(one: AuditedSample, frames: Frames) -> str:
    """Two or three pictures, each with a word below it."""
    shown = {
        "sample": frames.tag("samples", one.index, "sample"),
        "training": frames.tag("train", one.nearest, "training image"),
        "registered": frames.registered(one.index, "training image laid on the sample"),
    }
    pictures = [f"<div>{tag}<span>{word}</span></div>" for word, tag in shown.items() if tag]
    return f'<div class="pictures">{"".join(pictures)}</div>'


def _words(one: AuditedSample) -> str:
    """p, q, view, statistic and edit, then both names."""
    names = f"sample {name_of(one.name)}, training image {name_of(one.nearest_name)}"
    return f"{_evidence(one)}{_seen(one)}<p>{names}</p>"


def _evidence(one: AuditedSample) -> str:
    guaranteed = ", guaranteed" if one.is_guaranteed else ""
    numbers = f"p = {two_digits_text(one.p)}, q = {two_digits_text(one.q)}{guaranteed}"
    return f'<p class="evidence">{text_of(numbers)}</p>'


def _seen(one: AuditedSample) -> str:
    """In which view the copy was found, and how it was edited."""
    seen = f"{one.view}, statistic {two_digits_text(one.statistic)}"
    edit = f"<p>edit: {text_of(one.edit)}</p>" if one.edit else ""
    return f"<p>{text_of(seen)}</p>{edit}"
