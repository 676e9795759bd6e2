"""Generated images beside their nearest training images, early and late."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from memhorizon.experiments.rundir import RunDir
from memhorizon.figures import style
from memhorizon.figures.records import Row, groups, sweep_of, time_of
from memhorizon.results import InputError

SHOWN = 8


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

    @matplotlib.rc_context(style.THEME)
    def plot(self) -> Figure:
        """A row per setting: early on the left, late on the right; copies are framed."""
        labels = list(dict.fromkeys(sheet.label for sheet in self.sheets))
        figure = style.canvas(width=style.WIDTH + 0.8, height=0.45 + 1.2 * len(labels))
        blocks = figure.subfigures(len(labels), 2, squeeze=False, wspace=0.02)
        for sheet in self.sheets:
            column = ("early", "late").index(sheet.when)
            _block(blocks[labels.index(sheet.label), column], sheet, first=column == 0)
        return figure


def _block(block: SubFigure, sheet: Sheet, *, first: bool) -> None:
    """Two rows of pictures: generated above, nearest training image below."""
    block.suptitle(
        f"{sheet.label}, step {sheet.step:,}: {sheet.copies} of {sheet.kept} are copies", fontsize=8.5, x=0.5
    )
    panels = block.subplots(2, SHOWN, squeeze=False, gridspec_kw={"wspace": 0.06, "hspace": 0.06})
    for j in range(SHOWN):
        for i, pictures in enumerate((sheet.images, sheet.neighbours)):
            axes = panels[i, j]
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if j < len(pictures):
                _picture(axes, pictures[j], copied=bool(sheet.ratio[j] < sheet.threshold))
    if first:
        for i, name in enumerate(("generated", "nearest\ntraining")):
            panels[i, 0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)


def _picture(axes: Axes, pixels: np.ndarray, *, copied: bool) -> None:
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.spines[:].set(
        visible=True, color=style.FRAME if copied else "#bbbbbb", linewidth=2.2 if copied else 0.5
    )


def samples(record: Mapping[str, Any], runs: Sequence[RunDir]) -> Samples:
    """Samples kept early (nearest snapshot to tau_gen) and late (the last), the first seed of each setting.

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
    for group in groups(sweep_of(record)):
        run = group.runs[0]
        folder = folders.get(run["key"])
        steps = [] if folder is None else folder.sample_steps()
        if folder is None or not steps:
            continue
        early = min(steps, key=lambda step: abs(np.log(step / time_of(run["times"]["tau_gen"]).value)))
        for when, step in (("early", early), ("late", steps[-1])):
            sheet = _sheet(folder, step, run, group.label, when)
            sheets += [sheet] if sheet is not None else []
    if not sheets:
        raise InputError("runs: expected run directories with samples of images, got none")
    return Samples(tuple(sheets))


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
