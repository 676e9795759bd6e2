"""Hugging Face's Trainer: a callback."""

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Protocol, runtime_checkable

from torch import nn

from memhorizon.extras import need
from memhorizon.integrations.keeping import read_state, write_state
from memhorizon.integrations.shared import SYNC_EVERY, Choice, SharedMonitor, Watching

STATE = "memhorizon.json"  # in each checkpoint of the Trainer


@runtime_checkable
class Arguments(Protocol):
    """TrainingArguments, as far as they are used here."""

    output_dir: str | None


@runtime_checkable
class State(Protocol):
    """TrainerState, as far as it is used here."""

    global_step: int
    is_world_process_zero: bool


@runtime_checkable
class Control(Protocol):
    """TrainerControl, as far as it is used here."""

    should_training_stop: bool


def trainer_callback(monitor: Watching, model: Choice = None, *, sync_every: int = SYNC_EVERY) -> object:
    """Make a callback of transformers' Trainer: Trainer(..., callbacks=[trainer_callback(monitor)]).

    The first process looks, all stop together, the state is in a file of each checkpoint, and the best
    checkpoint is certified when the training is over.

    Args:
        monitor: a `Monitor`; where there are several processes, each makes one.
        model: the model of the Trainer -> the network in it; None: it is the network.
        sync_every: steps after which several processes agree on whether to stop.

    Returns:
        A TrainerCallback.

    Raises:
        InputError: if the monitor is none.
        MissingExtraError: if transformers is not installed.
    """
    transformers = need("transformers", extra="transformers", what="trainer_callback")
    return _kind(transformers)(SharedMonitor(monitor, model, sync_every=sync_every))


@cache
def _kind(transformers: ModuleType) -> type:
    """The callback as a subclass of what the Trainer takes for one."""
    return type("MonitorCallback", (_Callback, transformers.TrainerCallback), {})


class _Callback:
    """What the callback does."""

    def __init__(self, shared: SharedMonitor) -> None:
        self.shared = shared

    def on_step_end(
        self, args: Arguments, state: State, control: Control, model: nn.Module, **_: object
    ) -> Control:
        """Take note of a step, and stop the Trainer where the monitor says so."""
        self.shared.update(state.global_step, model)
        if self.shared.should_stop:
            control.should_training_stop = True
        return control

    def on_train_end(
        self, args: Arguments, state: State, control: Control, model: nn.Module, **_: object
    ) -> None:
        """Certify the best checkpoint."""
        self.shared.finish(model)

    def on_save(self, args: Arguments, state: State, control: Control, **_: object) -> None:
        """Keep the state of the monitor beside that of the Trainer, in its newest checkpoint."""
        if state.is_world_process_zero:
            write_state(self.shared, _place(args, state))

    def on_train_begin(self, args: Arguments, state: State, control: Control, **_: object) -> None:
        """Go on from the checkpoint that the Trainer resumes from."""
        if state.global_step:
            read_state(self.shared, _place(args, state))


def _place(args: Arguments, state: State) -> Path:
    """The file of the state in the checkpoint of a step."""
    return Path(args.output_dir or "") / f"checkpoint-{state.global_step}" / STATE
