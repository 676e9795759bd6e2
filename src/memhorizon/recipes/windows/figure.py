"""tau_mem over tau_gen against n, by the quality of samples."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import (
    TablePicture,
    ends,
    guide,
    legend_above,
    mark,
    sizes_axis,
    without_line,
)
from memhorizon.recipes.tables import rows_of
from memhorizon.recipes.windows.numbers import KINDS, NAME, Row

SHIFT = 1.06  # between series at one n
NAMES = {"frechet_classifier": "classifier", "frechet": "pixels"}


def windows(record: object) -> TablePicture[Row]:
    """The window of every sweep over n, with intervals and bounds.

    Raises:
        InputError: if it is not the record of the recipe windows.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw)


def _draw(rows: Sequence[Row]) -> Figure:
    shown = [row for row in rows if row.sweep.startswith(("n_", "window_"))]
    figure = style.canvas(width=0.7 * style.WIDTH, height=3.4)
    axes = figure.subplots()
    looks = without_line(style.looks(_series(row) for row in shown))
    guide(axes, 1)
    for place, (name, look) in enumerate(looks.items()):
        _points(axes, [row for row in shown if _series(row) == name], look, SHIFT ** (place - 1))
    _axes(axes, shown)
    legend_above(figure, looks, ncols=2)
    return figure


def _axes(axes: Axes, rows: Sequence[Row]) -> None:
    """The window, with its intervals and no window at all within the range, against n."""
    found = ends([row.window for row in rows])
    axes.set_yscale("log")
    axes.set_ylim(0.5 * min([*found, 1.0]), 2 * max([*found, 2.0]))
    axes.set_ylabel(f"{style.TAU_MEM} / {style.TAU_GEN}")
    sizes_axis(axes, sorted({float(row.n_train) for row in rows}), "training items n")


def _series(row: Row) -> str:
    return f"{row.sweep}, {NAMES.get(row.quality, row.quality)}"


def _points(axes: Axes, rows: Sequence[Row], look: Look, shift: float) -> None:
    """One mark for each n at which samples are good; a cross at the bottom where they never are."""
    for row in rows:
        if row.good:
            mark(axes, row.n_train * shift, row.window, look)
        else:
            changed = style.altered(look, marker="x", markersize=5)
            axes.plot([row.n_train * shift], [0.04], transform=axes.get_xaxis_transform(), **changed)
