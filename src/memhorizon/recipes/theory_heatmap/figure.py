"""Maps of the generalization gap and of the score error over (psi_n, psi_p) at several training times."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.recipes.pictures import TablePicture, distinct
from memhorizon.recipes.theory.drawing import DASHED, LABELS
from memhorizon.recipes.theory.rows import Quantity, rows_of
from memhorizon.recipes.theory_heatmap.numbers import ROWS, Row
from memhorizon.records.table import TableRecord

ENDS: Mapping[Quantity, tuple[float, float]] = {"L_gen": (1e-4, 1e2), "E_score": (1e-2, 1e2)}  # of colours


def gap(record: TableRecord) -> TablePicture[Row]:
    """Maps of the generalization gap.

    Raises:
        InputError: if it is not the record of the recipe theory_heatmap.
    """
    return TablePicture(rows_of(record, "heatmap", ROWS), lambda rows: draw(rows, "L_gen"))


def score(record: TableRecord) -> TablePicture[Row]:
    """Maps of the score error.

    Raises:
        InputError: if it is not the record of the recipe theory_heatmap.
    """
    return TablePicture(rows_of(record, "heatmap", ROWS), lambda rows: draw(rows, "E_score"))


def draw(rows: Sequence[Row], quantity: Quantity) -> Figure:
    """A line of maps per diffusion time, a column per training time."""
    lines = distinct(row.t for row in rows)
    columns = distinct(row.tau for row in rows)
    figure = style.canvas(height=0.5 + 1.6 * len(lines))
    grid = figure.subplots(len(lines), len(columns), sharex=True, sharey=True, squeeze=False)
    colours = ScalarMappable(LogNorm(*ENDS[quantity]), "viridis")
    for row in rows:
        axes = grid[lines.index(row.t), columns.index(row.tau)]
        draw_map(axes, row, row.L_gen if quantity == "L_gen" else row.E_score, colours)
    name_axes(grid, lines, columns)
    figure.colorbar(colours, ax=grid, label=LABELS[quantity], extend="both", pad=0.01, aspect=30)
    return figure


def name_axes(grid: np.ndarray, lines: Sequence[float], columns: Sequence[float]) -> None:
    """Training times above, diffusion times on the left."""
    for axes, tau in zip(grid[0], columns, strict=True):
        power = r"$\infty$" if np.isinf(tau) else rf"$10^{{{np.log10(tau):.0f}}}$"
        axes.set_title(rf"$\tau$ = {power}")
    for axes, t in zip(grid[:, 0], lines, strict=True):
        axes.set_ylabel(f"t = {t:g}\n" + r"$\psi_p$ = p/d")
    for axes in grid[-1]:
        axes.set_xlabel(r"$\psi_n$ = n/d")


def draw_map(axes: Axes, row: Row, values: np.ndarray, colours: ScalarMappable) -> None:
    """One map, with the diagonal p = n."""
    field = np.ma.masked_invalid(values).T.clip(colours.norm.vmin, colours.norm.vmax)
    axes.pcolormesh(row.psi_n, row.psi_p, field, norm=colours.norm, cmap=colours.cmap, rasterized=True)
    ends = (row.psi_n[0], row.psi_n[-1])
    axes.plot(ends, ends, color="white", linewidth=1, linestyle=DASHED)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
