"""The network that is looked at, from what people give."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from memhorizon.denoiser import Denoiser
from memhorizon.errors import InputError
from memhorizon.eval_mode import networks


@dataclass(frozen=True, eq=False)
class Subject:
    """The network that is looked at.

    Attributes:
        denoiser: what it is.
        networks: that are behind it.
        device: where they are.
    """

    denoiser: Denoiser
    networks: list[nn.Module]
    device: torch.device

    @classmethod
    def of(cls, denoiser: Denoiser) -> "Subject":
        """Find the networks behind a denoiser."""
        found = networks(denoiser)
        first = next((weight for network in found for weight in network.parameters()), None)
        return cls(denoiser, found, torch.device("cpu") if first is None else first.device)


def denoiser_of(model: object, given: Callable[[object], Denoiser] | Denoiser | None) -> Denoiser:
    """Give the denoiser that a model is.

    Args:
        model: that `Monitor.update` got.
        given: what `Monitor` got: a denoiser, a function that makes one of a model, or nothing.

    Raises:
        InputError: if it is none.
    """
    if isinstance(model, DistributedDataParallel):
        model = model.module  # its own forward pass waits for the other processes
    if isinstance(model, Denoiser):
        return model
    if isinstance(given, Denoiser):
        return given
    if given is None:
        raise InputError(f"model: expected a Denoiser, since no `denoiser` is given, got {model!r:.60}")
    made = given(model)
    if not isinstance(made, Denoiser):
        raise InputError(f"denoiser: expected a function that gives a Denoiser, got {made!r:.60}")
    return made


def is_out_of_memory(error: Exception) -> bool:
    """Whether fewer items at once may help."""
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or "out of memory" in str(error)
