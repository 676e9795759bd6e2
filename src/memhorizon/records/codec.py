"""One codec between typed values and plain ones, as JSON has them.

What a value is made of is read off the type hints of its dataclass, so a new field needs nothing here. One
dialect holds everywhere: a number that is not finite is one of the texts "inf", "-inf" and "nan", and null is
`None` alone. Where a field may be one of several dataclasses, the object says under "kind" which one it is.

What is read may come from a stranger. Nothing of it is taken on trust, and every refusal names the place, as
in record.runs[0].curves.holdout@0.1.step.
"""

import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from numbers import Real
from typing import Literal, TypeGuard, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from memhorizon.errors import InputError
from memhorizon.records.plain import Plain

T = TypeVar("T")
LARGEST = 1e300  # of finite numbers: what is computed from them is finite as well
LARGEST_INTEGER = 2**63
DEPTH = 20  # objects and lists within one another
SHOWN = 60  # characters of a value in a message
NON_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
KIND = "kind"


def encode(value: object) -> Plain:
    """Turn a value into plain ones: dataclasses into objects, arrays and tuples into lists.

    Raises:
        InputError: if there is something in it that has no plain form.

    >>> encode({"steps": (1, 2), "high": float("inf")})
    {'steps': [1, 2], 'high': 'inf'}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return encode_object(value)
    if isinstance(value, Enum):
        return encode(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return encode(value.tolist())
    if isinstance(value, Real):
        return _encode_number(float(value))
    if isinstance(value, Mapping):
        return {str(name): encode(entry) for name, entry in value.items()}
    if isinstance(value, Sequence):
        return [encode(entry) for entry in value]
    raise InputError(f"value: expected what has a plain form, got {type(value).__name__}")


def decode(tree: object, kind: type[T], where: str = "record", *, others: bool = False) -> T:
    """Build a value of a dataclass, or of any type that its fields may have, from plain ones.

    Args:
        tree: plain values, as `encode` or JSON gives them.
        kind: the type to build.
        where: how messages call the value.
        others: whether objects may have entries that their dataclass has not; they are not looked at.

    Raises:
        InputError: if an entry is unknown, missing, of another type or refused by its dataclass; it is named.

    >>> from memhorizon.results import Estimate
    >>> decode({"value": 1.5, "low": "-inf", "high": 2.0}, Estimate)
    Estimate(value=1.5, low=-inf, high=2.0, confidence=0.95)
    """
    return _Decoder(others).decode(tree, kind, where)


def check_plain(tree: object, where: str = "record", *, depth: int = DEPTH) -> None:
    """Refuse what is no JSON: names that are no text, numbers that are not finite, too many levels.

    Raises:
        InputError: naming the place.
    """
    if depth < 0:
        raise InputError(f"{where}: expected at most {DEPTH} levels, got more")
    if isinstance(tree, Mapping):
        for name, entry in tree.items():
            if not isinstance(name, str):
                raise InputError(f"{where}: expected names that are text, got {show(name)}")
            check_plain(entry, f"{where}.{word(name)}", depth=depth - 1)
    elif isinstance(tree, list | tuple):
        if not _all_finite(tree):
            for i, entry in enumerate(tree):
                check_plain(entry, f"{where}[{i}]", depth=depth - 1)
    elif not (tree is None or isinstance(tree, bool | str)):
        _number(tree, where)


def show(value: object) -> str:
    """A value for a message: short, and printable whatever it is."""
    if isinstance(value, Mapping | list | tuple):
        return f"one of type {type(value).__name__} with {len(value)} entries"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**SHOWN:
        return f"a number of {value.bit_length()} bits"
    return ascii(value)[:SHOWN]


def word(name: object) -> str:
    """A name for a message: printable whatever it is."""
    short = isinstance(name, str) and name.isprintable() and len(name) <= SHOWN
    return str(name) if short else ascii(name)[:SHOWN]


# --- to plain values ---


def encode_object(value: object) -> dict[str, Plain]:
    """Turn a dataclass into an object.

    Raises:
        InputError: if there is something in it that has no plain form.
    """
    hints = _hints(type(value))
    tree: dict[str, Plain] = {}
    for name in _fields(type(value)):
        entry = getattr(value, name)
        encoded = encode(entry)
        if type(entry).__name__ in _kinds(hints[name]) and isinstance(encoded, Mapping):
            encoded = {KIND: type(entry).__name__, **encoded}
        tree[name] = encoded
    return tree


def _encode_number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


# --- from plain values ---


class _Decoder:
    """Builds values by their type hints; `others` allows entries that a dataclass has not."""

    def __init__(self, others: bool) -> None:
        self.others = others

    def decode(self, tree: object, hint: object, where: str) -> T:  # pyright: ignore[reportInvalidTypeVarUse]
        """Build one value; the caller knows its type by the hint."""
        return self._by(hint)(tree, hint, where)  # pyright: ignore[reportReturnType]

    def _by(self, hint: object) -> Callable[[object, object, str], object]:
        """What builds values of a hint."""
        origin = get_origin(hint)
        if hint in (Plain, object):
            return self._plain
        if _is_dataclass(hint):
            return self._dataclass
        if getattr(hint, "array_type", None) is np.ndarray:
            return self._array
        if origin in (Union, types.UnionType):
            return self._union
        if origin is Literal:
            return self._literal
        if origin is tuple:
            return self._tuple
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping
        if isinstance(hint, type) and issubclass(hint, Enum):
            return self._member
        return self._scalar

    def _plain(self, tree: object, hint: object, where: str) -> object:
        check_plain(tree, where)
        return tree

    def _dataclass(self, tree: object, hint: object, where: str) -> object:
        assert _is_dataclass(hint)
        known = _fields(hint)
        if not isinstance(tree, Mapping):
            raise InputError(
                f"{where}: expected an object with the entries of {hint.__name__}, got {show(tree)}"
            )
        # a tag that repeats the class says nothing new
        given = {k: v for k, v in tree.items() if k in known or not (k == KIND and v == hint.__name__)}
        unknown = sorted(word(name) for name in set(given) - set(known))
        if unknown and not self.others:
            raise InputError(f"{where}: unknown entries {unknown}; expected some of {sorted(known)}")
        required = {n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING}
        if missing := sorted(required - set(given)):
            raise InputError(f"{where}: missing entries {missing}; expected all of {sorted(required)}")
        hints = _hints(hint)
        entries = {
            name: self.decode(given[name], hints[name], f"{where}.{name}") for name in known if name in given
        }
        try:
            return hint(**entries)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error

    def _union(self, tree: object, hint: object, where: str) -> object:
        hints = get_args(hint)
        if tree is None and type(None) in hints:
            return None
        kinds = _kinds(hint)
        if kinds and isinstance(tree, Mapping):
            if tree.get(KIND) not in list(kinds):
                raise InputError(f"{where}.kind: expected one of {sorted(kinds)}, got {show(tree.get(KIND))}")
            return self.decode(tree, kinds[str(tree[KIND])], where)
        rest = [one for one in hints if one is not type(None)]
        fitting = [one for one in rest if isinstance(one, type) and type(tree) is one]
        return self.decode(tree, (fitting or rest)[0], where)

    def _literal(self, tree: object, hint: object, where: str) -> object:
        if not any(type(tree) is type(one) and tree == one for one in get_args(hint)):
            raise InputError(f"{where}: expected one of {get_args(hint)}, got {show(tree)}")
        return tree

    def _tuple(self, tree: object, hint: object, where: str) -> object:
        inner = get_args(hint)
        if not isinstance(tree, list | tuple):
            raise InputError(f"{where}: expected a list, got {show(tree)}")
        if inner[-1] is Ellipsis:
            inner = inner[:1] * len(tree)
        if len(inner) != len(tree):
            raise InputError(f"{where}: expected {len(inner)} entries, got {len(tree)}")
        pairs = enumerate(zip(tree, inner, strict=True))
        return tuple(self.decode(entry, one, f"{where}[{i}]") for i, (entry, one) in pairs)

    def _mapping(self, tree: object, hint: object, where: str) -> object:
        if not isinstance(tree, Mapping):
            raise InputError(f"{where}: expected an object, got {show(tree)}")
        _, inner = get_args(hint)
        found = {}
        for name, entry in tree.items():
            if not isinstance(name, str):
                raise InputError(f"{where}: expected names that are text, got {show(name)}")
            found[name] = self.decode(entry, inner, f"{where}.{word(name)}")
        return found

    def _array(self, tree: object, hint: object, where: str) -> object:
        axes = len(getattr(hint, "dims", ()))
        return _array(tree, axes, where)

    def _member(self, tree: object, hint: object, where: str) -> object:
        assert isinstance(hint, type)
        assert issubclass(hint, Enum)
        if not (isinstance(tree, str) and tree in [member.value for member in hint]):
            wanted = ", ".join(str(member.value) for member in hint)
            raise InputError(f"{where}: expected one of {wanted}, got {show(tree)}")
        return hint(str(tree))

    def _scalar(self, tree: object, hint: object, where: str) -> object:
        if hint is float:
            return _number(tree, where, non_finite=True)
        if type(tree) is not hint:
            raise InputError(f"{where}: expected {getattr(hint, '__name__', hint)}, got {show(tree)}")
        if isinstance(tree, int) and abs(tree) >= LARGEST_INTEGER:
            raise InputError(f"{where}: expected a number below 2**63, got one of {tree.bit_length()} bits")
        return tree


def _number(tree: object, where: str, *, non_finite: bool = False) -> float:
    """A number; a whole one stays whole, so that what is written again is what was read."""
    if non_finite and isinstance(tree, str) and tree in NON_FINITE:
        return NON_FINITE[tree]
    if isinstance(tree, bool) or not isinstance(tree, int | float):
        raise InputError(f"{where}: expected a number, got {show(tree)}")
    if not -LARGEST <= tree <= LARGEST:
        raise InputError(f"{where}: expected a finite number up to {LARGEST:g}, got {show(tree)}")
    return float(tree) if isinstance(tree, int) and abs(tree) >= LARGEST_INTEGER else tree


def _array(tree: object, axes: int, where: str) -> np.ndarray:
    """Numbers in rows of equal length, as float64."""
    if not isinstance(tree, list | tuple):
        raise InputError(f"{where}: expected a list of numbers, got {show(tree)}")
    if axes > 1:
        rows = [_array(row, axes - 1, f"{where}[{i}]") for i, row in enumerate(tree)]
        if len({row.shape for row in rows}) > 1:
            raise InputError(f"{where}: expected rows of equal length, got {[len(row) for row in rows][:5]}")
        return np.array(rows, dtype=float).reshape(len(rows), *(rows[0].shape if rows else (0,) * (axes - 1)))
    if _all_finite(tree):
        return np.array(tree, dtype=float)
    return np.array(
        [_number(entry, f"{where}[{i}]", non_finite=True) for i, entry in enumerate(tree)], dtype=float
    )


def _all_finite(values: Sequence[object]) -> bool:
    """Whether these are floats, none infinite: the common case, told without naming each place."""
    return all(type(entry) is float and -LARGEST <= entry <= LARGEST for entry in values)


# --- of types ---


def _is_dataclass(hint: object) -> TypeGuard[type]:
    return isinstance(hint, type) and is_dataclass(hint)


@cache
def _hints(kind: type) -> dict[str, object]:
    return get_type_hints(kind)


@cache
def _fields(kind: type) -> dict[str, Field[object]]:
    """The entries of a dataclass by name, but for what follows from the others."""
    return {entry.name: entry for entry in fields(kind) if entry.init}  # pyright: ignore[reportArgumentType]


def _kinds(hint: object) -> dict[str, type]:
    """The dataclasses that a field may be, by name, where there are several."""
    found = {one.__name__: one for one in get_args(hint) if _is_dataclass(one)}
    union = get_origin(hint) in (Union, types.UnionType)
    return found if union and len(found) > 1 else {}
