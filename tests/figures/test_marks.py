"""What is drawn of an answer: where its interval ends, and where an arrow says that nothing bounds it."""

import math

import pytest

from memhorizon.figures import marks, style
from memhorizon.results import Estimate, Status, Time

MEM = marks.TIMESCALES["tau_mem"]
LOOK = style.looks(["one"])["one"]


@pytest.fixture
def axes():
    made = style.canvas().subplots()
    made.set(xscale="log", yscale="log")
    return made


def arrows_of(axes):
    """Where arrows start and end."""
    return sorted((text.xyann, text.xy) for text in axes.texts)


def time(status, value=100.0, low=80.0, high=125.0):
    return Time(value, low, high, status)


@pytest.mark.parametrize(
    ("found", "line", "arrows"),
    [
        (time(Status.OBSERVED), (80.0, 125.0), []),
        (time(Status.OBSERVED, low=0.0), (10.0, 125.0), ["down"]),
        (time(Status.OBSERVED, high=math.inf), (80.0, 900.0), ["up"]),
        (time(Status.NOT_REACHED, high=math.inf), (100.0, 900.0), ["up"]),
        (time(Status.BEFORE_FIRST, low=0.0), (10.0, 100.0), ["down"]),
        (time(Status.OBSERVED, low=2.0, high=5000.0), (10.0, 900.0), []),  # cut at the steps looked at
    ],
)
def test_a_time_with_its_interval(axes, found, line, arrows):
    marks.time_across(axes, 1.0, found, (10.0, 900.0), MEM)
    interval, marker = axes.lines
    assert tuple(interval.get_xdata()) == line
    assert marker.get_xdata() == [100.0]
    directions = ["up" if end[0] > start[0] else "down" for start, end in arrows_of(axes)]
    assert directions == arrows
    starts = {start[0] for start, _ in arrows_of(axes)}
    assert starts <= set(line)


def test_what_is_no_time_draws_nothing(axes):
    marks.time_across(axes, 1.0, Time.unknown(Status.STILL_IMPROVING, ""), (10.0, 900.0), MEM)
    assert not axes.lines
    assert not axes.texts


@pytest.mark.parametrize(
    ("found", "status", "arrows", "filled"),
    [
        (Estimate(2.0, 1.5, 3.0), Status.OBSERVED, 0, True),
        (Estimate(2.0, 0.0, 3.0), Status.OBSERVED, 1, True),
        (Estimate(2.0, 0.0, math.inf), Status.OBSERVED, 2, True),
        (Estimate(2.0, -math.inf, math.inf), Status.OBSERVED, 0, True),  # no interval is known at all
        (Estimate(2.0, 2.0, math.inf), Status.AT_LEAST, 1, False),
        (Estimate(2.0, 0.0, 2.0), Status.AT_MOST, 1, False),
    ],
)
def test_a_ratio_with_its_interval_or_as_a_bound(axes, found, status, arrows, filled):
    marks.ratio(axes, 1.0, found, status, LOOK)
    assert len(axes.texts) == arrows
    (marker,) = [line for line in axes.lines if line.get_marker() == LOOK["marker"]]
    assert (marker.get_markerfacecolor() == LOOK["color"]) is filled
    for line in axes.lines:
        assert all(0 < y < math.inf for y in line.get_ydata())


def test_a_ratio_that_is_not_known_draws_nothing(axes):
    marks.ratio(axes, 1.0, Estimate(math.nan, 0.0, math.inf), Status.NOT_FITTED, LOOK)
    assert not axes.lines
    assert not axes.texts
