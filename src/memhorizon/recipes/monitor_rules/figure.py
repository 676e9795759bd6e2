"""Copies where each rule stops, and the loss of what it ships, one mark for each training."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.recipes.monitor_rules.numbers import KINDS, MOST_COPIES, NAME, NEAR_BEST, Row, RuleRow
from memhorizon.recipes.pictures import TablePicture
from memhorizon.recipes.tables import grouped, of_kind, rows_of

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
    by_rule = grouped(of_kind(rows, RuleRow), lambda row: row.rule)
    figure = style.canvas(width=8.4, height=1.2 + 0.3 * len(by_rule))
    left, right = figure.subplots(1, 2)
    for place, (name, own) in enumerate(by_rule.items()):
        colour = MONITOR if name.startswith("monitor") else style.GREY
        _strip(left, [row.copies.value for row in own], place, colour)
        _strip(right, [min(row.ratio or MOST_RATIO, MOST_RATIO) for row in own], place, colour)
    _copies_axis(left)
    _loss_axis(right)
    _rule_axis(left, list(by_rule))
    _rule_axis(right, [""] * len(by_rule))
    return figure


def _copies_axis(axes: Axes) -> None:
    """Shares of copies, with the most that are fine."""
    axes.axvline(MOST_COPIES, color=style.DARK, linewidth=0.8)
    axes.set_xscale("symlog", linthresh=FINEST)
    axes.set(xlabel="share of copies at the stop", xlim=(-0.0005, 1.1))


def _loss_axis(axes: Axes) -> None:
    """Losses over the best one, with the largest that is near it."""
    axes.axvline(NEAR_BEST, color=style.DARK, linewidth=0.8)
    axes.set(
        xlabel="test loss of what is shipped, over the best\n(2: twice as large, or nothing is shipped)",
        xlim=(0.95, 2.05),
    )


def _rule_axis(axes: Axes, names: Sequence[str]) -> None:
    """One line for each rule, from above."""
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), names)


def _strip(axes: Axes, values: Sequence[float], place: int, colour: str) -> None:
    """One mark for each training, spread in height so that equal ones are seen."""
    spread = np.linspace(-0.28, 0.28, len(values)) if len(values) > 1 else np.zeros(1)
    axes.plot(values, place + spread, linestyle="none", marker="o", markersize=3, color=colour, alpha=0.8)
