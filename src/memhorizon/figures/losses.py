"""Training and held-out loss at every noise level, and the gap between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memhorizon.errors import InputError
from memhorizon.figures import style
from memhorizon.figures.clocks import curve_rows, draw_curves, legend
from memhorizon.figures.records import Group, Row, groups, panels, sweep_of

HOLDOUT, TRAIN = "-", (0, (2, 1.2))


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

    def columns(self) -> list[tuple[str, str, list[Group]]]:
        """Title, diffusion time and groups of each column: all t, or where groups fill panels, one t."""
        levels, found = self.levels(), panels(groups(self.record))
        if len(found) == 1:
            return [(f"t = {t}", t, own) for t in levels for own in found.values()]
        chosen = f"{self.record['rules'].get('t') or 0:g}"
        t = chosen if chosen in levels else levels[0]
        return [(title, t, own) for title, own in found.items()]

    @style.drawing()
    def plot(self) -> Figure:
        """Losses above, gaps below."""
        columns, every, rows = self.columns(), groups(self.record), self.frame()
        looks = style.looks(g.series for g in every)
        figure = style.canvas(width=max(4.0, 0.8 + 1.75 * len(columns)), height=4.6)
        grid = figure.subplots(2, len(columns), sharex=True, squeeze=False, height_ratios=[1.6, 1])
        for (title, t, own), (upper, lower) in zip(columns, grid.T, strict=True):
            for group in own:
                look = looks[group.series]
                draw_curves(upper, group, f"holdout@{t}", style.altered(look, linestyle=HOLDOUT))
                draw_curves(
                    upper, group, f"train@{t}", style.altered(look, linestyle=TRAIN, markerfacecolor="white")
                )
                draw_curves(lower, group, f"gap@{t}", style.altered(look, linestyle=HOLDOUT))
            lower.axhline(0, color=style.GREY, linewidth=0.8)
            upper.set_title(style.label(title))
            values = [r["value"] for r in rows if r["t"] == float(t) and r["quantity"] != "gap"]
            style.value_axis(upper, values)
            lower.set_xlabel("training step")
        steps = [row["step"] for row in rows]
        style.log_axis(grid[0, 0].xaxis, min(steps), max(steps), wide=False)
        same = {t for _, t, _ in columns} if len(columns) > 1 else set()
        grid[0, 0].set_ylabel(f"loss (t = {same.pop()})" if len(same) == 1 else "loss")
        grid[1, 0].set_ylabel("held-out − training")
        legend(figure, every)
        kinds = [Line2D([], [], color="#444444", linestyle=line) for line in (HOLDOUT, TRAIN)]
        grid[0, -1].legend(kinds, ["held-out", "training"], loc="best", handlelength=2.2)
        return figure


def losses(record: Any) -> Losses:
    """Training and held-out loss at every noise level against the step.

    Raises:
        InputError: if the record is no sweep, or no losses were measured.
    """
    figure = Losses(sweep_of(record))
    if not figure.levels():
        raise InputError("record: expected curves named 'train@t', got none")
    return figure
