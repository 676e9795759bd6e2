"""The command that redraws figures; it imports torch only where a recipe's own numbers need it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from memhorizon.cli.terminal import say
from memhorizon.cli.typed import remember
from memhorizon.errors import InputError
from memhorizon.figures import registry
from memhorizon.figures.style import save
from memhorizon.recipes import figures_of
from memhorizon.records.files import load_record
from memhorizon.records.table import TableRecord

if TYPE_CHECKING:
    from memhorizon.experiments.run_directory import RunDir

Positional = tyro.conf.Positional
# What a folder of runs holds beside records.
OF_RUNS = ("config.json", "data.json", "done.json", "environment.json", "plan.json", "row.json", "slurm.json")


def figure(name: Positional[str], results: Path = Path("results")) -> int:
    """Redraw the pictures of a record from the numbers in it.

    Args:
        name: the record (its file name without .json, or its path), or "all".
        results: where the records are.
    """
    if name == "all":
        return _draw_all(_records(results))
    paths = [Path(name)] if name.endswith(".json") else _named(name, results)
    for path in paths:
        draw(path)
    return 0


def _records(results: Path) -> list[Path]:
    return sorted(path for path in results.rglob("*.json") if path.name not in OF_RUNS)


def _named(name: str, results: Path) -> list[Path]:
    """The records of this name, at least one."""
    found = [path for path in _records(results) if path.stem == name]
    if not found:
        raise InputError(f"name: expected a record in {results}, the path of one, or 'all', got {name!r}")
    return found


def _draw_all(paths: Sequence[Path]) -> int:
    """Draw what can be drawn, and say what cannot."""
    if not paths:
        raise InputError("results: expected a folder with records, got none in it")
    status = 0
    for path in paths:
        try:
            draw(path)
        except InputError as error:
            say(f"{path}: {error}")
            status = 1
    return status


def draw(path: Path, runs: Sequence["RunDir"] = ()) -> None:
    """Draw the pictures of a record beside it, and print their paths."""
    record = load_record(path)
    found = figures_of(record) if isinstance(record, TableRecord) else registry.of(record, runs)
    for label, picture in found.items():
        target = path.with_name(f"{path.stem}-{label}.png")
        save(picture.plot(), target)
        print(target)


def commands(arguments: Sequence[str]) -> list[tuple[str, Callable[..., int]]]:
    """The command of this file by its name, for what was typed."""
    remember(arguments)
    return [("figure", figure)]
