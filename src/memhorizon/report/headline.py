"""The one number of a record, with its interval and what it is a number of."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memhorizon.figures.laws import AXIS_NAMES, SYMBOLS
from memhorizon.figures.records import factor_name, known_curves, law_of, time_of
from memhorizon.figures.style import signed
from memhorizon.report.words import step_text
from memhorizon.results import Time


@dataclass(frozen=True)
class Headline:
    """A number as text, its interval (empty where it has none), and in words what it is."""

    number: str
    interval: str
    words: str


def headline(record: Mapping[str, Any]) -> Headline:
    """The exponent of tau_mem where a law was fitted, else a ratio of times, else the earliest tau_mem."""
    return _of_law(record) or _of_contrast(record) or _of_times(record)


def _of_law(record: Mapping[str, Any]) -> Headline | None:
    law = law_of(record, "tau_mem")
    if law is None:
        return None
    factor = next(iter(law.exponents))
    e = law.exponents[factor]
    beside = [AXIS_NAMES[name] for name in law.exponents if name != factor]
    fixed = f" at fixed {' and '.join(beside)}" if beside else ""
    words = f"exponent of τ_mem in the {AXIS_NAMES[factor]}: τ_mem grows as {SYMBOLS[factor]} to this power"
    counts = f"{law.observed} runs in which it was observed, {law.censored} censored"
    return Headline(_number(e.value), f"[{_number(e.low)}, {_number(e.high)}]", f"{words}{fixed} ({counts})")


def _number(value: float) -> str:
    return signed(value) if math.isfinite(value) else "∞" if value > 0 else "−∞"


def _of_contrast(record: Mapping[str, Any]) -> Headline | None:
    rows = [row for row in record.get("contrasts", ()) if row["clock"] == "tau_mem" and row["ratio"]]
    if not rows:
        return None
    row = max(rows, key=lambda entry: entry["value"])
    ratio = {name: math.inf if end is None else end for name, end in row["ratio"].items()}
    name = factor_name(row["factor"])
    return Headline(
        f"{ratio['value']:.2f}",
        f"[{ratio['low']:.2f}, {_number(ratio['high'])}]",
        f"τ_mem at {name} = {row['value']:g} over τ_mem at {name} = {row['reference']:g}, seed by seed",
    )


def _of_times(record: Mapping[str, Any]) -> Headline:
    every = [time_of(run["times"]["tau_mem"]) for run in record["runs"]]
    times = [time for time in every if time.known]
    if not times:
        return Headline("–", "", f"τ_mem is not known: {', '.join(sorted({t.status for t in every}))}")
    if all(time.status == "not reached" for time in times):
        return _without_copies(record, times)
    first = min((time for time in times if time.status != "not reached"), key=lambda time: time.value)
    sign = "< " if first.status == "before first" else ""
    high = step_text(first.high) if math.isfinite(first.high) else "∞"
    interval = f"[{step_text(first.low)}, {high}]" if first.observed else ""
    earliest = f", the earliest of {len(times)} runs" if len(times) > 1 else ""
    words = f"training steps until copying begins (τ_mem){earliest}"
    return Headline(sign + step_text(first.value), interval, words)


def _without_copies(record: Mapping[str, Any], times: list[Time]) -> Headline:
    """No run copies: the shortest bound, and how many copies may be there unseen."""
    bound = min(time.value for time in times)
    highest = max(float(curve.high[-1]) for curve in known_curves(record["runs"], "memorized"))
    shortest = f" in the run looked at for the shortest time of {len(times)}" if len(times) > 1 else ""
    words = (
        f"training steps without copying (τ_mem was not reached){shortest}; at the last snapshot at most "
        f"{100 * highest:.2g} % of the samples are copies (upper end of the 95 % interval)"
    )
    return Headline(f"> {step_text(bound)}", "", words)
