"""Quality and memorized fraction against the training step, with tau_gen and tau_mem of every run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.errors import InputError
from memhorizon.figures import marks, style
from memhorizon.figures.groups import Group, groups, panels
from memhorizon.figures.picture import Row, curve_rows, interval_cells
from memhorizon.figures.reading import TIMESCALE_NAMES, quality_label, sweep_of, timescale
from memhorizon.figures.style import Look
from memhorizon.records.reading import known_curves, level_of, null_of
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Curve

LEVEL_LINE_WIDTH = 0.8
LONGEST = 24  # letters of a line along the height of a panel
BELOW_CURVES = 0.6  # zorder of levels


@dataclass(frozen=True)
class TimescalesPicture:
    """Quality and memorized fraction against the training step, with tau_gen and tau_mem."""

    record: SweepRecord

    def frame(self) -> list[Row]:
        """One row per point of a curve and one per time, all intervals included."""
        return [row for group in groups(self.record) for run in group.runs for row in self._rows(group, run)]

    def _rows(self, group: Group, run: RunRecord) -> list[Row]:
        about: Row = {"label": group.label, "n_train": run.n_train, "seed": run.seed}
        return [about | row for row in (*self._curve_rows(run), *_time_rows(run))]

    def _curve_rows(self, run: RunRecord) -> list[Row]:
        names = [name for name in self.curve_names if name in run.curves]
        return [row for name in names for row in curve_rows(run.curves[name], name)]

    @property
    def curve_names(self) -> tuple[str, str]:
        """The curves that tau_gen and tau_mem are read from."""
        return self.record.rules.curve, "memorized"

    @style.drawing()
    def plot(self) -> Figure:
        """Three panels on one axis of steps: quality, memorized fraction, and the times with intervals."""
        first, last = self._span()
        every = groups(self.record)
        columns = panels(every)
        looks = style.looks(group.series for group in every)
        lanes = _Lanes(list(looks), max(len(group.runs) for group in every), self.curve_names)
        figure, grid = _panels(len(columns), lanes.height)
        for (title, members), (top, middle, bottom) in zip(columns.items(), grid.T, strict=True):
            top.set_title(style.label(title))
            self._curves(top, middle, members, looks)
            lanes.draw(bottom, members)
        self._axes(grid, (first * 0.62, last * 1.6))
        marks.legend_of_groups(figure, every)
        _legend_of_times(grid[2, -1])
        return figure

    def _axes(self, grid: np.ndarray, span: tuple[float, float]) -> None:
        """The axes of the rows of panels, and the steps that all share."""
        self._quality_axis(list(grid[0]))
        self._copies_axis(list(grid[1]))
        style.log_scale(grid[2, 0].xaxis)
        grid[2, 0].set_xlim(*span)

    def _span(self) -> tuple[float, float]:
        """The first and the last step of the curves that are drawn."""
        found = [curve for name in self.curve_names for curve in known_curves(self.record.runs, name)]
        if not found:
            raise InputError("record: expected curves of quality or of the memorized fraction, got none")
        return _span(found)

    def _curves(self, top: Axes, middle: Axes, members: Sequence[Group], looks: dict[str, Look]) -> None:
        """The curves of the groups of one column."""
        quality, copies = self.curve_names
        for group in members:
            look = looks[group.series]
            marks.curves(top, known_curves(group.runs, quality), look)
            marks.curves(middle, known_curves(group.runs, copies), look)

    def _quality_axis(self, row: Sequence[Axes]) -> None:
        """The panels of quality, with the level at which tau_gen is read."""
        found = known_curves(self.record.runs, self.record.rules.curve)
        level = level_of(self.record)
        if level is not None:
            for axes in row:
                _level(axes, level)
            _note(row[-1], level, f"level of {style.TAU_GEN}")
        row[0].set_ylabel(fill(style.label(quality_label(self.record)), LONGEST))
        style.value_axis(row[0], [value for curve in found for value in curve.value.tolist()])
        if not found:
            style.without(row[0], "not measured")

    def _copies_axis(self, row: Sequence[Axes]) -> None:
        """The panels of copies, with the null and the level at which tau_mem is read, below the curves."""
        nulls = [null_of(run) for run in self.record.runs if "memorized" in run.curves]
        if nulls:
            self._copies_levels(row, nulls)
        else:
            style.without(row[0], "not measured")
        row[0].set(ylabel="memorized fraction", ylim=(-0.02, None))  # after what decides the upper end

    def _copies_levels(self, row: Sequence[Axes], nulls: Sequence[float]) -> None:
        height = self.record.rules.memorized
        band = {"color": style.GREY, "linewidth": 4, "alpha": 0.3, "zorder": BELOW_CURVES - 0.1}
        for axes in row:
            axes.axhspan(min(nulls), max(nulls), **band)
            for null in set(nulls):
                _level(axes, null + height)
        _note(row[-1], max(nulls) + height, f"level of {style.TAU_MEM}")
        _note(row[-1], max(nulls), "null: held-out items")


def _time_rows(run: RunRecord) -> Iterator[Row]:
    for name in TIMESCALE_NAMES:
        time = timescale(run, name)
        yield {"quantity": name, "status": time.status} | interval_cells(time)


def _panels(columns: int, lanes: float) -> tuple[Figure, np.ndarray]:
    """An empty figure with three rows of panels, the lowest of a height in inches."""
    figure = style.canvas(width=max(style.WIDTH, 1.2 + 2.1 * columns), height=3.9 + lanes)
    grid = figure.subplots(
        3, columns, sharex=True, sharey="row", squeeze=False, height_ratios=[2.1, 2.1, lanes]
    )
    for axes in grid[2]:
        axes.set_xlabel("training step")
    return figure, grid


def _level(axes: Axes, height: float) -> None:
    """A line below every curve."""
    axes.axhline(height, color=style.GREY, linewidth=LEVEL_LINE_WIDTH, zorder=BELOW_CURVES)


def _note(axes: Axes, at: float, text: str) -> None:
    """Name a level, to the right of the panel."""
    axes.annotate(
        text,
        (1, at),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color="#555555",
    )


@dataclass(frozen=True)
class _Lanes:
    """The times of all runs with intervals: a lane per series, a line per seed, tau_gen above tau_mem.

    Attributes:
        names: of the series.
        seeds: the most of one setting.
        curve_names: curves whose steps were looked at.
    """

    names: list[str]
    seeds: int
    curve_names: tuple[str, str]

    @property
    def height(self) -> float:
        """In inches."""
        return 0.3 + len(self.names) * max(0.28, 0.15 * self.seeds)

    def draw(self, axes: Axes, members: Sequence[Group]) -> None:
        """Draw the lanes of the groups of one column."""
        for group in members:
            lane = self.names.index(group.series)
            for place, run in enumerate(group.runs):
                self._run(axes, lane + 0.64 * ((place + 0.5) / self.seeds - 0.5), run)
        axes.set_ylim((len(self.names) - 0.5, -0.5))
        style.categories(axes.yaxis, [style.label(name) for name in self.names])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#e4e4e4", linewidth=0.6)
        axes.set_axisbelow(True)

    def _run(self, axes: Axes, at: float, run: RunRecord) -> None:
        """Both times of one run."""
        found = [run.curves[name] for name in self.curve_names if name in run.curves]
        if not found:
            return
        looked = _span(found)
        shift = 0.13 / self.seeds
        marks.time_across(axes, at - shift, run.timescales.tau_gen, looked, marks.TIMESCALES["tau_gen"])
        marks.time_across(axes, at + shift, run.timescales.tau_mem, looked, marks.TIMESCALES["tau_mem"])


def _span(found: Sequence[Curve]) -> tuple[float, float]:
    """The first and the last step of some curves."""
    steps = np.concatenate([curve.step for curve in found])
    return float(steps.min()), float(steps.max())


def _legend_of_times(axes: Axes) -> None:
    every = list(marks.TIMESCALES.values())
    axes.legend(
        [mark.handle() for mark in every],
        [mark.symbol for mark in every],
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        handlelength=1.8,
    )


def timescales(record: object) -> TimescalesPicture:
    """Quality and memorized fraction against the step, with both times.

    Raises:
        InputError: if the record is no sweep.
    """
    return TimescalesPicture(sweep_of(record))
