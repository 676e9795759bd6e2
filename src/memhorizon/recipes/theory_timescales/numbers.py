"""Which timescale tells which event of overfitting: the first bulk or the third group, in the limit."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float

from memhorizon.recipes.theory.rows import ModelRow, first_bulk_time, first_crossing, log_slope
from memhorizon.theory import FeatureModel, coefficients, loss_curves
from memhorizon.theory.third_group import third_group

LEVELS = (0.3, 1.0, 10.0)  # of the score error
EVENTS = ("best_time", "level_1_time", "half_time", "end_time")
TIMESCALES = ("tau_onset", "tau_first", "tau_third")
SMALL_T = 0.01  # up to here powers of Delta_t are fitted
SEPARATED_T = 0.1  # up to here events are held against timescales


@dataclass(frozen=True)
class Sizes:
    """How much is computed.

    Attributes:
        t: diffusion times.
        psi_n: those below psi_p are taken.
        psi_p: numbers of features over d.
    """

    t: tuple[float, ...]
    psi_n: tuple[float, ...]
    psi_p: tuple[float, ...]


HERE = Sizes(
    t=(0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    psi_n=(2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0),
    psi_p=(64.0, 1024.0),
)
TINY = Sizes(t=(0.001, 0.01), psi_n=(4.0, 16.0), psi_p=(64.0,))


@dataclass(frozen=True, kw_only=True)
class Row(ModelRow):
    """Events and timescales of one model."""

    delta_t: Annotated[float, "1 - exp(-2t)"]
    E_score_best: Annotated[float, "smallest E_score along training"]
    L_gen_inf: Annotated[float, "L_gen at the end of training"]
    best_time: Annotated[float, "tau of the smallest E_score"]
    level_times: Annotated[
        Float[np.ndarray, " 3"],
        "first tau after it at which E_score reaches 0.3, 1, 10; nan where it does not",
    ]
    level_1_time: Annotated[float, "the second of them"]
    half_time: Annotated[float, "first tau at which L_gen reaches half of its end"]
    end_time: Annotated[float, "first tau at which L_gen reaches nine tenths of its end"]
    tau_onset: Annotated[
        float, "psi_n/(2 Delta v2): E_score = l at sqrt(l) of it, for psi_p >> psi_n >> 1, t -> 0"
    ]
    tau_first: Annotated[
        float,
        "psi_p/(2 Delta lambda), lambda the lower edge of the first bulk; nan where it has merged",
    ]
    tau_third: Annotated[
        float,
        "psi_p/(2 Delta lambda), lambda the center of the third group; nan where not separated",
    ]
    share_at_first: Annotated[float, "L_gen at tau_first as a share of its end"]
    E_score_at_first: Annotated[float, "E_score at tau_first"]


ROWS = (Row,)


def rows_of(psi_n: Sequence[float], psi_p: float, t: float) -> list[Row]:
    """Events and timescales of the models with fewer samples than features."""
    return [row_of(n, psi_p, t) for n in psi_n if n < psi_p]


@dataclass(frozen=True)
class Events:
    """What happens along the curves of one model; the entries of a row.

    Attributes:
        E_score_best: the smallest score error.
        best_time: when it is reached.
        level_times: when the score error has risen to each of LEVELS. [3]
        L_gen_inf: the gap at tau = inf.
        half_time: when half of it has opened.
        end_time: when nine tenths have.
    """

    E_score_best: float
    best_time: float
    level_times: Float[np.ndarray, " 3"]
    L_gen_inf: float
    half_time: float
    end_time: float

    @classmethod
    def of(cls, model: FeatureModel, tau: Float[np.ndarray, " m"]) -> "Events":
        """Read them off the curves at these times."""
        curves = loss_curves(model, np.append(tau, np.inf))
        gap = curves.L_gen[:-1]
        error = curves.E_score[:-1]
        end = float(curves.L_gen[-1])
        best = int(np.argmin(error))
        return cls(
            E_score_best=float(error[best]),
            best_time=float(tau[best]),
            level_times=rises(tau[best:], error[best:]),
            L_gen_inf=end,
            half_time=first_crossing(tau, gap, 0.5 * end),
            end_time=first_crossing(tau, gap, 0.9 * end),
        )


def row_of(psi_n: float, psi_p: float, t: float) -> Row:
    """Events and timescales of one model."""
    model = FeatureModel(psi_n, psi_p, t)
    onset = onset_time(model)
    events = Events.of(model, np.geomspace(1e-4, 1e5, 1801) * onset)
    first = first_bulk_time(model, merged=False)
    share_at_first, error_at_first = state_at(model, first, events.L_gen_inf)
    return Row(
        psi_n=psi_n,
        psi_p=psi_p,
        t=t,
        delta_t=model.delta_t,
        E_score_best=events.E_score_best,
        L_gen_inf=events.L_gen_inf,
        best_time=events.best_time,
        level_times=events.level_times,
        level_1_time=float(events.level_times[1]),
        half_time=events.half_time,
        end_time=events.end_time,
        tau_onset=onset,
        tau_first=first,
        tau_third=float(third_group(model).time[0]),
        share_at_first=share_at_first,
        E_score_at_first=error_at_first,
    )


def rises(tau: Float[np.ndarray, " m"], error: Float[np.ndarray, " m"]) -> Float[np.ndarray, " 3"]:
    """First times at which the score error reaches each of LEVELS."""
    return np.array([first_crossing(tau, error, level) for level in LEVELS])


def onset_time(model: FeatureModel) -> float:
    """When the score error begins to rise, at psi_p >> psi_n >> 1 and small t."""
    # tau_onset = psi_n/(2 Delta v^2)
    return model.psi_n / (2 * model.delta_t * coefficients(model).v2)


def state_at(model: FeatureModel, tau: float, end: float) -> tuple[float, float]:
    """L_gen as a share of its end, and E_score, at a time; NaN where there is no such time."""
    if math.isnan(tau):
        return math.nan, math.nan
    curves = loss_curves(model, [tau])
    return float(curves.L_gen[0] / end), float(curves.E_score[0])


def column(rows: Sequence[Row], name: str) -> np.ndarray:
    """A column of numbers by its name."""
    return np.array([getattr(row, name) for row in rows], dtype=float)


def exponents(
    rows: Sequence[Row], of: str, fixed: Callable[[Row], dict[str, float]]
) -> list[dict[str, float]]:
    """Powers of the factor `of` of every event and timescale, one entry per value of what is fixed."""
    found: list[dict[str, float]] = []
    for key in sorted({tuple(fixed(row).values()) for row in rows}):
        same = [row for row in rows if tuple(fixed(row).values()) == key]
        x = column(same, of)
        powers = {name: log_slope(x, column(same, name)) for name in (*EVENTS, *TIMESCALES)}
        found.append({**fixed(same[0]), **powers})
    return found


def extremes(rows: Sequence[Row], event: str, timescale: str) -> list[float]:
    """Smallest and largest ratio of an event to a timescale, over the models that have both."""
    ratio = column(rows, event) / column(rows, timescale)
    ratio = ratio[np.isfinite(ratio)]
    return [float(ratio.min()), float(ratio.max())]


def summarise(rows: Sequence[Row]) -> dict[str, object]:
    """Exponents, and the range of event over timescale wherever the third group is separated."""
    small = [row for row in rows if row.t <= SMALL_T]
    separated = [row for row in rows if row.t <= SEPARATED_T]
    found: dict[str, object] = {
        "exponents in Delta_t": exponents(
            small, "delta_t", lambda row: {"psi_n": row.psi_n, "psi_p": row.psi_p}
        ),
        "exponents in psi_n": exponents(rows, "psi_n", lambda row: {"t": row.t, "psi_p": row.psi_p}),
    }
    for event in ("level_1_time", "half_time"):
        for timescale in TIMESCALES:
            title = f"{event} / {timescale}, t <= {SEPARATED_T:g}, smallest and largest"
            found[title] = extremes(separated, event, timescale)
    return found
