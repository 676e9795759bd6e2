"""Times of SGD against lr / (1 - momentum)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import DASHED, TablePicture, distinct, guide, interval, mark
from memhorizon.recipes.rates.numbers import KINDS, NAME, PairRow, Row, RunRow, SettingRow
from memhorizon.recipes.tables import of_kind, rows_of
from memhorizon.results import Status

RATE = r"rate $\eta\,/\,(1-m)$"
SHIFTS = (-0.04, 0.04)  # of each sweep, in log rate


def rates(record: object) -> TablePicture[Row]:
    """tau_mem of every run against the rate, and its local exponent between neighbouring rates.

    Raises:
        InputError: if it is not the record of the recipe rates.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw)


def _draw(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(height=3.3)
    left, right = figure.subplots(1, 2)
    runs = of_kind(rows, RunRow)
    looks = style.looks(_name(sweep) for sweep in distinct(row.sweep for row in runs))
    _times(left, runs, looks)
    _proportion(left, of_kind(rows, SettingRow))
    _exponents(right, [row for row in of_kind(rows, PairRow) if row.timescale == "tau_mem"], looks)
    for axes in (left, right):
        axes.set(xscale="log", xlabel=RATE)
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _name(sweep: str) -> str:
    return sweep.split("_")[0].replace("lr", "learning rate") + " varied"


def _times(axes: Axes, runs: Sequence[RunRow], looks: Mapping[str, Look]) -> None:
    """A point per run."""
    for shift, (name, look) in zip(SHIFTS, looks.items(), strict=False):
        for row in (row for row in runs if _name(row.sweep) == name):
            mark(axes, row.rate * np.exp(shift), row.tau_mem, look, markersize=3.5)
        axes.plot([], [], **style.altered(look, linestyle="none"), label=name)
    every = [row.tau_mem.value for row in runs if row.tau_mem.known]
    style.log_span(axes.yaxis, [*every, *(value / 2 for value in every)])
    axes.set(ylabel=f"{style.TAU_MEM}, steps (a point per run)")


def _proportion(axes: Axes, settings: Sequence[SettingRow]) -> None:
    """The line of one over the rate through the slowest setting."""
    slowest = min(settings, key=lambda row: row.rate)
    if not np.isfinite(slowest.time.value):
        return
    at = np.array(sorted(distinct(row.rate for row in settings)))
    height = slowest.time.value / at
    axes.plot(at, height, color=style.GREY, linewidth=1, linestyle=DASHED, label="in proportion to 1 / rate")


def _exponents(axes: Axes, pairs: Sequence[PairRow], looks: Mapping[str, Look]) -> None:
    """Between two rates, at their geometric mean, with the range that it is for."""
    guide(axes, -1)
    for row in (row for row in pairs if np.isfinite(row.exponent.value)):
        _exponent(axes, row, looks[_name(row.sweep)])
    axes.set(title="between neighbouring rates, 95 % intervals", ylabel=f"exponent of {style.TAU_MEM}")


def _exponent(axes: Axes, row: PairRow, look: Look) -> None:
    found = row.exponent
    at = np.sqrt(row.rate * row.next)
    axes.plot([row.rate, row.next], [found.value] * 2, color=look["color"], linewidth=0.8)
    face = look["color"] if found.status is Status.OBSERVED else "white"
    interval(axes, at, found, look, markerfacecolor=face)
