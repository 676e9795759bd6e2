"""The network that is looked at, from what people give."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from memhorizon.denoiser import Denoiser
from memhorizon.errors import InputError
from memhorizon.eval_mode import networks

BATCH_SIZE = 256


@dataclass(frozen=True, eq=False)
class Subject:
    """The network that is looked at.

    Attributes:
        denoiser: what it is.
        networks: whose weights are kept: the model that was given, else all that are behind the denoiser.
        device: where they are.
        batch_size: items per call.
    """

    denoiser: Denoiser
    networks: list[nn.Module]
    device: torch.device
    batch_size: int = BATCH_SIZE

    @classmethod
    def of(cls, denoiser: Denoiser, model: object = None, batch_size: int = BATCH_SIZE) -> "Subject":
        """Find the networks behind a denoiser; a model that is one of them is taken alone."""
        found = networks(denoiser)
        given = _without_wrapper(model)
        if any(network is given for network in found):
            found = [network for network in found if network is given]
        first = next((weight for network in found for weight in network.parameters()), None)
        device = torch.device("cpu") if first is None else first.device
        return cls(denoiser, found, device, batch_size)


def denoiser_of(model: object, given: Callable[[object], Denoiser] | Denoiser | None) -> Denoiser:
    """Give the denoiser that a model is.

    Args:
        model: that `Monitor.update` got.
        given: what `Monitor` got: a denoiser, a function that makes one of a model, or nothing.

    Raises:
        InputError: if it is none, or the model is a network that the denoiser does not call.
    """
    model = _without_wrapper(model)
    if isinstance(model, Denoiser):
        return model
    if isinstance(given, Denoiser):
        _check_called(model, given)
        return given
    if given is None:
        raise InputError(f"model: expected a Denoiser, since no `denoiser` is given, got {model!r:.60}")
    made = given(model)
    if not isinstance(made, Denoiser):
        raise InputError(f"denoiser: expected a function that gives a Denoiser, got {made!r:.60}")
    return made


def _without_wrapper(model: object) -> object:
    """The network of this process: the forward pass of its wrapper waits for the other processes."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def _check_called(model: object, denoiser: Denoiser) -> None:
    """Refuse a network that has no parameter of those behind a denoiser, which would be looked at instead."""
    if not isinstance(model, nn.Module):
        return
    own = _weights_of([model])
    called = _weights_of(networks(denoiser))
    if own and called and not own & called:
        raise InputError(
            "model: expected the network that the Denoiser calls, got another one; let denoiser= be a "
            "function that makes a Denoiser of the model"
        )


def _weights_of(networks: Iterable[nn.Module]) -> set[int]:
    """The parameters of networks, by identity."""
    return {id(weight) for network in networks for weight in network.parameters()}


def is_out_of_memory(error: Exception) -> bool:
    """Whether fewer items at once may help."""
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or "out of memory" in str(error)
