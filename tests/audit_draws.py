"""Scores of any shape, with ties, changes and infinities."""

import numpy as np

from memhorizon.audit.scores import Changes, Scores


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
