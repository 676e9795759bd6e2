"""Lightning: a callback, under either name of the package."""

import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Protocol, runtime_checkable

from torch import nn

from memhorizon.extras import need
from memhorizon.integrations.shared import SYNC_EVERY, Choice, SharedMonitor, Watching

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
STATE = "memhorizon.Monitor"  # under which a checkpoint has the state of the monitor


@runtime_checkable
class Trainer(Protocol):
    """Lightning's Trainer, as far as it is used here."""

    global_step: int
    should_stop: bool


def lightning_callback(monitor: Watching, model: Choice = None, *, sync_every: int = SYNC_EVERY) -> object:
    """Make a callback of Lightning: Trainer(callbacks=[lightning_callback(monitor, lambda m: m.unet)]).

    The first process looks, all stop together (`trainer.should_stop`), checkpoints hold the state, and the
    best checkpoint is certified when the training is over.

    Args:
        monitor: a `Monitor`; where there are several processes, each makes one.
        model: LightningModule -> the network in it; None: the module itself is the network.
        sync_every: steps after which several processes agree on whether to stop.

    Returns:
        A Callback of the package that is in use: lightning or pytorch_lightning.

    Raises:
        InputError: if the monitor is none.
        MissingExtraError: if neither package is installed.
    """
    return _kind(_packages())(SharedMonitor(monitor, model, sync_every=sync_every))


def _packages() -> tuple[ModuleType, ...]:
    """The packages that have been imported already; else the first that is installed."""
    loaded = tuple(sys.modules[name] for name in PACKAGES if sys.modules.get(name) is not None)
    if loaded:
        return loaded
    installed = [name for name in PACKAGES if find_spec(name.split(".")[0]) is not None]
    return (need((installed or PACKAGES)[0], extra="lightning", what="lightning_callback"),)


@cache
def _kind(packages: tuple[ModuleType, ...]) -> type:
    """The callback as a subclass of what each package takes for one."""
    return type("MonitorCallback", (_Callback, *(package.Callback for package in packages)), {})


class _Callback:
    """What the callback does."""

    def __init__(self, shared: SharedMonitor) -> None:
        self.shared = shared
        self._seen = 0

    @property
    def state_key(self) -> str:
        """Under which a checkpoint has the state."""
        return STATE

    def on_train_batch_end(self, trainer: Trainer, pl_module: nn.Module, *_: object) -> None:
        """Take note of a step of the optimizer; not every batch makes one."""
        if trainer.global_step == self._seen:
            return
        self._seen = trainer.global_step
        self.shared.update(self._seen, pl_module)
        if self.shared.should_stop:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: nn.Module) -> None:
        """Certify the best checkpoint."""
        self.shared.finish(pl_module)

    def state_dict(self) -> dict[str, object]:
        """What the monitor has seen."""
        return self.shared.state_dict()

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on from there."""
        self.shared.load_state_dict(state)
