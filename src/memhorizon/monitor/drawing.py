"""The samples of a look: those that are finite, and how many are not.

A sample that is not finite is neither a copy nor none, so it leaves the share of copies. Given which seeds
give finite samples, these are independent draws of what the network makes where it makes anything; so the
test and the certificate hold for the share of copies among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from memhorizon.monitor.subject import Subject
from memhorizon.samplers import SamplerConfig, sample

LARGEST = 1e6  # values beyond are drawn in to it, so that distances stay finite


@dataclass(frozen=True, eq=False)
class Drawn:
    """The samples of a look.

    Attributes:
        samples: those that are finite. [m, *item]
        seeds: of these.
        dropped: how many others there were.
    """

    samples: Float[Tensor, " m *item"]
    seeds: list[int]
    dropped: int

    def joined(self, other: "Drawn") -> "Drawn":
        """These and others."""
        samples = torch.cat([self.samples, other.samples])
        return Drawn(samples, self.seeds + other.seeds, self.dropped + other.dropped)

    @property
    def note(self) -> str:
        """What was left out, in words; empty where nothing was."""
        if not self.dropped:
            return ""
        if not self.seeds:
            return f"none of {self.dropped:,} samples is finite: copies were not counted"
        total = len(self.seeds) + self.dropped
        return f"{self.dropped:,} of {total:,} samples are not finite: copies were counted among the others"


def draw(
    subject: Subject,
    item_shape: tuple[int, ...],
    seeds: Sequence[int],
    *,
    sampler: SamplerConfig,
    batch_size: int,
) -> Drawn:
    """Draw one sample for each seed, and keep the finite ones.

    Args:
        subject: the network.
        item_shape: of a sample.
        seeds: one for each sample.
        sampler: how samples are drawn.
        batch_size: samples per call of the network.
    """
    samples = sample(
        subject.denoiser,
        item_shape,
        seeds=seeds,
        sampler=sampler,
        device=subject.device,
        batch_size=batch_size,
    )
    return _finite(samples.detach().cpu(), seeds)


def _finite(samples: Float[Tensor, " m *item"], seeds: Sequence[int]) -> Drawn:
    """The samples that are finite, within what can be computed with."""
    finite = samples.flatten(1).isfinite().all(1)
    kept = samples[finite].float().clamp(-LARGEST, LARGEST)
    of_kept = [seed for seed, is_finite in zip(seeds, finite.tolist(), strict=True) if is_finite]
    return Drawn(kept, of_kept, len(samples) - len(kept))
