"""Density of the eigenvalues of U: the limit with its atom, beside finite networks."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memhorizon.figures import style
from memhorizon.recipes.pictures import TablePicture
from memhorizon.recipes.tables import grouped, of_kind, rows_of
from memhorizon.recipes.theory.drawing import FINITE, row_text
from memhorizon.recipes.theory.rows import Features
from memhorizon.recipes.theory_spectra.numbers import ROWS, FiniteRow, LimitRow, Row
from memhorizon.records.table import TableRecord

GROUPS = {"sub_bulk": "third", "rho_1": "first", "rho_2": "second"}
EQUIVALENT = "#9ecae1"
LIMIT = "#111111"
HEIGHTS = (3e-5, 3e3)  # of the panels
ATOM_TOP = 20.0  # of the line of the atom


def density(record: TableRecord) -> TablePicture[Row]:
    """Density of the eigenvalues of U, a panel per model.

    Raises:
        InputError: if it is not the record of the recipe theory_spectra.
    """
    return TablePicture(rows_of(record, "spectra", ROWS), draw)


def draw(rows: Sequence[Row]) -> Figure:
    """A panel per model: limit and networks over one another."""
    panels = grouped(rows, lambda row: row.panel)
    figure = style.canvas(height=0.7 + 1.75 * len(panels))
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(grid, panels.values(), strict=True):
        draw_panel(axes, panel)
    grid[-1].set_xlabel("eigenvalue λ of U")
    name_series(figure, rows)
    return figure


def draw_panel(axes: Axes, rows: Sequence[Row]) -> None:
    """One model."""
    axes.set(xscale="log", yscale="log", ylim=HEIGHTS, ylabel="density per ln λ")
    axes.set_title(title_of(rows[0]))
    networks = grouped(of_kind(rows, FiniteRow), lambda row: row.source)
    draw_equivalent(axes, networks.get("equivalent", []))
    draw_networks(axes, networks.get("true", []))
    for row in of_kind(rows, LimitRow):
        draw_limit(axes, row)


def title_of(row: Row) -> str:
    """The model and the spectrum of the data in words."""
    spectrum = "two variances, 0.5 and 1.5" if "halves" in row.panel else "one variance"
    return f"{row_text(row)}, {spectrum}"


def name_series(figure: Figure, rows: Sequence[Row]) -> None:
    """The legend, with the dimensions of the networks."""
    dims: dict[Features, int] = {row.source: row.dim for row in of_kind(rows, FiniteRow)}
    named = {
        "limit": Line2D([], [], color=LIMIT, linewidth=1.4),
        f"Gaussian equivalent, d = {dims.get('equivalent')}": Line2D([], [], color=EQUIVALENT, linewidth=5),
        f"tanh network, d = {dims.get('true')}": Line2D([], [], color=FINITE, linewidth=1.1),
    }
    figure.legend(list(named.values()), list(named), loc="outside upper center", ncols=3)


def heights(row: FiniteRow) -> np.ndarray:
    """Density per ln(eigenvalue) in each bin, at its geometric middle."""
    return row.density * np.sqrt(row.edges[1:] * row.edges[:-1])


def draw_equivalent(axes: Axes, rows: Sequence[FiniteRow]) -> None:
    """Histograms of the Gaussian equivalent, filled, all seeds over one another."""
    for row in rows:
        look = {"color": EQUIVALENT, "alpha": min(1.0, 1 / len(rows) + 0.2)}
        axes.stairs(heights(row), row.edges, fill=True, linewidth=0, **look)


def draw_networks(axes: Axes, rows: Sequence[FiniteRow]) -> None:
    """Histograms of the network as lines."""
    for row in rows:
        axes.stairs(heights(row), row.edges, color=FINITE, linewidth=0.8, alpha=0.8, baseline=None)


def draw_limit(axes: Axes, row: LimitRow) -> None:
    """An interval of the support with its density, or the atom, named with its mass."""
    if row.density is None:
        place = float(row.eigenvalue[0])
        axes.plot([place, place], [HEIGHTS[0], ATOM_TOP], color=LIMIT, linewidth=1.4)
        name_part(axes, "atom", row.mass, (place, ATOM_TOP))
        return
    height = row.eigenvalue * row.density
    axes.plot(row.eigenvalue, height, color=LIMIT, linewidth=1.3)
    name_part(axes, GROUPS[row.label], row.mass, (row.eigenvalue[height.argmax()], height.max()))


def name_part(axes: Axes, name: str, mass: float, top: tuple[float, float]) -> None:
    """The name of a part of the spectrum with its mass, above its top."""
    axes.annotate(
        f"{name}\n{mass:.2g}",
        top,
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        fontsize=7.5,
        linespacing=1.05,
    )
