"""What a sweep found, in one sentence, with what it does not show."""

import math
from collections.abc import Sequence

import numpy as np

from memhorizon.figures.groups import Group, groups
from memhorizon.figures.labels import phrase_of
from memhorizon.figures.reading import QUALITY_NAMES, timescale
from memhorizon.figures.window import Window, window_of
from memhorizon.records.reading import has_images, law_of, unfinished
from memhorizon.records.sweep import SweepRecord
from memhorizon.report.words import joined, measured_text, number_text, step_text, time_text
from memhorizon.results import UNKNOWN, Estimate, ScalingLaw, Status, Time
from memhorizon.timescales.pooling import geometric_mean, log_ratio

REASONS = {
    Status.NOT_MEASURED: "was not measured",
    Status.STILL_IMPROVING: "was still coming down at the last step",
    Status.TRIVIAL_LEVEL: "never came below that of a network that predicts nothing",
}

UNBOUNDED = "a factor that these looks do not bound"


def sentence(record: SweepRecord) -> str:
    """Say what was found: when copying began, how that grew, and whether good samples waited too."""
    every = groups(record)
    item = "images" if has_images(record) else "points"
    text = _copying(every, item)
    text += _growth(record, item) or _quality_reached(record)
    if record.rules.is_of_samples:
        is_best = record.rules.relative_to == "best"
        quality = "good" if is_best else "of the quality that every run reaches"
        text += _window(max(every, key=lambda group: group.n_train), item, quality)
    early = len(unfinished(record))
    if early:
        text += f" ({early} of {len(record.runs)} runs are not finished: this is what is known so far.)"
    return text


def _window(group: Group, item: str, quality: str) -> str:
    """How wide the stretch between good samples and copies is, in the setting with the most items."""
    found = [window_of(run) for run in group.runs]
    early = [window.begin for window in found if window.begin.status is Status.BEFORE_FIRST]
    opened = [window for window in found if window.is_open and window.begin.observed]
    setting = f"With {_setting(group, item)}"
    text = ""
    if opened:
        text += f" {setting} {_opened(opened, len(found), quality)}"
    if early:
        text += f" {setting} {_met_at_first(early, len(found))}"
    if text:
        return text
    copied = any(window.end.status in (Status.OBSERVED, Status.BEFORE_FIRST) for window in found)
    return f" {setting} samples were not seen to be {quality}{' before copying began' * copied}."


def _opened(opened: Sequence[Window], seeds: int, quality: str) -> str:
    """From when to when samples were good and not copied, in runs in which both are seen."""
    begin = _geometric_mean([window.begin.value for window in opened])
    share = f" ({len(opened)} of {seeds} seeds)" if seeds > 1 else ""
    return (
        f"samples were {quality} from step {step_text(begin)} on and {_ended(opened)}: "
        f"a window of {_factor(opened)}{share}."
    )


def _met_at_first(early: Sequence[Time], seeds: int) -> str:
    """That the level was met before anything was learned that could be seen, and what to do."""
    first = step_text(max(time.value for time in early))
    share = f" in {len(early)} of {seeds} seeds" if seeds > 1 else ""
    return (
        f"the level of quality was met already at the first look (step {first}){share}: this rule cannot "
        "tell good samples from untrained ones here; choose another rule or look earlier."
    )


def _ended(opened: Sequence[Window]) -> str:
    """When copying began in runs whose samples were good before, in words."""
    ends = [window.end.value for window in opened if window.end.observed]
    others = [window.end.value for window in opened if not window.end.observed]
    if not others:
        return f"copying began at step {step_text(_geometric_mean(ends))}"
    if not ends:
        return f"copying had not begun by step {step_text(min(others))}"
    began = f"copying began at step {step_text(_geometric_mean(ends))} in {len(ends)} of {len(opened)} seeds"
    return f"{began} and not by step {step_text(min(others))} in the others"


