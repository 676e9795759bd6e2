"""The codec: what is written is read as it was, and what is no such value is refused by its place."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction as Rational
from typing import Literal

import numpy as np
import pytest
from jaxtyping import Float

from memhorizon.errors import InputError
from memhorizon.records.codec import check_plain, decode, encode, show, word
from memhorizon.records.plain import Plain
from memhorizon.results import Curve, Status, Time


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Leaf:
    size: float
    kind: str = "oak"  # an entry of the name of the tag


@dataclass(frozen=True)
class Needle:
    size: float


@dataclass(frozen=True)
class Cone:
    size: float


@dataclass(frozen=True)
class Ambiguous:
    top: Leaf | Needle


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    top: Cone | Needle
    pair: tuple[int, float]
    colour: Colour
    habit: Literal["tall", "small"] = "tall"
    notes: Mapping[str, Plain] = field(default_factory=dict)
    ages: Mapping[str, int | None] = field(default_factory=dict)
    table: Float[np.ndarray, "a b"] | None = None
    inner: "Tree | None" = None


TREE = Tree(
    leaves=(Leaf(1.5), Leaf(math.inf, "elm")),
    top=Needle(-math.inf),
    pair=(3, 2.0),
    colour=Colour.BLUE,
    habit="small",
    notes={"a": [1, {"b": None}], "c": True},
    ages={"d": 3, "e": None},
    inner=Tree((), Cone(1.0), (0, 0.5), Colour.RED),
)


def test_a_value_is_read_as_it_was_written():
    text = json.dumps(encode(TREE), allow_nan=False)
    assert decode(json.loads(text), Tree) == TREE


def test_the_dialect():
    plain = encode(TREE)
    assert plain["leaves"][1] == {"size": "inf", "kind": "elm"}
    assert plain["top"] == {"kind": "Needle", "size": "-inf"}  # there are two kinds of it
    assert plain["colour"] == "blue"
    assert encode({"x": math.nan, "y": np.float32(0.5), "z": np.int64(3), "f": Rational(1, 4)}) == {
        "x": "nan",
        "y": 0.5,
        "z": 3,
        "f": 0.25,
    }
    with pytest.raises(InputError, match="value: expected Leaf without an entry called 'kind'"):
        encode(Ambiguous(Leaf(1.0)))
    with pytest.raises(InputError, match="value: expected what has a plain form, got object"):
        encode({"a": object()})


@pytest.mark.parametrize("value", [0.1, 1 / 3, 5e-324, 9.999999999999999e299, 1e22, -0.0, 3.0])
def test_floats_keep_their_last_digit(value):
    read = decode(json.loads(json.dumps(encode(value))), float)
    assert math.copysign(1, read) == math.copysign(1, value)
    assert read == value


def test_a_whole_number_stays_whole_where_a_float_is_wanted():
    assert type(decode({"size": 2}, Leaf).size) is int
    assert type(decode({"size": 2**70}, Leaf).size) is float


def test_arrays_keep_shape_and_what_is_not_finite():
    curve = Curve(np.array([1.0, 2.0]), np.array([0.5, 0.25]), np.full(2, -np.inf), np.full(2, np.inf), "x")
    read = decode(json.loads(json.dumps(encode(curve))), Curve)
    for name in ("step", "value", "low", "high"):
        assert getattr(read, name).dtype == np.float64
        assert np.array_equal(getattr(read, name), getattr(curve, name))
    table = np.array([[1.0, np.nan], [np.inf, 2.0], [3.0, 4.0]])
    tree = {**encode(TREE), "table": encode(table)}
    assert np.array_equal(decode(tree, Tree).table, table, equal_nan=True)


def changed(**entries):
    return {**encode(TREE), **entries}


WRONG = {
    "no object": ([], "record: expected an object with the entries of Tree"),
    "unknown": (changed(bark=1), r"record: unknown entries \['bark'\]"),
    "a tag of another class": (changed(kind="Bush"), r"unknown entries \['kind'\]"),
    "missing": ({"leaves": []}, "record: missing entries"),
    "a leaf": (changed(leaves=[{"size": "big"}]), r"record.leaves\[0\].size: expected a number, got 'big'"),
    "a list": (changed(leaves={}), "record.leaves: expected a list"),
    "a pair of three": (changed(pair=[1, 2, 3]), "record.pair: expected 2 entries, got 3"),
    "a pair": (changed(pair=[1.5, 2]), r"record.pair\[0\]: expected int, got 1.5"),
    "a flag for a number": (changed(pair=[True, 2]), r"record.pair\[0\]: expected int"),
    "a kind": (changed(top={"kind": "Stone", "size": 1}), "record.top.kind: expected one of"),
    "no kind": (changed(top={"size": 1}), "record.top.kind: expected one of"),
    "a member": (changed(colour="green"), "record.colour: expected one of red, blue, got 'green'"),
    "a literal": (changed(habit="wide"), "record.habit: expected one of"),
    "a mapping": (changed(ages=[]), "record.ages: expected an object"),
    "a mapping's entry": (changed(ages={"d": "x"}), "record.ages.d: expected int"),
    "a mapping's name": (changed(ages={3: 3}), "record.ages: expected names that are text"),
    "a large number": (changed(pair=[2**63, 1]), r"record.pair\[0\]: expected a number below 2\*\*63"),
    "a larger one": (changed(pair=[1, 10**400]), r"record.pair\[1\]: expected a finite number"),
    "infinity as a number": (changed(pair=[1, math.inf]), r"record.pair\[1\]: expected a finite number"),
    "a ragged table": (changed(table=[[1.0], [1.0, 2.0]]), "record.table: expected rows of equal length"),
    "a table of texts": (changed(table=[["1.5"]]), r"record.table\[0\]\[0\]: expected a number"),
    "a row for a table": (changed(table=[1.0]), r"record.table\[0\]: expected a list of numbers"),
    "a table with null": (changed(table=[[None]]), r"record.table\[0\]\[0\]: expected a number, got None"),
    "notes": (changed(notes={"a": math.nan}), "record.notes.a: expected a finite number"),
    "notes' names": (changed(notes={"a": {1: 2}}), "record.notes.a: expected names that are text"),
    "inner": (changed(inner=changed(colour=3)), "record.inner.colour: expected one of"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_such_value_is_refused_by_its_place(case):
    tree, message = WRONG[case]
    with pytest.raises(InputError, match=message):
        decode(tree, Tree)


def test_what_a_dataclass_refuses_is_named_by_its_place():
    time = {"value": 3.0, "low": 5.0, "high": 6.0, "status": "observed"}
    with pytest.raises(InputError, match=r"^row.time: time: expected low <= value <= high"):
        decode(time, Time, "row.time")


def test_further_entries_are_passed_over_where_that_is_asked_for():
    assert decode({"size": 1.0, "more": object()}, Needle, others=True) == Needle(1.0)


@pytest.mark.parametrize("levels", [20, 22])
def test_plain_values_are_bounded_in_depth(levels):
    deep = 1.0
    for _ in range(levels):
        deep = [deep]
    if levels > 20:
        with pytest.raises(InputError, match="expected at most 20 levels"):
            check_plain(deep)
    else:
        check_plain(deep)


def test_messages_are_short_and_printable():
    for value in ("\x1b[31m" * 99, "\u202e", 10**400, [1] * 1000, {"a": 1}, Status.OBSERVED, None):
        assert show(value).isprintable()
        assert len(show(value)) <= 60
        assert word(value).isprintable()
        assert len(word(value)) <= 60
