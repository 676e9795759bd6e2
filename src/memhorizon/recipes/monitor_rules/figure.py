"""Copies where each rule stops, and the loss of what it ships, one mark for each training."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.recipes.monitor_rules.numbers import KINDS, MOST_COPIES, NAME, NEAR_BEST, Row, RuleRow
from memhorizon.recipes.pictures import TablePicture, distinct
from memhorizon.recipes.tables import of_kind, rows_of

MONITOR = "#31688e"
FINEST = 0.003  # shares below are drawn in proportion
MOST_RATIO = 2.0


def stops(record: object) -> TablePicture[Row]:
    """What each rule did in each training.

    Raises:
        InputError: if it is not the record of the recipe monitor_rules.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw)


def _draw(rows: Sequence[Row]) -> Figure:
    of_rules = of_kind(rows, RuleRow)
    names = distinct(row.rule for row in of_rules)
    figure = style.canvas(width=8.4, height=1.2 + 0.3 * len(names))
    left, right = figure.subplots(1, 2)
    for place, name in enumerate(names):
        own = [row for row in of_rules if row.rule == name]
        colour = MONITOR if name.startswith("monitor") else style.GREY
        _strip(left, [row.copies.value for row in own], place, colour)
        _strip(right, [min(row.ratio or MOST_RATIO, MOST_RATIO) for row in own], place, colour)
    left.axvline(MOST_COPIES, color=style.DARK, linewidth=0.8)
    right.axvline(NEAR_BEST, color=style.DARK, linewidth=0.8)
    left.set_xscale("symlog", linthresh=FINEST)
    left.set(xlabel="share of copies at the stop", xlim=(-0.0005, 1.1))
    right.set(
        xlabel="test loss of what is shipped, over the best\n(2: twice as large, or nothing is shipped)",
        xlim=(0.95, 2.05),
    )
    for axes in (left, right):
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_yticks(range(len(names)), names if axes is left else [""] * len(names))
    return figure


def _strip(axes: Axes, values: Sequence[float], place: int, colour: str) -> None:
    """One mark for each training, spread in height so that equal ones are seen."""
    spread = np.linspace(-0.28, 0.28, len(values)) if len(values) > 1 else np.zeros(1)
    axes.plot(values, place + spread, linestyle="none", marker="o", markersize=3, color=colour, alpha=0.8)
