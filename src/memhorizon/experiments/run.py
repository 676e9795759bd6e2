"""One run: train, take snapshots, measure them; the same call again resumes where it was cut off."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from memhorizon.datasets.split import Split, load_split
from memhorizon.devices import device_of, with_threads
from memhorizon.diffusion import predict
from memhorizon.errors import InputError
from memhorizon.eval_mode import eval_mode
from memhorizon.experiments.config import Config
from memhorizon.experiments.environment import environment
from memhorizon.experiments.locks import Hold
from memhorizon.experiments.perception import qualities_of
from memhorizon.experiments.rows import observed, reference_of, rows_of, tensors_of
from memhorizon.experiments.run_directory import RunDir
from memhorizon.files.plain import Row
from memhorizon.launching import Launch
from memhorizon.measure.config import MeasureConfig
from memhorizon.measure.reference import Reference
from memhorizon.processes import ALONE, Processes, device_here, join
from memhorizon.schedule import Schedule
from memhorizon.training import Step, TrainState, train

LOG_ROWS = 400  # rows of the training log of a whole run
STATE_SECONDS = 60.0  # a killed run repeats at most this much, and never past a snapshot
MOST_THREADS = 1024  # more than any machine's; a damaged file may say anything


@dataclass(frozen=True)
class Progress:
    """How far a run is: updates done, of how many, and the directory it writes."""

    step: int
    steps: int
    run: RunDir


def run(
    config: Config,
    *,
    root: Path | str = "runs",
    device: str | torch.device | None = None,
    launch: Launch = "eager",
) -> RunDir:
    """Do (or finish) a run and return its directory; a finished one is returned as it is.

    Called by each process that `torchrun` started, on one disk, it is done by all of them together: each
    takes a part of every batch. The first one writes and measures, while the others wait, also for its end.

    It computes with as many threads as torch has, and goes on with as many as it began with. A network of
    fewer than a million parameters is faster with one, on a busy machine by far: torch.set_num_threads(1).

    Args:
        config: what to do.
        root: the directory of the run is made in here.
        device: where to compute; None for the accelerator of this machine, or where the run began.
        launch: how updates reach a CUDA device (see `memhorizon.launching`); elsewhere it says nothing. With
            "compiled" it is not tested that an interrupted run ends with the same bytes.

    Raises:
        InputError: if the configuration cannot be run, which is found before anything is written; if the
            directory is damaged, or its data have been replaced; if another process is writing it.
    """
    processes = join(device)
    directory = _directory(root, config, processes)
    place = device if processes is ALONE else device_here(device)
    doing = execute if processes.first else _follow
    for _ in doing(directory, device=place, launch=launch, processes=processes):
        pass
    processes.wait()  # until all is written
    return directory


def _directory(root: Path | str, config: Config, processes: Processes) -> RunDir:
    """The directory of a run, which the first process makes before the others look."""
    if processes.first:
        directory = RunDir.create(root, config)
        processes.wait()
        return directory
    processes.wait()
    return RunDir.create(root, config)


def execute(
    directory: RunDir,
    *,
    device: str | torch.device | None = None,
    launch: Launch = "eager",
    processes: Processes = ALONE,
) -> Iterator[Progress]:
    """Do (or finish) the run of a directory, yielding its progress a few hundred times.

    Interrupted at any moment and called again it ends with the same bytes in its snapshots and measures as a
    run that was never interrupted, on the same machine; on a GPU as far as its libraries do. A finished run
    is compared with its data only.

    Args:
        directory: of the run.
        device: where to compute; None for the accelerator of this machine, or where the run began.
        launch: how updates reach a CUDA device (see `memhorizon.launching`); elsewhere it says nothing. With
            "compiled" it is not tested that an interrupted run ends with the same bytes.
        processes: those that do it together, of which this is the first.

    Raises:
        InputError: as `run`.
    """
    config = directory.config
    finished = Progress(config.train.n_updates, config.train.n_updates, directory)
    if directory.done:
        check_finished(directory)
        processes.agree(False)
        yield finished
        return
    with directory.locked() as hold:
        if directory.done:  # another process has just done it
            processes.agree(False)
            yield finished
            return
        with _threads_of(directory):
            ready = _prepare(directory, config, device)
            processes.agree(True)  # so that the others read the state
            processes.wait()  # until they have
            for progress in _execute(directory, config, ready, launch, processes):
                hold.check()
                yield progress


def _follow(
    directory: RunDir, *, device: str | torch.device | None, launch: Launch, processes: Processes
) -> Iterator[Step]:
    """Train as the first process does, without writing anything."""
    if not processes.agree(False):  # there is nothing to do
        return
    config = directory.config
    with _threads_of(directory):
        split, schedule, model = _load(directory, config, device)
        state = TrainState.new(model, config.optimizer, ema=config.train.ema)
        place = split.train.device
        streams = _resume(state, directory, config, place)
        processes.wait()
        ready = _Ready(split, schedule, state, streams, place)
        yield from _steps(config, ready, launch, processes)


def check_finished(directory: RunDir) -> None:
    """Compare a finished run with its data and its streams with what it ended with.

    Raises:
        InputError: if the data were replaced, or rows were lost or changed since.
    """
    directory.check_data(load_split(directory.config.data).facts())
    directory.steps()
    directory.measures()


@dataclass(frozen=True)
class _Ready:
    """What a run needs, made and tried before anything is written."""

    split: Split
    schedule: Schedule
    state: TrainState
    streams: Row | None
    device: torch.device


def _prepare(directory: RunDir, config: Config, device: str | torch.device | None) -> _Ready:
    directory.check_files()
    try:
        split, schedule, model = _load(directory, config, device)
        state = TrainState.new(model, config.optimizer, ema=config.train.ema)
    except BaseException:
        directory.discard()
        raise
    place = split.train.device
    return _Ready(split, schedule, state, _resume(state, directory, config, place), place)


def _resume(state: TrainState, directory: RunDir, config: Config, place: torch.device) -> Row | None:
    """Load what was saved into the state; what was known of the streams then, None where nothing was saved.

    Raises:
        InputError: if the state is not one of this run, or its snapshots are gone.
    """
    saved = directory.read_state()
    if saved is None:
        return None
    tensors, streams = saved
    state.load({name: tensor.to(place) for name, tensor in tensors.items()})
    if not 0 <= state.step <= config.train.n_updates:
        steps = config.train.n_updates
        raise InputError(f"state: expected a step up to {steps:,}, got {state.step:,}; {directory.path}")
    if config.measure.keep:
        _check_snapshots(directory, _marks_until(config, state.step))
    return streams


def _load(
    directory: RunDir, config: Config, device: str | torch.device | None
) -> tuple[Split, Schedule, nn.Module]:
    """The items and the network of a run, on its device, tried on one item.

    Raises:
        InputError: if the data are missing or replaced, if the network does not fit them, or the device is
            not there.
    """
    place = _device(directory, device)
    split = load_split(config.data)
    directory.check_data(split.facts())
    schedule = config.schedule.build()
    try:
        model = _model_of(config, split, place)
        split = split.to(place)
        with eval_mode(model), torch.no_grad():
            predict(model, split.train[:1], torch.full((1,), len(schedule) - 1, device=place))
    except (RuntimeError, MemoryError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        shape = list(split.item_shape)
        raise InputError(f"model: cannot be built for items of shape {shape} on {place}: {reason}") from error
    return split, schedule, model


def _model_of(config: Config, split: Split, place: torch.device) -> nn.Module:
    """The network of a run as it is before the first step."""
    built = config.model.build(split.item_shape, n_levels=config.schedule.n_levels, seed=config.seed)
    return built.to(place)


def _device(directory: RunDir, device: str | torch.device | None) -> torch.device:
    began = directory.environment.get("device")
    try:
        return device_of(began if device is None else device)
    except InputError as error:
        if device is not None:
            raise
        raise InputError(f"{error}; {directory.path} began there, name another device to go on") from error


def _execute(
    directory: RunDir, config: Config, ready: _Ready, launch: Launch, processes: Processes
) -> Iterator[Progress]:
    state = ready.state
    split = ready.split
    directory.make_folders()
    directory.begin(environment(ready.device), split.facts(), state.step)
    directory.rewind(state.step)
    if ready.streams is not None:
        yield from _repair(directory, config, ready)
    yield Progress(state.step, config.train.n_updates, directory)
    yield from _train(directory, config, ready, _steps(config, ready, launch, processes))
    directory.finish({"step": state.step, "skipped": [vars(item) for item in split.skipped]})
    yield Progress(state.step, config.train.n_updates, directory)


def _train(directory: RunDir, config: Config, ready: _Ready, steps: Iterator[Step]) -> Iterator[Progress]:
    """Train from the state on, with a row of the log, a snapshot and a state where they are due."""
    state = ready.state
    marks = config.measure.marks(config.train.n_updates)
    log_every = math.ceil(config.train.n_updates / LOG_ROWS)
    settings = directory.measure_config
    reference = _reference(ready.split, config)
    started = last_saved = time.monotonic()
    for step in steps:
        at_mark = step.step in marks
        if at_mark or step.step % log_every == 0:
            directory.append_step(_log_row(step, time.monotonic() - started))
            yield Progress(step.step, config.train.n_updates, directory)
        if at_mark:
            _snapshot(directory, config, state, reference, settings)
        if at_mark or time.monotonic() - last_saved > STATE_SECONDS:
            directory.write_state(state.tensors())
            last_saved = time.monotonic()


def _steps(config: Config, ready: _Ready, launch: Launch, processes: Processes) -> Iterator[Step]:
    """The updates that are left."""
    return train(
        ready.state,
        ready.split.train,
        schedule=ready.schedule,
        config=config.train,
        seed=config.seed,
        launch=launch,
        processes=processes,
    )


def _snapshot(
    directory: RunDir, config: Config, state: TrainState, reference: Reference, settings: MeasureConfig
) -> None:
    """Keep the network of a mark, where the run keeps them, and measure it."""
    if config.measure.keep:
        directory.write_snapshot(state.step, state.shipped.state_dict())
    measured = replace(config, measure=settings)
    directory.append_measures(_measured(directory, state.shipped, reference, measured, state.step))


def _log_row(step: Step, seconds: float) -> Row:
    """A row of the training log.

    Raises:
        InputError: if the training has diverged.
    """
    loss = float(step.loss)
    if not math.isfinite(loss):
        raise InputError(f"lr: the loss is not finite at step {step.step}; a smaller one may help")
    return {"step": step.step, "loss": loss, "seconds": seconds}


def _measured(
    directory: RunDir, model: nn.Module, reference: Reference, config: Config, step: int
) -> list[Row]:
    """Measure a network and keep a few of its samples."""
    seen = observed(model, reference, config)
    directory.write_samples(step, tensors_of(seen.shown))
    return [{"step": step, **row} for row in rows_of(seen)]


def _repair(directory: RunDir, config: Config, ready: _Ready) -> Iterator[Progress]:
    """Measure the snapshots again where rows of theirs were lost since the state was written.

    Raises:
        InputError: if rows of the training log were lost, or a snapshot is not kept.
    """
    lost = directory.lost(ready.streams or {})
    if "steps.jsonl" in lost:
        raise InputError(
            f"file: {directory.path / 'steps.jsonl'} has lost or changed rows since the run was interrupted; "
            f"restore it, or delete {directory.path / 'state'} to begin the run again"
        )
    if "measures.jsonl" in lost:
        steps = _marks_until(config, ready.state.step)
        yield from _measure_again(directory, config, ready.split, steps, directory.measure_config)


def _reference(split: Split, config: Config) -> Reference:
    """What the networks of a run are measured against; the qualities are made where samples are."""
    return reference_of(split, qualities_of(split, config.data) if config.measure.n_samples else None)


def _marks_until(config: Config, last: int) -> list[int]:
    marks = config.measure.marks(config.train.n_updates)
    return [step for step in marks if step <= last]


def _check_snapshots(directory: RunDir, steps: list[int]) -> None:
    if missing := sorted(set(steps) - set(directory.snapshots())):
        raise InputError(
            f"run: cannot go on with {directory.path} without losing rows: its snapshots {missing} "
            "are not kept; restore them, or delete its folder state to begin the run again"
        )


def _measure_again(
    directory: RunDir,
    config: Config,
    split: Split,
    steps: list[int],
    settings: MeasureConfig,
    hold: Hold | None = None,
) -> Iterator[Progress]:
    _check_snapshots(directory, steps)
    model = _model_of(config, split, split.train.device)
    rows: list[Row] = []
    reference = _reference(split, config)
    for step in steps:
        yield Progress(step, steps[-1], directory)
        model.load_state_dict(directory.read_snapshot(step))
        rows += _measured(directory, model, reference, replace(config, measure=settings), step)
    if hold is not None:
        hold.check()
    directory.rewrite_measures(rows, settings)


def measure(
    directory: RunDir, config: Config | None = None, *, device: str | torch.device | None = None
) -> Iterator[Progress]:
    """Measure all snapshots of a run again, with the measures of `config` where given.

    The measures of the run are replaced when all of them are done, and carry these settings with them.

    Args:
        directory: of the run.
        config: that of the run but for `measure`; of that the settings of a snapshot count, not when it is
            taken.
        device: where to compute; None for where the run began.

    Raises:
        InputError: if the run kept no snapshots or some are gone, if its data were replaced, or `config`
            differs in more than the measures.
    """
    trained = directory.config
    if config is not None and replace(config, measure=trained.measure) != trained:
        raise InputError(f"config: expected that of {directory.path} but for the measures, got another")
    asked = (config or trained).measure
    settings = replace(
        asked, snapshots=trained.measure.snapshots, first=trained.measure.first, keep=trained.measure.keep
    )
    with directory.locked() as hold, _threads_of(directory):
        steps = _steps_to_measure(directory, trained)
        split, _, _ = _load(directory, trained, device)
        yield from _measure_again(directory, trained, split, steps, settings, hold)


def _steps_to_measure(directory: RunDir, trained: Config) -> list[int]:
    """The steps of the snapshots that a run should have kept by now, and of those that it has."""
    snapshots = directory.snapshots()
    if not snapshots:
        raise InputError(
            f"run: no snapshots in {directory.path}: {_why_without_snapshots(directory, trained)}"
        )
    last = trained.train.n_updates if directory.done else snapshots[-1]
    return sorted({*_marks_until(trained, last), *snapshots})


def _why_without_snapshots(directory: RunDir, trained: Config) -> str:
    if not trained.measure.keep:
        return "measure.keep is off"
    return "they are gone; restore them" if directory.measures() else "none was taken yet"


@contextmanager
def _threads_of(directory: RunDir) -> Iterator[None]:
    """Compute with as many threads as the run began with: sums depend on it in their last bit."""
    before = torch.get_num_threads()
    threads = directory.environment.get("threads", before)
    if not isinstance(threads, int) or isinstance(threads, bool) or not 1 <= threads <= MOST_THREADS:
        path = directory.path / "environment.json"
        raise InputError(f"file: {path} is damaged: expected 1 to {MOST_THREADS} threads, got {threads!r}")
    with with_threads(threads):
        yield
