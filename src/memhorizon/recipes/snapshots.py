"""Training inside a recipe, on data of its making, seen at the snapshots of its configuration."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from memhorizon.datasets.split import Split
from memhorizon.diffusion import Model
from memhorizon.experiments.config import Config
from memhorizon.measure.losses import DenoisingLosses, denoising_losses
from memhorizon.measure.snapshot import LOSS_SEED, SAMPLE_SEED
from memhorizon.networks.mlp import MLPConfig, ResidualMLP
from memhorizon.samplers import sample
from memhorizon.training import TrainState, at_marks, train

LEVEL = 0.3  # diffusion time of the held-out loss


@dataclass(frozen=True)
class Snapshot:
    """What a network shows.

    Attributes:
        step: updates done.
        holdout: its held-out loss at LEVEL.
        error: the standard error of that.
        samples: its finite samples. [m, *item]
    """

    step: int
    holdout: float
    error: float
    samples: Tensor


def stops(network: nn.Module, data: Tensor, config: Config, device: torch.device) -> Iterator[int]:
    """Train a network in place and stop at each snapshot of a configuration.

    Args:
        network: trained with the optimizer, length and seed of the configuration.
        data: training items. [n, *item]
        config: its data are not looked at.
        device: where to compute.

    Yields:
        The updates done.
    """
    state = TrainState.new(network.to(device), config.optimizer)
    schedule = config.schedule.build()
    steps = train(state, data.to(device), schedule=schedule, config=config.train, seed=config.seed)
    for step in at_marks(steps, marks_of(config)):
        yield step.step


def marks_of(config: Config) -> list[int]:
    """The steps of the snapshots."""
    return config.measure.marks(config.train.n_updates)


def snapshots(config: Config, split: Split, data: Tensor, device: torch.device) -> Iterator[Snapshot]:
    """Train a new network on `data`, with the noises and sample seeds of a run of a sweep.

    Args:
        config: network, optimizer, length, snapshots; its data are not looked at.
        split: where the held-out items come from.
        data: training items. [n, *item]
        device: where to compute.
    """
    network = config.model.build(split.item_shape, seed=config.seed)
    for step in stops(network, data, config, device):
        held = loss_of(network, split.holdout.to(device), config, seed=LOSS_SEED + 1)
        samples = finite(generate(network, split.item_shape, config, device))
        yield Snapshot(step, float(held.mean[0]), float(held.standard_error[0]), samples)


def mlp_of(config: Config, item_shape: tuple[int, ...]) -> ResidualMLP:
    """The new network of a configuration whose network is a residual MLP."""
    assert isinstance(config.model, MLPConfig)
    return config.model.build(item_shape, seed=config.seed)


def loss_of(network: nn.Module, items: Tensor, config: Config, *, seed: int) -> DenoisingLosses:
    """The denoising loss of items at LEVEL."""
    schedule = config.schedule.build()
    return denoising_losses(
        network,
        items,
        schedule=schedule,
        indices=[schedule.index_of_t(LEVEL)],
        repeats=config.measure.repeats,
        seed=seed,
    )


def generate(
    model: Model, item_shape: tuple[int, ...], config: Config, device: torch.device, *, first: int = 0
) -> Tensor:
    """Samples of a network, on the CPU, from the seeds that runs of sweeps have, [m, *item].

    Args:
        model: on the device.
        item_shape: of a sample.
        config: how many, by which sampler.
        device: where they are made.
        first: how many seeds are passed over.
    """
    start = SAMPLE_SEED + first
    seeds = range(start, start + config.measure.n_samples)
    schedule = config.schedule.build()
    sampler = config.measure.sampler
    made = sample(model, item_shape, schedule=schedule, seeds=seeds, sampler=sampler, device=device)
    return made.cpu()


def finite(samples: Tensor) -> Tensor:
    """Those samples that are finite, [m, *item]."""
    return samples[finite_rows(samples)]


def finite_rows(samples: Tensor) -> Tensor:
    """Which samples are finite, [m]."""
    return samples.flatten(1).isfinite().all(1)
