"""When overfitting is seen, against the noise level: two events, each with the timescale that tells it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import TablePicture, distinct, legend_above
from memhorizon.recipes.tables import grouped, rows_of
from memhorizon.recipes.theory.drawing import TAU, model_text
from memhorizon.recipes.theory_timescales.numbers import ROWS, Row
from memhorizon.records.table import TableRecord

SHOWN = (2.0, 8.0, 32.0)  # values of psi_n


@dataclass(frozen=True)
class Event:
    """An event beside the timescale that tells it.

    Attributes:
        title: the event and the timescale in words.
        time: when it happens in a model.
        timescale: what tells it.
    """

    title: str
    time: Callable[[Row], float]
    timescale: Callable[[Row], float]


EVENTS = (
    Event(
        "score error passes 1 (markers);\ntimescale: lower edge of the first bulk (lines)",
        lambda row: row.level_1_time,
        lambda row: row.tau_first,
    ),
    Event(
        "half of the gap (markers);\ntimescale: center of the third group (lines)",
        lambda row: row.half_time,
        lambda row: row.tau_third,
    ),
)


def times(record: TableRecord) -> TablePicture[Row]:
    """Events and timescales against the noise variance, at the largest psi_p.

    Raises:
        InputError: if it is not the record of the recipe theory_timescales.
    """
    return TablePicture(rows_of(record, "timescales", ROWS), draw)


def draw(rows: Sequence[Row]) -> Figure:
    """A panel per event."""
    series = grouped(shown_of(rows), lambda row: model_text(psi_n=row.psi_n))
    looks = style.looks(series)
    figure = style.canvas(height=3.5)
    grid = figure.subplots(1, len(EVENTS), sharey=True)
    for axes, event in zip(grid, EVENTS, strict=True):
        axes.set(title=event.title, xlabel=r"$\Delta_t$", xscale="log", yscale="log")
        for name, same in series.items():
            draw_series(axes, same, event, looks[name])
    grid[0].set_ylabel(TAU)
    legend_above(figure, {name: style.altered(look, linestyle="-") for name, look in looks.items()})
    return figure


def shown_of(rows: Sequence[Row]) -> list[Row]:
    """The rows that are drawn: three psi_n at the largest psi_p."""
    largest = max(row.psi_p for row in rows)
    every = distinct(row.psi_n for row in rows)
    shown = [psi_n for psi_n in every if psi_n in SHOWN] or every[:3]
    return [row for row in rows if row.psi_p == largest and row.psi_n in shown]


def draw_series(axes: Axes, rows: Sequence[Row], event: Event, look: Look) -> None:
    """Events of one psi_n as markers, their timescale as a line."""
    delta_t = [row.delta_t for row in rows]
    axes.plot(delta_t, [event.time(row) for row in rows], **style.altered(look, linestyle="none"))
    axes.plot(delta_t, [event.timescale(row) for row in rows], color=look["color"], linewidth=1.1)
