"""p-values: equal to their definition, uniform under the null, and fast."""

import time

import jaxtyping
import numpy as np
import pytest
from scipy import stats

from audit_draws import any_scores, p_values_of, ratio_scores
from memhorizon.auditing import statistics
from memhorizon.auditing.scores import Changes, Scores
from memhorizon.auditing.statistics import benjamini_hochberg, conformal_p_values, smallest_reportable
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
    # of equal ranks, the first view counts more
    c = np.min([len(views) * np.array(own) + v for v, own in enumerate(ranks)], axis=0)
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


def test_a_full_audit_costs_less_than_to_sort_a_table_of_its_size():
    """In processor time, the best of three each: 4 to 8 times less where it was tried."""
    rng = np.random.default_rng(0)
    table = rng.random((1_000, 3_000))
    views = any_scores(rng, m=1_000, R=3_000, n_changes=3_000, n_views=3)
    sorting = min(_processor_seconds(np.sort, table) for _ in range(3))
    assert min(_processor_seconds(conformal_p_values, views) for _ in range(3)) < 3 * sorting


def _processor_seconds(function, argument):
    start = time.process_time()
    function(argument)
    return time.process_time() - start


def test_parts_of_the_samples_give_the_same_answer(monkeypatch):
    rng = np.random.default_rng(5)
    views = any_scores(rng, m=30, R=20, n_changes=200, n_views=3, levels=9)
    whole = conformal_p_values(views)
    monkeypatch.setattr(statistics, "_CHANGES", 25)
    parts = conformal_p_values(views)
    assert parts.count.tolist() == whole.count.tolist()
    assert parts.ranks.tolist() == whole.ranks.tolist()


def test_scores_of_the_ratio_are_those_of_the_training_set_that_the_sample_joined():
    rng = np.random.default_rng(6)
    train = rng.normal(size=(12, 2))
    samples = rng.normal(size=(5, 2))
    scores = ratio_scores(train, 6, samples)
    for j, sample in enumerate(samples):
        changed = dict(
            zip(
                scores.changes.item[scores.changes.row == j],
                scores.changes.value[scores.changes.row == j],
                strict=True,
            )
        )
        for i in range(6):
            others = np.sort(
                np.linalg.norm(np.vstack([np.delete(train, i, axis=0), sample]) - train[i], axis=1)
            )
            assert changed.get(i, scores.reference[i]) == pytest.approx(others[0] / others[1], rel=1e-12)


def test_p_values_of_honest_samples_are_uniform():
    rng = np.random.default_rng(7)
    R = 9
    counts = []
    for _ in range(800):
        train = rng.standard_t(3, size=(20, 2))
        counts.append(
            conformal_p_values([ratio_scores(train, R, rng.standard_t(3, size=(1, 2)))]).count.item()
        )
    # exactly uniform on 1, ..., R + 1 where no two statistics are equal
    assert stats.chisquare(np.bincount(counts, minlength=R + 2)[1:]).pvalue > 1e-3


def test_combined_p_values_of_honest_samples_are_uniform():
    rng = np.random.default_rng(8)
    R = 9
    counts = []
    for _ in range(500):
        train = rng.normal(size=(20, 4))
        sample = rng.normal(size=(1, 4))
        views = [
            ratio_scores(train[:, :2], R, sample[:, :2], "first two"),
            ratio_scores(train[:, 1:], R, sample[:, 1:], "last three"),
            ratio_scores(np.abs(train), R, np.abs(sample), "without signs"),
        ]
        counts.append(conformal_p_values(views).count.item())
    # c differs between all items of S_j, so that the combined p-value is as fine as that of one view
    assert stats.chisquare(np.bincount(counts, minlength=R + 2)[1:]).pvalue > 1e-3


def test_discoveries_are_those_of_the_procedure():
    rng = np.random.default_rng(9)
    for _ in range(200):
        p = rng.integers(1, 41, size=15) ** 2 / 1_600
        # the largest k with p_(k) <= k rate / m
        k = max((k for k in range(1, 16) if np.sort(p)[k - 1] <= k * 0.2 / 15), default=0)
        answer = benjamini_hochberg(p, 0.2)
        assert answer.rejected.sum() == k
        assert set(np.flatnonzero(answer.rejected)) == set(np.argsort(p, kind="stable")[:k])
        assert np.array_equal(answer.q <= 0.2, answer.rejected)
    assert (answer.copied.count, answer.copied.total) == (k, 15)
    assert repr(answer) == f"Discoveries({k} of 15 samples, rate 0.2)"


@pytest.mark.parametrize("m", [1, 7, 100, 1_000])
@pytest.mark.parametrize("R", [19, 99, 499, 4_999])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.3])
def test_the_smallest_reportable_number_is_reported_and_one_less_is_not(m, R, rate):
    smallest = smallest_reportable(m, 1 / (R + 1), rate)
    for k in {0, 1, m} | ({smallest, smallest - 1} if smallest else set()):
        counts = np.full(m, R + 1)
        counts[:k] = 1
        found = benjamini_hochberg(p_values_of(counts, R).p, rate).rejected.sum()
        assert found == (k if smallest and k >= smallest else 0)


def test_wrong_p_values_and_rates(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as users have it
    for wrong, message in (
        (np.array([]), "p: expected a vector of numbers, got"),
        (np.array([["a"]]), "p: expected a vector of numbers, got"),
        (np.array([0.1, 1.1]), "p: expected numbers from 0 to 1, got 1.1 at 1"),
        (np.array([np.nan]), "p: expected numbers from 0 to 1, got nan at 0"),
    ):
        with pytest.raises(InputError, match=message):
            benjamini_hochberg(wrong, 0.1)
    with pytest.raises(InputError, match="rate: expected a finite number > 0 and < 1, got 0"):
        benjamini_hochberg(np.array([0.1]), 0)
    with pytest.raises(InputError, match="m: expected a whole number of at least 1, got 0"):
        smallest_reportable(0, 0.1, 0.1)
    with pytest.raises(InputError, match="resolution: expected a finite number > 0 and <= 1, got 0"):
        smallest_reportable(1, 0, 0.1)
