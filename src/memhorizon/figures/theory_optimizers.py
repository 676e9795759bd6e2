"""The random-features network trained in torch by gradient descent and by Adam (figure 15)."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memhorizon.figures import style
from memhorizon.figures.noise_levels import mark
from memhorizon.figures.records import Row
from memhorizon.figures.theory import (
    FLOW,
    Table,
    curve,
    flow_legend,
    logs,
    model_text,
    score_and_gap,
    table,
    values,
    where,
)

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
    figure, grid = score_and_gap(len(columns), width=2.3 * len(columns))
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
    grid[1, 0].set(yscale="log", ylim=(1e-3, None))
    flow_legend(figure, "exact flow", looks, ncols=3)
    return figure


def optimizers_times(record: Any) -> Table:
    """When overfitting sets in, and when it is half done, against psi_n, a point per network.

    Raises:
        InputError: if it is not the record of the recipe theory_optimizers.
    """
    return table(record, "optimizers", _optimizers_times)


def _event(row: Row, name: str) -> Row:
    """The step of an event without an interval; one that was not reached by the last step is a bound."""
    step, last = row[name], row["step"][-1]
    nothing = {"low": None, "high": None}
    known = (
        {"value": last, "status": "not reached"} if step is None else {"value": step, "status": "observed"}
    )
    return nothing | known


def _optimizers_times(rows: Sequence[Row]) -> Figure:
    trained = [row for row in rows if "half_step" in row]
    figure = style.canvas(height=3.6)
    every = figure.subplots(1, len(EVENTS), sharex=True)
    looks = style.looks(KINDS.values())
    for axes, (event, title) in zip(every, EVENTS.items(), strict=True):
        for i, ((optimizer, gradient), label) in enumerate(KINDS.items()):
            for row in where(trained, optimizer=optimizer, gradient=gradient):
                mark(axes, row["psi_n"] * math.exp(0.04 * (i - 1.5)), _event(row, event), looks[label])
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
