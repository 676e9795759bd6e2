"""The times against what was varied: power laws with their intervals, and the phase diagram of copying."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from memhorizon.figures import style
from memhorizon.figures.records import FACTOR_NAMES, Row, law_of, sweep_of, time_of
from memhorizon.results import InputError, ScalingLaw

CLOCKS = {"tau_gen": (style.TAU_GEN, "#31688e", "s"), "tau_mem": (style.TAU_MEM, "#440154", "o")}
AXIS_NAMES = {"n_train": "training items n", "width": "network width W"}


def varied(record: Mapping[str, Any]) -> list[str]:
    """Which of n_train and width take more than one value."""
    return [f for f in ("n_train", "width") if len({run.get(f) for run in record["runs"]} - {None}) > 1]


@dataclass(frozen=True)
class Laws:
    """tau_gen and tau_mem against n_train and width, with the fitted power laws."""

    record: Mapping[str, Any]

    def frame(self) -> list[Row]:
        """One row per run and clock, and per clock and factor the exponent (quantity "exponent of ...")."""
        rows: list[Row] = []
        for run in self.record["runs"]:
            about = {"n_train": run["n_train"], "width": run.get("width"), "seed": run["seed"]}
            for clock in CLOCKS:
                time = time_of(run["times"][clock])
                bounds = {"value": time.value, "low": time.low, "high": time.high, "status": time.status}
                rows.append(about | {"quantity": clock} | bounds)
        for clock in CLOCKS:
            if (law := law_of(self.record, clock)) is not None:
                rows += [
                    {"quantity": f"exponent of {clock}", "factor": factor, "status": law.status}
                    | {"value": e.value, "low": e.low, "high": e.high}
                    for factor, e in law.exponents.items()
                ]
        return rows

    @matplotlib.rc_context(style.THEME)
    def plot(self) -> Figure:
        """One log-log panel per factor that was varied."""
        factors = varied(self.record) or ["n_train"]
        figure = style.canvas(width=1.1 + 3.4 * len(factors), height=3.9)
        panels = np.atleast_1d(figure.subplots(1, len(factors), sharey=True))
        for axes, factor in zip(panels, factors, strict=True):
            self._panel(axes, factor, [f for f in factors if f != factor])
        panels[0].set_ylabel("training step")
        return figure

    def _panel(self, axes: Axes, factor: str, others: Sequence[str]) -> None:
        rows = [row for row in self.frame() if row["quantity"] in CLOCKS and row[factor] is not None]
        x = sorted({float(row[factor]) for row in rows})
        values = [row["value"] for row in rows]
        style.log_axis(axes.yaxis, min(values), max(values))
        axes.set_xscale("log")
        axes.set_xticks(x, [style.plain_number(v) for v in x])
        axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        axes.set_xlim(x[0] / 1.35, x[-1] * 1.35)
        axes.set_xlabel(AXIS_NAMES[factor])
        for clock, (label, colour, marker) in CLOCKS.items():
            own = [row for row in rows if row["quantity"] == clock]
            _points(axes, own, factor, colour, marker, filled=clock == "tau_mem")
            law = law_of(self.record, clock)
            if law is not None:
                axes.plot([], [], color=colour, marker=marker, label=f"{label} $\\propto$ {_formula(law)}",
                          markerfacecolor=colour if clock == "tau_mem" else "white")  # fmt: skip
                for fixed in _combinations(own, others):
                    _line(axes, law, factor, fixed, x, colour)
            else:
                axes.plot([], [], color=colour, marker=marker, linestyle="none", label=f"{label} (no law fitted)",
                          markerfacecolor=colour if clock == "tau_mem" else "white")  # fmt: skip
        if factor == "n_train":
            _guide(axes, rows, x)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), handlelength=2.4)


def _formula(law: ScalingLaw) -> str:
    """The law in words: n^1.02 [0.9, 1.1]."""
    parts = []
    for name, e in law.exponents.items():
        parts.append(
            f"{FACTOR_NAMES[name]}$^{{{e.value:.2f}}}$ [{e.low:.2f}, {e.high:.2f}]".replace("-", "−")
        )
    return " ".join(parts).replace("width", "W")


def _points(axes: Axes, rows: Sequence[Row], factor: str, colour: str, marker: str, *, filled: bool) -> None:
    """Times with intervals; runs of one setting lie beside each other; censored ones are arrows."""
    face = colour if filled else "white"
    side = 1.0 if filled else -1.0
    seen: dict[float, int] = {}
    for row in rows:
        place = seen[row[factor]] = seen.get(row[factor], -1) + 1
        x = row[factor] * 1.03 ** (side * (0.5 + place))
        low, high = row["low"], row["high"]
        if row["status"] == "observed":
            bottom, top = axes.get_ylim() if not np.isfinite(high) or low <= 0 else (low, high)
            axes.plot([x, x], [max(low, bottom), min(high, top)], color=colour, linewidth=1.2)
        else:
            reach = 1.45 if row["status"] == "not reached" else 1 / 1.45
            arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", (x, row["value"] * reach), (x, row["value"]), arrowprops=arrow)
            axes.plot([x], [row["value"] * reach], alpha=0)  # so that the arrow lies within the axes
        axes.plot(
            [x], [row["value"]], marker=marker, color=colour, markerfacecolor=face, linestyle="none", zorder=4
        )


def _combinations(rows: Sequence[Row], others: Sequence[str]) -> list[dict[str, float]]:
    """The values that the other factors take together."""
    found = {tuple(float(row[name]) for name in others) for row in rows}
    return [dict(zip(others, values, strict=True)) for values in sorted(found)]


def _line(
    axes: Axes, law: ScalingLaw, factor: str, fixed: Mapping[str, float], x: Sequence[float], colour: str
) -> None:
    """The fitted line with the interval of the line."""
    grid = np.geomspace(x[0], x[-1], 40)
    line = [law.predict(**{factor: float(v)}, **fixed) for v in grid]
    style.band(
        axes, grid, np.array([e.low for e in line]), np.array([e.high for e in line]), colour, alpha=0.13
    )
    axes.plot(grid, [e.value for e in line], color=colour, linewidth=1.1)


def _guide(axes: Axes, rows: Sequence[Row], x: Sequence[float]) -> None:
    """A dashed line of slope 1 through the observed tau_mem, to compare with."""
    own = [row for row in rows if row["quantity"] == "tau_mem" and row["status"] == "observed"]
    if own and len(x) > 1:
        offset = np.mean([np.log(row["value"] / row["n_train"]) for row in own])
        ends = np.array([x[0], x[-1]])
        axes.plot(
            ends, np.exp(offset) * ends, color=style.GREY, linestyle=(0, (4, 3)), linewidth=1, label="slope 1"
        )


def laws(record: Mapping[str, Any]) -> Laws:
    """Both times against n_train and width on logarithmic axes, with the fitted laws.

    Raises:
        InputError: if the record is no sweep.
    """
    return Laws(sweep_of(record))


COPIED, PARTLY, CLEAN, UNKNOWN = "copied", "some seeds", "not copied", "censored"
CELLS = {
    COPIED: ("#440154", ""),
    PARTLY: ("#8a6aa0", ""),
    CLEAN: ("#e9e3c4", ""),
    UNKNOWN: ("#ffffff", "////"),
}


@dataclass(frozen=True)
class Phase:
    """Whether a network copies at multiples of its own tau_gen, over n_train and width."""

    record: Mapping[str, Any]
    multiples: tuple[float, ...] = (1.0, 3.0, 8.0)

    def frame(self) -> list[Row]:
        """One row per cell and multiple: how many of its runs have copied by then, have not, or are censored."""
        cells: dict[tuple[float, float], list[Mapping[str, Any]]] = {}
        for run in self.record["runs"]:
            cells.setdefault((run["n_train"], run["width"]), []).append(run)
        rows: list[Row] = []
        for multiple in self.multiples:
            for (n, width), runs in sorted(cells.items()):
                states = [self._state(run, multiple) for run in runs]
                counts = {state: states.count(state) for state in (COPIED, CLEAN, UNKNOWN)}
                rows.append({"multiple": multiple, "n_train": n, "width": width} | counts)
        return rows

    @staticmethod
    def _state(run: Mapping[str, Any], multiple: float) -> str:
        """Copied by `multiple` times tau_gen, not yet, or not looked at that long."""
        gen, mem = time_of(run["times"]["tau_gen"]), time_of(run["times"]["tau_mem"])
        if gen.status == "not reached":
            return UNKNOWN
        moment = multiple * gen.value
        if mem.status != "not reached":
            return COPIED if mem.value <= moment else CLEAN if gen.observed else UNKNOWN
        return CLEAN if moment <= mem.value and gen.observed else UNKNOWN

    @matplotlib.rc_context(style.THEME)
    def plot(self) -> Figure:
        """One map per multiple of tau_gen; hatched where runs ended before, or tau_gen is not known."""
        rows = self.frame()
        n = sorted({row["n_train"] for row in rows})
        widths = sorted({row["width"] for row in rows})
        figure = style.canvas(height=1.5 + 0.42 * len(n))
        panels = np.atleast_1d(figure.subplots(1, len(self.multiples), sharey=True))
        for axes, multiple in zip(panels, self.multiples, strict=True):
            for row in (row for row in rows if row["multiple"] == multiple):
                _cell(axes, widths.index(row["width"]), n.index(row["n_train"]), row)
            axes.set(xlim=(-0.5, len(widths) - 0.5), ylim=(-0.5, len(n) - 0.5), xlabel=AXIS_NAMES["width"])
            axes.set_xticks(range(len(widths)), [f"{w:g}" for w in widths])
            times = "" if multiple == 1 else f"{multiple:g} "
            axes.set_title(f"at {times}{style.TAU_GEN}")
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)
        panels[0].set_yticks(range(len(n)), [f"{value:g}" for value in n])
        panels[0].set_ylabel(AXIS_NAMES["n_train"])
        handles = [Patch(facecolor=c, hatch=h, edgecolor="#555555", linewidth=0.6) for c, h in CELLS.values()]
        figure.legend(handles, list(CELLS), loc="outside upper center", ncols=4)
        return figure


def _cell(axes: Axes, x: int, y: int, row: Row) -> None:
    """One cell with its count of runs that have copied, of those that are known."""
    known = row[COPIED] + row[CLEAN]
    state = UNKNOWN if known == 0 else COPIED if row[COPIED] == known else PARTLY if row[COPIED] else CLEAN
    colour, _ = CELLS[state]
    hatch = CELLS[UNKNOWN][1] if row[UNKNOWN] else ""
    box = matplotlib.patches.Rectangle(
        (x - 0.48, y - 0.47), 0.96, 0.94, facecolor=colour, edgecolor="#999999", hatch=hatch, linewidth=0.5
    )
    axes.add_patch(box)
    if known:
        ink = "white" if state in (COPIED, PARTLY) else "#222222"
        axes.text(x, y, f"{row[COPIED]}/{known}", ha="center", va="center", color=ink, fontsize=8)


def phase(record: Mapping[str, Any], *, multiples: tuple[float, ...] = (1.0, 3.0, 8.0)) -> Phase:
    """Who has copied at these multiples of its own tau_gen, over n_train and width.

    Raises:
        InputError: if the record is no sweep, a run has no width, or a multiple is not positive.
    """
    if any(run.get("width") is None for run in sweep_of(record)["runs"]):
        raise InputError("record: expected runs of networks with a width, got some without")
    if not multiples or min(multiples) <= 0:
        raise InputError(f"multiples: expected positive numbers, got {multiples}")
    return Phase(record, multiples)
