"""Gradient descent with a finite step and with momentum, against the flow."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import TablePicture
from memhorizon.recipes.tables import grouped, rows_of
from memhorizon.recipes.theory.drawing import TAU, curve, flow_curve, flow_legend, log_x, score_and_gap
from memhorizon.recipes.theory.rows import QUANTITIES
from memhorizon.recipes.theory_steps.numbers import ROWS, Row
from memhorizon.records.table import TableRecord


def curves(record: TableRecord) -> TablePicture[Row]:
    """Score error and gap along descent, a column per momentum.

    Raises:
        InputError: if it is not the record of the recipe theory_steps.
    """
    return TablePicture(rows_of(record, "steps", ROWS), draw)


def draw(rows: Sequence[Row]) -> Figure:
    """A column per momentum."""
    momenta = grouped(rows, lambda row: row.momentum)
    looks = style.looks(step_text(row) for row in rows)
    figure, grid = score_and_gap(len(momenta))
    for column, (momentum, same) in zip(grid.T, momenta.items(), strict=True):
        column[0].set_title(f"momentum {momentum:g}")
        draw_column(column, same, looks)
    flow_legend(figure, "flow", looks, ncols=2)
    return figure


def step_text(row: Row) -> str:
    """A step in words."""
    return f"step {row.step:g} of the largest stable one"


def draw_column(column: np.ndarray, rows: Sequence[Row], looks: Mapping[str, Look]) -> None:
    """Score error above, gap below."""
    score, gap = column
    for row in rows:
        look = looks[step_text(row)]
        flow_curve(score, row.tau, row.flow[QUANTITIES.index("E_score")])
        flow_curve(gap, row.tau, row.flow[QUANTITIES.index("L_gen")])
        curve(score, row.tau, row.E_score, look)
        curve(gap, row.tau, row.L_gen, look)
    log_x(score, 1.0, 1e6)
    gap.set_xlabel(TAU)
