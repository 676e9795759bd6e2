"""What runs will take here: how long, how much memory and disk, how many at once."""

from collections.abc import Sequence
from pathlib import Path

import torch

from memhorizon.cli.bars import bar
from memhorizon.devices import device_of
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.cost import costs, wall_seconds
from memhorizon.experiments.executors import Executor, Inline, Local
from memhorizon.experiments.footprint import Footprint, footprints
from memhorizon.experiments.run_directory import RunDir

START = 3.0  # seconds until a process of a sweep has imported torch


def sweep_seconds(
    configs: Sequence[Config], root: Path, device: str | None = None, executor: Executor | None = None
) -> float:
    """Seconds until the runs of a sweep would be done here, from where they are; nothing is shown.

    Raises:
        InputError: if a run cannot be done.
    """
    at_once = runs_at_once(configs, executor)
    return wall_of(configs, seconds_of(configs, root, device, at_once, 1, quiet=True), at_once)


def seconds_of(
    configs: Sequence[Config],
    root: Path,
    device: str | None,
    at_once: int,
    threads: int | None,
    *,
    quiet: bool = False,
) -> list[float]:
    """Seconds that each run will take from where it is, shown as they are found.

    Raises:
        InputError: if a run cannot be done.
    """
    timed = costs(configs, device=device, threads=threads, at_once=at_once)
    seconds = []
    with bar("estimate", unit="run", total=len(configs), quiet=quiet) as shown:
        for config in configs:
            cost = next(timed)
            if isinstance(cost, InputError):
                raise cost
            seconds.append(cost.seconds(config, done=updates_done(root, config)))
            shown.update()
    return seconds


def needs_of(configs: Sequence[Config], device: str | None, *, quiet: bool) -> list[Footprint]:
    """What each run needs of memory and disk, shown as it is found.

    Raises:
        InputError: if a run cannot be done.
    """
    found = []
    with bar("memory and disk", unit="run", total=len(configs), quiet=quiet) as shown:
        for need in footprints(configs, device=device):
            if isinstance(need, InputError):
                raise need
            found.append(need)
            shown.update()
    return found


def runs_at_once(configs: Sequence[Config], executor: Executor | None) -> int:
    """How many runs of a sweep are done at the same time, if on this machine."""
    if isinstance(executor, Inline):
        return 1
    here = executor if isinstance(executor, Local) else Local()
    return min(len(here.places()), len(configs))


def wall_of(configs: Sequence[Config], seconds: Sequence[float], at_once: int) -> float:
    """Seconds until all runs of a sweep are done: the one with the most steps begins first."""
    order = sorted(range(len(configs)), key=lambda k: -configs[k].train.n_updates)
    return START + wall_seconds([seconds[k] for k in order], at_once)


def updates_done(root: Path, config: Config) -> int:
    """Updates that the run of a configuration has done already."""
    run = RunDir(root / config.key)
    return config.train.n_updates if run.done else run.last_step()


def place_of(device: str | None, threads: int | None = None) -> str:
    """Where it computes, in words."""
    found = device_of(device)
    if found.type != "cpu":
        return str(found)
    threads = threads or torch.get_num_threads()
    return f"the CPU with {threads} thread{'s' if threads > 1 else ''}"
