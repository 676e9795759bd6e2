"""Public parameter names are those of docs/notation.md, and words that were given up do not come back."""

import inspect
import re
from pathlib import Path

import pytest

import memhorizon as mh

ROOT = Path(__file__).resolve().parents[1]
NOTATION = (ROOT / "docs" / "notation.md").read_text()
ROWS = [line.split("|")[1] for line in NOTATION.splitlines() if line.startswith("| `")]
NAMES = [name for row in ROWS for name in re.findall(r"`(\w+)`", row)]
GIVEN_UP = re.compile(r"clock|knob|control|(?<!n_solver_)(?<!n_)steps|^law$|^own|roads")
MODULES = [mh.metrics, mh.theory]
PUBLIC = [getattr(mh, name) for name in mh.__all__ if getattr(mh, name) not in MODULES]
PUBLIC += [getattr(module, name) for module in MODULES for name in module.__all__]
PLAIN = {"self", "cls", "args", "kwargs"}


def functions_of(thing):
    """The object itself and, of a class, its public methods."""
    yield thing
    if inspect.isclass(thing):
        for name, member in vars(thing).items():
            function = getattr(member, "__func__", member)
            if not name.startswith("_") and inspect.isfunction(function):
                yield function


def parameters():
    for thing in PUBLIC:
        for function in functions_of(thing) if callable(thing) else ():
            if inspect.isclass(function) and issubclass(function, Exception | str):
                continue
            for name in inspect.signature(function).parameters:
                yield f"{thing.__name__}: {name}", name


@pytest.mark.parametrize("name", sorted({name for _, name in parameters()} - PLAIN))
def test_a_parameter_has_a_name_of_the_notation(name):
    where = [place for place, other in parameters() if other == name]
    assert name in NAMES, where
    assert not GIVEN_UP.search(name), where


def test_one_name_for_one_thing():
    words = [name for row in ROWS for name in set(re.findall(r"`(\w+)`", row))]
    twice = {name for name in words if words.count(name) > 1}
    assert not twice
