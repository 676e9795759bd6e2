"""Samples as a person sees them: at tau_gen, within the window, and after tau_mem, for each setting."""

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
from memhorizon.figures.window import Window, window_of
from memhorizon.records.sweep import RunRecord

if TYPE_CHECKING:  # it imports torch
    from memhorizon.experiments.run_directory import RunDir

COLUMNS = 6  # pictures of a sheet side by side
ROWS = 2  # and one below the other
LEFT = 0.8  # inches: the name of the setting
GAP = 0.18  # between sheets
TITLE = 0.22  # line above a sheet
TOP = 0.3  # names of the columns
PICTURE = (style.WIDTH - LEFT - 2 * GAP - 0.05) / (3 * COLUMNS)
SHARE = 0.92  # of its place that a picture fills
COPIED = 1.6  # points: the frame of a copy
WHEN = ("at tau_gen", "in the window", "after copying began")


@dataclass(frozen=True)
class Place:
    """Where in a training one looks.

    Attributes:
        when: one of WHEN.
        step: of the snapshot; None where there is no such time.
        why: why not, where there is none; before the step, where that is not the time it stands for.
    """

    when: str
    step: int | None
    why: str = ""


@dataclass(frozen=True)
class Page:
    """Samples of one run at one step, in the order of their seeds, none chosen.

    Attributes:
        label: the setting.
        place: when, and at which step.
        images: in [0, 1]. [m, height, width] or [m, height, width, 3]; empty where there is no such time
        copied: which of them are copies. [m]
    """

    label: str
    place: Place
    images: np.ndarray
    copied: np.ndarray

    @property
    def title(self) -> str:
        """The line above it."""
        if self.place.step is None:
            return self.place.why
        copies = int(self.copied.sum())
        before = f"{self.place.why} " if self.place.why else ""
        return f"{before}step {self.place.step:,}: {copies} of {len(self.copied)} copies"


@dataclass(frozen=True)
class Sheets:
    """Samples at tau_gen, in the window and after tau_mem."""

    pages: tuple[Page, ...]

    def frame(self) -> list[Row]:
        """One row per sheet."""
        return [
            {
                "label": page.label,
                "when": page.place.when,
                "step": page.place.step or 0,
                "copies": int(page.copied.sum()),
                "shown": len(page.copied),
            }
            for page in self.pages
        ]

    @style.drawing()
    def plot(self) -> Figure:
        """A row for each setting, a column for each time; copies are framed."""
        labels = list(dict.fromkeys(page.label for page in self.pages))
        block = TITLE + ROWS * PICTURE + 0.08
        height = TOP + block * len(labels)
        figure = Figure(figsize=(style.WIDTH, height))
        for column, when in enumerate(WHEN):
            left = _left_of(column)
            name = when.replace("tau_gen", style.TAU_GEN)
            figure.text(left / style.WIDTH, 1 - 0.16 / height, name, fontsize=8.5, fontweight="bold")
        for page in self.pages:
            top = height - TOP - block * labels.index(page.label)
            _draw(figure, page, top)
        return figure


def _left_of(column: int) -> float:
    """Where the sheets of a column begin, in inches."""
    return LEFT + column * (COLUMNS * PICTURE + GAP)


def _draw(figure: Figure, page: Page, top: float) -> None:
    """One sheet below `top`, in inches: its title, its images, beside the first the name of the setting."""
    width, height = figure.get_size_inches()
    column = WHEN.index(page.place.when)
    left = _left_of(column)
    figure.text(left / width, (top - 0.14) / height, page.title, fontsize=7.5, color=style.DARK)
    if column == 0:
        middle = top - TITLE - ROWS * PICTURE / 2
        figure.text(0.02, middle / height, style.label(page.label), va="center", fontsize=8.5)
    _draw_images(figure, page, left, top - TITLE)


def _draw_images(figure: Figure, page: Page, left: float, top: float) -> None:
    """The images of a sheet in rows below (left, top), in inches."""
    for i, pixels in enumerate(page.images):
        row, place = divmod(i, COLUMNS)
        corner = (left + place * PICTURE, top - (row + 1) * PICTURE)
        draw_image(figure, pixels, corner, SHARE * PICTURE, copied=bool(page.copied[i]), frame=COPIED)


def sheets(record: object, runs: Sequence["RunDir"]) -> Sheets:
    """Samples of the first seed of each setting at the three times.

    Grey levels are those of the training images nearest to the samples: their smallest is black, their
    largest white, samples are cut to that range.

    Args:
        record: the record of a sweep.
        runs: its run directories; those without samples of images are left out.

    Raises:
        InputError: if the record is no sweep, or no run directory holds samples of images.
    """
    folders = {run.path.name: run for run in runs}
    pages = [page for group in groups(sweep_of(record)) for page in _pages(group, folders)]
    if not pages:
        raise InputError("runs: expected run directories with samples of images, got none")
    return Sheets(tuple(pages))


def _pages(group: Group, folders: dict[str, "RunDir"]) -> Iterator[Page]:
    run = group.runs[0]
    folder = folders.get(run.key)
    steps = [] if folder is None else folder.sample_steps()
    if folder is None or not steps:
        return
    for place in places(run, steps):
        page = _page(folder, place, group)
        if page is not None:
            yield page


def places(run: RunRecord, steps: Sequence[int]) -> list[Place]:
    """The snapshots at the three times: the first one not before tau_gen, the middle, the last one."""
    window = window_of(run)
    good, middle, late = WHEN
    begin = window.begin
    found = [Place(good, None, "samples never are good enough")]
    if window.is_good:
        found = [Place(good, min((step for step in steps if step >= begin.value), default=steps[-1]))]
    found.append(_middle(window, steps, middle))
    if window.end.observed:
        return [*found, Place(late, steps[-1])]
    return [*found, Place(late, steps[-1], "not yet at")]


def _middle(window: Window, steps: Sequence[int], when: str) -> Place:
    """Half way between the two times, in the logarithm of the step."""
    if not window.is_open:
        return Place(when, None, "there is no window")
    half = np.sqrt(window.begin.value * window.end.value)
    return Place(when, min(steps, key=lambda step: abs(np.log(step / half))))


def _page(folder: "RunDir", place: Place, group: Group) -> Page | None:
    """The samples kept at a step; None where they are no images."""
    if place.step is None:
        return Page(group.label, place, np.zeros((0, 1, 1)), np.zeros(0, dtype=bool))
    tensors = folder.read_samples(place.step)
    if "samples" not in tensors or tensors["samples"].ndim != 4:
        return None
    images = tensors["samples"].numpy()[: COLUMNS * ROWS]
    pixels = pixels_of(images, tensors["neighbours"].numpy())
    ratio = tensors["ratio"].numpy()[: COLUMNS * ROWS]
    return Page(group.label, place, pixels, ratio < (copy_threshold(group.runs[0]) or 0.0))
