"""The times against what was varied: power laws with their intervals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from memhorizon.errors import InputError
from memhorizon.experiments.hyperparameters import POWERS
from memhorizon.figures import marks, style
from memhorizon.figures.labels import axis_label, letter_of
from memhorizon.figures.marks import TIMESCALES, TimescaleMark
from memhorizon.figures.picture import Row, interval_cells
from memhorizon.figures.reading import TIMESCALE_NAMES, number, sweep_of, timescale, varied
from memhorizon.records.reading import law_of
from memhorizon.records.sweep import RunRecord, SweepRecord
from memhorizon.results import ScalingLaw, Time

MARGIN = 1.35  # free room beside the smallest and the largest value of a factor
BESIDE = 1.025  # factor by which runs of one setting are drawn apart


@dataclass(frozen=True)
class Laws:
    """tau_gen and tau_mem against what was varied, with the fitted power laws."""

    record: SweepRecord

    def frame(self) -> list[Row]:
        """One row per run and timescale; per timescale and factor the exponent ("exponent of ...")."""
        times = [self._time_row(run, name) for run in self.record.runs for name in TIMESCALE_NAMES]
        exponents = [row for name in TIMESCALE_NAMES for row in self._exponent_rows(name)]
        return times + exponents

    @staticmethod
    def _time_row(run: RunRecord, name: str) -> Row:
        time = timescale(run, name)
        factors: Row = {factor: number(run, factor) for factor in POWERS}
        about: Row = {"n_train": run.n_train, "seed": run.seed, **factors, "quantity": name}
        return about | interval_cells(time) | {"status": time.status}

    def _exponent_rows(self, name: str) -> list[Row]:
        law = law_of(self.record, name)
        if law is None:
            return []
        about: Row = {"quantity": f"exponent of {name}", "status": law.status}
        return [about | {"factor": factor} | interval_cells(e) for factor, e in law.exponents.items()]

    @style.drawing()
    def plot(self) -> Figure:
        """One log-log panel per factor that was varied."""
        _check_any_time(self.record)
        factors = varied(self.record) or ["n_train"]
        figure = style.canvas(width=1.1 + 3.3 * len(factors), height=3.9)
        grid = figure.subplots(1, len(factors), sharey=True, squeeze=False)[0]
        style.log_scale(grid[0].yaxis)
        for axes, factor in zip(grid, factors, strict=True):
            panel = _Panel(axes, factor, tuple(other for other in factors if other != factor))
            panel.draw(self.record)
        grid[0].set_ylabel("training step")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", handlelength=2.4)
        return figure


def _check_any_time(record: SweepRecord) -> None:
    if not any(timescale(run, name).known for run in record.runs for name in TIMESCALE_NAMES):
        raise InputError("record: expected times of at least one run, got none: none was measured")


@dataclass(frozen=True)
class _Panel:
    """Times against one factor.

    Attributes:
        axes: where.
        factor: on the horizontal axis.
        others: factors that were varied beside it; a line is drawn for each of their combinations.
    """

    axes: Axes
    factor: str
    others: tuple[str, ...]

    def draw(self, record: SweepRecord) -> None:
        """Draw times, laws and the line of slope 1."""
        runs = [run for run in record.runs if number(run, self.factor) is not None]
        places = sorted({self.place(run) for run in runs})
        self._scale(places)
        for name, mark in TIMESCALES.items():
            known = [run for run in runs if timescale(run, name).known]
            self._times([(run, timescale(run, name)) for run in known], mark)
            self._law(law_of(record, name), known, places, mark)
        if self.factor == "n_train" and len(places) > 1:
            self._slope_of_one(runs, places)

    def _scale(self, places: Sequence[float]) -> None:
        """The horizontal axis: its name, and the values that the factor takes."""
        limits = (places[0] / MARGIN, places[-1] * MARGIN)
        self.axes.set(xscale="log", xlabel=axis_label(self.factor), xlim=limits)
        self.axes.set_xticks(places, [style.plain_number(place) for place in places])
        self.axes.xaxis.set_minor_locator(NullLocator())

    def place(self, run: RunRecord) -> float:
        """The value of the factor in a run that has one."""
        return float(number(run, self.factor) or 0)

    def _times(self, found: Iterable[tuple[RunRecord, Time]], mark: TimescaleMark) -> None:
        """Times with intervals; runs of one setting lie beside each other, tau_gen left of tau_mem."""
        side = 1.0 if mark.filled else -1.0
        seen: dict[tuple[float | None, ...], int] = {}
        for run, time in found:
            setting = tuple(number(run, name) for name in POWERS)
            before = seen.get(setting, 0)
            seen[setting] = before + 1
            shift = BESIDE ** (side * (0.6 + before))
            marks.time_upright(self.axes, self.place(run) * shift, time, mark)

    def _law(
        self, law: ScalingLaw | None, runs: Sequence[RunRecord], places: Sequence[float], mark: TimescaleMark
    ) -> None:
        """The fitted lines of a timescale and its entry in the legend."""
        text = (
            f"{mark.symbol} (no law fitted)" if law is None else f"{mark.symbol} $\\propto$ {_formula(law)}"
        )
        handle = mark.handle("none" if law is None else "-")
        handle.set_label(text)
        self.axes.add_line(handle)
        if law is None:
            return
        grid = np.geomspace(places[0], places[-1], 40)
        for fixed in self._combinations(runs):
            self._line(law, fixed, grid, mark)

    def _combinations(self, runs: Sequence[RunRecord]) -> list[dict[str, float]]:
        """The values that the other factors take together."""
        rows = [tuple(number(run, name) for name in self.others) for run in runs]
        known = {tuple(value for value in row if value is not None) for row in rows if None not in row}
        return [dict(zip(self.others, values, strict=True)) for values in sorted(known)]

    def _line(
        self, law: ScalingLaw, fixed: Mapping[str, float], grid: np.ndarray, mark: TimescaleMark
    ) -> None:
        """The fitted line with the interval of the line, named by what is fixed along it."""
        line = [law.predict(**{self.factor: float(value)}, **fixed) for value in grid]
        low = np.array([estimate.low for estimate in line])
        high = np.array([estimate.high for estimate in line])
        style.band(self.axes, grid, low, high, mark.color, alpha=0.13)
        self.axes.plot(grid, [estimate.value for estimate in line], color=mark.color, linewidth=1.1)
        if mark.filled:
            for name, value in fixed.items():
                self._name_line(f"{letter_of(name)} = {value:g}", (grid[-1], line[-1].value), mark)

    def _name_line(self, text: str, end: tuple[float, float], mark: TimescaleMark) -> None:
        self.axes.annotate(
            text,
            end,
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=mark.color,
        )

    def _slope_of_one(self, runs: Sequence[RunRecord], places: Sequence[float]) -> None:
        """A dashed line of slope 1 through the observed tau_mem, to compare with."""
        observed = [run for run in runs if run.timescales.tau_mem.observed]
        if not observed:
            return
        # log tau = log n + offset, with the offset the mean over the runs
        offset = np.mean([np.log(run.timescales.tau_mem.value / run.n_train) for run in observed])
        ends = np.array([places[0], places[-1]])
        self.axes.plot(
            ends,
            np.exp(offset) * ends,
            color=style.GREY,
            linestyle=(0, (4, 3)),
            linewidth=1,
            label="slope 1",
        )


def _formula(law: ScalingLaw) -> str:
    """The law in words: n^1.02 [0.9, 1.1]."""
    parts = []
    for name, e in law.exponents.items():
        interval = f"[{style.signed(e.low)}, {style.signed(e.high)}]"
        parts.append(f"{letter_of(name)}$^{{{style.signed(e.value)}}}$ {interval}")
    return " ".join(parts)


def laws(record: object) -> Laws:
    """Both times against what was varied on logarithmic axes, with the fitted laws.

    Raises:
        InputError: if the record is no sweep.
    """
    return Laws(sweep_of(record))
