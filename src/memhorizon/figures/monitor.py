"""The course of a monitored training: verdict, losses and copies along its steps."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter

from memhorizon.errors import InputError
from memhorizon.figures import style
from memhorizon.figures.picture import Row
from memhorizon.records.monitor import Look, MonitorRecord, Phase

COLOURS = {
    Phase.CANNOT_TELL: "#d9d9d9",
    Phase.LEARNING: "#9ecae1",
    Phase.WINDOW: "#44bf70",
    Phase.MEMORIZING: "#d1330f",
}
HOLDOUT = "#440154"
TRAIN = "#21918c"
BEST = "#2a7f4f"
STRIP = 0.34  # height of the strip of verdicts, in inches
LETTERS = 0.075  # width of a letter in the strip, in inches
WIDE = 5.6  # inches of a panel that are steps


def monitor_of(record: object) -> MonitorRecord:
    """Return the record itself if it is that of a monitored training.

    Raises:
        InputError: if it is anything else.
    """
    if not isinstance(record, MonitorRecord):
        kind = type(record).__name__
        raise InputError(f"record: expected a MonitorRecord (load_record gives one), got {kind}")
    return record


def looked_at(record: object) -> MonitorRecord:
    """Return the record itself if it is that of a monitored training with at least one look.

    Raises:
        InputError: if it is anything else.
    """
    found = monitor_of(record)
    if not found.looks:
        raise InputError("record: expected looks at a training, got none")
    return found


def steps_of(looks: Sequence[Look]) -> Float[np.ndarray, " k"]:
    """Steps on a logarithmic axis, where 0 is drawn as 1."""
    return np.array([max(look.step, 1) for look in looks], dtype=float)


def column(looks: Sequence[Look], value: Callable[[Look], float]) -> Float[np.ndarray, " k"]:
    """One number of each look."""
    return np.array([value(look) for look in looks], dtype=float)


@dataclass(frozen=True)
class Course:
    """The verdict along the steps, the losses, and the share of copies with its interval."""

    record: MonitorRecord

    def frame(self) -> list[Row]:
        """One row per look: verdict, losses, share of copies with its interval and one-sided limit."""
        return [_row(look) for look in self.record.looks]

    @style.drawing()
    def plot(self) -> Figure:
        """A strip of verdicts above the losses and the copies, all on one axis of steps."""
        figure = style.canvas(style.WIDTH, 5.4)
        strip, losses, copies = figure.subplots(3, 1, sharex=True, height_ratios=[STRIP, 2.1, 2.1])
        span = span_of(steps_of(self.record.looks))
        unnamed = _draw_strip(strip, self.record.looks, span)
        self._draw_losses(losses)
        self._draw_copies(copies)
        for axes in (losses, copies):
            self._draw_best(axes)
        style.log_scale(copies.xaxis)
        copies.set_xlim(*span)
        copies.set_xlabel("training step")
        _legend(figure, (losses, copies), unnamed)
        return figure

    def _draw_losses(self, axes: Axes) -> None:
        """Held-out and training loss on fixed items and noise."""
        looks = self.record.looks
        steps = steps_of(looks)
        series = {
            "held-out loss": (column(looks, lambda look: look.holdout_loss), HOLDOUT, "o-"),
            "training loss": (column(looks, lambda look: look.train_loss), TRAIN, "s--"),
        }
        for name, (values, colour, form) in series.items():
            known = np.isfinite(values)
            if known.any():
                axes.plot(steps[known], values[known], form, color=colour, label=name)
        axes.set_ylabel("denoising loss")
        style.value_axis(axes, [value for values, _, _ in series.values() for value in values])
        if not axes.lines:
            style.without(axes, "not measured")

    def _draw_copies(self, axes: Axes) -> None:
        """Shares in per cent with their two-sided intervals, and the one-sided limits of certified looks."""
        looks = [look for look in self.record.looks if look.copies is not None]
        if looks:
            _draw_shares(axes, looks)
        else:
            style.without(axes, "no samples were drawn")
        target = 100 * self.record.target
        axes.axhline(target, color=style.FRAME, linestyle=":", linewidth=1.2, label=f"target: {target:g} %")
        axes.set_ylabel("copies, % of samples")
        _share_axis(axes, target)

    def _draw_best(self, axes: Axes) -> None:
        if self.record.best is not None:
            label = f"best: step {self.record.best.step:,}"
            axes.axvline(max(self.record.best.step, 1), color=BEST, linewidth=1.2, label=label)


def _legend(figure: Figure, panels: Sequence[Axes], unnamed: Sequence[Phase]) -> None:
    """One legend below the panels: every line once, and the verdicts that the strip has no room to name."""
    found: dict[str, Artist] = {phase.value: Patch(color=COLOURS[phase]) for phase in unnamed}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    figure.legend(found.values(), found.keys(), loc="outside lower left", ncols=3)


def _row(look: Look) -> Row:
    copies = look.copies
    return {
        "step": look.step,
        "phase": look.phase.value,
        "stop": look.stop.value,
        "train_loss": look.train_loss,
        "holdout_loss": look.holdout_loss,
        "copies": None if copies is None else copies.value,
        "low": None if copies is None else copies.low,
        "high": None if copies is None else copies.high,
        "samples": 0 if copies is None else copies.total,
        "upper": look.upper,
        "certified": look.certified,
    }


def span_of(steps: Float[np.ndarray, " k"]) -> tuple[float, float]:
    """The ends of the axis of steps: a bit beyond the looks."""
    return float(steps.min()) / 1.15, float(steps.max()) * 1.15


def _draw_strip(axes: Axes, looks: Sequence[Look], span: tuple[float, float]) -> list[Phase]:
    """A block from each look to the next one, in the colour of its verdict; equal ones are one block.

    Returns:
        The verdicts that no block has room to name.
    """
    named: set[Phase] = set()
    for phase, left, right in _blocks(looks, span):
        axes.axvspan(left, right, color=COLOURS[phase], linewidth=0)
        if _name_block(axes, phase, (left, right), span):
            named.add(phase)
    _without_axes(axes)
    return [phase for phase in COLOURS if phase not in named and any(look.phase == phase for look in looks)]


def _blocks(looks: Sequence[Look], span: tuple[float, float]) -> Iterator[tuple[Phase, float, float]]:
    """Each verdict, with the steps from which and up to which it holds."""
    steps = steps_of(looks)
    starts = [k for k in range(len(looks)) if k == 0 or looks[k].phase != looks[k - 1].phase]
    for k, following in zip(starts, [*starts[1:], None], strict=True):
        left = span[0] if k == 0 else float(steps[k])
        right = span[1] if following is None else float(steps[following])
        yield looks[k].phase, left, right


def _without_axes(axes: Axes) -> None:
    """A strip of height 1 without ticks and frame."""
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_locator(style.NullLocator())
    axes.tick_params(axis="x", which="both", length=0)
    axes.xaxis.set_major_formatter(NullFormatter())
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _name_block(axes: Axes, phase: Phase, block: tuple[float, float], span: tuple[float, float]) -> bool:
    """Write the verdict into its block, where there is room; tell whether there was."""
    inches = WIDE * math.log(block[1] / block[0]) / math.log(span[1] / span[0])
    fits = inches > LETTERS * (len(phase.value) + 1)
    if fits:
        colour = "#ffffff" if phase is Phase.MEMORIZING else "#222222"
        middle = math.sqrt(block[0] * block[1])
        axes.text(middle, 0.46, phase.value, ha="center", va="center", color=colour, fontsize=8)
    return fits


def _draw_shares(axes: Axes, looks: Sequence[Look]) -> None:
    steps = steps_of(looks)
    found = [look.copies for look in looks if look.copies is not None]
    value = np.array([100 * one.value for one in found])
    low = np.array([100 * one.low for one in found])
    high = np.array([100 * one.high for one in found])
    ends = np.stack([value - low, high - value]).clip(min=0)
    axes.errorbar(
        steps, value, yerr=ends, fmt="o-", color=HOLDOUT, elinewidth=1, capsize=2, label="share of copies"
    )
    sure = np.array([look.certified for look in looks])
    if sure.any():
        upper = 100 * column(looks, lambda look: look.upper)
        axes.plot(steps[sure], upper[sure], "v", color=BEST, label="limit of a certified look")


def _share_axis(axes: Axes, target: float) -> None:
    """Shares in per cent: evenly up to the target, logarithmically above it, so that both are seen."""
    axes.set_yscale("symlog", linthresh=target)
    steps = style.round_numbers(target, 100.0, (1.0, 3.0))
    axes.set_yticks([0.0, *steps], labels=[style.plain_number(tick) for tick in (0.0, *steps)])
    axes.yaxis.set_minor_locator(style.NullLocator())
    axes.set_ylim(-0.25 * target, max(axes.get_ylim()[1], 3 * target))


def course(record: object) -> Course:
    """The course of a monitored training: verdict, losses and copies along the steps.

    Raises:
        InputError: if it is no record of a monitored training, or has no looks.
    """
    return Course(looked_at(record))
