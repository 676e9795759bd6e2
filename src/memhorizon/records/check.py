"""Whether a value is the record of a sweep: every entry that pictures and pages read, by type and shape.

A record may come from a stranger, so nothing of it is taken on trust: `check_record` names the first entry
that is wrong, such as runs[0].curves.holdout@0.1.step. Entries that nobody reads may be any plain JSON.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memhorizon.errors import InputError
from memhorizon.results import TIME_STATUSES, UNKNOWN
from memhorizon.timescales.rules import read_rules

Row = dict[str, Any]
Check = Callable[[Any, str], None]  # raises InputError, naming the place
DEPTH = 20  # objects and lists within one another
BELOW = 5  # of these, how deep the entries of a run may lie
LARGEST = 1e300
LAST_STEP = 10**14
ROUNDING = 1e-9  # relative; ends of an interval and its value may differ by so much in the wrong order


def check_record(value: Any) -> Row:
    """Return the value itself if it is a record of a sweep that can be drawn and written about.

    Raises:
        InputError: if it is none; the entry is named, with what was expected and what came.
    """
    _plain(value, "record")
    _record(value, "record")
    for i, other in enumerate(value.get("others", ())):
        _record(other, f"others[{i}]")
        if "others" in other:
            raise InputError(f"others[{i}].others: expected none within another, got some")
    return value


def check_facts(environment: Any, data: Any) -> None:
    """Refuse what no record may say of where a run was made and on what.

    Raises:
        InputError: as `check_record`.
    """
    for name, value in (("environment", environment), ("data", data)):
        _plain(value, name, BELOW)
        RUN[name](value, name)


def check_row(row: Row) -> None:
    """Refuse a row of what was measured that no curve can be made of.

    Raises:
        InputError: as `check_record`.
    """
    evidence = ("count", "total") if "count" in row else ("se",)
    required = ("step", "measure", "value", *(evidence if row.get("value") is not None else ()))
    null = ("null_count",) if "null_total" in row else ()
    _entries(ROW, (*required, *null))(row, "row")


def _record(value: Any, where: str) -> None:
    if not isinstance(value, Mapping) or value.get("kind") != "sweep":
        kind = value.get("kind") if isinstance(value, Mapping) else type(value).__name__
        raise InputError(f"{where}: expected one of kind 'sweep', got {_show(kind)}")
    start = "" if where == "record" else f"{where}."
    _entries(RECORD, ("runs", "rules"))(value, where)
    try:
        read_rules(value["rules"])
    except InputError as error:
        raise InputError(f"{start}{error}") from error
    for i, run in enumerate(value["runs"]):
        _run(run, f"{start}runs[{i}]")
    for row in value.get("contrasts", ()):
        for i, run in enumerate(value["runs"]):
            _number()(run.get(row["factor"]), f"{start}runs[{i}].{row['factor']}")


def _run(run: Any, where: str) -> None:
    _entries(RUN, ("key", "n_train", "seed", "curves", "times"))(run, where)
    if not run["curves"]:
        raise InputError(f"{where}.curves: expected at least one, got none")
    for name, curve in run["curves"].items():
        _curve(curve, f"{where}.curves.{_word(name)}")
    memorized = run["curves"].get("memorized")
    if memorized is not None and memorized.get("total") is None:
        raise InputError(f"{where}.curves.memorized.total: expected counts, got {_show(None)}")


def _curve(curve: Any, where: str) -> None:
    _entries(CURVE, ("step", "value", "low", "high"))(curve, where)
    count = len(curve["step"])
    columns = ("value", "low", "high") + (("total",) if curve.get("total") is not None else ())
    for name in columns:
        if len(curve[name]) != count:
            raise InputError(f"{where}.{name}: expected {count} entries, got {len(curve[name])}")
    if not count or any(b <= a for a, b in zip(curve["step"], curve["step"][1:], strict=False)):
        raise InputError(f"{where}.step: expected rising steps, got {_show(curve['step'])}")
    for ends in zip(curve["value"], curve["low"], curve["high"], strict=True):
        _ordered(*ends, where=f"{where}.value")
    if curve.get("total") is not None and not all(0 <= value <= 1 for value in curve["value"]):
        raise InputError(f"{where}.value: expected fractions in [0, 1], got {_show(curve['value'])}")


def _time(value: Any, where: str) -> None:
    _entries(TIME, ("value", "low", "high", "status", "rule"))(value, where)
    if (value["value"] is None) != (value["status"] in UNKNOWN):
        raise InputError(f"{where}.value: expected what goes with {value['status']!r}, got {_show(value)}")
    _ordered(value["value"], value["low"], value["high"], where=where)


def _estimate(value: Any, where: str) -> None:
    _entries(ESTIMATE, ("value", "low", "high"))(value, where)
    _ordered(value["value"], value["low"], value["high"], where=where)


def _null(value: Any, where: str) -> None:
    if not isinstance(value, Mapping):
        return _number(0, 1)(value, where)
    _entries(FRACTION, ("value", "low", "high", "count", "total"))(value, where)
    return _ordered(value["value"], value["low"], value["high"], where=where)


def _law(value: Any, where: str) -> None:
    _entries(LAW, ("exponents", "log_prefactor", "covariance", "scatter", "observed", "censored", "status"))(
        value, where
    )
    size = len(value["exponents"]) + 1
    if value["log_prefactor"] is not None:
        if any(entry["value"] is None for entry in value["exponents"].values()):
            raise InputError(f"{where}.exponents: expected a value for each, got {_show(value['exponents'])}")
        _list(_list(_number(), size), size)(value["covariance"], f"{where}.covariance")


def _exponents(value: Any, where: str) -> None:
    _entries(dict.fromkeys(POWERS, _estimate), ())(value, where)
    if unknown := [_word(name) for name in value if name not in POWERS]:
        raise InputError(f"{where}: expected some of {', '.join(POWERS)}, got {unknown}")


def _laws(value: Any, where: str) -> None:
    _mapping(_law)(value, where)


def _contrast(value: Any, where: str) -> None:
    _entries(CONTRAST, ("factor", "reference", "value", "clock", "ratio", "observed", "censored", "status"))(
        value, where
    )


def _collapse(value: Any, where: str) -> None:
    _mapping(
        lambda entry, place: _text(entry, place) if place.endswith(".status") else _estimate(entry, place)
    )(value, where)


def _config(value: Any, where: str) -> None:
    parts = {
        "train": _entries({"steps": _integer(1)}, ()),
        "data": _entries({"name": _text}, ()),
        "measure": _measure,
    }
    _entries(parts, ())(value, where)


def _measure(value: Any, where: str) -> None:
    entries = {"sampler": _text, "sampler_steps": _integer(1), "threshold": _number(0, 1)}
    _entries(entries, tuple(entries) if value else ())(value, where)


# --- the pieces that all of these are made of ---


def _entries(checks: Mapping[str, Check], required: Sequence[str]) -> Check:
    """An object with these entries; further ones are not looked at."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise InputError(f"{where}: expected an object, got {_show(value)}")
        if missing := [name for name in required if name not in value]:
            raise InputError(f"{where}: lacks {missing}")
        for name, own in checks.items():
            if name in value:
                own(value[name], name if where == "record" else f"{where}.{name}")

    return check


