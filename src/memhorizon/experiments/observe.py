"""What one snapshot is measured for: its losses, its samples, their copies and their quality."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from memhorizon.datasets import Split
from memhorizon.experiments.config import Config
from memhorizon.experiments.rundir import Row
from memhorizon.measure.losses import denoising_losses
from memhorizon.measure.memorization import gap_ratios, memorized_fraction
from memhorizon.measure.neighbors import nearest
from memhorizon.measure.quality import frechet_distance, kernel_distance
from memhorizon.measure.truth import kl_divergence, score_error
from memhorizon.samplers import samples as draw_samples

SHOWN = 24  # samples kept for the eye


@dataclass(frozen=True)
class Observation:
    """The rows of one snapshot, and a few samples with their nearest training items."""

    rows: list[Row]
    samples: dict[str, Tensor]


def observe(model: nn.Module, split: Split, config: Config) -> Observation:
    """Measure a network against its training and its held-out set.

    Noise and samples are the same for every snapshot of a run, so that differences along training are due to
    the network.
    """
    rows, shown = _losses(model, split, config), {}
    if config.measure.n_samples:
        generated = _generate(model, split, config)
        memorized, shown = _memorized(generated, split, config)
        rows += memorized
        if len(split.holdout) > 1:
            rows += _quality(generated, split)
        if split.truth is not None:
            kl = kl_divergence(generated.flatten(1), split.truth)
            rows.append({"measure": "kl", "value": kl.value, "se": kl.standard_error})
    return Observation(rows, shown)
