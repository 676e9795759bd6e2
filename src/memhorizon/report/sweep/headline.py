"""The one number of a sweep, with its interval and what it is a number of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from memhorizon.figures.labels import axis_label, label_of, letter_of
from memhorizon.figures.style import signed
from memhorizon.records.reading import known_curves, law_of
from memhorizon.records.sweep import Contrast, SweepRecord
from memhorizon.report.words import step_text, time_interval
from memhorizon.results import Estimate, Status, Time


@dataclass(frozen=True)
class Headline:
    """A number as text, its interval (empty where it has none), and in words what it is."""

    number: str
    interval: str
    words: str


def headline(record: SweepRecord) -> Headline:
    """The exponent of tau_mem where a law was fitted, else a ratio of times, else the earliest tau_mem."""
    return _of_law(record) or _of_contrast(record) or _of_times(record)


def _of_law(record: SweepRecord) -> Headline | None:
    law = law_of(record, "tau_mem")
    if law is None:
        return None
    factor, e = next(iter(law.exponents.items()))
    beside = [axis_label(name) for name in law.exponents if name != factor]
    fixed = f" at fixed {' and '.join(beside)}" if beside else ""
    counts = f"{law.observed} runs in which it was observed, {law.censored} censored"
    return Headline(
        _number(e.value),
        f"[{_number(e.low)}, {_number(e.high)}]",
        f"exponent of τ_mem in the {axis_label(factor)}: τ_mem grows as {letter_of(factor)} to this power"
        f"{fixed} ({counts})",
    )


def _number(value: float) -> str:
    if math.isfinite(value):
        return signed(value)
    return "∞" if value > 0 else "−∞"


def _of_contrast(record: SweepRecord) -> Headline | None:
    """The ratio of tau_mem at the largest value of the hyperparameter at which it, or a bound, is known."""
    known = [c for c in record.contrasts if c.timescale == "tau_mem" and (_ratio(c) or c.at_least)]
    if not known:
        return None
    contrast = max(known, key=lambda entry: entry.value)
    name = label_of(contrast.factor)
    here = f"{name} = {contrast.value:g}"
    words = f"τ_mem at {here} over τ_mem at {name} = {contrast.reference:g}, seed by seed"
    ratio = _ratio(contrast)
    if ratio is None:
        return Headline(f"> {contrast.at_least:.2f}", "", f"{words}; at {here} no run began to copy")
    return Headline(f"{ratio.value:.2f}", f"[{ratio.low:.2f}, {_number(ratio.high)}]", words)


def _ratio(contrast: Contrast) -> Estimate | None:
    """The ratio where it is a number."""
    ratio = contrast.ratio
    return ratio if ratio is not None and math.isfinite(ratio.value) else None


def _of_times(record: SweepRecord) -> Headline:
    """The earliest tau_mem, or the shortest time without copies."""
    every = [run.timescales.tau_mem for run in record.runs]
    times = [time for time in every if time.known]
    reached = [time for time in times if time.status is not Status.NOT_REACHED]
    if not times:
        return _unknown([time.status for time in every])
    if not reached:
        return _without_copies(record, times)
    first = min(reached, key=lambda time: time.value)
    sign = "< " if first.status is Status.BEFORE_FIRST else ""
    earliest = f", the earliest of {len(times)} runs" if len(times) > 1 else ""
    return Headline(
        sign + step_text(first.value),
        time_interval(first) if first.observed else "",
        f"training steps until copying begins (τ_mem){earliest}",
    )


def _unknown(statuses: Sequence[Status]) -> Headline:
    """Why there is no number, and what to try."""
    found = sorted(set(statuses))
    tries = " ".join(status.advice for status in found)
    return Headline("–", "", f"τ_mem is not known: {', '.join(found)}. {tries}".rstrip(". "))


def _without_copies(record: SweepRecord, times: Sequence[Time]) -> Headline:
    """No run copies: the shortest bound, and how many copies may be there unseen."""
    bound = min(time.value for time in times)
    highest = max(float(curve.high[-1]) for curve in known_curves(record.runs, "memorized"))
    shortest = f" in the run looked at for the shortest time of {len(times)}" if len(times) > 1 else ""
    return Headline(
        f"> {step_text(bound)}",
        "",
        f"training steps without copying (τ_mem was not reached){shortest}; at the last snapshot at most "
        f"{100 * highest:.2g} % of the samples are copies (upper end of the 95 % interval)",
    )
