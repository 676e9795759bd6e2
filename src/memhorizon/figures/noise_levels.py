"""The lead of overfitting on copies against the noise level, from the sweeps that were measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from memhorizon.figures import style
from memhorizon.figures.records import Row
from memhorizon.figures.theory import Table, table, values, where

PANELS = {
    "lag": "gap opens at 0.1 of the quality\nlevel of its own noise level",
    "lag_shared": "gap opens at one level\nfor all noise levels",
    "lag_argmin": "argmin of the\nheld-out loss",
}
ENDS = {"at least": (False, True), "at most": (True, False), "not reached": (False, True)}
ENDS["before first"] = ENDS["at most"]


def noise_levels(record: Any) -> Table:
    """tau_mem over the opening of the gap, and over the argmin of the held-out loss, by noise level and n.

    Raises:
        InputError: if it is not the record of the recipe noise_levels.
    """
    return table(record, "noise_levels", _noise_levels, part="group")


def mark(axes: Axes, x: float, entry: Mapping[str, Any], look: Mapping[str, Any], **changes: Any) -> None:
    """Draw a time or ratio of a record with its interval; a bound is an open marker with an arrow.

    Args:
        axes: where; its vertical axis is logarithmic.
        x: the place.
        entry: value, low, high and status; nothing is drawn where there is no value, as the status says.
        look: colour and marker.
        changes: of the marker.
    """
    if entry["status"] == "undetermined" or entry["value"] is None:
        return
    value, colour = entry["value"], look["color"]
    down, up = ENDS.get(entry["status"], (False, False))
    low, high = (value if entry[name] is None else entry[name] for name in ("low", "high"))
    if entry["status"] == "observed":  # an end at 0 or without a number bounds nothing
        down, up = entry["low"] == 0, entry["low"] is not None and entry["high"] is None
        axes.plot([x, x], [value if down else low, high], color=colour, linewidth=1.1)
    for shown, reach in ((down, 1 / 1.6), (up, 1.6)):
        if shown:
            arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", (x, value * reach), (x, value), arrowprops=arrow)
            axes.plot([x], [value * reach], alpha=0)  # so that the arrow lies within the axes
    face = "white" if entry["status"] != "observed" else colour
    axes.plot(
        [x], [value], **{"markersize": 4.5, **look, "markerfacecolor": face, "linestyle": "none", **changes}
    )


def _noise_levels(rows: Sequence[Row]) -> Figure:
    sweeps = values(rows, "sweep")
    figure = style.canvas(height=0.9 + 2.2 * len(sweeps))
    grid = figure.subplots(len(sweeps), len(PANELS), sharex=True, sharey="row", squeeze=False)
    looks = style.looks(f"n = {n}" for n in sorted(values(rows, "n_train")))
    for line, sweep in zip(grid, sweeps, strict=True):
        own = where(rows, sweep=sweep)
        for axes, quantity in zip(line, PANELS, strict=True):
            _panel(axes, own, quantity, looks)
        shown = [r[q]["value"] for r in own for q in PANELS if r[q]["value"] is not None]
        style.log_span(line[0].yaxis, shown)
        line[0].set_ylabel(f"{sweep}\n{style.TAU_MEM} / time")
    for axes, title in zip(grid[0], PANELS.values(), strict=True):
        axes.set_title(title)
    for axes in grid[-1]:
        axes.set_xlabel("diffusion time t")
    handles = [Line2D([], [], **style.altered(look, linestyle="none")) for look in looks.values()]
    handles.append(Line2D([], [], color=style.GREY, marker="o", markerfacecolor="white", linestyle="none"))
    names = [*looks, "bound (some times censored)"]
    title = "geometric means over the runs of one n, with 95 % intervals over runs"
    figure.legend(
        handles, names, loc="outside upper center", ncols=min(len(names), 5), title=title, title_fontsize=8.5
    )
    return figure


def _panel(axes: Axes, rows: Sequence[Row], quantity: str, looks: Mapping[str, Any]) -> None:
    """One quantity against the noise level, the n beside each other."""
    levels = sorted(values(rows, "t"))
    axes.set(xscale="log", xlim=(levels[0] / 1.8, levels[-1] * 1.8))
    axes.set_xticks(levels, [style.plain_number(t) for t in levels])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axhline(1.0, color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
    shifts = np.linspace(-0.24, 0.24, len(looks))
    for (name, look), shift in zip(looks.items(), shifts, strict=True):
        for row in where(rows, n_train=int(name.removeprefix("n = "))):
            mark(axes, row["t"] * np.exp(shift), row[quantity], look)
