"""Losses and score error against training time, with their timescales (figures 5, 11 and 12 of the paper)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float

from memhorizon.recipes.tables import grouped, of_kind
from memhorizon.recipes.theory.rows import (
    QUANTITIES,
    CurvesRow,
    Features,
    Quantity,
    columns_of,
    first_bulk_time,
    first_crossing,
    model_of,
    place_of,
    stacked,
)
from memhorizon.theory import FeatureModel, Spectrum, coefficients, loss_curves
from memhorizon.theory.ensembles import simulate
from memhorizon.theory.third_group import third_group

FIG5 = (64.0, 0.1)  # psi_p, t
TAU = np.geomspace(1e-1, 1e7, 161)
CHECK_TAU = np.geomspace(10, 1e5, 9)
CHECKED = FeatureModel(2.0, 4.0, 0.1)
SLOPE_TAU = 1e3  # where the 1/d term of L_gen is taken

Panel = Literal["fig5", "fig11", "fig12", "check"]
Source = Literal["limit", "true", "equivalent"]
Timescale = Literal["tau_gen", "tau_first", "tau_third"]
TIMESCALES: tuple[Timescale, ...] = ("tau_gen", "tau_first", "tau_third")


@dataclass(frozen=True)
class Sizes:
    """How much is computed.

    Attributes:
        psi_n: of the curves.
        dim: d of the networks of figure 5.
        seeds: how many there are of each.
        checks: d of the networks that are held against the limit, and how many there are of each.
    """

    psi_n: tuple[float, ...]
    dim: int
    seeds: int
    checks: Mapping[int, int]


HERE = Sizes((4.0, 8.0, 16.0, 32.0), 40, 3, {50: 32, 100: 16, 200: 8, 400: 5})
TINY = Sizes((4.0, 8.0), 10, 2, {20: 2})


@dataclass(frozen=True, kw_only=True)
class PanelRow(CurvesRow):
    """The curves of one model or of networks."""

    panel: Annotated[
        Panel, "fig5, fig11, fig12: the figure of the paper; check: simulation against the limit"
    ]
    source: Annotated[
        Source, "limit, or the mean of finite networks (true: tanh features; equivalent: Gaussian)"
    ]
    variance: Annotated[float, "of one coordinate of the data"]
    tau: Annotated[Float[np.ndarray, " m"], "training time, steps * learning rate/d^2"]


@dataclass(frozen=True, kw_only=True)
class LimitRow(PanelRow):
    """Curves of the limit, and the timescales by which they may collapse."""

    tau_gen: Annotated[
        float, "1/(2 Delta a^2 (exp(-2t) variance + Delta)), the generalization time at large psi"
    ]
    tau_first: Annotated[float, "relaxation time at the lower edge of the first bulk, psi_p/(2 Delta lambda)"]
    tau_third: Annotated[
        float, "relaxation time of the third group at large psi; nan where it is not separated"
    ]
    half_time: Annotated[float, "first tau at which L_gen reaches half of its end"]
    best_time: Annotated[float, "tau of the smallest E_score on the grid"]


@dataclass(frozen=True, kw_only=True)
class FiniteRow(PanelRow):
    """Mean curves of finite networks."""

    dim: Annotated[int, "finite: d"]
    seeds: Annotated[int, "finite: number of networks"]
    standard_error: Annotated[
        Float[np.ndarray, "4 m"], "finite: of L_train, L_test, L_gen, E_score, over seeds [4][m]"
    ]


@dataclass(frozen=True, kw_only=True)
class CheckRow(FiniteRow):
    """Mean curves of finite networks, held against the limit."""

    deviation: Annotated[
        Float[np.ndarray, " 4"], "check: largest |finite/limit - 1| over tau, for the same four"
    ]
    deviation_error: Annotated[Float[np.ndarray, " 4"], "check: its standard error"]


Row = LimitRow | FiniteRow
ROWS = (LimitRow, FiniteRow, CheckRow)


def limit_row(panel: Panel, model: FeatureModel) -> LimitRow:
    """Curves of the limit and the timescales by which they may collapse."""
    curves = stacked(loss_curves(model, np.append(TAU, np.inf)))  # [4, m + 1], the last at the end
    end = float(curves[QUANTITIES.index("L_gen"), -1])
    along = columns_of(curves[:, :-1])
    return LimitRow(
        panel=panel,
        source="limit",
        **place_of(model),
        variance=model.spectrum.variance,
        tau=TAU,
        **along,
        tau_gen=generalization_time(model),
        tau_first=first_bulk_time(model, merged=True),
        tau_third=third_group_time(model),
        half_time=first_crossing(TAU, along["L_gen"], end / 2),
        best_time=float(TAU[np.argmin(along["E_score"])]),
    )


def generalization_time(model: FeatureModel) -> float:
    """Relaxation time of the second bulk at large psi."""
    a = coefficients(model).a
    # tau_gen = 1/(2 Delta a^2 Gamma^2)
    return 1 / (2 * model.delta_t * a**2 * model.total_variance)


def third_group_time(model: FeatureModel) -> float:
    """Relaxation time of the third group at large psi; NaN where it is not separated."""
    if model.psi_p <= model.psi_n:
        return math.nan
    return float(third_group(model).time[0])


def finite_row(panel: Panel, model: FeatureModel, features: Features, dim: int, seeds: int) -> FiniteRow:
    """Mean of finite networks."""
    tau = CHECK_TAU if panel == "check" else TAU
    curves = [stacked(simulate(model, dim, seed, tau, features)) for seed in range(seeds)]
    mean = np.mean(curves, axis=0)  # [4, m]
    return FiniteRow(
        panel=panel,
        source=features,
        **place_of(model),
        variance=model.spectrum.variance,
        dim=dim,
        seeds=seeds,
        tau=tau,
        **columns_of(mean),
        standard_error=np.std(curves, axis=0, ddof=1) / np.sqrt(seeds),
    )


def check_row(features: Features, dim: int, seeds: int) -> CheckRow:
    """Mean of finite networks and its largest relative deviation from the limit over tau, per quantity."""
    row = finite_row("check", CHECKED, features, dim, seeds)
    limit = stacked(loss_curves(CHECKED, row.tau))
    mean = stacked(row)
    apart = np.abs(mean / limit - 1)
    worst = apart.argmax(axis=1)
    error = np.take_along_axis(row.standard_error / limit, worst[:, None], axis=1)[:, 0]
    return CheckRow(**vars(row), deviation=apart.max(axis=1), deviation_error=error)


def limit_rows(psi_n: float) -> Iterator[LimitRow]:
    """The models of all three figures at one psi_n."""
    yield limit_row("fig5", FeatureModel(psi_n, *FIG5))
    for variance in (4.0, 0.25):
        yield limit_row("fig12", FeatureModel(psi_n, *FIG5, spectrum=Spectrum.isotropic(variance)))
    for t in (0.01, 0.1, 1.0):
        yield limit_row("fig11", FeatureModel(psi_n, 32.0, t))


def collapse_spread(rows: Sequence[LimitRow], timescale: Timescale) -> float:
    """Largest over smallest ratio of half_time to a timescale, 1 for a collapse; NaN for fewer than two."""
    ratio = np.array([row.half_time / getattr(row, timescale) for row in rows])
    known = ratio[np.isfinite(ratio)]
    return float(known.max() / known.min()) if len(known) > 1 else math.nan


def collapse_spreads(rows: Sequence[LimitRow]) -> dict[str, dict[Timescale, float]]:
    """How well each timescale collapses the half-times of L_gen over psi_n, by figure, t and variance."""
    families = grouped(rows, _family)
    return {_title(*family): _spreads(families[family]) for family in sorted(families)}


def _family(row: LimitRow) -> tuple[Panel, float, float]:
    return row.panel, row.t, row.variance


def _title(panel: Panel, t: float, variance: float) -> str:
    return f"spread of half_time/timescale over psi_n: {panel} t={t} variance={variance}"


def _spreads(rows: Sequence[LimitRow]) -> dict[Timescale, float]:
    return {timescale: collapse_spread(rows, timescale) for timescale in TIMESCALES}


def slope_of(row: CheckRow) -> list[float]:
    """The 1/d term of L_gen at SLOPE_TAU: d (finite/limit - 1), and its standard error."""
    limit = loss_curves(model_of(row), row.tau).L_gen
    k = int(np.argmin(np.abs(np.log(row.tau / SLOPE_TAU))))
    deviation = row.dim * (row.L_gen[k] / limit[k] - 1)
    error = row.dim * row.standard_error[QUANTITIES.index("L_gen")][k] / limit[k]
    return [float(deviation), float(error)]


def deviation_of(row: CheckRow) -> dict[Quantity, float]:
    """The largest deviation of each quantity from the limit."""
    return dict(zip(QUANTITIES, row.deviation.tolist(), strict=True))


def summarise(rows: Sequence[Row]) -> dict[str, object]:
    """How well each timescale collapses the half-times of L_gen over psi_n, and simulation against limit."""
    checks = of_kind(rows, CheckRow)
    return {
        **collapse_spreads(of_kind(rows, LimitRow)),
        **_deviations(checks),
        "L_gen(1e3), finite over limit, times d": _slopes(checks),
    }


def _deviations(checks: Sequence[CheckRow]) -> dict[str, dict[Quantity, float]]:
    return {f"deviation from the limit: {row.source} d={row.dim}": deviation_of(row) for row in checks}


def _slopes(checks: Sequence[CheckRow]) -> dict[str, list[float]]:
    return {f"{row.source} d={row.dim}": slope_of(row) for row in checks}
