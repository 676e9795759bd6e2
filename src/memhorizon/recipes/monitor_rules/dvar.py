"""The rule DVAR."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from memhorizon.recipes.monitor_rules.suite import Training

DVAR_EVERY = 5  # steps
DVAR_ITEMS = 16


@dataclass
class Dvar:
    """The rule DVAR: the loss of fixed inputs, levels and noise has settled.

    It stops when the variance of the last evaluations is below a share of the variance of all of them.

    Attributes:
        training: that is looked at.
        items: fixed training items.
        noise: of each.
        levels: of each.
        values: losses so far.
        step: where it stopped; -1 for nowhere so far.

    Source: [voronov2023]
    """

    training: Training
    items: Tensor
    noise: Tensor
    levels: Tensor
    values: list[float] = field(default_factory=list)
    step: int = -1

    WINDOW = 310 // DVAR_EVERY
    SHARE = 0.15

    @classmethod
    def of(cls, training: Training, train: Tensor, device: torch.device) -> "Dvar":
        """Fix the inputs."""
        generator = torch.Generator().manual_seed(13)
        rows = torch.randint(len(train), (DVAR_ITEMS,), generator=generator)
        noise = torch.randn(DVAR_ITEMS, *train.shape[1:], generator=generator)
        levels = torch.randint(1, 1000, (DVAR_ITEMS,), generator=generator)
        return cls(training, train[rows].to(device), noise.to(device), levels.to(device))

    def update(self, step: int, network: nn.Module) -> None:
        """Evaluate, every few steps, until it has stopped."""
        if step % DVAR_EVERY or self.step >= 0:
            return
        self.values.append(self._loss(network))
        if self._has_settled():
            self.step = step

    def _loss(self, network: nn.Module) -> float:
        denoiser = self.training.denoiser(network)
        alpha_bar = denoiser.schedule.at(self.levels)
        with torch.no_grad():  # these networks are the same in both modes
            return float(denoiser.item_losses(self.items, self.noise, alpha_bar).mean())

    def _has_settled(self) -> bool:
        if len(self.values) <= self.WINDOW:
            return False
        recent = float(np.var(self.values[-self.WINDOW :]))
        return recent < self.SHARE * float(np.var(self.values))
