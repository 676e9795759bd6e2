"""Commands about records: run a recipe, redraw figures."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import tyro

from memhorizon import figures
from memhorizon.cli.output import dry_run as show_dry_run
from memhorizon.cli.output import follow_sweep
from memhorizon.experiments import recipes
from memhorizon.experiments.recipes import Size
from memhorizon.experiments.record import record
from memhorizon.experiments.rundir import RunDir, write_atomically
from memhorizon.results import InputError

Positional = tyro.conf.Positional


def reproduce(
    name: Positional[str] = "",
    size: Size = "here",
    out: Path = Path("results"),
    root: Path = Path("runs"),
    dry_run: bool = False,
) -> int:
    """Run a recipe, write its record and draw its figures; without a name, list the recipes.

    Args:
        name: which recipe.
        size: "here" for our records, "tiny" to see that it works, "paper" for the paper's sizes, on a GPU.
        out: records and pictures go here.
        root: run directories are made in here.
        dry_run: print the configurations and the estimated time (at the paper's sizes without it), and stop.
    """
    if not name:
        for known in recipes.find():
            print(f"{known}: {(recipes.load(known).__doc__ or '').strip().splitlines()[0]}")
        return 0
    recipe = recipes.load(name)
    if not hasattr(recipe, "configs"):
        return _own_way(recipe, name, size, out, dry_run)
    configs = recipe.configs(size)
    if dry_run:
        return show_dry_run(configs, estimate=size != "paper")
    runs = follow_sweep(configs, root / name)
    made = record(runs, recipe.RULES, name=name, command=f"memhorizon reproduce {name} --size {size}")
    made |= {
        "claim": recipe.CLAIM,
        "size": size,
        "seconds": _seconds_of(runs),
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / (f"{name}.json" if size == "here" else f"{name}-{size}.json")
    write_atomically(path, json.dumps(made).encode())
    return _draw(path, runs)


def _own_way(recipe: ModuleType, name: str, size: Size, out: Path, dry_run: bool) -> int:
    """A recipe that writes its record itself; those that train have `planned`."""
    planned = recipe.planned(size) if hasattr(recipe, "planned") else []
    if dry_run:
        print((recipe.run.__doc__ or "").strip())
        return show_dry_run(planned, estimate=False)
    if size == "paper":
        has = "is planned only: --dry-run shows it" if planned else "does not exist: nothing is trained"
        raise InputError(f"size: expected here or tiny, got paper, which for {name} {has}")
    folder = out / "theory" if name.startswith("theory_") else out
    return _draw(recipe.run(folder, size == "tiny"))


def figure(name: Positional[str], results: Path = Path("results")) -> int:
    """Redraw the pictures of a record from the numbers in it.

    Args:
        name: the record (its file name without .json), or "all".
        results: where the records are.
    """
    found = sorted(results.rglob("*.json" if name == "all" else f"{name}.json"))
    if not found:
        raise InputError(f"name: expected a record in {results} or 'all', got {name!r}")
    for path in found:
        _draw(path)
    return 0


def _draw(path: Path, runs: Sequence[RunDir] = ()) -> int:
    for label, picture in figures.of(json.loads(path.read_text()), runs).items():
        target = path.with_name(f"{path.stem}-{label}.png")
        figures.save(picture.plot(), target)
        print(target)
    return 0


def _seconds_of(runs: Sequence[RunDir]) -> float:
    """Time spent in the runs, without the pauses between resumed parts."""
    return sum(run.seconds() for run in runs)


def commands(_: Sequence[str]) -> list[tuple[str, Callable[..., int]]]:
    """The commands of this file by name."""
    return [("figure", figure), ("reproduce", reproduce)]
