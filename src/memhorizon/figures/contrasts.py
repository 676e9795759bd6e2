"""What one knob does to both clocks: their ratio to those at its smallest value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from memhorizon.errors import InputError
from memhorizon.figures import style
from memhorizon.figures.noise_levels import mark
from memhorizon.figures.records import Row, sweep_of

CLOCKS = {"tau_gen": (style.TAU_GEN, -0.1), "tau_mem": (style.TAU_MEM, 0.1)}


@dataclass(frozen=True)
class Contrasts:
    """Ratios of times, by value of the knob."""

    record: Mapping[str, Any]

    def frame(self) -> list[Row]:
        """One row per clock and value of the knob; a bound, or no numbers, where none could be fitted."""
        nothing = dict.fromkeys(("value", "low", "high"))
        return [
            {"knob" if key == "value" else key: entry for key, entry in row.items() if key != "ratio"}
            | (row["ratio"] or nothing)
            for row in self.record["contrasts"]
        ]

    @style.drawing()
    def plot(self) -> Figure:
        """One panel: points with 95 % intervals, and bounds, beside the line of no effect."""
        rows = self.frame()
        knobs, name = list(dict.fromkeys(row["knob"] for row in rows)), rows[0]["factor"].replace("_", " ")
        figure = style.canvas(width=4.4, height=3.2)
        axes = figure.subplots()
        axes.axhline(1, color=style.GREY, linewidth=1, linestyle=(0, (4, 3)))
        looks, ends = style.looks(CLOCKS), [0.5, 2.0]
        for clock, (label, shift) in CLOCKS.items():
            for row in (row for row in rows if row["clock"] == clock):
                entry = {**row, "status": "observed" if row["value"] is not None else "undetermined"}
                if row.get("at_least"):
                    entry |= {"value": row["at_least"], "status": "at least"}
                mark(axes, knobs.index(row["knob"]) + shift, entry, looks[clock])
                ends += [end for end in (entry["value"], row["low"], row["high"]) if end]
            axes.plot([], [], **style.altered(looks[clock], linestyle="none"), label=label)
        style.log_axis(axes.yaxis, min(ends), max(ends))
        axes.set_xticks(range(len(knobs)), [f"{knob:g}" for knob in knobs])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(
            xlim=(-0.5, len(knobs) - 0.5), xlabel=name, ylabel=f"time / that at {rows[0]['reference']:g}"
        )
        figure.legend(loc="outside upper center", ncols=2)
        return figure


def contrasts(record: Any) -> Contrasts:
    """Both clocks at each value of a knob over those at its smallest, with 95 % intervals.

    Raises:
        InputError: if the record is no sweep, or no single knob was varied in it.
    """
    if not sweep_of(record).get("contrasts"):
        raise InputError("record: expected a sweep over one of momentum, weight_decay, ema or dropout alone")
    return Contrasts(record)
