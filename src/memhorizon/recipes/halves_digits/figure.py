"""Samples nearer to the training half, copies of it, and when either begins."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.halves_digits.numbers import CHANCE, KINDS, NAME, GroupRow, Row, RunRow
from memhorizon.recipes.pictures import (
    COPIES,
    STEP,
    UNIT,
    TablePicture,
    distinct,
    ends,
    guide,
    legend_below,
    mark,
    ring,
    run_line,
    sizes_axis,
    steps_axis,
)
from memhorizon.recipes.tables import of_kind, rows_of
from memhorizon.timescales.pooling import Pooled

TIMES: dict[str, tuple[str, Look, float]] = {  # label, look, factor to the side
    "tau_gen": (style.TAU_GEN, {"color": "#777777", "marker": "o", "linestyle": "-"}, 0.88),
    "tau_bias": (r"$\tau_\mathrm{bias}$", {"color": "#440154", "marker": "s", "linestyle": "-"}, 0.96),
    "argmin": ("argmin of held-out loss", {"color": "#31688e", "marker": "D", "linestyle": "-"}, 1.04),
    "tau_mem": (style.TAU_MEM, {"color": "#44bf70", "marker": "^", "linestyle": "-"}, 1.13),
}


def halves(record: object) -> TablePicture[Row]:
    """Samples nearer to the training half along training, and when that begins beside the other times.

    Raises:
        InputError: if it is not the record of the recipe halves_digits.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw)


def _draw(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(width=9.4, height=3.6)
    left, middle, right = figure.subplots(1, 3)
    runs = of_kind(rows, RunRow)
    looks = style.looks(f"n = {n}" for n in distinct(row.n_train for row in runs))
    _shares(left, runs, looks)
    _copies(middle, runs, looks)
    for axes in (left, middle):
        steps_axis(axes)
        legend_below(axes, looks)
    _times(right, [row for row in of_kind(rows, GroupRow) if row.n_train is not None])
    return figure


def _shares(axes: Axes, runs: Sequence[RunRow], looks: Mapping[str, Look]) -> None:
    """Samples nearer to the training half."""
    for row in runs:
        look = looks[f"n = {row.n_train}"]
        run_line(axes, row.step, row.own, look)
        ring(axes, row.argmin.value, row.own_at_argmin, look)
    guide(axes, CHANCE)
    axes.set(ylabel="share of samples nearer to the training half", ylim=(0.45, 1.02))
    axes.set_title("nearer to the training half\n(ring: argmin of the held-out loss)")


def _copies(axes: Axes, runs: Sequence[RunRow], looks: Mapping[str, Look]) -> None:
    for row in runs:
        look = looks[f"n = {row.n_train}"]
        run_line(axes, row.step, row.copies, look)
        ring(axes, row.argmin.value, row.copies_at_argmin, look)
    axes.set(ylabel=COPIES, ylim=UNIT, title="copies\n(ring: the same)")


def _times(axes: Axes, groups: Sequence[GroupRow]) -> None:
    """All times side by side, against n."""
    for name, (label, look, shift) in TIMES.items():
        for row in groups:
            named = {"label": label} if row is groups[0] else {}
            mark(axes, (row.n_train or 0) * shift, _time(row, name), look, **named)
    style.log_span(axes.yaxis, ends(_time(row, name) for row in groups for name in TIMES))
    sizes_axis(axes, [row.n_train for row in groups if row.n_train is not None], "images in a half, n")
    axes.set(ylabel=STEP, title="times, geometric means over pairs\nwith 95 % intervals")
    style.named(axes, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)


def _time(row: GroupRow, name: str) -> Pooled:
    found = getattr(row, name)
    assert isinstance(found, Pooled)
    return found
