"""Ranks within the reference items and one sample, for many samples at once, their changes applied.

For sample j the reference items have the statistics s_i, but s_i^(j) where j changes them; with the sample
itself these are R + 1 numbers. Only their order counts, so that statistics are replaced by their dense ranks
("codes").
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int, Int64

from memhorizon.auditing.scores import Scores

_CELLS = 2**18  # of a block of the table of samples by reference items: fits a cache


class AugmentedRanks:
    """The counts #{z' in S + {y_j} : s(z') <= x} of one view, the changes of j applied.

    Attributes:
        sample: codes of the samples. [m]
        reference: codes of the reference items without any sample. [R]
        changed: codes of the changes. [c]
        first: how many reference items have a smaller code than each of them. [R]
    """

    def __init__(self, scores: Scores) -> None:
        changes = scores.changes
        m = len(scores.sample)
        R = len(scores.reference)
        statistics = np.concatenate([scores.sample, scores.reference, changes.value])
        values, codes = np.unique(statistics, return_inverse=True)
        self.sample, self.reference, self.changed = np.split(codes, [m, m + R])
        self._sorted = np.sort(self.reference)
        self.first = np.searchsorted(self._sorted, self.reference)
        # #{i : s_i <= x}, for every code x
        self._below = np.cumsum(np.bincount(self.reference, minlength=len(values)))
        self._added = _Segments(changes.row, self.changed, m, len(values))
        self._removed = _Segments(changes.row, self.reference[changes.item], m, len(values))

    def at_most(self, row: Int[np.ndarray, " q"], code: Int[np.ndarray, " q"]) -> Int64[np.ndarray, " q"]:
        """How many of the R + 1 numbers of sample `row` are at most the one with the code."""
        # N_j(x) = #{i : s_i <= x} + [s(y_j) <= x] + #{changes of j : new <= x} - #{changes of j : old <= x}
        count = self._below[code]
        count += self.sample[row] <= code
        count += self._added.at_most(row, code)
        count -= self._removed.at_most(row, code)
        return count

    def of_samples(self) -> Int64[np.ndarray, " m"]:
        """The rank of every sample, ties counted against it: from 1 to R + 1."""
        return self.at_most(np.arange(len(self.sample)), self.sample)

    def bounds(self, rank: Int[np.ndarray, " m"]) -> Int64[np.ndarray, " m"]:
        """For every sample, how many reference items have a smaller code than the first one beyond a rank.

        An item that the sample does not change has at most this rank if, and only if, its `first` is smaller.
        """
        row = np.arange(len(self.sample))
        R = len(self._sorted)
        low = np.zeros(len(row), dtype=np.int64)
        high = np.full(len(row), R, dtype=np.int64)
        # bisection for the least place with N_j(place) > rank: N_j grows with the place
        for _ in range(R.bit_length()):
            middle = (low + high) // 2
            beyond = self.at_most(row, self._sorted[np.minimum(middle, R - 1)]) > rank
            low = np.where(beyond | (low == high), low, middle + 1)
            high = np.where(beyond, np.minimum(middle, high), high)
        return high


class _Segments:
    """Codes in one sorted list for each sample, laid end to end."""

    def __init__(self, row: Int[np.ndarray, " c"], code: Int[np.ndarray, " c"], m: int, n_codes: int) -> None:
        self._n_codes = n_codes
        self._keys = np.sort(row.astype(np.int64) * n_codes + code)
        self._start = np.searchsorted(self._keys, np.arange(m, dtype=np.int64) * n_codes)

    def at_most(self, row: Int[np.ndarray, " q"], code: Int[np.ndarray, " q"]) -> Int64[np.ndarray, " q"]:
        """How many codes in the list of a sample are at most the given one."""
        if not len(self._keys):
            return np.zeros(len(row), dtype=np.int64)
        keys = row.astype(np.int64) * self._n_codes + code
        return np.searchsorted(self._keys, keys, side="right") - self._start[row]


class ChangedPairs:
    """The pairs of a sample and a reference item that change in at least one view.

    Attributes:
        row: the samples. [q]
        item: the reference items. [q]
    """

    def __init__(self, views: Sequence[Scores]) -> None:
        self._R = len(views[0].reference)
        keys = np.sort(np.concatenate([self._keys_of(scores) for scores in views]))
        is_new = np.diff(keys, prepend=-1) > 0
        self._keys = keys[is_new]
        self.row, self.item = np.divmod(self._keys, self._R)

    def _keys_of(self, scores: Scores) -> Int64[np.ndarray, " c"]:
        return scores.changes.row.astype(np.int64) * self._R + scores.changes.item

    def codes(self, scores: Scores, ranks: AugmentedRanks) -> Int[np.ndarray, " q"]:
        """The codes of the items of the pairs in one view once the samples have joined."""
        codes = ranks.reference[self.item]
        codes[np.searchsorted(self._keys, self._keys_of(scores))] = ranks.changed
        return codes


def combined_counts(
    views: Sequence[Scores], ranks: Sequence[AugmentedRanks], limits: Int[np.ndarray, "n_views m"]
) -> Int64[np.ndarray, " m"]:
    """1 + #{z in S : r_v(z) <= limits[v, j] in at least one view v} for every sample j."""
    m = limits.shape[1]
    bounds = [own.bounds(limit) for own, limit in zip(ranks, limits, strict=True)]
    # the sample and the items as they are without it
    count = 1 + _below_any([own.first for own in ranks], bounds)
    # changed pairs are taken out and put in anew
    pairs = ChangedPairs(views)
    before = [own.first[pairs.item] < bound[pairs.row] for own, bound in zip(ranks, bounds, strict=True)]
    after = [
        own.at_most(pairs.row, pairs.codes(scores, own)) <= limit[pairs.row]
        for scores, own, limit in zip(views, ranks, limits, strict=True)
    ]
    count -= _per_sample(pairs.row, before, m)
    count += _per_sample(pairs.row, after, m)
    return count


def _per_sample(
    row: Int[np.ndarray, " q"], of_views: Sequence[Bool[np.ndarray, " q"]], m: int
) -> Int64[np.ndarray, " m"]:
    """How many pairs of every sample fulfil the condition of at least one view."""
    fulfilled = np.logical_or.reduce(of_views)
    return np.bincount(row[fulfilled], minlength=m)


def _below_any(
    first: Sequence[Int[np.ndarray, " R"]], bounds: Sequence[Int[np.ndarray, " m"]]
) -> Int64[np.ndarray, " m"]:
    """For every sample, how many reference items are below its bound in at least one view."""
    places = np.stack(first).astype(np.int32)  # [n_views, R]
    limits = np.stack(bounds).astype(np.int32)  # [n_views, m]
    m = limits.shape[1]
    count = np.empty(m, dtype=np.int64)
    rows = max(1, _CELLS // places.shape[1])
    for start in range(0, m, rows):
        block = slice(start, start + rows)
        inside = places[0] < limits[0, block, None]
        for place, limit in zip(places[1:], limits[1:], strict=True):
            inside |= place < limit[block, None]
        count[block] = np.count_nonzero(inside, axis=1)
    return count
