"""The command that runs a recipe, or all."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import tyro

from memhorizon import recipes
from memhorizon.cli.claims import show_claims
from memhorizon.cli.executing import ExecutorFlags
from memhorizon.cli.reproducing import Asked, plan_all, plan_one, reproduce_all, reproduce_one
from memhorizon.cli.typed import remember
from memhorizon.experiments.recipe import Size

Positional = tyro.conf.Positional
ALL = "all"  # in place of a name


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
        name: which recipe; "all" for every one that has this size, those that read records after the others.
        size: "here" for our records, "tiny" to see that it works, "paper" for the paper's sizes, on a GPU.
        out: records and pictures go here.
        root: run directories and parts are made in here; the same command resumes them.
        records: folder with the records that some recipes read.
        by: who does its runs and parts.
        device: where to compute, such as cpu, cuda, cuda:1 or mps; the accelerator of the machine by default.
        dry_run: print the configurations and what each takes (at the paper's sizes without that), or how long
            every recipe takes, and stop.
        quiet: show no progress.
    """
    if not name:
        return show_claims()
    asked = Asked(size, out, root, records, by.build(), device, quiet)
    if name == ALL:
        return plan_all(asked) if dry_run else reproduce_all(asked)
    recipe = recipes.load(name)
    return plan_one(recipe, asked) if dry_run else reproduce_one(recipe, asked)


def commands(arguments: Sequence[str]) -> list[tuple[str, Callable[..., int]]]:
    """The commands of this file by name, for what was typed."""
    remember(arguments)
    return [("reproduce", reproduce)]
