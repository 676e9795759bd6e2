"""Maps of edits by tools: copies that are flagged, and runs whose number leaves the null."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.recipes.pictures import TablePicture, distinct
from memhorizon.recipes.planted_copies.numbers import KINDS, NAME, EditRow, Row, ToolRow
from memhorizon.recipes.tables import of_kind, rows_of

HONEST = "honest samples flagged"
COLOURS = "Blues"
WHOLE = 1.25  # end of the colours: at 1 they are not yet too dark
LIGHT = 0.6  # shares above are written in white
CELL = 0.42  # width of a tool, inches
LINE = 0.21  # height of an edit, inches


def found_and_seen(record: object) -> TablePicture[Row]:
    """Shares of the copies that each tool flags, and of the runs in which a tool's one number tells.

    Raises:
        InputError: if it is not the record of the recipe planted_copies.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw)


def _draw(rows: Sequence[Row]) -> Figure:
    tools = of_kind(rows, ToolRow)
    edits = of_kind(rows, EditRow)
    of_flags = [tool for tool in tools if tool.flags]
    of_numbers = [tool for tool in tools if tool.flags is False]
    names = distinct(row.edit for row in edits)
    figure, left, right = _panels(len(of_flags), len(of_numbers), len(names))
    _map(left, of_flags, [HONEST, *names], _flagged(tools, edits))
    _map(right, of_numbers, [HONEST, *names], _seen(edits))
    left.set_title("copies that are flagged, as a share")
    right.set_title("runs whose one number is\nbeyond all honest runs")
    right.set_yticks([])
    return figure


def _panels(n_left: int, n_right: int, lines: int) -> tuple[Figure, Axes, Axes]:
    """Two panels whose cells have one size."""
    figure = style.canvas(width=3.4 + CELL * (n_left + n_right), height=2.4 + LINE * lines)
    left, right = figure.subplots(1, 2, width_ratios=[max(n_left, 1), max(n_right, 1)])
    return figure, left, right


Shares = Mapping[tuple[str, str], float]


def _flagged(tools: Sequence[ToolRow], edits: Sequence[EditRow]) -> Shares:
    """Shares by edit and tool; the first line are honest samples."""
    honest = {(HONEST, tool.tool): tool.base.value for tool in tools if tool.base is not None}
    copies = {(row.edit, row.tool): row.found.value for row in edits if row.found is not None}
    return {**honest, **copies}


def _seen(edits: Sequence[EditRow]) -> Shares:
    return {(row.edit, row.tool): row.seen.value for row in edits}


def _map(axes: Axes, tools: Sequence[ToolRow], lines: Sequence[str], shares: Shares) -> None:
    """One cell per line and tool, its share written in."""
    names = [tool.tool for tool in tools]
    cells = np.array([[shares.get((line, name), np.nan) for name in names] for line in lines])
    axes.imshow(cells, cmap=COLOURS, vmin=0, vmax=WHOLE, aspect="auto", interpolation="nearest")
    _write(axes, cells)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(lines)), lines)
    axes.tick_params(length=0)
    axes.axhline(0.5, color="white", linewidth=2)
    _without_frame(axes)


def _write(axes: Axes, cells: np.ndarray) -> None:
    """The share of each cell, where there is one."""
    for place, share in np.ndenumerate(cells):
        if np.isfinite(share):
            colour = "white" if share > LIGHT else style.DARK
            line, column = place
            axes.text(column, line, _short(share), color=colour, ha="center", va="center", fontsize=7)


def _short(share: float) -> str:
    """A share in two decimals, or in one digit where that would be 0 or 1.

    >>> [_short(share) for share in (0.0, 0.0004, 0.968, 0.999, 1.0)]
    ['0', '.0004', '.97', '.999', '1']
    """
    if share in (0.0, 1.0):
        return f"{share:.0f}"
    rounded = f"{share:.2f}"
    if rounded == "0.00":
        rounded = f"{share:.1g}"
    elif rounded == "1.00":
        rounded = f"{share:.3f}"
    return rounded.removeprefix("0")


def _without_frame(axes: Axes) -> None:
    for side in axes.spines.values():
        side.set_visible(False)
