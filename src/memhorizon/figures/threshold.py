"""n*(W): who still copies after long training, and whether that has stopped to move."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from memhorizon.figures import style
from memhorizon.figures.noise_levels import mark
from memhorizon.figures.records import Row
from memhorizon.figures.theory import Table, table, values, where


def threshold(record: Any) -> Table:
    """Copies against n at the last step, n* along training, and n* against the number of parameters.

    Raises:
        InputError: if it is not the record of the recipe threshold_mixture.
    """
    return table(record, "threshold_mixture", _threshold)


def _threshold(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(width=9.4, height=3.6)
    left, middle, right = figure.subplots(1, 3)
    groups = where(rows, part="group")
    looks = style.looks(f"W = {width}" for width in values(groups, "width"))
    levels = sorted(values(groups, "level"))
    _copies(left, where(rows, part="run"), looks, levels[-1])
    _along_training(middle, where(groups, level=levels[-1]), looks)
    _by_parameters(right, [row for row in groups if row.get("growth")], levels)
    names = [Line2D([], [], **look) for look in looks.values()]
    names.append(Line2D([], [], color=style.GREY, marker="o", markerfacecolor="white", linestyle="none"))
    figure.legend(names, [*looks, "bound"], loc="outside upper center", ncols=len(names))
    return figure


def _copies(axes: Axes, runs: Sequence[Row], looks: Mapping[str, Any], level: float) -> None:
    """The memorized fraction at the last step, a line per seed."""
    sizes = sorted(values(runs, "n_train"))
    for name, look in looks.items():
        own = where(runs, width=int(name.removeprefix("W = ")))
        for seed in values(own, "seed"):
            line = sorted(where(own, seed=seed), key=lambda row: row["n_train"])
            heights = [row["memorized"][-1] for row in line]
            thin = style.altered(look, linewidth=0.8, markersize=3)
            axes.plot([row["n_train"] for row in line], heights, **thin)
    axes.axhline(level, color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.set(xscale="log", xlim=(min(sizes) / 2.3, max(sizes) * 2.3))
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    step = style.plain_number(runs[0]["step"][-1])
    title = f"copies after {step} steps,\na line per seed (dashed: {level:g})"
    axes.set(xlabel="training items n", ylabel=r"memorized fraction $f_\mathrm{mem}$", title=title)
    axes.set_ylim(-0.03, 1.03)


def _along_training(axes: Axes, groups: Sequence[Row], looks: Mapping[str, Any]) -> None:
    """n* of every width against the step at which it is read."""
    steps = sorted(values(groups, "step"))
    for (name, look), shift in zip(looks.items(), np.linspace(-0.05, 0.05, len(looks)), strict=True):
        own = where(groups, width=int(name.removeprefix("W = ")))
        shown = [row for row in own if row["n_star"]["status"] == "observed"]
        x = [row["step"] * np.exp(shift) for row in shown]
        flat = style.altered(look, linewidth=0.8, marker="")
        axes.plot(x, [row["n_star"]["value"] for row in shown], **flat)
        for row in own:
            mark(axes, row["step"] * np.exp(shift), row["n_star"], look, markersize=3)
    low, high = _range(groups)
    guide = [steps[0], min(steps[0] * high / low, steps[-1])]
    axes.plot(guide, [low, low * guide[1] / guide[0]], color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
    style.log_axis(axes.xaxis, steps[0], steps[-1], wide=False)
    style.log_axis(axes.yaxis, low, high)
    level = groups[0]["level"]
    title = f"n* along training, level {level:g}\n(dashed: in proportion to the step)"
    axes.set(xlabel="training step", ylabel="n*, mean over seeds, 95 % interval", title=title)


def _by_parameters(axes: Axes, groups: Sequence[Row], levels: Sequence[float]) -> None:
    """n* at the last step against p, at each level, with a line in proportion to p."""
    looks = style.looks(f"level {level:g}" for level in levels)
    for (name, look), shift in zip(looks.items(), (-0.02, 0.02), strict=True):
        for row in where(groups, level=float(name.removeprefix("level "))):
            mark(axes, row["parameters"] * np.exp(shift), row["n_star"], look)
    p = np.array(sorted(values(groups, "parameters")), dtype=float)
    seen = [row for row in groups if row["n_star"]["status"] == "observed"]
    if seen:
        share = np.exp(np.mean([np.log(row["n_star"]["value"] / row["parameters"]) for row in seen]))
        axes.plot(p, p * share, color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
    style.log_axis(axes.xaxis, p[0], p[-1])
    axes.set_xlim(p[0] / 1.3, p[-1] * 1.3)
    style.log_axis(axes.yaxis, *_range(groups))
    title = "n* after the last step\n(dashed: in proportion to p)"
    axes.set(xlabel="parameters p", ylabel="n*", title=title)
    handles = [Line2D([], [], **style.altered(look, linestyle="none")) for look in looks.values()]
    axes.legend(handles, list(looks), loc="lower right")


def _range(groups: Sequence[Row]) -> tuple[float, float]:
    entries = [row["n_star"] for row in groups if row["n_star"]["value"]]
    every = [entry[end] for entry in entries for end in ("value", "low", "high") if entry[end]]
    return (min(every), max(every)) if every else (1.0, 10.0)
