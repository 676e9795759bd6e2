"""What a record says, in plain words: numbers become sentences here, with what they do not show."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memhorizon.figures.clocks import QUALITY_LABELS
from memhorizon.figures.records import (
    Group,
    groups,
    images,
    law_of,
    printable,
    reading,
    time_of,
    unfinished,
)
from memhorizon.records.check import check_record
from memhorizon.results import Estimate, ScalingLaw, Time

FACTOR_WORDS = {
    "n_train": "the number of training {items}",
    "width": "the width",
    "lr": "the learning rate",
    "batch_size": "the items per step",
}
UNKNOWN = {
    "not measured": "was not measured",
    "still improving": "was still coming down at the last step",
    "trivial level": "never came below that of a network that predicts nothing",
}


@reading()
def sentence(record: Any) -> str:
    """Say what was found: when copying began, how that grew, and whether good samples waited too.

    Raises:
        InputError: if the record is no sweep, or an entry cannot be used.
    """
    every = groups(check_record(record))
    item = "images" if images(record) else "points"
    text = _copying(every, item)
    text += _growth(record, item) or _good(record)
    if early := unfinished(record):
        text += (
            f" ({len(early)} of {len(record['runs'])} runs are not finished: this is what is known so far.)"
        )
    return text


def time_text(time: Time) -> str:
    """Write a time with its interval; a censored one as a bound, and what is none as a dash with the reason.

    >>> time_text(Time(1800.0, 0.0, float("inf"), "not reached", ""))
    '> 1,800'
    """
    if not time.known:
        return f"– ({time.status})"
    if time.status == "not reached":
        return f"> {step_text(time.value)}"
    if time.status == "before first":
        return f"< {step_text(time.value)}"
    high = step_text(time.high) if math.isfinite(time.high) else "∞"
    return f"{step_text(time.value)} [{step_text(time.low)}, {high}]"


def measured_text(value: float, low: float, high: float) -> str:
    """Write a measured number with its interval, to three digits.

    >>> measured_text(0.18, 0.1734, 0.188), measured_text(886.0, 135.0, 1640.0)
    ('0.180 [0.173, 0.188]', '886 [135, 1,640]')
    """
    number, first, last = (
        f"{x:,.0f}" if abs(x) >= 100 else f"{x:#.3g}".removesuffix(".") for x in (value, low, high)
    )
    return f"{number} [{first}, {last}]"


def step_text(step: float) -> str:
    """Write a training step.

    >>> step_text(1234.5), step_text(54.13), step_text(2.53)
    ('1,234', '54', '2.5')
    """
    return f"{step:,.0f}" if step >= 10 or step == 0 else f"{step:.2g}"


def _copying(every: Sequence[Group], item: str) -> str:
    """When copying began, for every setting, or for the first and the last of many to begin."""
    seen = [(group, _times(group, "tau_mem")) for group in every]
    seen = [(group, times) for group, times in seen if any(t.known for t in times)]
    if not seen:
        return f"Whether a run copies is not known (τ_mem: {_reasons(every, 'tau_mem')})"
    known = [t for _, times in seen for t in times if t.known]
    if all(t.status == "not reached" for t in known):
        last = max(t.value for t in known)
        return f"No run had begun to copy when it was last looked at (step {step_text(last)} or before)"
    if len(seen) > 3:
        seen.sort(key=lambda entry: _middle(entry[1]))
        seen = [seen[0], seen[-1]]
    return "Copying began " + _join(
        [f"{_began(times)} with {_setting(group, item)}" for group, times in seen]
    )


def _middle(times: Sequence[Time]) -> float:
    """Geometric mean of the times, bounds taken as they are; runs that only have bounds come last."""
    times = [t for t in times if t.known]
    late = 1e9 * all(t.status == "not reached" for t in times)
    return late + math.exp(float(np.mean([math.log(t.value) for t in times])))


def _setting(group: Group, item: str) -> str:
    plain = group.label == f"n = {group.n_train}"
    return f"{group.n_train:,} training {item}" if plain else group.label


def _times(group: Group, name: str) -> list[Time]:
    return [time_of(run["times"][name]) for run in group.runs]


def _reasons(every: Sequence[Group], name: str) -> str:
    """Why no time is known, in the words of the statuses."""
    return _join(sorted({time.status for group in every for time in _times(group, name)}))


def _began(times: Sequence[Time]) -> str:
    """When the runs of one setting began to copy."""
    observed = [t for t in times if t.observed]
    if not observed:
        late = [t for t in times if t.status == "not reached"]
        return f"after step {step_text(min(t.value for t in late))}" if late else (
            f"before step {step_text(max(t.value for t in times if t.known))}"
        )  # fmt: skip
    if len(times) == 1:
        return f"at step {time_text(observed[0])}"
    if len(observed) == 1:
        return f"at step {time_text(observed[0])} in 1 of {len(times)} seeds"
    middle = math.exp(float(np.mean([math.log(t.value) for t in observed])))
    ends = f"{step_text(min(t.value for t in observed))} to {step_text(max(t.value for t in observed))}"
    seeds = f"{len(observed)} of {len(times)}" if len(observed) < len(times) else f"{len(times)}"
    return f"at step {step_text(middle)} ({ends} over {seeds} seeds)"


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _growth(record: Mapping[str, Any], item: str) -> str:
    """How both times grew with what was varied; empty where no law was fitted."""
    law, other = law_of(record, "tau_mem"), law_of(record, "tau_gen")
    if law is None:
        return ""
    if len(law.exponents) > 1:
        return _changes(law, other, record, item)
    name, e = next(iter(law.exponents.items()))
    return f"; {_mem_clause(name, e, item)}, while {_gen_clause(name, other, record)}."


def _changes(law: ScalingLaw, other: ScalingLaw | None, record: Mapping[str, Any], item: str) -> str:
    """Several factors: how each changed both times per doubling."""

    def of(one: ScalingLaw) -> str:
        names = {name: FACTOR_WORDS[name].format(items=item) for name in one.exponents}
        return _join([f"{_doubling(one.exponents[name])} times with {word}" for name, word in names.items()])

    level = f"that until {_quality(record)} came down to a fixed level"
    good = f"{level} changed {of(other)}" if other else _gen_unfitted(record)
    return f"; per doubling, the time until then changed {of(law)}, while {good}."


def _quality(record: Mapping[str, Any]) -> str:
    """The quality that tau_gen is read from."""
    name = str(record["rules"]["quality"])
    return "the " + QUALITY_LABELS.get(name, printable(name))


def _doubling(e: Estimate) -> str:
    """The factor of a doubling, with its interval."""
    value, low, high = (
        "any" if x > 20 else "0" if x < -20 else f"{2.0**x:.2f}" if x < 3.3 else f"{2.0**x:,.0f}"
        for x in (e.value, e.low, e.high)
    )
    return f"{value} [{low}, {high}]"


def _mem_clause(name: str, e: Estimate, item: str) -> str:
    factor = FACTOR_WORDS[name].format(items=item)
    if e.low > 0:
        return f"it took {_doubling(e)} times longer for every doubling of {factor}"
    if e.high < 0:
        return f"it took {_doubling(e)} times as long, that is less, for every doubling of {factor}"
    return f"whether {factor} changes that is not settled by these runs ({_doubling(e)} times per doubling)"


def _gen_clause(name: str, law: ScalingLaw | None, record: Mapping[str, Any]) -> str:
    if law is None:
        return _gen_unfitted(record)
    e = law.exponents[name]
    steady = e.low <= 0 <= e.high
    word = "without measurably waiting longer" if steady else f"{'later' if e.low > 0 else 'earlier'} too"
    return f"{_quality(record)} came down to a fixed level {word} ({_doubling(e)} times per doubling)"


def _gen_unfitted(record: Mapping[str, Any]) -> str:
    """In how many runs the quality was reached, and why not in the others."""
    times = [time_of(run["times"]["tau_gen"]) for run in record["runs"]]
    level = f"{_quality(record)} came down to a fixed level"
    if all(t.status == "before first" for t in times):
        return f"{level} before the first look (step {step_text(times[0].value)}) in all runs"
    reasons = {f"{_count(times, status)} {status}": None for status in UNKNOWN if _count(times, status)}
    why = f" ({_join(list(reasons))})" if reasons else ""
    return f"{level} in {sum(t.observed for t in times)} of {len(times)} runs{why}, too few for a law"


def _count(times: Sequence[Time], status: str) -> int:
    return sum(t.status == status for t in times)


def _good(record: Mapping[str, Any]) -> str:
    """When quality was reached, without a law."""
    times = [time_of(run["times"]["tau_gen"]) for run in record["runs"]]
    observed = [t for t in times if t.observed]
    if not any(t.known for t in times):
        return f"; {_not_known(record, times)}."
    if not observed and len(times) > 1:
        return f"; {_gen_unfitted(record)}."
    level = f"; {_quality(record)} came down to a fixed level"
    if len(times) == 1:
        return f"{level} at {'step' if observed else 'a step'} {time_text(times[0])}."
    ends = step_text(min(t.value for t in observed)), step_text(max(t.value for t in observed))
    return f"{level} between steps {ends[0]} and {ends[1]} ({len(observed)} of {len(times)} runs)."


def _not_known(record: Mapping[str, Any], times: Sequence[Time]) -> str:
    """Why the time of good quality is not known of any run."""
    statuses = {t.status for t in times}
    words = [words for status, words in UNKNOWN.items() if status in statuses]
    return f"{_quality(record)} {_join(words) if words else 'gives no time'}"
