"""Means and their errors, against NumPy and the closed form of the jackknife."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from memhorizon.measure.means import Mean, jackknife_error


def numbers(count, seed=0):
    return torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_mean_and_its_interval_are_those_of_the_textbook():
    x = numbers(40)
    found = Mean.of(x)
    error = np.std(x.numpy(), ddof=1) / math.sqrt(40)
    low, high = stats.norm.interval(0.95, loc=float(np.mean(x.numpy())), scale=error)
    assert found.count == 40
    assert found.standard_error == pytest.approx(error)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert Mean.of(x.float()).value == pytest.approx(float(x.float().double().mean()), rel=1e-14)


def test_one_value_has_no_error_that_is_known():
    assert Mean.of(torch.tensor([2.0])) == Mean(2.0, math.inf, 1)
    two = Mean.of(torch.tensor([1.0, 3.0]))
    assert (two.value, two.standard_error, two.count) == (2.0, pytest.approx(1.0), 2)


@pytest.mark.parametrize("count", [2, 3, 50])
def test_the_jackknife_of_a_mean_is_its_standard_error(count):
    x = numbers(count, seed=count)
    left_out = torch.stack([torch.cat([x[:i], x[i + 1 :]]).mean() for i in range(count)])
    assert jackknife_error(left_out) == pytest.approx(Mean.of(x).standard_error)


def test_a_mean_prints_its_interval():
    assert str(Mean(0.5, 0.01, 9)) == "0.5 [0.4804, 0.5196]"
