"""The times against what was varied: power laws with their intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from memhorizon.errors import InputError
from memhorizon.experiments.record import varied
from memhorizon.figures import style
from memhorizon.figures.records import Row, law_of, sweep_of, time_of
from memhorizon.results import ScalingLaw, Time

CLOCKS = {"tau_gen": (style.TAU_GEN, "#31688e", "s"), "tau_mem": (style.TAU_MEM, "#440154", "o")}
TIME = ("value", "low", "high", "status")
SYMBOLS = {"n_train": "n", "width": "W", "lr": "η", "batch_size": "B"}
AXIS_NAMES = {
    "n_train": "training items n",
    "width": "network width W",
    "lr": "learning rate η",
    "batch_size": "items per step B",
}


@dataclass(frozen=True)
class Laws:
    """tau_gen and tau_mem against what was varied, with the fitted power laws."""

    record: Mapping[str, Any]

    def frame(self) -> list[Row]:
        """One row per run and clock, and per clock and factor the exponent (quantity "exponent of ...")."""
        rows: list[Row] = []
        for run in self.record["runs"]:
            about = {"n_train": run["n_train"], "seed": run["seed"]}
            about |= {factor: run.get(factor) for factor in AXIS_NAMES}
            for clock in CLOCKS:
                time = time_of(run["times"][clock])
                bounds = {name: getattr(time, name) for name in TIME}
                rows.append(about | {"quantity": clock} | bounds)
        for clock in CLOCKS:
            if (law := law_of(self.record, clock)) is not None:
                rows += [
                    {"quantity": f"exponent of {clock}", "factor": factor, "status": law.status}
                    | {"value": e.value, "low": e.low, "high": e.high}
                    for factor, e in law.exponents.items()
                ]
        return rows

    @style.drawing()
    def plot(self) -> Figure:
        """One log-log panel per factor that was varied."""
        factors = varied(self.record["runs"]) or ["n_train"]
        figure = style.canvas(width=1.1 + 3.3 * len(factors), height=3.9)
        grid = figure.subplots(1, len(factors), sharey=True, squeeze=False)[0]
        rows = [row for row in self.frame() if row["quantity"] in CLOCKS and math.isfinite(row["value"])]
        if not rows:
            raise InputError("record: expected times of at least one run, got none: none was measured")
        style.log_axis(grid[0].yaxis, min(r["value"] for r in rows), max(r["value"] for r in rows))
        for axes, factor in zip(grid, factors, strict=True):
            self._panel(axes, factor, [f for f in factors if f != factor], rows)
        grid[0].set_ylabel("training step")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", handlelength=2.4)
        return figure

    def _panel(self, axes: Axes, factor: str, others: Sequence[str], rows: Sequence[Row]) -> None:
        rows = [row for row in rows if row[factor] is not None]
        x = sorted({float(row[factor]) for row in rows})
        axes.set(xscale="log", xlabel=AXIS_NAMES[factor], xlim=(x[0] / 1.35, x[-1] * 1.35))
        axes.set_xticks(x, [style.plain_number(v) for v in x])
        axes.xaxis.set_minor_locator(NullLocator())
        for clock, (label, colour, marker) in CLOCKS.items():
            own = [row for row in rows if row["quantity"] == clock]
            _points(axes, own, factor, colour, marker, filled=clock == "tau_mem")
            law, face = law_of(self.record, clock), colour if clock == "tau_mem" else "white"
            text = f"{label} $\\propto$ {_formula(law)}" if law else f"{label} (no law fitted)"
            kind = "-" if law else "none"
            axes.plot([], [], label=text, linestyle=kind, color=colour, marker=marker, markerfacecolor=face)
            if law is not None:
                for fixed in _combinations(own, others):
                    _line(axes, law, factor, fixed, x, colour, named=clock == "tau_mem")
        if factor == "n_train":
            _guide(axes, rows, x)


def _formula(law: ScalingLaw) -> str:
    """The law in words: n^1.02 [0.9, 1.1]."""
    parts = []
    for name, e in law.exponents.items():
        value, low, high = (style.signed(v) for v in (e.value, e.low, e.high))
        parts.append(f"{SYMBOLS[name]}$^{{{value}}}$ [{low}, {high}]")
    return " ".join(parts)


def _points(axes: Axes, rows: Sequence[Row], factor: str, colour: str, marker: str, *, filled: bool) -> None:
    """Times with intervals; runs of one setting lie beside each other; censored ones are arrows."""
    face = colour if filled else "white"
    side = 1.0 if filled else -1.0
    seen: dict[Any, int] = {}
    for row in rows:
        setting = tuple(row[name] for name in AXIS_NAMES)
        place = seen[setting] = seen.get(setting, -1) + 1
        x = row[factor] * 1.025 ** (side * (0.6 + place))
        value, (low, high) = row["value"], style.ends(Time(*(row[k] for k in TIME), rule=""))
        for end, reach in ((low, value / 1.45), (high, value * 1.45)):
            arrow = {"arrowstyle": "-|>" if end is None else "-", "color": colour, "linewidth": 1.2}
            tip = reach if end is None else end
            axes.annotate("", (x, tip), (x, value), arrowprops=arrow | {"shrinkA": 0, "shrinkB": 0})
            axes.plot([x], [tip], alpha=0)  # so that the interval lies within the axes
        look: dict[str, Any] = {"marker": marker, "color": colour, "markerfacecolor": face}
        axes.plot([x], [value], linestyle="none", zorder=4, **look)


def _combinations(rows: Sequence[Row], others: Sequence[str]) -> list[dict[str, float]]:
    """The values that the other factors take together."""
    found = {tuple(float(row[name]) for name in others) for row in rows if None not in map(row.get, others)}
    return [dict(zip(others, values, strict=True)) for values in sorted(found)]


def _line(
    axes: Axes,
    law: ScalingLaw,
    factor: str,
    fixed: Mapping[str, float],
    x: Sequence[float],
    colour: str,
    *,
    named: bool,
) -> None:
    """The fitted line with the interval of the line, named by what is fixed along it."""
    grid = np.geomspace(x[0], x[-1], 40)
    line = [law.predict(**{factor: float(v)}, **fixed) for v in grid]
    style.band(
        axes, grid, np.array([e.low for e in line]), np.array([e.high for e in line]), colour, alpha=0.13
    )
    axes.plot(grid, [e.value for e in line], color=colour, linewidth=1.1)
    for name, value in fixed.items() if named else ():
        note = {
            "xytext": (9, 0),
            "textcoords": "offset points",
            "va": "center",
            "fontsize": 8,
            "color": colour,
        }
        axes.annotate(f"{SYMBOLS[name]} = {value:g}", (grid[-1], line[-1].value), **note)


def _guide(axes: Axes, rows: Sequence[Row], x: Sequence[float]) -> None:
    """A dashed line of slope 1 through the observed tau_mem, to compare with."""
    own = [row for row in rows if row["quantity"] == "tau_mem" and row["status"] == "observed"]
    if own and len(x) > 1:
        offset = np.mean([np.log(row["value"] / row["n_train"]) for row in own])
        ends = np.array([x[0], x[-1]])
        axes.plot(
            ends, np.exp(offset) * ends, color=style.GREY, linestyle=(0, (4, 3)), linewidth=1, label="slope 1"
        )


def laws(record: Any) -> Laws:
    """Both times against what was varied on logarithmic axes, with the fitted laws.

    Raises:
        InputError: if the record is no sweep.
    """
    return Laws(sweep_of(record))
