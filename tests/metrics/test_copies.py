"""f_mem, calibrated L2 and AuthPct: against slow twins, closed forms, planted copies and their base rates."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from memhorizon import metrics
from memhorizon.errors import InputError
from memhorizon.results import Fraction
from metrics_reference import authentic_slow, calibrated_slow, ratios_slow


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


GROUPS = [torch.arange(60), torch.arange(60) // 3, torch.arange(60) % 4 * 7 - 3]


def sets():
    train = normal(60, 5)
    train[40:50] = train[:10]  # some twice
    samples = torch.cat([normal(40, 5, seed=1), train[:4] + 0.01, train[20:22]])
    return samples.double(), train.double()


@pytest.mark.parametrize("group", GROUPS, ids=["each alone", "of three", "four"])
def test_equal_the_slow_twins(group):
    samples, train = sets()
    # distances of 64 bits, some of them 0: a few roundings
    close = {"rtol": 1e-12, "atol": 0}
    if not torch.equal(group, GROUPS[0]):  # where equal items are of two groups, 0/0 is a matter of taste
        expected = ratios_slow(samples, train, group.numpy())
        found = metrics.f_mem(samples, train, group=group)
        np.testing.assert_allclose(found.per_sample, expected, **close)
        assert found.value == Fraction.of((expected < 1 / 3).sum(), 46)
    expected = calibrated_slow(samples, train, group.numpy(), 4, 0.7)
    found = metrics.calibrated_l2(samples, train, k=4, alpha=0.7, group=group)
    np.testing.assert_allclose(found.per_sample, expected, **close)
    assert found.value == Fraction.of((expected < 1).sum(), 46)
    expected = authentic_slow(samples, train, group.numpy())
    assert metrics.auth_pct(samples, train, group=group).value == Fraction.of(expected.sum(), 46)


def test_duplicates_count_as_one_by_default():
    samples, train = sets()
    label = torch.arange(60)
    label[40:50] = label[:10]
    for metric in (metrics.f_mem, metrics.calibrated_l2, metrics.auth_pct):
        expected = metric(samples, train, group=label)
        found = metric(samples, train)
        assert found.value == expected.value
        assert torch.equal(found.per_sample, expected.per_sample)


@pytest.mark.parametrize("times", [2, 16])
def test_no_number_of_repeats_hides_a_copy(times):
    """Every original in the training set that often, and near copies of 50 of them among 250 samples."""
    train = normal(100, 16)
    samples = torch.cat([train[:50] + 1e-3 * normal(50, 16, seed=1), normal(200, 16, seed=2)])
    repeated = train.repeat(times, 1)
    for metric in (metrics.f_mem, metrics.calibrated_l2, metrics.auth_pct):
        once, again = metric(samples, train), metric(samples, repeated)
        assert torch.equal(once.per_sample, again.per_sample)
    assert metrics.f_mem(samples, repeated).value.count == 50
    assert bool((metrics.calibrated_l2(samples, repeated).per_sample[:50] < 1).all())
    assert bool((metrics.auth_pct(samples, repeated).per_sample[:50] < 1).all())


def test_near_duplicates_count_as_one_where_asked():
    """Near copies of items that are there twice but for noise: novel by the exact rule, not by the near."""
    train = normal(100, 16)
    train = torch.cat([train, train[:50] + 1e-4 * normal(50, 16, seed=1)])
    samples = torch.cat([train[:50] + 1e-4 * normal(50, 16, seed=2), normal(50, 16, seed=3)])
    assert metrics.f_mem(samples, train).value.count < 25
    assert metrics.f_mem(samples, train, group="near").value.count == 50


def test_distances_on_a_line():
    """Training items at 0, 4, 10; samples at 1 and 9.5."""
    train = torch.tensor([[0.0], [4], [10]])
    samples = torch.tensor([[1.0], [9.5]])
    assert metrics.f_mem(samples, train).per_sample.tolist() == pytest.approx([1 / 3, 0.5 / 5.5])
    expected = [1 / (0.5 * (1 + 3 + 9) / 3), 0.5 / (0.5 * (0.5 + 5.5 + 9.5) / 3)]
    found = metrics.calibrated_l2(samples, train)
    assert found.per_sample.tolist() == pytest.approx(expected)
    assert found.note == "the mean is over 3 neighbours: there are no more groups"
    assert metrics.auth_pct(samples, train).per_sample.tolist() == pytest.approx([1 / 4, 0.5 / 6])


def test_held_out_points_of_one_dimension_are_authentic_in_one_of_three():
    """Closed form. The gap that holds y has the density g exp(-g), y is at u, uniform up to g / 2, from the
    nearer end x, and the gap on the other side of x is exponential: P(u > it) = 1 - E exp(-u) = 1/3.

    400 independent lines, far from one another, one sample in the middle of each: binomial.
    """
    place = 1000.0 * torch.arange(400, dtype=torch.float64)[:, None]
    lines = place + uniform(400, 40)
    found = metrics.auth_pct(place + 0.5, lines.reshape(-1, 1))
    assert stats.binomtest(found.value.count, 400, 1 / 3).pvalue > 1e-3


@pytest.mark.parametrize(("dim", "low", "high"), [(2, 0.33, 0.45), (64, 0.77, 0.89)])
def test_the_base_rate_of_auth_pct_depends_on_the_dimension(dim, low, high):
    """Held-out items: 0.39 in 2 dimensions, 0.83 in 64, as measured at n = 4,000, and it is printed."""
    train, holdout = normal(1500, dim), normal(1500, dim, seed=1)
    found = metrics.auth_pct(holdout[:500], train, holdout=holdout)
    assert low < found.null.value < high
    assert f"null {found.null.value:.4f}" in str(found)
    # the samples are held-out items: the same rate, within 4 standard errors of the difference
    assert abs(found.value.value - found.null.value) < 4 * math.sqrt(0.25 / 500 + 0.25 / 1500)


def test_the_null_of_f_mem_is_printed_whether_there_are_held_out_items_or_not():
    train, holdout = normal(2000, 2), normal(2000, 2, seed=1)
    measured = metrics.f_mem(holdout[:100], train, holdout=holdout)
    closed = metrics.f_mem(holdout[:100], train)
    assert abs(measured.null.value - 1 / 9) < 0.03  # threshold^D, and what the density's slope adds
    assert closed.null.low < 1 / 9 < closed.null.high
    assert "held-out items in place of samples" in str(measured)
    assert "intrinsic dimension D = 2" in str(closed) or "intrinsic dimension D = 1.9" in str(closed)


def test_nothing_found_among_1000_still_has_an_upper_limit():
    train = normal(500, 32)
    for metric in (metrics.f_mem, metrics.calibrated_l2):
        found = metric(normal(1000, 32, seed=1), train, holdout=normal(1000, 32, seed=2))
        assert (found.value.count, found.value.total) == (0, 1000)
        assert found.value.high == pytest.approx(1 - 0.025 ** (1 / 1000))
        assert str(found).startswith(f"{found.name} 0.0000 [0.0000, 0.0037] (0 of 1000); null 0.0000")


def test_50_exact_copies_among_1000_samples():
    """f_mem and calibrated L2 count them; AuthPct, with a base rate of 0.8, moves less than its interval."""
    train, holdout = normal(2000, 64), normal(1000, 64, seed=1)
    samples = torch.cat([train[:50], normal(950, 64, seed=2)])
    for metric in (metrics.f_mem, metrics.calibrated_l2):
        found = metric(samples, train, holdout=holdout)
        assert found.value.count == 50
        assert found.null.count == 0
        assert found.per_sample[:50].tolist() == [0.0] * 50
    authentic = metrics.auth_pct(samples, train, holdout=holdout)
    assert authentic.per_sample[:50].tolist() == [0.0] * 50
    assert authentic.value.high > authentic.null.low


def test_one_item_alone_and_items_all_alike_are_refused():
    for metric in (metrics.f_mem, metrics.calibrated_l2, metrics.auth_pct):
        with pytest.raises(InputError, match="train: expected at least 2 groups of duplicates, got 1 items"):
            metric(torch.eye(3), torch.ones(1, 3))
        with pytest.raises(InputError, match="train: expected at least 2 groups of duplicates, got 4 items"):
            metric(torch.eye(3), torch.ones(4, 3))


@pytest.mark.parametrize("has_holdout", [True, False])
@pytest.mark.parametrize("name", ["f_mem", "calibrated_l2", "auth_pct"])
def test_sets_are_compared_as_they_are_where_their_unit_is_vouched_for(name, has_holdout):
    """Pixels of 0..1 beside those of 0..255: as the same points, moved to where there are no pixels."""
    sets = [uniform(20, 3, 4, 4), uniform(40, 3, 4, 4, seed=1) * 255, uniform(20, 3, 4, 4, seed=2) * 255]
    moved = [x - 1000 for x in sets]
    metric = getattr(metrics, name)
    with pytest.raises(InputError, match="expected values of one unit"):
        metric(sets[0], sets[1], holdout=sets[2] if has_holdout else None)
    found = metric(sets[0], sets[1], holdout=sets[2] if has_holdout else None, same_units=True)
    plain = metric(moved[0], moved[1], holdout=moved[2] if has_holdout else None)
    assert found.value == plain.value
    np.testing.assert_allclose(found.per_sample, plain.per_sample, rtol=1e-6)


def test_two_items_have_no_closed_form_null():
    found = metrics.f_mem(torch.ones(1, 3), torch.eye(3)[:2])
    assert found.null is None
    assert "null not known: give held-out items" in str(found)


ITEMS = torch.eye(4)
BAD = {
    "threshold": (lambda: metrics.f_mem(ITEMS, ITEMS, threshold=1.0), "threshold: expected"),
    "alpha": (lambda: metrics.calibrated_l2(ITEMS, ITEMS, alpha=0.0), "alpha: expected"),
    "k": (lambda: metrics.calibrated_l2(ITEMS, ITEMS, k=1), "k: expected a whole number of at least 2"),
    "word": (
        lambda: metrics.auth_pct(ITEMS, ITEMS, group="nearly"),
        'group: expected one of "exact", "near"',
    ),
    "group": (lambda: metrics.auth_pct(ITEMS, ITEMS, group=[0, 1]), "group: expected 4 integers"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_options_are_named(case):
    call, message = BAD[case]
    with pytest.raises(InputError, match=message):
        call()
