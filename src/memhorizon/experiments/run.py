"""One run: train, take snapshots, measure them; the same call again goes on where it was cut off."""

import math
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from memhorizon.datasets import Split, load_split
from memhorizon.experiments.config import Config
from memhorizon.experiments.observe import observe
from memhorizon.experiments.rundir import Row, RunDir
from memhorizon.results import InputError
from memhorizon.training import TrainState, train

LOG_ROWS = 400  # rows of the training log of a whole run
STATE_SECONDS = 60.0  # a killed run repeats at most this much, and never past a snapshot


@dataclass(frozen=True)
class Progress:
    """Where a run stands: updates done, of how many, and the directory it writes."""

    step: int
    steps: int
    run: RunDir


def run(config: Config, *, root: Path | str = "runs") -> RunDir:
    """Do (or finish) a run and return its directory; a finished one is returned as it is.

    Raises:
        InputError: if the configuration cannot be run, or another process is writing the same run.
    """
    directory = RunDir.create(Path(root), config)
    for _ in execute(directory):
        pass
    return directory


def execute(directory: RunDir) -> Iterator[Progress]:
    """Do (or finish) the run of a directory, yielding its progress a few hundred times.

    Interrupted at any moment and called again it ends with the same bytes in its snapshots and measures as a
    run that was never interrupted, on the same machine.

    Raises:
        InputError: if the configuration cannot be run, or another process is writing the same run.
    """
    config = directory.config
    if directory.done:
        yield Progress(config.train.steps, config.train.steps, directory)
        return
    with directory.locked(), _threads_of(directory):
        yield from _execute(directory, config)


def _execute(directory: RunDir, config: Config) -> Iterator[Progress]:
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    split = load_split(config.data)
    data, schedule = split.train.to(device), config.schedule.build()
    model = config.model.build(tuple(data.shape[1:]), seed=config.seed).to(device)
    state = TrainState.new(model, config.optimizer, ema=config.train.ema)
    if (saved := directory.read_state()) is not None:
        state.load({name: tensor.to(device) for name, tensor in saved.items()})
    directory.rewind(state.step)
    marks = snapshot_steps(config.measure.first, config.train.steps, config.measure.snapshots)
    log_every = math.ceil(config.train.steps / LOG_ROWS)
    started = last_saved = time.monotonic()
    yield Progress(state.step, config.train.steps, directory)
    for step in train(state, data, schedule=schedule, config=config.train, seed=config.seed):
        at_mark = step.step in marks
        if at_mark or step.step % log_every == 0:
            loss = float(step.loss)
            if not math.isfinite(loss):
                raise InputError(f"lr: the loss is not finite at step {step.step}; a smaller one may help")
            directory.append_step({"step": step.step, "loss": loss, "seconds": time.monotonic() - started})
            yield Progress(step.step, config.train.steps, directory)
        if at_mark:
            _take_snapshot(directory, config, state, split.to(device))
        if at_mark or time.monotonic() - last_saved > STATE_SECONDS:
            directory.write_state(state.tensors())
            last_saved = time.monotonic()
    directory.finish({"step": state.step, "skipped": [vars(item) for item in split.skipped]})
    yield Progress(state.step, config.train.steps, directory)


def _take_snapshot(directory: RunDir, config: Config, state: TrainState, split: Split) -> None:
    if config.measure.keep:
        directory.write_snapshot(state.step, state.shipped.state_dict())
    seen = observe(state.shipped, split, config)
    directory.write_samples(state.step, seen.samples)
    directory.append_measures({"step": state.step, **row} for row in seen.rows)


def measure(directory: RunDir, config: Config | None = None) -> Iterator[Progress]:
    """Measure all snapshots of a run again, with the measures of `config` where given.

    The measures of the run are replaced when all of them are done.

    Raises:
        InputError: if the run kept no snapshots.
    """
    config = config or directory.config
    steps = directory.snapshots()
    if not steps:
        raise InputError(f"run: no snapshots in {directory.path} (measure.keep off, or not begun)")
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    split = load_split(config.data).to(device)
    model = config.model.build(tuple(split.train.shape[1:]), seed=config.seed).to(device)
    rows: list[Row] = []
    with directory.locked(), _threads_of(directory):
        for step in steps:
            yield Progress(step, steps[-1], directory)
            model.load_state_dict(directory.read_snapshot(step))
            seen = observe(model, split, config)
            directory.write_samples(step, seen.samples)
            rows += [{"step": step, **row} for row in seen.rows]
        directory.rewrite_measures(rows)


def snapshot_steps(first: int, last: int, count: int) -> list[int]:
    """Steps from `first` to `last`, evenly spaced in the logarithm; fewer where they would coincide.

    >>> snapshot_steps(10, 1000, 5)
    [10, 32, 100, 316, 1000]
    """
    return sorted({round(step) for step in np.geomspace(first, last, count)} | {last})


@contextmanager
def _threads_of(directory: RunDir) -> Iterator[None]:
    """Compute with as many threads as the run began with: sums depend on it in their last bit."""
    before = torch.get_num_threads()
    directory.write_environment(environment())
    torch.set_num_threads(int(directory.environment["threads"]))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def environment() -> Row:
    """What a record must say about where it was made."""
    return {
        **{name: version(name) for name in ("memhorizon", "torch", "numpy", "scipy")},
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(torch.accelerator.current_accelerator() or "cpu"),
        "capability": torch.backends.cpu.get_cpu_capability(),
    }
