"""Many residual MLPs of one width in one network: small ones train a dozen at the price of two.

A step of a network of a few thousand parameters is all overhead. Stacked, each network has weights and
items and noise of its own and sees them alone; one item of the stack is one item of every network, and the
noise level of an item is that of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import stack_module_state
from torch.nn import functional as F  # noqa: N812

from memhorizon.datasets.split import Split, load_split
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.measure.memorization import gap_ratios
from memhorizon.measure.truth import kl_divergence
from memhorizon.networks.mlp import ResidualMLP
from memhorizon.recipes.snapshots import finite, generate, marks_of, mlp_of, stops


@dataclass(frozen=True)
class Seen:
    """What one network showed at one snapshot.

    Attributes:
        count: samples that are copies.
        total: finite samples.
        kl: KL from the samples to the distribution of the items.
        kl_error: its standard error.
    """

    count: int
    total: int
    kl: float
    kl_error: float


@dataclass(frozen=True)
class Network:
    """One network of a stack.

    Attributes:
        n_train: its training items.
        seed: of its weights; also which of the disjoint subsets of items.
        null: held-out items that count as copies, and of how many.
        seen: at each snapshot. [m]
    """

    n_train: int
    seed: int
    null: tuple[int, int]
    seen: tuple[Seen, ...]


@dataclass(frozen=True)
class Stack:
    """What a stack showed.

    Attributes:
        step: the snapshots. [m]
        parameters: trained numbers of one network.
        networks: each of them.
    """

    step: tuple[int, ...]
    parameters: int
    networks: tuple[Network, ...]


class StackedMLP(nn.Module):
    """Networks of one shape side by side, [batch, networks, dim] to the same.

    The loss of `train` is the mean over them; their gradients are multiplied by their number, so that each
    is trained on its own loss.
    """

    def __init__(self, nets: Sequence[ResidualMLP]):
        super().__init__()
        self.time = nets[0].time
        self.blocks = len(nets[0].blocks)
        self.count = len(nets)
        self.weights = nn.ParameterDict()
        for name, stacked in stack_module_state(list(nets))[0].items():
            # matrices [networks, in, out], vectors [networks, 1, width]: as the batched products want them
            laid = stacked.detach().mT if stacked.ndim == 3 else stacked.detach().unsqueeze(1)
            parameter = nn.Parameter(laid.contiguous())
            parameter.register_hook(lambda gradient: gradient * self.count)
            self.weights[name.replace(".", "_")] = parameter

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Predict from x [batch, networks, dim] at the grid positions index [batch].

        Raises:
            InputError: if x has not one item for each network, or index does not fit.
        """
        if x.ndim != 3 or x.shape[1] != self.count:
            raise InputError(f"x: expected [batch, {self.count} networks, dim], got {tuple(x.shape)}")
        time = self.time(index, len(x))
        h = self._linear("inlet", x.transpose(0, 1))
        for k in range(self.blocks):
            h = self._block(k, h, time)
        return self._linear("outlet", h).transpose(0, 1)

    def _block(self, k: int, h: Tensor, time: Tensor) -> Tensor:
        """H <- norm(h + outer(gelu(inner(h + time)))), as a block of each network."""
        inner = F.gelu(self._linear(f"blocks_{k}_inner", h + time))
        h = h + self._linear(f"blocks_{k}_outer", inner)
        scale = self.weights[f"blocks_{k}_norm_weight"]
        shift = self.weights[f"blocks_{k}_norm_bias"]
        return F.layer_norm(h, h.shape[-1:]) * scale + shift

    def _linear(self, name: str, h: Tensor) -> Tensor:
        return torch.baddbmm(self.weights[f"{name}_bias"], h, self.weights[f"{name}_weight"])


def side_by_side(splits: Sequence[Split]) -> Tensor:
    """The items of every network, repeated to the number of the largest set, [entries, networks, dim]."""
    entries = max(len(split.train) for split in splits)
    repeated = [split.train.repeat(entries // len(split.train), 1) for split in splits]
    return torch.stack(repeated, 1)


def stack_of(configs: Sequence[Config], item_shape: tuple[int, ...]) -> StackedMLP:
    """The networks of these configurations, which are residual MLPs of one shape."""
    return StackedMLP([mlp_of(own, item_shape) for own in configs])


def copies(points: Tensor, split: Split, threshold: float) -> int:
    """How many of the points copy a training item."""
    return int((gap_ratios(points, split.train) < threshold).sum())


def train_stack(configs: Sequence[Config], device: torch.device) -> Stack:
    """Train all networks side by side, each on its own items, and look at them at every snapshot."""
    own = configs[0]
    splits = [load_split(each.data) for each in configs]
    stack = stack_of(configs, splits[0].item_shape)
    seen: list[list[Seen]] = [[] for _ in configs]
    for _ in stops(stack, side_by_side(splits), own, device):
        samples = generate(stack, (len(splits), *splits[0].item_shape), own, device)
        for of_network, points, split in zip(seen, samples.unbind(1), splits, strict=True):
            of_network.append(look(finite(points), split, own.measure.threshold))
    parameters = sum(parameter.numel() for parameter in stack.parameters()) // len(configs)
    trained = zip(configs, splits, seen, strict=True)
    return Stack(tuple(marks_of(own)), parameters, tuple(network_of(*each) for each in trained))


def look(points: Tensor, split: Split, threshold: float) -> Seen:
    """Copies among the samples of a network, and KL from them to the distribution of the items."""
    assert split.truth is not None
    kl = kl_divergence(points, split.truth)
    return Seen(copies(points, split, threshold), len(points), kl.value, kl.standard_error)


def network_of(config: Config, split: Split, seen: Sequence[Seen]) -> Network:
    """A network and what it showed."""
    null = copies(split.holdout, split, config.measure.threshold)
    return Network(config.data.n_train, config.seed, (null, len(split.holdout)), tuple(seen))
