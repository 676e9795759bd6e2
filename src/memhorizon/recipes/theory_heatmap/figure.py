"""Maps of the generalization gap and of the score error over (psi_n, psi_p) at several training times."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.recipes.pictures import TablePicture
from memhorizon.recipes.tables import grouped, rows_of
from memhorizon.recipes.theory.drawing import DASHED, LABELS
from memhorizon.recipes.theory.rows import Quantity
from memhorizon.recipes.theory_heatmap.numbers import ROWS, Row
from memhorizon.records.table import TableRecord

COLOURS = "viridis"
ENDS: Mapping[Quantity, tuple[float, float]] = {"L_gen": (1e-4, 1e2), "E_score": (1e-2, 1e2)}  # of colours


@dataclass(frozen=True)
class MapPicture(TablePicture[Row]):
    """Maps of a quantity."""

    def frame(self) -> list[dict[str, object]]:
        """One row per cell of every map."""
        return [cell for row in self.rows for cell in cells(row)]


def cells(row: Row) -> Iterator[dict[str, object]]:
    """The cells of the maps of one training time and diffusion time."""
    shared = {"tau": row.tau, "t": row.t, "unsolved": row.unsolved}
    for i, psi_n in enumerate(row.psi_n.tolist()):
        for j, psi_p in enumerate(row.psi_p.tolist()):
            values = {"L_gen": float(row.L_gen[i, j]), "E_score": float(row.E_score[i, j])}
            yield {**shared, "psi_n": psi_n, "psi_p": psi_p, **values}


def gap(record: TableRecord) -> MapPicture:
    """Maps of the generalization gap.

    Raises:
        InputError: if it is not the record of the recipe theory_heatmap.
    """
    return MapPicture(rows_of(record, "heatmap", ROWS), lambda rows: draw(rows, "L_gen"))


def score(record: TableRecord) -> MapPicture:
    """Maps of the score error.

    Raises:
        InputError: if it is not the record of the recipe theory_heatmap.
    """
    return MapPicture(rows_of(record, "heatmap", ROWS), lambda rows: draw(rows, "E_score"))


def draw(rows: Sequence[Row], quantity: Quantity) -> Figure:
    """A line of maps per diffusion time, a column per training time."""
    lines = grouped(rows, lambda row: row.t)
    columns = [row.tau for row in next(iter(lines.values()))]
    figure = style.canvas(height=0.5 + 1.6 * len(lines))
    grid = figure.subplots(len(lines), len(columns), sharex=True, sharey=True, squeeze=False)
    norm = LogNorm(*ENDS[quantity])
    for axes, row in zip(grid.ravel(), (row for line in lines.values() for row in line), strict=True):
        draw_map(axes, row, row.L_gen if quantity == "L_gen" else row.E_score, norm)
    name_axes(grid, list(lines), columns)
    add_colours(figure, grid, norm, LABELS[quantity])
    return figure


def add_colours(figure: Figure, grid: np.ndarray, norm: LogNorm, label: str) -> None:
    """One bar of colours for all maps."""
    colours = ScalarMappable(norm, COLOURS)
    figure.colorbar(colours, ax=grid, label=label, extend="both", pad=0.01, aspect=30)


def name_axes(grid: np.ndarray, lines: Sequence[float], columns: Sequence[float]) -> None:
    """Training times above, diffusion times on the left."""
    _name_columns(grid[0], columns)
    _name_lines(grid[:, 0], lines)
    for axes in grid[-1]:
        axes.set_xlabel(r"$\psi_n$ = n/d")


def _name_columns(uppermost: np.ndarray, columns: Sequence[float]) -> None:
    for axes, tau in zip(uppermost, columns, strict=True):
        axes.set_title(rf"$\tau$ = {_power_text(tau)}")


def _power_text(tau: float) -> str:
    return r"$\infty$" if np.isinf(tau) else rf"$10^{{{np.log10(tau):.0f}}}$"


def _name_lines(leftmost: np.ndarray, lines: Sequence[float]) -> None:
    for axes, t in zip(leftmost, lines, strict=True):
        axes.set_ylabel(f"t = {t:g}\n" + r"$\psi_p$ = p/d")


def draw_map(axes: Axes, row: Row, values: np.ndarray, norm: LogNorm) -> None:
    """One map, with the diagonal p = n."""
    field = np.ma.masked_invalid(values).T  # what is negative is drawn as what is too small
    shown = field.clip(norm.vmin, norm.vmax)
    axes.pcolormesh(row.psi_n, row.psi_p, shown, norm=norm, cmap=COLOURS, rasterized=True)
    ends = (row.psi_n[0], row.psi_n[-1])
    axes.plot(ends, ends, color="white", linewidth=1, linestyle=DASHED)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