def _mapping(own: Check) -> Check:
    """An object of any names, all of whose entries are alike."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise InputError(f"{where}: expected an object, got {_show(value)}")
        for name, entry in value.items():
            own(entry, f"{where}.{_word(name)}")

    return check


def _list(own: Check, size: int | None = None) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, list | tuple) or (size is not None and len(value) != size):
            wanted = "a list" if size is None else f"a list of {size}"
            raise InputError(f"{where}: expected {wanted}, got {_show(value)}")
        for i, entry in enumerate(value):
            own(entry, f"{where}[{i}]")

    return check


def _numbers(low: float = -LARGEST, high: float = LARGEST, *, null: bool = False) -> Check:
    """A list of numbers, or of numbers and null."""
    own = _list(_maybe(_number(low, high)) if null else _number(low, high))

    def check(value: Any, where: str) -> None:
        if not (isinstance(value, list) and _all_finite(value) and all(low <= v <= high for v in value)):
            own(value, where)

    return check


def _all_finite(value: Sequence[Any]) -> bool:
    """Whether these are floats, none infinite: the common case, told without naming each place."""
    return all(type(entry) is float and -LARGEST <= entry <= LARGEST for entry in value)


def _number(low: float = -LARGEST, high: float = LARGEST) -> Check:
    def check(value: Any, where: str) -> None:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and low <= value <= high):
            span = f" in [{low:g}, {high:g}]" if (low, high) != (-LARGEST, LARGEST) else ""
            raise InputError(f"{where}: expected a finite number{span}, got {_show(value)}")

    return check


def _integer(low: int = 0, high: int = 2**63 - 1) -> Check:
    def check(value: Any, where: str) -> None:
        if not (isinstance(value, int) and not isinstance(value, bool) and low <= value <= high):
            raise InputError(f"{where}: expected a whole number from {low} to {high:.3g}, got {_show(value)}")

    return check


def _maybe(own: Check) -> Check:
    """What `own` takes, or null."""

    def check(value: Any, where: str) -> None:
        if value is not None:
            own(value, where)

    return check


def _text(value: Any, where: str) -> None:
    if not isinstance(value, str):
        raise InputError(f"{where}: expected text, got {_show(value)}")


def _one_of(*words: str) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, str) or value not in words:
            raise InputError(f"{where}: expected one of {', '.join(words)}, got {_show(value)}")

    return check


def _object(value: Any, where: str) -> None:
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected an object, got {_show(value)}")


def _plain(value: Any, where: str, depth: int = 0) -> None:
    """Plain JSON: objects with names, lists, text, finite numbers, true, false and null."""
    if depth > DEPTH:
        raise InputError(f"{where}: expected at most {DEPTH} levels, got more")
    if isinstance(value, Mapping):
        for name, entry in value.items():
            _text(name, f"{where}: a name")
            _plain(entry, f"{where}.{_word(name)}" if depth else _word(name), depth + 1)
    elif isinstance(value, list | tuple):
        for i, entry in enumerate(() if _all_finite(value) else value):
            _plain(entry, f"{where}[{i}]", depth + 1)
    elif not (value is None or isinstance(value, str | bool)):
        _number()(value, where)


def _ordered(value: float | None, low: float | None, high: float | None, *, where: str) -> None:
    """Refuse an interval that does not hold its value; null is unbounded."""
    centre = 0.0 if value is None else value
    bottom = -math.inf if low is None else low
    top = math.inf if high is None else high
    slack = ROUNDING * abs(centre)
    inside = bottom - slack <= centre <= top + slack
    if not (bottom <= top + slack if value is None else inside):
        raise InputError(f"{where}: expected low <= value <= high, got {low}, {value}, {high}")


def _show(value: Any) -> str:
    """A value for a message: short, and printable whatever it is."""
    return ascii(value)[:60] if not isinstance(value, Mapping | list | tuple) else f"{type(value).__name__}"


def _word(name: Any) -> str:
    """A name for a message."""
    return name if isinstance(name, str) and name.isprintable() and len(name) <= 60 else ascii(name)[:60]


# --- the entries by name ---

POWERS = ("n_train", "width", "lr", "batch_size")  # times are fitted as powers of these
FACTORS: dict[str, Check] = {
    "n_train": _integer(1),
    "width": _maybe(_integer(1)),
    "lr": _maybe(_number(0)),
    "batch_size": _maybe(_integer(1)),
    "dropout": _maybe(_number(0)),
    "momentum": _maybe(_number(0)),
    "weight_decay": _maybe(_number(0)),
    "ema": _maybe(_number(0)),
}
CONFIDENCE = _number(0, 1)
TIME: dict[str, Check] = {
    "value": _maybe(_number(0)),
    "low": _maybe(_number(0)),
    "high": _maybe(_number(0)),
    "status": _one_of(*TIME_STATUSES),
    "rule": _text,
    "confidence": CONFIDENCE,
}
CURVE: dict[str, Check] = {
    "step": _numbers(1e-12, LAST_STEP),
    "value": _numbers(),
    "low": _numbers(null=True),
    "high": _numbers(null=True),
    "name": _text,
    "total": _maybe(_numbers(1)),
    "confidence": CONFIDENCE,
}
ESTIMATE: dict[str, Check] = {
    "value": _maybe(_number()),
    "low": _maybe(_number()),
    "high": _maybe(_number()),
    "confidence": CONFIDENCE,
}
FRACTION: dict[str, Check] = {
    "value": _number(0, 1),
    "low": _number(0, 1),
    "high": _number(0, 1),
    "count": _integer(),
    "total": _integer(1),
    "confidence": CONFIDENCE,
}
LAW: dict[str, Check] = {
    "exponents": _exponents,
    "log_prefactor": _maybe(_number()),
    "scatter": _maybe(_number(0)),
    "observed": _integer(),
    "censored": _integer(),
    "left_out": _integer(),
    "status": _text,
    "confidence": CONFIDENCE,
    "explained": _maybe(_number()),
    "degrees": _integer(),
}
CONTRAST: dict[str, Check] = {
    "factor": _one_of(*FACTORS),
    "reference": _number(),
    "value": _number(),
    "clock": _one_of("tau_gen", "tau_mem"),
    "ratio": _maybe(_estimate),
    "observed": _integer(),
    "censored": _integer(),
    "status": _text,
    "at_least": _number(0),
}
TIMES: dict[str, Check] = {
    "tau_gen": _time,
    "tau_mem": _time,
    "others": _mapping(_time),
    "unit": _text,
}
ROW: dict[str, Check] = {
    "step": _integer(1, LAST_STEP),
    "measure": _text,
    "t": _number(1 / LARGEST),
    "value": _maybe(_number()),
    "se": _maybe(_number(0)),
    "count": _integer(),
    "total": _integer(1),
    "null_count": _integer(),
    "null_total": _integer(1),
}
DUPLICATES: dict[str, Check] = {
    "rule": _text,
    "items": _integer(),
    "groups": _integer(),
    "largest": _integer(),
    "left_out_of_holdout": _integer(),
    "left_out_of_training": _integer(),
}
DATA: dict[str, Check] = {
    "fingerprint": _maybe(_text),
    "n_train": _maybe(_integer()),
    "n_files": _maybe(_integer()),
    "n_skipped": _maybe(_integer()),
    "skipped": _maybe(_list(_entries({"name": _text, "reason": _text}, ("name", "reason")))),
    "ignored": _maybe(_entries({"count": _integer(), "suffixes": _maybe(_mapping(_integer()))}, ())),
    "duplicates": _maybe(_entries(DUPLICATES, ("items", "groups", "largest"))),
}
RUN: dict[str, Check] = {
    "key": _text,
    "seed": _integer(),
    "optimizer": _text,
    "config": _config,
    "environment": _object,
    "data": _entries(DATA, ()),
    "curves": _object,
    "null": _null,
    "times": _entries(TIMES, ("tau_gen", "tau_mem")),
    **FACTORS,
}
RECORD: dict[str, Check] = {
    "name": _text,
    "command": _text,
    "claim": _text,
    "runs": _list(_object),
    "laws": _laws,
    "collapse": _collapse,
    "contrasts": _list(_contrast),
    "left_out": _list(_entries({"key": _text, "reason": _text}, ("key", "reason"))),
    "others": _list(_entries({"differs": _object}, ("differs",))),
}
