"""The lead of overfitting on copies against the noise level, from the sweeps that were measured."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.noise_levels.numbers import KINDS, NAME, GroupRow, levels_in
from memhorizon.recipes.pictures import (
    BOUND,
    TablePicture,
    distinct,
    guide,
    legend_above,
    mark,
    sizes_axis,
    without_line,
)
from memhorizon.recipes.tables import of_kind, rows_of
from memhorizon.timescales.pooling import Pooled

PANELS = {
    "lag": "gap opens at 0.1 of the quality\nlevel of its noise level",
    "lag_shared": "gap opens at one level\nfor all noise levels",
    "lag_argmin": "argmin of the\nheld-out loss",
}
SPREAD = 0.24  # of the n about a noise level, in its logarithm


def noise_levels(record: object) -> TablePicture[GroupRow]:
    """tau_mem over the opening of the gap, and over the argmin of the held-out loss, by noise level and n.

    Raises:
        InputError: if it is not the record of the recipe noise_levels.
    """
    return TablePicture(of_kind(rows_of(record, NAME, KINDS), GroupRow), _draw)


def _draw(rows: Sequence[GroupRow]) -> Figure:
    sweeps = distinct(row.sweep for row in rows)
    figure = style.canvas(height=0.9 + 2.2 * len(sweeps))
    grid = figure.subplots(len(sweeps), len(PANELS), sharex=True, sharey="row", squeeze=False)
    sizes = sorted(row_n for row_n in distinct(row.n_train for row in rows) if row_n is not None)
    looks = style.looks(f"n = {n}" for n in sizes)
    for line, sweep in zip(grid, sweeps, strict=True):
        _line(line, [row for row in rows if row.sweep == sweep], looks)
        line[0].set_ylabel(f"{sweep}\n{style.TAU_MEM} / time")
    _name_columns(grid)
    _legend(figure, looks)
    return figure


def _name_columns(grid: np.ndarray) -> None:
    """What is divided by, above, and the noise level below."""
    for axes, title in zip(grid[0], PANELS.values(), strict=True):
        axes.set_title(title)
    for axes in grid[-1]:
        axes.set_xlabel("diffusion time t")


def _line(line: np.ndarray, rows: Sequence[GroupRow], looks: Mapping[str, Look]) -> None:
    """The panels of one sweep, on one vertical axis."""
    for axes, quantity in zip(line, PANELS, strict=True):
        _panel(axes, rows, quantity, looks)
    every = [_lag(row, quantity).value for row in rows for quantity in PANELS]
    style.log_span(line[0].yaxis, [value for value in every if np.isfinite(value)])


def _panel(axes: Axes, rows: Sequence[GroupRow], quantity: str, looks: Mapping[str, Look]) -> None:
    """One quantity against the noise level, the n beside each other."""
    levels = levels_in(rows)
    sizes_axis(axes, levels, margin=1.8)
    guide(axes, 1.0)
    shifts = np.linspace(-SPREAD, SPREAD, len(looks))
    for (name, look), shift in zip(looks.items(), shifts, strict=True):
        for row in (row for row in rows if f"n = {row.n_train}" == name):
            mark(axes, row.t * np.exp(shift), _lag(row, quantity), look)


def _lag(row: GroupRow, quantity: str) -> Pooled:
    return {"lag": row.lag, "lag_shared": row.lag_shared, "lag_argmin": row.lag_argmin}[quantity]


def _legend(figure: Figure, looks: Mapping[str, Look]) -> None:
    named = {**without_line(looks), "bound (some times censored)": BOUND}
    title = "geometric means over the runs of one n, with 95 % intervals over runs"
    legend_above(figure, named, min(len(named), 5), title=title)
