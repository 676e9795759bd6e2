"""The random-features network: frozen random features with a trained readout, for one diffusion time."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from memhorizon.checks import check_choice, check_number
from memhorizon.networks.embedding import check_positive, elements, flat, seeded

Activation = Literal["tanh", "erf", "relu", "sin", "sigmoid"]
_ACTIVATIONS = {
    "tanh": torch.tanh,
    "erf": torch.erf,
    "relu": torch.relu,
    "sin": torch.sin,
    "sigmoid": torch.sigmoid,
}


class RandomFeatures(nn.Module):
    """A trained readout of frozen random features, s_A(x) = (A/sqrt p) sigma(W x / sqrt d), for one time t.

    W (p x d) has independent N(0, 1) entries and is never trained; A (d x p) starts at zero. `score` is s_A;
    calling the network gives the noise estimate eps = -sqrt(Delta_t) s_A, Delta_t = 1 - exp(-2t), so that it
    trains like any other model with prediction="noise", and |eps - noise|^2 is the paper's loss
    |sqrt(Delta_t) s_A + xi|^2. It is valid at this t only: the index is not looked at.

    Source: [bonnaire2025] Eq. (7)
    """

    weight: Float[Tensor, " p d"]

    def __init__(self, dim: int, n_features: int, activation: Activation, t: float):
        super().__init__()
        self.dim = dim
        self.t = t
        self.delta_t = -math.expm1(-2 * t)
        self.activation = _ACTIVATIONS[activation]
        self.register_buffer("weight", torch.randn(n_features, dim))
        self.readout = nn.Parameter(torch.zeros(dim, n_features))  # A

    def score(self, x: Tensor) -> Tensor:
        """Evaluate s_A at x [batch, *item].

        Source: [bonnaire2025] Eq. (7)
        """
        W = self.weight  # [p, d]
        A = self.readout  # [d, p]
        # s_A(x) = (A/sqrt p) sigma(W x/sqrt d)
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

    def build(self, item_shape: tuple[int, ...], *, n_levels: int = 1000, seed: int) -> RandomFeatures:
        """Make the network for items of this shape; valid at its time `t`, whatever the schedule's length.

        Raises:
            InputError: if an item would be empty.
        """
        dim = elements(item_shape)
        with seeded(seed):
            return RandomFeatures(dim, self.n_features, self.activation, self.t)
