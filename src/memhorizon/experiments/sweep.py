"""Many runs: finished ones are skipped, the others are done by an executor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from memhorizon.experiments.config import Config
from memhorizon.experiments.executors import Executor, Local, Outcome
from memhorizon.experiments.processes import reason
from memhorizon.experiments.run import check_finished
from memhorizon.experiments.rundir import RunDir
from memhorizon.results import InputError


@dataclass(frozen=True)
class SweepProgress:
    """Where a sweep stands.

    Attributes:
        step: updates done, of all runs together.
        steps: of how many.
        outcomes: how those that have ended did; in the last progress there is one for each run.
        runs: all of them, also those that failed.
    """

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
    configs: Sequence[Config],
    *,
    root: Path | str = "runs",
    executor: Executor | None = None,
    device: str | None = None,
) -> list[RunDir]:
    """Do (or finish) many runs.

    Args:
        configs: one per run.
        root: the directories of the runs are made in here.
        executor: who does them; None for one process per core.
        device: where to compute; None for the accelerator of this machine, or where a run began.

    Raises:
        InputError: if there is none, or if runs failed; the others are finished all the same.
    """
    last = None
    for last in execute_sweep(configs, root=root, executor=executor, device=device):  # noqa: B007
        pass
    assert last is not None
    return list(last.runs)


def execute_sweep(
    configs: Sequence[Config],
    *,
    root: Path | str = "runs",
    executor: Executor | None = None,
    device: str | None = None,
) -> Iterator[SweepProgress]:
    """Do (or finish) many runs, yielding progress; the longest begin first.

    The last progress has the outcome of every run that failed, with its reason, and comes before the error.

    Args:
        configs: one per run.
        root: the directories of the runs are made in here.
        executor: who does them; None for one process per core.
        device: where to compute; None for the accelerator of this machine, or where a run began.

    Raises:
        InputError: if there is none, or if runs failed; the others are finished all the same.
    """
    if not configs:
        raise InputError("configs: expected at least one configuration, got none")
    runs = tuple(RunDir(Path(root) / config.key) for config in configs)
    steps = {run.path: config.train.steps for run, config in zip(runs, configs, strict=True)}
    outcomes: list[Outcome] = []
    open_runs: dict[Path, int] = {}

    def progress() -> SweepProgress:
        done = sum(steps[run.path] if run.done else run.last_step() for run in runs)
        return SweepProgress(done, sum(steps[run.path] for run in runs), tuple(outcomes), runs)

    began = progress()
    for run, config in zip(runs, configs, strict=True):
        yield replace(began, outcomes=tuple(outcomes))
        outcome = _begin(run, Path(root), config)
        if outcome is None:
            open_runs[run.path] = steps[run.path]
        else:
            outcomes.append(outcome)
    longest_first = sorted(open_runs, key=lambda path: -open_runs[path])
    for outcome in (executor or Local())(longest_first, device=device):
        if outcome is not None:
            outcomes.append(outcome)
        yield progress()
    yield progress()
    failed = [outcome for outcome in outcomes if outcome.error]
    if failed:
        lines = "\n".join(f"  {outcome.path.name}: {outcome.error}" for outcome in failed)
        raise InputError(f"{len(failed)} of {len(runs)} runs failed (the others are done):\n{lines}")


def _begin(run: RunDir, root: Path, config: Config) -> Outcome | None:
    """Make the directory of a run, or look at that of a finished one; None where there is something to do."""
    try:
        RunDir.create(root, config)
        if not run.done:
            return None
        check_finished(run)
    except Exception as error:  # noqa: BLE001  one damaged directory is the failure of one run
        return Outcome(run.path, reason(error))
    return Outcome(run.path)
