"""Recipes: modules in the repository's `recipes/` folder, one per figure or claim.

A recipe of a sweep has `CLAIM`, `RULES` and `configs(size)` with size "here", "tiny" or "paper". Any other
recipe has `run(out, tiny)`, which writes its record itself, and `planned(size)`, the configurations that it
trains, where it trains any.
"""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal

from memhorizon.results import InputError

Size = Literal["here", "tiny", "paper"]


def find(folder: Path | None = None) -> dict[str, Path]:
    """Names and files of all recipes, from the current folder or from the checkout that is installed.

    Raises:
        InputError: if there is no folder of recipes.
    """
    places = [folder] if folder else [Path.cwd() / "recipes", Path(__file__).parents[3] / "recipes"]
    for place in places:
        if place.is_dir():
            texts = {path.stem: path for path in sorted(place.glob("*.py"))}
            return {name: path for name, path in texts.items() if _is_recipe(path)}
    raise InputError(
        f"recipes: expected a folder of recipes (run this in the repository), looked in {places}"
    )


def load(name: str, folder: Path | None = None) -> ModuleType:
    """Import a recipe.

    Raises:
        InputError: if there is none of this name.
    """
    known = find(folder)
    if name not in known:
        raise InputError(f"name: expected one of {', '.join(known)}; got {name!r}")
    root = str(known[name].parent.parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    return import_module(f"recipes.{name}")


def _is_recipe(path: Path) -> bool:
    text = path.read_text()
    return "\ndef configs(" in text or "\ndef run(" in text
