"""What measures a network outside of any rule."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from memhorizon.datasets.split import Split
from memhorizon.denoiser import Denoiser
from memhorizon.eval_mode import eval_mode
from memhorizon.measure.features import PCAFeatures
from memhorizon.measure.quality import frechet_distance
from memhorizon.monitor.copies import CopyFinder
from memhorizon.monitor.drawing import draw
from memhorizon.monitor.isolation import isolated
from memhorizon.monitor.judging import main_directions
from memhorizon.monitor.signals import Losses, Probe, measure_losses, stable_rank
from memhorizon.monitor.subject import Subject
from memhorizon.recipes.monitor_rules.seen import Checked, Snapshot
from memhorizon.recipes.monitor_rules.suite import N_HOLDOUT, Samples, Training
from memhorizon.samplers import SamplerConfig

SAMPLER = SamplerConfig("ddim", 15)
TARGET = 0.01
TRUTH_SEED = 3_000_000_000
SNAPSHOT_SEED = 2_000_000_000


@dataclass(frozen=True, eq=False)
class Truth:
    """What measures a network outside of any rule.

    Attributes:
        training: that is looked at.
        sizes: how many samples are drawn.
        finder: of copies.
        probe: training and held-out items.
        test: training and test items.
        item_shape: of an item.
        device: where the network is.
        train: training items.
        known: what was checked so far, by the step.
    """

    training: Training
    sizes: Samples
    finder: CopyFinder
    probe: Probe
    test: Probe
    item_shape: tuple[int, ...]
    device: torch.device
    train: Tensor
    known: dict[int, Checked] = field(default_factory=dict)

    def losses(self, denoiser: Denoiser, probe: Probe) -> Losses:
        """The losses of a probe."""
        with eval_mode(denoiser):
            return measure_losses(denoiser, probe, device=self.device, batch_size=512)

    def samples(self, denoiser: Denoiser, count: int, first: int) -> Tensor:
        """Fresh samples, those that are finite."""
        subject = Subject.of(denoiser)
        seeds = range(first, first + count)
        return draw(subject, self.item_shape, seeds, sampler=SAMPLER, batch_size=1000).samples

    def snapshot(self, network: nn.Module, step: int) -> Snapshot:
        """Everything at one step."""
        with isolated():
            denoiser = self.training.denoiser(network)
            losses = self.losses(denoiser, self.probe)
            test = self.losses(denoiser, self.test)
            samples = self.samples(denoiser, self.sizes.snapshot, SNAPSHOT_SEED)
            found = self.finder.find(samples)
            gap, error = losses.gap()
            return Snapshot(
                step,
                losses.train_loss,
                losses.holdout_loss,
                gap,
                error,
                test.holdout_loss,
                stable_rank([network]),
                self.frechet(samples),
                found.count,
                len(samples),
            )

    def frechet(self, samples: Tensor) -> float:
        """Distance of samples to the training items in their main directions."""
        return frechet_distance(samples, self.train, features=self.directions, same_units=True).value

    @cached_property
    def directions(self) -> PCAFeatures:
        """The main directions of the training items."""
        return main_directions(self.train)

    def checked(self, network: nn.Module, weights: Mapping[str, Tensor], step: int) -> Checked:
        """The truth about the weights of a step, which the network has from then on if it is not known."""
        if step not in self.known:
            network.load_state_dict(weights)
            self.known[step] = self._checked(network, step)
        return self.known[step]

    def _checked(self, network: nn.Module, step: int) -> Checked:
        """The truth from many samples."""
        with isolated():
            denoiser = self.training.denoiser(network)
            test = self.losses(denoiser, self.test).holdout_loss
            samples = self.samples(denoiser, self.sizes.truth, TRUTH_SEED)
            return Checked(step, self.finder.find(samples).count, len(samples), test)


def truth_of(training: Training, sizes: Samples, split: Split, device: torch.device) -> Truth:
    """What measures the networks of a training outside of any rule."""
    return Truth(
        training,
        sizes,
        CopyFinder.of(split.train, split.holdout, target=TARGET, seed=1),
        Probe.of(split.train, split.holdout[:N_HOLDOUT], 128, seed=11),
        Probe.of(split.train, split.holdout[N_HOLDOUT:], sizes.losses, seed=12),
        split.item_shape,
        device,
        split.train,
    )
