"""Times of pilots as log times with their errors and sides."""

from collections.abc import Sequence

import numpy as np

from memhorizon.forecasting.conditioning import LogTimes
from memhorizon.results import Time, two_sided
from memhorizon.timescales.pooling import SIDES

# Share of the half-length of an interval that counts as error between runs: much of it is the error of the
# null and of neighbouring snapshots, which runs of one setting share (chosen by the likelihood of the mixture
# sweeps).
APART = 0.5
UNKNOWN = 5.0  # of a bound that a measurement with few samples does not confirm: a factor of 150


def usable(time: Time) -> bool:
    """Whether a time, or a bound, says anything."""
    return time.known and time.determined and 0 < time.value < np.inf


def log_times(times: Sequence[Time]) -> LogTimes:
    """The logarithms of times, all of which are usable."""
    return LogTimes(
        np.log([time.value for time in times]),
        np.array([_error(time) for time in times]),
        np.array([SIDES[time.status] for time in times]),
    )


def _error(time: Time) -> float:
    """The standard deviation of a log time, or of the log of its bound.

    A bound lies at the last look (or the first); that the time is really beyond it is as certain as the
    interval says, which reaches back from there.
    """
    if time.confidence == 1:
        return 0.0
    ends = [abs(np.log(end / time.value)) for end in (time.low, time.high) if 0 < end < np.inf]
    if not time.observed:
        return float(ends[0]) / two_sided(time.confidence) if ends else UNKNOWN
    half = float(np.mean(ends)) if ends else 0.0
    return APART * half / two_sided(time.confidence)
