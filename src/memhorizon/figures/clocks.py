"""The two clocks of every run, and whether they fall together when the step is divided by n."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memhorizon.figures import style
from memhorizon.figures.records import (
    Group,
    Row,
    curve_of,
    estimate_of,
    groups,
    null_of,
    quality_name,
    sweep_of,
    time_of,
)
from memhorizon.measure.timescales import quality_level

QUALITY_LABELS = {"holdout": "held-out loss", "score_error": "score error", "frechet": "Fréchet distance"}


def quality_label(record: Mapping[str, Any]) -> str:
    """The quality that tau_gen is read from, in words."""
    rules = record["rules"]
    label = QUALITY_LABELS.get(rules["quality"], rules["quality"])
    return label if rules.get("t") is None else f"{label} (t = {rules['t']:g})"


@dataclass(frozen=True)
class Clocks:
    """Quality and memorized fraction against the training step, with tau_gen and tau_mem."""

    record: Mapping[str, Any]

    def frame(self) -> list[Row]:
        """One row per point of a curve and one per time, all intervals included."""
        rows: list[Row] = []
        for group in groups(self.record):
            for run in group.runs:
                about = {"label": group.label, "n_train": run["n_train"], "seed": run["seed"]}
                for name in (quality_name(self.record), "memorized"):
                    rows += [about | row for row in curve_rows(run, name)]
                for clock in ("tau_gen", "tau_mem"):
                    time = time_of(run["times"][clock])
                    bounds = {"value": time.value, "low": time.low, "high": time.high}
                    rows.append(about | {"quantity": clock, "status": time.status} | bounds)
        return rows

    @matplotlib.rc_context(style.THEME)
    def plot(self) -> Figure:
        """Three panels on one axis of steps: quality, memorized fraction, and the times with intervals."""
        every = groups(self.record)
        lanes = sum(0.18 * max(len(g.runs), 2) for g in every)
        figure = style.canvas(height=4.4 + lanes)
        top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[2.1, 2.1, 0.45 + lanes])
        quality = quality_name(self.record)
        for i, group in enumerate(every):
            draw_curves(top, group, quality, i, len(every))
            draw_curves(middle, group, "memorized", i, len(every))
        self._levels(top, middle)
        _lanes(bottom, every)
        top.set_ylabel(quality_label(self.record))
        style.value_axis(top, [v for g in every for r in g.runs for v in curve_of(r, quality).value])
        middle.set_ylabel("memorized fraction")
        middle.set_ylim(bottom=-0.02)
        steps = [s for g in every for r in g.runs for s in curve_of(r, "memorized").step]
        style.log_axis(bottom.xaxis, min(steps), max(steps))
        bottom.set_xlim(min(steps) * 0.62, max(steps) * 1.6)
        bottom.set_xlabel("training step")
        legend(figure, every)
        return figure

    def _levels(self, top: Axes, middle: Axes) -> None:
        """Mark the levels at which the two times are read, and the null."""
        rules, runs = self.record["rules"], self.record["runs"]
        quality = [curve_of(run, quality_name(self.record)) for run in runs]
        level = quality_level(quality, tolerance=rules["tolerance"])
        top.axhline(level, color=style.GREY, linewidth=0.8)
        nulls = [null_of(run) for run in runs]
        middle.axhspan(min(nulls), max(nulls) + 1e-4, color=style.GREY, linewidth=1.2, alpha=0.5)
        for null in set(nulls):
            middle.axhline(null + rules["memorized"], color=style.GREY, linewidth=0.8)
        _note(top, level, f"level of {style.TAU_GEN}")
        _note(middle, max(nulls) + rules["memorized"], f"level of {style.TAU_MEM}")
        _note(middle, max(nulls), "null: held-out items")


def _note(axes: Axes, at: float, text: str) -> None:
    """Name a level, to the right of the panel."""
    frame = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    axes.annotate(text, (1, at), xytext=(4, 0), va="center", fontsize=8, color="#555555", **frame)


def curve_rows(run: Mapping[str, Any], name: str) -> list[Row]:
    """The points of a curve as rows."""
    c = curve_of(run, name)
    columns = zip(c.step.tolist(), c.value.tolist(), c.low.tolist(), c.high.tolist(), strict=True)
    return [{"quantity": name, "step": s, "value": v, "low": lo, "high": hi} for s, v, lo, hi in columns]


def draw_curves(
    axes: Axes, group: Group, name: str, i: int, count: int, *, divisor: float = 1.0, **changes: Any
) -> None:
    """Draw a curve of all runs of a group with their intervals, in the look of the i-th group."""
    look = style.look(i, count) | changes
    for run in group.runs:
        if name in run["curves"]:
            c = curve_of(run, name)
            style.band(
                axes, c.step / divisor, c.low, c.high, look["color"], alpha=0.16 / len(group.runs) ** 0.5
            )
            axes.plot(c.step / divisor, c.value, **look, markersize=2.8)


def legend(figure: Figure, every: list[Group]) -> None:
    """One line per group, above the panels."""
    handles = [Line2D([], [], **style.look(i, len(every))) for i in range(len(every))]
    labels = [g.label + (f" ({len(g.runs)} seeds)" if len(g.runs) > 1 else "") for g in every]
    longest = max(len(label) for label in labels)
    columns = max(1, min(len(every), 90 // (longest + 8)))
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, handlelength=3.2)


def _lanes(axes: Axes, every: list[Group]) -> None:
    """The times of all runs with intervals: a lane per group, a line per seed, tau_gen above tau_mem."""
    ticks, at = [], 0.0
    for i, group in enumerate(every):
        start = at
        for run in group.runs:
            steps = curve_of(run, "memorized").step
            for clock, shift in (("tau_gen", -0.16), ("tau_mem", 0.16)):
                time, colour = time_of(run["times"][clock]), style.colours(len(every))[i]
                first, last = float(steps[0]), float(steps[-1])
                style.clock(axes, at + shift, time, first, last, colour=colour, filled=clock == "tau_mem")
            at += 0.75
        ticks.append((start + at - 0.75) / 2)
        at += 0.5
    axes.set_yticks(ticks, [group.label for group in every])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(at - 0.6, -0.6)
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    grey = {"color": "#444444", "marker": "o", "markersize": 5, "linewidth": 1.6}
    handles = [Line2D([], [], markerfacecolor="white", **grey), Line2D([], [], **grey)]
    axes.legend(
        handles,
        [style.TAU_GEN, style.TAU_MEM],
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        handlelength=1.8,
    )


@dataclass(frozen=True)
class Collapse:
    """Memorized fraction against the step, and against the step divided by n_train."""

    record: Mapping[str, Any]

    def frame(self) -> list[Row]:
        """One row per point, with the step and the step divided by n_train."""
        return [
            {"label": g.label, "n_train": run["n_train"], "seed": run["seed"], **row}
            | {"rescaled": row["step"] / run["n_train"]}
            for g in groups(self.record)
            for run in g.runs
            for row in curve_rows(run, "memorized")
        ]

    @matplotlib.rc_context(style.THEME)
    def plot(self) -> Figure:
        """Two panels with one vertical axis."""
        every = groups(self.record)
        figure = style.canvas(height=3.1)
        panels = figure.subplots(1, 2, sharey=True)
        for axes, scaled in zip(panels, (False, True), strict=True):
            for i, group in enumerate(every):
                divisor = float(group.n_train) if scaled else 1.0
                draw_curves(axes, group, "memorized", i, len(every), divisor=divisor)
            rows = [row["rescaled" if scaled else "step"] for row in self.frame()]
            style.log_axis(axes.xaxis, min(rows), max(rows))
            axes.set_xlabel("training step / n" if scaled else "training step")
        panels[0].set_ylabel("memorized fraction")
        panels[0].set_title("as trained")
        panels[1].set_title(self.quality())
        legend(figure, every)
        return figure

    def quality(self) -> str:
        """How well the curves fall together, in words."""
        found = self.record.get("collapse", {}).get("steps / n_train")
        if not found or found.get("value") is None:
            return "divided by n"
        e = estimate_of(found)
        return f"divided by n: spread left {e.value:.2f} [{e.low:.2f}, {e.high:.2f}]"


def clocks(record: Mapping[str, Any]) -> Clocks:
    """Quality and memorized fraction against the step, with both times.

    Raises:
        InputError: if the record is no sweep.
    """
    return Clocks(sweep_of(record))


def collapse(record: Mapping[str, Any]) -> Collapse:
    """Memorized fraction against step and step / n_train.

    Raises:
        InputError: if the record is no sweep.
    """
    return Collapse(sweep_of(record))
