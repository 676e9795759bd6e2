"""Training of a recipe's own, on data of its own making, seen at the snapshots of its configuration."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from memhorizon.datasets.split import Split
from memhorizon.experiments.config import Config
from memhorizon.experiments.observe import LOSS_SEED, SAMPLE_SEED
from memhorizon.experiments.run import snapshot_steps
from memhorizon.measure.losses import denoising_losses
from memhorizon.samplers import sample
from memhorizon.training import TrainState, train

LEVEL = 0.3  # diffusion time of the held-out loss


@dataclass(frozen=True)
class Snapshot:
    """What a network shows: its held-out loss at LEVEL with its standard error, and its finite samples."""

    step: int
    holdout: float
    error: float
    samples: Tensor


def snapshots(own: Config, split: Split, data: Tensor) -> Iterator[Snapshot]:
    """Train a new network of `own` on `data`, with the noises and sample seeds of a run of a sweep.

    Args:
        own: network, optimizer, length, snapshots; its data are not looked at.
        split: where the held-out items come from.
        data: training items. [n, *item]
    """
    schedule, measure = own.schedule.build(), own.measure
    state = TrainState.new(own.model.build(split.item_shape, seed=own.seed), own.optimizer)
    marks = snapshot_steps(measure.first, own.train.n_updates, measure.snapshots)
    for step in train(state, data, schedule=schedule, config=own.train, seed=own.seed):
        if step.step not in marks:
            continue
        held = denoising_losses(
            state.model,
            split.holdout,
            schedule=schedule,
            indices=[schedule.index_of_t(LEVEL)],
            repeats=measure.repeats,
            seed=LOSS_SEED + 1,
        )
        generated = generate(state.model, split, own)
        finite = generated[generated.flatten(1).isfinite().all(1)]
        yield Snapshot(step.step, float(held.mean[0]), float(held.standard_error[0]), finite)


def generate(model: nn.Module, split: Split, own: Config) -> Tensor:
    """Samples of a network from the seeds that runs of sweeps have. [m, *item]."""
    return sample(
        model,
        split.item_shape,
        schedule=own.schedule.build(),
        seeds=range(SAMPLE_SEED, SAMPLE_SEED + own.measure.n_samples),
        sampler=own.measure.sampler,
    )
