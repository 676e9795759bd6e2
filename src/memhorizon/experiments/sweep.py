"""Many runs: finished ones are skipped, the others are done by an executor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from memhorizon.experiments.config import Config
from memhorizon.experiments.executors import Executor, Local, Outcome
from memhorizon.experiments.rundir import RunDir
from memhorizon.results import InputError


@dataclass(frozen=True)
class SweepProgress:
    """Where a sweep stands: updates done, of how many, runs finished, outcomes so far."""

    step: int
    steps: int
    outcomes: tuple[Outcome, ...]
    runs: tuple[RunDir, ...]


AXES = {
    "n_train": "data",
    "width": "model",
    "dropout": "model",
    "lr": "optimizer",
    "momentum": "optimizer",
    "weight_decay": "optimizer",
    "batch_size": "train",
    "ema": "train",
}


def grid(base: Config, **axes: Sequence[int | float | None]) -> list[Config]:
    """All combinations of the axes around one configuration.

    Args:
        base: what all share.
        **axes: values of `n_train`, `width`, `lr`, `batch_size` and so on, or `seed`; a seed has its own
            weights, noise and training items.

    Raises:
        InputError: if an axis is unknown, or the network or the optimizer of `base` does not have it.
    """
    return [_at(base, dict(zip(axes, values, strict=True))) for values in product(*axes.values())]


def _at(config: Config, point: dict[str, Any]) -> Config:
    for axis, value in point.items():
        if axis == "seed":
            config = replace(config, data=replace(config.data, subset=value), seed=value)
        elif axis in axes_of(config):
            part = AXES[axis]
            config = replace(config, **{part: replace(getattr(config, part), **{axis: value})})
        else:
            had = [*axes_of(config), "seed"]
            raise InputError(f"axes: expected some of {had} (this network and optimizer), got {axis!r}")
    return config


def axes_of(config: Config) -> list[str]:
    """Return the axes that a configuration has: not every network has them all, and only SGD has momentum."""
    had = [axis for axis, part in AXES.items() if hasattr(getattr(config, part), axis)]
    return [axis for axis in had if axis != "momentum" or config.optimizer.name == "sgd"]


def sweep(
    configs: Sequence[Config], *, root: Path | str = "runs", executor: Executor | None = None
) -> list[RunDir]:
    """Do (or finish) many runs.

    Raises:
        InputError: if there is none, or if runs failed; the others are finished all the same.
    """
    last = None
    for last in execute_sweep(configs, root=root, executor=executor):  # noqa: B007
        pass
    assert last is not None
    return list(last.runs)


def execute_sweep(
    configs: Sequence[Config], *, root: Path | str = "runs", executor: Executor | None = None
) -> Iterator[SweepProgress]:
    """Do (or finish) many runs, yielding progress; the longest begin first.

    Raises:
        InputError: if there is none, or if runs failed; the others are finished all the same.
    """
    if not configs:
        raise InputError("configs: expected at least one configuration, got none")
    runs = tuple(RunDir.create(Path(root), config) for config in configs)
    steps = {run.path: run.config.train.steps for run in runs}
    open_runs = sorted((run for run in runs if not run.done), key=lambda run: -steps[run.path])
    outcomes: list[Outcome] = []

    def progress() -> SweepProgress:
        done = sum(steps[run.path] if run.done else run.last_step() for run in runs)
        return SweepProgress(done, sum(steps.values()), tuple(outcomes), runs)

    yield progress()
    for outcome in (executor or Local())([run.path for run in open_runs]):
        if outcome is not None:
            outcomes.append(outcome)
        yield progress()
    failed = [outcome for outcome in outcomes if outcome.error]
    if failed:
        lines = "\n".join(f"  {outcome.path.name}: {outcome.error}" for outcome in failed)
        raise InputError(f"{len(failed)} of {len(runs)} runs failed (the others are done):\n{lines}")
    yield progress()
