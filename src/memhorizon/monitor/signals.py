"""The cheap signals: losses on fixed items and noise, and the stable rank of the weights.

| signal | meaning | weakness |
|---|---|---|
| held-out loss | how well it denoises images that it has not seen | its minimum says nothing of copies |
| loss gap | how much better it denoises images that it has seen | opens long before copies; not copying |
| training loss | how well it fits what it has seen | falls all the time; differs with the noise schedule |
| stable rank | how many directions the weights use | drifts with every optimizer; no scale to read it on |

Losses are taken at nine quantiles of the noise levels, on noise that never changes, in eval mode. The same
noise is given to training item i and to held-out item i, so that most of what the noise contributes drops out
of the gap; and to every look, so that it drops out of differences along the training.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from memhorizon.denoiser import Denoiser
from memhorizon.measure.losses import fixed_noise
from memhorizon.records.monitor import LevelLoss
from memhorizon.schedule import Schedule

QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
ITERATIONS = 20  # of the power method
MATRICES = 64  # whose stable rank is averaged, the largest


def level_indices(schedule: Schedule) -> tuple[int, ...]:
    """Give the positions of the nine quantiles of the noise levels in a schedule.

    >>> level_indices(Schedule.linear())
    (100, 200, 300, 400, 500, 599, 699, 799, 899)
    """
    last = len(schedule) - 1
    return tuple(round(q * last) for q in QUANTILES)


@dataclass(frozen=True, eq=False)
class Probe:
    """Fixed items with fixed noise.

    Attributes:
        train: training items. [p, *item]
        holdout: held-out items; none where there are none. [q, *item]
        noise: one draw for each row. [max(p, q), *item]
        train_of: number of the distinct item of each training row. [p]
        holdout_of: the same of the held-out rows. [q]
    """

    train: Float[Tensor, " p *item"]
    holdout: Float[Tensor, " q *item"]
    noise: Float[Tensor, " r *item"]
    train_of: Tensor
    holdout_of: Tensor

    @classmethod
    def of(cls, train: Tensor, holdout: Tensor | None, size: int, *, seed: int) -> "Probe":
        """Take `size` rows of either set; a smaller set is repeated with other noise.

        Args:
            train: training items.
            holdout: held-out items; None where there are none.
            size: rows of each set.
            seed: of the choice and of the noise.
        """
        generator = torch.Generator().manual_seed(seed)
        train_of = _rows(len(train), size, generator)
        n_holdout = 0 if holdout is None else len(holdout)
        holdout_of = _rows(n_holdout, size if n_holdout else 0, generator)
        rows = train[train_of].cpu().float()
        others = rows[:0] if holdout is None else holdout[holdout_of].cpu().float()
        noise = fixed_noise(train.shape[1:], range(size), seed=seed)
        return cls(rows, others, noise, train_of, holdout_of)

    @property
    def has_holdout(self) -> bool:
        """Whether there are held-out items."""
        return len(self.holdout) > 0

    def first(self, count: int) -> "Probe":
        """The first rows of either set."""
        rows = slice(count)
        return Probe(
            self.train[rows], self.holdout[rows], self.noise[rows], self.train_of[rows], self.holdout_of[rows]
        )

    @property
    def evaluations(self) -> int:
        """Items that the network sees in one look at the losses."""
        return len(QUANTILES) * (len(self.train) + len(self.holdout))


def _rows(n: int, size: int, generator: torch.Generator) -> Tensor:
    """Which item each row is: each one as often as any other, or one more."""
    if not n:
        return torch.zeros(0, dtype=torch.int64)
    order = torch.randperm(n, generator=generator)
    return order[torch.arange(size) % n]


@dataclass(frozen=True, eq=False)
class Losses:
    """Losses at the nine quantiles.

    Attributes:
        indices: of the levels.
        train: of each training row. [p, 9]
        holdout: of each held-out row. [q, 9]
        probe: the rows.
    """

    indices: tuple[int, ...]
    train: Float64[Tensor, "p levels"]
    holdout: Float64[Tensor, "q levels"]
    probe: Probe

    @property
    def train_loss(self) -> float:
        """Mean over rows and levels."""
        return float(self.train.mean())

    @property
    def holdout_loss(self) -> float:
        """Mean over rows and levels; NaN without held-out items."""
        return float(self.holdout.mean()) if len(self.holdout) else math.nan

    @property
    def holdout_rows(self) -> Float64[Tensor, " q"]:
        """Mean over levels of each held-out row."""
        return self.holdout.mean(1)

    def gap(self) -> tuple[float, float]:
        """Give the gap as a share of the held-out loss, and its standard error."""
        if not len(self.holdout):
            return math.nan, math.nan
        value, error = _gap(self.train.mean(1), self.holdout.mean(1), self.probe)
        return float(value) / self.holdout_loss, float(error) / self.holdout_loss

    def levels(self) -> tuple[LevelLoss, ...]:
        """Give the losses and the gap at each level."""
        train = self.train.mean(0).tolist()
        if not len(self.holdout):
            return tuple(map(LevelLoss, QUANTILES, self.indices, train))
        holdout = self.holdout.mean(0).tolist()
        gaps, errors = _gap(self.train, self.holdout, self.probe)
        found = (train, holdout, gaps.tolist(), errors.tolist())
        return tuple(map(LevelLoss, QUANTILES, self.indices, *found))


def _gap(train: Tensor, holdout: Tensor, probe: Probe) -> tuple[Tensor, Tensor]:
    """The mean held-out minus the mean training loss over rows, with its standard error.

    Where no item is there twice the rows of one noise are pairs. Otherwise the rows of an item are averaged
    and the variances of the two sets add.
    """
    value = holdout.mean(0) - train.mean(0)
    if not (_repeats(probe.train_of) or _repeats(probe.holdout_of)) and len(train) == len(holdout):
        # d_i = l_i(held out) - l_i(trained on), on the same noise
        return value, _error(holdout - train)
    errors = (_error(_by_item(train, probe.train_of)), _error(_by_item(holdout, probe.holdout_of)))
    return value, torch.hypot(*errors)


def rise(rows: Float64[Tensor, " q"], lowest: Float64[Tensor, " q"], probe: Probe) -> tuple[float, float]:
    """Give the rise of the held-out loss over an earlier one, as a share of it, and its standard error.

    Paired over items and noise: d_i = l_i(now) - l_i(then).

    Args:
        rows: held-out loss of each row now.
        lowest: the same at the earlier look.
        probe: the rows.
    """
    scale = float(lowest.mean())
    difference = _by_item(rows - lowest, probe.holdout_of)
    return float(difference.mean()) / scale, float(_error(difference)) / scale


def _repeats(item_of: Tensor) -> bool:
    return len(torch.unique(item_of)) < len(item_of)


def _by_item(values: Tensor, item_of: Tensor) -> Tensor:
    """The mean over the rows of each item."""
    _, place = torch.unique(item_of, return_inverse=True)
    counts = place.bincount()
    sums = values.new_zeros(len(counts), *values.shape[1:]).index_add_(0, place, values)
    return sums / counts.reshape(-1, *(1,) * (values.ndim - 1))


def _error(values: Tensor) -> Tensor:
    """Standard error of the mean of independent values, along the first axis."""
    n = len(values)
    return values.std(0) / math.sqrt(n) if n > 1 else torch.full_like(values[0], math.inf)


def measure_losses(denoiser: Denoiser, probe: Probe, *, device: torch.device, batch_size: int) -> Losses:
    """Measure the losses of a probe; the mode of the network and gradients are the caller's.

    Args:
        denoiser: the network.
        probe: what is measured on.
        device: of the network.
        batch_size: items per call; it does not change the noise.

    Source: [bonnaire2025] Eqs. (4)-(5)
    """
    indices = level_indices(denoiser.schedule)
    sizes = [len(probe.train), len(probe.holdout)]
    items = torch.cat([probe.train, probe.holdout])
    noise = torch.cat([probe.noise[:size] for size in sizes])
    train, holdout = _losses(denoiser, items, noise, indices, device, batch_size).split(sizes)
    return Losses(indices, train, holdout, probe)


def _losses(
    denoiser: Denoiser,
    items: Tensor,
    noise: Tensor,
    indices: Sequence[int],
    device: torch.device,
    batch_size: int,
) -> Float64[Tensor, "n levels"]:
    """The loss of each item at each level, all pairs of an item and a level in batches."""
    levels = torch.tensor(indices)
    pairs = torch.arange(len(items) * len(levels))
    parts = [torch.zeros(0, dtype=torch.float64)]
    for some in pairs.split(batch_size):
        row = some // len(levels)
        alpha_bar = denoiser.schedule.at(levels[some % len(levels)])
        x0 = items[row].to(device)
        losses = denoiser.item_losses(x0, noise[row].to(device), alpha_bar)
        parts.append(losses.cpu().double())
    return torch.cat(parts).reshape(len(items), len(levels))


def stable_rank(networks: Sequence[nn.Module]) -> float:
    """Give the stable rank |W|_F^2 / |W|_2^2, mean over the largest weight matrices; NaN where there is none.

    The spectral norm comes from the power method, from below, so the rank from above. A kernel of a
    convolution is a matrix of its outputs against all else.

    Source: [rudelson2007] Sec. 1
    """
    weights = [
        weight.detach().flatten(1)
        for network in networks
        for weight in network.parameters()
        if weight.ndim > 1 and min(weight.shape[0], weight[0].numel()) > 1
    ]
    weights.sort(key=lambda weight: -weight.numel())
    ranks = [_stable_rank(weight) for weight in weights[:MATRICES]]
    return sum(ranks) / len(ranks) if ranks else math.nan


def _stable_rank(weight: Float[Tensor, "a b"]) -> float:
    matrix = weight.float()
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(matrix.shape[1], generator=generator).to(matrix.device)
    for _ in range(ITERATIONS):
        # v <- W'W v / |W'W v|
        v = matrix.T @ (matrix @ v)
        v = v / v.norm().clamp_min(1e-30)
    squared = float((matrix @ v).square().sum())
    return float(matrix.square().sum()) / squared if squared > 0 else math.nan