def _factor(opened: Sequence[Window]) -> str:
    """How wide windows are: a factor with its interval, or a bound.

    The interval is that of the mean over three runs or more. Two factors are told as they are. Of one run it
    is from the ends of the intervals of its two times, which both hold in 90 % of cases at least.
    """
    if len(opened) == 1:
        return _factor_of_one(opened[0])
    mean = geometric_mean([log_ratio(window.end, window.begin) for window in opened])
    if mean.status is Status.AT_LEAST:
        return f"a factor of {number_text(mean.value)} or more, on average"
    if mean.status is not Status.OBSERVED:
        return UNBOUNDED
    if len(opened) == 2:
        ratios = [number_text(window.end.value / window.begin.value) for window in opened]
        return f"factors of {joined(ratios)}"
    return f"a factor of {measured_text(mean.estimate)}"


def _factor_of_one(window: Window) -> str:
    """The same for one run."""
    begin, end = window.begin, window.end
    least = end.low / begin.high
    if end.observed and begin.low > 0:
        return f"a factor of {measured_text(Estimate(end.value / begin.value, least, end.high / begin.low))}"
    return f"at least a factor of {number_text(least)}" if least > 1 else UNBOUNDED


def _times(group: Group, name: str) -> list[Time]:
    return [timescale(run, name) for run in group.runs]


def _copying(every: Sequence[Group], item: str) -> str:
    """When copying began, for every setting, or for the first and the last of many to begin."""
    seen = [(group, _times(group, "tau_mem")) for group in every]
    known = [(group, times) for group, times in seen if any(time.known for time in times)]
    if not known:
        reasons = sorted({time.status for _, times in seen for time in times})
        return f"Whether a run copies is not known (τ_mem: {joined(reasons)})"
    last = _last_without([time for _, times in known for time in times if time.known])
    if last is not None:
        return f"No run had begun to copy when it was last looked at (step {step_text(last)} or before)"
    if len(known) > 3:
        known.sort(key=lambda entry: _middle(entry[1]))
        known = [known[0], known[-1]]
    began = [f"{_began(times)} with {_setting(group, item)}" for group, times in known]
    return "Copying began " + joined(began)


def _last_without(times: Sequence[Time]) -> float | None:
    """The last step looked at, if no run copies up to there."""
    if any(time.status is not Status.NOT_REACHED for time in times):
        return None
    return max(time.value for time in times)


def _middle(times: Sequence[Time]) -> float:
    """Geometric mean of the times, bounds taken as they are; runs that only have bounds come last."""
    known = [time for time in times if time.known]
    late = 1e9 * all(time.status is Status.NOT_REACHED for time in known)
    return late + _geometric_mean([time.value for time in known])


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(float(np.mean([math.log(value) for value in values])))


def _setting(group: Group, item: str) -> str:
    alone = group.label == f"n = {group.n_train}"
    return f"{group.n_train:,} training {item}" if alone else group.label


def _began(times: Sequence[Time]) -> str:
    """When the runs of one setting began to copy."""
    observed = [time for time in times if time.observed]
    if not observed:
        return _began_beyond(times)
    if len(times) == 1:
        return f"at step {time_text(observed[0])}"
    if len(observed) == 1:
        return f"at step {time_text(observed[0])} in 1 of {len(times)} seeds"
    values = [time.value for time in observed]
    ends = f"{step_text(min(values))} to {step_text(max(values))}"
    seeds = f"{len(observed)} of {len(times)}" if len(observed) < len(times) else f"{len(times)}"
    return f"at step {step_text(_geometric_mean(values))} ({ends} over {seeds} seeds)"


def _began_beyond(times: Sequence[Time]) -> str:
    """The same where no time was observed: the bound that holds for all seeds."""
    late = [time.value for time in times if time.status is Status.NOT_REACHED]
    if late:
        return f"after step {step_text(min(late))}"
    return f"before step {step_text(max(time.value for time in times if time.known))}"


def _growth(record: SweepRecord, item: str) -> str:
    """How both times grew with what was varied; empty where no law was fitted."""
    mem = law_of(record, "tau_mem")
    gen = law_of(record, "tau_gen")
    if mem is None:
        return ""
    if len(mem.exponents) > 1:
        return _changes(mem, gen, record, item)
    name, e = next(iter(mem.exponents.items()))
    return f"; {_mem_clause(phrase_of(name, item), e)}, while {_gen_clause(name, gen, record, e)}."


def _changes(mem: ScalingLaw, gen: ScalingLaw | None, record: SweepRecord, item: str) -> str:
    """Several factors: how each changed both times per doubling."""
    quality = f"that until {_quality(record)} came down to a fixed level"
    good = _gen_unfitted(record) if gen is None else f"{quality} changed {_doublings(gen, item)}"
    return f"; per doubling, the time until then changed {_doublings(mem, item)}, while {good}."


