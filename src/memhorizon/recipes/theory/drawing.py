"""What the pictures of the theory share: their axes, their curves, their words."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import legend_above
from memhorizon.recipes.theory.rows import ModelRow, Quantity
from memhorizon.results import two_sided

TAU = r"training time $\tau$"
FINITE = "#d55e00"  # finite networks beside the limit
FLOW = Look(color="#bbbbbb", linestyle="-", marker="")  # gradient flow, under what is compared with it
FLOW_WIDTH = 3.5
DASHED = (0, (4, 2))
NOTE = "#555555"  # colour of a word in a panel
READABLE = 2e3  # a logarithmic axis with a smaller ratio of its ends has numbers instead of powers of ten
LABELS: dict[Quantity, str] = {
    "L_train": "train loss",
    "L_test": "test loss",
    "L_gen": r"$L_\mathrm{gen}$",
    "E_score": "score error",
}
SYMBOLS = {"psi_n": r"$\psi_n$", "psi_p": r"$\psi_p$", "t": "t", "dim": "d"}


def model_text(**values: float) -> str:
    """A model in symbols.

    >>> model_text(t=0.1, dim=20)
    't = 0.1, d = 20'
    """
    return ", ".join(f"{SYMBOLS[name]} = {value:g}" for name, value in values.items())


def row_text(row: ModelRow) -> str:
    """The model of a row in symbols."""
    return model_text(psi_n=row.psi_n, psi_p=row.psi_p, t=row.t)


def half_width(error: np.ndarray | float, seeds: int) -> np.ndarray:
    """Half of a 95 % interval of a mean over seeds, from its standard error (t distribution)."""
    return np.asarray(two_sided(0.95, max(seeds - 1, 1)) * np.asarray(error, dtype=float))


def curve(axes: Axes, x: np.ndarray, y: np.ndarray, look: Look, *, marks: int = 7, **changes: object) -> None:
    """A line against a positive x, with a few markers so that it is known in grey."""
    keep = np.isfinite(x) & (x > 0)
    every = max(1, int(keep.sum()) // marks)
    axes.plot(x[keep], y[keep], markevery=every, markersize=3.2, **style.altered(look, **changes))


def flow_curve(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Gradient flow as a broad line below the others."""
    curve(axes, x, y, FLOW, linewidth=FLOW_WIDTH, zorder=1)


def log_x(axes: Axes, low: float, high: float) -> None:
    """A logarithmic horizontal axis between two ends."""
    if high / low < READABLE:
        style.log_scale(axes.xaxis)
    else:
        axes.set_xscale("log")
    axes.set_xlim(low, high)


def log_y(axes: Axes, low: float, high: float) -> None:
    """A logarithmic vertical axis between two ends."""
    if high / low < READABLE:
        style.log_scale(axes.yaxis)
    else:
        axes.set_yscale("log")
    axes.set_ylim(low, high)


def score_and_gap(columns: int, width: float = style.WIDTH) -> tuple[Figure, np.ndarray]:
    """A figure with a column of panels per case: the score error above, L_gen below."""
    figure = style.canvas(width=width, height=4.3)
    grid = figure.subplots(2, columns, sharex=True, sharey="row", squeeze=False)
    grid[0, 0].set(yscale="log", ylabel=LABELS["E_score"])
    grid[1, 0].set_ylabel(LABELS["L_gen"])
    return figure, grid


def flow_legend(figure: Figure, name: str, looks: Mapping[str, Look], ncols: int) -> None:
    """Name the flow and what is drawn over it."""
    flow = style.altered(FLOW, linewidth=FLOW_WIDTH)
    legend_above(figure, {name: flow, **looks}, ncols)


def sizes_axis(axes: Axes, sizes: Sequence[float]) -> None:
    """Name the values of a logarithmic horizontal axis, and no others."""
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.minorticks_off()
