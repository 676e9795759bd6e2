"""Test loss at the end of training for m noise vectors per point: its peak lies where p = n m."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import TablePicture
from memhorizon.recipes.tables import rows_of
from memhorizon.recipes.theory.drawing import curve, half_width, log_x, model_text
from memhorizon.recipes.theory_noise_draws.numbers import ROWS, Row
from memhorizon.records.table import TableRecord


def peak(record: TableRecord) -> TablePicture[Row]:
    """Test loss at the end of training against the number of features.

    Raises:
        InputError: if it is not the record of the recipe theory_noise_draws.
    """
    return TablePicture(rows_of(record, "noise_draws", ROWS), draw)


def draw(rows: Sequence[Row]) -> Figure:
    """One line per number of noise vectors."""
    first = rows[0]
    figure = style.canvas(width=5.2, height=3.4)
    axes = figure.subplots()
    for row, (name, look) in zip(rows, style.looks(name_of(row) for row in rows).items(), strict=True):
        draw_series(axes, row, name, look)
    axes.set(yscale="log", ylim=(0.5, 1e5), ylabel="test loss at the end of training")
    log_x(axes, first.psi_p.min(), first.psi_p.max())
    axes.set_xlabel(r"$\psi_p$ = p/d (thin lines: $\psi_n m$)")
    model = model_text(psi_n=first.psi_n, t=first.t, dim=first.dim)
    axes.set_title(f"{model}; 95 % over {first.seeds} networks")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def name_of(row: Row) -> str:
    """The number of noise vectors in words."""
    return "all noise" if row.noise_draws is None else f"m = {row.noise_draws}"


def draw_series(axes: Axes, row: Row, name: str, look: Look) -> None:
    """The test loss with its interval, and a thin line at p = n m."""
    half = half_width(row.L_test_inf_error, row.seeds)
    low = np.maximum(row.L_test_inf - half, 1e-3)
    style.band(axes, row.psi_p, low, row.L_test_inf + half, look["color"])
    curve(axes, row.psi_p, row.L_test_inf, look, marks=25, label=name)
    if row.noise_draws is not None:
        axes.axvline(row.psi_n * row.noise_draws, color=look["color"], linewidth=0.7, zorder=0)
