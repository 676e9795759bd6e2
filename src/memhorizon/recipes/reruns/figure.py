"""Sweeps that were done again with other seeds and items, beside their records."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.experiments.hyperparameters import symbol_of
from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import (
    TablePicture,
    distinct,
    interval,
    legend_above,
    mark,
    sizes_axis,
    without_line,
)
from memhorizon.recipes.reruns.numbers import KINDS, NAME, LawRow, Row, SettingRow
from memhorizon.recipes.tables import of_kind, rows_of
from memhorizon.results import Time
from memhorizon.timescales.pooling import Exponent

RECORD = "record"
RERUN = "other seeds and items"
SHIFTS = {RECORD: -0.06, RERUN: 0.06}  # in log value


def reruns(record: object) -> TablePicture[Row]:
    """tau_mem of every run in both, and the exponents with their intervals.

    Raises:
        InputError: if it is not the record of the recipe reruns.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw)


def _draw(rows: Sequence[Row]) -> Figure:
    settings = [row for row in of_kind(rows, SettingRow) if row.timescale == "tau_mem"]
    laws = [row for row in of_kind(rows, LawRow) if row.timescale == "tau_mem"]
    sweeps = distinct(row.sweep for row in laws)
    figure = style.canvas(width=2.4 * (len(sweeps) + 1), height=3.3)
    *panels, last = figure.subplots(1, len(sweeps) + 1)
    looks = style.looks(SHIFTS)
    for axes, sweep in zip(panels, sweeps, strict=True):
        _times(axes, [row for row in settings if row.sweep == sweep], looks)
        axes.set_title(sweep)
    panels[0].set_ylabel(f"{style.TAU_MEM}, steps (a point per run)")
    _exponents(last, laws, looks)
    legend_above(figure, without_line(looks))
    return figure


def _sides(row: SettingRow) -> dict[str, tuple[Time, ...]]:
    return {RECORD: row.first, RERUN: row.again}


def _powers(row: LawRow) -> dict[str, Exponent]:
    return {RECORD: row.first, RERUN: row.again}


def _times(axes: Axes, settings: Sequence[SettingRow], looks: Mapping[str, Look]) -> None:
    """The times of one sweep."""
    every: list[float] = []
    for row in settings:
        for side, times in _sides(row).items():
            every += [time.value for time in times if time.known]
            for time in times:
                mark(axes, row.value * np.exp(SHIFTS[side]), time, looks[side], markersize=3.5)
    style.log_span(axes.yaxis, every)
    values = sorted(distinct(row.value for row in settings))
    sizes_axis(axes, values, symbol_of(settings[0].factor), margin=1.5)
    axes.tick_params(axis="x", labelsize=6.8)


def _exponents(axes: Axes, laws: Sequence[LawRow], looks: Mapping[str, Look]) -> None:
    """Exponents of tau_mem side by side."""
    for place, row in enumerate(laws):
        for side, power in _powers(row).items():
            if np.isfinite(power.value):
                interval(axes, place + 2 * SHIFTS[side], power, looks[side])
    axes.set_xticks(range(len(laws)), [row.sweep.replace("_", "\n") for row in laws], fontsize=7.5)
    axes.set_xlim(-0.5, len(laws) - 0.5)
    axes.set(title="exponents, 95 % intervals", ylabel=f"exponent of {style.TAU_MEM}")
