"""Forecasts beside what came, and the folk rules beside the measured times."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.recipes.forecasts.methods import METHODS
from memhorizon.recipes.forecasts.numbers import (
    KINDS,
    NAME,
    RATIOS,
    ForecastRow,
    MeasuredRow,
    Row,
    geometric_mean,
    score,
)
from memhorizon.recipes.pictures import DASHED, TablePicture, distinct, ticks
from memhorizon.recipes.tables import of_kind, rows_of

GOAL = (0.85, 0.96)
GAP = 3  # places between the forecasts of two ratios


def intervals(record: object) -> TablePicture[Row]:
    """Forecasts over measured times, and how often each way's interval holds the run.

    Raises:
        InputError: if it is not the record of the recipe forecasts.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw_intervals)


def rules(record: object) -> TablePicture[Row]:
    """Measured times by n, beside three folk rules.

    Raises:
        InputError: if it is not the record of the recipe forecasts.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw_rules)


def _draw_intervals(rows: Sequence[Row]) -> Figure:
    found = of_kind(rows, ForecastRow)
    figure = style.canvas(width=9.0, height=3.7)
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    _beside_measured(left, [row for row in found if len(row.seeds) > 1])
    _coverage(right, found)
    return figure


def _beside_measured(axes: Axes, rows: Sequence[ForecastRow]) -> None:
    """Forecast over measured time of every forecast from all seeds, with its interval, by ratio of n."""
    looks = style.looks(distinct(row.family for row in rows))
    observed = [row for row in rows if all(time.observed for time in row.times)]
    place = 0
    middles = []
    for ratio in RATIOS:
        same = [row for row in observed if row.ratio == ratio]
        same.sort(key=lambda row: (row.family, row.methods["ours"].value))
        for i, row in enumerate(same):
            _one_beside_measured(axes, place + i, row, looks[row.family])
        middles.append(place + len(same) / 2)
        place += len(same) + GAP
    ticks(axes, middles, [f"{ratio} times" for ratio in RATIOS])
    _name_families(axes, looks)
    _label_ratios(axes)


def _label_ratios(axes: Axes) -> None:
    """What the axes of forecasts over measured times are."""
    axes.axhline(1, color=style.GREY, linewidth=0.8)
    style.log_scale(axes.yaxis)
    axes.set_xlabel("n of the run over that of the largest pilot")
    axes.set_ylabel(f"forecast / measured {style.TAU_MEM}")
    axes.legend(loc="upper left", fontsize=7.5)
    axes.set_title("90 % intervals; open: pilots of one size")


def _one_beside_measured(axes: Axes, place: int, row: ForecastRow, look: style.Look) -> None:
    """Forecast and interval over the geometric mean of the runs; open where the pilots are of one size."""
    mean = geometric_mean(row.times)
    interval = row.methods["ours"]
    axes.plot([place] * 2, [interval.low / mean, interval.high / mean], color=look["color"], linewidth=1)
    face = look["color"] if len(row.pilots) > 1 else "white"
    axes.plot([place], [interval.value / mean], **style.altered(look, markerfacecolor=face, markersize=3))


def _name_families(axes: Axes, looks: Mapping[str, style.Look]) -> None:
    """The marks of the families, for the legend."""
    for name, look in looks.items():
        axes.plot([], [], **style.altered(look, linestyle="none"), label=name)


def _coverage(axes: Axes, rows: Sequence[ForecastRow]) -> None:
    """Coverage of each way, all forecasts that it answers, with its interval over sweeps."""
    axes.axvspan(*GOAL, color=style.GREY, alpha=0.15, linewidth=0)
    axes.axvline(0.9, color=style.GREY, linewidth=0.8, linestyle=DASHED)
    for place, method in enumerate(METHODS):
        found = score(rows, method)
        low, high = found.coverage_interval
        axes.plot([low, high], [place, place], color=style.DARK, linewidth=1.2)
        axes.plot([found.coverage], [place], marker="o", color=style.DARK, markersize=5)
        axes.annotate(f"x {found.factor:.1f}", (1.02, place), va="center", fontsize=8, annotation_clip=False)
    axes.set(xlim=(0, 1), xlabel="share of runs within the interval", ylim=(len(METHODS) - 0.5, -0.5))
    style.categories(axes.yaxis, list(METHODS))
    axes.set_title("coverage; right: median high / low")


def _draw_rules(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(width=7.2, height=4.2)
    axes = figure.subplots()
    measured = [row for row in of_kind(rows, MeasuredRow) if row.tau_mem.known]
    looks = style.looks(distinct(row.family for row in measured))
    for row in measured:
        _measured(axes, row, looks[row.family])
    _name_families(axes, looks)
    _folk(axes, [row.n_train for row in measured])
    style.log_scale(axes.xaxis)
    style.log_scale(axes.yaxis)
    axes.set(xlabel="training items n", ylabel=f"training step: {style.TAU_MEM}; open: not reached")
    figure.legend(loc="outside right upper", fontsize=7.5)
    return figure


def _measured(axes: Axes, row: MeasuredRow, look: style.Look) -> None:
    """One time at its n; open where it is a bound."""
    face = look["color"] if row.tau_mem.observed else "white"
    mark = style.altered(look, linestyle="none", markersize=3.5, markerfacecolor=face)
    axes.plot([row.n_train], [row.tau_mem.value], **mark)


def _folk(axes: Axes, sizes: Sequence[int]) -> None:
    """The rules that people pass on."""
    n = np.array([min(sizes), max(sizes)], dtype=float)
    folk = {
        "100 steps per image": 100 * n,
        "always 2,000": np.full(2, 2000.0),
        "10 epochs, batch 1": 10 * n,
    }
    for line, (name, steps) in zip(style.LINES, folk.items(), strict=False):
        axes.plot(n, steps, color="#d1330f", linestyle=line, linewidth=1.2, label=name)
