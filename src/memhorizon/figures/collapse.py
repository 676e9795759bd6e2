"""Whether the curves of the memorized fraction fall together when the step is divided by n, or by n/W."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memhorizon.errors import InputError
from memhorizon.figures import marks, style
from memhorizon.figures.groups import Group, groups, panels
from memhorizon.figures.picture import Row, curve_rows
from memhorizon.figures.reading import number, sweep_of
from memhorizon.figures.style import Look
from memhorizon.records.reading import known_curves
from memhorizon.records.sweep import RunRecord, SweepRecord

UNITS = {  # by whether the width is varied too: divisor, name of the collapse, label of the axis
    False: ("n", "steps / n_train", "step / n"),
    True: ("n/W", "steps * width / n_train", "step · W / n"),
}


@dataclass(frozen=True)
class Collapse:
    """Memorized fraction against the step, and against the step divided by n, or by n/W where W is varied."""

    record: SweepRecord

    @property
    def by_width(self) -> bool:
        """Whether the width is varied as well, so that the unit of time is n/W."""
        widths = {number(run, "width") for run in self.record.runs}
        return len(widths) > 1 and None not in widths

    def divisor(self, run: RunRecord) -> float:
        """n, or n/W where W is varied."""
        width = number(run, "width") if self.by_width else None
        return run.n_train / (width or 1)

    def frame(self) -> list[Row]:
        """One row per point, with the step and the step divided by n or n/W."""
        return [row for group in groups(self.record) for run in group.runs for row in self._rows(group, run)]

    def _rows(self, group: Group, run: RunRecord) -> list[Row]:
        curve = run.curves.get("memorized")
        if curve is None:
            return []
        about: Row = {"label": group.label, "n_train": run.n_train, "width": number(run, "width")}
        rescaled = (curve.step / self.divisor(run)).tolist()
        return [
            about | {"seed": run.seed} | row | {"rescaled": step}
            for row, step in zip(curve_rows(curve, "memorized"), rescaled, strict=True)
        ]

    @style.drawing()
    def plot(self) -> Figure:
        """Two panels with one vertical axis; one pair below the other where settings do not fit into one."""
        if not known_curves(self.record.runs, "memorized"):
            raise InputError("record: expected curves of the memorized fraction, got none")
        every = groups(self.record)
        rows = panels(every)
        looks = style.looks(group.series for group in every)
        figure = style.canvas(height=0.5 + 2.6 * len(rows))
        grid = figure.subplots(len(rows), 2, sharex="col", sharey=True, squeeze=False)
        for i, (title, members) in enumerate(rows.items()):
            self._pair(list(grid[i]), title, members, looks, short=i > 0)
        self._time_axes(grid[-1])
        marks.legend_of_groups(figure, every)
        return figure

    def _time_axes(self, pair: np.ndarray) -> None:
        """The step, and the step divided, below the last pair of panels."""
        _, _, unit = UNITS[self.by_width]
        for axes, words in zip(pair, ("step", unit), strict=True):
            style.log_scale(axes.xaxis)
            axes.set_xlabel(f"training {words}")

    def _pair(
        self,
        pair: Sequence[Axes],
        title: str,
        members: Sequence[Group],
        looks: dict[str, Look],
        *,
        short: bool,
    ) -> None:
        """The curves of one panel as trained, and divided."""
        left, right = pair
        for group in members:
            found = known_curves(group.runs, "memorized")
            look = looks[group.series]
            marks.curves(left, found, look)
            marks.curves(right, found, look, divisor=self.divisor(group.runs[0]))
        for axes, words in ((left, "as trained"), (right, self.quality(short=short))):
            axes.set_title(", ".join(filter(None, [style.label(title), words])))
        left.set_ylabel("memorized fraction")

    def quality(self, *, short: bool) -> str:
        """How the time is divided and, where not short, how well the curves fall together."""
        unit, name, _ = UNITS[self.by_width]
        found = self.record.collapse.get(name)
        if short or found is None or not np.isfinite(found.value):
            return f"divided by {unit}"
        gap = "\n" if self.by_width else " "
        interval = f"[{found.low:.2f}, {found.high:.2f}]"
        return f"divided by {unit}:{gap}spread left {found.value:.2f} {interval}"


def collapse(record: object) -> Collapse:
    """Memorized fraction against the step and the step divided by n, or by n/W where W is varied.

    Raises:
        InputError: if the record is no sweep.
    """
    return Collapse(sweep_of(record))
