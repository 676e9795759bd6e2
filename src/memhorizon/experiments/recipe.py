"""Recipes: modules of `memhorizon.recipes`, one per figure or claim.

A recipe of a sweep has `CLAIM`, `RULES` and `configs(size)` with size "here", "tiny" or "paper". Any other
recipe has `run(out, tiny)`, which writes its record itself, and `planned(size)`, the configurations that it
trains, where it trains any.
"""

import ast
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal

from memhorizon.errors import InputError

Size = Literal["here", "tiny", "paper"]
FOLDER = Path(__file__).resolve().parents[1] / "recipes"


def find() -> dict[str, Path]:
    """Names and files of all recipes; none of them is imported.

    Raises:
        InputError: if there is no folder of recipes.
    """
    if not FOLDER.is_dir():
        raise InputError(f"recipes: expected the repository's folder of them (install from it), no {FOLDER}")
    return {path.stem: path for path in sorted(FOLDER.glob("*.py")) if _is_recipe(path)}


def claims() -> dict[str, str]:
    """Names and first lines of all recipes, read from their sources.

    Raises:
        InputError: if there is no folder of recipes.
    """
    texts = {name: ast.get_docstring(_parsed(path)) or "" for name, path in find().items()}
    return {name: text.partition("\n")[0] for name, text in texts.items()}


def load(name: str) -> ModuleType:
    """Import a recipe.

    Raises:
        InputError: if there is none of this name.
    """
    known = find()
    if name not in known:
        raise InputError(f"name: expected one of {', '.join(known)}; got {name!r}")
    return import_module(f"memhorizon.recipes.{name}")


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _is_recipe(path: Path) -> bool:
    defined = {node.name for node in _parsed(path).body if isinstance(node, ast.FunctionDef)}
    return bool(defined & {"configs", "run"})
