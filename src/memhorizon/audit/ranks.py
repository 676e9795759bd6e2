"""Ranks within the reference items and one sample, for every sample at once, its changes applied.

For sample j the reference items have the statistics s_i, but s_i^(j) where j changes them; with the sample
itself these are R + 1 numbers. Only their order counts, so that statistics are replaced by their dense ranks
("codes").
"""

import numpy as np
from jaxtyping import Bool, Int, Int64

from memhorizon.audit.scores import Scores

_CELLS = 2**21  # of a block of the table of samples by reference items


class AugmentedRanks:
    """The counts #{z' in S + {y_j} : s(z') <= x} of one view, the changes of j applied.

    Attributes:
        sample: codes of the samples. [m]
        reference: codes of the reference items without any sample. [R]
        changed: codes of the changes. [c]
        first: place of every reference item in their order; of equal ones, the first. [R]
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
        self._added = _Segments(changes.row, self.changed, m, len(values))
        self._removed = _Segments(changes.row, self.reference[changes.item], m, len(values))

    def at_most(self, row: Int[np.ndarray, " q"], code: Int[np.ndarray, " q"]) -> Int64[np.ndarray, " q"]:
        """How many of the R + 1 numbers of sample `row` are at most the one with the code."""
        # N_j(x) = #{i : s_i <= x} + [s(y_j) <= x] + #{changes of j : new <= x} - #{changes of j : old <= x}
        count = np.searchsorted(self._sorted, code, side="right").astype(np.int64)
        count += self.sample[row] <= code
        count += self._added.at_most(row, code)
        count -= self._removed.at_most(row, code)
        return count

    def of_samples(self) -> Int64[np.ndarray, " m"]:
        """The rank of every sample, ties counted against it: from 1 to R + 1."""
        return self.at_most(np.arange(len(self.sample)), self.sample)

    def bounds(self, rank: Int[np.ndarray, " m"]) -> Int64[np.ndarray, " m"]:
        """For every sample the least place of a reference item whose code has more than `rank` at most.

        An item that the sample does not change has at most this rank if, and only if, its `first` is smaller.
        The place is R where there is no such item.
        """
        row = np.arange(len(self.sample))
        low = np.zeros(len(row), dtype=np.int64)
        high = np.full(len(row), len(self._sorted), dtype=np.int64)
        # bisection: N_j grows with the place
        for _ in range(len(self._sorted).bit_length()):
            middle = (low + high) // 2
            code = self._sorted[np.minimum(middle, len(self._sorted) - 1)]
            beyond = self.at_most(row, code) > rank
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
        keys = row.astype(np.int64) * self._n_codes + code
        return np.searchsorted(self._keys, keys, side="right") - self._start[row]


def within_any(
    first: list[Int[np.ndarray, " R"]], bounds: list[Int[np.ndarray, " m"]]
) -> Int64[np.ndarray, " m"]:
    """For every sample, how many reference items lie below its bound in at least one view."""
    R = len(first[0])
    m = len(bounds[0])
    places = [place.astype(np.int32) for place in first]
    count = np.empty(m, dtype=np.int64)
    rows = max(1, _CELLS // R)
    for start in range(0, m, rows):
        block = slice(start, start + rows)
        inside = places[0] < bounds[0][block, None].astype(np.int32)
        for place, bound in zip(places[1:], bounds[1:], strict=True):
            inside |= place < bound[block, None].astype(np.int32)
        count[block] = np.count_nonzero(inside, axis=1)
    return count


class ChangedPairs:
    """The pairs of a sample and a reference item that change in at least one view.

    Attributes:
        row: the samples. [q]
        item: the reference items. [q]
    """

    def __init__(self, views: list[Scores]) -> None:
        self._R = len(views[0].reference)
        keys = [self._keys_of(scores) for scores in views]
        self._keys = np.unique(np.concatenate(keys))
        self.row, self.item = np.divmod(self._keys, self._R)

    def _keys_of(self, scores: Scores) -> Int64[np.ndarray, " c"]:
        return scores.changes.row.astype(np.int64) * self._R + scores.changes.item

    def codes(self, scores: Scores, ranks: AugmentedRanks) -> Int[np.ndarray, " q"]:
        """The codes of the items of the pairs in one view once the samples have joined."""
        codes = ranks.reference[self.item]
        codes[np.searchsorted(self._keys, self._keys_of(scores))] = ranks.changed
        return codes


def combined_counts(
    views: list[Scores], ranks: list[AugmentedRanks], least: Int[np.ndarray, " m"]
) -> Int64[np.ndarray, " m"]:
    """#{z in S + {y_j} : min_v r_v(z) <= least_j} for every sample j."""
    bounds = [own.bounds(least) for own in ranks]
    pairs = ChangedPairs(views)
    # items as they are without the sample, then the changed pairs taken out and put in anew
    before = _any(
        [own.first[pairs.item] < bound[pairs.row] for own, bound in zip(ranks, bounds, strict=True)]
    )
    count = 1 + within_any([own.first for own in ranks], bounds)
    count -= np.bincount(pairs.row[before], minlength=len(least))
    after = []
    for scores, own in zip(views, ranks, strict=True):
        rank = own.at_most(pairs.row, pairs.codes(scores, own))
        after.append(rank <= least[pairs.row])
    count += np.bincount(pairs.row[_any(after)], minlength=len(least))
    return count


def _any(conditions: list[Bool[np.ndarray, " q"]]) -> Bool[np.ndarray, " q"]:
    return np.logical_or.reduce(conditions)
