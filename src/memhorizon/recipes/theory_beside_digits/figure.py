"""The timescales of the U-Nets on digits beside the theory's, up to one unit of time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import LineStyleType

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import TablePicture, distinct, legend_above, mark, sizes_axis
from memhorizon.recipes.tables import grouped, of_kind, rows_of
from memhorizon.recipes.theory_beside_digits.numbers import (
    EVENTS,
    ROWS,
    UNIT,
    ComparisonRow,
    Event,
    ModelRow,
    RatioRow,
    Row,
    RunRow,
)
from memhorizon.records.table import TableRecord


@dataclass(frozen=True)
class Series:
    """An event of the theory and its timescale of the runs.

    Attributes:
        name: of the timescale.
        look: of both.
    """

    name: str
    look: Look


SERIES: Mapping[Event, Series] = {
    "half_gap": Series(style.TAU_MEM, Look(color="#440154", linestyle="none", marker="o")),
    "argmin": Series("argmin of the held-out loss", Look(color="#31688e", linestyle="none", marker="^")),
    "tau_gen": Series(style.TAU_GEN, Look(color="#5a9e4b", linestyle="none", marker="s")),
}
RATIO = Look(color="#222222", linestyle="none", marker="D")
THEORY = Look(color="#222222", linestyle="none", marker="o")
SEED_SHIFT = 1.06  # factor in n between the runs of two seeds
Lines = Mapping[float, LineStyleType]


def times(record: TableRecord) -> TablePicture[Row]:
    """Times of the runs over the curves of the theory against n, and the ratio of the two timescales.

    Raises:
        InputError: if it is not the record of the recipe theory_beside_digits.
    """
    return TablePicture(rows_of(record, "beside_digits", ROWS), draw)


def draw(rows: Sequence[Row]) -> Figure:
    """A column per noise level: times above, ratios below."""
    levels = distinct(row.t for row in rows)
    features = sorted(distinct(row.psi_p for row in of_kind(rows, ModelRow)))
    lines = dict(zip(features, style.LINES, strict=False))
    figure = style.canvas(height=5.4)
    grid = figure.subplots(2, len(levels), sharex=True, sharey="row", squeeze=False)
    for (upper, lower), t in zip(grid.T, levels, strict=True):
        upper.set_title(f"t = {t:g}")
        same = [row for row in rows if row.t == t]
        draw_times(upper, same, lines)
        draw_ratios(lower, same, lines)
    name_axes(grid[0, 0], grid[1, 0])
    name_series(figure, lines)
    return figure


def name_axes(times: Axes, ratios: Axes) -> None:
    """Words and numbers of the vertical axes."""
    style.log_scale(times.yaxis)
    style.log_scale(ratios.yaxis)
    times.set_ylabel(f"training step (theory: one unit\nof time, fitted to {style.TAU_MEM})")
    ratios.set_ylabel(f"{style.TAU_MEM} / {style.TAU_GEN}")


def name_series(figure: Figure, lines: Lines) -> None:
    """The legend: a marker per timescale, a line per number of features."""
    looks = {series.name: series.look for series in SERIES.values()}
    for psi_p, line in lines.items():
        looks[rf"theory, $\psi_p$ = {style.plain_number(psi_p)}"] = open_marker(THEORY, line)
    title = "filled: runs, with 95 % intervals; open: theory"
    legend_above(figure, looks, title=title)


def open_marker(look: Look, line: LineStyleType) -> Look:
    """How the theory is drawn: a line with open markers, which tell the lines apart in grey."""
    return style.altered(look, linestyle=line, linewidth=1.1, markerfacecolor="white", markersize=3.5)


def draw_times(axes: Axes, rows: Sequence[Row], lines: Lines) -> None:
    """Runs of one n beside each other, and the theory in the unit in which its half gap fits tau_mem."""
    axes.set_yscale("log")
    units = [row for row in of_kind(rows, ComparisonRow) if row.event == UNIT]
    models = grouped(of_kind(rows, ModelRow), lambda row: row.psi_p)
    for event, series in SERIES.items():
        for run in of_kind(rows, RunRow):
            place = run.n_train * SEED_SHIFT ** (run.seed - 1)
            mark(axes, place, run.time(EVENTS[event]), series.look, markersize=3.5)
        for unit in units:
            look = open_marker(series.look, lines[unit.psi_p])
            draw_theory(axes, models[unit.psi_p], event, unit.steps_per_tau, look)


def draw_theory(axes: Axes, rows: Sequence[ModelRow], event: Event, steps_per_tau: float, look: Look) -> None:
    """An event of the theory against n, in steps."""
    steps = [steps_per_tau * row.time(event) for row in rows]
    axes.plot([row.n_train for row in rows], steps, **look)


def draw_ratios(axes: Axes, rows: Sequence[Row], lines: Lines) -> None:
    """The ratio of the runs with its interval, and of the theory."""
    ratios = grouped(of_kind(rows, RatioRow), lambda row: row.psi_p)
    axes.set_yscale("log")
    for psi_p, same in ratios.items():
        line = lines[psi_p]
        axes.plot(
            [row.n_train for row in same], [row.ratio for row in same], color=RATIO["color"], linestyle=line
        )
        for row in same:
            mark(axes, row.n_train, row.ratio_measured, RATIO)
    sizes = sorted(distinct(row.n_train for row in of_kind(rows, RatioRow)))
    sizes_axis(axes, sizes, "training items n")
