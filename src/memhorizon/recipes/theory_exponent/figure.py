"""The smallest score error along training against psi_n, and its local exponent (figure 13)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import TablePicture, guide
from memhorizon.recipes.tables import grouped, of_kind, rows_of
from memhorizon.recipes.theory.drawing import FINITE, NOTE, curve, half_width, log_x, log_y, model_text
from memhorizon.recipes.theory_exponent.numbers import ROWS, FiniteRow, LimitRow, Row
from memhorizon.records.table import TableRecord

PAPER = 0.59  # the exponent that the paper fits


def minimum(record: TableRecord) -> TablePicture[Row]:
    """The smallest score error and its local exponent.

    Raises:
        InputError: if it is not the record of the recipe theory_exponent.
    """
    return TablePicture(rows_of(record, "exponent", ROWS), draw)


def draw(rows: Sequence[Row]) -> Figure:
    """The minimum on the left, its slope on the right."""
    figure = style.canvas(height=3.2)
    left, right = figure.subplots(1, 2)
    families = grouped(of_kind(rows, LimitRow), case_of)
    looks = style.looks(families)
    for name, family in families.items():
        draw_case(left, right, family, name, looks[name])
    draw_networks(left, of_kind(rows, FiniteRow))
    draw_exponent_of_the_paper(right)
    name_axes(left, right, [row.psi_n for row in rows])
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def case_of(row: Row) -> str:
    """The family of a row in words."""
    return model_text(psi_p=row.psi_p, t=row.t)


def draw_case(left: Axes, right: Axes, rows: Sequence[LimitRow], name: str, look: Look) -> None:
    """Minimum and local exponent of one family."""
    psi_n = np.array([row.psi_n for row in rows])
    curve(left, psi_n, np.array([row.minimum for row in rows]), look, label=name)
    curve(right, psi_n, np.array([row.local_exponent for row in rows]), look)


def draw_networks(axes: Axes, rows: Sequence[FiniteRow]) -> None:
    """Finite networks with 95 % intervals."""
    if not rows:
        return
    axes.errorbar(
        [row.psi_n for row in rows],
        [row.minimum for row in rows],
        yerr=[float(half_width(row.standard_error, row.seeds)) for row in rows],
        label=f"tanh network, d = {rows[0].dim} ({case_of(rows[0])})",
        color=FINITE,
        marker="o",
        linestyle="none",
        markersize=3.5,
    )


def draw_exponent_of_the_paper(axes: Axes) -> None:
    """A line at the exponent that the paper fits."""
    guide(axes, PAPER)
    axes.annotate(
        f"{PAPER:g}: fit\nof the paper",
        (1, PAPER),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=7.5,
        color=NOTE,
    )


def name_axes(left: Axes, right: Axes, psi_n: Sequence[float]) -> None:
    """Words and ends of the axes."""
    log_x(left, min(psi_n), max(psi_n))
    log_y(left, 0.002, 0.3)
    log_x(right, min(psi_n), max(psi_n))
    left.set(xlabel=r"$\psi_n$ = n/d", ylabel="smallest score error")
    right.set(xlabel=r"$\psi_n$ = n/d", ylabel="local exponent")
