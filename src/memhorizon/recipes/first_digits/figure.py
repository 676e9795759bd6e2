"""Who is copied first: times against the number of copies, and what tells early images from late ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.figures import style
from memhorizon.figures.style import Look
from memhorizon.recipes.first_digits.numbers import NAME
from memhorizon.recipes.first_digits.rows import KINDS, ByCopies, OfCopies, PredictorAuc, Row, Summary
from memhorizon.recipes.pictures import sizes_axis
from memhorizon.recipes.tables import rows_of
from memhorizon.records.codec import decode, encode_object
from memhorizon.records.table import TableRecord
from memhorizon.results import Status

RULES = {
    "share": "half of its share k/N",
    "count": "half of 1/N, whatever k",
    "distance": "its share, by distance",
}
PREDICTORS = {
    "nearest": "distance to nearest\ntraining image",
    "center": "distance to the mean",
    "sparse": "distance to 10th nearest\nheld-out image",
    "early_loss": "its loss at the\nheld-out minimum",
    "other half": "(its time, from\nother samples)",
}
SHOWN = {  # marker, face and name of a time by its status
    Status.OBSERVED: ("o", style.GREY, "one image, by seed"),
    Status.NOT_REACHED: ("^", "none", "not reached by then"),
    Status.BEFORE_FIRST: ("v", "none", "reached before"),
}
OF_COPIES = "copies k of the image"
AUC_ROWS = {
    "share": (0.14, "copies by ratio"),
    "distance": (-0.14, "copies by distance"),
    "repeat": (0.14, "_"),
}


@dataclass(frozen=True)
class FirstDigits:
    """Times of single images, the ratio of those of k copies to those of one, and AUCs.

    Attributes:
        images: of all seeds.
        summary: what follows from them.
    """

    images: Sequence[Row]
    summary: Summary = field(repr=False)

    def frame(self) -> list[dict[str, object]]:
        """One row per image ("time"), per k and rule ("ratio", "ratio at most"), per predictor ("auc")."""
        times = [_time_cells(image) for image in self.images]
        return [*times, *_ratio_rows(self.summary.copies), *_auc_rows(self.aucs)]

    @property
    def aucs(self) -> dict[str, list[PredictorAuc]]:
        """What tells early from late by rule, where it was measured."""
        every = {**self.summary.first, "repeat": (self.summary.repeat,)}
        return {rule: [row for row in found if np.isfinite(row.auc)] for rule, found in every.items()}

    @style.drawing()
    def plot(self) -> Figure:
        """Three panels: times, ratios, AUCs."""
        figure = style.canvas(width=9.4, height=4.3)
        left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.1])
        _times(left, self.images)
        _ratios(middle, self.summary.copies)
        _aucs(right, self.aucs)
        return figure


def first_digits(record: object) -> FirstDigits:
    """Times of images that are in the training set once or more often, and what tells them beforehand.

    Raises:
        InputError: if it is not the record of the recipe first_digits.
    """
    images = rows_of(record, NAME, KINDS)
    assert isinstance(record, TableRecord)
    return FirstDigits(images, decode(record.summary, Summary, "record.summary"))


def _time_cells(image: Row) -> dict[str, object]:
    about = {"quantity": "time", "seed": image.seed, "rule": "share"}
    return {**about, "image": image.image, "copies": image.copies, **encode_object(image.times.share)}


def _ratio_rows(copies: Mapping[str, ByCopies]) -> list[dict[str, object]]:
    return [_ratio_cells(rule, row) for rule, found in copies.items() for row in _with_ratio(found)]


def _auc_rows(aucs: Mapping[str, Sequence[PredictorAuc]]) -> list[dict[str, object]]:
    return [
        {"quantity": "auc", "rule": rule, **encode_object(row)}
        for rule, found in aucs.items()
        for row in found
    ]


def _with_ratio(found: ByCopies) -> list[OfCopies]:
    """Those k that have a ratio or a bound of it."""
    return [row for row in found.by_copies if _ratio(row) is not None or row.at_most is not None]


def _ratio(row: OfCopies) -> float | None:
    known = row.ratio is not None and np.isfinite(row.ratio.value)
    return row.ratio.value if known and row.ratio else None


def _ratio_cells(rule: str, row: OfCopies) -> dict[str, object]:
    if row.ratio is None or _ratio(row) is None:
        return {"quantity": "ratio at most", "rule": rule, "copies": row.copies, "value": row.at_most}
    return {"quantity": "ratio", "rule": rule, "copies": row.copies, **encode_object(row.ratio)}


def _times(axes: Axes, images: Sequence[Row]) -> None:
    """Every image of a known time, beside its place by seed, and the median of all images of a k."""
    rows = [image for image in images if image.times.share.known]
    _points(axes, rows)
    _medians(axes, rows)
    style.log_span(axes.yaxis, [row.times.share.value for row in rows])
    sizes_axis(axes, sorted({row.copies for row in images}), OF_COPIES, margin=1.45)
    axes.set(ylabel="training step", title="when half of k/N of the samples\nare copies of the image")
    _legend(axes)


def _points(axes: Axes, rows: Sequence[Row]) -> None:
    seeds = sorted({row.seed for row in rows})
    spread = dict(zip(seeds, np.linspace(-0.18, 0.18, len(seeds)), strict=True))
    for status, (marker, face, name) in SHOWN.items():
        own = [row for row in rows if row.times.share.status is status]
        if not own:
            continue
        axes.scatter(
            [row.copies * 2 ** spread[row.seed] for row in own],
            [row.times.share.value for row in own],
            s=12,
            alpha=0.8,
            label=name,
            marker=marker,
            facecolor=face,
            edgecolor=style.GREY,
            linewidth=0.7,
        )


def _medians(axes: Axes, rows: Sequence[Row]) -> None:
    """The median of each k, where it is a time."""
    copies = sorted({row.copies for row in rows})
    for k in copies:
        times = [row.times.share for row in rows if row.copies == k]
        middle = np.median([np.inf if t.status is Status.NOT_REACHED else t.value for t in times])
        if np.isfinite(middle):
            name = "median" if k == copies[0] else None
            axes.plot([k / 1.25, k * 1.25], [middle] * 2, color="black", linewidth=2.2, label=name)


def _ratios(axes: Axes, found: Mapping[str, ByCopies]) -> None:
    """Ratios to images that are in the training set once, beside the guide 1/k."""
    every = [row for rule in found.values() for row in _with_ratio(rule)]
    copies = [1, *sorted({row.copies for row in every})] if every else [1, 2]
    axes.axhline(1, color=style.GREY, linewidth=0.8)
    axes.plot(copies, [1 / k for k in copies], color=style.GREY, linestyle=(0, (1, 1.5)), label="1/k")
    for shift, (rule, look) in zip((0.9, 1.0, 1.11), style.looks(RULES).items(), strict=True):
        _ratios_by(axes, _with_ratio(found[rule]), look, shift, RULES[rule])
    style.log_scale(axes.yaxis)
    sizes_axis(axes, copies, OF_COPIES, margin=1.45)
    label = rf"{style.TAU_MEM}(k copies) / {style.TAU_MEM}(one)"
    axes.set(ylabel=label, title="time of k copies over time of one,\nby level; 95 % over seeds")
    _legend(axes)


def _ratios_by(axes: Axes, rows: Sequence[OfCopies], look: Look, shift: float, name: str) -> None:
    """The ratios by one rule with their intervals over seeds, and the bounds."""
    means = [(row.copies * shift, row.ratio) for row in rows if row.ratio and _ratio(row) is not None]
    drawn = style.altered(look, linestyle="none", markersize=4.5, elinewidth=1.3, label=name)
    value = np.array([mean.value for _, mean in means])
    error = _error(value, [(mean.low, mean.high) for _, mean in means])
    axes.errorbar([at for at, _ in means], value, yerr=error, **drawn)
    _bounds(axes, [row for row in rows if _ratio(row) is None], look, shift)


def _bounds(axes: Axes, rows: Sequence[OfCopies], look: Look, shift: float) -> None:
    """Upper bounds, as arrows that point down."""
    below = style.altered(look, linestyle="none")
    for row in rows:
        if row.at_most is not None:
            axes.errorbar(row.copies * shift, row.at_most, yerr=0.25 * row.at_most, uplims=True, **below)


def _aucs(axes: Axes, found: Mapping[str, Sequence[PredictorAuc]]) -> None:
    """One line per predictor, with 95 % bootstrap intervals; 0.5 says nothing."""
    axes.axvline(0.5, color=style.GREY, linewidth=0.8)
    looks = style.looks(RULES)
    for rule, (shift, name) in AUC_ROWS.items():
        _aucs_by(axes, found[rule], looks.get(rule, looks["share"]), shift, name)
    names = list(PREDICTORS.values())
    axes.set_yticks(range(len(names)), names[::-1])
    axes.set(xlim=(0, 1), ylim=(-0.5, len(names) - 0.5), xlabel="AUC (0.5: says nothing)")
    axes.set_title("k = 1: larger values first?\n95 % bootstrap")
    _legend(axes)


def _aucs_by(axes: Axes, rows: Sequence[PredictorAuc], look: Look, shift: float, name: str) -> None:
    """The AUC of each predictor by one rule, the first predictor on top."""
    names = list(PREDICTORS)
    value = np.array([row.auc for row in rows])
    at = [len(names) - 1 - names.index(row.predictor) + shift for row in rows]
    drawn = style.altered(look, linestyle="none", markersize=4.5, elinewidth=1.3, label=name)
    axes.errorbar(value, at, xerr=_error(value, [(row.low, row.high) for row in rows]), **drawn)


def _error(value: np.ndarray, ends: Sequence[tuple[float, float]]) -> np.ndarray:
    """Lengths of the two bars of each value; none where nothing bounds it, [2, m]."""
    distance = np.abs(np.array(ends, dtype=float).reshape(-1, 2).T - value)
    return np.where(np.isfinite(distance), distance, 0.0)


def _legend(axes: Axes) -> None:
    """Below the panel, where no point can lie."""
    style.named(axes, loc="upper center", bbox_to_anchor=(0.5, -0.17), handletextpad=0.4)
