"""Several processes for one training: each takes a part of every batch, and the gradients are summed.

They are started by `torchrun`, or another launcher that sets the environment which torch.distributed reads.
All draw the whole batch of an update from (seed, step) and compute on their part of it, so the weights and
moments are the same in all of them, and any other number of processes can go on from a state.
"""

import atexit
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from memhorizon.devices import device_of
from memhorizon.errors import InputError

PATIENCE = timedelta(days=1)  # of the others while the first one measures
LEAVING = timedelta(seconds=20)


@dataclass(frozen=True)
class Processes:
    """Which process this is, of how many that train together.

    Attributes:
        rank: number of this one, from 0, which alone writes and measures.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """Which items of a batch are this one's.

        >>> [Processes(rank, 3).part(8) for rank in range(3)]
        [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]

        Raises:
            InputError: if there are more processes than items.
        """
        if batch < self.count:
            raise InputError(f"batch_size: expected an item for each of {self.count} processes, got {batch}")
        return slice(batch * self.rank // self.count, batch * (self.rank + 1) // self.count)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        together = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(together)
        parts = together.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def agree(self, value: bool) -> bool:
        """Give what the first process says, which the others wait for."""
        if self.count == 1:
            return value
        told = torch.tensor(int(value), device="cuda" if dist.get_backend() == "nccl" else "cpu")
        dist.broadcast(told, 0)
        return bool(told)

    def wait(self) -> None:
        """Wait until all are here."""
        if self.count > 1:
            dist.barrier()


ALONE = Processes()


def join(device: str | torch.device | None) -> Processes:
    """Join the processes that were started with this one, for as long as this one lives.

    Where torch.distributed is in use already its processes are taken as they are.
    """
    if not _in_use():
        if os.environ.get("WORLD_SIZE", "1") == "1" or not _started(os.environ):
            return ALONE
        place = device_here(device)
        kind = "nccl" if place.type == "cuda" else "gloo"
        dist.init_process_group(kind, timeout=PATIENCE)
        atexit.register(_leave)
    return Processes(dist.get_rank(), dist.get_world_size())


def _leave() -> None:
    """Leave when all do, or after a while: a process may abort whose connections end while it is at work."""
    if not _in_use():
        return
    if dist.get_backend() == "gloo":
        with suppress(RuntimeError):  # another one has failed, and says so itself
            dist.monitored_barrier(timeout=LEAVING)
    dist.destroy_process_group()


def _started(environment: Mapping[str, str]) -> bool:
    """Whether a launcher has told this process all that it needs to find the others."""
    return all(name in environment for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))


def _in_use() -> bool:
    return dist.is_available() and dist.is_initialized()


def device_here(device: str | torch.device | None) -> torch.device:
    """Give each process of a machine its own CUDA device, where only the kind was named or nothing."""
    place = device_of(device)
    local = os.environ.get("LOCAL_RANK", "")
    if place.type == "cuda" and place.index is None and local.isdecimal():
        place = torch.device("cuda", int(local))
        torch.cuda.set_device(place)
    return place
