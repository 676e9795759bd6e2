"""The time until samples have a quality against n, one line for each quality that is asked."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.pictures import TablePicture, distinct, legend_below, mark, sizes_axis
from memhorizon.recipes.quality_levels.numbers import KINDS, NAME, Row, SizeRow
from memhorizon.recipes.tables import grouped, of_kind, rows_of

SHIFT = 1.05  # between levels at one n
NAMES = {"frechet_classifier": "classifier", "frechet": "pixels"}


def quality_levels(record: object) -> TablePicture[Row]:
    """Times with intervals by level, of every sweep and quality.

    Raises:
        InputError: if it is not the record of the recipe quality_levels.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw)


def _draw(rows: Sequence[Row]) -> Figure:
    sizes = of_kind(rows, SizeRow)
    panels = grouped(sizes, lambda row: (row.sweep, row.quality))
    figure = style.canvas(height=2.9 * ((len(panels) + 1) // 2))
    every = figure.subplots((len(panels) + 1) // 2, 2, squeeze=False).flat
    for axes, ((sweep, quality), own) in zip(every, panels.items(), strict=False):
        _panel(axes, own)
        axes.set_title(f"{sweep}, {NAMES.get(quality, quality)}")
    return figure


def _panel(axes: Axes, rows: Sequence[SizeRow]) -> None:
    levels = sorted(distinct(row.level for row in rows), reverse=True)
    looks = style.looks([f"distance {level:g}" for level in levels])
    for place, (level, look) in enumerate(zip(levels, looks.values(), strict=True)):
        _level(axes, [row for row in rows if row.level == level], look, SHIFT ** (place - 1.5))
    axes.set_yscale("log")
    axes.set_ylabel(f"{style.TAU_GEN} (steps)")
    sizes_axis(axes, sorted({float(row.n_train) for row in rows}), "training items n")
    legend_below(axes, looks)


def _level(axes: Axes, rows: Sequence[SizeRow], look: Look, shift: float) -> None:
    """The means over seeds, joined where a seed has the quality at all."""
    reached = [row for row in rows if any(time.observed for time in row.tau_gen)]
    line = style.altered(look, markersize=0)
    axes.plot([row.n_train * shift for row in reached], [row.mean.value for row in reached], **line)
    for row in reached:
        mark(axes, row.n_train * shift, row.mean, look)
