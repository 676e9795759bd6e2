"""Commands about records: run a recipe, redraw figures."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import tyro

from memhorizon import figures
from memhorizon.cli.output import dry_run as show_dry_run
from memhorizon.cli.output import follow_sweep, say, stamp
from memhorizon.cli.typed import remember
from memhorizon.errors import InputError
from memhorizon.experiments import recipes
from memhorizon.experiments.recipe import Size
from memhorizon.experiments.record import record
from memhorizon.experiments.run_directory import RunDir
from memhorizon.files.plain import read_object, write_atomically

Positional = tyro.conf.Positional


def reproduce(
    name: Positional[str] = "",
    size: Size = "here",
    out: Path = Path("results"),
    root: Path = Path("runs"),
    device: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
) -> int:
    """Run a recipe, write its record and draw its figures; without a name, list the recipes.

    Args:
        name: which recipe.
        size: "here" for our records, "tiny" to see that it works, "paper" for the paper's sizes, on a GPU.
        out: records and pictures go here.
        root: run directories are made in here.
        device: where to compute, such as cpu, cuda, cuda:1 or mps; the accelerator of the machine by default.
        dry_run: print the configurations and the estimated time (at the paper's sizes without it), and stop.
        quiet: show no progress.
    """
    if not name:
        for known, claim in recipes.claims().items():
            print(f"{known}: {claim}")
        return 0
    recipe = recipes.load(name)
    if not hasattr(recipe, "configs"):
        if device is not None:
            raise InputError(f"device: {name} chooses its own, expected none, got {device!r}")
        return _own_way(recipe, name, size, out, dry_run)
    configs = recipe.configs(size)
    if dry_run:
        estimate = size != "paper"
        return show_dry_run(configs, root / name, device=device, side_by_side=True, estimate=estimate)
    runs, failed = follow_sweep(configs, root / name, device=device, quiet=quiet)
    made = record(runs, recipe.RULES, name=name)
    made |= {"claim": recipe.CLAIM, "size": size, "seconds": _seconds_of(runs), **stamp()}
    out.mkdir(parents=True, exist_ok=True)
    path = out / (f"{name}.json" if size == "here" else f"{name}-{size}.json")
    write_atomically(path, json.dumps(made).encode())
    _draw(path, runs)
    if failed:
        say(f"memhorizon: {failed}")
    return 1 if failed else 0


def _own_way(recipe: ModuleType, name: str, size: Size, out: Path, dry_run: bool) -> int:
    """A recipe that writes its record itself; those that train have `planned`."""
    planned = recipe.planned(size) if hasattr(recipe, "planned") else []
    if dry_run:
        print((recipe.run.__doc__ or "").strip())
        return show_dry_run(planned, out, estimate=False)
    if size == "paper":
        has = "is planned only: --dry-run shows it" if planned else "does not exist: nothing is trained"
        raise InputError(f"size: expected here or tiny, got paper, which for {name} {has}")
    folder = out / "theory" if name.startswith("theory_") else out
    _draw(recipe.run(folder, size == "tiny"))
    return 0


def figure(name: Positional[str], results: Path = Path("results")) -> int:
    """Redraw the pictures of a record from the numbers in it.

    Args:
        name: the record (its file name without .json), or "all".
        results: where the records are.
    """
    every = sorted(results.rglob("*.json"))
    if name == "all":
        return _draw_all(every)
    found = [path for path in every if path.stem == name]
    if not found:
        raise InputError(f"name: expected a record in {results} or 'all', got {name!r}")
    for path in found:
        _draw(path)
    return 0


def _draw_all(paths: Sequence[Path]) -> int:
    """Draw what can be drawn, and say what cannot."""
    if not paths:
        raise InputError("results: expected a folder with records, got none in it")
    status = 0
    for path in paths:
        try:
            _draw(path)
        except InputError as error:
            say(f"{path}: {error}")
            status = 1
    return status


def _draw(path: Path, runs: Sequence[RunDir] = ()) -> None:
    for label, picture in figures.of(read_object(path), runs).items():
        target = path.with_name(f"{path.stem}-{label}.png")
        figures.save(picture.plot(), target)
        print(target)


def _seconds_of(runs: Sequence[RunDir]) -> float:
    """Time spent in the runs, without the pauses between resumed parts."""
    return sum(run.seconds() for run in runs)


def commands(arguments: Sequence[str]) -> list[tuple[str, Callable[..., int]]]:
    """The commands of this file by name, for what was typed."""
    remember(arguments)
    return [("figure", figure), ("reproduce", reproduce)]
