"""Networks for vectors: the residual MLP of the mixture experiments and the random-features network.

A model is called as `model(x, index)` with x [batch, *item] and index [batch], positions on the diffusion
grid. Each configuration has `build(item_shape, seed=...)`: the weights follow from configuration, item
shape and seed alone, and torch's global generator is left as it was.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from memhorizon.checks import check_choice, check_number, check_whole
from memhorizon.results import InputError

Activation = Literal["tanh", "erf", "relu", "sin", "sigmoid"]
_ACTIVATIONS = {
    "tanh": torch.tanh,
    "erf": torch.erf,
    "relu": torch.relu,
    "sin": torch.sin,
    "sigmoid": torch.sigmoid,
}


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights on the CPU from `seed`; the global generator is put back afterwards."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        yield


def check_positive(**values: Any) -> None:
    """Refuse sizes below 1.

    Raises:
        InputError: naming the first argument that is not a positive whole number.
    """
    for name, value in values.items():
        check_whole(name, value, least=1)


def check_even(**values: Any) -> None:
    """Refuse sizes that do not split into sines and cosines.

    Raises:
        InputError: naming the first argument that is not an even whole number of at least 4.
    """
    for name, value in values.items():
        check_whole(name, value, least=4)
        if value % 2:
            raise InputError(f"{name}: expected an even number, got {value}")


class TimeTable(nn.Module):
    """The sinusoidal embedding of the diffusion index, as a frozen table.

    Half of the columns are sines and half cosines of `index * frequency`, the frequencies spaced evenly in
    their logarithm from 1 to 1/10,000. The table is not part of the state: it follows from its shape.
    """

    table: Float[Tensor, " steps width"]

    def __init__(self, steps: int, width: int):
        super().__init__()
        frequency = torch.logspace(0, -4, width // 2, dtype=torch.float64)  # [width/2]
        angle = torch.arange(steps, dtype=torch.float64)[:, None] * frequency  # [steps, width/2]
        self.register_buffer("table", torch.cat([angle.sin(), angle.cos()], 1).float(), persistent=False)

    def forward(self, index: Tensor, batch: int) -> Float[Tensor, " batch width"]:
        """Look up the rows of `index` [batch].

        Raises:
            InputError: if it is not one int64 per item, or, on the CPU, points beyond the table; an
                accelerator says so in its own words, since looking would cost a wait at every call.
        """
        if index.shape != (batch,) or index.dtype != torch.int64:
            got = f"shape {tuple(index.shape)} of {index.dtype}"
            raise InputError(f"index: expected one int64 for each of the {batch} items, got {got}")
        try:
            return self.table[index]
        except IndexError:
            wanted = f"expected grid positions below {len(self.table)} (the configuration's `steps`)"
            raise InputError(f"index: {wanted}, got up to {int(index.max())}") from None


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

    def __init__(self, dim: int, width: int, blocks: int, steps: int):
        super().__init__()
        self.dim = dim
        self.time = TimeTable(steps, width)
        self.inlet = nn.Linear(dim, width)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.outlet = nn.Linear(width, dim)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Predict from x [batch, *item] at the grid positions index [batch].

        Raises:
            InputError: if the items of x have another number of elements than the network was built for, or
                index does not fit.
        """
        h, time = self.inlet(flat(x, self.dim)), self.time(index, len(x))
        for block in self.blocks:
            h = block(h, time)
        return self.outlet(h).view_as(x)


def elements(item_shape: tuple[int, ...]) -> int:
    """Count the elements of an item.

    Raises:
        InputError: if there are none, or no shape.
    """
    if not item_shape or min(item_shape) < 1:
        raise InputError(f"item_shape: expected at least one size, all positive, got {item_shape}")
    return math.prod(item_shape)


def flat(x: Tensor, dim: int) -> Tensor:
    """View x [batch, *item] as [batch, dim].

    Raises:
        InputError: if the items have another number of elements.
    """
    if x.ndim < 2 or math.prod(x.shape[1:]) != dim:
        raise InputError(f"x: expected a batch of items with {dim} elements each, got shape {tuple(x.shape)}")
    return x.reshape(len(x), dim)


@dataclass(frozen=True)
class MLPConfig:
    """A residual MLP of W(2d + 13) + d + 6 W^2 parameters (three blocks): 102,024 at d = 8, W = 128.

    Attributes:
        width: W, even.
        blocks: how many residual blocks.
        steps: length of the diffusion grid that the time table covers.
    """

    width: int = 128
    blocks: int = 3
    steps: int = 1000

    def __post_init__(self) -> None:
        check_positive(blocks=self.blocks, steps=self.steps)
        check_even(width=self.width)

    def build(self, item_shape: tuple[int, ...], *, seed: int) -> ResidualMLP:
        """Make the network for items of this shape.

        Raises:
            InputError: if an item would be empty.
        """
        dim = elements(item_shape)
        with seeded(seed):
            return ResidualMLP(dim, self.width, self.blocks, self.steps)


class RandomFeatures(nn.Module):
    """A trained readout of frozen random features, s_A(x) = (A/sqrt p) sigma(W x / sqrt d), for one time t.

    W (p x d) has independent N(0, 1) entries and is never trained; A (d x p) starts at zero. `score` is s_A;
    calling the network gives the noise estimate eps = -sqrt(Delta_t) s_A, Delta_t = 1 - exp(-2t), so that it
    trains like any other model with prediction="noise", and |eps - noise|^2 is the paper's loss
    |sqrt(Delta_t) s_A + xi|^2. It holds at its own t only: the index is not looked at.

    Source: [bonnaire2025] Eq. (7)
    """

    weight: Float[Tensor, " p d"]

    def __init__(self, dim: int, n_features: int, activation: Activation, t: float):
        super().__init__()
        self.dim, self.t = dim, t
        self.delta_t = -math.expm1(-2 * t)
        self.activation = _ACTIVATIONS[activation]
        self.register_buffer("weight", torch.randn(n_features, dim))
        self.readout = nn.Parameter(torch.zeros(dim, n_features))  # A

    def score(self, x: Tensor) -> Tensor:
        """Evaluate s_A at x [batch, *item].

        Source: [bonnaire2025] Eq. (7)
        """
        W, A = self.weight, self.readout
        features = self.activation(F.linear(flat(x, self.dim), W / math.sqrt(self.dim)))  # [batch, p]
        return F.linear(features, A / math.sqrt(len(W))).view_as(x)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Predict the noise, -sqrt(Delta_t) s_A(x); `index` is there for the common signature."""
        return -math.sqrt(self.delta_t) * self.score(x)


@dataclass(frozen=True)
class FeaturesConfig:
    """A random-features network.

    Attributes:
        n_features: p.
        activation: sigma.
        t: the Ornstein-Uhlenbeck time that it is trained at.
    """

    n_features: int = 1024
    activation: Activation = "tanh"
    t: float = 0.1

    def __post_init__(self) -> None:
        check_positive(n_features=self.n_features)
        check_choice("activation", self.activation, get_args(Activation))
        check_number("t", self.t, above=0)

    def build(self, item_shape: tuple[int, ...], *, seed: int) -> RandomFeatures:
        """Make the network for items of this shape.

        Raises:
            InputError: if an item would be empty.
        """
        dim = elements(item_shape)
        with seeded(seed):
            return RandomFeatures(dim, self.n_features, self.activation, self.t)
