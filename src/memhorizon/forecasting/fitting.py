"""What pilots say of some points, in log time, and whether they can say it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from memhorizon.forecasting.design import Design, design
from memhorizon.forecasting.pilots import Pilot, Point
from memhorizon.forecasting.posterior import Posterior, posterior
from memhorizon.forecasting.priors import Exponent
from memhorizon.forecasting.refusals import Refusal, assumed, contradictory, unmeasured
from memhorizon.forecasting.times import log_times, usable

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Question:
    """What is asked of pilots.

    Attributes:
        timescale: "tau_mem" or "tau_gen".
        beliefs: about each exponent.
        confidence: of the prediction intervals.
        accept_prior: whether an exponent that the pilots do not show may be assumed.
    """

    timescale: str
    beliefs: Mapping[str, Exponent]
    confidence: float = 0.9
    accept_prior: bool = False


@dataclass(frozen=True)
class Fit:
    """What pilots say of some points.

    Attributes:
        design: of the pilots that were used, and the points.
        posterior: of the points in their order, then of the exponents.
        pilots: that were used.
        refusal: why the first point has no answer, or that it rests on the prior; None where all is well.
    """

    design: Design
    posterior: Posterior
    pilots: tuple[Pilot, ...]
    refusal: Refusal | None = None

    def interval(self, point: int, confidence: float) -> tuple[float, float, float]:
        """Median and both ends of the log time of one more run at a point."""
        tail = (1 - confidence) / 2
        low, middle, high = (self.posterior.quantile(point, share) for share in (tail, 0.5, 1 - tail))
        return middle, low, high

    def log_width(self, point: int, confidence: float) -> float:
        """Length of the interval of one more run in log time."""
        _, low, high = self.interval(point, confidence)
        return high - low


def check_pilots(pilots: Sequence[Pilot], question: Question) -> Refusal | None:
    """Why these pilots cannot tell, whatever is asked; None where they can."""
    timescale = question.timescale
    return unmeasured(pilots, timescale) or contradictory(with_a_time(pilots, timescale), timescale)


def fit(pilots: Sequence[Pilot], points: Sequence[Point], question: Question) -> Fit:
    """What the pilots that have a time say of some points, the first of which is asked for."""
    used = with_a_time(pilots, question.timescale)
    times = [pilot.time(question.timescale) for pilot in used]
    made = design([pilot.point for pilot in used], points, question.beliefs)
    observed = [time.observed for time in times]
    found = posterior(made, log_times(times))
    only_first = replace(made, asked=made.asked[:1])
    refusal = assumed(_moving(only_first), observed, accept_prior=question.accept_prior)
    return Fit(made, found, tuple(used), refusal)


def _moving(found: Design) -> Design:
    """The design without columns that vary only in points other than the first, which is asked for."""
    both = np.vstack([found.pilots, found.asked])
    kept = [i for i in range(len(found.names)) if np.ptp(both[:, i]) > 1e-9]
    return replace(
        found,
        names=tuple(found.names[i] for i in kept),
        pilots=found.pilots[:, kept],
        asked=found.asked[:, kept],
        mean=found.mean[kept],
        sd=found.sd[kept],
    )


def with_a_time(pilots: Sequence[Pilot], timescale: str) -> list[Pilot]:
    """Those whose time of this timescale, or its bound, says anything."""
    return [pilot for pilot in pilots if usable(pilot.time(timescale))]


def some_of(sizes: Sequence[Number], most: int) -> list[Number]:
    """All sizes, or of more than `most` those at even ranks, both ends included.

    >>> some_of([1, 2, 3, 5, 8, 13, 21], 4)
    [1, 3, 8, 21]
    """
    ranks = np.linspace(0, len(sizes) - 1, min(most, len(sizes))).round().astype(int)
    return [sizes[rank] for rank in ranks]
