"""The experiments of the paper and beyond: modules and packages with a `RECIPE`, or `RECIPES` where many.

A new recipe is a new file or folder here: nothing else lists it.
"""

import pkgutil
import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module

from memhorizon.errors import InputError
from memhorizon.experiments.recipe import Picture, Recipe
from memhorizon.records.files import Record
from memhorizon.records.table import TableRecord


def names() -> list[str]:
    """The names of all recipes, sorted."""
    return sorted(_every())


def in_order() -> list[Recipe]:
    """All recipes, those that read records after those that make them."""
    makers = {recipe.path or recipe.name: recipe.name for recipe in _every().values()}
    graph = {name: [makers[read] for read in load(name).reads] for name in names()}
    return [load(name) for name in TopologicalSorter(graph).static_order()]


def load(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        InputError: if there is none.
    """
    alone = _alone(name)
    if name in alone:
        return alone[name]
    if name not in _every():
        raise _unknown(name)
    return _every()[name]


def _alone(name: str) -> dict[str, Recipe]:
    """The recipes of the module of this name, if there is one: no other is imported."""
    return {recipe.name: recipe for recipe in _recipes_of(name)} if name in _modules() else {}


def _unknown(name: str) -> InputError:
    near = get_close_matches(name, names(), n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    return InputError(
        f"name: expected a recipe{meant}, got {name!r}; `memhorizon reproduce` without a name lists them"
    )


def figures_of(record: Record) -> dict[str, Picture]:
    """The pictures of the record of a recipe by name; none where no recipe draws it.

    Raises:
        InputError: if its rows are not those of the recipe.
    """
    if not isinstance(record, TableRecord):
        return {}
    return {label: draw(record) for recipe in _makers(record) for label, draw in recipe.figures.items()}


def _makers(record: TableRecord) -> list[Recipe]:
    """The recipes that make a record of this name; the one in its command is looked at first, and alone."""
    named = re.match(r"memhorizon reproduce (\w+)", record.command)
    alone = list(_recipes_of(named[1])) if named and named[1] in _modules() else []
    found = [recipe for recipe in alone if recipe.record_name == record.name]
    return found or [recipe for recipe in _every().values() if recipe.record_name == record.name]


@cache
def _modules() -> tuple[str, ...]:
    """Everything in this folder; nothing is imported."""
    return tuple(found.name for found in pkgutil.iter_modules(__path__))


@cache
def _every() -> dict[str, Recipe]:
    return {recipe.name: recipe for module in _modules() for recipe in _recipes_of(module)}


def _recipes_of(name: str) -> Iterator[Recipe]:
    """What a module of this folder defines: none where it only helps others."""
    module = import_module(f"{__name__}.{name}")
    if hasattr(module, "RECIPE"):
        yield module.RECIPE
    yield from getattr(module, "RECIPES", ())
