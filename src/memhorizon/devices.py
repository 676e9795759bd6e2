"""Which device to compute on, and how precisely it can."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from memhorizon.errors import InputError


def default_device() -> torch.device:
    """Return the accelerator of this machine where there is a usable one, else the CPU.

    A build of torch for an accelerator names it also on machines that have none, so it is asked whether it
    works.
    """
    if not torch.accelerator.is_available():
        return torch.device("cpu")
    return torch.accelerator.current_accelerator() or torch.device("cpu")


def device_of(name: str | torch.device | None) -> torch.device:
    """Return the device of this name, such as "cpu", "cuda:1" or "mps"; None is the default device.

    Raises:
        InputError: if there is no such device on this machine, or torch was not built for it.
    """
    if name is None:
        return default_device()
    if not isinstance(name, str | torch.device):
        raise InputError(f"device: expected a name or a torch.device, got {type(name).__name__}")
    try:
        return _tried(name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise _not_here(name, error) from error


def _tried(name: str | torch.device) -> torch.device:
    """The device, which has held a number."""
    device = torch.device(name)
    torch.empty(1, device=device)
    if device.type == "meta":
        raise NotImplementedError("it holds no numbers")
    return device


def _not_here(name: str | torch.device, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()[0][:200]
    return InputError(f"device: expected one of this machine, got {str(name)!r} ({reason})")


def widest_float(device: torch.device) -> torch.dtype:
    """Return the widest floating type that a device computes with: Apple's GPUs have no 64 bits."""
    return torch.float32 if device.type == "mps" else torch.float64


def wide(x: torch.Tensor) -> torch.Tensor:
    """Return `x` in 64 bits: on its device, or on the CPU where that has none."""
    if widest_float(x.device) != torch.float64:
        x = x.cpu()
    return x.double()


@contextmanager
def with_threads(count: int) -> Iterator[None]:
    """Compute with so many threads, and with as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
