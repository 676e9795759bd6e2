"""Generated images beside their nearest training images, early and late."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from memhorizon.errors import InputError
from memhorizon.figures import style
from memhorizon.figures.groups import Group, groups
from memhorizon.figures.images import draw_image, pixels_of
from memhorizon.figures.picture import Row
from memhorizon.figures.reading import copy_threshold, sweep_of
from memhorizon.records.sweep import RunRecord

if TYPE_CHECKING:  # it imports torch
    from memhorizon.experiments.run_directory import RunDir

SHOWN = 8  # pictures in a row
SETTINGS = 4  # blocks at most
TENSORS = {"samples", "neighbours", "ratio"}
LEFT = 0.72  # inches: names of the rows
MIDDLE = 0.25  # between early and late
TITLE = 0.26  # line above a block
PICTURE = (style.WIDTH - LEFT - MIDDLE - 0.05) / (2 * SHOWN)
BLOCK = TITLE + 2 * PICTURE + 0.12
SHARE = 0.9  # of its place that a picture fills
COPIED = 2.0  # points: the frame of a copy


@dataclass(frozen=True)
class Sheet:
    """The samples of one run at one step that lie closest to a training image, the closest first.

    Attributes:
        label: the setting of the run.
        n_train: number of training images.
        when: "early" or "late".
        step: of the snapshot.
        images: generated, in [0, 1]. [m, height, width] or [m, height, width, 3]
        neighbours: their nearest training images. [m, ...]
        ratio: distance to the nearest over distance to the second nearest training image. [m]
        threshold: below it a sample is a copy.
        kept: how many samples were kept at that step.
        copies: how many of those are copies.
    """

    label: str
    n_train: int
    when: str
    step: int
    images: np.ndarray
    neighbours: np.ndarray
    ratio: np.ndarray
    threshold: float
    kept: int
    copies: int

    @property
    def title(self) -> str:
        """The line above it."""
        setting = style.label(self.label)
        return f"{setting}, {self.when}: step {self.step:,}, {self.copies} of {self.kept} copies"


@dataclass(frozen=True)
class Samples:
    """Generated images beside their nearest training images."""

    sheets: tuple[Sheet, ...]

    def frame(self) -> list[Row]:
        """One row per sample shown: its ratio, and whether it counts as a copy."""
        return [row for sheet in self.sheets for row in _rows(sheet)]

    @style.drawing()
    def plot(self) -> Figure:
        """A block per setting: early on the left, late on the right; copies are framed."""
        labels = list(dict.fromkeys(sheet.label for sheet in self.sheets))
        height = BLOCK * len(labels) + 0.05
        figure = Figure(figsize=(style.WIDTH, height))
        for sheet in self.sheets:
            left = LEFT if sheet.when == "early" else LEFT + SHOWN * PICTURE + MIDDLE
            top = height - BLOCK * labels.index(sheet.label) - TITLE
            _block(figure, sheet, left, top)
        return figure


def _rows(sheet: Sheet) -> list[Row]:
    about: Row = {"label": sheet.label, "n_train": sheet.n_train, "when": sheet.when, "step": sheet.step}
    return [
        about | {"rank": rank, "ratio": ratio, "copied": ratio < sheet.threshold}
        for rank, ratio in enumerate(sheet.ratio.tolist())
    ]


def _block(figure: Figure, sheet: Sheet, left: float, top: float) -> None:
    """Two rows of pictures below (left, top), in inches: generated above, nearest training image below."""
    width, height = figure.get_size_inches()
    figure.text(left / width, (top + 0.06) / height, sheet.title, fontsize=8)
    rows = (("generated", sheet.images), ("nearest\ntraining", sheet.neighbours))
    for i, (name, pictures) in enumerate(rows, start=1):
        bottom = top - i * PICTURE
        if sheet.when == "early":
            middle = (bottom + PICTURE / 2) / height
            figure.text((LEFT - 0.08) / width, middle, name, ha="right", va="center", fontsize=8)
        for j, pixels in enumerate(pictures):
            corner = (left + j * PICTURE, bottom)
            copied = bool(sheet.ratio[j] < sheet.threshold)
            draw_image(figure, pixels, corner, SHARE * PICTURE, copied=copied, frame=COPIED)


def shows_images(run: "RunDir") -> bool:
    """Whether a run directory holds samples that can be drawn: those of a mixture are vectors."""
    kept = (run.read_samples(step) for step in run.sample_steps())
    return any("samples" in tensors and tensors["samples"].ndim == 4 for tensors in kept)


def samples(record: object, runs: Sequence["RunDir"]) -> Samples:
    """Samples kept early (at the best quality) and late (the last snapshot), the first seed of a setting.

    Of more than four settings four are shown, evenly spread.

    The record does not hold pixels: they are read from the run directories. Grey levels are those of the
    training images shown: their smallest is black, their largest white, samples are cut to that range.

    Args:
        record: the record of a sweep.
        runs: its run directories; those without samples of images are left out.

    Raises:
        InputError: if the record is no sweep, or no run directory holds samples of images.
    """
    folders = {run.path.name: run for run in runs}
    every = groups(sweep_of(record))
    chosen = np.unique(np.linspace(0, len(every) - 1, SETTINGS).round().astype(int))
    sheets = [sheet for i in chosen for sheet in _sheets(every[i], folders.get(every[i].runs[0].key))]
    if not sheets:
        raise InputError("runs: expected run directories with samples of images, got none")
    return Samples(tuple(sheets))


def _sheets(group: Group, folder: "RunDir | None") -> Iterator[Sheet]:
    """The early and the late sheet of the first run of a group, where its directory has them."""
    steps = [] if folder is None else folder.sample_steps()
    if folder is None or not steps:
        return
    for when, step in (("early", _early(group.runs[0], steps)), ("late", steps[-1])):
        sheet = _sheet(folder, step, group, when)
        if sheet is not None:
            yield sheet


def _early(run: RunRecord, steps: Sequence[int]) -> int:
    """The snapshot nearest to the best quality; the first one where no such time is known."""
    best = run.timescales.others.get("argmin") or run.timescales.tau_gen
    if not best.known:
        return steps[0]
    return min(steps, key=lambda step: abs(np.log(step / best.value)))


def _sheet(folder: "RunDir", step: int, group: Group, when: str) -> Sheet | None:
    """The closest samples that were kept at a step; None where they are no images."""
    tensors = folder.read_samples(step)
    if tensors.keys() < TENSORS or tensors["samples"].ndim != 4:
        return None
    ratio = tensors["ratio"].numpy()
    neighbours = tensors["neighbours"].numpy()
    closest = np.argsort(ratio, kind="stable")[:SHOWN]
    threshold = copy_threshold(group.runs[0]) or 0.0
    return Sheet(
        label=group.label,
        n_train=group.n_train,
        when=when,
        step=step,
        images=pixels_of(tensors["samples"].numpy()[closest], neighbours),
        neighbours=pixels_of(neighbours[closest], neighbours),
        ratio=ratio[closest],
        threshold=threshold,
        kept=len(ratio),
        copies=int((ratio < threshold).sum()),
    )
