"""Quality of samples and memorized fraction on one axis of steps: the stretch between good and copied."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memhorizon.figures import marks, style
from memhorizon.figures.groups import Group, groups
from memhorizon.figures.picture import Row, curve_rows
from memhorizon.figures.reading import quality_label, sweep_of, timescale
from memhorizon.figures.style import Look
from memhorizon.records.reading import known_curves, level_of, null_of
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import Curve, Status, Time

WIDTH = 4.4  # inches: a phone shows all of it
PANEL = 1.45  # inches of height for a setting
FLOOR = 0.4  # of the level: the axis of quality begins there, noise of perfect samples lies below
SHADE = "#f3e9c6"  # of the window
DOTTED = ":"  # the levels at which samples are good, and at which copies begin
ENDED = ">"  # where a run ended in its window


@dataclass(frozen=True)
class Window:
    """From when on samples are good to when they are copies, for one run.

    Attributes:
        begin: tau_gen.
        end: tau_mem.
    """

    begin: Time
    end: Time

    @property
    def is_open(self) -> bool:
        """Whether good samples come before copies: both are times, and the first is reached."""
        is_after = self.end.status in (Status.OBSERVED, Status.NOT_REACHED)
        return self.is_good and is_after and self.begin.value < self.end.value

    @property
    def is_good(self) -> bool:
        """Whether samples ever were good: at a time that is known, or from the first look on."""
        return self.begin.status in (Status.OBSERVED, Status.BEFORE_FIRST)


def window_of(run: RunRecord) -> Window:
    """The window of a run."""
    return Window(timescale(run, "tau_gen"), timescale(run, "tau_mem"))


@dataclass(frozen=True)
class WindowPicture:
    """Quality and memorized fraction of each setting on one axis, the window between them shaded."""

    record: SweepRecord

    def frame(self) -> list[Row]:
        """One row per point of a curve, intervals included."""
        return [row for group in groups(self.record) for run in group.runs for row in self._rows(group, run)]

    def _rows(self, group: Group, run: RunRecord) -> list[Row]:
        about: Row = {"label": group.label, "n_train": run.n_train, "seed": run.seed}
        names = [name for name in (self.record.rules.curve, "memorized") if name in run.curves]
        return [about | row for name in names for row in curve_rows(run.curves[name], name)]

    @style.drawing()
    def plot(self) -> Figure:
        """A panel for each setting: quality on the left, the memorized fraction on the right."""
        every = groups(self.record)
        looks = style.looks(group.series for group in every)
        figure = style.canvas(width=WIDTH, height=1.1 + PANEL * len(every))
        rows = figure.subplots(len(every), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        copies = [axes.twinx() for axes in rows]
        for group, left, right in zip(every, rows, copies, strict=True):
            self._panel(left, right, group, looks[group.series])
        self._axes(list(rows), copies)
        self._legend(figure)
        return figure

    def _panel(self, left: Axes, right: Axes, group: Group, look: Look) -> None:
        """Curves and windows of one setting."""
        left.set_title(style.label(group.label))
        for run in group.runs:
            _shade(left, window_of(run), len(group.runs), look)
        quality = [
            _above(curve, self._floor()) for curve in known_curves(group.runs, self.record.rules.curve)
        ]
        marks.curves(left, quality, look)
        dashed = Look(color=style.FRAME, linestyle=style.LINES[1], marker=look["marker"])
        marks.curves(right, known_curves(group.runs, "memorized"), dashed)
        level = level_of(self.record)
        if level is not None:
            left.axhline(level, color=style.DARK, linestyle=DOTTED, linewidth=1.0, zorder=0.6)
        nulls = [null_of(run) for run in group.runs]
        copied = max(nulls) + self.record.rules.memorized
        right.axhline(copied, color=style.FRAME, linestyle=DOTTED, linewidth=1.0)

    def _floor(self) -> float:
        """Where the axis of quality begins."""
        level = level_of(self.record)
        found = known_curves(self.record.runs, self.record.rules.curve)
        lowest = min((float(curve.value.min()) for curve in found), default=1.0)
        return max(lowest, 1e-12) if level is None else max(lowest, FLOOR * level)

    def _axes(self, rows: Sequence[Axes], copies: Sequence[Axes]) -> None:
        """Scales and labels."""
        style.log_scale(rows[-1].xaxis)
        style.log_scale(rows[0].yaxis)
        rows[0].set_ylim(bottom=0.8 * self._floor())
        rows[-1].set_xlabel("training step")
        rows[len(rows) // 2].set_ylabel(style.label(quality_label(self.record)))
        for axes in copies:
            axes.set_ylim(-0.02, 1.02)
            axes.spines.right.set_visible(True)
        copies[len(copies) // 2].set_ylabel("memorized fraction")

    def _legend(self, figure: Figure) -> None:
        """What lines, shades and marks mean, above the panels."""
        entries = {
            "quality (left)": Line2D([], [], color=style.DARK),
            "memorized fraction (right)": Line2D([], [], color=style.FRAME, linestyle=style.LINES[1]),
            f"from {style.TAU_GEN} to {style.TAU_MEM}": Line2D([], [], color=SHADE, linewidth=8),
            "good from here down": Line2D([], [], color=style.DARK, linestyle=DOTTED),
            "copied from here up": Line2D([], [], color=style.FRAME, linestyle=DOTTED),
        }
        if any(_is_cut_off(window_of(run)) for run in self.record.runs):
            ended = Line2D([], [], color=style.DARK, marker=ENDED, linestyle="none")
            entries[f"run ended before {style.TAU_MEM}"] = ended
        figure.legend(list(entries.values()), list(entries), loc="outside upper center", ncols=2)


def _is_cut_off(window: Window) -> bool:
    """Whether the run ended in its window."""
    return window.is_open and window.end.status is Status.NOT_REACHED


def _shade(axes: Axes, window: Window, runs: int, look: Look) -> None:
    """Shade from the time of good samples to that of copies; those of several runs lie over one another.

    Where a run ended before, an arrow says that its window goes on.
    """
    if not window.is_open:
        return
    end = window.end.value
    axes.axvspan(window.begin.value, end, color=SHADE, alpha=1 / runs**0.5, linewidth=0, zorder=0.1)
    if _is_cut_off(window):
        top = axes.get_xaxis_transform()  # of y: 0 at the bottom of the panel, 1 at its top
        axes.plot(end, 0.9, color=look["color"], transform=top, clip_on=False, marker=ENDED)


def _above(curve: Curve, floor: float) -> Curve:
    """The curve on a logarithmic axis: what lies below the floor is drawn there."""
    return Curve(
        curve.step,
        np.maximum(curve.value, floor),
        np.maximum(curve.low, floor),
        np.maximum(curve.high, floor),
        curve.name,
        confidence=curve.confidence,
    )


def window(record: object) -> WindowPicture:
    """Quality and memorized fraction of a sweep on one axis.

    Raises:
        InputError: if the record is no sweep.
    """
    return WindowPicture(sweep_of(record))
