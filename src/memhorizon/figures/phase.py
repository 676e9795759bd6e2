"""The phase diagram of copying: who copies at which n and width, by multiples of its own tau_gen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from memhorizon.errors import InputError
from memhorizon.figures import style
from memhorizon.figures.laws import AXIS_NAMES
from memhorizon.figures.records import Row, sweep_of, time_of

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
        """One row per cell and multiple: how many of its runs have copied by then, have not, are censored."""
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
        if gen.status == "not reached" or not (gen.known and mem.known):
            return UNKNOWN
        moment = multiple * gen.value  # where tau_gen lies before the first look, the latest that it can be
        if mem.status == "not reached" or mem.value > moment:
            return CLEAN if moment <= mem.value else UNKNOWN
        return COPIED if gen.observed else UNKNOWN

    @style.drawing()
    def plot(self) -> Figure:
        """One map per multiple of tau_gen; hatched where runs ended before, or tau_gen is not known."""
        rows = self.frame()
        n = sorted({row["n_train"] for row in rows})
        widths = sorted({row["width"] for row in rows})
        figure = style.canvas(height=1.5 + 0.42 * len(n))
        panels = figure.subplots(1, len(self.multiples), sharey=True, squeeze=False)[0]
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
    box = Rectangle(
        (x - 0.48, y - 0.47), 0.96, 0.94, facecolor=colour, edgecolor="#999999", hatch=hatch, linewidth=0.5
    )
    axes.add_patch(box)
    if known:
        ink = "white" if state in (COPIED, PARTLY) else "#222222"
        axes.text(x, y, f"{row[COPIED]}/{known}", ha="center", va="center", color=ink, fontsize=8)


def phase(record: Any, *, multiples: tuple[float, ...] = (1.0, 3.0, 8.0)) -> Phase:
    """Who has copied at these multiples of its own tau_gen, over n_train and width.

    Raises:
        InputError: if the record is no sweep, a run has no width, or a multiple is not positive.
    """
    if any(run.get("width") is None for run in sweep_of(record)["runs"]):
        raise InputError("record: expected runs of networks with a width, got some without")
    if not multiples or min(multiples) <= 0:
        raise InputError(f"multiples: expected positive numbers, got {multiples}")
    return Phase(record, multiples)