def _doublings(law: ScalingLaw, item: str) -> str:
    """The factor of a doubling of each hyperparameter."""
    parts = [f"{_doubling(e)} times with {phrase_of(name, item)}" for name, e in law.exponents.items()]
    return joined(parts)


def _quality(record: SweepRecord) -> str:
    """The quality that tau_gen is read from."""
    return "the " + QUALITY_NAMES.get(record.rules.quality, record.rules.quality)


def _doubling(e: Estimate) -> str:
    """The factor of a doubling, 2 to the exponent, with its interval."""
    return f"{_power_of_two(e.value)} [{_power_of_two(e.low)}, {_power_of_two(e.high)}]"


def _power_of_two(exponent: float) -> str:
    if exponent > 20:
        return "any"
    if exponent < -20:
        return "0"
    return f"{2.0**exponent:.2f}" if exponent < 3.3 else f"{2.0**exponent:,.0f}"


def _mem_clause(factor: str, e: Estimate) -> str:
    """How the time until copying depends on one hyperparameter."""
    if e.low > 0:
        return f"it took {_doubling(e)} times longer for every doubling of {factor}"
    if e.high < 0:
        return f"it took {_doubling(e)} times as long, that is less, for every doubling of {factor}"
    return f"whether {factor} changes that is not settled by these runs ({_doubling(e)} times per doubling)"


def _gen_clause(name: str, law: ScalingLaw | None, record: SweepRecord, mem: Estimate) -> str:
    """How the time until the level of quality depends on it, beside the exponent of that until copying."""
    if law is None:
        return _gen_unfitted(record)
    e = law.exponents[name]
    return (
        f"{_quality(record)} came down to a fixed level {_later_or_earlier(e, mem)} "
        f"({_doubling(e)} times per doubling)"
    )


def _later_or_earlier(e: Estimate, mem: Estimate) -> str:
    if e.low > 0:
        return "later too" if mem.low > 0 else "later"
    if e.high < 0:
        return "earlier too" if mem.high < 0 else "earlier"
    return "without measurably waiting longer"


def _gen_unfitted(record: SweepRecord) -> str:
    """In how many runs the quality was reached, and why not in the others."""
    times = [run.timescales.tau_gen for run in record.runs]
    level = f"{_quality(record)} came down to a fixed level"
    if all(time.status is Status.BEFORE_FIRST for time in times):
        return f"{level} before the first look (step {step_text(times[0].value)}) in all runs"
    counts = {status: sum(time.status is status for time in times) for status in UNKNOWN}
    reasons = [f"{count} {status}" for status, count in counts.items() if count]
    why = f" ({joined(reasons)})" if reasons else ""
    return f"{level} in {sum(time.observed for time in times)} of {len(times)} runs{why}, too few for a law"


def _quality_reached(record: SweepRecord) -> str:
    """When quality was reached, without a law."""
    times = [run.timescales.tau_gen for run in record.runs]
    observed = [time.value for time in times if time.observed]
    if not any(time.known for time in times):
        return f"; {_not_known(record, times)}."
    if not observed and len(times) > 1:
        return f"; {_gen_unfitted(record)}."
    level = f"; {_quality(record)} came down to a fixed level"
    if len(times) == 1:
        return f"{level} at {'step' if observed else 'a step'} {time_text(times[0])}."
    return f"{level} {_steps(observed)} ({len(observed)} of {len(times)} runs)."


def _steps(observed: Sequence[float]) -> str:
    """At which steps something was observed, in words."""
    first = step_text(min(observed))
    last = step_text(max(observed))
    return f"at step {first}" if first == last else f"between steps {first} and {last}"


def _not_known(record: SweepRecord, times: Sequence[Time]) -> str:
    """Why the time of good quality is not known of any run."""
    statuses = {time.status for time in times}
    reasons = dict(REASONS)
    if any(record.rules.curve in run.curves for run in record.runs):
        reasons[Status.NOT_MEASURED] = "has no best value above 0, to which a level could be relative"
    words = [words for status, words in reasons.items() if status in statuses]
    return f"{_quality(record)} {joined(words) if words else 'gives no time'}"
