"""Losses, score errors and clocks of the random-features theory along training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memhorizon.figures import style
from memhorizon.figures.records import Row
from memhorizon.figures.theory import (
    FINITE,
    LABELS,
    TAU,
    Table,
    curve,
    half_width,
    logs,
    table,
    values,
    where,
)

QUANTITIES = ("L_train", "L_test", "L_gen", "E_score")
PSI_N = r"$\psi_n$ = {:g}"


def losses(record: Any) -> Table:
    """Losses, gap and score error against training time, the limit beside tanh networks (figure 5).

    Raises:
        InputError: if it is not the record of the recipe theory_losses.
    """
    return table(record, "losses", _losses, panel="fig5")


def _losses(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(height=5.2)
    grid = figure.subplots(2, 2)
    looks = style.looks(PSI_N.format(v) for v in values(rows, "psi_n"))
    for row in where(rows, source="limit"):
        look = looks[PSI_N.format(row["psi_n"])]
        curve(grid[0, 0], row["tau"], row["L_train"], look)
        curve(grid[0, 0], row["tau"], row["L_test"], look)
        curve(grid[0, 1], row["tau"], row["E_score"], look)
        curve(grid[1, 0], row["tau"], row["L_gen"], look)
        share = np.array(row["L_gen"]) / row["L_gen"][-1]
        curve(grid[1, 1], np.array(row["tau"]) / row["psi_n"], share, look)
    finite = where(rows, source="true")
    for row in finite:
        for axes, name in ((grid[0, 0], "L_train"), (grid[0, 0], "L_test"), (grid[0, 1], "E_score")):
            _bars(axes, row, name)
        _bars(grid[1, 0], row, "L_gen")
    for axes, words in zip(grid.ravel(), ("loss", "score error", "", ""), strict=True):
        axes.set_ylabel(words or LABELS["L_gen"])
        axes.set_xlabel(TAU)
        logs(axes, x=(1.0, 1e6))
    grid[1, 1].set(xlabel=r"$\tau / \psi_n$", xlim=(0.1, 1e5), ylabel=r"$L_\mathrm{gen}$ / its end")
    logs(grid[0, 1], y=(0.005, 20.0))
    handles = [Line2D([], [], **look) for look in looks.values()]
    names = [*looks]
    if finite:
        handles.append(Line2D([], [], color=FINITE, marker="o", linestyle="none", markersize=3))
        names.append(f"tanh network, d = {finite[0]['dim']}")
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), columnspacing=1.2)
    return figure


def _bars(axes: Axes, row: Row, name: str) -> None:
    """Finite networks at a few times, with 95 % intervals over seeds."""
    pick = slice(16, None, 12)
    half = half_width(row["standard_error"][QUANTITIES.index(name)], row["seeds"])[pick]
    look = {"color": FINITE, "marker": "o", "markersize": 2.4, "linestyle": "none", "elinewidth": 0.8}
    axes.errorbar(row["tau"][pick], row[name][pick], yerr=half, zorder=4, **look)


def losses_over_t(record: Any) -> Table:
    """Gap and score error at several diffusion times, against the clocks of the gap (figure 11).

    Raises:
        InputError: if it is not the record of the recipe theory_losses.
    """
    return table(record, "losses", _over("t", "t = {:g}"), panel="fig11")


def losses_over_variance(record: Any) -> Table:
    """Gap and score error at several variances of the data, against the clocks of the gap (figure 12).

    Raises:
        InputError: if it is not the record of the recipe theory_losses.
    """
    return table(record, "losses", _over("variance", "variance {:g}"), panel="fig12")


def _over(factor: str, title: str) -> Any:
    """A column per value of a factor: gap over its end against two clocks, and the score error."""

    def draw(rows: Sequence[Row]) -> Figure:
        columns = sorted(values(rows, factor))
        figure = style.canvas(height=6.0)
        grid = figure.subplots(3, len(columns), squeeze=False)
        looks = style.looks(PSI_N.format(v) for v in values(rows, "psi_n"))
        for (upper, middle, lower), value in zip(grid.T, columns, strict=True):
            upper.set_title(title.format(value))
            for row in where(rows, **{factor: value}):
                tau, share = np.array(row["tau"]), np.array(row["L_gen"]) / row["L_gen"][-1]
                look = looks[PSI_N.format(row["psi_n"])]
                curve(upper, tau, row["E_score"], look)
                curve(middle, tau / row["tau_gen"], share, look)
                if row["tau_third"] is not None:
                    curve(lower, tau / row["tau_third"], share, look)
            upper.set_yscale("log")
            logs(upper, x=(1.0, 1e7))
            logs(middle, x=(1e-1, 1e6))
            logs(lower, x=(1e-4, 1e2))
            upper.set_xlabel(TAU)
            middle.set_xlabel(r"$\tau$ / clock of generalization")
            lower.set_xlabel(r"$\tau$ / clock of the third group")
            if not lower.lines:
                note = {"ha": "center", "va": "center", "color": "#555555", "xycoords": "axes fraction"}
                lower.set_ylim(grid[1, 0].get_ylim())
                lower.annotate("no separate third group", (0.5, 0.5), fontsize=8, **note)
        grid[0, 0].set_ylabel("score error")
        for axes in grid[1:, 0]:
            axes.set_ylabel(r"$L_\mathrm{gen}$ / its end")
        handles = [Line2D([], [], **look) for look in looks.values()]
        figure.legend(handles, list(looks), loc="outside upper center", ncols=len(looks))
        return figure

    return draw


def losses_check(record: Any) -> Table:
    """How far finite networks are from the limit, against their dimension.

    Raises:
        InputError: if it is not the record of the recipe theory_losses.
    """
    return table(record, "losses", _check, panel="check")


def _check(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(height=2.9)
    grid = figure.subplots(1, 2, sharey=True)
    titles = {"true": "tanh network", "equivalent": "Gaussian equivalent"}
    looks = style.looks(QUANTITIES)
    for axes, source in zip(grid, titles, strict=True):
        own = where(rows, source=source)
        dims = np.array([row["dim"] for row in own], dtype=float)
        for i, name in enumerate(QUANTITIES):
            value = np.array([row["deviation"][i] for row in own])
            half = np.array([half_width(row["deviation_error"][i], row["seeds"]) for row in own])
            low = np.minimum(half, value * 0.999)
            axes.errorbar(
                dims * 1.03 ** (i - 1.5), value, yerr=[low, half], label=LABELS[name], **looks[name]
            )
        guide = 0.35 * dims[0] / dims
        axes.plot(dims, guide, color=style.GREY, linestyle=(0, (4, 3)), linewidth=1, label="slope −1")
        logs(axes, x=(dims[0] / 1.3, dims[-1] * 1.3))
        axes.set(title=titles[source], xlabel="d", yscale="log", ylim=(1e-4, 0.6))
        axes.set_xticks(dims, [f"{d:g}" for d in dims])
    grid[0].set_ylabel("largest |finite / limit − 1|")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return figure


def heatmap(record: Any) -> Table:
    """Maps of the generalization gap over (psi_n, psi_p) at several training times, in the limit.

    Raises:
        InputError: if it is not the record of the recipe theory_heatmap.
    """
    return table(record, "heatmap", _map_of("L_gen", (1e-4, 1e2)))


def heatmap_score(record: Any) -> Table:
    """Maps of the score error over (psi_n, psi_p) at several training times, in the limit.

    Raises:
        InputError: if it is not the record of the recipe theory_heatmap.
    """
    return table(record, "heatmap", _map_of("E_score", (1e-2, 1e2)))


def _map_of(name: str, ends: tuple[float, float]) -> Any:
    def draw(rows: Sequence[Row]) -> Figure:
        levels, times = values(rows, "t"), values(rows, "tau")
        figure = style.canvas(height=0.5 + 1.6 * len(levels))
        grid = figure.subplots(len(levels), len(times), sharex=True, sharey=True, squeeze=False)
        colour = ScalarMappable(LogNorm(*ends), "viridis")
        for i, t in enumerate(levels):
            for j, tau in enumerate(times):
                _map(grid[i, j], where(rows, t=t, tau=tau)[0], name, colour)
                if i == 0:
                    power = r"$\infty$" if np.isinf(tau) else rf"$10^{{{np.log10(tau):.0f}}}$"
                    grid[i, j].set_title(rf"$\tau$ = {power}")
            grid[i, 0].set_ylabel(f"t = {t:g}\n" + r"$\psi_p$ = p/d")
        for axes in grid[-1]:
            axes.set_xlabel(r"$\psi_n$ = n/d")
        figure.colorbar(colour, ax=grid, label=LABELS[name], extend="both", pad=0.01, aspect=30)
        return figure

    return draw


def _map(axes: Axes, row: Row, name: str, colour: ScalarMappable) -> None:
    """One map, with the diagonal p = n."""
    field = np.ma.masked_invalid(np.array(row[name], dtype=float)).T
    look = {"norm": colour.norm, "cmap": colour.cmap, "rasterized": True}
    axes.pcolormesh(row["psi_n"], row["psi_p"], np.clip(field, colour.norm.vmin, colour.norm.vmax), **look)
    ends = (row["psi_n"][0], row["psi_n"][-1])
    axes.plot(ends, ends, color="white", linewidth=1, linestyle=(0, (4, 2)))
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
