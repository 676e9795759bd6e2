"""Power laws of the times in n, width and whatever else was varied, censored times included."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import optimize, stats

from memhorizon.measure.timescales import _log_step
from memhorizon.results import Curve, Estimate, InputError, ScalingLaw, Time


def fit_scaling(
    times: Sequence[Mapping[str, Any]], *, by: Sequence[str] = ("n_train",), confidence: float = 0.95
) -> ScalingLaw:
    """Fit time = prefactor * prod_k factor_k ** exponent_k by maximum likelihood, censored times included.

    Args:
        times: one row per run: the factors by name and its `Time` under "time".
        by: the factors that enter.
        confidence: nominal coverage of the intervals.

    Raises:
        InputError: if there are no rows, a factor is missing or not positive, or does not vary.
    """
    if not times:
        raise InputError("times: expected at least one row, got none")
    factors = np.array([[float(row[name]) for name in by] for row in times])
    if not np.all(factors > 0):
        raise InputError(f"times: expected positive factors {tuple(by)}, got {factors.min()}")
    X = np.column_stack([np.ones(len(times)), np.log(factors)])  # [rows, k+1]
    if np.linalg.matrix_rank(X) < X.shape[1]:
        raise InputError(f"by: the exponents of {tuple(by)} are not identified: too few different values")
    clocks: list[Time] = [row["time"] for row in times]
    y = np.log([clock.value for clock in clocks])
    side = np.array([{"observed": 0, "not reached": 1, "before first": -1}[c.status] for c in clocks])
    observed = int(np.sum(side == 0))
    if observed <= X.shape[1]:
        k = X.shape[1]
        none = {name: Estimate(np.nan, -np.inf, np.inf, confidence) for name in by}
        status = f"not fitted: {observed} observed times for {k} parameters"
        return ScalingLaw(
            none,
            np.nan,
            np.full((k, k), np.nan),
            np.nan,
            observed,
            len(times) - observed,
            status,
            confidence,
        )

    def loss(parameters: Float[np.ndarray, " q"]) -> float:
        sigma = np.exp(parameters[-1])
        z = (y - X @ parameters[:-1]) / sigma
        terms = np.where(
            side == 0, stats.norm.logpdf(z) - np.log(sigma), stats.norm.logcdf(np.where(side > 0, -z, z))
        )
        return -float(terms.sum())

    start = np.linalg.lstsq(X, y, rcond=None)[0]
    scatter = max(float(np.std(y - X @ start)), 1e-6)
    best = optimize.minimize(loss, np.append(start, np.log(scatter)), method="L-BFGS-B", tol=1e-10)
    beta, sigma = best.x[:-1], float(np.exp(best.x[-1]))
    weight = X[side == 0]
    degrees = observed - X.shape[1]
    covariance = np.linalg.inv(weight.T @ weight) * sigma**2 * observed / degrees
    half = float(stats.t.ppf(0.5 + confidence / 2, degrees)) * np.sqrt(np.diag(covariance))
    exponents = {
        name: Estimate(float(beta[i]), float(beta[i] - half[i]), float(beta[i] + half[i]), confidence)
        for i, name in enumerate(by, start=1)
    }
    return ScalingLaw(
        exponents,
        float(beta[0]),
        covariance,
        sigma,
        observed,
        len(times) - observed,
        "fitted",
        confidence,
    )


def _matched(curves: Sequence[Curve], levels: int = 9) -> Float[np.ndarray, "curves levels"]:
    """Log times at which each curve passes `levels` values of the range that all of them cover."""
    rising = [np.maximum.accumulate(curve.value) for curve in curves]
    bottom, top = max(y[0] for y in rising), min(y[-1] for y in rising)
    if not bottom < top:
        raise InputError(f"curves: expected a common range of values, got [{bottom:g}, {top:g}]")
    values = bottom + (top - bottom) * np.linspace(0.1, 0.9, levels)
    return np.array(
        [
            [np.interp(v, *_strict(y, _log_step(c))) for v in values]
            for y, c in zip(rising, curves, strict=True)
        ]
    )


def _strict(y: Float[np.ndarray, " m"], x: Float[np.ndarray, " m"]) -> tuple[np.ndarray, np.ndarray]:
    keep = np.append(np.diff(y) > 0, True)
    return y[keep], x[keep]


def collapse_quality(
    curves: Sequence[Curve], factor_values: Sequence[float], exponent: float = 1.0, *, seed: int = 0
) -> Estimate:
    """How well the curves fall on one another in step / factor ** exponent: 0 perfect, 1 useless."""
    z = _matched(curves)
    logs = np.log(np.asarray(factor_values, dtype=float))
    generator = np.random.default_rng(seed)

    def ratio(rows: np.ndarray) -> float:
        plain = z[rows].var(axis=0).mean()
        return float((z[rows] - exponent * logs[rows, None]).var(axis=0).mean() / plain) if plain > 0 else 1.0

    m = len(curves)
    draws = [ratio(generator.integers(m, size=m)) for _ in range(200)]
    return Estimate(ratio(np.arange(m)), float(np.quantile(draws, 0.025)), float(np.quantile(draws, 0.975)))


def best_exponent(curves: Sequence[Curve], factor_values: Sequence[float]) -> Estimate:
    """The exponent at which `collapse_quality` is smallest, with the regression's t interval."""
    fit: Any = stats.linregress(np.log(np.asarray(factor_values, dtype=float)), _matched(curves).mean(axis=1))
    half = float(stats.t.ppf(0.975, max(len(curves) - 2, 1)) * fit.stderr)
    return Estimate(float(fit.slope), float(fit.slope) - half, float(fit.slope) + half)
