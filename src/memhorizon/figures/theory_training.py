"""Further pictures of the theory: exponents, clocks, step sizes, noise draws, mixtures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memhorizon.figures import style
from memhorizon.figures.records import Row
from memhorizon.figures.theory import (
    FINITE,
    FLOW,
    TAU,
    Table,
    curve,
    flow_legend,
    half_width,
    logs,
    model_text,
    score_and_gap,
    table,
    values,
    where,
)


def exponent(record: Any) -> Table:
    """The smallest score error along training against psi_n, and its local exponent (figure 13).

    Raises:
        InputError: if it is not the record of the recipe theory_exponent.
    """
    return table(record, "exponent", _exponent)


def _exponent(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(height=3.2)
    left, right = figure.subplots(1, 2)
    limit = where(rows, source="limit")
    cases = list(dict.fromkeys((row["psi_p"], row["t"]) for row in limit))
    looks = style.looks(model_text({"psi_p": p, "t": t}, ("psi_p", "t")) for p, t in cases)
    for (psi_p, t), (name, look) in zip(cases, looks.items(), strict=True):
        own = where(limit, psi_p=psi_p, t=t)
        x = [row["psi_n"] for row in own]
        curve(left, x, [row["minimum"] for row in own], look, label=name)
        slope = [np.nan if row["local_exponent"] is None else row["local_exponent"] for row in own]
        curve(right, x, slope, look)
    finite = where(rows, source="true")
    if finite:
        half = [float(half_width(row["standard_error"], row["seeds"])) for row in finite]
        name = f"tanh network, d = {finite[0]['dim']} ({model_text(finite[0], ('psi_p', 't'))})"
        look = {"color": FINITE, "marker": "o", "linestyle": "none", "markersize": 3.5}
        places = [row["psi_n"] for row in finite], [row["minimum"] for row in finite]
        left.errorbar(*places, yerr=half, label=name, **look)
    right.axhline(0.59, color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
    note = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "xytext": (4, 0)}
    right.annotate("0.59: fit\nof the paper", (1, 0.59), va="center", fontsize=7.5, color="#555555", **note)
    ends = (min(row["psi_n"] for row in limit), max(row["psi_n"] for row in limit))
    logs(left, x=ends, y=(0.002, 0.3))
    logs(right, x=ends)
    left.set(xlabel=r"$\psi_n$ = n/d", ylabel="smallest score error")
    right.set(xlabel=r"$\psi_n$ = n/d", ylabel="local exponent")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def clocks_of_theory(record: Any) -> Table:
    """When overfitting is seen, against the noise level: two events, each with the clock that tells it.

    Raises:
        InputError: if it is not the record of the recipe theory_clocks.
    """
    return table(record, "clocks", _clocks)


def _clocks(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(height=3.5)
    grid = figure.subplots(1, 2, sharey=True)
    psi_p = max(values(rows, "psi_p"))
    shown = [n for n in values(rows, "psi_n") if n in (2.0, 8.0, 32.0)] or values(rows, "psi_n")[:3]
    looks = style.looks(rf"$\psi_n$ = {n:g}" for n in shown)
    events = (
        ("level_1_time", "tau_first", "score error passes 1"),
        ("half_time", "tau_third", "half of the gap"),
    )
    for axes, (event, clock, title) in zip(grid, events, strict=True):
        for n, look in zip(shown, looks.values(), strict=True):
            own = [row for row in where(rows, psi_n=n, psi_p=psi_p) if row[event] is not None]
            x = [row["delta_t"] for row in own]
            axes.plot(x, [row[event] for row in own], **style.altered(look, linestyle="none"))
            times = [np.nan if row[clock] is None else row[clock] for row in own]
            axes.plot(x, times, color=look["color"], linewidth=1.1)
        name = "lower edge of the first bulk" if clock == "tau_first" else "center of the third group"
        axes.set(title=f"{title} (markers);\nclock: {name} (lines)", xlabel=r"$\Delta_t$")
        axes.set(xscale="log", yscale="log")
    grid[0].set_ylabel(TAU)
    handles = [Line2D([], [], **style.altered(look, linestyle="-")) for look in looks.values()]
    figure.legend(handles, [f"{name}" for name in looks], loc="outside upper center", ncols=len(looks))
    return figure


def steps(record: Any) -> Table:
    """Gradient descent with a finite step and with momentum, against the flow.

    Raises:
        InputError: if it is not the record of the recipe theory_steps.
    """
    return table(record, "steps", _steps)


def _steps(rows: Sequence[Row]) -> Figure:
    columns = values(rows, "momentum")
    figure, grid = score_and_gap(len(columns))
    looks = style.looks(f"step {v:g} of the largest stable one" for v in values(rows, "step"))
    for axes, momentum in zip(grid.T, columns, strict=True):
        axes[0].set_title(f"momentum {momentum:g}")
        for row in where(rows, momentum=momentum):
            look = looks[f"step {row['step']:g} of the largest stable one"]
            for panel, name, flow in zip(
                axes, ("E_score", "L_gen"), (row["flow"][3], row["flow"][2]), strict=True
            ):
                curve(panel, row["tau"], flow, FLOW, zorder=1)
                curve(panel, row["tau"], row[name], look)
        logs(axes[0], x=(1.0, 1e6))
        axes[1].set_xlabel(TAU)
    flow_legend(figure, "flow", looks, ncols=2)
    return figure


def noise_draws(record: Any) -> Table:
    """Test loss at the end of training for m noise vectors per point: its peak lies where p = n m.

    Raises:
        InputError: if it is not the record of the recipe theory_noise_draws.
    """
    return table(record, "noise_draws", _noise_draws)


def _noise_draws(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(width=5.2, height=3.4)
    axes = figure.subplots()
    looks = style.looks(
        "all noise" if row["noise_draws"] is None else f"m = {row['noise_draws']}" for row in rows
    )
    for row, (name, look) in zip(rows, looks.items(), strict=True):
        value, half = np.array(row["L_test_inf"]), half_width(row["L_test_inf_error"], row["seeds"])
        style.band(axes, row["psi_p"], np.maximum(value - half, 1e-3), value + half, look["color"])
        curve(axes, row["psi_p"], value, look, marks=25, label=name)
        if row["noise_draws"] is not None:
            axes.axvline(row["psi_n"] * row["noise_draws"], color=look["color"], linewidth=0.7, zorder=0)
    axes.set(yscale="log", ylim=(0.5, 1e5), ylabel="test loss at the end of training")
    logs(axes, x=(min(rows[0]["psi_p"]), max(rows[0]["psi_p"])))
    axes.set_xlabel(r"$\psi_p$ = p/d (thin lines: $\psi_n m$)")
    axes.set_title(f"{model_text(rows[0], ('psi_n', 't', 'dim'))}; 95 % over {rows[0]['seeds']} networks")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def mixture(record: Any) -> Table:
    """Score error along training on two Gaussian classes at several separations.

    Raises:
        InputError: if it is not the record of the recipe theory_mixture.
    """
    return table(record, "mixture", _mixture)


def _mixture(rows: Sequence[Row]) -> Figure:
    columns = values(rows, "psi_n")
    figure = style.canvas(height=2.9)
    grid = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    looks = style.looks(rf"$|\mu|^2/d$ = {v:g}" for v in values(rows, "separation"))
    for axes, psi_n in zip(grid, columns, strict=True):
        for row, look in zip(where(rows, psi_n=psi_n), looks.values(), strict=True):
            value, half = np.array(row["E_score"]), half_width(row["E_score_error"], row["seeds"])
            style.band(axes, row["tau"], value - half, value + half, look["color"])
            curve(axes, row["tau"], value, look)
            axes.set_title(model_text(row, ("psi_n", "psi_p", "t")))
        logs(axes, x=(0.1, 1e5))
        axes.set(yscale="log", xlabel=TAU)
    grid[0].set_ylabel("score error")
    handles = [Line2D([], [], **look) for look in looks.values()]
    figure.legend(handles, list(looks), loc="outside upper center", ncols=len(looks))
    return figure
