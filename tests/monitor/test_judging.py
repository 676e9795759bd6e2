"""What certified looks limit: sizes that are fixed before the training, two limits of each."""

import math

import numpy as np
import torch
from scipy import stats

from memhorizon.monitor.copies import CopyFinder, Found
from memhorizon.monitor.judging import SPARE, Judge
from memhorizon.monitor.settings import MonitorSets, MonitorSettings


def judge():
    """One for 2,000 items in 20 dimensions, where no honest item counts as a copy."""
    generator = torch.Generator().manual_seed(0)
    train = torch.randn(200, 20, generator=generator)
    finder = CopyFinder.of(train, None, target=0.01, seed=0)
    return Judge(MonitorSettings(), MonitorSets(train, None), finder.rule)


def found(copies, total):
    is_copy = torch.arange(total) < copies
    return Found(torch.where(is_copy, 0.1, 0.9), torch.zeros(total, dtype=torch.int64), is_copy)


def test_the_sizes_certify_one_per_cent_without_copies_and_with_a_few():
    """Of the binomial distribution: P(X <= x) at 1 % is the level there, and above it one sample earlier."""
    sizes = judge()
    level = 0.05 / 10
    for copies, size in ((0, sizes.first_size), (SPARE, sizes.second_size)):
        assert stats.binom.cdf(copies, size, 0.01) <= level < stats.binom.cdf(copies, size - 1, 0.01)


def test_a_look_goes_on_where_a_few_samples_are_copies():
    asks = judge().asks_more
    size = judge().first_size
    assert [asks(found(copies, size)) for copies in (0, 1, SPARE, SPARE + 1)] == [False, True, True, False]
    assert not asks(Found.none())


def test_five_looks_of_two_limits_certify_too_much_in_one_training_of_twenty_at_most():
    """All looks at a share just above the target, each with its second limit where that may still help."""
    rng = np.random.default_rng(0)
    sizes = judge()
    trainings = 20_000
    first = rng.binomial(sizes.first_size, 0.0101, (trainings, 5))
    more = rng.binomial(sizes.second_size - sizes.first_size, 0.0101, (trainings, 5))
    passes = (first == 0) | ((first <= SPARE) & (first + more <= SPARE))
    false = passes.any(1).mean()
    # five standard errors of a share of 5 %
    assert false <= 0.05 + 5 * math.sqrt(0.05 * 0.95 / trainings)
    # and the second limit is of use: it finds more than the first alone
    assert passes.mean() > (first == 0).mean()
