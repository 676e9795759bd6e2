"""The clocks of the U-Nets on digits beside the theory's, up to one unit of time."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from memhorizon.figures import style
from memhorizon.figures.noise_levels import mark
from memhorizon.figures.records import Row
from memhorizon.figures.theory import Table, table, values, where

CLOCKS: dict[
    str, tuple[str, str, dict[str, Any]]
] = {  # event of the theory: clock of the runs, its name, its look
    "half_gap": ("tau_mem", style.TAU_MEM, {"color": "#440154", "marker": "o"}),
    "argmin": ("argmin", "argmin of the held-out loss", {"color": "#31688e", "marker": "^"}),
    "tau_gen": ("tau_gen", style.TAU_GEN, {"color": "#5a9e4b", "marker": "s"}),
}
RATIO: dict[str, Any] = {"color": "#222222", "marker": "D"}


def beside_digits(record: Any) -> Table:
    """Times of the runs over the curves of the theory against n, and the ratio of the two clocks.

    Raises:
        InputError: if it is not the record of the recipe theory_beside_digits.
    """
    return table(record, "beside_digits", _beside_digits)


def _beside_digits(rows: Sequence[Row]) -> Figure:
    levels, features = values(rows, "t"), sorted(values(rows, "psi_p"))
    figure = style.canvas(height=5.4)
    grid = figure.subplots(2, len(levels), sharex=True, sharey="row", squeeze=False)
    lines = dict(zip(features, style.LINES, strict=False))
    for axes, t in zip(grid.T, levels, strict=True):
        own = where(rows, t=t)
        axes[0].set_title(f"t = {t:g}")
        for event in CLOCKS:
            _times(axes[0], own, event, lines)
        _ratios(axes[1], own, lines)
        _sizes(axes[1], sorted(values(own, "n_train")))
    for axes in grid[:, 0]:
        low, high = axes.get_ylim()
        style.log_axis(axes.yaxis, low, high)
    grid[0, 0].set_ylabel(f"training step (theory: one unit\nof time, fitted to {style.TAU_MEM})")
    grid[1, 0].set_ylabel(f"{style.TAU_MEM} / {style.TAU_GEN}")
    handles = [Line2D([], [], **look, linestyle="none") for *_, look in CLOCKS.values()]
    theory = {"color": "#222222", "marker": "o", "markerfacecolor": "white", "markersize": 3.5}
    handles += [Line2D([], [], linestyle=line, linewidth=1.1, **theory) for line in lines.values()]
    names = [name for _, name, _ in CLOCKS.values()]
    names += [rf"theory, $\psi_p$ = {style.plain_number(p)}" for p in features]
    title = "filled: runs, with 95 % intervals; open: theory"
    figure.legend(
        handles, names, loc="outside upper center", ncols=len(names), title=title, title_fontsize=8.5
    )
    return figure


def _sizes(axes: Axes, sizes: Sequence[int]) -> None:
    axes.set(xscale="log", xlabel="training items n", xlim=(sizes[0] / 1.4, sizes[-1] * 1.4))
    axes.set_xticks(sizes, [style.plain_number(n) for n in sizes])
    axes.xaxis.set_minor_locator(NullLocator())


def _times(axes: Axes, rows: Sequence[Row], event: str, lines: dict[float, Any]) -> None:
    """Runs of one n beside each other, and the theory in the unit in which its half gap fits tau_mem."""
    axes.set_yscale("log")
    clock, _, look = CLOCKS[event]
    for row in where(rows, part="run"):
        mark(axes, row["n_train"] * 1.06 ** (row["seed"] - 1), row[clock], look, markersize=3.5)
    for psi_p, line in lines.items():
        models = where(rows, part="model", psi_p=psi_p)
        for unit in where(rows, part="comparison", psi_p=psi_p, event="half_gap"):
            times = [unit["steps_per_tau"] * row[event] for row in models]
            open_look = {
                **look,
                "markerfacecolor": "white",
                "markersize": 3.5,
            }  # tells the lines apart in grey
            axes.plot([row["n_train"] for row in models], times, linestyle=line, linewidth=1.1, **open_look)


def _ratios(axes: Axes, rows: Sequence[Row], lines: dict[float, Any]) -> None:
    axes.set_yscale("log")
    for psi_p, line in lines.items():
        own = where(rows, part="ratio", psi_p=psi_p)
        sizes = [row["n_train"] for row in own]
        axes.plot(sizes, [row["ratio"] for row in own], color=RATIO["color"], linestyle=line)
        for row in own:
            mark(axes, row["n_train"], row["ratio_measured"], RATIO)
