"""The random-features network trained in torch by gradient descent and by Adam (figure 15)."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import TablePicture, distinct, legend_above, mark, without_line
from memhorizon.recipes.tables import grouped, of_kind, rows_of
from memhorizon.recipes.theory.drawing import (
    curve,
    flow_curve,
    flow_legend,
    log_x,
    row_text,
    score_and_gap,
    sizes_axis,
)
from memhorizon.recipes.theory_optimizers.numbers import (
    EVENTS,
    ROWS,
    Event,
    ExactRow,
    Row,
    TrainedRow,
    event_time,
)
from memhorizon.records.table import TableRecord

KINDS = {
    ("gd", "exact"): "gradient descent, exact noise average",
    ("gd", "sampled"): "gradient descent, fresh noise",
    ("adam", "exact"): "Adam, exact noise average",
    ("adam", "sampled"): "Adam, fresh noise",
}
TITLES: Mapping[Event, str] = {
    "level_step": "score error passes 1",
    "half_step": r"half of the final $L_\mathrm{gen}$",
}
SHIFT = 0.04  # of the kinds about a psi_n, in its logarithm


def curves(record: TableRecord) -> TablePicture[Row]:
    """Losses along training of the first seed, against the exact flow.

    Raises:
        InputError: if it is not the record of the recipe theory_optimizers.
    """
    return TablePicture(rows_of(record, "optimizers", ROWS), draw_curves)


def times(record: TableRecord) -> TablePicture[Row]:
    """When overfitting sets in, and when it is half done, against psi_n, a point per network.

    Raises:
        InputError: if it is not the record of the recipe theory_optimizers.
    """
    return TablePicture(rows_of(record, "optimizers", ROWS), draw_times)


def kind_of(row: TrainedRow) -> str:
    """Optimizer and gradient in words."""
    return KINDS[row.optimizer, row.gradient]


# --- curves ---


def draw_curves(rows: Sequence[Row]) -> Figure:
    """A column per psi_n."""
    first_seed = min(row.seed for row in rows)
    models = grouped((row for row in rows if row.seed == first_seed), row_text)
    looks = style.looks(KINDS.values())
    figure, grid = score_and_gap(len(models), width=2.3 * len(models))
    for column, (title, same) in zip(grid.T, models.items(), strict=True):
        column[0].set_title(title)
        draw_column(column, same, looks)
    grid[1, 0].set(yscale="log", ylim=(1e-3, None))
    flow_legend(figure, "exact flow", looks, ncols=3)
    return figure


def draw_column(column: np.ndarray, rows: Sequence[Row], looks: Mapping[str, Look]) -> None:
    """Score error above, gap below."""
    score, gap = column
    for row in of_kind(rows, ExactRow):
        if row.optimizer == "flow":
            flow_curve(score, steps_of(row), row.E_score)
            flow_curve(gap, steps_of(row), row.L_gen)
    for row in of_kind(rows, TrainedRow):
        curve(score, steps_of(row), row.E_score, looks[kind_of(row)])
        curve(gap, steps_of(row), row.L_gen, looks[kind_of(row)])
    log_x(score, 1.0, max(row.step[-1] for row in rows))
    gap.set_xlabel("step")


def steps_of(row: Row) -> np.ndarray:
    """The steps of the curves."""
    return np.array(row.step, dtype=float)


# --- events ---


def draw_times(rows: Sequence[Row]) -> Figure:
    """A panel per event."""
    trained = of_kind(rows, TrainedRow)
    looks = style.looks(KINDS.values())
    figure = style.canvas(height=3.6)
    grid = figure.subplots(1, len(EVENTS), sharex=True)
    for axes, event in zip(grid, EVENTS, strict=True):
        draw_event(axes, trained, event, looks)
    grid[0].set_ylabel("step")
    legend_above(figure, without_line(looks), ncols=2)
    return figure


def draw_event(axes: Axes, rows: Sequence[TrainedRow], event: Event, looks: Mapping[str, Look]) -> None:
    """One event against psi_n, the kinds of training beside each other."""
    kinds = list(looks)
    for row in rows:
        shift = SHIFT * (kinds.index(kind_of(row)) - 1.5)
        mark(axes, row.psi_n * math.exp(shift), event_time(row, event), looks[kind_of(row)])
    style.log_scale(axes.yaxis)
    axes.set(xlabel=r"$\psi_n = n/d$", title=TITLES[event])
    sizes_axis(axes, distinct(row.psi_n for row in rows))
