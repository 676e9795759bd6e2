"""What rows of the theory share: the columns of a model, the four quantities, their crossings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict

import numpy as np
from jaxtyping import Float

from memhorizon.theory import FeatureModel, LossCurves, bulk_edges

Features = Literal["true", "equivalent"]  # of a finite network: tanh features, or their Gaussian equivalent
Quantity = Literal["L_train", "L_test", "L_gen", "E_score"]
QUANTITIES: tuple[Quantity, ...] = ("L_train", "L_test", "L_gen", "E_score")


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """A row about one model."""

    psi_n: Annotated[float, "n/d"]
    psi_p: Annotated[float, "p/d"]
    t: Annotated[float, "diffusion time"]


@dataclass(frozen=True, kw_only=True)
class CurvesRow(ModelRow):
    """The four quantities along training."""

    L_train: Annotated[Float[np.ndarray, " m"], "train loss per coordinate, averaged over all noise"]
    L_test: Annotated[Float[np.ndarray, " m"], "test loss per coordinate"]
    L_gen: Annotated[Float[np.ndarray, " m"], "L_test - L_train"]
    E_score: Annotated[
        Float[np.ndarray, " m"],
        "mean square distance to the true score, per coordinate, (L_test - L_opt)/Delta",
    ]


class Place(TypedDict):
    """The columns of a model."""

    psi_n: float
    psi_p: float
    t: float


class Curves(TypedDict):
    """The columns of the four quantities."""

    L_train: Float[np.ndarray, " m"]
    L_test: Float[np.ndarray, " m"]
    L_gen: Float[np.ndarray, " m"]
    E_score: Float[np.ndarray, " m"]


def place_of(model: FeatureModel | ModelRow) -> Place:
    """The columns of a model, or of the model of another row."""
    return {"psi_n": model.psi_n, "psi_p": model.psi_p, "t": model.t}


def columns_of(values: Float[np.ndarray, "4 m"]) -> Curves:
    """The columns of the four quantities, in the order of QUANTITIES."""
    train, test, gap, error = values
    return {"L_train": train, "L_test": test, "L_gen": gap, "E_score": error}


def stacked(curves: LossCurves | CurvesRow) -> Float[np.ndarray, "4 m"]:
    """The four quantities of some curves, one row each, in the order of QUANTITIES."""
    return np.array([curves.L_train, curves.L_test, curves.L_gen, curves.E_score])


def model_of(row: ModelRow) -> FeatureModel:
    """The model of a row, its data of variance 1."""
    return FeatureModel(row.psi_n, row.psi_p, row.t)


def relaxation_time(model: FeatureModel, eigenvalue: float) -> float:
    """The training time in which a mode of this eigenvalue of U decays."""
    # tau = psi_p/(2 Delta lambda)
    return float(model.psi_p / (2 * model.delta_t * eigenvalue))


def first_bulk_time(model: FeatureModel, *, merged: bool) -> float:
    """Relaxation time at the lower edge of the first bulk; NaN where there is none.

    Args:
        model: whose spectrum has the bulk.
        merged: whether a bulk that has merged with another group counts.
    """
    support = bulk_edges(model)
    for low, label in zip(support.intervals[:, 0], support.labels, strict=True):
        if _is_first_bulk(label, merged=merged):
            return relaxation_time(model, low)
    return math.nan


def _is_first_bulk(label: str, *, merged: bool) -> bool:
    return label == "rho_1" or (merged and "rho_1" in label.split("+"))


def log_slope(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> float:
    """Slope of log y in log x over the y that exist; NaN for fewer than two."""
    known = np.isfinite(y)
    if known.sum() < 2:
        return math.nan
    return float(np.polyfit(np.log(np.asarray(x)[known]), np.log(np.asarray(y)[known]), 1)[0])


def first_crossing(tau: Float[np.ndarray, " m"], value: Float[np.ndarray, " m"], level: float) -> float:
    """First time at which a curve reaches a level, interpolated in log tau; NaN if it does not.

    A curve that is at the level from its first point on has no crossing either.
    """
    reached = np.flatnonzero(value >= level)
    if len(reached) == 0 or reached[0] == 0:
        return math.nan
    i = reached[0]
    share = (level - value[i - 1]) / (value[i] - value[i - 1])
    return float(tau[i - 1] * (tau[i] / tau[i - 1]) ** share)
