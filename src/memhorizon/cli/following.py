"""Runs as they are done: how long it will take, said at the beginning, then the progress."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from memhorizon.cli.bars import bar
from memhorizon.cli.estimating import place_of, runs_at_once, updates_done, wall_of
from memhorizon.cli.terminal import say
from memhorizon.cli.units import duration
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.cost import Cost, costs
from memhorizon.experiments.executors import Executor, Local
from memhorizon.experiments.run import Progress, execute
from memhorizon.experiments.run_directory import RunDir
from memhorizon.experiments.sweep import SweepProgress, execute_sweep


def follow(events: Iterator[Progress], name: str, *, quiet: bool = False) -> None:
    """Show the progress of one run, and the time that it still needs."""
    with bar(name, unit="step", quiet=quiet) as shown:
        for event in events:
            shown.total = event.steps
            shown.update(event.step - shown.n)


def follow_run(run: RunDir, *, device: str | None = None, quiet: bool = False) -> None:
    """Do one run: say how long it will take and where, then show its progress."""
    if not (quiet or run.done):
        _say_how_long(run, device)
    follow(execute(run, device=device), run.path.name, quiet=quiet)


def _say_how_long(run: RunDir, device: str | None) -> None:
    done = run.last_step()
    begins = f"resumes after step {done:,}" if done else "begins"
    about = duration(_cost(run, device).seconds(run.config, done=done))
    say(f"{run.path} {begins}: about {about} on {place_of(device)}")


def _cost(run: RunDir, device: str | None) -> Cost:
    cost = next(costs([run.config], device=device))
    if isinstance(cost, InputError):  # it cannot be done
        raise cost
    return cost


def follow_sweep(
    configs: Sequence[Config],
    root: Path,
    *,
    executor: Executor | None = None,
    device: str | None = None,
    quiet: bool = False,
) -> tuple[list[RunDir], str]:
    """Do the runs of a sweep and show the progress of all together.

    Returns:
        Their directories, and which runs failed and why: empty where none did.

    Raises:
        InputError: if runs failed and none has any measures.
    """
    if not quiet:
        announce(configs, root, device, executor)
    last: SweepProgress | None = None
    with bar(str(root), unit="step", quiet=quiet) as shown:
        try:
            for last in execute_sweep(configs, root=root, executor=executor, device=device):
                shown.total = last.steps
                n_done = sum(run.done for run in last.runs)
                shown.set_postfix_str(f"{n_done} of {len(last.runs)} runs done", refresh=False)
                shown.update(last.step - shown.n)
        except InputError as error:
            if last is None or not _any_measures(last.runs):
                raise
            return list(last.runs), str(error)
    return list(last.runs) if last else [], ""


def _any_measures(runs: Sequence[RunDir]) -> bool:
    """Whether a run has measures, so that there can be a page."""
    return any(os.path.isfile(run.path / "measures.jsonl") for run in runs)


def announce(
    configs: Sequence[Config], root: Path, device: str | None, executor: Executor | None = None
) -> None:
    """Say what a sweep will take, before it begins; on other machines only who does it."""
    done = [updates_done(root, config) for config in configs]
    left = sum(step < config.train.n_updates for step, config in zip(done, configs, strict=True))
    if not left:
        return
    if not isinstance(executor, Local | None):
        say(f"{left} of {len(configs)} runs in {root}, by {type(executor).__name__}")
        return
    at_once = runs_at_once(configs, executor)
    timed = costs(configs, device=device, threads=1, at_once=at_once)
    seconds = [
        0.0 if isinstance(cost, InputError) else cost.seconds(config, done=step)
        for config, step, cost in zip(configs, done, timed, strict=True)
    ]
    about = duration(wall_of(configs, seconds, at_once))
    place = place_of(device, threads=1)
    say(f"{left} of {len(configs)} runs in {root}: about {about}, {at_once} at once on {place} each")
