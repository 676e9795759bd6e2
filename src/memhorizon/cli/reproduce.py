"""The command that runs a recipe."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from memhorizon import recipes
from memhorizon.cli.bars import bar
from memhorizon.cli.claims import show_claims
from memhorizon.cli.executing import ExecutorFlags
from memhorizon.cli.figure import draw
from memhorizon.cli.output import announce, rule_text
from memhorizon.cli.output import dry_run as show_dry_run
from memhorizon.cli.terminal import say
from memhorizon.cli.typed import remember
from memhorizon.experiments.executors import Executor
from memhorizon.experiments.recipe import Progress, Recipe, Size
from memhorizon.records.sweep import SweepRecord
from memhorizon.report import sentence

Positional = tyro.conf.Positional


def reproduce(
    name: Positional[str] = "",
    size: Size = "here",
    out: Path = Path("results"),
    root: Path = Path("runs"),
    records: Path = Path("results"),
    by: Annotated[ExecutorFlags, tyro.conf.arg(name="")] = ExecutorFlags(),  # noqa: B008 - frozen
    device: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
) -> int:
    """Run a recipe, write its record and draw its figures; without a name, list the recipes.

    Args:
        name: which recipe.
        size: "here" for our records, "tiny" to see that it works, "paper" for the paper's sizes, on a GPU.
        out: records and pictures go here.
        root: run directories and parts are made in here; the same command goes on with them.
        records: folder with the records that some recipes read.
        by: who does its runs and parts.
        device: where to compute, such as cpu, cuda, cuda:1 or mps; the accelerator of the machine by default.
        dry_run: print the configurations and what each takes (at the paper's sizes without that), and stop.
        quiet: show no progress.
    """
    if not name:
        return show_claims()
    recipe = recipes.load(name)
    executor = by.build()
    if dry_run:
        return _plan(recipe, size, out, root, device, executor)
    if recipe.is_sweep and not quiet:
        announce(recipe.plan(size), root / name, device, executor)
    watch = partial(_shown, name, quiet)
    made = recipe.reproduce(
        out, size, root=root, records=records, executor=executor, device=device, watch=watch
    )
    print(made.path)
    draw(made.path, made.runs)
    if isinstance(made.record, SweepRecord):
        print(f"{sentence(made.record)}\n{rule_text(made.record.rules)}")
    if made.failed:
        say(f"memhorizon: {made.failed}")
    return 1 if made.failed else 0


def _plan(
    recipe: Recipe, size: Size, out: Path, root: Path, device: str | None, executor: Executor | None
) -> int:
    """What would be done; where a recipe is a sweep, what it would take here."""
    print(f"Write {recipe.record_path(out, size)}. {recipe.takes}")
    estimate = recipe.is_sweep and size != "paper"
    folder = root / recipe.name
    return show_dry_run(
        recipe.plan(size), folder, device=device, side_by_side=True, executor=executor, estimate=estimate
    )


def _shown(name: str, quiet: bool, events: Iterable[Progress]) -> Iterator[Progress]:
    """Show the progress on its way."""
    with bar(name, quiet=quiet) as shown:
        for event in events:
            shown.unit = event.unit
            shown.total = event.total
            shown.set_postfix_str(event.note, refresh=False)
            shown.update(event.done - shown.n)
            yield event


def commands(arguments: Sequence[str]) -> list[tuple[str, Callable[..., int]]]:
    """The commands of this file by name, for what was typed."""
    remember(arguments)
    return [("reproduce", reproduce)]
