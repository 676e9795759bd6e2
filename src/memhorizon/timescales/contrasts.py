"""How much later times come under one setting than under another, seed by seed, censored times included."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from memhorizon.errors import InputError
from memhorizon.results import Estimate, ScalingLaw, Status, Time
from memhorizon.timescales.power_law import fit_scaling


@dataclass(frozen=True)
class TimeRatio:
    """The ratio of times between two settings.

    Attributes:
        ratio: with its interval; None where no two runs share a seed.
        observed: times that were observed.
        censored: times that entered as bounds.
        status: fitted, fitted with most times censored, or not fitted.
        note: details of the status.
        left_out: times that are none, only the reason why.
        at_least: a lower bound of the ratio where no time of the second setting was reached.
    """

    ratio: Estimate | None
    observed: int
    censored: int
    status: Status
    note: str = ""
    left_out: int = 0
    at_least: float | None = None


@dataclass(frozen=True)
class SeededTime:
    """A time, whether it belongs to the second of two settings, and the seed of its run."""

    second: bool
    seed: int
    time: Time


def time_ratio(times: Sequence[SeededTime]) -> TimeRatio:
    """The ratio of times of the second setting to those of the first.

    It is e to the coefficient of the second setting, beside one of each seed, in a fit of log time that takes
    censored times in; without these its interval is the t interval of the paired differences, where all times
    are equally well known.

    Source: [tobin1958]
    """
    rows, factors = _design(times)
    try:
        law = fit_scaling(rows, by=factors)
    except InputError as error:  # no two runs of one seed
        return TimeRatio(None, 0, 0, Status.NOT_FITTED, str(error))
    return replace(_ratio_of(law), at_least=_bound(times))


def _ratio_of(law: ScalingLaw) -> TimeRatio:
    """The ratio of a law that was fitted to the design."""
    return TimeRatio(
        _exponential(law.exponents["ratio"]),
        law.observed,
        law.censored,
        law.status,
        law.note,
        law.left_out,
    )


def _design(
    times: Sequence[SeededTime],
) -> tuple[list[tuple[dict[str, float], Time]], tuple[str, ...]]:
    """A factor that is e in the second setting, and one for each seed but the first; then their names."""
    seeds = sorted({own.seed for own in times})[1:]
    rows = [(_factors_of(own, seeds), own.time) for own in times]
    return rows, ("ratio", *(f"seed {seed}" for seed in seeds))


def _factors_of(own: SeededTime, seeds: Sequence[int]) -> dict[str, float]:
    """The row of the design of one time."""
    of_seed = {f"seed {seed}": math.e if own.seed == seed else 1.0 for seed in seeds}
    return {"ratio": math.e if own.second else 1.0, **of_seed}


def _exponential(log: Estimate) -> Estimate:
    with np.errstate(over="ignore"):  # infinity is the answer beyond the largest number
        value, low, high = np.exp([log.value, log.low, log.high]).tolist()
    return Estimate(value, low, high, log.confidence)


def _bound(times: Sequence[SeededTime]) -> float | None:
    """A lower bound of the ratio where no time of the second setting was reached: no fit can use that."""
    late = list(_logs(times, second=True, status=Status.NOT_REACHED))
    early = list(_logs(times, second=False, status=Status.OBSERVED))
    if not len(late) == len(early) == len(times) / 2:
        return None
    return math.exp(np.mean(late) - np.mean(early))


def _logs(times: Sequence[SeededTime], *, second: bool, status: Status) -> Iterator[float]:
    for own in times:
        if own.second == second and own.time.status is status:
            yield math.log(own.time.value)
