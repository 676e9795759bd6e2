"""The random-features network trained in torch by gradient descent and by Adam (figure 15)."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memhorizon.figures import style
from memhorizon.figures.records import Row
from memhorizon.figures.theory import LABELS, Table, curve, logs, model_text, table, values, where

FLOW = {"color": "#bbbbbb", "linewidth": 3.5}
KINDS = {
    ("gd", "exact"): "gradient descent, exact noise average",
    ("gd", "sampled"): "gradient descent, fresh noise",
    ("adam", "exact"): "Adam, exact noise average",
    ("adam", "sampled"): "Adam, fresh noise",
}
EVENTS = {"level_step": "score error passes 1", "half_step": r"half of the final $L_\mathrm{gen}$"}


def optimizers(record: Any) -> Table:
    """Losses along training of the first seed, against the exact flow.

    Raises:
        InputError: if it is not the record of the recipe theory_optimizers.
    """
    return table(record, "optimizers", _optimizers)


def _optimizers(rows: Sequence[Row]) -> Figure:
    rows = where(rows, seed=min(values(rows, "seed")))
    columns = values(rows, "psi_n")
    figure = style.canvas(width=2.3 * len(columns), height=4.3)
    grid = figure.subplots(2, len(columns), sharex=True, sharey="row", squeeze=False)
    looks = style.looks(KINDS.values())
    for axes, psi_n in zip(grid.T, columns, strict=True):
        own = where(rows, psi_n=psi_n)
        axes[0].set_title(model_text(own[0]))
        for panel, name in zip(axes, ("E_score", "L_gen"), strict=True):
            for row in where(own, optimizer="flow"):
                curve(panel, row["step"], row[name], FLOW)
            for (optimizer, gradient), label in KINDS.items():
                for row in where(own, optimizer=optimizer, gradient=gradient):
                    curve(panel, row["step"], row[name], looks[label])
        logs(axes[0], x=(1.0, max(max(row["step"]) for row in own)))
        axes[1].set_xlabel("step")
    grid[0, 0].set(yscale="log", ylabel="score error")
    grid[1, 0].set(yscale="log", ylabel=LABELS["L_gen"], ylim=(1e-3, None))
    handles = [Line2D([], [], **FLOW), *(Line2D([], [], **look) for look in looks.values())]
    figure.legend(handles, ["exact flow", *looks], loc="outside upper center", ncols=3)
    return figure


def optimizers_times(record: Any) -> Table:
    """When overfitting sets in, and when it is half done, against psi_n, a point per network.

    Raises:
        InputError: if it is not the record of the recipe theory_optimizers.
    """
    return table(record, "optimizers", _optimizers_times)


def _optimizers_times(rows: Sequence[Row]) -> Figure:
    trained = [row for row in rows if "half_step" in row]
    figure = style.canvas(height=3.6)
    every = figure.subplots(1, len(EVENTS), sharex=True)
    looks = style.looks(KINDS.values())
    for axes, (event, title) in zip(every, EVENTS.items(), strict=True):
        for i, ((optimizer, gradient), label) in enumerate(KINDS.items()):
            own = where(trained, optimizer=optimizer, gradient=gradient)
            _points(axes, own, event, looks[label], math.exp(0.04 * (i - 1.5)))
        reached = [step for row in trained if (step := row[event]) is not None]
        style.log_axis(axes.yaxis, min(reached), max([*reached, *(row["step"][-1] for row in trained)]))
        sizes = values(trained, "psi_n")
        axes.set(xscale="log", xlabel=r"$\psi_n = n/d$", title=title)
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.minorticks_off()
    every[0].set_ylabel("step")
    handles = [Line2D([], [], **style.altered(look, linestyle="none")) for look in looks.values()]
    figure.legend(handles, list(looks), loc="outside upper center", ncols=2)
    return figure


def _points(axes: Axes, rows: Sequence[Row], event: str, look: Any, shift: float) -> None:
    """Steps of an event; one that was not reached by the last step is open, with an arrow."""
    for row in rows:
        step, x = row[event], row["psi_n"] * shift
        if step is None:
            last = row["step"][-1]
            arrow = {"arrowstyle": "-|>", "color": look["color"], "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", (x, last * 1.6), (x, last), arrowprops=arrow)
            axes.plot([x], [last], **style.altered(look, linestyle="none", markerfacecolor="white"))
        else:
            axes.plot([x], [step], **style.altered(look, linestyle="none"))
