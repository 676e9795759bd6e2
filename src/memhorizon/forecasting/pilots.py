"""Pilots: runs, or rows of a table, that a forecast is made from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real

import numpy as np

from memhorizon.checks import check_number, check_whole
from memhorizon.errors import InputError
from memhorizon.results import Curve, Status, Time

LENGTHS = ("n_train", "n")  # either names the training-set size in a row of a table
COLUMNS = (*LENGTHS, "time", "tau_mem", "censored", "tau_gen", "seed", "width", "lr", "batch_size", "key")
MAY_LACK = ("censored", "tau_gen", "seed", "width", "lr", "batch_size", "key")  # columns with gaps
MOST = 1e15  # of steps, items and hyperparameters; 1 / MOST is the least: products stay within float64
SIDES = {"right": Status.NOT_REACHED, "left": Status.BEFORE_FIRST}
TIMESCALES = ("tau_mem", "tau_gen")


@dataclass(frozen=True)
class Point:
    """Where in the space of hyperparameters a run is; None is what is not known.

    Attributes:
        n_train: number of training items.
        batch_size: items in each update; at most n_train.
        width: of the network.
        lr: learning rate.
    """

    n_train: float
    batch_size: float | None = None
    width: float | None = None
    lr: float | None = None


@dataclass(frozen=True)
class Pilot:
    """One run and its times.

    Attributes:
        key: its name.
        point: its hyperparameters.
        tau_mem: when it copied.
        tau_gen: when it was good.
        seed: None where unknown.
        batch_limit: the batch size that was asked for, which smaller sets do not fill; None where the whole
            set is in each update, or unknown.
        setting: whatever else it was trained with: pilots that differ in it do not compare.
        n_updates: its length; 0 where unknown.
        seconds: that it took; None where unknown.
        gap: its relative loss gap, see `progress`; None where it was not measured.
    """

    key: str
    point: Point
    tau_mem: Time
    tau_gen: Time
    seed: int | None = None
    batch_limit: float | None = None
    setting: Mapping[str, object] = field(default_factory=dict)
    n_updates: int = 0
    seconds: float | None = None
    gap: Curve | None = None

    def time(self, timescale: str) -> Time:
        """Its tau_mem or tau_gen."""
        return self.tau_mem if timescale == "tau_mem" else self.tau_gen


def pilots_of_rows(rows: Sequence[object]) -> list[Pilot]:
    """Pilots from rows of a table.

    Args:
        rows: mappings with "n" or "n_train", a time under "time" or "tau_mem" (a number of steps, or a
            `Time`), and, as far as they are known, "censored" (True or "right": not reached; "left": before
            the first look), "tau_gen", "seed", "width", "lr", "batch_size", "key" (a name).

    Raises:
        InputError: if a row lacks its size or its time, or has another column, or an entry that is not a
            number from 1e-15 to 1e15.
    """
    return [_pilot(row, i) for i, row in enumerate(rows)]


def _pilot(row: object, i: int) -> Pilot:
    if not isinstance(row, Mapping):
        raise InputError(f"pilots[{i}]: expected a row with n and time, got {type(row).__name__}")
    where = f"pilots[{i}]"
    _check_columns(row, where)
    row = {name: value for name, value in row.items() if not (name in MAY_LACK and _is_gap(value))}
    limit = _optional(row, "batch_size", where)
    point = _point(row, limit, where)
    mem = _first(row, ("time", "tau_mem"), where)
    tau_gen = row.get("tau_gen")
    return Pilot(
        key=str(row.get("key", f"row {i}")),
        point=point,
        tau_mem=_time(mem, _status(row.get("censored", False), f"{where}.censored"), f"{where}.time"),
        tau_gen=_no_time() if tau_gen is None else _time(tau_gen, Status.OBSERVED, f"{where}.tau_gen"),
        seed=_seed(row, where),
        batch_limit=limit,
    )


def _is_gap(value: object) -> bool:
    """Whether an entry is none: None, or NaN as tables have it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _check_columns(row: Mapping, where: str) -> None:
    """Refuse columns that nothing would be done with, such as misspelled ones."""
    unknown = [name for name in row if name not in COLUMNS]
    if unknown:
        raise InputError(f"{where}: expected columns of {', '.join(COLUMNS)}, got {unknown[0]!r:.60}")


def _point(row: Mapping, limit: float | None, where: str) -> Point:
    """The hyperparameters of a row, whose set may not fill the batch."""
    n_train = float(check_whole(f"{where}.n", _whole(_first(row, LENGTHS, where)), least=1, most=int(MOST)))
    batch = None if limit is None else min(limit, n_train)
    return Point(n_train, batch, _optional(row, "width", where), _optional(row, "lr", where))


def _first(row: Mapping, names: Sequence[str], where: str) -> object:
    """The entry under the one of some names that a row has; None where all that it has are."""
    given = [name for name in names if row.get(name) is not None]
    if len(given) > 1:
        raise InputError(f"{where}: expected {' or '.join(names)}, got both")
    if given:
        return row[given[0]]
    if any(name in row for name in names):
        return None
    raise InputError(f"{where}: expected {' or '.join(names)}, got only {sorted(map(str, row))}")


def _optional(row: Mapping, name: str, where: str) -> float | None:
    value = row.get(name)
    return None if value is None else check_number(f"{where}.{name}", value, least=1 / MOST, most=MOST)


def _seed(row: Mapping, where: str) -> int | None:
    value = row.get("seed")
    return None if value is None else check_whole(f"{where}.seed", _whole(value), least=0)


def _whole(value: object) -> object:
    """A float without a fraction as a whole number: a column with gaps is one of floats in most tables."""
    return int(value) if isinstance(value, float | np.floating) and value.is_integer() else value


def _time(value: object, status: Status, where: str) -> Time:
    """A time as it is, or from a number of steps and whether it was observed."""
    if isinstance(value, Time):
        return _checked(value, where)
    return _time_at(_steps(value, where), status)


def _checked(time: Time, where: str) -> Time:
    if time.known:
        check_number(where, time.value, least=1 / MOST, most=MOST)
    return time


def _steps(value: object, where: str) -> float:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise InputError(f"{where}: expected a number of steps or a Time, got {value!r:.60}")
    return check_number(where, value, least=1 / MOST, most=MOST)


def _time_at(steps: float, status: Status) -> Time:
    """A time without an error; where it was not observed, the steps are its bound."""
    low = 0.0 if status is Status.BEFORE_FIRST else steps
    high = math.inf if status is Status.NOT_REACHED else steps
    return Time(steps, low, high, status)


def _status(censored: object, where: str) -> Status:
    if isinstance(censored, bool | np.bool_):
        return Status.NOT_REACHED if censored else Status.OBSERVED
    if isinstance(censored, str) and censored in SIDES:
        return SIDES[censored]
    raise InputError(f'{where}: expected True, False, "right" or "left", got {censored!r:.60}')


def _no_time() -> Time:
    return Time.unknown(Status.NOT_MEASURED, "the row has none")
