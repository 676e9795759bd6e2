"""Copies over n, tau_mem by guidance, and the times of unequal classes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.guidance_mixture.numbers import BOTH, KINDS, NAME, GroupRow, Row, RunRow
from memhorizon.recipes.pictures import (
    COPIES,
    UNIT,
    TablePicture,
    distinct,
    ends,
    guide,
    legend_below,
    mark,
    places_axis,
    run_line,
    sizes_axis,
    steps_axis,
    without_line,
)
from memhorizon.recipes.tables import of_kind, rows_of
from memhorizon.timescales.pooling import Pooled

SHIFT = 0.12  # of the two ratios about their case


def guidance(record: object) -> TablePicture[Row]:
    """Copies against the step over n, tau_mem by n and guidance, and the times of unequal classes.

    Raises:
        InputError: if it is not the record of the recipe guidance_mixture.
    """
    return TablePicture(rows_of(record, NAME, KINDS), _draw)


def _draw(rows: Sequence[Row]) -> Figure:
    figure = style.canvas(width=9.4, height=3.6)
    left, middle, right = figure.subplots(1, 3)
    runs = [row for row in of_kind(rows, RunRow) if row.case == "balanced"]
    groups = of_kind(rows, GroupRow)
    _copies(left, runs)
    _by_guidance(middle, [row for row in groups if (row.case, row.label) == ("balanced", BOTH)])
    _classes(right, groups)
    return figure


def _copies(axes: Axes, runs: Sequence[RunRow]) -> None:
    """The conditional model, both classes, against the step over n."""
    looks = style.looks(f"n = {n}" for n in distinct(row.n_train for row in runs))
    for row in runs:
        if (row.label, row.scale) == (BOTH, 0.0):
            at = np.array(row.step) / row.n_train
            run_line(axes, at.tolist(), row.memorized, looks[f"n = {row.n_train}"])
    steps_axis(axes, "training step / n")
    axes.set(ylabel=COPIES, ylim=UNIT, title="conditional model, w = 0,\nboth classes")
    legend_below(axes, looks)


def _by_guidance(axes: Axes, groups: Sequence[GroupRow]) -> None:
    """tau_mem of both classes by n, the guidances beside each other."""
    scales = distinct(row.scale for row in groups)
    looks = style.looks(f"w = {scale:g}" for scale in scales)
    for shift, scale in zip(np.geomspace(0.9, 1.12, len(scales)), scales, strict=True):
        for row in (row for row in groups if row.scale == scale):
            mark(axes, row.n_train * shift, row.tau_mem, looks[f"w = {scale:g}"])
    style.log_span(axes.yaxis, ends(row.tau_mem for row in groups))
    sizes_axis(axes, distinct(row.n_train for row in groups), "training items n")
    axes.set(ylabel=f"{style.TAU_MEM}, steps", title="by guidance, geometric means\nwith 95 % intervals")
    legend_below(axes, without_line(looks))


def _classes(axes: Axes, groups: Sequence[GroupRow]) -> None:
    """Times of class 1 over those of class 0 in each case of the n that has all cases."""
    n_train = _n_of_all_cases(groups)
    shown = [row for row in groups if (row.n_train, row.scale, row.label) == (n_train, 0.0, 1)]
    ratios = {
        style.TAU_GEN: [row.class_ratio_gen for row in shown],
        style.TAU_MEM: [row.class_ratio for row in shown],
    }
    looks = style.looks(ratios)
    _both_ratios(axes, ratios, looks)
    places_axis(axes, [row.case for row in shown], f"classes (n = {n_train}, w = 0)")
    title = "time of class 1 over that of class 0\n(rare: a quarter; narrow: variance 1/4)"
    axes.set(ylabel="class 1 / class 0", title=title)
    legend_below(axes, without_line(looks))


def _both_ratios(
    axes: Axes, ratios: Mapping[str, Sequence[Pooled | None]], looks: Mapping[str, Look]
) -> None:
    """The ratios of both times beside each other, about 1."""
    guide(axes, 1)
    for (label, found), shift in zip(ratios.items(), (-SHIFT, SHIFT), strict=True):
        _ratios(axes, found, shift, looks[label])
    known = [ratio for found in ratios.values() for ratio in found if ratio is not None]
    style.log_span(axes.yaxis, [1.0, *ends(known)])


def _n_of_all_cases(groups: Sequence[GroupRow]) -> int:
    """The n that has all cases: that of the last one."""
    last = distinct(row.case for row in groups)[-1]
    return next(row.n_train for row in groups if row.case == last)


def _ratios(axes: Axes, found: Sequence[Pooled | None], shift: float, look: Look) -> None:
    for place, ratio in enumerate(found):
        if ratio is not None:
            mark(axes, place + shift, ratio, look)
