"""Power laws of times in training-set size, width, ...: fitted with censored times included."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from scipy import optimize

from memhorizon.checks import check_number
from memhorizon.errors import InputError
from memhorizon.results import Estimate, ScalingLaw, Status, Time, two_sided
from memhorizon.timescales.likelihood import SMALLEST_SCATTER, Fit, Held, LogTimes

Row: TypeAlias = Mapping[str, object]  # the factors of a run by name, and its time under "time"
Pair: TypeAlias = tuple[Mapping[str, float], Time]

_SIDE = {Status.OBSERVED: 0.0, Status.NOT_REACHED: 1.0, Status.BEFORE_FIRST: -1.0}
_UNKNOWN = 10.0  # half-length in log time of an interval that bounds nothing: the row then weighs nothing
_FARTHEST = 1e6  # standard errors within which an end of an interval is looked for


def fit_scaling(
    times: Sequence[Row | Pair],
    *,
    by: Sequence[str] = ("n_train",),
    confidence: float = 0.95,
) -> ScalingLaw:
    """Fit time = prefactor * prod_k factor_k ** exponent_k by maximum likelihood, censored times included.

    Log times are normal about the line. Their variance is one common scatter, fitted, plus the error of
    each time, read off its interval. An observed time enters by its density, a censored one by the
    probability to lie beyond its bound. Intervals of the exponents are profile likelihoods whose
    threshold gives the exact t interval where nothing is censored and all times are equally well known;
    degrees of freedom are counted over observed times only.

    Args:
        times: one row per run: its factors by name and its `Time` under "time", or pairs (factors,
            time).
        by: the factors that enter.
        confidence: nominal coverage of the intervals.

    Returns:
        The law. Where too few times are observed its numbers are NaN, its intervals unbounded, its status
        "not fitted" and `note` says why. Rows that have no time but a reason ("still improving", say) are
        left out, counted and named in `note`.

    Raises:
        InputError: if there are no rows, a factor or a time is missing or not positive, a factor does
            not vary independently of the others, or the times are stated at different confidences.

    Source: [tobin1958]
    """
    check_number("confidence", confidence, above=0, below=1)
    if not isinstance(times, Iterable) or not isinstance(by, Iterable):
        raise InputError(f"times, by: expected rows and names of factors, got {times!r} and {by!r}")
    if isinstance(by, str):
        raise InputError(f"by: expected names of factors, such as ('n_train',), got {by!r}")
    by = tuple(by)
    points = _points(times, by)
    read = [point.time for point in points]
    law = unfitted(by, read, "", confidence)
    design = _design(points, by)
    data = _log_times(points, design.X)
    law = _fit(law, data, design.means)
    return replace(law, note="; ".join(filter(None, (law.note, _left_out(read)))))


def unfitted(by: Sequence[str], times: Sequence[Time], note: str, confidence: float = 0.95) -> ScalingLaw:
    """A law without numbers, which says why."""
    size = len(by) + 1
    known = [time for time in times if time.known]
    return ScalingLaw(
        {name: Estimate(np.nan, -np.inf, np.inf, confidence) for name in by},
        np.nan,
        np.full((size, size), np.nan),
        np.nan,
        sum(time.observed for time in known),
        sum(not time.observed for time in known),
        Status.NOT_FITTED,
        confidence,
        left_out=len(times) - len(known),
        note=note,
    )


def _left_out(times: Sequence[Time]) -> str:
    """How many rows have no time, in words, by reason."""
    reasons = [time.status for time in times if not time.known]
    counts = [f"{reasons.count(reason)} {reason}" for reason in dict.fromkeys(reasons)]
    return f"left out: {', '.join(counts)}" if counts else ""


def _fit(law: ScalingLaw, data: LogTimes, means: Float[np.ndarray, " factors"]) -> ScalingLaw:
    """The law of these times, or why there is none."""
    parameters = data.X.shape[1]
    if law.observed <= parameters:
        return replace(law, note=f"{law.observed} observed times for {parameters} parameters and the scatter")
    if _rank(data.X[data.seen]) < parameters:
        return replace(law, note="the observed times do not vary in every factor")
    return _fitted(law, data, means)


# --- reading the rows ---


@dataclass(frozen=True)
class _Point:
    """The factors of a run and its time."""

    factors: tuple[float, ...]
    time: Time


@dataclass(frozen=True)
class _Design:
    """Columns of ones and of log factors about their means, and these means."""

    X: Float[np.ndarray, "rows columns"]
    means: Float[np.ndarray, " factors"]


def _points(times: Iterable[object], by: tuple[str, ...]) -> list[_Point]:
    """The rows of a fit, checked."""
    points = [_point(row, by) for row in times]
    if not points or not by:
        raise InputError(f"times, by: expected at least one row and one factor, got {len(points)} and {by}")
    return points


def _point(row: object, by: tuple[str, ...]) -> _Point:
    """The factors and the time of one row."""
    values = _by_name(row)
    if missing := {*by, "time"} - set(values):
        raise InputError(f"times: a row lacks {sorted(map(str, missing))}, it has {sorted(map(str, values))}")
    time = values["time"]
    if not isinstance(time, Time):
        raise InputError(f"times: expected a Time in each row, got {time!r}")
    for name in by:
        check_number(f"times: {name}", values[name], above=0)
    _check_positive(time)
    return _Point(tuple(float(values[name]) for name in by), time)


def _by_name(row: object) -> Mapping:
    """A row as a mapping: the factors by name with the time under "time", or a pair of both."""
    if isinstance(row, tuple | list) and len(row) == 2 and isinstance(row[0], Mapping):
        return {**row[0], "time": row[1]}
    if not isinstance(row, Mapping):
        raise InputError(f"times: expected rows of factors and a time, got {row!r}")
    return row


def _check_positive(time: Time) -> None:
    if time.known and not 0 < time.value < np.inf:
        raise InputError(f"times: expected positive, finite time, got {time.value}")


def _design(points: Sequence[_Point], by: tuple[str, ...]) -> _Design:
    """Factors in logarithms about their means: then the prefactor and the exponents hardly correlate."""
    logs = np.log(np.array([point.factors for point in points]))
    means = logs.mean(axis=0)
    X = np.column_stack([np.ones(len(points)), logs - means])
    if _rank(X) < X.shape[1]:
        raise InputError(
            f"by: the exponents of {by} are not identified: too few different values in the rows"
        )
    return _Design(X, means)


def _log_times(points: Sequence[_Point], X: Float[np.ndarray, "rows columns"]) -> LogTimes:
    """The rows that have a time, in logarithms."""
    z = two_sided(_confidence_of([point.time for point in points]))
    known = [i for i, point in enumerate(points) if point.time.known]
    times = [points[i].time for i in known]
    y = np.log(np.array([time.value for time in times], dtype=float))
    error = np.array([_log_error(time) for time in times], dtype=float) / z
    side = np.array([_SIDE[time.status] for time in times], dtype=float)
    return LogTimes(y, error, side, X[known])


def _confidence_of(times: Sequence[Time]) -> float:
    """The confidence that all times are stated at; where there is no time, nothing rests on it."""
    confidences = {time.confidence for time in times if time.known}
    if len(confidences) > 1:
        raise InputError("times: expected one confidence for all, got several")
    return next(iter(confidences), 0.95)


def _rank(X: Float[np.ndarray, "rows k"]) -> int:
    """The rank of a design, in which a factor that varies by less than a part in 1e9 does not vary."""
    return int(np.linalg.matrix_rank(X, tol=1e-9 * np.sqrt(len(X))))


def _log_error(time: Time) -> float:
    """Half the length of the interval in log time; of the bounded side alone where there is one."""
    sides = [abs(np.log(end / time.value)) for end in (time.low, time.high) if 0 < end < np.inf]
    return float(np.mean(sides)) if sides else _UNKNOWN


# --- fitting ---


def _fitted(law: ScalingLaw, data: LogTimes, means: Float[np.ndarray, " factors"]) -> ScalingLaw:
    """The law with its numbers."""
    best = _best(data)
    found = data.covariance(best)
    if found.matrix is None:
        return replace(law, note="too little is known of the times to tell the factors apart")
    # unbiased: observed / degrees times what the likelihood says of a variance
    degrees = law.observed - data.X.shape[1]
    inflation = law.observed / degrees
    covariance = found.matrix * inflation
    scatter = 0.0 if found.no_scatter else math.exp(best.log_scatter) * math.sqrt(inflation)
    line = data.X @ best.coefficients
    return replace(
        law,
        exponents=_exponents(law, data, best, covariance, degrees),
        log_prefactor=float(best.coefficients[0] - means @ best.coefficients[1:]),
        covariance=_about_one(covariance, means),
        scatter=scatter,
        status=Status.FITTED if law.observed >= law.censored else Status.MOSTLY_CENSORED,
        explained=_explained(data.y[data.seen], line[data.seen]),
        degrees=degrees,
    )


def _best(data: LogTimes) -> Fit:
    """The maximum of the likelihood, sought from the least squares of the observed times."""
    X = data.X[data.seen]
    y = data.y[data.seen]
    start = np.linalg.lstsq(X, y, rcond=None)[0]
    residual = max(float(np.std(y - X @ start)), SMALLEST_SCATTER)
    plain = not (np.any(data.error) or np.any(data.side))
    return data.fit(start, [residual] if plain else [residual, 0.1, 0.001])


def _exponents(
    law: ScalingLaw, data: LogTimes, best: Fit, covariance: Float[np.ndarray, "k k"], degrees: int
) -> dict[str, Estimate]:
    """Each exponent with the interval in which the profile deviance stays below its limit.

    The limit is that of the t interval of a plain regression: n log(1 + t^2 / degrees) above the minimum.
    """
    t = two_sided(law.confidence, degrees)
    limit = best.deviance + law.observed * np.log1p(t**2 / degrees)
    found = {}
    for i, name in enumerate(law.exponents, start=1):
        step = t * float(np.sqrt(covariance[i, i]))
        low = _profile_end(data, best, i, -step, limit)
        high = _profile_end(data, best, i, step, limit)
        found[name] = Estimate(float(best.coefficients[i]), low, high, law.confidence)
    return found


def _about_one(
    covariance: Float[np.ndarray, "k k"], means: Float[np.ndarray, " factors"]
) -> Float[np.ndarray, "k k"]:
    """The covariance of the coefficients of factors about their means, for factors about 1.

    log_prefactor = beta_0 - means . beta, so it is S C S^T with S = 1 but for its first row (1, -means).
    """
    shift = np.eye(len(covariance))
    shift[0, 1:] = -means
    return shift @ covariance @ shift.T


def _explained(y: Float[np.ndarray, " m"], line: Float[np.ndarray, " m"]) -> float:
    """Share of the variance of y that the line explains; NaN where y does not vary."""
    spread = y - y.mean()
    if np.ptp(spread) <= SMALLEST_SCATTER:
        return np.nan
    return 1 - float(np.sum((y - line) ** 2)) / float(np.sum(spread**2))


def _profile_end(data: LogTimes, best: Fit, i: int, step: float, limit: float) -> float:
    """Where the profile deviance of coefficient i passes the limit, on the side of `step`."""
    center = float(best.coefficients[i])
    scatters = _starts(data, best)

    def excess(distance: float) -> float:
        held = Held(i, center + distance * step)
        return data.fit(best.coefficients, scatters, held).deviance - limit

    if excess(0.0) >= 0:  # the threshold lies within rounding of the maximum
        return center
    bracket = _bracket(excess)
    if bracket is None:
        return float(np.sign(step) * np.inf)
    root = optimize.brentq(excess, *bracket, xtol=1e-5)
    return center + float(root) * step  # pyright: ignore[reportArgumentType]


def _starts(data: LogTimes, best: Fit) -> list[float]:
    """Scatters from which the profile is sought: a second one where errors may hide a minimum."""
    scatter = math.exp(best.log_scatter)
    return [scatter, 0.1] if scatter < 0.03 and np.any(data.error) else [scatter]


def _bracket(excess: Callable[[float], float]) -> tuple[float, float] | None:
    """Distances between which the excess, negative at 0, becomes positive; None beyond what numbers hold."""
    near = 0.0
    far = 1.0
    while not excess(far) > 0:
        near = far
        far = 2 * far
        if far > _FARTHEST or not np.isfinite(excess(near)):
            return None
    return near, far
