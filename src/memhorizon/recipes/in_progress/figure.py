"""How long before tau_mem the gap passes each level, and what is told at a third of tau_mem."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.recipes.in_progress.numbers import KINDS, NAME, SHARES, LeadRow, Row, RunRow
from memhorizon.recipes.pictures import TablePicture, distinct, ticks
from memhorizon.recipes.pooled import Interval
from memhorizon.recipes.tables import of_kind, rows_of

THIRD = SHARES[1]


def leads(record: object) -> TablePicture[Row]:
    """Leads by level, and forecasts at a third of tau_mem over what came.

    Raises:
        InputError: if it is not the record of the recipe in_progress.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw)


def _draw(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(width=9.0, height=3.6)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.6])
    _leads(left, of_kind(rows, LeadRow))
    _forecasts(right, [row for row in of_kind(rows, RunRow) if math.isclose(row.share, THIRD, rel_tol=1e-5)])
    return figure


def _leads(axes: Axes, rows: Sequence[LeadRow]) -> None:
    """tau_mem over the step of passing, by level, with the spread over runs."""
    level = np.array([row.level for row in rows])
    middle = np.exp([row.log_factor for row in rows])
    spread = np.exp([row.sd for row in rows])
    axes.fill_between(level, middle / spread, middle * spread, color=style.GREY, alpha=0.2, linewidth=0)
    axes.plot(level, middle, color=style.DARK, label="all sweeps, +- one standard deviation of runs")
    for name, marker in (("images", "o"), ("mixtures", "s")):
        axes.plot(level, [getattr(row, name) for row in rows], marker=marker, linestyle="none", label=name)
    style.log_scale(axes.xaxis)
    style.log_scale(axes.yaxis)
    ticks(axes, level.tolist(), [f"{one:g}" for one in level])
    axes.set(xlabel="relative loss gap at t = 0.1", ylabel=f"{style.TAU_MEM} / step at which it is passed")
    axes.legend(fontsize=7.5)


def _forecasts(axes: Axes, rows: Sequence[RunRow]) -> None:
    """Forecast over what came, run by run, sweeps beside each other."""
    told = [(row, row.expected) for row in rows if row.expected is not None]
    looks = style.looks(distinct(row.sweep for row, _ in told))
    for place, (row, found) in enumerate(told):
        _over_measured(axes, place, found, row.tau_mem.value, looks[row.sweep])
    axes.axhline(1, color=style.GREY, linewidth=0.8)
    style.log_scale(axes.yaxis)
    ticks(axes, [], [])
    axes.set(xlabel="runs, by sweep", ylabel=f"forecast / measured {style.TAU_MEM}")
    axes.set_title("at a third of tau_mem, by factors of the other sweeps; 90 % intervals")


def _over_measured(axes: Axes, place: int, found: Interval, measured: float, look: style.Look) -> None:
    """A forecast and its interval, over what came."""
    ends = [found.low / measured, found.high / measured]
    axes.plot([place] * 2, ends, color=look["color"], linewidth=0.6)
    axes.plot([place], [found.value / measured], **style.altered(look, markersize=2.5, linestyle="none"))
