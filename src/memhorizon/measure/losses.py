"""Denoising losses of a training and a held-out set, on noise that never changes.

Every item of a set gets the noise of its position, drawn from (seed, position, repeat): the same at every
snapshot, every noise level and every batch size, so that curves along training move only when the network
does.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from memhorizon.checks import check_whole
from memhorizon.denoiser import Denoiser, as_denoiser
from memhorizon.diffusion import Model, Prediction
from memhorizon.errors import InputError
from memhorizon.eval_mode import eval_mode
from memhorizon.measure.items import Items, as_items
from memhorizon.measure.means import Mean
from memhorizon.schedule import Schedule


@dataclass(frozen=True, repr=False)
class DenoisingLosses:
    """Denoising losses of one set at several noise levels.

    Attributes:
        indices: grid positions of the noise levels. [levels]
        items: loss of each item, averaged over its repeats of noise. [n, levels]
    """

    indices: tuple[int, ...]
    items: Float64[Tensor, "n levels"]

    def __repr__(self) -> str:
        losses = ", ".join(f"{index}: {mean}" for index, mean in zip(self.indices, self.levels, strict=True))
        return f"DenoisingLosses({len(self.items)} items; by level {losses})"

    @property
    def mean(self) -> Float64[Tensor, " levels"]:
        """Loss at each noise level."""
        return self.items.mean(0)

    @property
    def standard_error(self) -> Float64[Tensor, " levels"]:
        """Of the mean, over items: infinity for a single item."""
        n = len(self.items)
        return self.items.std(0) / math.sqrt(n) if n > 1 else torch.full_like(self.mean, math.inf)

    @property
    def levels(self) -> tuple[Mean, ...]:
        """Loss at each noise level with its standard error."""
        pairs = zip(self.mean.tolist(), self.standard_error.tolist(), strict=True)
        return tuple(Mean(value, error, len(self.items)) for value, error in pairs)


def denoising_losses(
    model: Model | Denoiser,
    data: Items,
    *,
    schedule: Schedule | None = None,
    indices: Sequence[int],
    repeats: int = 4,
    seed: int = 0,
    prediction: Prediction | None = None,
    batch_size: int = 512,
) -> DenoisingLosses:
    """Measure the denoising loss of every item at each noise level, on fixed noise, in eval mode.

    Args:
        model: network `model(x, index)` on the device of `data`, a function around one, or a Denoiser; each
            module that is found behind it (see `eval_mode.eval_mode`) gets its mode back.
        data: items, [n, *item]: floats, on the scale that the model was trained on.
        schedule: the noise schedule; None for that of a Denoiser.
        indices: grid positions to measure at.
        repeats: draws of noise per item.
        seed: of the noise.
        prediction: what the model puts out, by default the noise; a Denoiser knows.
        batch_size: items per call of the model; it does not change the noise.

    Raises:
        InputError: if there is no data, level, repeat or batch, the data are no finite floats, or an index is
            outside the schedule.

    Source: [bonnaire2025] Eqs. (4)-(5)
    """
    denoiser = as_denoiser(model, schedule, prediction)
    _check_options(repeats, batch_size, seed)
    check_indices(indices, denoiser.schedule)
    items = _checked(data)
    first = 0
    losses = []
    with eval_mode(model):
        for x0 in items.split(int(batch_size)):
            positions = range(first, first + len(x0))
            noises = (fixed_noise(x0.shape[1:], positions, repeat=k, seed=seed) for k in range(repeats))
            losses.append(sum(_losses_at(denoiser, x0, noise.to(x0), indices) for noise in noises))
            first += len(x0)
    return DenoisingLosses(tuple(indices), torch.cat(losses) / repeats)


def _check_options(repeats: object, batch_size: object, seed: object) -> None:
    check_whole("repeats", repeats, least=1)
    check_whole("batch_size", batch_size, least=1)
    check_whole("seed", seed, least=0)


def _losses_at(
    denoiser: Denoiser, x0: Tensor, noise: Tensor, indices: Sequence[int]
) -> Float64[Tensor, "batch levels"]:
    """Loss of each item at each level, on this noise."""
    return torch.stack([_losses_at_level(denoiser, x0, noise, level) for level in indices], 1)


def _losses_at_level(denoiser: Denoiser, x0: Tensor, noise: Tensor, level: int) -> Float64[Tensor, " batch"]:
    index = torch.full((len(x0),), level, device=x0.device)
    losses = denoiser.item_losses(x0, noise, denoiser.schedule.at(index))
    return losses.cpu().double()


def loss_gap(train: DenoisingLosses, holdout: DenoisingLosses) -> tuple[Mean, ...]:
    """Give held-out minus training loss at each noise level, with the standard error of the difference.

    The two sets hold different items with independent noise, so the variances add.

    Raises:
        InputError: if the two were measured at different noise levels.
    """
    _check_one_grid(train.indices, holdout.indices)
    difference = holdout.mean - train.mean
    error = torch.hypot(holdout.standard_error, train.standard_error)
    count = min(len(train.items), len(holdout.items))
    return tuple(Mean(float(d), float(e), count) for d, e in zip(difference, error, strict=True))


def _check_one_grid(indices: tuple[int, ...], others: tuple[int, ...]) -> None:
    if indices != others:
        raise InputError(f"train, holdout: expected the same noise levels, got {indices} and {others}")


def fixed_noise(
    item_shape: Sequence[int], positions: Sequence[int], *, repeat: int = 0, seed: int = 0
) -> Float[Tensor, " batch *item"]:
    """Draw unit noise that depends on (seed, position, repeat) only, on the CPU: equal on every machine.

    Every snapshot asks for the same noise: what is small is kept, for a generator for each item takes longer
    than the calls of a small network.
    """
    shape = tuple(item_shape)
    if len(positions) * math.prod(shape) > _MOST_KEPT:
        return torch.from_numpy(_noise(shape, positions, repeat, seed))
    return torch.from_numpy(_kept_noise(shape, tuple(positions), repeat, seed).copy())


def _noise(
    shape: tuple[int, ...], positions: Sequence[int], repeat: int, seed: int
) -> Float[np.ndarray, " batch *item"]:
    generators = (np.random.default_rng((seed, position, repeat)) for position in positions)
    return np.stack([each.standard_normal(shape, dtype=np.float32) for each in generators])


_MOST_KEPT = 2**18  # numbers: 1 MiB
_kept_noise = lru_cache(maxsize=32)(_noise)


def check_indices(indices: object, schedule: Schedule) -> None:
    """Refuse what are no levels of a schedule.

    Raises:
        InputError: if there is none, or one is no whole number within the schedule.
    """
    if not isinstance(indices, Collection) or len(indices) == 0:
        raise InputError(f"indices: expected at least one level, got {indices!r}")
    for index in indices:
        check_whole("indices", index, least=0, most=len(schedule) - 1)


def _checked(data: Items) -> Tensor:
    items = as_items(data, "data")
    if not items.is_floating_point() or not bool(torch.isfinite(items).all()):
        raise InputError(f"data: expected finite floats, got {items.dtype} of shape {tuple(items.shape)}")
    return items
