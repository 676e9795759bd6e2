"""One line for any training loop: a hook on the optimizer."""

from itertools import count

import torch

from memhorizon.checks import check_whole
from memhorizon.errors import InputError
from memhorizon.integrations.shared import SYNC_EVERY, SharedMonitor, Watching


class Hook(SharedMonitor):
    """A monitor that follows an optimizer; make it by `on_step`.

    Attributes:
        monitor: of this process.
        should_stop: whether the training is to end, the same in every process.
        remove: ends it.
    """

    def __init__(self, monitor: Watching, optimizer: object, model: object, sync_every: int) -> None:
        super().__init__(monitor, sync_every=sync_every)
        self._model = model
        self._steps = count(1)
        self.remove = _unwrapped(optimizer).register_step_post_hook(self._after_step).remove

    def start_at(self, step: int) -> None:
        """Count on from a number of steps that were done before."""
        self._steps = count(check_whole("start", step, least=0) + 1)

    def finish(self, model: object = None) -> None:
        """After the training: certify the best checkpoint.

        Args:
            model: in place of the one that is followed.
        """
        super().finish(self._model if model is None else model)

    def _after_step(self, *_: object) -> None:
        self.update(next(self._steps), self._model)


def on_step(
    monitor: Watching,
    optimizer: torch.optim.Optimizer,
    model: object = None,
    *,
    start: int = 0,
    sync_every: int = SYNC_EVERY,
) -> Hook:
    """Let a monitor follow every step of one optimizer.

    The loop stays as it is; `monitor.should_stop` says when to leave it. Steps that a gradient scaler skips
    are not counted, nor are micro-batches of which several make a step.

    Args:
        monitor: a `Monitor`; where there are several processes, each makes one.
        optimizer: its steps are counted; one that accelerate or Lightning has wrapped will do.
        model: as for `Monitor.update`: what it trains, or an average of it.
        start: steps that were done before, where a training is resumed.
        sync_every: steps after which several processes agree on whether to stop.

    Returns:
        A hook: `finish()` certifies the best checkpoint when the training is over, `remove()` ends it,
        `should_stop` is the same in all processes.

    Raises:
        InputError: if one of them is of another kind.
    """
    hook = Hook(monitor, optimizer, model, sync_every)
    hook.start_at(start)
    return hook


def _unwrapped(optimizer: object) -> torch.optim.Optimizer:
    """The optimizer that does the steps, behind those of accelerate or Lightning."""
    inner = getattr(optimizer, "optimizer", None)
    if isinstance(inner, torch.optim.Optimizer):
        return _unwrapped(inner)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InputError(f"optimizer: expected one of torch, got {type(optimizer).__name__}")
    return optimizer
