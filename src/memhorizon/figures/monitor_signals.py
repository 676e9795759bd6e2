"""Signals of a monitored training along its steps, and the evidence for copies."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.errors import InputError
from memhorizon.figures import style
from memhorizon.figures.monitor import HOLDOUT, column, looked_at, span_of, steps_of
from memhorizon.figures.picture import Row
from memhorizon.records.monitor import Look, MonitorRecord


@dataclass(frozen=True)
class Signal:
    """One of the cheap signals.

    Attributes:
        name: of the panel.
        label: of its vertical axis.
        value: of a look.
        error: its standard error, or NaN.
    """

    name: str
    label: str
    value: Callable[[Look], float]
    error: Callable[[Look], float]


def _unknown(_: Look) -> float:
    return math.nan


SIGNALS = (
    Signal("gap", "gap, % of held-out loss", lambda k: 100 * k.gap, lambda k: 100 * k.gap_error),
    Signal("rise", "rise of held-out loss, %", lambda k: 100 * k.rise, lambda k: 100 * k.rise_error),
    Signal("stable rank", "stable rank of weights", lambda k: k.stable_rank, _unknown),
    Signal("Fréchet", "Fréchet distance", lambda k: k.frechet, _unknown),
)


@dataclass(frozen=True)
class Signals:
    """Gap between held-out and training loss by noise level, and the other signals along the steps."""

    record: MonitorRecord

    def shown(self) -> list[Signal]:
        """Those that were measured at some look."""
        return [one for one in SIGNALS if np.isfinite(column(self.record.looks, one.value)).any()]

    def quantiles(self) -> list[float]:
        """The noise quantiles at which gaps are known."""
        levels = [level for look in self.record.looks for level in look.losses]
        return sorted({level.quantile for level in levels if math.isfinite(level.gap)})

    def frame(self) -> list[Row]:
        """One row per look and signal, or noise quantile: the value and its standard error."""
        return [*self._signal_rows(), *self._level_rows()]

    def _signal_rows(self) -> list[Row]:
        return [
            {"step": look.step, "signal": one.name, "value": one.value(look), "error": one.error(look)}
            for one in self.shown()
            for look in self.record.looks
        ]

    def _level_rows(self) -> list[Row]:
        return [
            {"step": look.step, "signal": _of_level(at.quantile), "value": at.gap, "error": at.gap_error}
            for look in self.record.looks
            for at in look.losses
        ]

    @style.drawing()
    def plot(self) -> Figure:
        """Panels in two columns: gaps by noise level first, where held-out items are known."""
        panels: list[Callable[[Axes], None]] = [self._draw_levels] if self.quantiles() else []
        panels += [partial(_draw_signal, self.record.looks, one) for one in self.shown()]
        if not panels:
            raise InputError("record: expected a signal that was measured, got none")
        rows = math.ceil(len(panels) / 2)
        figure = style.canvas(style.WIDTH, 2.1 * rows + 0.3)
        grid = figure.subplots(rows, 2, sharex=True, squeeze=False).ravel()
        for axes, draw in zip(grid, panels, strict=False):
            draw(axes)
            style.log_scale(axes.xaxis)
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("training step")
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        grid[0].set_xlim(*span_of(steps_of(self.record.looks)))
        return figure

    def _draw_levels(self, axes: Axes) -> None:
        quantiles = self.quantiles()
        for quantile, colour in zip(quantiles, style.colours(len(quantiles)), strict=True):
            points = [
                (max(look.step, 1), level.gap)
                for look in self.record.looks
                for level in look.losses
                if level.quantile == quantile and math.isfinite(level.gap)
            ]
            axes.plot(*zip(*points, strict=True), color=colour, label=f"{quantile:g}", linewidth=1.1)
        axes.axhline(0, color=style.GREY, linewidth=0.8)
        axes.set_ylabel("held-out − training loss")
        axes.legend(title="noise quantile", ncols=2, fontsize=7, title_fontsize=7.5, handlelength=1.2)


def _draw_signal(looks: Sequence[Look], one: Signal, axes: Axes) -> None:
    value = column(looks, one.value)
    error = column(looks, one.error)
    _draw_values(axes, steps_of(looks), value, error)
    axes.set_ylabel(one.label)


def _draw_values(axes: Axes, steps: np.ndarray, value: np.ndarray, error: np.ndarray) -> None:
    known = np.isfinite(value)
    axes.plot(steps[known], value[known], "o-", color=HOLDOUT)
    _draw_errors(axes, steps, value, error)


def _draw_errors(axes: Axes, steps: np.ndarray, value: np.ndarray, error: np.ndarray) -> None:
    # two standard errors to either side
    style.band(axes, steps, value - 2 * error, value + 2 * error, HOLDOUT)
    if np.isfinite(error).any():
        axes.axhline(0, color=style.GREY, linewidth=0.8)


def _of_level(quantile: float) -> str:
    return f"gap at quantile {quantile:g}"


def signals(record: object) -> Signals:
    """The signals of a monitored training along its steps.

    Raises:
        InputError: if it is no record of a monitored training, has no looks, or measured no signal.
    """
    found = Signals(looked_at(record))
    if not found.shown() and not found.quantiles():
        raise InputError("record: expected a signal that was measured, got none")
    return found


@dataclass(frozen=True)
class Evidence:
    """The e-process against "the share of copies has not exceeded the target", with its limit."""

    record: MonitorRecord

    @property
    def limit(self) -> float:
        """Powers of ten of evidence at which the training should stop: log10(1/alpha)."""
        return -math.log10(1 - self.record.confidence)

    def frame(self) -> list[Row]:
        """One row per look with samples: powers of ten of evidence, and the limit."""
        return [
            {"step": look.step, "log10_e": look.log_e / math.log(10), "limit": self.limit}
            for look in self.record.looks
            if look.copies is not None
        ]

    @style.drawing()
    def plot(self) -> Figure:
        """A staircase of evidence below its limit."""
        figure = style.canvas(style.WIDTH, 2.4)
        axes = figure.subplots()
        drawn = [look for look in self.record.looks if look.copies is not None]
        # log10 E = log E / log 10
        values = column(drawn, lambda look: look.log_e) / math.log(10)
        axes.step(steps_of(drawn), values, where="post", color=HOLDOUT, marker="o")
        alpha = 1 - self.record.confidence
        axes.axhline(self.limit, color=style.FRAME, linestyle=":", label=f"stop: 1/{alpha:.3g}")
        style.log_scale(axes.xaxis)
        axes.set_xlim(*span_of(steps_of(self.record.looks)))
        axes.set(xlabel="training step", ylabel="evidence, powers of ten")
        style.named(axes, loc="best")
        return figure


def evidence(record: object) -> Evidence:
    """The evidence for too many copies along the steps.

    Raises:
        InputError: if it is no record of a monitored training, or no samples were drawn.
    """
    found = Evidence(looked_at(record))
    if not found.frame():
        raise InputError("record: expected looks with samples, got none")
    return found
