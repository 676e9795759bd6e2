"""The trainings that the rules are compared on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from memhorizon.datasets.config import DataConfig
from memhorizon.datasets.split import Split, load_split
from memhorizon.denoiser import Denoiser
from memhorizon.experiments.recipe import Size
from memhorizon.networks.mlp import MLPConfig
from memhorizon.recipes.settings import SMALL_UNET
from memhorizon.schedule import Schedule
from memhorizon.training import OptimizerConfig, TrainConfig, TrainState, train

Data = Literal["digits", "fashion", "mixture"]
Output = Literal["noise", "v", "velocity"]
N_LEVELS = 1000
LEAST_MLP = 64  # width from which on the network of pictures is a residual MLP
N_HOLDOUT = 64  # held-out items that the rules and the monitor see; the others are for the truth
N_TEST = {"digits": 256, "fashion": 256, "mixture": 512}
BATCH = {"digits": 32, "fashion": 16, "mixture": 512}


@dataclass(frozen=True)
class Samples:
    """How many samples are drawn, and how many losses.

    Attributes:
        snapshot: at each snapshot.
        truth: at the steps that a monitor stopped at or chose.
        losses: of test items, at each of both.
    """

    snapshot: int = 300
    truth: int = 5000
    losses: int = 512


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        data: digits (8 x 8), Fashion-MNIST (14 x 14) or a mixture of two Gaussians (8 dimensions).
        n_train: training items.
        n_updates: how long; until well after copies appear.
        width: of the network: a U-Net up to 32, a residual MLP from 64 on.
        prediction: what the network learns to put out; "velocity" is flow matching.
        optimizer: its name.
        lr: its learning rate.
        seed: of everything, the choice of the items included.
    """

    data: Data
    n_train: int
    n_updates: int
    width: int = 16
    prediction: Output = "noise"
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    lr: float = 1e-3
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its file."""
        parts = (self.data, f"n{self.n_train}", f"w{self.width}", self.prediction, self.optimizer)
        return "-".join((*parts, f"lr{self.lr:g}", f"s{self.seed}"))

    def split(self) -> Split:
        """The items: training, held-out and test items in one split."""
        n_holdout = N_HOLDOUT + N_TEST[self.data]
        if self.data == "mixture":
            config = DataConfig(
                name="mixture", dim=8, n_train=self.n_train, n_holdout=n_holdout, subset=self.seed
            )
        else:
            name = "digits" if self.data == "digits" else "fashion-mnist"
            size = None if self.data == "digits" else 14
            config = DataConfig(
                name=name, size=size, n_train=self.n_train, n_holdout=n_holdout, scale=2.0, subset=self.seed
            )
        return load_split(config)

    def network(self, item_shape: tuple[int, ...]) -> nn.Module:
        """The new network."""
        if self.data == "mixture" or self.width >= LEAST_MLP:
            return MLPConfig(width=self.width).build(item_shape, n_levels=N_LEVELS, seed=self.seed)
        small = replace(SMALL_UNET, width=self.width)
        return small.build(item_shape, n_levels=N_LEVELS, seed=self.seed)

    def denoiser(self, network: nn.Module) -> Denoiser:
        """What the network is to everything else."""
        if self.prediction == "velocity":
            return Denoiser.velocity(_of_index(network))
        make = {"noise": Denoiser.noise, "v": Denoiser.v}[self.prediction]
        return make(network, Schedule.linear())

    def steps(self, network: nn.Module, items: Tensor) -> Iterator[int]:
        """Train the network in place; the number of updates done after each."""
        optimizer = OptimizerConfig(self.optimizer, lr=self.lr)
        batch_size = min(BATCH[self.data], self.n_train)
        if self.prediction == "velocity":
            yield from _flow_steps(network, items, optimizer, batch_size, self.n_updates, self.seed)
            return
        state = TrainState.new(network, optimizer)
        config = TrainConfig(n_updates=self.n_updates, batch_size=batch_size, prediction=self.prediction)
        for done in train(state, items, schedule=Schedule.linear(), config=config, seed=self.seed):
            yield done.step


def _of_index(network: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """A network of a flow, whose times are the levels of its table."""

    def model(x: Tensor, tau: Tensor) -> Tensor:
        return network(x, (tau * (N_LEVELS - 1)).round().long())

    return model


def _flow_steps(
    network: nn.Module,
    items: Tensor,
    optimizer: OptimizerConfig,
    batch_size: int,
    n_updates: int,
    seed: int,
) -> Iterator[int]:
    """Flow matching along straight paths, x_tau = (1 - tau) x_0 + tau noise, target noise - x_0.

    Source: [lipman2023] Eqs. (20)-(22)
    """
    generator = torch.Generator(items.device).manual_seed(seed)
    updates = optimizer.build(list(network.parameters()))
    model = _of_index(network)
    network.train()
    for step in range(1, n_updates + 1):
        rows = torch.randperm(len(items), generator=generator, device=items.device)[:batch_size]
        x0 = items[rows]
        noise = torch.empty_like(x0).normal_(generator=generator)
        tau = torch.rand(len(x0), generator=generator, device=items.device)
        each = tau.reshape(-1, *(1,) * (x0.ndim - 1))
        loss = (model((1 - each) * x0 + each * noise, tau) - (noise - x0)).square().mean()
        updates.zero_grad(set_to_none=True)
        loss.backward()
        updates.step()
        yield step


def samples(size: Size) -> Samples:
    """How many samples are drawn at a size."""
    return Samples(40, 80, losses=32) if size == "tiny" else Samples()


def trainings(size: Size) -> tuple[Training, ...]:
    """All trainings at a size."""
    if size == "tiny":
        return (Training("digits", 8, 30, width=8), Training("mixture", 16, 60, width=16, prediction="v"))
    return (*_mixtures(), *_digits(), *_fashion())


def _mixtures() -> Iterator[Training]:
    yield Training("mixture", 32, 4500, width=128, lr=3e-4)
    yield Training("mixture", 32, 4500, width=128, lr=3e-4, seed=1)
    yield Training("mixture", 32, 3500, width=128, lr=3e-4, prediction="velocity")
    yield Training("mixture", 64, 3000, width=128)
    yield Training("mixture", 64, 3000, width=128, seed=1)
    yield Training("mixture", 64, 4000, width=128, prediction="v")
    yield Training("mixture", 64, 6000, width=128, lr=3e-4, prediction="velocity")
    yield Training("mixture", 64, 4000, width=64)
    yield Training("mixture", 64, 5000, width=256, lr=3e-4)
    yield Training("mixture", 64, 5000, width=128, optimizer="sgd", lr=6e-3)
    yield Training("mixture", 128, 6000, width=128)


def _digits() -> Iterator[Training]:
    yield Training("digits", 16, 2000, width=128)
    yield Training("digits", 16, 2000, width=128, prediction="velocity")
    yield Training("digits", 32, 3000, width=128)
    yield Training("digits", 32, 3500, width=128, prediction="v")
    yield Training("digits", 32, 3000, width=128, optimizer="adamw", lr=5e-4, seed=1)
    yield Training("digits", 64, 6000, width=64)
    yield Training("digits", 64, 5000, width=256)
    yield Training("digits", 64, 3500, width=128, prediction="velocity")
    yield Training("digits", 64, 8000, width=128, optimizer="sgd", lr=3e-2)
    yield Training("digits", 128, 8000, width=256)
    yield Training("digits", 32, 2500, width=8, seed=1)
    yield Training("digits", 64, 3000, width=8, prediction="v")
    yield Training("digits", 64, 2500, width=16)


def _fashion() -> Iterator[Training]:
    yield Training("fashion", 16, 2500, width=128, prediction="v")
    yield Training("fashion", 32, 4000, width=256)
