"""What one hyperparameter does to both timescales: their ratio to those at its smallest value."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.errors import InputError
from memhorizon.figures import marks, style
from memhorizon.figures.labels import label_of
from memhorizon.figures.marks import TIMESCALES
from memhorizon.figures.picture import Row, interval_cells
from memhorizon.figures.reading import sweep_of
from memhorizon.records.sweep import Contrast, SweepRecord
from memhorizon.results import Estimate, Status

BESIDE = {"tau_gen": -0.1, "tau_mem": 0.1}  # from the place of the value
NOTHING: Row = {"value": None, "low": None, "high": None}


@dataclass(frozen=True)
class Contrasts:
    """Ratios of times, by value of the hyperparameter."""

    record: SweepRecord

    def frame(self) -> list[Row]:
        """One row per timescale and value; a bound, or no numbers, where no ratio could be fitted."""
        return [_row(contrast) for contrast in self.record.contrasts]

    @style.drawing()
    def plot(self) -> Figure:
        """One panel: points with 95 % intervals, and bounds, beside the line of no effect."""
        values = list(dict.fromkeys(contrast.value for contrast in self.record.contrasts))
        figure = style.canvas(width=4.4, height=3.2)
        axes = figure.subplots()
        axes.axhline(1, color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
        for contrast in self.record.contrasts:
            _draw(axes, values.index(contrast.value) + BESIDE[contrast.timescale], contrast)
        self._axes(axes, values)
        handles = [mark.handle("none") for mark in TIMESCALES.values()]
        names = [mark.symbol for mark in TIMESCALES.values()]
        figure.legend(handles, names, loc="outside upper center", ncols=2)
        return figure

    def _axes(self, axes: Axes, values: Sequence[float]) -> None:
        """The values along the horizontal axis, ratios from 1/2 to 2 or further along the vertical one."""
        first = self.record.contrasts[0]
        _ratio_axis(axes)
        _value_axis(axes, values)
        axes.set(xlabel=label_of(first.factor), ylabel=f"time / that at {first.reference:g}")


def _ratio_axis(axes: Axes) -> None:
    style.log_scale(axes.yaxis)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.5), max(high, 2.0))


def _value_axis(axes: Axes, values: Sequence[float]) -> None:
    style.categories(axes.xaxis, [f"{value:g}" for value in values])
    axes.set_xlim(-0.5, len(values) - 0.5)


def _row(contrast: Contrast) -> Row:
    about: Row = {
        "factor": contrast.factor,
        "reference": contrast.reference,
        "hyperparameter": contrast.value,
        "timescale": contrast.timescale,
        "observed": contrast.observed,
        "censored": contrast.censored,
        "status": contrast.status,
        "note": contrast.note,
    }
    if contrast.at_least is not None:
        about["at_least"] = contrast.at_least
    return about | (NOTHING if contrast.ratio is None else interval_cells(contrast.ratio))


def _draw(axes: Axes, x: float, contrast: Contrast) -> None:
    """The ratio, or the bound where there is one."""
    mark = TIMESCALES[contrast.timescale]
    look = style.Look(color=mark.color, linestyle="none", marker=mark.marker)
    if contrast.at_least is not None:
        bound = Estimate(contrast.at_least, contrast.at_least, math.inf)
        marks.ratio(axes, x, bound, Status.AT_LEAST, look)
    elif contrast.ratio is not None:
        marks.ratio(axes, x, contrast.ratio, Status.OBSERVED, look, markerfacecolor=mark.face)


def contrasts(record: object) -> Contrasts:
    """Both timescales at each value of a hyperparameter over those at its smallest, with 95 % intervals.

    Raises:
        InputError: if the record is no sweep, or no single such hyperparameter was varied in it.
    """
    sweep = sweep_of(record)
    if not sweep.contrasts:
        raise InputError("record: expected a sweep over one of momentum, weight_decay, ema or dropout alone")
    return Contrasts(sweep)
