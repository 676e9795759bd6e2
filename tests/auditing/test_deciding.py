"""What would report undecided samples, against the procedure itself with one sample or item more or less."""

import math
from dataclasses import replace

import numpy as np
import pytest

from memhorizon.auditing.deciding import deciding, rate_above
from memhorizon.auditing.statistics import benjamini_hochberg
from memhorizon.records.audit import AuditedSample, AuditRecord, ItemSet
from memhorizon.results import Fraction

RATE = 0.05


def record_of(counts, n_reference, reference="train"):
    """The record of samples with p = count / (R + 1)."""
    p = np.array(counts) / (n_reference + 1)
    found = benjamini_hochberg(p, RATE)
    samples = tuple(
        AuditedSample(
            index=j,
            name=f"{j}",
            p=float(p[j]),
            q=float(found.q[j]),
            is_copy=bool(found.rejected[j]),
            is_guaranteed=False,
            view="pixels",
            statistic=0.1,
            nearest=0,
            nearest_name="0",
        )
        for j in range(len(p))
    )
    sets = tuple(ItemSet(name, name, len(p), (4,), (4,), "") for name in ("samples", "train"))
    return AuditRecord(
        copies=found.copied,
        guaranteed=Fraction.of(0, len(p)),
        null=None,
        fdr=RATE,
        n_reference=n_reference,
        reference=reference,
        resolution=1 / (n_reference + 1),
        smallest_reportable=None,
        confident=0,
        samples=samples,
        views=(),
        sets=sets,
    )


def reported(small, m, n_reference, rate=RATE):
    """How many of m samples are reported, of which all but the small ones have p = 1."""
    p = np.ones(m)
    p[: len(small)] = np.array(small) / (n_reference + 1)
    return int(benjamini_hochberg(p, rate).rejected.sum())


@pytest.mark.parametrize("small", [[1], [1, 1], [1, 1, 2], [2, 2, 2]])
@pytest.mark.parametrize(("m", "n_reference"), [(40, 120), (200, 250), (57, 99), (1000, 400)])
def test_each_number_is_the_one_at_which_all_are_reported(small, m, n_reference):
    k = len(small)
    needed = deciding(record_of([*small, *[n_reference + 1] * (m - k)], n_reference))
    assert reported(small, m, n_reference) < k
    assert reported(small, m, needed.n_reference) == k
    assert reported(small, m, needed.n_reference - 1) < k
    assert reported(small, m, n_reference, 0.98 if needed.fdr is None else 0.99 * needed.fdr) < k
    assert needed.fdr is None or reported(small, m, n_reference, needed.fdr) == k


def test_fewer_samples_of_the_same_generator_decide_nothing():
    """One in twenty has the smallest p-value: reported among 200 if and only if among 20."""
    for n_reference in (300, 500):
        few = reported([1], 20, n_reference) == 1
        assert (reported([1] * 10, 200, n_reference) == 10) is few


def test_copies_that_are_reported_count_with_those_that_are_not():
    """Five with 1 / 101 are reported among 20, one with 2 / 101 is not: 18 x 2 / 101 / 6 > 0.05 at most."""
    record = record_of([*[1] * 5, 2, *[101] * 14], 100)
    assert record.copies.count == 5
    assert [one.index for one in record.undecided] == [5]
    assert deciding(record).n_reference == math.ceil(20 * 2 / (6 * RATE)) - 1 == 133


def test_nothing_undecided_needs_nothing():
    assert deciding(record_of([50] * 20, 100)) is None
    record = record_of([2] * 3 + [101] * 60, 100)
    assert deciding(record) is not None
    assert deciding(replace(record, reference="holdout")) is None  # exact copies have 1 / 101 there


def test_a_rate_is_rounded_up_and_stays_one():
    assert rate_above(0.05 + 1e-12) == 0.05  # up to the rounding of q
    assert rate_above(0.3340001) == 0.335
    assert rate_above(0.00012341) == pytest.approx(0.000124)
    assert rate_above(1.0) is None
