"""Training and held-out loss at every noise level, and the gap between them."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memhorizon.errors import InputError
from memhorizon.figures import marks, style
from memhorizon.figures.groups import Group, groups, panels
from memhorizon.figures.picture import Row, curve_rows
from memhorizon.figures.reading import sweep_of
from memhorizon.figures.style import Look
from memhorizon.records.reading import known_curves
from memhorizon.records.sweep import RunRecord, SweepRecord

QUANTITIES = ("train", "holdout", "gap")
HOLDOUT_LINE = "-"
TRAIN_LINE = (0, (2, 1.2))


@dataclass(frozen=True)
class Column:
    """One column of the figure.

    Attributes:
        title: above it.
        t: the diffusion time, as the names of the curves have it.
        groups: the runs.
    """

    title: str
    t: str
    groups: list[Group]


@dataclass(frozen=True)
class Losses:
    """Training and held-out loss and their gap against the step, one column per diffusion time t."""

    record: SweepRecord

    def levels(self) -> list[str]:
        """The diffusion times at which losses were measured, as the names of the curves have them."""
        names = {name for run in self.record.runs for name in run.curves}
        return sorted({name.split("@")[1] for name in names if name.startswith("train@")}, key=float)

    def frame(self) -> list[Row]:
        """One row per point: training loss, held-out loss, gap."""
        levels = self.levels()
        rows: list[Row] = []
        for group in groups(self.record):
            for run in group.runs:
                for t in levels:
                    rows += _rows(group, run, t)
        return rows

    def columns(self) -> list[Column]:
        """All diffusion times, one in each; where groups fill several panels, one time for all of these."""
        levels = self.levels()
        found = panels(groups(self.record))
        if len(found) == 1:
            return [Column(f"t = {t}", t, members) for t in levels for members in found.values()]
        chosen = f"{self.record.rules.t or 0:g}"
        t = chosen if chosen in levels else levels[0]
        return [Column(title, t, members) for title, members in found.items()]

    @style.drawing()
    def plot(self) -> Figure:
        """Losses above, gaps below."""
        columns = self.columns()
        every = groups(self.record)
        looks = style.looks(group.series for group in every)
        figure = style.canvas(width=max(4.0, 0.8 + 1.75 * len(columns)), height=4.6)
        grid = figure.subplots(2, len(columns), sharex=True, squeeze=False, height_ratios=[1.6, 1])
        for column, (upper, lower) in zip(columns, grid.T, strict=True):
            _draw_column(upper, lower, column, looks)
            upper.set_title(style.label(column.title))
            style.value_axis(upper, self._values(column.t))
        style.log_scale(grid[0, 0].xaxis)
        grid[0, 0].set_ylabel(_loss_label(columns))
        grid[1, 0].set_ylabel("held-out − training")
        marks.legend_of_groups(figure, every)
        _legend_of_lines(grid[0, -1])
        return figure

    def _values(self, t: str) -> list[float]:
        """All losses at a diffusion time."""
        found = [curve for name in ("train", "holdout") for curve in self._found(f"{name}@{t}")]
        return [value for curve in found for value in curve.value.tolist()]

    def _found(self, name: str):
        return known_curves(self.record.runs, name)


def _rows(group: Group, run: RunRecord, t: str) -> list[Row]:
    """The points of one run at one diffusion time."""
    about: Row = {"label": group.label, "n_train": run.n_train, "seed": run.seed}
    rows: list[Row] = []
    for quantity in QUANTITIES:
        curve = run.curves.get(f"{quantity}@{t}")
        if curve is not None:
            rows += [about | row | {"t": float(t)} for row in curve_rows(curve, quantity)]
    return rows


def _draw_column(upper: Axes, lower: Axes, column: Column, looks: dict[str, Look]) -> None:
    """Losses of the groups of a column in the upper panel, gaps in the lower one."""
    for group in column.groups:
        solid = style.altered(looks[group.series], linestyle=HOLDOUT_LINE)
        dashed = style.altered(looks[group.series], linestyle=TRAIN_LINE, markerfacecolor="white")
        marks.curves(upper, known_curves(group.runs, f"holdout@{column.t}"), solid)
        marks.curves(upper, known_curves(group.runs, f"train@{column.t}"), dashed)
        marks.curves(lower, known_curves(group.runs, f"gap@{column.t}"), solid)
    lower.axhline(0, color=style.GREY, linewidth=0.8)
    lower.set_xlabel("training step")


def _loss_label(columns: Sequence[Column]) -> str:
    """The name of the vertical axis, with the diffusion time where all columns share one."""
    times = {column.t for column in columns}
    shared = len(columns) > 1 and len(times) == 1
    return f"loss (t = {columns[0].t})" if shared else "loss"


def _legend_of_lines(axes: Axes) -> None:
    handles = [Line2D([], [], color=style.DARK, linestyle=line) for line in (HOLDOUT_LINE, TRAIN_LINE)]
    axes.legend(handles, ["held-out", "training"], loc="best", handlelength=2.2)


def losses(record: object) -> Losses:
    """Training and held-out loss at every noise level against the step.

    Raises:
        InputError: if the record is no sweep, or no losses were measured.
    """
    figure = Losses(sweep_of(record))
    if not figure.levels():
        raise InputError("record: expected curves named 'train@t', got none")
    return figure
