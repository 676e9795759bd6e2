"""What is drawn of answers: curves with intervals, times and ratios with intervals, bounds as arrows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType, MarkerType

from memhorizon.figures import style
from memhorizon.figures.groups import Group
from memhorizon.figures.style import Look
from memhorizon.results import Curve, Estimate, Status, Time

# how far an arrow reaches, as a factor on a logarithmic axis
REACH = {"horizontal": 1.39, "vertical": 1.45, "ratio": 1.6}
UPWARD = (Status.AT_LEAST, Status.NOT_REACHED)
DOWNWARD = (Status.AT_MOST, Status.BEFORE_FIRST)


@dataclass(frozen=True)
class TimescaleMark:
    """How tau_gen or tau_mem looks in every figure.

    Attributes:
        symbol: for legends.
        color: of marker, interval and arrow.
        marker: its form.
        filled: whether marker and arrow heads are filled.
    """

    symbol: str
    color: str
    marker: MarkerType
    filled: bool

    @property
    def face(self) -> str:
        """The colour inside of the marker."""
        return self.color if self.filled else "white"

    def handle(self, line: LineStyleType = "-") -> Line2D:
        """The entry of a legend."""
        look = style.Look(color=self.color, linestyle=line, marker=self.marker)
        return Line2D([], [], **look, markerfacecolor=self.face)


TIMESCALES = {
    "tau_gen": TimescaleMark(style.TAU_GEN, "#31688e", "s", filled=False),
    "tau_mem": TimescaleMark(style.TAU_MEM, "#440154", "o", filled=True),
}


def curves(axes: Axes, found: Sequence[Curve], look: Look, *, divisor: float = 1.0) -> None:
    """Draw the curves of one group of runs, with intervals, against the step over a divisor."""
    for curve in found:
        step = curve.step / divisor
        style.band(axes, step, curve.low, curve.high, look["color"], alpha=0.16 / len(found) ** 0.5)
        axes.plot(step, curve.value, **style.altered(look, markersize=2.8))


def legend_of_groups(figure: Figure, every: Sequence[Group]) -> None:
    """One entry per series, above the panels, with the number of seeds."""
    looks = style.looks(group.series for group in every)
    handles = [Line2D([], [], **look) for look in looks.values()]
    longest = max(len(name) for name in looks)
    figure.legend(
        handles,
        [style.label(name) for name in looks],
        loc="outside upper center",
        ncols=max(1, min(len(looks), 90 // (longest + 8))),
        handlelength=3.2,
        title=_seeds([len(group.runs) for group in every]),
        title_fontsize=8.5,
    )


def _seeds(counts: Sequence[int]) -> str | None:
    """How many seeds there are of each setting; None where it is one of each."""
    few = min(counts)
    many = max(counts)
    if many == 1:
        return None
    return f"{many} seeds each" if few == many else f"{few} to {many} seeds each"


def ends(time: Time) -> tuple[float | None, float | None]:
    """Both ends of the interval of a time; None where nothing bounds it."""
    if time.status is Status.NOT_REACHED:
        return time.value, None
    if time.status is Status.BEFORE_FIRST:
        return None, time.value
    low = time.low if time.low > 0 else None
    high = time.high if np.isfinite(time.high) else None
    return low, high


def time_across(axes: Axes, at: float, time: Time, looked: tuple[float, float], mark: TimescaleMark) -> None:
    """Draw a time with its interval at height `at`; ends that nothing bounds, and censored times, are arrows.

    What is no time (not measured, still improving) draws nothing.

    Args:
        axes: where; its horizontal axis is the step, logarithmic.
        at: the height.
        time: what to draw.
        looked: the first and the last step looked at, where an open interval ends.
        mark: how this timescale looks.
    """
    if not time.known:
        return
    first, last = looked
    low, high = ends(time)
    left = first if low is None else max(low, first)
    right = last if high is None else min(high, last)
    axes.plot([left, right], [at, at], color=mark.color, linewidth=1.6, solid_capstyle="butt", zorder=3)
    if low is None:
        _arrow(axes, (left, at), (left / REACH["horizontal"], at), mark)
    if high is None:
        _arrow(axes, (right, at), (right * REACH["horizontal"], at), mark)
    _marker(axes, (time.value, at), mark)


def time_upright(axes: Axes, x: float, time: Time, mark: TimescaleMark) -> None:
    """Draw a time with its interval above `x`; ends that nothing bounds, and censored times, are arrows."""
    low, high = ends(time)
    for end, reach in ((low, 1 / REACH["vertical"]), (high, REACH["vertical"])):
        if end is None:
            tip = time.value * reach
            _arrow(axes, (x, time.value), (x, tip), mark)
        else:
            tip = end
            axes.plot([x, x], [time.value, end], color=mark.color, linewidth=1.2)
        _within(axes, x, tip)
    _marker(axes, (x, time.value), mark)


def _arrow(axes: Axes, start: tuple[float, float], tip: tuple[float, float], mark: TimescaleMark) -> None:
    """An arrow whose head is filled as the marker is."""
    axes.annotate(
        "",
        tip,
        start,
        arrowprops={
            "arrowstyle": "-|>",
            "edgecolor": mark.color,
            "facecolor": mark.face,
            "linewidth": 1.2,
            "shrinkA": 0,
            "shrinkB": 0,
        },
        zorder=3,
    )


def _marker(axes: Axes, place: tuple[float, float], mark: TimescaleMark) -> None:
    axes.plot(
        [place[0]],
        [place[1]],
        linestyle="none",
        marker=mark.marker,
        color=mark.color,
        markerfacecolor=mark.face,
        markersize=4.5,
        zorder=4,
    )


def _within(axes: Axes, x: float, y: float) -> None:
    """Have the axes reach up to a point without drawing it."""
    axes.plot([x], [y], alpha=0)


def ratio(axes: Axes, x: float, found: Estimate, status: Status, look: Look, **changes: object) -> None:
    """Draw a positive number with its interval; a bound is an open marker with an arrow.

    Args:
        axes: where; its vertical axis is logarithmic.
        x: the place.
        found: the number; nothing is drawn where it is not known (NaN). An end at 0 or infinity is an
            arrow; where neither end is known there is none.
        status: "at least" and "not reached" are bounds from below, "at most" and "before first" from above.
        look: colour and marker.
        changes: of the marker.
    """
    if not np.isfinite(found.value):
        return
    bound = status in UPWARD or status in DOWNWARD
    if bound:
        down = status in DOWNWARD
        up = status in UPWARD
    else:
        down, up = _open_ends(found)
        _ratio_interval(axes, x, found, look)
    if down:
        _ratio_arrow(axes, x, found.value, found.value / REACH["ratio"], look)
    if up:
        _ratio_arrow(axes, x, found.value, found.value * REACH["ratio"], look)
    face = "white" if bound else look["color"]
    drawn = {**look, "linestyle": "none", "markersize": 4.5, "markerfacecolor": face, **changes}
    axes.plot([x], [found.value], **drawn)


def _open_ends(found: Estimate) -> tuple[bool, bool]:
    """Whether a positive number is bounded from one side only: not from below, not from above."""
    above = bool(np.isfinite(found.high))
    return found.low == 0, bool(np.isfinite(found.low)) and not above


def _ratio_interval(axes: Axes, x: float, found: Estimate, look: Look) -> None:
    """The interval as far as it is bounded."""
    low = found.low if found.low > 0 else found.value
    high = found.high if np.isfinite(found.high) else found.value
    axes.plot([x, x], [low, high], color=look["color"], linewidth=1.1)


def _ratio_arrow(axes: Axes, x: float, start: float, tip: float, look: Look) -> None:
    arrow = {"arrowstyle": "-|>", "color": look["color"], "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (x, tip), (x, start), arrowprops=arrow)
    _within(axes, x, tip)
