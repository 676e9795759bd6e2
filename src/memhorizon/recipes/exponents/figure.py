"""The exponent of tau_mem in n against the level of f_mem, and against the range of n."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.exponents.numbers import KINDS, NAME, Row, sweeps_of
from memhorizon.recipes.pictures import TablePicture, distinct, guide, interval, ticks
from memhorizon.recipes.tables import rows_of
from memhorizon.results import Status

RANGES = {"all": "all n", "up": "without\nsmallest", "down": "without\nlargest"}
SPREAD = 0.13  # of the sweeps about a level, in its logarithm
WIDER = 1.6  # the same about a range


def exponents(record: object) -> TablePicture[Row]:
    """Exponents with intervals, by level and by range, of every sweep.

    Raises:
        InputError: if it is not the record of the recipe exponents.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw)


def _draw(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(height=3.6)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.5, 1])
    looks = style.looks(sweeps_of(rows))
    _by_level(left, rows, looks)
    _by_range(right, rows, looks)
    left.set_ylabel(rf"exponent of n in {style.TAU_MEM}")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _shifts(looks: Mapping[str, Look]) -> np.ndarray:
    return np.linspace(-SPREAD, SPREAD, len(looks))


def _by_level(axes: Axes, rows: Sequence[Row], looks: Mapping[str, Look]) -> None:
    """All n, at each level."""
    guide(axes, 1)
    for shift, (sweep, look) in zip(_shifts(looks), looks.items(), strict=True):
        own = [row for row in rows if row.sweep == sweep and row.range == "all"]
        own.sort(key=lambda row: row.level)
        _points(axes, [row.level * np.exp(shift) for row in own], own, look, sweep)
    levels = sorted(distinct(row.level for row in rows))
    axes.set(xscale="log", xlabel=r"level: $f_\mathrm{mem}$ above its null", ylim=(0, 3))
    ticks(axes, levels, [style.plain_number(level) for level in levels])
    axes.set_title("by level, all n; 95 % intervals")


def _by_range(axes: Axes, rows: Sequence[Row], looks: Mapping[str, Look]) -> None:
    """The recorded level, from all n and from fewer."""
    guide(axes, 1)
    for shift, (sweep, look) in zip(_shifts(looks), looks.items(), strict=True):
        own = [row for row in rows if row.sweep == sweep and (row.range != "all" or row.recorded)]
        places = [list(RANGES).index(row.range) + shift * WIDER for row in own]
        _points(axes, places, own, style.altered(look, linestyle="none"), "_")
    ticks(axes, range(len(RANGES)), list(RANGES.values()))
    axes.set(xlim=(-0.5, len(RANGES) - 0.5), title="at the recorded level, by range of n")


def _points(axes: Axes, x: Sequence[float], rows: Sequence[Row], look: Look, name: str) -> None:
    """Exponents with their intervals; those that rest on few observed times are open."""
    kept = [(at, row) for at, row in zip(x, rows, strict=True) if np.isfinite(row.exponent.value)]
    line = style.altered(look, markersize=0, linewidth=0.8)
    axes.plot([at for at, _ in kept], [row.exponent.value for _, row in kept], **line)
    for at, row in kept:
        face = look["color"] if row.status is Status.FITTED else "white"
        interval(axes, at, row.exponent, look, markersize=4.5, markerfacecolor=face)
    axes.plot([], [], **style.altered(look, markersize=4.5, linewidth=0.8), label=name)
