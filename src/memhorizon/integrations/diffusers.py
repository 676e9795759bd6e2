"""diffusers: what a network of a pipeline means, by its scheduler, with the averaged weights if there are."""

import copy
from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

from torch import nn

from memhorizon.denoiser import Denoiser
from memhorizon.errors import InputError


@runtime_checkable
class Average(Protocol):
    """diffusers' EMAModel, as far as it is used here."""

    def copy_to(self, parameters: Iterable[nn.Parameter]) -> None:
        """Write the averaged weights into these."""
        ...


def diffusers_denoiser(scheduler: object, *, ema: Average | None = None) -> Callable[[nn.Module], Denoiser]:
    """Say what a UNet2DModel (or any network called as unet(x, timestep)) puts out: `denoiser` of a Monitor.

    Args:
        scheduler: that the network is trained with: DDPMScheduler, DDIMScheduler and the like, or one of flow
            matching (FlowMatchEulerDiscreteScheduler).
        ema: an EMAModel; looks are then at its weights, in a copy of the network.

    Returns:
        A function unet -> Denoiser.

    Raises:
        InputError: if the scheduler says neither its noise levels nor that it is one of flow matching, or
            `ema` has no `copy_to`.
    """
    Denoiser.diffusers(nn.Identity(), scheduler)  # what is wrong with it is told before the training
    if ema is None:
        return lambda unet: Denoiser.diffusers(unet, scheduler)
    if not isinstance(ema, Average):
        raise InputError(f"ema: expected an EMAModel of diffusers, got {type(ema).__name__}")
    return _Averaged(scheduler, ema)


class _Averaged:
    """Makes denoisers of averaged weights, in one copy of the network that is kept."""

    def __init__(self, scheduler: object, ema: Average) -> None:
        self.scheduler = scheduler
        self.ema = ema
        self.shadow: nn.Module | None = None

    def __call__(self, unet: nn.Module) -> Denoiser:
        if self.shadow is None:
            self.shadow = copy.deepcopy(unet)
        self.shadow.load_state_dict(unet.state_dict())  # buffers, and where a part has no average
        self.ema.copy_to(self.shadow.parameters())
        return Denoiser.diffusers(self.shadow, self.scheduler)
