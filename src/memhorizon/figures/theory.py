"""What the pictures of the theory records share: their table, their rows in long form, their axes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from memhorizon.errors import InputError
from memhorizon.figures import style
from memhorizon.figures.records import Row

Draw = Callable[[Sequence[Row]], Figure]
TAU = r"training time $\tau$"
FINITE = "#d55e00"  # finite networks beside the limit
FLOW = {"color": "#bbbbbb", "linewidth": 3.5}  # gradient flow, under what is compared with it
LABELS = {
    "L_train": "train loss",
    "L_test": "test loss",
    "L_gen": r"$L_\mathrm{gen}$",
    "E_score": "score error",
}


@dataclass(frozen=True)
class Table:
    """A picture of rows of a theory record."""

    rows: tuple[Row, ...]
    draw: Draw

    def frame(self) -> list[Row]:
        """The rows in long form: lists along one axis become rows, the rest is repeated."""
        return [point for row in self.rows for point in long(row)]

    def plot(self) -> Figure:
        """Draw it."""
        with style.drawing():
            return self.draw(self.rows)


def table(record: Any, name: str, draw: Draw, **wanted: Any) -> Table:
    """The rows of the record called `name` that have these entries, to be drawn by `draw`.

    Raises:
        InputError: if the record is another one or has no such rows.
    """
    if not isinstance(record, Mapping) or record.get("name") != name or "rows" not in record:
        got = record.get("name") if isinstance(record, Mapping) else type(record).__name__
        raise InputError(f"record: expected the theory record {name!r} with its rows, got {got!r}")
    rows = tuple(_finite(row) for row in record["rows"])
    rows = tuple(row for row in rows if all(row.get(key) == value for key, value in wanted.items()))
    if not rows:
        raise InputError(f"record: expected rows with {wanted} in {name!r}, got none")
    return Table(rows, draw)


def _finite(row: Mapping[str, Any]) -> Row:
    """The words that stand for infinity as numbers."""
    words = {"inf": np.inf, "-inf": -np.inf}
    return {key: words.get(value, value) if isinstance(value, str) else value for key, value in row.items()}


def long(row: Row) -> list[Row]:
    """One row per place of its lists, one column per list in a list of lists, one row per cell of a map.

    >>> long({"d": 20, "tau": [1.0, 2.0], "error": [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]})[1]
    {'d': 20, 'tau': 2.0, 'error_0': 0.2, 'error_1': 0.4, 'error_2': 0.6}
    """
    lists = {key: value for key, value in row.items() if isinstance(value, list)}
    fixed = {key: value for key, value in row.items() if key not in lists}
    if not lists:
        return [fixed]
    nested = {key: value for key, value in lists.items() if value and isinstance(value[0], list)}
    flat = {key: value for key, value in lists.items() if key not in nested}
    if grid := [key for key, value in nested.items() if set(flat) >= {"psi_n", "psi_p"}]:
        cells = [(i, j) for i in range(len(flat["psi_n"])) for j in range(len(flat["psi_p"]))]
        place = [{"psi_n": flat["psi_n"][i], "psi_p": flat["psi_p"][j]} for i, j in cells]
        fields = [{key: nested[key][i][j] for key in grid} for i, j in cells]
        return [fixed | at | field for at, field in zip(place, fields, strict=True)]
    count = min(map(len, flat.values()))
    columns = {key: value for key, value in flat.items() if len(value) == count}
    for key, value in nested.items():
        columns |= {f"{key}_{i}": inner for i, inner in enumerate(value) if len(inner) == count}
    return [fixed | {key: column[i] for key, column in columns.items()} for i in range(count)]


def where(rows: Sequence[Row], **wanted: Any) -> list[Row]:
    """The rows that have these entries."""
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def values(rows: Sequence[Row], name: str) -> list[Any]:
    """What an entry takes, each once, in order of appearance."""
    return list(dict.fromkeys(row[name] for row in rows if row.get(name) is not None))


def half_width(error: Any, seeds: int) -> np.ndarray:
    """Half of a 95 % interval of a mean over seeds, from its standard error (t distribution)."""
    return np.asarray(stats.t.ppf(0.975, max(seeds - 1, 1)) * np.asarray(error, dtype=float))


def curve(axes: Axes, x: Any, y: Any, look: Mapping[str, Any], *, marks: int = 7, **changes: Any) -> None:
    """A line against a positive x, with a few markers so that it is known in grey."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    keep = np.isfinite(x) & (x > 0)
    every = max(1, int(keep.sum()) // marks)
    axes.plot(x[keep], y[keep], markevery=every, markersize=3.2, **style.altered(look, **changes))


def logs(axes: Axes, x: tuple[float, float] | None = None, y: tuple[float, float] | None = None) -> None:
    """Logarithmic axes with powers of ten where they span many decades."""
    for axis, ends in ((axes.xaxis, x), (axes.yaxis, y)):
        if ends is None:
            continue
        if ends[1] / ends[0] < 2e3:
            style.log_axis(axis, *ends)
        else:
            (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
        (axes.set_xlim if axis is axes.xaxis else axes.set_ylim)(*ends)


def score_and_gap(columns: int, width: float = style.WIDTH) -> tuple[Figure, np.ndarray]:
    """A figure with a column of panels per case: the score error above, L_gen below."""
    figure = style.canvas(width=width, height=4.3)
    grid = figure.subplots(2, columns, sharex=True, sharey="row", squeeze=False)
    grid[0, 0].set(yscale="log", ylabel="score error")
    grid[1, 0].set_ylabel(LABELS["L_gen"])
    return figure, grid


def flow_legend(figure: Figure, name: str, looks: Mapping[str, Mapping[str, Any]], ncols: int) -> None:
    """Name the flow and what is drawn over it."""
    handles = [Line2D([], [], **look) for look in (FLOW, *looks.values())]
    figure.legend(handles, [name, *looks], loc="outside upper center", ncols=ncols)


def model_text(row: Row, names: Sequence[str] = ("psi_n", "psi_p", "t")) -> str:
    """A model in symbols."""
    symbols = {"psi_n": r"$\psi_n$", "psi_p": r"$\psi_p$", "t": "t", "dim": "d"}
    return ", ".join(f"{symbols[name]} = {row[name]:g}" for name in names)
