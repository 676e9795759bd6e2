"""p-values: equal to their definition, uniform under the null, and fast."""

import time

import jaxtyping
import numpy as np
import pytest

from audit_draws import any_scores
from memhorizon.audit.scores import Changes, Scores
from memhorizon.audit.statistics import conformal_p_values
from memhorizon.errors import InputError


def literal_p_value(views, j):
    """The definition, item by item."""
    ranks = []
    for scores in views:
        s = scores.reference.copy()
        for row, item, value in zip(
            scores.changes.row, scores.changes.item, scores.changes.value, strict=True
        ):
            if row == j:
                s[item] = value
        s = np.append(s, scores.sample[j])
        ranks.append([np.sum(s <= z) for z in s])
    c = np.min(ranks, axis=0)
    return np.sum(c <= c[-1]) / len(c), int(np.argmin([own[-1] for own in ranks]))


@pytest.mark.parametrize("levels", [None, 3, 8])
@pytest.mark.parametrize("n_views", [1, 2, 3])
def test_p_values_are_those_of_the_definition(levels, n_views):
    rng = np.random.default_rng(n_views)
    for _ in range(40):
        m = int(rng.integers(1, 10))
        R = int(rng.integers(1, 14))
        n_changes = int(rng.integers(0, m * R + 1))
        views = any_scores(rng, m=m, R=R, n_changes=n_changes, n_views=n_views, levels=levels)
        answer = conformal_p_values(views)
        literal = [literal_p_value(views, j) for j in range(m)]
        assert answer.p.tolist() == [p for p, _ in literal]
        assert answer.view.tolist() == [view for _, view in literal]
        assert answer.p.min() >= answer.resolution == 1 / (R + 1)


def test_the_answer_for_a_sample_does_not_depend_on_the_others():
    rng = np.random.default_rng(0)
    views = any_scores(rng, m=7, R=9, n_changes=20, n_views=2, levels=5)
    whole = conformal_p_values(views)
    for j in range(7):
        alone = []
        for scores in views:
            of_j = scores.changes.row == j
            changes = Changes(
                scores.changes.row[of_j] * 0, scores.changes.item[of_j], scores.changes.value[of_j]
            )
            one = slice(j, j + 1)
            alone.append(
                Scores(scores.name, scores.sample[one], scores.reference, changes, scores.nearest[one])
            )
        assert conformal_p_values(alone).p.item() == whole.p[j]


def test_what_is_no_view_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users have it
    with pytest.raises(InputError, match="views: expected at least one, got none"):
        conformal_p_values([])
    with pytest.raises(InputError, match="views: expected a Scores, got int"):
        conformal_p_values([3])


def test_views_of_different_items_are_refused():
    rng = np.random.default_rng(0)
    one = any_scores(rng, m=3, R=4, n_changes=0, n_views=2)
    other = any_scores(rng, m=3, R=5, n_changes=0, n_views=3)
    with pytest.raises(InputError, match="different names"):
        conformal_p_values([one[0], one[0]])
    with pytest.raises(InputError, match="the same samples and reference items"):
        conformal_p_values([one[0], other[2]])


def test_a_full_audit_takes_seconds():
    rng = np.random.default_rng(0)
    # three sorts of a table of this size in the same process are the measure
    table = rng.random((1_000, 3_000))
    start = time.perf_counter()
    for _ in range(3):
        np.sort(table, axis=1)
    literal = time.perf_counter() - start
    views = any_scores(rng, m=1_000, R=3_000, n_changes=3_000, n_views=3)
    start = time.perf_counter()
    conformal_p_values(views)
    assert time.perf_counter() - start < 3 * literal
