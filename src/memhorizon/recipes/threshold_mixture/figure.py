"""n*(W): who still copies after long training, and whether that has stopped to move."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import (
    BOUND,
    COPIES,
    DASHED,
    UNIT,
    TablePicture,
    distinct,
    ends,
    guide,
    legend_above,
    mark,
    sizes_axis,
    without_line,
)
from memhorizon.recipes.tables import grouped, of_kind, rows_of
from memhorizon.recipes.threshold_mixture.numbers import KINDS, NAME, GroupRow, Row, RunRow
from memhorizon.results import Status


def threshold(record: object) -> TablePicture[Row]:
    """Copies against n at the last step, n* along training, and n* against the number of parameters.

    Raises:
        InputError: if it is not the record of the recipe threshold_mixture.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw)


def _draw(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(width=9.4, height=3.6)
    left, middle, right = figure.subplots(1, 3)
    groups = of_kind(rows, GroupRow)
    looks = style.looks(_name(width) for width in distinct(row.width for row in groups))
    levels = sorted(distinct(row.level for row in groups))
    _copies(left, of_kind(rows, RunRow), looks, levels[-1])
    _along_training(middle, [row for row in groups if row.level == levels[-1]], looks)
    _by_parameters(right, [row for row in groups if row.growth is not None], levels)
    legend_above(figure, {**looks, "bound": BOUND})
    return figure


def _name(width: int) -> str:
    return f"W = {width}"


def _copies(axes: Axes, runs: Sequence[RunRow], looks: Mapping[str, Look], level: float) -> None:
    """The memorized fraction at the last step, a line per seed."""
    ordered = sorted(runs, key=lambda row: row.n_train)
    lines = grouped(ordered, lambda row: (row.width, row.seed))
    for (width, _), line in lines.items():
        thin = style.altered(looks[_name(width)], linewidth=0.8, markersize=3)
        axes.plot([row.n_train for row in line], [row.memorized[-1] for row in line], **thin)
    guide(axes, level)
    sizes_axis(axes, sorted(distinct(row.n_train for row in runs)), "training items n", margin=2.3)
    step = style.plain_number(runs[0].step[-1])
    title = f"copies after {step} steps,\na line per seed (dashed: {level:g})"
    axes.set(ylabel=COPIES, ylim=UNIT, title=title)


def _along_training(axes: Axes, groups: Sequence[GroupRow], looks: Mapping[str, Look]) -> None:
    """n* of every width against the step at which it is read."""
    for (name, look), shift in zip(looks.items(), np.linspace(-0.05, 0.05, len(looks)), strict=True):
        _path(axes, [row for row in groups if _name(row.width) == name], look, float(np.exp(shift)))
    _proportional_to_step(axes, groups)
    style.log_scale(axes.xaxis)
    style.log_scale(axes.yaxis)
    title = f"n* along training, level {groups[0].level:g}\n(dashed: in proportion to the step)"
    axes.set(xlabel="training step", ylabel="n*, mean over seeds, 95 % interval", title=title)


def _proportional_to_step(axes: Axes, groups: Sequence[GroupRow]) -> None:
    """A line of slope one through the lowest point, as far as the panel goes."""
    steps = sorted(distinct(row.step for row in groups))
    low, high = _range(groups)
    end = min(steps[0] * high / low, steps[-1])
    line = [low, low * end / steps[0]]
    axes.plot([steps[0], end], line, color=style.GREY, linewidth=1, linestyle=DASHED)


def _path(axes: Axes, rows: Sequence[GroupRow], look: Look, shift: float) -> None:
    """n* of one width, moved to the right by a factor."""
    shown = [row for row in rows if row.n_star.status is Status.OBSERVED]
    flat = style.altered(look, linewidth=0.8, marker="")
    axes.plot([row.step * shift for row in shown], [row.n_star.value for row in shown], **flat)
    for row in rows:
        mark(axes, row.step * shift, row.n_star, look, markersize=3)


def _by_parameters(axes: Axes, groups: Sequence[GroupRow], levels: Sequence[float]) -> None:
    """n* at the last step against p, at each level, with a line in proportion to p."""
    looks = style.looks(f"level {level:g}" for level in levels)
    for look, level, shift in zip(looks.values(), levels, (-0.02, 0.02), strict=True):
        for row in (row for row in groups if row.level == level):
            mark(axes, row.parameters * np.exp(shift), row.n_star, look)
    p = np.array(sorted(distinct(row.parameters for row in groups)), dtype=float)
    _proportion(axes, groups, p)
    style.log_scale(axes.xaxis)
    axes.set_xlim(p[0] / 1.3, p[-1] * 1.3)
    style.log_scale(axes.yaxis)
    title = "n* after the last step\n(dashed: in proportion to p)"
    axes.set(xlabel="parameters p", ylabel="n*", title=title)
    _legend(axes, looks)


def _legend(axes: Axes, looks: Mapping[str, Look]) -> None:
    """The levels, where no point lies."""
    handles = [Line2D([], [], **look) for look in without_line(looks).values()]
    axes.legend(handles, list(looks), loc="lower right")


def _proportion(axes: Axes, groups: Sequence[GroupRow], p: np.ndarray) -> None:
    """n* = p times the geometric mean of n* / p over what was observed."""
    shares = [row.n_star.value / row.parameters for row in groups if row.n_star.status is Status.OBSERVED]
    if shares:
        share = np.exp(np.mean(np.log(shares)))
        axes.plot(p, p * share, color=style.GREY, linewidth=1, linestyle=DASHED)


def _range(groups: Sequence[GroupRow]) -> tuple[float, float]:
    every = ends(row.n_star for row in groups)
    return (min(every), max(every)) if every else (1.0, 10.0)
