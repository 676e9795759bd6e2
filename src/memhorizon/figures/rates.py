"""Times of SGD against lr / (1 - momentum)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.noise_levels import mark
from memhorizon.figures.records import Row
from memhorizon.figures.theory import Table, table, values, where

RATE = r"rate $\eta\,/\,(1-m)$"


def rates(record: Any) -> Table:
    """tau_mem of every run against the rate, and its local exponent between neighbouring rates.

    Raises:
        InputError: if it is not the record of the recipe rates.
    """
    return table(record, "rates", _rates)


def _rates(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(height=3.3)
    left, right = figure.subplots(1, 2)
    looks = style.looks(_name(sweep) for sweep in values(where(rows, part="run"), "sweep"))
    _times(left, where(rows, part="run"), where(rows, part="setting"), looks)
    _exponents(right, where(rows, part="pair", clock="tau_mem"), looks)
    for axes in (left, right):
        axes.set(xscale="log", xlabel=RATE)
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _name(sweep: str) -> str:
    return sweep.split("_")[0].replace("lr", "learning rate") + " varied"


def _times(axes: Axes, runs: Sequence[Row], settings: Sequence[Row], looks: Any) -> None:
    """A point per run, and the line of one over the rate through the slowest setting."""
    for shift, (name, look) in zip((-0.04, 0.04), looks.items(), strict=False):
        for row in (row for row in runs if _name(row["sweep"]) == name):
            mark(axes, row["rate"] * np.exp(shift), row["tau_mem"], look, markersize=3.5)
        axes.plot([], [], **style.altered(look, linestyle="none"), label=name)
    slowest = min(settings, key=lambda row: row["rate"])
    if slowest["time"]["value"]:
        at = np.array(sorted(values(settings, "rate")))
        line = {"color": style.GREY, "linewidth": 1, "linestyle": (0, (4, 3))}
        axes.plot(at, slowest["time"]["value"] / at, **line, label="in proportion to 1 / rate")
    every = [value for row in runs if (value := row["tau_mem"]["value"])]
    style.log_span(axes.yaxis, [*every, *(value / 2 for value in every)])
    axes.set(ylabel=f"{style.TAU_MEM}, steps (a point per run)")


def _exponents(axes: Axes, pairs: Sequence[Row], looks: Any) -> None:
    """Between two rates, at their geometric mean, with the range that it stands for."""
    axes.axhline(-1, color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
    for row in (row for row in pairs if row["exponent"]["value"] is not None):
        entry, look = row["exponent"], looks[_name(row["sweep"])]
        at = np.sqrt(row["rate"] * row["next"])
        axes.plot([row["rate"], row["next"]], [entry["value"]] * 2, color=look["color"], linewidth=0.8)
        if entry["low"] is not None:
            axes.plot([at, at], [entry["low"], entry["high"]], color=look["color"], linewidth=1.1)
        face = look["color"] if entry["status"] == "observed" else "white"
        axes.plot([at], [entry["value"]], **style.altered(look, linestyle="none", markerfacecolor=face))
    axes.set(title="between neighbouring rates, 95 % intervals", ylabel=f"exponent of {style.TAU_MEM}")
