"""One recipe, or all of them: what would be done, and doing it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from memhorizon import recipes
from memhorizon.cli.bars import bar
from memhorizon.cli.dry_running import Proposal
from memhorizon.cli.dry_running import dry_run as show_dry_run
from memhorizon.cli.estimating import sweep_seconds
from memhorizon.cli.figure import draw
from memhorizon.cli.finishing import rule_text
from memhorizon.cli.following import announce
from memhorizon.cli.terminal import check_reader, say
from memhorizon.cli.units import duration
from memhorizon.errors import InputError
from memhorizon.experiments.executors import Executor
from memhorizon.experiments.recipe import Progress, Recipe, Reproduced, Size
from memhorizon.records.sweep import SweepRecord
from memhorizon.report import sentence
from memhorizon.report.words import counted


@dataclass(frozen=True)
class Asked:
    """What was asked of a recipe, or of all.

    Attributes:
        size: of the runs.
        out: records and pictures go here.
        root: run directories and parts are made in here.
        records: folder with the records that some recipes read.
        executor: who does runs and parts; None for one process per core.
        device: where to compute; None for what suits the work.
        quiet: show no progress.
    """

    size: Size
    out: Path
    root: Path
    records: Path
    executor: Executor | None
    device: str | None
    quiet: bool


def reproduce_one(recipe: Recipe, asked: Asked) -> int:
    """Run a recipe, write its record and draw its figures.

    Returns:
        The exit status: 1 where runs failed.
    """
    _announce_runs(recipe, asked)
    made = _reproduced(recipe, asked)
    _tell(made)
    return 1 if made.failed else 0


def _announce_runs(recipe: Recipe, asked: Asked) -> None:
    """Say what the runs of a sweep will take."""
    if recipe.is_sweep and not asked.quiet:
        folder = recipe.folder(asked.root, asked.size)
        announce(recipe.plan(asked.size), folder, asked.device, asked.executor)


def _reproduced(recipe: Recipe, asked: Asked) -> Reproduced:
    return recipe.reproduce(
        asked.out,
        asked.size,
        root=asked.root,
        records=asked.records,
        executor=asked.executor,
        device=asked.device,
        watch=partial(_shown, recipe.name, asked.quiet),
    )


def _tell(made: Reproduced) -> None:
    print(made.path)
    draw(made.path, made.runs)
    if isinstance(made.record, SweepRecord):
        print(f"{sentence(made.record)}\n{rule_text(made.record.rules)}")
    if made.failed:
        say(f"memhorizon: {made.failed}")


def _shown(name: str, quiet: bool, events: Iterable[Progress]) -> Iterator[Progress]:
    """Show the progress on its way."""
    with bar(name, quiet=quiet) as shown:
        for event in events:
            shown.unit = event.unit
            shown.total = event.total
            shown.set_postfix_str(event.note, refresh=False)
            shown.update(event.done - shown.n)
            yield event


def plan_one(recipe: Recipe, asked: Asked) -> int:
    """Say what a recipe would do; where it is a sweep, what it would take here."""
    print(f"Write {recipe.record_path(asked.out, asked.size)}.{_takes(recipe, asked)}{_reads(recipe, asked)}")
    configs = recipe.plan(asked.size)
    if not configs:
        return 0
    proposal = Proposal(
        configs,
        recipe.folder(asked.root, asked.size),
        asked.device,
        side_by_side=True,
        executor=asked.executor,
    )
    return show_dry_run(proposal, estimate=recipe.is_sweep and asked.size != "paper", quiet=asked.quiet)


def reproduce_all(asked: Asked) -> int:
    """Run every recipe that has this size, one after the other; one that fails does not stop the others.

    Returns:
        The exit status: 1 where a recipe or a run failed.
    """
    every = _of_size(asked.size)
    failed = []
    for number, recipe in enumerate(every, 1):
        print(f"{number} of {len(every)}, {recipe.name}: {recipe.claim}", flush=True)
        try:
            status = reproduce_one(recipe, asked)
        except InputError as error:
            say(f"memhorizon: {error}")
            status = 1
        if status:
            failed.append(recipe.name)
    if failed:
        say(f"memhorizon: {len(failed)} of {len(every)} recipes failed, or runs of them: {', '.join(failed)}")
    return 1 if failed else 0


def plan_all(asked: Asked) -> int:
    """Say what every recipe would take: runs that are known beforehand as timed here, the rest in words."""
    check_reader()
    every = _of_size(asked.size)
    total = 0.0
    for recipe in every:
        seconds = _seconds_of_runs(recipe, asked)
        total += seconds
        about = f", about {duration(seconds)}" if seconds else ""
        configs = recipe.plan(asked.size)
        runs = f" {counted(len(configs), 'run')}{about}." if configs else ""
        print(f"{recipe.name}:{runs}{_takes(recipe, asked)}{_reads(recipe, asked)}", flush=True)
    print(_sum(every, total))
    return 0


def _sum(recipes_of_size: Sequence[Recipe], total: float) -> str:
    """What all of them take, and what is not in that sum."""
    others = sum(not recipe.plan("here") for recipe in recipes_of_size)
    about = ""
    if total:
        about = f"; their runs about {duration(total)} in all"
        about += f", what the {others} without runs take comes on top" if others else ""
    every = counted(len(recipes_of_size), "recipe")
    return f"{every}{about}. Each is a piece of its own: memhorizon reproduce NAME"


def _takes(recipe: Recipe, asked: Asked) -> str:
    """How long it takes; the words of a recipe are about its full size."""
    return " Some seconds." if asked.size == "tiny" else f" {recipe.takes}"


def _reads(recipe: Recipe, asked: Asked) -> str:
    """Which records it reads, and which of them are missing."""
    if not recipe.reads:
        return ""
    missing = recipe.missing(asked.records)
    there = f"; {asked.records} does not have {', '.join(missing)}" if missing else ""
    return f" It reads {counted(len(recipe.reads), 'record')} of full size{there}."


def _seconds_of_runs(recipe: Recipe, asked: Asked) -> float:
    """How long the runs take here; 0 where there are none, they are tiny, or meant for another machine."""
    configs = recipe.plan(asked.size)
    if not configs or asked.size != "here":
        return 0.0
    return sweep_seconds(configs, asked.root / recipe.name, asked.device, asked.executor)


def _of_size(size: Size) -> list[Recipe]:
    return [recipe for recipe in recipes.in_order() if size in recipe.sizes]
