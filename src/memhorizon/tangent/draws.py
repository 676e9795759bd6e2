"""Noised training items of all levels, and what a network is to put out there."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from memhorizon.diffusion import Prediction, add_noise, exact_output
from memhorizon.distributions import Empirical
from memhorizon.measure.losses import fixed_noise
from memhorizon.schedule import Schedule


@dataclass(frozen=True, eq=False, repr=False)
class Draws:
    """Noised training items.

    Attributes:
        x: at their levels. [m, *item]
        index: of the level of each. [m]
        target: the mean of what the network is trained to put out there, over the training set: what a
            perfect memorizer puts out. [m, *item]
    """

    x: Float[Tensor, " m *item"]
    index: Int64[Tensor, " m"]
    target: Float[Tensor, " m *item"]


def noised(
    train: Float[Tensor, " n *item"],
    schedule: Schedule,
    *,
    noises: int,
    prediction: Prediction = "noise",
    diffusion_time: float | None = None,
    seed: int = 0,
) -> Draws:
    """Noise every training item so many times, as training does, from (seed, position) alone.

    The levels of an item are spread evenly: one in each of `noises` parts of the schedule, so that means over
    the draws are means over the levels with less noise.

    Args:
        train: training items. [n, *item]
        schedule: its levels.
        noises: noised versions of each item.
        prediction: what the network puts out.
        diffusion_time: the one that it is trained at; None for all levels but the cleanest.
        seed: of noise and levels.
    """
    rows = range(len(train))
    noise = [fixed_noise(train.shape[1:], rows, repeat=k, seed=seed) for k in range(noises)]
    levels = _levels(schedule, len(train), noises, diffusion_time, seed)
    index = torch.from_numpy(levels).reshape(-1).to(train.device)
    x0 = train.repeat(noises, *(1,) * (train.ndim - 1))
    x = add_noise(x0, torch.cat(noise).to(x0), schedule.at(index))
    memorizer = Empirical(train.flatten(1).double())
    return Draws(x, index, exact_output(memorizer, x, schedule.at(index), prediction))


def _levels(
    schedule: Schedule, count: int, noises: int, diffusion_time: float | None, seed: int
) -> np.ndarray:
    """The level of every noised item, noise by noise. [noises, count]."""
    if diffusion_time is not None:
        return np.full((noises, count), schedule.index_of_t(diffusion_time))
    generators = [np.random.default_rng((seed, row, noises)) for row in range(count)]
    places = np.stack([each.uniform(size=noises) for each in generators], axis=1)  # [noises, count]
    parts = (np.arange(noises)[:, None] + places) / noises
    return 1 + np.floor(parts * (len(schedule) - 1)).astype(np.int64)
