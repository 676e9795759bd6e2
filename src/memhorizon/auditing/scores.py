"""What a view of the items hands on: the statistic of every sample and of every reference item."""

from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from jaxtyping import Float64, Int

from memhorizon.checks import check_kind
from memhorizon.errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class Changes:
    """The statistics of reference items that change once a sample has joined the training set.

    Entry e says: with sample `row[e]` in the training set, reference item `item[e]` has the statistic
    `value[e]`. Pairs that are not listed keep the statistic that they have without any sample. An entry that
    changes nothing does no harm; the order of the entries has no meaning.

    Attributes:
        row: index of the sample. [c]
        item: index of the reference item. [c]
        value: finite or +infinity. [c]

    Raises:
        InputError: if the lengths differ, a value is NaN or -infinity, an index is negative or a pair of a
            sample and an item occurs twice.
    """

    row: Int[np.ndarray, " c"]
    item: Int[np.ndarray, " c"]
    value: Float64[np.ndarray, " c"]

    def __post_init__(self) -> None:
        _check_statistics("changes.value", self.value)
        size = len(self.value)
        _check_indices("changes.row", self.row, size)
        _check_indices("changes.item", self.item, size)
        _check_distinct(self.row, self.item)

    @classmethod
    def none(cls) -> "Changes":
        """No change: the reference items are held-out items, or the samples are near to none of them."""
        nothing = np.empty(0, dtype=np.int64)
        return cls(nothing, nothing, np.empty(0))

    def part(self, start: int, stop: int) -> "Changes":
        """The changes by the samples from `start` up to `stop`, which count from 0 in the answer."""
        inside = (self.row >= start) & (self.row < stop)
        return Changes(self.row[inside] - start, self.item[inside], self.value[inside])

    def __len__(self) -> int:
        return len(self.value)

    def __repr__(self) -> str:
        return f"Changes({len(self)})"


@dataclass(frozen=True, eq=False, repr=False)
class Scores:
    """The statistic of one view: small means copy.

    Attributes:
        name: of the view.
        sample: the statistic of every sample, finite or +infinity. [m]
        reference: that of every reference item, before any sample has joined the training set. [R]
        changes: where a sample that joins the training set changes the statistic of a reference item.
        nearest: which item of the training set the statistic of a sample refers to. [m]

    Raises:
        InputError: if there is no sample or no reference item, lengths differ, a statistic is NaN or
            -infinity, or an index lies outside.
    """

    name: str
    sample: Float64[np.ndarray, " m"]
    reference: Float64[np.ndarray, " R"]
    changes: Changes
    nearest: Int[np.ndarray, " m"]

    def __post_init__(self) -> None:
        check_kind("name", self.name, str)
        check_kind("changes", self.changes, Changes)
        _check_statistics("sample", self.sample, least=1)
        _check_statistics("reference", self.reference, least=1)
        _check_indices("nearest", self.nearest, len(self.sample))
        _check_below("changes.row", self.changes.row, len(self.sample))
        _check_below("changes.item", self.changes.item, len(self.reference))

    def part(self, start: int, stop: int) -> "Scores":
        """The scores of the samples from `start` up to `stop`, against the same reference items."""
        rows = slice(start, stop)
        return Scores(
            self.name, self.sample[rows], self.reference, self.changes.part(start, stop), self.nearest[rows]
        )

    def __repr__(self) -> str:
        sizes = f"{len(self.sample)} samples, {len(self.reference)} reference items"
        return f"Scores({self.name!r}, {sizes}, {len(self.changes)} changes)"


def _check_statistics(name: str, values: object, *, least: int = 0) -> None:
    """Refuse what is no vector of float64 without NaN and -infinity."""
    if not _is_vector(values):
        raise InputError(f"{name}: expected a vector of float64, got {_words(values)}")
    if len(values) < least:
        raise InputError(f"{name}: expected at least {least} statistic, got none")
    _check_comparable(name, values)


def _is_vector(values: object) -> TypeGuard[np.ndarray]:
    return isinstance(values, np.ndarray) and values.dtype == np.float64 and values.ndim == 1


def _check_comparable(name: str, values: Float64[np.ndarray, " n"]) -> None:
    """Refuse NaN and -infinity; +infinity is the least evidence of all."""
    good = values > -np.inf
    if not good.all():
        where = good.argmin()
        raise InputError(f"{name}: expected finite numbers or +infinity, got {values[where]} at {where}")


def _check_indices(name: str, values: object, size: int) -> None:
    """Refuse what is no vector of whole numbers from 0 of the given length."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu" or values.shape != (size,):
        raise InputError(f"{name}: expected a vector of {size} whole numbers, got {_words(values)}")
    if size and values.min() < 0:
        raise InputError(f"{name}: expected indices from 0, got {values.min()}")


def _check_below(name: str, indices: Int[np.ndarray, " c"], size: int) -> None:
    if len(indices) and indices.max() >= size:
        raise InputError(f"{name}: expected indices below {size}, got {indices.max()}")


def _check_distinct(row: Int[np.ndarray, " c"], item: Int[np.ndarray, " c"]) -> None:
    """Refuse two values for one pair of a sample and an item."""
    if not len(row):
        return
    n_items = int(item.max()) + 1
    twice = _repeated(row.astype(np.int64) * n_items + item)
    if len(twice):
        pair = "sample {} and item {}".format(*divmod(int(twice[0]), n_items))
        raise InputError(f"changes: expected one entry for each pair, got several for {pair}")


def _repeated(keys: Int[np.ndarray, " c"]) -> Int[np.ndarray, " r"]:
    """Those that are there more than once, the smallest first."""
    ordered = np.sort(keys)
    return ordered[1:][ordered[1:] == ordered[:-1]]


def _words(values: object) -> str:
    if isinstance(values, np.ndarray):
        return f"{values.dtype} of shape {values.shape}"
    return type(values).__name__
