"""The loss of the best constant output: what a network has to be below before it has learned anything.

A network that looks at nothing can put out no better than the mean of what it is to predict at each level:
0 for noise, the mean image m for x_0, -b m for v = a noise - b x_0, with a^2 = alpha_bar and b^2 = 1 - a^2.
Its loss at a level is
    mean noise^2 for noise,  mean (x_0 - m)^2 for x_0,  mean (a noise - b (x_0 - m))^2 for v,
here on the same items and noise as the loss of the network, so that the two are paired.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from memhorizon.denoiser import Denoiser
from memhorizon.monitor.signals import Probe, level_indices


@dataclass(frozen=True)
class Constant:
    """Second moments of noise and items about their means, on the rows of a probe.

    Attributes:
        noise: mean of noise^2.
        items: mean of (x_0 - m)^2.
        both: mean of noise (x_0 - m).
    """

    noise: float
    items: float
    both: float

    @classmethod
    def of(cls, probe: Probe, mean: Float[Tensor, " *item"]) -> "Constant":
        """The moments on the held-out rows where there are any, on the training rows elsewhere.

        Args:
            probe: the rows.
            mean: of the training items, m.
        """
        return cls.on(probe.holdout if probe.has_holdout else probe.train, probe, mean)

    @classmethod
    def on(cls, rows: Float[Tensor, " q *item"], probe: Probe, mean: Float[Tensor, " *item"]) -> "Constant":
        """The moments on rows of a probe, whose noise it has.

        Args:
            rows: the held-out or the training rows.
            probe: that they are of.
            mean: of the training items, m.
        """
        noise = probe.noise[: len(rows)].double()
        centred = rows.double() - mean.cpu().double()
        moments = (noise.square(), centred.square(), noise * centred)
        return cls(*(float(moment.mean()) for moment in moments))

    def loss(self, denoiser: Denoiser) -> float:
        """Give the mean over the nine levels, in what the network predicts."""
        if denoiser.prediction == "noise":
            return self.noise
        if denoiser.prediction == "x0":
            return self.items
        levels = torch.tensor(level_indices(denoiser.schedule))
        signal = denoiser.schedule.at(levels)  # a^2
        cross = (signal * (1 - signal)).sqrt()  # a b
        # (a noise - b (x_0 - m))^2
        losses = signal * self.noise - 2 * cross * self.both + (1 - signal) * self.items
        return float(losses.mean())
