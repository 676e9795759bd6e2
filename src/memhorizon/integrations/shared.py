"""A monitor in one process or several: the first one looks, all agree on when to stop.

The others go on to their next gradient, where they wait for the first. Whether to stop is told to all every
few updates, since a message makes all of them wait for one another.
"""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from torch import distributed, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from memhorizon.checks import check_whole
from memhorizon.errors import InputError

# Which network of a model is watched; None: the model itself.
Choice: TypeAlias = Callable[[nn.Module], object] | None
SYNC_EVERY = 16  # updates between two agreements


@runtime_checkable
class Watching(Protocol):
    """A `Monitor`, as far as adapters use it."""

    def update(self, step: int, model: object = None) -> object:
        """Take note of a step; look at the model where a look is due."""
        ...

    def finish(self, model: object = None) -> object:
        """Certify the best checkpoint, after the training."""
        ...

    @property
    def should_stop(self) -> bool:
        """Whether the training is to end."""
        ...

    def state_dict(self) -> dict[str, object]:
        """What has been seen, to go on later."""
        ...

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on from there."""
        ...


class SharedMonitor:
    """A monitor that each process of a training has, of which the first one's looks.

    Attributes:
        monitor: of this process; those of all but the first see nothing.
        should_stop: whether the training is to end, the same in every process.

    Raises:
        InputError: if the monitor is none, or `sync_every` no whole number from 1.
    """

    def __init__(self, monitor: Watching, choice: Choice = None, *, sync_every: int = SYNC_EVERY) -> None:
        if not isinstance(monitor, Watching):
            raise InputError(f"monitor: expected a Monitor, got {type(monitor).__name__}")
        check_whole("sync_every", sync_every, least=1)
        self.monitor = monitor
        self.should_stop = False
        self._choice = choice
        self._sync_every = sync_every
        self._updates = 0

    def update(self, step: int, model: object = None) -> None:
        """Take note of a step, in every process.

        Args:
            step: optimizer steps that were done.
            model: as for `Monitor.update`, with what distributes it around it or without.
        """
        self._updates += 1
        if _rank() == 0:
            self.monitor.update(step, _chosen(model, self._choice))
        if _world() == 1:
            self.should_stop = self.monitor.should_stop
        elif self._updates % self._sync_every == 0:
            self.should_stop = _told(self.monitor.should_stop)

    def finish(self, model: object = None) -> None:
        """After the training: certify the best checkpoint, in the first process (see `Monitor.finish`).

        Args:
            model: as for `update`.
        """
        if _rank() == 0:
            self.monitor.finish(_chosen(model, self._choice))

    def state_dict(self) -> dict[str, object]:
        """The state of the monitor; that of the first process counts."""
        return self.monitor.state_dict()

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on from a state."""
        self.monitor.load_state_dict(state)
        self.should_stop = self.monitor.should_stop


def _chosen(model: object, choice: Choice) -> object:
    """What is watched of a model, without what distributes it."""
    if isinstance(model, DataParallel | DistributedDataParallel):
        return _chosen(model.module, choice)
    if choice is None:
        return model
    if not isinstance(model, nn.Module):
        raise InputError(f"model: expected a torch module, got {type(model).__name__}")
    return _chosen(_picked(model, choice), None)


def _picked(model: nn.Module, choice: Callable[[nn.Module], object]) -> object:
    try:
        return choice(model)
    except (AttributeError, LookupError, TypeError) as error:
        raise InputError(f"model: expected a function that picks the network, it failed: {error}") from error


def _world() -> int:
    """How many processes train together."""
    has_group = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if has_group else 1


def _rank() -> int:
    return distributed.get_rank() if _world() > 1 else 0


def _told(stop: bool) -> bool:
    """What the first process has decided."""
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    flag = torch.tensor([int(stop)], device=device)
    distributed.broadcast(flag, src=0)
    return bool(flag.item())
