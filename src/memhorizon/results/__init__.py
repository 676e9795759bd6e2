"""The answers that memhorizon gives.

Nothing here needs torch: theory and experiments return the same types. A number has its evidence beside it:
counts, an interval, or the statement that a time was not reached.
"""

from memhorizon.results.curve import Curve
from memhorizon.results.estimate import Estimate
from memhorizon.results.fraction import Fraction
from memhorizon.results.intervals import NORMAL_95, ROUNDING, check_confidence, two_sided
from memhorizon.results.scaling_law import ScalingLaw
from memhorizon.results.status import LAW_STATUSES, UNKNOWN, Status, Worded, status_among
from memhorizon.results.times import Time, Timescales

__all__ = [
    "LAW_STATUSES",
    "NORMAL_95",
    "ROUNDING",
    "UNKNOWN",
    "Curve",
    "Estimate",
    "Fraction",
    "ScalingLaw",
    "Status",
    "Time",
    "Timescales",
    "Worded",
    "check_confidence",
    "status_among",
    "two_sided",
]
