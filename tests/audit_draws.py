"""Scores of any shape, and those of the ratio of distances by its definition."""

import numpy as np

from memhorizon.auditing.scores import Changes, Scores
from memhorizon.auditing.statistics import PValues


def any_statistics(rng, n, levels=None):
    """Statistics of n items: uniform, or of a few levels; some are infinite."""
    values = rng.random(n) if levels is None else rng.integers(0, levels, n).astype(float)
    values[rng.random(n) < 0.03] = np.inf
    return values


def any_scores(rng, *, m, R, n_changes, n_views, levels=None):
    """Views whose statistics have nothing to do with one another."""
    views = []
    for number in range(n_views):
        pairs = rng.choice(m * R, size=n_changes, replace=False)
        changes = Changes(pairs // R, pairs % R, any_statistics(rng, n_changes, levels))
        sample = any_statistics(rng, m, levels)
        reference = any_statistics(rng, R, levels)
        views.append(Scores(f"view {number}", sample, reference, changes, np.zeros(m, dtype=int)))
    return views


def ratio_scores(train, R, samples, name="ratio"):
    """d1/d2 in Euclidean distance; the reference are the first R training items, each of which leaves the
    training set for its turn, and which a sample joins.
    """
    among = distances(train[:R], train)
    among[np.arange(R), np.arange(R)] = np.inf
    d1, d2 = np.partition(among, 1, axis=1)[:, :2].T
    apart = distances(samples, train)
    first, second = np.partition(apart, 1, axis=1)[:, :2].T
    # the two lowest of d1, d2 and the distance to the sample
    joined = apart[:, :R]
    row, item = np.nonzero(joined < d2)
    three = np.sort(np.stack([d1[item], d2[item], joined[row, item]]), axis=0)
    changes = Changes(row, item, three[0] / three[1])
    return Scores(name, first / second, d1 / d2, changes, apart.argmin(axis=1))


def distances(one, other):
    return np.sqrt(np.sum((one[:, None] - other[None]) ** 2, axis=2))


def p_values_of(counts, R):
    """p-values of one view with the given counts of R reference items and the sample."""
    counts = np.asarray(counts, dtype=np.int64)
    return PValues(counts / (R + 1), counts, counts * 0, counts[None], ("pixels",), R)
