"""The smallest score error along training against psi_n, and whether it is a power law (figure 13)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float

from memhorizon.recipes.tables import grouped
from memhorizon.recipes.theory.rows import ModelRow, log_slope
from memhorizon.theory import FeatureModel, loss_curves
from memhorizon.theory.ensembles import Modes
from memhorizon.theory.features import finite_matrices
from memhorizon.timescales.pooling import mean_and_error

FIT = (4.0, 32.0)  # range of psi_n of the paper's fit, both ends included
ROUNDING = 1e-6  # relative, of psi_n


@dataclass(frozen=True)
class Sizes:
    """How much is computed.

    Attributes:
        cases: psi_p and t of the families.
        points: values of psi_n in the limit.
        sampled: psi_n of the networks, which are of the first family.
        dim: d of the networks.
        seeds: how many there are of each.
    """

    cases: tuple[tuple[float, float], ...]
    points: int
    sampled: tuple[float, ...]
    dim: int
    seeds: int


HERE = Sizes(((32.0, 0.01), (64.0, 0.1), (1024.0, 0.01)), 33, (1.0, 2.0, 4.0, 8.0, 16.0, 32.0), 40, 6)
TINY = Sizes(((32.0, 0.01),), 4, (4.0,), 8, 2)


@dataclass(frozen=True, kw_only=True)
class MinimumRow(ModelRow):
    """The smallest score error of one model."""

    minimum: Annotated[float, "smallest E_score over training time"]
    best_time: Annotated[float, "training time tau of that minimum"]


@dataclass(frozen=True, kw_only=True)
class LimitRow(MinimumRow):
    """Of the limit."""

    source: Annotated[Literal["limit"], "limit, or true: tanh network at finite d"]
    local_exponent: Annotated[float, "limit: -d log(minimum)/d log(psi_n), by central differences"]


@dataclass(frozen=True, kw_only=True)
class FiniteRow(MinimumRow):
    """Mean over networks."""

    source: Annotated[Literal["true"], "limit, or true: tanh network at finite d"]
    dim: Annotated[int, "finite: d"]
    standard_error: Annotated[float, "finite: of the minimum, over seeds"]
    seeds: Annotated[int, "finite: number of networks"]


Row = LimitRow | FiniteRow
ROWS = (LimitRow, FiniteRow)


def limit_minimum(model: FeatureModel) -> tuple[float, float]:
    """Smallest E_score of the limit and its time: a grid, a finer grid, the parabola through three points."""
    log_tau = np.linspace(np.log(0.1), np.log(1e3), 81) - np.log(model.delta_t)
    x, y = around_minimum(model, log_tau)
    x, y = around_minimum(model, np.linspace(x[0], x[2], 81))
    # y = a s^2 + b s + c, s = x - x_1: the vertex is at s = -b/(2a), of height c - b^2/(4a)
    a, b, c = np.polyfit(x - x[1], y, 2)
    return float(c - b**2 / (4 * a)), float(np.exp(x[1] - b / (2 * a)))


def around_minimum(
    model: FeatureModel, log_tau: Float[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]:
    """The three points of a grid around the smallest E_score: log tau and E_score."""
    error = loss_curves(model, np.exp(log_tau)).E_score
    i = int(np.clip(np.argmin(error), 1, len(error) - 2))
    return log_tau[i - 1 : i + 2], error[i - 1 : i + 2]


def finite_minimum(model: FeatureModel, dim: int, seed: int) -> tuple[float, float]:
    """Smallest E_score of one network and its time, on a grid of 1 % in tau."""
    tau = np.geomspace(0.3, 30, 461) / model.delta_t
    error = Modes.of(finite_matrices(model, dim, seed)).flow(tau).E_score
    i = int(np.argmin(error))
    return float(error[i]), float(tau[i])


def limit_rows(psi_p: float, t: float, points: int) -> list[LimitRow]:
    """Minimum and local exponent along psi_n."""
    psi_n = np.geomspace(1, 256, points)
    minima = [limit_minimum(FeatureModel(float(n), psi_p, t)) for n in psi_n]
    slope = -np.gradient(np.log([minimum for minimum, _ in minima]), np.log(psi_n))
    return [
        LimitRow(
            source="limit",
            psi_n=float(psi_n[i]),
            psi_p=psi_p,
            t=t,
            minimum=minimum,
            best_time=time,
            local_exponent=float(slope[i]),
        )
        for i, (minimum, time) in enumerate(minima)
    ]


def finite_row(psi_n: float, psi_p: float, t: float, dim: int, seeds: int) -> FiniteRow:
    """Mean over networks."""
    model = FeatureModel(psi_n, psi_p, t)
    minima = [finite_minimum(model, dim, seed) for seed in range(seeds)]
    mean = mean_and_error([minimum for minimum, _ in minima])
    return FiniteRow(
        source="true",
        psi_n=psi_n,
        psi_p=psi_p,
        t=t,
        dim=dim,
        minimum=mean.mean,
        standard_error=mean.standard_error,
        seeds=seeds,
        best_time=float(np.mean([time for _, time in minima])),
    )


def power(rows: Sequence[Row]) -> float:
    """Exponent of psi_n^(-exponent) fitted to the minima; NaN for fewer than two."""
    return -log_slope([row.psi_n for row in rows], [row.minimum for row in rows])


def powers(rows: Sequence[Row]) -> dict[str, object]:
    """Exponents over the range of the paper's fit and over all psi_n, and the range of the local one."""
    fits = {"exponent, psi_n 4 to 32": power(_of_the_fit(rows)), "exponent, all": power(rows)}
    return {**_known(fits), **_range_of_local(rows)}


def _known(fits: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in fits.items() if math.isfinite(value)}


def _of_the_fit(rows: Sequence[Row]) -> list[Row]:
    """Those in the range of the paper's fit."""
    low = FIT[0] * (1 - ROUNDING)
    high = FIT[1] * (1 + ROUNDING)
    return [row for row in rows if low <= row.psi_n <= high]


def _range_of_local(rows: Sequence[Row]) -> dict[str, list[float]]:
    local = [row.local_exponent for row in rows if isinstance(row, LimitRow)]
    return {"local exponent, smallest and largest": [min(local), max(local)]} if local else {}


def summarise(rows: Sequence[Row]) -> dict[str, object]:
    """Exponents of every family of models."""
    families = grouped(rows, lambda row: f"{row.source} psi_p={row.psi_p} t={row.t}")
    return {name: powers(same) for name, same in families.items()}
