"""What rows of the theory share: the columns of a model, the four quantities, means over seeds."""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Literal, TypeVar

import numpy as np
from jaxtyping import Float

from memhorizon.errors import InputError
from memhorizon.records.codec import decode
from memhorizon.records.plain import Plain
from memhorizon.records.table import TableRecord
from memhorizon.theory import FeatureModel, LossCurves

Row = TypeVar("Row")
Key = TypeVar("Key", bound=Hashable)
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


def stacked(curves: LossCurves) -> Float[np.ndarray, "4 m"]:
    """The four quantities of some curves, one row each, in the order of QUANTITIES."""
    return np.array([curves.L_train, curves.L_test, curves.L_gen, curves.E_score])


def model_of(row: ModelRow) -> FeatureModel:
    """The model of a row, its data of variance 1."""
    return FeatureModel(row.psi_n, row.psi_p, row.t)


def grouped(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    """The rows by a key, in order of its appearance.

    >>> grouped([3, 4, 5], lambda n: n % 2)
    {1: [3, 5], 0: [4]}
    """
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


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


def rows_of(record: TableRecord, name: str, kinds: Sequence[type[Row]]) -> list[Row]:
    """The rows of a record, typed again; each is of the first kind whose fields are its entries.

    Raises:
        InputError: if it is the record of another recipe, has no rows, or a row is none of these kinds.
    """
    if not isinstance(record, TableRecord) or record.name != name:
        got = repr(record.name) if isinstance(record, TableRecord) else f"a {type(record).__name__}"
        raise InputError(f"record: expected the table of {name!r} (load_record gives one), got {got}")
    if not record.rows:
        raise InputError(f"record: expected rows in {name!r}, got none")
    return typed_rows(record.rows, kinds)


def typed_rows(rows: Sequence[Mapping[str, Plain]], kinds: Sequence[type[Row]]) -> list[Row]:
    """Plain rows typed; each is of the first kind whose fields are its entries.

    Raises:
        InputError: if a row is none of these kinds.
    """
    return [_typed(row, kinds, f"record.rows[{i}]") for i, row in enumerate(rows)]


def _typed(row: Mapping[str, Plain], kinds: Sequence[type[Row]], where: str) -> Row:
    fitting = [kind for kind in kinds if set(row) <= _entries(kind)]
    return decode(row, (fitting or kinds)[0], where)


def _entries(kind: type) -> set[str]:
    return {entry.name for entry in fields(kind)}
