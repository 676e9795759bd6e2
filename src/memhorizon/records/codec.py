"""One codec between typed values and plain ones, as JSON has them.

What a value is made of is read off the type hints of its dataclass, so a new field needs nothing here. One
dialect holds everywhere: a number that is not finite is one of the texts "inf", "-inf" and "nan", and null is
`None` alone. Where a field may be one of several dataclasses, the object says under "kind" which one it is.

What is read may come from a stranger. Nothing of it is taken on trust, and every refusal names the place, as
in record.runs[0].curves.holdout@0.1.step.
"""

import math
import types
from collections.abc import Mapping, Sequence
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
    return _Decoder(others).build(tree, kind, where)  # pyright: ignore[reportReturnType]


def check_plain(tree: object, where: str = "record", *, depth: int = DEPTH) -> None:
    """Refuse what is no JSON: names that are no text, numbers that are not finite, too many levels.

    Raises:
        InputError: naming the place.
    """
    if depth < 0:
        raise InputError(f"{where}: expected at most {DEPTH} levels, got more")
    if isinstance(tree, Mapping):
        for name, entry in tree.items():
            _check_name(name, where)
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
    tree: dict[str, Plain] = {}
    for name, hint in entries_of(type(value)).items():
        entry = getattr(value, name)
        of_several = type(entry).__name__ in _kinds(hint)
        tree[name] = _tagged(entry) if of_several else encode(entry)
    return tree


def _tagged(value: object) -> dict[str, Plain]:
    """A dataclass as an object that says which one it is."""
    name = type(value).__name__
    tree = encode_object(value)
    if KIND in tree:
        raise InputError(f"value: expected {name} without an entry called {KIND!r}, which is the tag's")
    return {KIND: name, **tree}


def _encode_number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


# --- from plain values ---


class _Decoder:
    """Builds values by their type hints; `others` allows entries that a dataclass has not."""

    def __init__(self, others: bool) -> None:
        self.others = others

    def build(self, tree: object, hint: object, where: str) -> object:
        """Build one value."""
        if hint in (Plain, object):
            check_plain(tree, where)
            return tree
        if is_dataclass_type(hint):
            return self._dataclass(tree, hint, where)
        if getattr(hint, "array_type", None) is np.ndarray:
            return _array(tree, len(getattr(hint, "dims", ())), where)
        if is_union(hint):
            return self._union(tree, hint, where)
        if is_class(hint):
            return _member(tree, hint, where) if issubclass(hint, Enum) else _scalar(tree, hint, where)
        return self._container(tree, hint, where)

    def _dataclass(self, tree: object, kind: type, where: str) -> object:
        given = self._given(tree, kind, where)
        hints = entries_of(kind)
        entries = {name: self.build(entry, hints[name], f"{where}.{name}") for name, entry in given.items()}
        try:
            return kind(**entries)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error

    def _given(self, tree: object, kind: type, where: str) -> dict[str, object]:
        """The entries of an object that a dataclass has."""
        if not isinstance(tree, Mapping):
            wanted = f"an object with the entries of {kind.__name__}"
            raise InputError(f"{where}: expected {wanted}, got {show(tree)}")
        known = entries_of(kind)
        unknown = [word(name) for name in tree if name not in known and not _is_tag(name, tree[name], kind)]
        if unknown and not self.others:
            raise InputError(f"{where}: unknown entries {sorted(unknown)}; expected some of {sorted(known)}")
        if missing := sorted(required_of(kind) - set(tree)):
            expected = sorted(required_of(kind))
            raise InputError(f"{where}: missing entries {missing}; expected all of {expected}")
        return {name: tree[name] for name in known if name in tree}

    def _union(self, tree: object, hint: object, where: str) -> object:
        hints = get_args(hint)
        if tree is None and type(None) in hints:
            return None
        kinds = _kinds(hint)
        if kinds and isinstance(tree, Mapping):
            tag = tree.get(KIND)
            if not (isinstance(tag, str) and tag in kinds):
                raise InputError(f"{where}.kind: expected one of {sorted(kinds)}, got {show(tag)}")
            return self.build(tree, kinds[tag], where)
        rest = [one for one in hints if one is not type(None)]
        fitting = [one for one in rest if one is type(tree)]
        return self.build(tree, (fitting or rest)[0], where)

    def _container(self, tree: object, hint: object, where: str) -> object:
        origin = get_origin(hint)
        if origin is Literal:
            return _literal(tree, get_args(hint), where)
        if origin is tuple:
            return self._tuple(tree, get_args(hint), where)
        return self._mapping(tree, get_args(hint)[1], where)

    def _tuple(self, tree: object, inner: tuple[object, ...], where: str) -> tuple[object, ...]:
        if not isinstance(tree, list | tuple):
            raise InputError(f"{where}: expected a list, got {show(tree)}")
        if inner[-1] is Ellipsis:
            inner = inner[:1] * len(tree)
        if len(inner) != len(tree):
            raise InputError(f"{where}: expected {len(inner)} entries, got {len(tree)}")
        pairs = zip(tree, inner, strict=True)
        return tuple(self.build(entry, hint, f"{where}[{i}]") for i, (entry, hint) in enumerate(pairs))

    def _mapping(self, tree: object, inner: object, where: str) -> dict[str, object]:
        if not isinstance(tree, Mapping):
            raise InputError(f"{where}: expected an object, got {show(tree)}")
        for name in tree:
            _check_name(name, where)
        return {name: self.build(entry, inner, f"{where}.{word(name)}") for name, entry in tree.items()}


