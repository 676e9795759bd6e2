"""Training and held-out loss at every noise level, and the gap between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memhorizon.figures import style
from memhorizon.figures.clocks import curve_rows, draw_curves, legend
from memhorizon.figures.records import Group, Row, groups, sweep_of
from memhorizon.results import InputError


@dataclass(frozen=True)
class Losses:
    """Training and held-out loss and their gap against the step, one column per diffusion time t."""

    record: Mapping[str, Any]

    def levels(self) -> list[str]:
        """The diffusion times at which losses were measured, as they stand in the names of the curves."""
        names = {name for run in self.record["runs"] for name in run["curves"]}
        return sorted({n.split("@")[1] for n in names if n.startswith("train@")}, key=float)

    def frame(self) -> list[Row]:
        """One row per point: training loss, held-out loss, gap."""
        rows: list[Row] = []
        for group in groups(self.record):
            for run in group.runs:
                about = {"label": group.label, "n_train": run["n_train"], "seed": run["seed"]}
                for t in self.levels():
                    for name in ("train", "holdout", "gap"):
                        if f"{name}@{t}" in run["curves"]:
                            points = curve_rows(run, f"{name}@{t}")
                            rows += [about | row | {"quantity": name, "t": float(t)} for row in points]
        return rows

    @matplotlib.rc_context(style.THEME)
    def plot(self) -> Figure:
        """Losses above, gaps below."""
        levels, every, rows = self.levels(), groups(self.record), self.frame()
        figure = style.canvas(width=max(4.0, 0.8 + 1.75 * len(levels)), height=4.6)
        panels = figure.subplots(2, len(levels), sharex=True, squeeze=False, height_ratios=[1.6, 1])
        for j, t in enumerate(levels):
            upper, lower = panels[:, j]
            for i, group in enumerate(every):
                _column(upper, lower, group, t, i, len(every))
            lower.axhline(0, color=style.GREY, linewidth=0.8)
            upper.set_title(f"t = {t}")
            own = [r["value"] for r in rows if r["t"] == float(t) and r["quantity"] != "gap"]
            style.value_axis(upper, own)
            lower.set_xlabel("training step")
        steps = [row["step"] for row in rows]
        style.log_axis(panels[0, 0].xaxis, min(steps), max(steps), wide=False)
        panels[0, 0].set_ylabel("loss")
        panels[1, 0].set_ylabel("held-out − training")
        legend(figure, every)
        kinds = [Line2D([], [], color="#444444", linestyle=line) for line in ("-", (0, (2, 1.2)))]
        panels[0, -1].legend(kinds, ["held-out", "training"], loc="best", handlelength=2.2)
        return figure


def _column(upper: Axes, lower: Axes, group: Group, t: str, i: int, count: int) -> None:
    draw_curves(upper, group, f"holdout@{t}", i, count, linestyle="-")
    draw_curves(upper, group, f"train@{t}", i, count, linestyle=(0, (2, 1.2)), markerfacecolor="white")
    draw_curves(lower, group, f"gap@{t}", i, count, linestyle="-")


def losses(record: Mapping[str, Any]) -> Losses:
    """Training and held-out loss at every noise level against the step.

    Raises:
        InputError: if the record is no sweep, or no losses were measured.
    """
    figure = Losses(sweep_of(record))
    if not figure.levels():
        raise InputError("record: expected curves named 'train@t', got none")
    return figure
