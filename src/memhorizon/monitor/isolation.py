"""What holds a training as it was while it is looked at: equal, to the bit, to one without a monitor."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor


@contextmanager
def isolated() -> Iterator[None]:
    """Look at networks without a trace: random states, gradients and autocast are as before.

    All global generators (torch on every device in use, NumPy, Python) get their states back. Inside, no
    gradient is recorded, and autocast, where it is on, keeps no cast weights: its cache would hold casts
    without gradients, which the training would then use.
    """
    states = _RandomStates()
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):
                    dtype = torch.get_autocast_dtype(kind)
                    stack.enter_context(torch.autocast(kind, dtype=dtype, cache_enabled=False))
            yield
    finally:
        states.restore()


class _RandomStates:
    """The states of the global generators."""

    def __init__(self) -> None:
        self.torch = torch.random.get_rng_state()
        self.cuda: list[Tensor] = torch.cuda.get_rng_state_all() if _cuda_in_use() else []
        self.mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
        self.numpy = np.random.get_state()  # noqa: NPY002
        self.python = random.getstate()

    def restore(self) -> None:
        torch.random.set_rng_state(self.torch)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)
        if self.mps is not None:
            torch.mps.set_rng_state(self.mps)
        np.random.set_state(self.numpy)  # noqa: NPY002
        random.setstate(self.python)


def _cuda_in_use() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_initialized()


def synchronize() -> None:
    """Wait for what the accelerator has been given, so that a timer counts it where it belongs."""
    if _cuda_in_use():
        torch.cuda.synchronize()
