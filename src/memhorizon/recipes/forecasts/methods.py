"""Ways to forecast a time from pilots: ours, and four simpler ones; all give a median and a 90 % interval."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import stats

from memhorizon.forecasting.fitting import Question, fit
from memhorizon.forecasting.pilots import Pilot, Point
from memhorizon.forecasting.priors import beliefs
from memhorizon.recipes.pooled import Interval

CONFIDENCE = 0.9
DRAWS = 400  # of the bootstrap
Method = Literal["ours", "least squares", "bootstrap", "conformal", "prior alone"]
NOTHING = Interval(math.nan, 0.0, math.inf)
QUESTION = Question("tau_mem", beliefs("tau_mem", None), CONFIDENCE, accept_prior=True)


@dataclass(frozen=True)
class Logs:
    """Observed pilots in logarithms.

    Attributes:
        x: log n. [k]
        y: log time. [k]
    """

    x: Float[np.ndarray, " k"]
    y: Float[np.ndarray, " k"]

    @property
    def sizes(self) -> int:
        """How many different n."""
        return len(np.unique(self.x))


def logs_of(pilots: Sequence[Pilot]) -> Logs:
    """Those pilots whose time was observed: the simpler ways know nothing of bounds."""
    seen = [pilot for pilot in pilots if pilot.tau_mem.observed]
    x = np.log([pilot.point.n_train for pilot in seen])
    return Logs(x, np.log([pilot.tau_mem.value for pilot in seen]))


def forecasts(pilots: Sequence[Pilot], point: Point) -> dict[str, Interval]:
    """Each way's median and interval in steps; unbounded where it has none."""
    logs = logs_of(pilots)
    x = math.log(point.n_train)
    found = {name: _in_steps(way(logs, x)) for name, way in SIMPLE.items()}
    return {"ours": by_pilots(pilots, point), **found}


def by_pilots(pilots: Sequence[Pilot], point: Point) -> Interval:
    """Our way: median and interval of one more run, in steps."""
    return _in_steps(Interval(*fit(pilots, [point], QUESTION).interval(0, CONFIDENCE)))


def _in_steps(logs: Interval) -> Interval:
    if math.isnan(logs.value):
        return NOTHING
    ends = np.exp(np.clip([logs.value, logs.low, logs.high], -700, 700)).tolist()
    return Interval(*ends)


@dataclass(frozen=True)
class Line:
    """A line fitted to pilots by least squares.

    Attributes:
        slope: of log time against log n.
        start: log time at n = 1.
        residual: of each pilot. [k]
    """

    slope: float
    start: float
    residual: Float[np.ndarray, " k"]

    @classmethod
    def through(cls, logs: Logs) -> "Line":
        """The line through pilots."""
        slope, start = np.polyfit(logs.x, logs.y, 1).tolist()
        return cls(slope, start, logs.y - start - slope * logs.x)

    def at(self, x: float) -> float:
        """Log time at log n."""
        return self.start + self.slope * x


def least_squares(logs: Logs, x: float) -> Interval:
    """The textbook prediction interval about a fitted line: t s sqrt(1 + 1/k + (x - m)^2 / S)."""
    count = len(logs.x)
    degrees = count - 2
    if logs.sizes < 2 or degrees < 1:
        return NOTHING
    line = Line.through(logs)
    # s^2 = sum residual^2 / (k - 2), S = sum (x_i - m)^2
    s = math.sqrt(line.residual @ line.residual / degrees)
    m = logs.x.mean()
    S = (logs.x - m) @ (logs.x - m)
    half = _t_ends(degrees) * s * math.sqrt(1 + 1 / count + (x - m) ** 2 / S)
    middle = line.at(x)
    return Interval(middle, middle - half, middle + half)


def _t_ends(degrees: int) -> float:
    """How many standard errors on both sides of a mean hold CONFIDENCE, by the t distribution."""
    return float(stats.t.isf((1 - CONFIDENCE) / 2, degrees))


def bootstrap(logs: Logs, x: float) -> Interval:
    """Lines through runs drawn with replacement, each with a residual of the fitted line added."""
    if logs.sizes < 2:
        return NOTHING
    rng = np.random.default_rng(0)
    line = Line.through(logs)
    drawn = [_drawn(logs, x, line.residual, rng) for _ in range(DRAWS)]
    found = [log for log in drawn if log is not None]
    low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    middle = line.at(x)
    return Interval(middle, min(low, middle), max(high, middle))


def _drawn(logs: Logs, x: float, residual: Float[np.ndarray, " k"], rng: np.random.Generator) -> float | None:
    """One more run by the line through runs drawn with replacement; None where these are of one size."""
    chosen = rng.integers(len(logs.x), size=len(logs.x))
    if np.ptp(logs.x[chosen]) == 0:
        return None
    line = np.polyfit(logs.x[chosen], logs.y[chosen], 1)
    return float(np.polyval(line, x)) + float(rng.choice(residual))


def conformal(logs: Logs, x: float) -> Interval:
    """Split conformal on log residuals: a line through every other run, the residuals of the rest.

    With k residuals the largest covers k/(k + 1) at most: 90 % need nine.
    """
    fitted = _every_other(logs, first=0)
    left_out = _every_other(logs, first=1)
    if len(left_out.x) == 0 or fitted.sizes < 2:
        return NOTHING
    line = np.polyfit(fitted.x, fitted.y, 1)
    scores = np.sort(abs(left_out.y - np.polyval(line, left_out.x)))
    # the ceil((k + 1) confidence)-th smallest of k scores, or the largest
    rank = min(math.ceil((len(scores) + 1) * CONFIDENCE), len(scores))
    half = float(scores[rank - 1])
    middle = float(np.polyval(line, x))
    return Interval(middle, middle - half, middle + half)


def _every_other(logs: Logs, *, first: int) -> Logs:
    """Every other pilot in the order of n."""
    chosen = np.argsort(logs.x, kind="stable")[first::2]
    return Logs(logs.x[chosen], logs.y[chosen])


def prior_alone(logs: Logs, x: float) -> Interval:
    """Times proportional to n: the prefactor of the pilots, with the t interval of one more run."""
    count = len(logs.x)
    if count < 2:
        return NOTHING
    offset = logs.y - logs.x
    half = _t_ends(count - 1) * float(offset.std(ddof=1)) * math.sqrt(1 + 1 / count)
    middle = float(offset.mean()) + x
    return Interval(middle, middle - half, middle + half)


SIMPLE: Mapping[Method, Callable[[Logs, float], Interval]] = {
    "least squares": least_squares,
    "bootstrap": bootstrap,
    "conformal": conformal,
    "prior alone": prior_alone,
}
METHODS: tuple[Method, ...] = ("ours", *SIMPLE)
