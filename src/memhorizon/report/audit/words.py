"""Counts, shares and p-values of an audit in words, and names of files that may be long or hostile."""

import math
import re

from memhorizon.auditing.prepare import FEWEST_FOR_NULL
from memhorizon.records.audit import AuditRecord
from memhorizon.report.parts import text_of
from memhorizon.results import Fraction

LONGEST = 48  # characters of a name that is shown; of a longer one both ends are
TAIL = 16  # of these, the last ones
BREAK = re.compile(r"([/_])(?=[^<])")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def items_word(record: AuditRecord, count: int = 2) -> str:
    """What the items are: images where they have channels, rows and columns."""
    train = record.set_named("train")
    word = "image" if train is not None and len(train.shape) == 3 else "item"
    return word if count == 1 else f"{word}s"


def few_for_null(record: AuditRecord) -> str:
    """Why there is no null: no held-out items, or fewer than it is counted among."""
    holdout = record.set_named("holdout")
    if holdout is None:
        return "no held-out items were given for its null"
    items = items_word(record, holdout.count)
    verb = "is" if holdout.count == 1 else "are"
    known = f", {len(record.shared):,} of them in the training set," if record.shared else ""
    needed = f"{FEWEST_FOR_NULL:,} that are not there" if record.shared else f"{FEWEST_FOR_NULL:,}"
    return f"{holdout.count:,} held-out {items}{known} {verb} too few for a null: {needed} are needed"


def share_of(share: Fraction) -> str:
    """A share with its interval, in per cent: what was counted comes before it."""
    return f"{share.count:,} of {share.total:,} ({share_text_of(share)})"


def share_text_of(share: Fraction) -> str:
    """A share with its interval, in per cent, to as many digits as the total bears.

    >>> share_text_of(Fraction.of(12, 1000)), share_text_of(Fraction.of(0, 50_000))
    ('1.2 % [0.6, 2.1]', '0.00 % [0.00, 0.01]')
    """
    digits = max(1, len(str(share.total)) - 3)
    value, low, high = (f"{100 * x:.{digits}f}" for x in (share.value, share.low, share.high))
    return f"{value} % [{low}, {high}]"


def copies_text(count: int) -> str:
    """A number of copies.

    >>> copies_text(1), copies_text(1200)
    ('1 copy', '1,200 copies')
    """
    return f"{count:,} {'copy' if count == 1 else 'copies'}"


def two_digits_text(value: float) -> str:
    """A p-value or a statistic to two digits.

    >>> two_digits_text(0.0312), two_digits_text(0.0002), two_digits_text(1.7e-5), two_digits_text(0.0)
    ('0.031', '0.0002', '1.7 × 10⁻⁵', '0')
    """
    if math.isinf(value):
        return "∞"
    if value == 0 or abs(value) >= 1e-4:
        return f"{value:.2g}"
    return _power_of_ten_text(value)


def _power_of_ten_text(value: float) -> str:
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def short(name: str) -> str:
    """Both ends of a long name.

    >>> short("a.png"), len(short(300 * "a"))
    ('a.png', 48)
    """
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - TAIL - 1]}…{name[-TAIL:]}"


def name_of(name: str) -> str:
    """A name as markup: it may break after a slash, and what is written from right to left turns only itself.

    >>> name_of("a/b.png")
    '<bdi class="name">a/<wbr>b.png</bdi>'
    """
    whole = f' title="{text_of(name)}"' if len(name) > LONGEST else ""
    shown = BREAK.sub(r"\1<wbr>", text_of(short(name)))
    return f'<bdi class="name"{whole}>{shown}</bdi>'
