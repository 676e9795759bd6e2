"""Sweeps that were done again with other seeds and items, beside their records."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from memhorizon.figures import style
from memhorizon.figures.noise_levels import mark
from memhorizon.figures.records import FACTOR_NAMES, Row
from memhorizon.figures.theory import Table, table, values, where

SIDES = {"first": ("record", -0.06), "again": ("other seeds and items", 0.06)}


def reruns(record: Any) -> Table:
    """tau_mem of every run in both, and the exponents with their intervals.

    Raises:
        InputError: if it is not the record of the recipe reruns.
    """
    return table(record, "reruns", _reruns)


def _reruns(rows: Sequence[Row]) -> Figure:
    settings, laws = (where(rows, part=part, clock="tau_mem") for part in ("setting", "law"))
    sweeps = values(laws, "sweep")
    figure = style.canvas(width=2.4 * (len(sweeps) + 1), height=3.3)
    *panels, last = figure.subplots(1, len(sweeps) + 1)
    looks = style.looks(name for name, _ in SIDES.values())
    for axes, sweep in zip(panels, sweeps, strict=True):
        _times(axes, where(settings, sweep=sweep), looks)
        axes.set_title(sweep)
    panels[0].set_ylabel(f"{style.TAU_MEM}, steps (a point per run)")
    _exponents(last, laws, looks)
    handles = [Line2D([], [], **style.altered(look, linestyle="none")) for look in looks.values()]
    figure.legend(handles, list(looks), loc="outside upper center", ncols=2)
    return figure


def _times(axes: Axes, settings: Sequence[Row], looks: Any) -> None:
    """The times of one sweep."""
    for side, (name, shift) in SIDES.items():
        for row in settings:
            for time in row[side]:
                mark(axes, row["value"] * np.exp(shift), time, looks[name], markersize=3.5)
    every = [time["value"] for row in settings for side in SIDES for time in row[side]]
    style.log_span(axes.yaxis, every, wide=False)
    at = sorted(values(settings, "value"))
    axes.set(xscale="log", xlim=(at[0] / 1.5, at[-1] * 1.5))
    axes.set_xticks(at, [f"{value:g}" for value in at])
    axes.tick_params(axis="x", labelsize=6.8)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(FACTOR_NAMES[settings[0]["factor"]])


def _exponents(axes: Axes, laws: Sequence[Row], looks: Any) -> None:
    """Exponents of tau_mem side by side."""
    for place, row in enumerate(laws):
        for side, (name, shift) in SIDES.items():
            entry, look = row[side], looks[name]
            if entry["value"] is None:
                continue
            x = place + shift * 2
            axes.plot([x, x], [entry["low"], entry["high"]], color=look["color"], linewidth=1.1)
            axes.plot([x], [entry["value"]], **style.altered(look, linestyle="none"))
    axes.set_xticks(range(len(laws)), [row["sweep"].replace("_", "\n") for row in laws], fontsize=7.5)
    axes.set_xlim(-0.5, len(laws) - 0.5)
    axes.set(title="exponents, 95 % intervals", ylabel=f"exponent of {style.TAU_MEM}")
