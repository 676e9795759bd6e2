"""Generated images beside their nearest training images, early and late."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.errors import InputError
from memhorizon.experiments.run_directory import RunDir
from memhorizon.figures import style
from memhorizon.figures.records import Row, groups, sweep_of, time_of

SHOWN = 8  # pictures in a row
SETTINGS = 4  # blocks at most
LEFT, MIDDLE, TITLE = 0.72, 0.25, 0.26  # inches: row names, gap between early and late, line of a block


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


@dataclass(frozen=True)
class Samples:
    """Generated images beside their nearest training images."""

    sheets: tuple[Sheet, ...]

    def frame(self) -> list[Row]:
        """One row per sample shown: its ratio, and whether it counts as a copy."""
        return [
            {"label": s.label, "n_train": s.n_train, "when": s.when, "step": s.step, "rank": rank}
            | {"ratio": float(ratio), "copied": bool(ratio < s.threshold)}
            for s in self.sheets
            for rank, ratio in enumerate(s.ratio)
        ]

    @style.drawing()
    def plot(self) -> Figure:
        """A block per setting: early on the left, late on the right; copies are framed."""
        labels = list(dict.fromkeys(sheet.label for sheet in self.sheets))
        size = (style.WIDTH - LEFT - MIDDLE - 0.05) / (2 * SHOWN)  # of a picture, in inches
        block = TITLE + 2 * size + 0.12
        height = block * len(labels) + 0.05
        figure = Figure(figsize=(style.WIDTH, height))
        for sheet in self.sheets:
            left = LEFT if sheet.when == "early" else LEFT + SHOWN * size + MIDDLE
            top = height - block * labels.index(sheet.label) - TITLE
            _block(figure, sheet, left, top, size)
        return figure


def _block(figure: Figure, sheet: Sheet, left: float, top: float, size: float) -> None:
    """Two rows of pictures below (left, top), in inches: generated above, nearest training image below."""
    width, height = figure.get_size_inches()
    count = f"{sheet.copies} of {sheet.kept} copies"
    title = f"{style.label(sheet.label)}, {sheet.when}: step {sheet.step:,}, {count}"
    figure.text(left / width, (top + 0.06) / height, title, fontsize=8)
    for i, (name, pictures) in enumerate(
        (("generated", sheet.images), ("nearest\ntraining", sheet.neighbours))
    ):
        bottom = top - (i + 1) * size
        if sheet.when == "early":
            at = (bottom + size / 2) / height
            figure.text((LEFT - 0.08) / width, at, name, ha="right", va="center", fontsize=8)
        for j, pixels in enumerate(pictures):
            place = [(left + j * size) / width, bottom / height, 0.9 * size / width, 0.9 * size / height]
            axes = figure.add_axes((place[0], place[1], place[2], place[3]))
            _picture(axes, pixels, copied=bool(sheet.ratio[j] < sheet.threshold))


def _picture(axes: Axes, pixels: np.ndarray, *, copied: bool) -> None:
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    colour, line = (style.FRAME, 2.0) if copied else ("#bbbbbb", 0.5)
    axes.spines[:].set(visible=True, color=colour, linewidth=line)


def shows_images(run: RunDir) -> bool:
    """Whether a run directory holds samples that can be drawn: those of a mixture are vectors."""
    kept = (run.read_samples(step) for step in run.sample_steps())
    return any("samples" in tensors and tensors["samples"].ndim == 4 for tensors in kept)


def samples(record: Any, runs: Sequence[RunDir]) -> Samples:
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
    sheets: list[Sheet] = []
    every = groups(sweep_of(record))
    for i in np.unique(np.linspace(0, len(every) - 1, SETTINGS).round().astype(int)):
        group = every[i]
        run = group.runs[0]
        folder = folders.get(run["key"])
        steps = [] if folder is None else folder.sample_steps()
        if folder is None or not steps:
            continue
        for when, step in (("early", _early(run, steps)), ("late", steps[-1])):
            sheet = _sheet(folder, step, run, group.label, when)
            sheets += [sheet] if sheet is not None else []
    if not sheets:
        raise InputError("runs: expected run directories with samples of images, got none")
    return Samples(tuple(sheets))


def _early(run: Mapping[str, Any], steps: Sequence[int]) -> int:
    """The snapshot nearest to the best quality; the first one where no such time is known."""
    best = time_of(run["times"].get("others", {}).get("argmin") or run["times"]["tau_gen"])
    return min(steps, key=lambda step: abs(np.log(step / best.value))) if best.known else steps[0]


def _sheet(folder: RunDir, step: int, run: Mapping[str, Any], label: str, when: str) -> Sheet | None:
    tensors = folder.read_samples(step)
    if tensors.keys() < {"samples", "neighbours", "ratio"} or tensors["samples"].ndim != 4:
        return None
    ratio = tensors["ratio"].numpy()
    order = np.argsort(ratio, kind="stable")[:SHOWN]
    neighbours = tensors["neighbours"].numpy()
    low, high = float(neighbours.min()), float(neighbours.max())
    threshold = run["config"]["measure"]["threshold"]
    return Sheet(
        label, run["n_train"], when, step,
        _pixels(tensors["samples"].numpy()[order], low, high), _pixels(neighbours[order], low, high),
        ratio[order], threshold, len(ratio), int((ratio < threshold).sum()),
    )  # fmt: skip


def _pixels(items: np.ndarray, low: float, high: float) -> np.ndarray:
    """Channels last (one channel: none), range [low, high] to [0, 1]."""
    scaled = np.clip((items - low) / max(high - low, 1e-9), 0, 1)
    return scaled[:, 0] if scaled.shape[1] == 1 else np.moveaxis(scaled[:, :3], 1, -1)
