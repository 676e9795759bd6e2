"""What a record says, in plain words: numbers become sentences here, with what they do not show."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memhorizon.figures.records import Group, groups, images, law_of, sweep_of, time_of, unfinished
from memhorizon.figures.style import plain_number
from memhorizon.results import Estimate, ScalingLaw, Time

FACTOR_WORDS = {"n_train": "the number of training {items}", "width": "the width"}


def sentence(record: Mapping[str, Any]) -> str:
    """Say what was found: when copying began, how that grew, and whether good samples waited too.

    Raises:
        InputError: if the record is no sweep.
    """
    every = groups(sweep_of(record))
    item = "images" if images(record) else "points"
    text = _copying(every, item)
    text += _growth(record, item) or _good(record)
    if early := unfinished(record):
        text += (
            f" ({len(early)} of {len(record['runs'])} runs are not finished: this is what is known so far.)"
        )
    return text


def time_text(time: Time) -> str:
    """Write a time with its interval; a censored one as a bound.

    >>> time_text(Time(1800.0, 0.0, float("inf"), "not reached", ""))
    '> 1,800'
    """
    if time.status == "not reached":
        return f"> {plain_number(time.value)}"
    if time.status == "before first":
        return f"< {plain_number(time.value)}"
    low = "<" if time.low <= 0 else plain_number(time.low)
    high = plain_number(time.high) if math.isfinite(time.high) else "not bounded"
    return f"{plain_number(time.value)} [{low}, {high}]"


def _copying(every: Sequence[Group], item: str) -> str:
    """When copying began, for every setting, or for the ends where there are many."""
    seen = [(group, _times(group, "tau_mem")) for group in every]
    if all(t.status == "not reached" for _, times in seen for t in times):
        last = max(t.value for _, times in seen for t in times)
        return f"No run had begun to copy when it was last looked at (step {plain_number(last)} or before)"
    shown = seen if len(seen) <= 3 else [seen[0], seen[len(seen) // 2], seen[-1]]
    parts = [f"{_began(times)} with {_setting(group, item)}" for group, times in shown]
    return f"Copying began {_join(parts)}"


def _setting(group: Group, item: str) -> str:
    plain = group.label == f"n = {group.n_train}"
    return f"{group.n_train:,} training {item}" if plain else group.label


def _times(group: Group, clock: str) -> list[Time]:
    return [time_of(run["times"][clock]) for run in group.runs]


def _began(times: Sequence[Time]) -> str:
    """When the runs of one setting began to copy."""
    observed = [t for t in times if t.observed]
    if not observed:
        late = [t for t in times if t.status == "not reached"]
        return f"after step {plain_number(min(t.value for t in late))}" if late else (
            f"before step {plain_number(max(t.value for t in times))}"
        )  # fmt: skip
    if len(times) == 1:
        return f"at step {time_text(observed[0])}"
    middle = math.exp(float(np.mean([math.log(t.value) for t in observed])))
    ends = f"{plain_number(min(t.value for t in observed))} to {plain_number(max(t.value for t in observed))}"
    seeds = f"{len(observed)} of {len(times)}" if len(observed) < len(times) else f"{len(times)}"
    return f"at step {plain_number(middle)} ({ends} over {seeds} seeds)"


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _growth(record: Mapping[str, Any], item: str) -> str:
    """How both times grew with what was varied; empty where no law was fitted."""
    law, other = law_of(record, "tau_mem"), law_of(record, "tau_gen")
    if law is None:
        return ""
    clauses = [_mem_clause(name, law, item) for name in law.exponents]
    clauses[-1] += _gen_clause(list(law.exponents), other, record)
    return "; " + "; ".join(clauses) + "."


def _doubling(e: Estimate) -> str:
    """The factor of a doubling, with its interval."""
    value, low, high = (f"{2.0**x:.2g}" if abs(x) < 6 else "any" for x in (e.value, e.low, e.high))
    return f"{value} [{low}, {high}]"


def _mem_clause(name: str, law: ScalingLaw, item: str) -> str:
    e, factor = law.exponents[name], FACTOR_WORDS[name].format(items=item)
    if e.low > 0:
        return f"it took {_doubling(e)} times longer for every doubling of {factor}"
    if e.high < 0:
        return f"it took {_doubling(e)} times as long, that is less, for every doubling of {factor}"
    return f"whether {factor} changes that is not settled by these runs ({_doubling(e)} times per doubling)"


def _gen_clause(names: Sequence[str], law: ScalingLaw | None, record: Mapping[str, Any]) -> str:
    if law is None:
        return f", while {_gen_unfitted(record)}"
    parts = []
    for name in names:
        e = law.exponents[name]
        of = "" if len(names) == 1 else f" with {FACTOR_WORDS[name].format(items='items')}"
        if e.low <= 0 <= e.high:
            parts.append(f"did not measurably wait longer{of} ({_doubling(e)} times per doubling)")
        else:
            parts.append(
                f"came {'later' if e.low > 0 else 'earlier'}{of} too ({_doubling(e)} times per doubling)"
            )
    return ", while the first good samples " + _join(parts)


def _gen_unfitted(record: Mapping[str, Any]) -> str:
    times = [time_of(run["times"]["tau_gen"]) for run in record["runs"]]
    if all(t.status == "before first" for t in times):
        return (
            f"good samples were there before the first look (step {plain_number(times[0].value)}) in all runs"
        )
    observed = sum(t.observed for t in times)
    return (
        f"the time of the first good samples was seen in {observed} of {len(times)} runs, too few for a law"
    )


def _good(record: Mapping[str, Any]) -> str:
    """When samples were first good, without a law."""
    times = [time_of(run["times"]["tau_gen"]) for run in record["runs"]]
    observed = [t for t in times if t.observed]
    if not observed:
        return (
            f", and {_gen_unfitted(record)}."
            if len(times) > 1
            else f"; quality was reached at step {time_text(times[0])}."
        )
    if len(times) == 1:
        return f"; samples were first good at step {time_text(times[0])}."
    ends = plain_number(min(t.value for t in observed)), plain_number(max(t.value for t in observed))
    return f"; samples were first good between steps {ends[0]} and {ends[1]} ({len(observed)} of {len(times)} runs)."
