"""Ratios of times between two settings: the paired t interval, and what bounds do to it."""

import math

import numpy as np
import pytest
from scipy import stats

from memhorizon.results import Status, Time
from memhorizon.timescales.contrasts import SeededTime, time_ratio


def known(value, status=Status.OBSERVED):
    return Time(value, value, value if status is Status.OBSERVED else math.inf, status, "planted")


def paired(below, above):
    """One time of each seed in both settings."""
    return [
        SeededTime(second, seed, time)
        for second, times in ((False, below), (True, above))
        for seed, time in enumerate(times)
    ]


def test_a_ratio_of_well_known_times_has_the_paired_t_interval():
    below = np.array([700.0, 1000.0, 1900.0])
    above = below * [1.5, 1.4, 1.65]
    found = time_ratio(paired(map(known, below.tolist()), map(known, above.tolist())))
    logs = np.log(above / below)
    low, high = stats.ttest_1samp(logs, 0).confidence_interval()
    assert (found.observed, found.status, found.note) == (6, Status.FITTED, "")
    ratio = np.log([found.ratio.value, found.ratio.low, found.ratio.high])
    assert ratio == pytest.approx([logs.mean(), low, high], abs=1e-3)


def test_a_bound_moves_a_ratio_past_the_bound():
    """Two of three are seen 1.5 times later; the third was not reached at 1.2 times: no less than at 1.2."""
    below = [known(700.0), known(1000.0), known(1900.0)]
    above = [known(1050.0), known(1500.0), known(1900.0 * 1.2, Status.NOT_REACHED)]
    found = time_ratio(paired(below, above))
    assert (found.observed, found.censored) == (5, 1)
    assert found.ratio.value > 1.2
    assert found.at_least is None


def test_where_nothing_was_reached_the_ratio_is_bounded_only():
    """The bound is the geometric mean of the last steps over that of the times of the first setting."""
    below = [known(100.0), known(200.0), known(300.0)]
    above = [known(1000.0, Status.NOT_REACHED)] * 3
    found = time_ratio(paired(below, above))
    assert found.at_least == pytest.approx(1000 / stats.gmean([100, 200, 300]))
    assert (found.status, math.isnan(found.ratio.value)) == (Status.NOT_FITTED, True)


def test_without_a_common_seed_there_is_no_ratio():
    found = time_ratio([SeededTime(False, 0, known(1.0)), SeededTime(True, 1, known(2.0))])
    assert (found.ratio, found.observed, found.status) == (None, 0, Status.NOT_FITTED)
    assert "not identified" in found.note


def test_times_that_are_none_are_left_out_and_named():
    lost = Time.unknown(Status.STILL_IMPROVING, "")
    below = [known(700.0), known(1000.0), known(1900.0), lost]
    above = [known(1050.0), known(1400.0), known(2900.0), known(9.0)]
    found = time_ratio(paired(below, above))
    assert (found.left_out, found.note) == (1, "left out: 1 still improving")
