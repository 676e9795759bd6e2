"""The list of recipes, read off their sources: importing them takes seconds, and torch."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import memhorizon
from memhorizon.cli.terminal import check_reader

MAKERS = ("Recipe", "Entry")  # what states a recipe: one of its own, and one of the table of sweeps
STATED = ("name", "claim", "paper_figure")


@dataclass(frozen=True)
class Claim:
    """What the list shows of a recipe.

    Attributes:
        name: of the recipe.
        claim: what is to be shown.
        paper_figure: the figure of the paper; empty where it has none.
    """

    name: str
    claim: str
    paper_figure: str = ""

    def __str__(self) -> str:
        figure = f" ({self.paper_figure})" if self.paper_figure else ""
        return f"{self.name}: {self.claim}{figure}"


def show_claims() -> int:
    """Print every recipe with its claim and the paper's figure."""
    check_reader()
    print("Each recipe tests a claim, whose record shows whether it holds: memhorizon reproduce NAME")
    for claim in claims():
        print(claim)
    return 0


def claims() -> list[Claim]:
    """Every recipe, sorted by name."""
    (package,) = memhorizon.__path__
    folder = Path(package) / "recipes"
    found = [claim for path in sorted(folder.rglob("*.py")) for claim in _claims_in(path)]
    return sorted(found, key=lambda claim: claim.name)


def _claims_in(path: Path) -> Iterator[Claim]:
    """The recipes that a file states, each by a call with texts."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
            stated = _texts(node)
            if "claim" in stated:
                yield Claim(**({"name": path.parent.name} | stated))  # a package is named as its recipe


def _texts(call: ast.Call) -> dict[str, str]:
    """The arguments that are texts, by name."""
    positional = zip(STATED[:2], call.args, strict=False)
    named = [(entry.arg, entry.value) for entry in call.keywords if entry.arg in STATED]
    return {
        name: node.value
        for name, node in (*positional, *named)
        if name and isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
