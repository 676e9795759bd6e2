"""What pictures of recipes share: typed rows with their drawing, numbers in long form, marks of answers."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from memhorizon.figures import marks, style
from memhorizon.figures.style import Look
from memhorizon.recipes.tables import plain_row
from memhorizon.records.codec import NON_FINITE
from memhorizon.results import Estimate, Status

Row = TypeVar("Row")
Value = TypeVar("Value")
Cells = dict[str, object]
DASHED = (0, (4, 3))
STEP = "training step"
COPIES = r"memorized fraction $f_\mathrm{mem}$"
UNIT = (-0.03, 1.03)  # the range of a share
# a bound, in a legend
BOUND = style.altered(Look(color=style.GREY, linestyle="none", marker="o"), markerfacecolor="white")


@dataclass(frozen=True)
class TablePicture(Generic[Row]):
    """Rows of a recipe and how they are drawn.

    Attributes:
        rows: typed.
        draw: makes the figure.
    """

    rows: Sequence[Row]
    draw: Callable[[Sequence[Row]], Figure]

    def frame(self) -> list[dict[str, object]]:
        """The rows in long form: lists along one axis become rows, the rest is repeated."""
        return [point for row in self.rows for point in long(numbers(plain_row(row)))]

    def plot(self) -> Figure:
        """Draw it."""
        with style.drawing():
            return self.draw(self.rows)


@runtime_checkable
class Bounded(Protocol):
    """A number with its interval."""

    @property
    def value(self) -> float:
        """The number."""
        ...

    @property
    def low(self) -> float:
        """Lower end of its interval."""
        ...

    @property
    def high(self) -> float:
        """Upper end."""
        ...


@runtime_checkable
class Answer(Bounded, Protocol):
    """A time, or a mean over runs."""

    @property
    def status(self) -> Status:
        """Whether it is seen or a bound."""
        ...


def numbers(row: Mapping[str, object]) -> Cells:
    """The same row; what a record writes for a number that is not finite is the number again.

    >>> numbers({"source": "limit", "tau": [1.0, "inf"]})
    {'source': 'limit', 'tau': [1.0, inf]}
    """
    return {name: _number(value) for name, value in row.items()}


def _number(value: object) -> object:
    if isinstance(value, list):
        return [_number(entry) for entry in value]
    if isinstance(value, Mapping):
        return numbers(value)
    return NON_FINITE.get(value, value) if isinstance(value, str) else value


def long(row: Mapping[str, object]) -> list[Cells]:
    """One row per place of its lists, one column per list in a list of lists.

    >>> long({"d": 20, "tau": [1.0, 2.0], "error": [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]})[1]
    {'d': 20, 'tau': 2.0, 'error_0': 0.2, 'error_1': 0.4, 'error_2': 0.6}
    """
    lists = _lists_in(row)
    columns = _columns(lists)
    return _along(columns, _without(row, lists)) if columns else [dict(row)]


def _lists_in(row: Mapping[str, object]) -> dict[str, list[object]]:
    return {name: value for name, value in row.items() if isinstance(value, list) and value}


def _along(columns: Mapping[str, list[object]], fixed: Cells) -> list[Cells]:
    """One row per place of the columns, beside what is fixed."""
    places = zip(*columns.values(), strict=True)
    return [fixed | dict(zip(columns, place, strict=True)) for place in places]


def _columns(lists: Mapping[str, list[object]]) -> dict[str, list[object]]:
    """The lists of the shortest length, those inside of others included; none where all hold others."""
    flat = {name: value for name, value in lists.items() if not isinstance(value[0], list)}
    if not flat:
        return {}
    count = min(map(len, flat.values()))
    every = flat | _inner(_without(lists, flat))
    return {name: value for name, value in every.items() if len(value) == count}


def _without(row: Mapping[str, Value], names: Container[str]) -> dict[str, Value]:
    return {name: value for name, value in row.items() if name not in names}


def _inner(lists: Mapping[str, list[object]]) -> dict[str, list[object]]:
    """What is inside of lists of lists, numbered."""
    return {
        f"{name}_{i}": inner
        for name, value in lists.items()
        for i, inner in enumerate(value)
        if isinstance(inner, list)
    }


def mark(axes: Axes, x: float, answer: Answer, look: Look, **changes: object) -> None:
    """Draw a time or a ratio with its interval; a bound is an open marker with an arrow.

    Args:
        axes: where; its vertical axis is logarithmic.
        x: the place.
        answer: nothing is drawn where it says nothing.
        look: colour and marker.
        changes: of the marker.
    """
    if _says_something(answer):
        found = Estimate(answer.value, answer.low, answer.high)
        marks.ratio(axes, x, found, answer.status, look, **changes)


def _says_something(answer: Answer) -> bool:
    if answer.status is Status.UNDETERMINED or not np.isfinite(answer.value):
        return False
    bounded = answer.low != 0 or answer.high != np.inf
    return bounded or answer.status is not Status.OBSERVED


def interval(axes: Axes, x: float, found: Bounded, look: Look, **changes: object) -> None:
    """Draw a number with its interval.

    Args:
        axes: where.
        x: the place.
        found: the number; an end that is not finite is not drawn.
        look: colour and marker.
        changes: of the marker.
    """
    axes.plot([x, x], [found.low, found.high], color=look["color"], linewidth=1.1)
    axes.plot([x], [found.value], **style.altered(look, **{"linestyle": "none", **changes}))


def ends(answers: Iterable[Answer]) -> list[float]:
    """All positive numbers of some answers, for the range of an axis."""
    numbers = [number for answer in answers for number in (answer.value, answer.low, answer.high)]
    return [number for number in numbers if np.isfinite(number) and number > 0]


def guide(axes: Axes, height: float) -> None:
    """A dashed line that nothing was measured for."""
    axes.axhline(height, color=style.GREY, linewidth=1, linestyle=DASHED)


def ticks(axes: Axes, at: Sequence[float], names: Sequence[str]) -> None:
    """Marks of the horizontal axis at these places and none between."""
    axes.set_xticks(at, names)
    axes.xaxis.set_minor_locator(NullLocator())


def distinct(values: Iterable[Row]) -> list[Row]:
    """Each value once, in order of appearance."""
    return list(dict.fromkeys(values))


def run_line(axes: Axes, step: Sequence[float], value: Sequence[float] | np.ndarray, look: Look) -> None:
    """The curve of one run, thin, with its markers."""
    axes.plot(step, value, **style.altered(look, linewidth=0.9, markersize=2.6, alpha=0.85))


def ring(axes: Axes, x: float, y: float, look: Look) -> None:
    """A ring about a point."""
    changed = style.altered(look, marker="o", markersize=7, markerfacecolor="none", linestyle="none")
    axes.plot([x], [y], **changed)


def legend_above(
    figure: Figure,
    looks: Mapping[str, Look],
    ncols: int | None = None,
    *,
    title: str | None = None,
    columnspacing: float | None = None,
) -> None:
    """A legend of the looks, above all panels; in one line where nothing else is said."""
    figure.legend(
        [Line2D([], [], **look) for look in looks.values()],
        list(looks),
        loc="outside upper center",
        ncols=ncols or len(looks),
        title=title,
        title_fontsize=8.5,
        columnspacing=columnspacing,
    )


def legend_below(axes: Axes, looks: Mapping[str, Look]) -> None:
    """A legend of the looks, below the panel, where no point can lie."""
    handles = [Line2D([], [], **look) for look in looks.values()]
    axes.legend(handles, list(looks), loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)


def without_line(looks: Mapping[str, Look]) -> dict[str, Look]:
    """The markers alone."""
    return {name: style.altered(look, linestyle="none") for name, look in looks.items()}


def steps_axis(axes: Axes, label: str = STEP) -> None:
    """A logarithmic axis of training steps."""
    style.log_scale(axes.xaxis)
    axes.set_xlabel(label)


def sizes_axis(axes: Axes, sizes: Sequence[float], label: str = "", *, margin: float = 1.4) -> None:
    """A logarithmic horizontal axis with a number at each size, and a margin, a factor, on either side."""
    axes.set(xscale="log", xlim=(min(sizes) / margin, max(sizes) * margin), xlabel=label)
    ticks(axes, sizes, [style.plain_number(size) for size in sizes])


def places_axis(axes: Axes, names: Sequence[str], label: str = "") -> None:
    """Settings without an order, side by side."""
    ticks(axes, range(len(names)), names)
    axes.set(xlim=(-0.5, len(names) - 0.5), xlabel=label)
