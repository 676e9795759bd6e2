"""Power laws of the times in n, width and whatever else was varied, censored times included."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import optimize
from scipy.linalg import solve_triangular
from scipy.special import erfcx, log_ndtr

from memhorizon.checks import check_number
from memhorizon.errors import InputError
from memhorizon.results import Estimate, ScalingLaw, Status, Time, two_sided
from memhorizon.timescales.collapse import best_exponent, collapse_quality

__all__ = ["best_exponent", "collapse_quality", "fit_scaling", "unfitted"]

_SIDE = {"observed": 0, "not reached": 1, "before first": -1}
_SMALLEST_SCATTER = 1e-7  # of log time: a power law that holds exactly
_LEAST_LEFT = 1e-6  # share of the information on the coefficients that is left where the scatter is not known
_UNKNOWN = 10.0  # half-length in log time of an interval that bounds nothing: the row then weighs nothing


def fit_scaling(
    times: Sequence[Mapping[str, Any] | tuple[Mapping[str, float], Time]],
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
    rows = [_row(row) for row in times]
    by = tuple(by)
    data, means = _read(rows, by)
    clocks: list[Time] = [row["time"] for row in rows]
    known = np.array([clock.known for clock in clocks])
    data = _Data(data.y[known], data.error[known], data.side[known], data.X[known])
    seen = data.side == 0
    k = data.X.shape[1]
    why = f"{int(seen.sum())} observed times for {k} parameters and the scatter"
    law = unfitted(by, clocks, why, confidence)
    if law.observed > k and _rank(data.X[seen]) < k:
        law = replace(law, note="the observed times do not vary in every factor")
    elif law.observed > k:
        law = _fitted(law, data, means, by)
    return replace(law, note="; ".join(filter(None, (law.note, _left_out(clocks)))))


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


@dataclass(frozen=True)
class _Data:
    """Log times y with their errors, the side on which they are censored, and the design X."""

    y: Float[np.ndarray, " rows"]
    error: Float[np.ndarray, " rows"]
    side: Float[np.ndarray, " rows"]
    X: Float[np.ndarray, "rows columns"]

    def deviance(
        self, parameters: Float[np.ndarray, " q"], offset: Float[np.ndarray, " rows"], X: np.ndarray
    ) -> tuple[float, Float[np.ndarray, " q"]]:
        """Minus twice the log likelihood at (coefficients of X, log scatter), and its gradient."""
        scatter2 = np.exp(2 * parameters[-1])
        variance = scatter2 + self.error**2
        sd = np.sqrt(variance)
        z = (self.y - offset - X @ parameters[:-1]) / sd
        seen = self.side == 0
        u, hazard = self._tail(z)
        terms = np.where(seen, -(z**2) / 2 - np.log(sd), log_ndtr(u))
        by_centre = np.where(seen, z, self.side * hazard) / sd
        by_variance = np.where(seen, z**2 - 1, -hazard * u) / (2 * variance)
        gradient = np.append(X.T @ by_centre, 2 * scatter2 * by_variance.sum())
        return -2 * float(terms.sum()), -2 * gradient

    def information(
        self, parameters: Float[np.ndarray, " q"]
    ) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " k"], float]:
        """Minus the second derivatives of the log likelihood at (coefficients, log scatter), in three parts.

        Returns:
            The weights d of the rows, none negative, so that the block of the coefficients is
            X^T diag(d) X; the mixed derivatives c; the second derivative in log scatter.
        """
        scatter2 = np.exp(2 * parameters[-1])
        v = scatter2 + self.error**2
        z = (self.y - self.X @ parameters[:-1]) / np.sqrt(v)
        seen = self.side == 0
        u, hazard = self._tail(z)
        bend = np.clip(hazard * (hazard + u), 0, 1)  # -(log Phi)'', within (0, 1) but for rounding
        centre2 = np.where(seen, 1, bend) / v
        mixed = np.where(seen, z, self.side * (hazard - bend * u) / 2) / v**1.5
        variance2 = np.where(seen, z**2 - 0.5, (bend * u**2 - 3 * hazard * u) / 4) / v**2
        variance1 = np.where(seen, z**2 - 1, -hazard * u) / (2 * v)
        own = np.sum(variance2 * (2 * scatter2) ** 2 - variance1 * 4 * scatter2)
        return centre2, self.X.T @ (mixed * 2 * scatter2), float(own)

    def _tail(self, z: Float[np.ndarray, " rows"]) -> tuple[np.ndarray, np.ndarray]:
        """A censored time lies beyond its bound with probability Phi(u): u, and the derivative of log Phi."""
        u = -self.side * z
        return u, np.sqrt(2 / np.pi) / erfcx(-u / np.sqrt(2))  # no difference of large numbers far out

    def fit(
        self, start: np.ndarray, scatters: Sequence[float], fixed: int | None = None, value: float = 0.0
    ) -> tuple[np.ndarray, float]:
        """The best (coefficients, log scatter) and its deviance, one coefficient held if told so.

        Beside errors and bounds the deviance can have two minima in the scatter, one of them near 0, so the
        search begins at each of `scatters`.
        """
        free = [i for i in range(self.X.shape[1]) if i != fixed]
        offset = np.zeros_like(self.y) if fixed is None else self.X[:, fixed] * value
        tried = [
            optimize.minimize(
                self.deviance,
                np.append(start[free], np.log(scatter)),
                args=(offset, self.X[:, free]),
                jac=True,
                method="L-BFGS-B",
                bounds=[(None, None)] * len(free) + [(np.log(_SMALLEST_SCATTER), 10.0)],
                options={"ftol": 1e-13, "gtol": 1e-7},
            )
            for scatter in scatters
        ]
        found = min(tried, key=lambda one: one.fun)
        best = np.full(self.X.shape[1] + 1, value)
        best[[*free, -1]] = found.x
        return best, float(found.fun)


def _row(row: Any) -> Mapping[str, Any]:
    """One row of a fit, with its time under "time"."""
    if isinstance(row, tuple | list) and len(row) == 2 and isinstance(row[0], Mapping):
        row = {**row[0], "time": row[1]}
    if not isinstance(row, Mapping):
        raise InputError(f"times: expected rows of factors and a time, got {row!r}")
    return row


def _read(rows: Sequence[Mapping[str, Any]], by: tuple[str, ...]) -> tuple[_Data, Float[np.ndarray, " k"]]:
    """Check the rows and turn them into logarithms, factors about their means; what is no time is NaN."""
    if not rows or not by:
        raise InputError(f"times, by: expected at least one row and one factor, got {len(rows)} and {by}")
    for row in rows:
        _check_row(row, by)
    clocks: list[Time] = [row["time"] for row in rows]
    logs = np.log(np.array([[float(row[name]) for name in by] for row in rows]))
    X = np.column_stack([np.ones(len(rows)), logs - logs.mean(axis=0)])
    if _rank(X) < X.shape[1]:
        raise InputError(
            f"by: the exponents of {by} are not identified: too few different values in the rows"
        )
    y = np.log(np.array([clock.value for clock in clocks]))
    z = two_sided(_confidence_of(clocks))
    error = np.array([_log_error(clock) for clock in clocks]) / z
    side = np.array([float(_SIDE.get(clock.status, np.nan)) for clock in clocks])
    return _Data(y, error, side, X), logs.mean(axis=0)


def _check_row(row: Mapping[str, Any], by: tuple[str, ...]) -> None:
    """Refuse a row without a time or a positive factor."""
    if missing := {*by, "time"} - set(row):
        raise InputError(f"times: a row lacks {sorted(map(str, missing))}, it has {sorted(map(str, row))}")
    time = row["time"]
    if not isinstance(time, Time):
        raise InputError(f"times: expected a Time in each row, got {time!r}")
    for name in by:
        check_number(f"times: {name}", row[name], above=0)
    if time.known and not 0 < time.value < np.inf:
        raise InputError(f"times: expected positive, finite time, got {time.value}")


def _confidence_of(clocks: Sequence[Time]) -> float:
    """The confidence that all times are stated at; where there is no time, nothing rests on it."""
    confidences = {clock.confidence for clock in clocks if clock.known}
    if len(confidences) > 1:
        raise InputError("times: expected one confidence for all, got several")
    return next(iter(confidences), 0.95)


def _rank(X: Float[np.ndarray, "rows k"]) -> int:
    """The rank of a design, in which a factor that varies by less than a part in 1e9 does not vary."""
    return int(np.linalg.matrix_rank(X, tol=1e-9 * np.sqrt(len(X))))


def _log_error(clock: Time) -> float:
    """Half the length of the interval in log time; of the bounded side alone where there is one."""
    sides = [abs(np.log(end / clock.value)) for end in (clock.low, clock.high) if 0 < end < np.inf]
    return float(np.mean(sides)) if sides else _UNKNOWN


def _fitted(law: ScalingLaw, data: _Data, means: Float[np.ndarray, " k"], by: tuple[str, ...]) -> ScalingLaw:
    seen, k = data.side == 0, len(by) + 1
    degrees = law.observed - k
    start = np.linalg.lstsq(data.X[seen], data.y[seen], rcond=None)[0]
    residual = float(np.std(data.y[seen] - data.X[seen] @ start))
    plain = not (np.any(data.error) or np.any(data.side))
    scatters = [max(residual, _SMALLEST_SCATTER), *([] if plain else [0.1, 0.001])]
    best, deviance = data.fit(start, scatters)
    known, flat = _covariance(data, best)
    if known is None:
        return replace(law, note="too little is known of the times to tell the factors apart")
    covariance = known * law.observed / degrees
    t = two_sided(law.confidence, degrees)
    limit = deviance + law.observed * np.log1p(t**2 / degrees)  # exact for a plain regression
    exponents = {}
    for i, name in enumerate(by, start=1):
        step = t * float(np.sqrt(covariance[i, i]))
        low, high = (_profile_end(data, best, i, sign * step, limit) for sign in (-1, 1))
        exponents[name] = Estimate(float(best[i]), low, high, law.confidence)
    scatter = 0.0 if flat else float(np.exp(best[-1]) * np.sqrt(law.observed / degrees))
    shift = np.eye(k)
    shift[0, 1:] = -means
    return replace(
        law,
        exponents=exponents,
        log_prefactor=float(best[0] - means @ best[1:k]),
        covariance=shift @ covariance @ shift.T,
        scatter=scatter,
        status=Status.FITTED if law.observed >= law.censored else Status.MOSTLY_CENSORED,
        note="",
        explained=_explained(data.y[seen], data.X[seen] @ best[:-1]),
        degrees=degrees,
    )


def _explained(y: Float[np.ndarray, " m"], line: Float[np.ndarray, " m"]) -> float:
    """Share of the variance of y that the line explains; NaN where y does not vary."""
    spread = y - y.mean()
    if np.ptp(spread) <= _SMALLEST_SCATTER:
        return np.nan
    return 1 - float(np.sum((y - line) ** 2)) / float(np.sum(spread**2))


def _covariance(data: _Data, best: Float[np.ndarray, " q"]) -> tuple[Float[np.ndarray, "k k"] | None, bool]:
    """Of the coefficients, positive by construction; and whether the scatter is nothing.

    The information has the blocks A = X^T diag(d) X = R^T R of the coefficients, c mixed and s of log
    scatter. With v = R^-T c / sqrt(s), the block of its inverse is

        (A - c c^T / s)^-1 = R^-1 (1 + v v^T / (1 - v^T v)) R^-T.

    Where the scatter lies at its bound, is flat in the likelihood or no maximum (v^T v >= 1), there is no
    inverse: the scatter is then taken as known, and (R^T R)^-1 is left. It is None where the weights leave a
    coefficient undetermined.
    """
    weights, cross, own = data.information(best)
    R = np.asarray(np.linalg.qr(np.sqrt(weights)[:, None] * data.X, mode="r"))
    if np.min(abs(np.diag(R))) <= 1e-14 * np.max(abs(R)):
        return None, False
    inverse = solve_triangular(R, np.eye(len(R)))
    known = inverse @ inverse.T
    at_bound = best[-1] <= np.log(_SMALLEST_SCATTER) + 1e-6
    if at_bound or own < 1e-3 * len(data.y):  # 2 a row where the scatter is all there is
        return known, True
    v = inverse.T @ cross / np.sqrt(own)
    left = 1 - float(v @ v)
    if left < _LEAST_LEFT:
        return known, False
    along = inverse @ v
    return known + np.outer(along, along) / left, False


def _profile_end(data: _Data, best: Float[np.ndarray, " q"], i: int, step: float, limit: float) -> float:
    """Where the profile deviance of coefficient i passes the limit, on the side of `step`."""
    own = float(np.exp(best[-1]))
    scatters = [own, 0.1] if own < 0.03 and np.any(data.error) else [own]

    def excess(distance: float) -> float:
        return data.fit(best[:-1], scatters, i, float(best[i] + distance * step))[1] - limit

    near, far = 0.0, 1.0
    if excess(near) >= 0:  # the threshold lies within rounding of the maximum
        return float(best[i])
    while not excess(far) > 0:
        near, far = far, 2 * far
        if far > 1e6 or not np.isfinite(excess(near)):  # beyond what numbers hold
            return float(np.sign(step) * np.inf)
    root: Any = optimize.brentq(excess, near, far, xtol=1e-5)
    return float(best[i] + step * root)
