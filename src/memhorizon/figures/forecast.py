"""A forecast: pilots, the law with the interval of one more run, and the answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.errors import InputError
from memhorizon.figures import marks, style
from memhorizon.figures.marks import TIMESCALES, TimescaleMark
from memhorizon.figures.picture import Row, interval_cells, points_of
from memhorizon.forecasting.answers import Forecast, ForecastTime, PilotTime, interval_text
from memhorizon.results import Curve, Time

BESIDE = 1.025  # factor by which runs of one size are drawn apart
ANSWER = 8.0  # size of the mark of the answer


@dataclass(frozen=True)
class ForecastPicture:
    """tau_gen and tau_mem against n: of the pilots, by the law, and of the run that is asked for."""

    forecast: Forecast

    def frame(self) -> list[Row]:
        """One row per pilot and timescale, per point of the law, and for the answer."""
        return [row for name in TIMESCALES for row in _rows(self.forecast, name)]

    @style.drawing()
    def plot(self) -> Figure:
        """One log-log panel."""
        if not any(_time(pilot, name).known for pilot in self.forecast.pilots for name in TIMESCALES):
            raise InputError("forecast: expected a pilot with a time, got none")
        figure = style.canvas(width=6.2, height=4.2)
        axes = figure.subplots()
        style.log_scale(axes.xaxis)
        style.log_scale(axes.yaxis)
        for name, mark in TIMESCALES.items():
            _draw_law(axes, _law(self.forecast, name), mark)
            _draw_pilots(axes, self.forecast.pilots, name, mark)
            _draw_answer(axes, self.forecast, name, mark)
        axes.set(xlabel="training items n", ylabel="training step")
        percent = f"{self.forecast.confidence:.0%}"
        axes.set_title(f"band and bar: where one more run lies, in {percent} of cases")
        style.named(axes, loc="upper left")
        return figure


def forecast(found: object) -> ForecastPicture:
    """The picture of a forecast.

    Raises:
        InputError: if it is none.
    """
    if not isinstance(found, Forecast):
        raise InputError(f"forecast: expected a Forecast, got {type(found).__name__}")
    return ForecastPicture(found)


def _law(found: Forecast, name: str) -> Curve | None:
    return found.tau_mem_by_n if name == "tau_mem" else found.tau_gen_by_n


def _answer(found: Forecast, name: str) -> ForecastTime:
    return found.tau_mem if name == "tau_mem" else found.tau_gen


def _time(pilot: PilotTime, name: str) -> Time:
    return pilot.tau_mem if name == "tau_mem" else pilot.tau_gen


def _rows(found: Forecast, name: str) -> list[Row]:
    pilots = [_pilot_row(pilot, name) for pilot in found.pilots]
    return [*pilots, *_law_rows(_law(found, name), name), _answer_row(found, name)]


def _pilot_row(pilot: PilotTime, name: str) -> Row:
    time = _time(pilot, name)
    return {"quantity": name, "n_train": pilot.n_train} | interval_cells(time) | {"status": time.status}


def _answer_row(found: Forecast, name: str) -> Row:
    answer = _answer(found, name)
    about: Row = {"quantity": f"forecast of {name}", "n_train": found.n_train}
    return about | interval_cells(answer.step) | {"status": answer.status}


def _law_rows(law: Curve | None, name: str) -> list[Row]:
    if law is None:
        return []
    return [
        {"quantity": f"law of {name}", "n_train": n, "value": value, "low": low, "high": high, "status": ""}
        for n, value, low, high in points_of(law)
    ]


def _draw_law(axes: Axes, law: Curve | None, mark: TimescaleMark) -> None:
    """The median along n, shaded where one more run lies."""
    if law is None:
        return
    style.band(axes, law.step, law.low, law.high, mark.color, alpha=0.14)
    axes.plot(law.step, law.value, color=mark.color, linewidth=1.1)


def _draw_pilots(axes: Axes, pilots: Sequence[PilotTime], name: str, mark: TimescaleMark) -> None:
    """Times with their intervals, runs of one size beside each other."""
    seen: dict[int, int] = {}
    for pilot in pilots:
        time = _time(pilot, name)
        if not time.known:
            continue
        before = seen.get(pilot.n_train, 0)
        seen[pilot.n_train] = before + 1
        marks.time_upright(axes, pilot.n_train * BESIDE**before, time, mark)


def _draw_answer(axes: Axes, found: Forecast, name: str, mark: TimescaleMark) -> None:
    """The answer with its interval, and what it is in words."""
    answer = _answer(found, name)
    if not answer.known:
        axes.plot([], [], color=mark.color, label=f"{mark.symbol}: {answer.status}")
        return
    steps = answer.step
    n = float(found.n_train)
    axes.plot([n, n], [steps.low, steps.high], color=mark.color, linewidth=2.4, solid_capstyle="butt")
    look = {"marker": mark.marker, "markersize": ANSWER, "markerfacecolor": mark.face}
    text = f"{mark.symbol}({found.n_train:,}) = {interval_text(steps)}"
    axes.plot([n], [steps.value], color=mark.color, linestyle="none", label=text, zorder=5, **look)
    axes.plot([n * np.sqrt(BESIDE)], [steps.high], alpha=0)
