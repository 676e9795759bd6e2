"""Copies along training by kind of augmentation, and the number of images that it is worth."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.augmentation_digits.numbers import KINDS, NAME, GroupRow, Row, RunRow
from memhorizon.recipes.pictures import (
    COPIES,
    UNIT,
    TablePicture,
    distinct,
    ends,
    legend_below,
    mark,
    places_axis,
    run_line,
    steps_axis,
)
from memhorizon.recipes.tables import of_kind, rows_of


def augmentation(record: object) -> TablePicture[Row]:
    """Copies along training for each kind of augmentation, and the number of images that it is worth.

    Raises:
        InputError: if it is not the record of the recipe augmentation_digits.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw)


def _draw(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(width=9.4, height=3.6)
    left, middle, right = figure.subplots(1, 3)
    runs = of_kind(rows, RunRow)
    groups = of_kind(rows, GroupRow)
    looks = style.looks(distinct(row.kind for row in runs))
    _along_training(left, middle, runs, looks)
    n_train = groups[0].n_train
    left.set(ylabel=COPIES, ylim=UNIT, title=f"copies of {n_train} images\nor of a version of them")
    middle.set(ylabel="held-out loss, t = 0.3", title="loss of images that were\nnot trained on")
    _effective(right, groups, looks, n_train)
    return figure


def _along_training(copies: Axes, losses: Axes, runs: Sequence[RunRow], looks: Mapping[str, Look]) -> None:
    """Copies and held-out loss of every run."""
    for row in runs:
        run_line(copies, row.step, row.memorized, looks[row.kind])
        run_line(losses, row.step, row.holdout, looks[row.kind])
    for axes in (copies, losses):
        steps_axis(axes)
        legend_below(axes, looks)
    style.value_axis(losses, [value for row in runs for value in row.holdout])


def _effective(axes: Axes, groups: Sequence[GroupRow], looks: Mapping[str, Look], n_train: int) -> None:
    """Images without augmentation, beside all versions of the images."""
    for place, row in enumerate(groups):
        mark(axes, place, row.effective, looks[row.kind])
        axes.plot([place - 0.25, place + 0.25], [row.versions * n_train] * 2, color="black", linewidth=1.6)
    style.log_span(
        axes.yaxis, [*(row.versions * n_train for row in groups), *ends(r.effective for r in groups)]
    )
    places_axis(axes, [f"{row.kind}\n({row.versions})" for row in groups], "versions of each image")
    axes.set_ylabel("images without augmentation")
    axes.set_title(f"images that are copied as late as\n{n_train} augmented ones; bar: all versions")
