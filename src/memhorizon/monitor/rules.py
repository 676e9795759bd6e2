"""The rules that people use to end a training and to choose a checkpoint: pure functions of its curves.

| rule | as it is defined here |
|---|---|
| held-out minimum | train to the end, ship the row with the smallest held-out loss |
| early stopping | stop at the third row in a row above the smallest held-out loss, ship that one |
| loss gap | stop where the gap is above two standard errors at two rows in a row |
| stable rank | stop where the stable rank of the weights is 5 % below its largest value |
| Frechet distance | train to the end, ship the row with the smallest distance |
| fixed length | stop at the last row up to a step: 2,000, or 100 for each training item |

Rows in which the number that a rule looks at is not known are passed over.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, runtime_checkable

PATIENCE = 3  # rows in a row above the smallest held-out loss
ERRORS = 2.0  # standard errors by which a gap is seen
FALL = 0.05  # of the stable rank below its largest value
PER_ITEM = 100  # steps, as guides for fine-tuning say
FIXED = 2000  # steps, a default of many tutorials


@runtime_checkable
class Row(Protocol):
    """What was seen at one step of a training, as far as the rules look at it; NaN where it is not known."""

    @property
    def step(self) -> int:
        """Updates done."""
        ...

    @property
    def holdout_loss(self) -> float:
        """Loss of held-out items."""
        ...

    @property
    def gap(self) -> float:
        """Held-out minus training loss, as a share of the held-out loss."""
        ...

    @property
    def gap_error(self) -> float:
        """Standard error of the gap."""
        ...

    @property
    def stable_rank(self) -> float:
        """Of the weights."""
        ...

    @property
    def frechet(self) -> float:
        """Frechet distance of samples to a set."""
        ...


AnyRow = TypeVar("AnyRow", bound=Row)


def held_out_minimum(rows: Sequence[AnyRow]) -> AnyRow | None:
    """Give the row with the smallest held-out loss."""
    return _lowest(rows, lambda row: row.holdout_loss)


def frechet_minimum(rows: Sequence[AnyRow]) -> AnyRow | None:
    """Give the row with the smallest Frechet distance."""
    return _lowest(rows, lambda row: row.frechet)


def out_of_patience(rows: Sequence[AnyRow]) -> AnyRow | None:
    """Give the third row in a row that is not below the smallest held-out loss so far.

    Early stopping ends the training there and ships the `held_out_minimum` of the rows up to it.
    """
    lowest = math.inf
    waited = 0
    for row in _known(rows, lambda row: row.holdout_loss):
        waited = 0 if row.holdout_loss < lowest else waited + 1
        lowest = min(lowest, row.holdout_loss)
        if waited == PATIENCE:
            return row
    return None


def gap_opens(rows: Sequence[AnyRow]) -> AnyRow | None:
    """Give the first row at which, as at the one before, the gap is above two standard errors."""
    known = _known(rows, lambda row: row.gap + row.gap_error)
    apart = [row.gap > ERRORS * row.gap_error for row in known]
    seen = zip(known[1:], apart, apart[1:], strict=False)
    return next((row for row, before, now in seen if before and now), None)


def stable_rank_falls(rows: Sequence[AnyRow]) -> AnyRow | None:
    """Give the first row at which the stable rank is 5 % below its largest value so far."""
    largest = 0.0
    for row in _known(rows, lambda row: row.stable_rank):
        largest = max(largest, row.stable_rank)
        if row.stable_rank < (1 - FALL) * largest:
            return row
    return None


def up_to(rows: Sequence[AnyRow], step: int) -> AnyRow | None:
    """Give the last row up to a step."""
    earlier = [row for row in rows if row.step <= step]
    return earlier[-1] if earlier else None


def _known(rows: Sequence[AnyRow], value: Callable[[AnyRow], float]) -> list[AnyRow]:
    return [row for row in rows if math.isfinite(value(row))]


def _lowest(rows: Sequence[AnyRow], value: Callable[[AnyRow], float]) -> AnyRow | None:
    """The first of the rows with the smallest known value."""
    return min(_known(rows, value), key=value, default=None)
