"""The exponent of tau_mem in n against the level of f_mem, and against the range of n."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from memhorizon.figures import style
from memhorizon.figures.records import Row
from memhorizon.figures.theory import Table, table, values, where

RANGES = {"all": "all n", "up": "without\nsmallest", "down": "without\nlargest"}


def exponents(record: Any) -> Table:
    """Exponents with intervals, by level and by range, of every sweep.

    Raises:
        InputError: if it is not the record of the recipe exponents.
    """
    return table(record, "exponents", _exponents)


def _exponents(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(height=3.6)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.5, 1])
    looks = style.looks(values(rows, "sweep"))
    levels = sorted(values(rows, "level"))
    for shift, (sweep, look) in zip(np.linspace(-0.13, 0.13, len(looks)), looks.items(), strict=True):
        own = where(rows, sweep=sweep)
        everything = sorted(where(own, range="all"), key=lambda row: row["level"])
        _points(left, [row["level"] * np.exp(shift) for row in everything], everything, look, sweep)
        recorded = [row for row in own if row["range"] != "all" or row["recorded"]]
        places = [list(RANGES).index(row["range"]) + shift * 1.6 for row in recorded]
        _points(right, places, recorded, style.altered(look, linestyle="none"), "_")
    for axes in (left, right):
        axes.axhline(1, color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
        axes.xaxis.set_minor_locator(NullLocator())
    left.set(xscale="log", xlabel=r"level: $f_\mathrm{mem}$ above its null", ylim=(0, 3))
    left.set_xticks(levels, [style.plain_number(level) for level in levels])
    left.xaxis.set_minor_locator(NullLocator())
    left.set(ylabel=rf"exponent of n in {style.TAU_MEM}", title="by level, all n; 95 % intervals")
    right.set_xticks(range(len(RANGES)), list(RANGES.values()))
    right.set(xlim=(-0.5, len(RANGES) - 0.5), title="at the recorded level, by range of n")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _points(axes: Axes, x: Sequence[float], rows: Sequence[Row], look: Any, name: str) -> None:
    """Exponents with their intervals; those that rest on few observed times are open."""
    kept = [(at, row) for at, row in zip(x, rows, strict=True) if row["exponent"]["value"] is not None]
    for place, row in kept:
        low, high = row["exponent"]["low"], row["exponent"]["high"]
        axes.plot([place, place], [low, high], color=look["color"], linewidth=1.1)
    at, value = [place for place, _ in kept], [row["exponent"]["value"] for _, row in kept]
    axes.plot(at, value, **style.altered(look, markersize=0, linewidth=0.8))
    for (place, row), height in zip(kept, value, strict=True):
        face = look["color"] if row["status"] == "fitted" else "white"
        axes.plot([place], [height], **style.altered(look, markersize=4.5, markerfacecolor=face))
    axes.plot([], [], **style.altered(look, markersize=4.5, linewidth=0.8), label=name)
