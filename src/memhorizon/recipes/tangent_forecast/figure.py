"""Losses and copies of runs and of their tangents, and forecast over measured times."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import (
    TablePicture,
    distinct,
    guide,
    interval,
    legend_above,
    sizes_axis,
    steps_axis,
)
from memhorizon.recipes.tables import of_kind, rows_of
from memhorizon.recipes.tangent_forecast.rows import KINDS, LinearRow, Row, RunRow, of_largest_kernels

NAME = "tangent_forecast"
RUN = Look(color="#222222", linestyle="-", marker="")
SPECTRUM = Look(color="#31688e", linestyle=(0, (5, 1.6)), marker="s")
TRAINED = Look(color="#440154", linestyle=(0, (1, 1.2)), marker="o")
THIRD = Look(color="#31688e", linestyle="none", marker="^")
LAW = Look(color="#5a9e4b", linestyle="none", marker="D")
THEORY = Look(color=style.GREY, linestyle="none", marker="X")
SWEEPS = {"n_mixture_sgd": "mixture, SGD", "n_digits": "digits, Adam"}


def factors(record: object) -> TablePicture[Row]:
    """Losses of a run and its tangents at the largest n that was trained on, and factors of all runs.

    Raises:
        InputError: if it is not the record of the recipe tangent_forecast.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw)


def _draw(rows: Sequence[Row]) -> Figure:
    """A row for each sweep: losses, copies, factors."""
    sweeps = distinct(row.sweep for row in rows)
    figure = style.canvas(width=9.0, height=2.7 * len(sweeps) + 0.5)
    grid = figure.subplots(len(sweeps), 3, squeeze=False, width_ratios=[1, 1, 1.2])
    for axes, sweep in zip(grid, sweeps, strict=True):
        own = [row for row in rows if row.sweep == sweep]
        run, tangents = _shown(own)
        _losses(axes[0], run, tangents)
        axes[0].set_title(f"{SWEEPS.get(sweep, sweep)}: loss at t = 0.1, n = {run.n_train}")
        _copies(axes[1], run, tangents)
        _factors(axes[2], own)
    looks = {
        "run": RUN,
        "tangent, by its spectrum": SPECTRUM,
        "tangent, trained": TRAINED,
        "outputs to a third": THIRD,
        "in proportion to n": LAW,
        "theory": THEORY,
    }
    legend_above(figure, looks, title="open markers: at least")
    return figure


def _shown(rows: Sequence[Row]) -> tuple[RunRow, list[LinearRow]]:
    """The run of the largest n whose tangent was trained, with its tangents at tau_gen."""
    linear = of_kind(rows, LinearRow)
    trained = [row for row in linear if row.way == "trained"] or linear
    chosen = max(trained, key=lambda row: (row.n_train, -row.seed))
    own = (chosen.n_train, chosen.seed)
    (run,) = [row for row in of_kind(rows, RunRow) if (row.n_train, row.seed) == own]
    same = [row for row in linear if (row.n_train, row.seed) == own]
    return run, same


def _look_of(row: LinearRow) -> Look:
    return TRAINED if row.way == "trained" else SPECTRUM


def _losses(axes: Axes, run: RunRow, tangents: Sequence[LinearRow]) -> None:
    """Training losses, and held-out ones in a lighter tint."""
    for values, alpha in ((run.train, 1.0), (run.holdout, 0.45)):
        axes.plot(run.step, values, **style.altered(RUN, alpha=alpha))
    for row in tangents:
        kept = row.step <= row.trusted
        for values, alpha in ((row.train, 1.0), (row.holdout, 0.45)):
            axes.plot(row.step[kept], values[kept], **style.altered(_look_of(row), alpha=alpha, markersize=3))
    axes.axvline(run.tau_mem.value, color=style.GREY, linewidth=0.8)
    axes.set_ylabel("training (dark), held-out (light)")
    steps_axis(axes)


def _copies(axes: Axes, run: RunRow, tangents: Sequence[LinearRow]) -> None:
    """Memorized fractions."""
    axes.plot(run.step, run.memorized, **RUN)
    for row in tangents:
        kept = row.step <= row.trusted
        axes.plot(row.step[kept], row.memorized[kept], **style.altered(_look_of(row), markersize=3))
    axes.axvline(run.tau_mem.value, color=style.GREY, linewidth=0.8)
    axes.set(title="memorized fraction", ylim=(-0.03, 1.03))
    steps_axis(axes)


def _factors(axes: Axes, rows: Sequence[Row]) -> None:
    """Forecast over measured tau_mem, by n."""
    runs = of_kind(rows, RunRow)
    guide(axes, 1.0)
    axes.axhspan(0.5, 2.0, color=style.GREY, alpha=0.15, linewidth=0)
    axes.set_yscale("log")
    for row in runs:
        axes.plot([row.n_train * 1.12], [row.law], **LAW)
        if row.theory is not None:
            axes.plot([row.n_train * 1.24], [row.theory], **THEORY)
    for row in of_largest_kernels(of_kind(rows, LinearRow)):
        _factor(axes, row)
    style.log_scale(axes.yaxis)
    sizes_axis(axes, sorted({row.n_train for row in runs}), "training items n", margin=1.6)
    axes.set_title(f"forecast / measured {style.TAU_MEM}")


def _factor(axes: Axes, row: LinearRow) -> None:
    """One tangent: its time, or its bound, and the time from its spectrum alone."""
    place = row.n_train / (1.2 if row.way == "trained" else 1.06)
    look = style.altered(_look_of(row), linestyle="none")
    if row.factor is not None:
        interval(axes, place, row.factor, look)
    elif row.at_least is not None:
        axes.plot([place], [row.at_least], **style.altered(look, markerfacecolor="white"))
    if row.third is not None:
        axes.plot([row.n_train], [row.third], **THIRD)