def _check_name(name: object, where: str) -> None:
    if not isinstance(name, str):
        raise InputError(f"{where}: expected names that are text, got {show(name)}")


def _is_tag(name: object, value: object, kind: type) -> bool:
    """Whether an entry only repeats which class an object is of."""
    return name == KIND and value == kind.__name__


def _literal(tree: object, values: tuple[object, ...], where: str) -> object:
    if not any(type(tree) is type(one) and tree == one for one in values):
        raise InputError(f"{where}: expected one of {values}, got {show(tree)}")
    return tree


def _member(tree: object, kind: type[Enum], where: str) -> Enum:
    known = {member.value: member for member in kind}
    if not (isinstance(tree, str) and tree in known):
        wanted = ", ".join(map(str, known))
        raise InputError(f"{where}: expected one of {wanted}, got {show(tree)}")
    return known[str(tree)]


def _scalar(tree: object, kind: type, where: str) -> object:
    if kind is float:
        return _number(tree, where, non_finite=True)
    if type(tree) is not kind:
        raise InputError(f"{where}: expected {kind.__name__}, got {show(tree)}")
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


def is_class(hint: object) -> TypeGuard[type]:
    """Whether a type hint is a class; Python 3.10 takes `tuple[int, int]` for one, too."""
    return isinstance(hint, type) and get_origin(hint) is None


def is_dataclass_type(hint: object) -> TypeGuard[type]:
    """Whether a type hint is a dataclass."""
    return is_class(hint) and is_dataclass(hint)


def is_union(hint: object) -> bool:
    """Whether a type hint names several types."""
    return get_origin(hint) in (Union, types.UnionType)


@cache
def entries_of(kind: type) -> dict[str, object]:
    """The type hints of the entries of a dataclass by name, but for those that follow from the others."""
    hints = get_type_hints(kind)
    return {name: hints[name] for name in _fields(kind)}


@cache
def required_of(kind: type) -> frozenset[str]:
    """The entries of a dataclass that have no default."""
    known = _fields(kind).items()
    return frozenset(n for n, f in known if f.default is MISSING and f.default_factory is MISSING)


@cache
def _fields(kind: type) -> dict[str, Field[object]]:
    return {entry.name: entry for entry in fields(kind) if entry.init}  # pyright: ignore[reportArgumentType]


def _kinds(hint: object) -> dict[str, type]:
    """The dataclasses that a field may be, by name, where there are several."""
    found = {one.__name__: one for one in get_args(hint) if is_dataclass_type(one)}
    return found if is_union(hint) and len(found) > 1 else {}
