"""p-values from views: the literal ones where it matters, and valid."""

import math

import numpy as np
import pytest
import torch

from audit_views import joined_statistics, quiet, with_one_more
from memhorizon.auditing.calibration import SCREEN, Reference, calibrate, find_all
from memhorizon.auditing.views.vectors import VectorView
from memhorizon.experiments.cache import Cache


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def told(what, done, total):
    """Tell nobody."""


def same(items):
    return items


def view_of(name, train, group, part):
    """A view of some of the numbers of an item."""
    return VectorView(name, name, "", lambda items: items[:, part], train[:, part], group)


def two_views(train, group):
    parts = {"first": slice(0, 3), "last": slice(2, 6)}
    return [view_of(name, train, group, part) for name, part in parts.items()]


def calibrated(views, reference, samples):
    known = [view.find(reference.items, reference.left_out, quiet) for view in views]
    found = [view.find(samples, None, quiet) for view in views]
    return calibrate(views, reference, known, samples, found, [same] * len(views), told)


def literal(views, reference, y):
    """p of one sample by counting: each view asked again with the sample in its training set."""
    ranks = []
    for view in views:
        joined = with_one_more(view, y, train=view.embed(y[None])[0])
        of_items = joined_statistics([joined], reference.items, reference.left_out)[0]
        own = view.find(y[None], None, quiet).statistic
        statistics = np.concatenate([of_items, own])
        ranks.append([(statistics <= s).sum() for s in statistics])
    # the smallest rank; of equal ones that in the first view
    evidence = np.min([len(views) * np.array(r) + v for v, r in enumerate(ranks)], axis=0)
    return (evidence <= evidence[-1]).sum() / len(evidence)


def made(seed, n=80):
    train = torch.randn(n, 6, generator=seeded(seed))
    train[-4:] = train[:4] + 1e-4
    group = torch.cat([torch.arange(n - 4), torch.arange(4)])
    return train, group


@pytest.mark.parametrize("pairs_in_memory", [1 << 22, 90])
def test_p_values_up_to_the_screen_are_the_literal_ones(pairs_in_memory, monkeypatch):
    monkeypatch.setattr("memhorizon.auditing.calibration._PAIRS", pairs_in_memory)
    train, group = made(0)
    rows = torch.arange(40)
    reference = Reference(train[rows], group[rows])
    fresh = torch.randn(12, 6, generator=seeded(1))
    samples = torch.cat([fresh, train[[0, 5, 50]], train[10:20] + 0.05 * fresh[:10], train[:1]])
    views = two_views(train, group)
    p = calibrated(views, reference, samples).p_values.p
    expected = np.array([literal(views, reference, y) for y in samples])
    small = p <= SCREEN
    assert small.sum() >= 5
    np.testing.assert_allclose(p[small], expected[small], rtol=1e-12)
    # the others are either the literal ones or not below the screen
    assert (p[expected < SCREEN] <= SCREEN).mean() > 0.8


def test_samples_are_not_calibrated_on_one_another():
    train, group = made(3)
    reference = Reference(train[:40], group[:40])
    samples = torch.cat([train[30:35], torch.randn(6, 6, generator=seeded(4))])
    views = two_views(train, group)
    together = calibrated(views, reference, samples).p_values.p
    alone = np.concatenate([calibrated(views, reference, y[None]).p_values.p for y in samples])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("on_holdout", [False, True])
def test_p_values_of_honest_samples_are_valid(on_holdout):
    """P(p <= a) <= a: samples are exchangeable with the reference items in each of many drawn sets.

    With eight honest samples of one set, which share its reference items, the standard error is that of the
    means of sets.
    """
    n_sets, m, R = 80, 8, 19
    p = np.empty((n_sets, m))
    for seed in range(n_sets):
        drawn = torch.randn(40 + m + R, 6, generator=seeded(seed)).exp()  # of heavy tails
        train, samples, held_out = drawn.split([40, m, R])
        group = torch.arange(40)
        items = Reference(held_out, None) if on_holdout else Reference(train[:R], group[:R])
        p[seed] = calibrated(two_views(train, group), items, samples).p_values.p
    for a in (0.05, 0.1, 0.2, 0.5) if on_holdout else (0.05, 0.1):
        below = (p <= a + 1e-12).mean(1)
        assert below.mean() <= a + 3 * below.std() / math.sqrt(n_sets)
    # not by being large always: 1/20 is reached by one in 20
    lowest = (p <= 1 / (R + 1) + 1e-12).mean(1)
    assert lowest.mean() >= 0.025 - 3 * lowest.std() / math.sqrt(n_sets)
    assert p.min() == 1 / (R + 1)


def test_the_cache_gives_what_was_found(tmp_path, monkeypatch):
    """In parts, and again from the files, with progress that ends at the number of items."""
    monkeypatch.setattr("memhorizon.auditing.calibration._TOGETHER", 7)
    train, group = made(5)
    view = two_views(train, group)[0]
    cache = Cache(tmp_path / "cache")
    seen = []
    options = {"key": {"what": "test"}, "report": lambda done, total: seen.append((done, total))}
    whole = view.find(train[:20], group[:20], quiet)
    for _ in range(2):
        found = find_all(view, train[:20], group[:20], cache=cache, **options)
        np.testing.assert_allclose(found.statistic, whole.statistic, rtol=1e-12)
        assert found.nearest.tolist() == whole.nearest.tolist()
        assert torch.equal(found.state["index"], whole.state["index"])
        assert seen[-1] == (20, 20)
        assert all(done <= total for done, total in seen)
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_nothing_is_computed_again_where_no_p_value_is_small():
    train, group = made(6)
    reference = Reference(train[:40], group[:40])
    samples = train.mean(0)[None] + torch.zeros(3, 6)
    answer = calibrated(two_views(train, group), reference, samples)
    assert (answer.p_values.p > SCREEN).all()
    assert all(len(scores.changes) == 0 for scores in answer.scores)
