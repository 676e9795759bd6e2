"""What would report samples that are undecided: more reference items, or a larger rate.

Not fewer samples: of those drawn from the same generator the same share is undecided, and only that counts.
"""

import math
from dataclasses import dataclass

from memhorizon.records.audit import AuditRecord
from memhorizon.results import ROUNDING

_DIGITS = 3  # of a rate


@dataclass(frozen=True)
class Deciding:
    """What would report all samples that are undecided, each number by itself and the others as they are.

    Attributes:
        n_reference: reference items at least, if the samples have the same ranks among them.
        fdr: false-discovery rate at least; None where no rate below 1 would.
    """

    n_reference: int
    fdr: float | None


def deciding(record: AuditRecord) -> Deciding | None:
    """What would report the undecided samples of an audit; None without any.

    With p the largest p-value of theirs, and k samples of at most that one, they are reported among M samples
    at the rate q if

        M p / k <= q,    p = count / (R + 1).

    Source: [benjamini1995] Eq. (1)
    """
    if not record.undecided:
        return None
    p = max(one.p for one in record.undecided)
    k = sum(one.p <= p for one in record.samples)
    count = round(p / record.resolution)
    return Deciding(
        n_reference=fewest_reference(k, len(record.samples), count, record.fdr),
        fdr=rate_above(max(one.q for one in record.undecided)),
    )


def fewest_reference(k: int, m: int, count: int, rate: float) -> int:
    """The smallest R with m count / (R + 1) / k <= rate.

    >>> fewest_reference(2, 40, 1, 0.05)
    399
    """
    return math.ceil(m * count / (k * rate) * (1 - ROUNDING)) - 1


def rate_above(q: float) -> float | None:
    """A rate of few digits that is not below q; None where it would be no rate.

    >>> rate_above(0.12341), rate_above(0.25), rate_above(0.9999)
    (0.124, 0.25, None)
    """
    digits = _DIGITS - 1 - math.floor(math.log10(q))
    rate = math.ceil(q * 10**digits * (1 - ROUNDING)) / 10**digits
    return rate if rate < 1 else None
