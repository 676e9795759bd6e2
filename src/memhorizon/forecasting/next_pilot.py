"""The pilot to run next: the one that narrows the forecast most per unit of time.

A candidate is added with the time that the model expects of it, and the forecast made again. Its cost is what
it sees: steps until nine of ten such runs have copied, times the batch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from memhorizon.forecasting.answers import NextPilot
from memhorizon.forecasting.design import design
from memhorizon.forecasting.fitting import Fit, Question, fit, some_of
from memhorizon.forecasting.pilots import Pilot, Point
from memhorizon.forecasting.posterior import posterior
from memhorizon.forecasting.target import Target
from memhorizon.forecasting.times import log_times, usable
from memhorizon.results import Status, Time

LIKELY = 0.9  # share of runs of a candidate that are to copy within its length
MOST_SIZES = 16  # of candidates: each is a forecast of its own
LEAST = 0.1  # of the interval in log time that a pilot has to take off to be named
LARGEST = 709.0  # logarithm of the largest number, below
FURTHER = 4.0  # what a bound is multiplied by where nothing was reached


@dataclass(frozen=True)
class _Candidate:
    """A pilot that could be run.

    Attributes:
        point: its hyperparameters.
        middle: median of its time.
        late: time by which nine of ten have copied.
    """

    point: Point
    middle: float
    late: float

    @property
    def items(self) -> float:
        """Training items that it sees."""
        return self.late * (self.point.batch_size or self.point.n_train)


def next_pilot(
    pilots: Sequence[Pilot], target: Target, question: Question, widened: float = 1.0
) -> NextPilot | None:
    """The run that narrows the interval most per item seen; None where none narrows it by a tenth.

    Args:
        pilots: that there are.
        target: the run that is asked for.
        question: what is asked.
        widened: factor of its interval in log time, which is kept for the one that is expected.
    """
    known = [pilot for pilot in pilots if usable(pilot.time(question.timescale))]
    if not known:
        return None
    if not any(pilot.time(question.timescale).observed for pilot in known):
        return _longer(known, question)
    return _best(known, target, replace(question, accept_prior=True), widened)


def _best(pilots: Sequence[Pilot], target: Target, question: Question, widened: float) -> NextPilot | None:
    """The candidate that narrows the interval most per item seen; None where none narrows it by a tenth."""
    sizes = candidate_sizes([pilot.point.n_train for pilot in pilots], target.n_train)
    points = [target.at(size) for size in sizes]
    found = fit(pilots, [target.point, *points], question)
    before = found.log_width(0, question.confidence)
    rated = []
    for i, point in enumerate(points):
        candidate = _candidate(found, 1 + i, point)
        gain = before - _width_after(pilots, candidate, target, question)
        if gain > LEAST * before:
            rated.append((candidate, gain))
    if not rated:
        return None
    best, gain = max(rated, key=lambda pair: pair[1] / pair[0].items)
    return _named(best, widened * before, widened * (before - gain), _seconds_per_item(pilots))


def _named(best: _Candidate, before: float, after: float, rate: float) -> NextPilot:
    """A candidate with the length of the interval in log time before and after it."""
    return NextPilot(
        n_train=int(best.point.n_train),
        n_updates=math.ceil(best.late),
        factor=_exp(after),
        before=_exp(before),
        items=best.items,
        seconds=best.items * rate,
        note="narrows the interval most for the items that it sees",
        batch_size=best.point.batch_size,
        width=best.point.width,
        lr=best.point.lr,
    )


def _exp(log: float) -> float:
    """The exponential, which is infinite beyond the largest number."""
    return math.exp(log) if log < LARGEST else math.inf


def candidate_sizes(known: Sequence[float], n_train: int) -> list[int]:
    """Sizes of pilots: those that there are, and doublings of the largest up to half of what is asked for.

    Where there is one size alone, half of it as well; of very many sizes, some of each magnitude.

    >>> candidate_sizes([16, 32], 300)
    [16, 32, 64, 128]
    """
    size = max(known)
    sizes = {int(one) for one in known if one <= n_train}
    if len(set(known)) == 1 and size >= 4:
        sizes.add(int(size // 2))
    while 2 * size <= n_train / 2:
        size *= 2
        sizes.add(int(size))
    return some_of(sorted(sizes or {max(1, n_train // 2)}), MOST_SIZES)


def _candidate(found: Fit, question: int, point: Point) -> _Candidate:
    middle = found.posterior.quantile(question, 0.5)
    late = found.posterior.quantile(question, LIKELY)
    return _Candidate(point, math.exp(min(middle, 100.0)), math.exp(min(late, 100.0)))


def _width_after(pilots: Sequence[Pilot], candidate: _Candidate, target: Target, question: Question) -> float:
    """Length of the interval in log time once the candidate has copied when it is expected to."""
    time = Time(candidate.middle, candidate.middle, candidate.middle, Status.OBSERVED)
    times = log_times([*(pilot.time(question.timescale) for pilot in pilots), time])
    points = [*(pilot.point for pilot in pilots), candidate.point]
    made = design(points, [target.point], question.beliefs)
    return Fit(made, posterior(made, times), ()).log_width(0, question.confidence)


def _longer(pilots: Sequence[Pilot], question: Question) -> NextPilot:
    """Where no time was observed: the smallest pilot that had not got there, longer; else a larger one."""
    known = [pilot for pilot in pilots if pilot.time(question.timescale).known]
    pilot, n_train, note = _one_beyond(known, question.timescale)
    steps = math.ceil(FURTHER * max(pilot.time(question.timescale).value for pilot in known))
    batch = min(n_train, pilot.batch_limit or n_train)
    items = steps * batch
    return NextPilot(
        n_train=int(n_train),
        n_updates=steps,
        factor=math.nan,
        before=math.inf,
        items=items,
        seconds=items * _seconds_per_item(pilots),
        note=note,
        batch_size=None if pilot.point.batch_size is None else batch,
        width=pilot.point.width,
        lr=pilot.point.lr,
    )


def _one_beyond(known: Sequence[Pilot], timescale: str) -> tuple[Pilot, float, str]:
    """The pilot whose like is to be run, on how many items, and why."""
    late = [pilot for pilot in known if pilot.time(timescale).status is Status.NOT_REACHED]
    return _smallest_again(late) if late else _larger(known)


def _smallest_again(late: Sequence[Pilot]) -> tuple[Pilot, float, str]:
    """Where some had not got there by their end: the smallest of these, to be run longer."""
    pilot = min(late, key=lambda pilot: pilot.point.n_train)
    note = f"the smallest pilot, {FURTHER:g} times as long as the longest so far"
    return pilot, pilot.point.n_train, note


def _larger(known: Sequence[Pilot]) -> tuple[Pilot, float, str]:
    """Where all were there before their first look: one on more items, looked at earlier."""
    pilot = max(known, key=lambda pilot: pilot.point.n_train)
    note = "twice the largest pilot, with earlier looks: all were there before their first look"
    return pilot, 2 * pilot.point.n_train, note


def _seconds_per_item(pilots: Sequence[Pilot]) -> float:
    """What the pilots took, per training item seen; NaN where that is not known."""
    rates = [
        pilot.seconds / (pilot.n_updates * (pilot.point.batch_size or pilot.point.n_train))
        for pilot in pilots
        if pilot.seconds and pilot.n_updates
    ]
    return median(rates) if rates else math.nan
