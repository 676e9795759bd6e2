"""tau_gen and tau_mem of every run, and whether the curves fall together when the step is divided by n."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memhorizon.errors import InputError
from memhorizon.figures import style
from memhorizon.figures.records import (
    Group,
    Row,
    curve_of,
    estimate_of,
    groups,
    has_time,
    known_curve,
    known_curves,
    level_of,
    null_of,
    panels,
    quality_name,
    sweep_of,
    time_of,
)
from memhorizon.results import Curve

QUALITY_LABELS = {
    "holdout": "held-out loss",
    "score_error": "score error",
    "frechet": "Fréchet distance",
    "kl": "KL divergence",
}
NOTHING: Row = {"step": []}  # of a curve that was not measured
LEVEL: Row = {"color": style.GREY, "linewidth": 0.8, "zorder": 0.6}  # below every curve


def quality_label(record: Mapping[str, Any]) -> str:
    """The quality that tau_gen is read from, in words."""
    rules = record["rules"]
    label = QUALITY_LABELS.get(rules["quality"], str(rules["quality"]))
    return f"{label} (t = {rules['t']:g})" if has_time(rules) else label


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
                    rows += [about | row for row in curve_rows(run, name)] if name in run["curves"] else []
                for clock in ("tau_gen", "tau_mem"):
                    time = time_of(run["times"][clock])
                    bounds = {"value": time.value, "low": time.low, "high": time.high}
                    rows.append(about | {"quantity": clock, "status": time.status} | bounds)
        return rows

    @style.drawing()
    def plot(self) -> Figure:
        """Three panels on one axis of steps: quality, memorized fraction, and the times with intervals."""
        every, quality = groups(self.record), quality_name(self.record)
        columns, looks = panels(every), style.looks(g.series for g in every)
        steps = self._steps()
        seeds = max(len(g.runs) for g in every)
        lanes = 0.3 + len(looks) * max(0.28, 0.15 * seeds)
        figure = style.canvas(width=max(style.WIDTH, 1.2 + 2.1 * len(columns)), height=3.9 + lanes)
        grid = figure.subplots(
            3, len(columns), sharex=True, sharey="row", squeeze=False, height_ratios=[2.1, 2.1, lanes]
        )
        for (title, own), (top, middle, bottom) in zip(columns.items(), grid.T, strict=True):
            top.set_title(style.label(title))
            for group in own:
                draw_curves(top, group, quality, looks[group.series])
                draw_curves(middle, group, "memorized", looks[group.series])
            self._quality_level(top, named=top is grid[0, -1])
            self._copy_level(middle, named=top is grid[0, -1])
            _lanes(bottom, own, looks, seeds, quality)
            bottom.set_xlabel("training step")
        grid[0, 0].set_ylabel(style.label(quality_label(self.record)))
        style.value_axis(grid[0, 0], [v for c in self._curves(quality) for v in c.value])
        grid[1, 0].set(ylabel="memorized fraction", ylim=(-0.02, None))
        for row, name in ((grid[0], quality), (grid[1], "memorized")):
            if not self._curves(name):
                style.without(row[0], "not measured")
        grid[2, 0].set_ylim((len(looks) - 0.5, -0.5))
        style.log_axis(grid[2, 0].xaxis, min(steps), max(steps), wide=len(columns) == 1)
        grid[2, 0].set_xlim(min(steps) * 0.62, max(steps) * 1.6)
        legend(figure, every)
        _legend_of_times(grid[2, -1])
        return figure

    def _curves(self, name: str) -> list[Curve]:
        return known_curves(self.record["runs"], name)

    def _steps(self) -> list[float]:
        """All steps of the curves that are drawn."""
        curves = self._curves(quality_name(self.record)) + self._curves("memorized")
        if not curves:
            raise InputError("record: expected curves of quality or of the memorized fraction, got none")
        return [step for curve in curves for step in curve.step.tolist()]

    def _quality_level(self, axes: Axes, *, named: bool) -> None:
        """Mark the level at which tau_gen is read."""
        level = level_of(self.record)
        if level is None:
            return
        axes.axhline(level, **LEVEL)
        if named:
            _note(axes, level, f"level of {style.TAU_GEN}")

    def _copy_level(self, axes: Axes, *, named: bool) -> None:
        """Mark the null, and the level at which tau_mem is read; both lie below the curves."""
        measured = [run for run in self.record["runs"] if "memorized" in run["curves"]]
        nulls = [null_of(run) for run in measured]
        if not nulls:
            return
        axes.axhspan(min(nulls), max(nulls), color=style.GREY, linewidth=4, alpha=0.3, zorder=0.5)
        height = self.record["rules"]["memorized"]
        for null in set(nulls):
            axes.axhline(null + height, **LEVEL)
        if named:
            _note(axes, max(nulls) + height, f"level of {style.TAU_MEM}")
            _note(axes, max(nulls), "null: held-out items")


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
    axes: Axes, group: Group, name: str, look: Mapping[str, Any], *, divisor: float = 1.0
) -> None:
    """Draw a curve of all runs of a group, with intervals, against the step over a divisor."""
    for run in group.runs:
        c = known_curve(run, name)
        if c is not None:
            style.band(
                axes, c.step / divisor, c.low, c.high, look["color"], alpha=0.16 / len(group.runs) ** 0.5
            )
            axes.plot(c.step / divisor, c.value, **look, markersize=2.8)


def legend(figure: Figure, every: Sequence[Group]) -> None:
    """One entry per series, above the panels."""
    looks = style.looks(g.series for g in every)
    handles = [Line2D([], [], **look) for look in looks.values()]
    counts = [len(g.runs) for g in every]
    few, many = min(counts), max(counts)
    seeds = f"{many} seeds each" if few == many else f"{few} to {many} seeds each"
    title = seeds if many > 1 else None
    columns = max(1, min(len(looks), 90 // (max(map(len, looks)) + 8)))
    names = [style.label(name) for name in looks]
    place: Row = {"loc": "outside upper center", "ncols": columns}
    figure.legend(handles, names, handlelength=3.2, title=title, title_fontsize=8.5, **place)


def _lanes(
    axes: Axes,
    every: Sequence[Group],
    looks: Mapping[str, Mapping[str, Any]],
    seeds: int,
    quality: str,
) -> None:
    """The times of all runs with intervals: a lane per series, a line per seed, tau_gen above tau_mem."""
    names = list(looks)
    for group in every:
        for j, run in enumerate(group.runs):
            steps = [s for name in ("memorized", quality) for s in run["curves"].get(name, NOTHING)["step"]]
            if not steps:
                continue
            at = names.index(group.series) + 0.64 * ((j + 0.5) / seeds - 0.5)
            for clock, shift in (("tau_gen", -0.13 / seeds), ("tau_mem", 0.13 / seeds)):
                time = time_of(run["times"][clock])
                style.clock(
                    axes,
                    at + shift,
                    time,
                    min(steps),
                    max(steps),
                    looks[group.series],
                    filled=clock == "tau_mem",
                )
    axes.set_yticks(range(len(names)), [style.label(name) for name in names])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)


def _legend_of_times(axes: Axes) -> None:
    grey: dict[str, Any] = {"color": "#444444", "marker": "o", "markersize": 5, "linewidth": 1.6}
    handles = [Line2D([], [], markerfacecolor="white", **grey), Line2D([], [], **grey)]
    names = [style.TAU_GEN, style.TAU_MEM]
    axes.legend(handles, names, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.8)


@dataclass(frozen=True)
class Collapse:
    """Memorized fraction against the step, and against the step divided by n, or by n/W where W is varied."""

    record: Mapping[str, Any]

    @property
    def by_width(self) -> bool:
        """Whether the width is varied as well, so that the unit of time is n/W."""
        widths = {run.get("width") for run in self.record["runs"]}
        return len(widths) > 1 and None not in widths

    def divisor(self, run: Mapping[str, Any]) -> float:
        """n, or n/W where W is varied."""
        return run["n_train"] / (run["width"] if self.by_width else 1)

    def frame(self) -> list[Row]:
        """One row per point, with the step and the step divided by n or n/W."""
        return [
            {"label": g.label, "n_train": run["n_train"], "width": run.get("width"), "seed": run["seed"]}
            | row
            | {"rescaled": row["step"] / self.divisor(run)}
            for g in groups(self.record)
            for run in g.runs
            if "memorized" in run["curves"]
            for row in curve_rows(run, "memorized")
        ]

    @style.drawing()
    def plot(self) -> Figure:
        """Two panels with one vertical axis; one pair below the other where settings do not fit into one."""
        frame = self.frame()
        if not frame:
            raise InputError("record: expected curves of the memorized fraction, got none")
        every = groups(self.record)
        rows, looks = panels(every), style.looks(g.series for g in every)
        figure = style.canvas(height=0.5 + 2.6 * len(rows))
        grid = figure.subplots(len(rows), 2, sharex="col", sharey=True, squeeze=False)
        for (title, own), pair in zip(rows.items(), grid, strict=True):
            for axes, scaled in zip(pair, (False, True), strict=True):
                for group in own:
                    divisor = self.divisor(group.runs[0]) if scaled else 1.0
                    draw_curves(axes, group, "memorized", looks[group.series], divisor=divisor)
                words = self.quality(short=pair[0] is not grid[0, 0]) if scaled else "as trained"
                axes.set_title(", ".join(filter(None, [style.label(title), words])))
            pair[0].set_ylabel("memorized fraction")
        unit = "step · W / n" if self.by_width else "step / n"
        for axes, name, words in zip(grid[-1], ("step", "rescaled"), ("step", unit), strict=True):
            values = [row[name] for row in frame]
            style.log_axis(axes.xaxis, min(values), max(values))
            axes.set_xlabel(f"training {words}")
        legend(figure, every)
        return figure

    def quality(self, *, short: bool) -> str:
        """How the time is divided and, where not short, how well the curves fall together."""
        unit, key = ("n/W", "steps * width / n_train") if self.by_width else ("n", "steps / n_train")
        found = self.record.get("collapse", {}).get(key)
        if short or not found or found.get("value") is None:
            return f"divided by {unit}"
        e = estimate_of(found)
        gap = "\n" if self.by_width else " "
        return f"divided by {unit}:{gap}spread left {e.value:.2f} [{e.low:.2f}, {e.high:.2f}]"


def clocks(record: Any) -> Clocks:
    """Quality and memorized fraction against the step, with both times.

    Raises:
        InputError: if the record is no sweep.
    """
    return Clocks(sweep_of(record))


def collapse(record: Any) -> Collapse:
    """Memorized fraction against the step and the step divided by n, or by n/W where W is varied.

    Raises:
        InputError: if the record is no sweep.
    """
    return Collapse(sweep_of(record))
