"""What the networks share: the table of diffusion indices, initial weights from a seed, checks of sizes."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from memhorizon.checks import check_whole
from memhorizon.errors import InputError


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights on the CPU from `seed`; the global generator is put back afterwards."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        yield


def check_positive(**values: object) -> None:
    """Refuse sizes below 1.

    Raises:
        InputError: naming the first argument that is not a positive whole number.
    """
    for name, value in values.items():
        check_whole(name, value, least=1)


def check_even(**values: object) -> None:
    """Refuse sizes that do not split into sines and cosines.

    Raises:
        InputError: naming the first argument that is not an even whole number of at least 4.
    """
    for name, value in values.items():
        if check_whole(name, value, least=4) % 2:
            raise InputError(f"{name}: expected an even number, got {value}")


class TimeTable(nn.Module):
    """The sinusoidal embedding of the diffusion index, as a frozen table.

    Half of the columns are sines and half cosines of `index * frequency`, the frequencies spaced evenly in
    their logarithm from 1 to 1/10,000. The table is not part of the state: it follows from its shape.
    """

    table: Float[Tensor, " levels width"]

    def __init__(self, n_levels: int, width: int):
        super().__init__()
        check_positive(n_levels=n_levels)
        frequency = torch.logspace(0, -4, width // 2, dtype=torch.float64)  # [width/2]
        angle = torch.arange(n_levels, dtype=torch.float64)[:, None] * frequency  # [levels, width/2]
        self.register_buffer("table", torch.cat([angle.sin(), angle.cos()], 1).float(), persistent=False)

    def forward(self, index: Tensor, batch: int) -> Float[Tensor, " batch width"]:
        """Look up the rows of `index` [batch].

        Raises:
            InputError: if it is not one int64 per item, or, on the CPU, points beyond the table; an
                accelerator raises an error without a name, since looking would cost a wait at every call.
        """
        _check_index(index, batch)
        try:
            return self.table[index]
        except IndexError:
            wanted = (
                f"expected grid positions below {len(self.table)} (`n_levels`, the length of the schedule)"
            )
            raise InputError(f"index: {wanted}, got up to {int(index.max())}") from None


def elements(item_shape: tuple[int, ...]) -> int:
    """Count the elements of an item.

    Raises:
        InputError: if there are none, or no shape.
    """
    if not item_shape or min(item_shape) < 1:
        raise InputError(f"item_shape: expected at least one size, all positive, got {item_shape}")
    return math.prod(item_shape)


def _check_index(index: Tensor, batch: int) -> None:
    if index.shape != (batch,) or index.dtype != torch.int64:
        got = f"shape {tuple(index.shape)} of {index.dtype}"
        raise InputError(f"index: expected one int64 for each of the {batch} items, got {got}")


def flat(x: Tensor, dim: int) -> Tensor:
    """View x [batch, *item] as [batch, dim].

    Raises:
        InputError: if the items have another number of elements.
    """
    if x.ndim < 2 or math.prod(x.shape[1:]) != dim:
        raise InputError(f"x: expected a batch of items with {dim} elements each, got shape {tuple(x.shape)}")
    return x.reshape(len(x), dim)
