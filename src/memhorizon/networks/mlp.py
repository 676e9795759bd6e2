"""The residual MLP of the mixture experiments.

A model is called as `model(x, index)` with x [batch, *item] and index [batch], positions on the diffusion
grid. Each configuration has `build(item_shape, seed=...)`: the weights follow from configuration, item
shape and seed alone, and torch's global generator is left as it was.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from memhorizon.networks.embedding import TimeTable, check_even, check_positive, elements, flat, seeded


class ResidualBlock(nn.Module):
    """Two linear layers around a GELU, added to the input, then normalised; the time enters at the input."""

    def __init__(self, width: int):
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """Map h [batch, width] to the same shape."""
        return self.norm(h + self.outer(F.gelu(self.inner(h + time))))


class ResidualMLP(nn.Module):
    """The network of the Gaussian-mixture experiments; items of any shape are flattened.

    Source: [bonnaire2025] Fig. 8
    """

    def __init__(self, dim: int, width: int, blocks: int, n_levels: int):
        super().__init__()
        self.dim = dim
        self.time = TimeTable(n_levels, width)
        self.inlet = nn.Linear(dim, width)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.outlet = nn.Linear(width, dim)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Predict from x [batch, *item] at the grid positions index [batch].

        Raises:
            InputError: if the items of x have another number of elements than the network was built for, or
                index does not fit.
        """
        h = self.inlet(flat(x, self.dim))  # [batch, width]
        time = self.time(index, len(x))  # [batch, width]
        for block in self.blocks:
            h = block(h, time)
        return self.outlet(h).view_as(x)


@dataclass(frozen=True)
class MLPConfig:
    """A residual MLP of W(2d + 13) + d + 6 W^2 parameters (three blocks): 102,024 at d = 8, W = 128.

    Attributes:
        width: W, even.
        blocks: how many residual blocks.
    """

    width: int = 128
    blocks: int = 3

    def __post_init__(self) -> None:
        check_positive(blocks=self.blocks)
        check_even(width=self.width)

    def build(self, item_shape: tuple[int, ...], *, n_levels: int = 1000, seed: int) -> ResidualMLP:
        """Make the network for items of this shape.

        Raises:
            InputError: if an item would be empty.
        """
        dim = elements(item_shape)
        with seeded(seed):
            return ResidualMLP(dim, self.width, self.blocks, n_levels)
