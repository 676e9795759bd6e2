"""Score error along training on two Gaussian classes at several separations."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import TablePicture, legend_above
from memhorizon.recipes.tables import grouped, rows_of
from memhorizon.recipes.theory.drawing import LABELS, TAU, curve, half_width, log_x, row_text
from memhorizon.recipes.theory_mixture.numbers import ROWS, Row
from memhorizon.records.table import TableRecord


def score(record: TableRecord) -> TablePicture[Row]:
    """Score error along training, a panel per psi_n.

    Raises:
        InputError: if it is not the record of the recipe theory_mixture.
    """
    return TablePicture(rows_of(record, "mixture", ROWS), draw)


def draw(rows: Sequence[Row]) -> Figure:
    """A panel per psi_n."""
    models = grouped(rows, row_text)
    looks = style.looks(separation_text(row) for row in rows)
    figure = style.canvas(height=2.9)
    grid = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    for axes, (title, same) in zip(grid, models.items(), strict=True):
        axes.set_title(title)
        for row in same:
            draw_series(axes, row, looks[separation_text(row)])
        log_x(axes, 0.1, 1e5)
        axes.set(yscale="log", xlabel=TAU)
    grid[0].set_ylabel(LABELS["E_score"])
    legend_above(figure, looks)
    return figure


def separation_text(row: Row) -> str:
    """The separation of the classes in symbols."""
    return rf"$|\mu|^2/d$ = {row.separation:g}"


def draw_series(axes: Axes, row: Row, look: Look) -> None:
    """The score error at one separation, with its 95 % interval over seeds."""
    half = half_width(row.E_score_error, row.seeds)
    style.band(axes, row.tau, row.E_score - half, row.E_score + half, look["color"])
    curve(axes, row.tau, row.E_score, look)
