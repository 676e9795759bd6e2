"""Overfitting by likelihood: Gaussians around the samples, as wide as the training items ask for.

The density of the samples is a mixture of one Gaussian N(y_j, s_j) per sample, all of one weight; the
variances s_j maximize the likelihood of the training items. A sample that copies a training item gets a
variance near 0, and gives the held-out items nothing.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import SupportsIndex

import torch
from jaxtyping import Float64, Shaped
from torch import Tensor

from memhorizon.devices import wide
from memhorizon.errors import InputError
from memhorizon.measure.features import Features
from memhorizon.measure.items import Items
from memhorizon.measure.means import Mean
from memhorizon.measure.neighbors import nearest_of
from memhorizon.metrics.measurement import Measurement
from memhorizon.metrics.sets import BATCH, Sets, sets_of
from memhorizon.results import NORMAL_95, Estimate, Fraction

_FEWEST = 4  # held-out items: two in each half
_ROUNDS = 100  # of the fit
_GAIN = 1e-6  # in log-likelihood per dimension: with less it is finished
_SMALLEST = 1e-8  # variance, in units of that of the held-out items; rounding of distances lies far below
_LARGEST = 1e8
_TILE = 1 << 21  # entries of the matrix of distances worked on at a time: 16 MB
_KEPT = 1 << 25  # entries kept from round to round: 256 MB; of larger matrices the tiles are made again


def fls_overfit(
    samples: Items,
    train: Items,
    *,
    holdout: Items | None = None,
    features: Features = None,
    batch_size: SupportsIndex = BATCH,
    same_units: bool = False,
) -> Measurement:
    """Give the share of samples whose Gaussian has more likelihood on training items than on held-out ones.

    Compared are the mean likelihoods over all items of the two sets. (Published in percent and minus 50, over
    equally many items of both: of a larger training set the rest is left out, and with it its copies.) What
    honest samples have depends on how many items there are. The null has the same proportions: the held-out
    items of even position as samples, those of odd position as held out, half of the training items.

    Args:
        samples: generated items, [m, *item]: tensor, array, path or ImageSet.
        train: training items, [n, *item].
        holdout: held-out items, [h, *item], at least 4; features are standardized by them.
        features: what the densities are over, by default the items' entries.
        batch_size: items per call of `features`.
        same_units: vouch that all sets have one unit (see `nearest`).

    Returns:
        A `Fraction` of the samples, whose interval holds for these training and held-out items; `per_sample`
        is the difference of the logarithms of the two means.

    Raises:
        InputError: if there are fewer than 4 held-out items, or items or features cannot be used.

    Source: [jiralerspong2023] Sec. 3
    """
    sets = _with_holdout(
        sets_of(samples, train, holdout, features=features, batch_size=batch_size, same_units=same_units)
    )
    difference, note = _differences(sets)
    null = _share_above_0(_differences(_halved(sets))[0])
    value = _share_above_0(difference)
    return sets.measurement("fls_overfit", value, null, null_rule=_HALVES, per_sample=difference, note=note)


def generalization_gap(
    samples: Items,
    train: Items,
    *,
    holdout: Items | None = None,
    features: Features = None,
    batch_size: SupportsIndex = BATCH,
    same_units: bool = False,
) -> Measurement:
    """Give how much more likely the training items are than the held-out ones, below 0 where samples overfit.

    100 / d times the mean log-likelihood of the held-out items minus that of the training items, under the
    Gaussians around the samples: the difference of two feature likelihood divergences, FLD(train) -
    FLD(holdout). Arguments and errors as for `fls_overfit`.

    Returns:
        An `Estimate` with the normal interval of a difference of two means, for these samples. Since the
        variances are fitted to the training items, honest samples are a little below 0, too: see the null.

    Source: [jiralerspong2023] Sec. 3
    """
    sets = _with_holdout(
        sets_of(samples, train, holdout, features=features, batch_size=batch_size, same_units=same_units)
    )
    value, note = _gap(sets)
    null, _ = _gap(_halved(sets))
    return sets.measurement("generalization_gap", value, null, null_rule=_HALVES, note=note)


_HALVES = "half of the held-out items in place of samples, against the other half and half of the training"


@dataclass(frozen=True)
class _Real:
    """Training and held-out items, standardized."""

    train: Float64[Tensor, "n d"]
    holdout: Float64[Tensor, "h d"]


@dataclass(frozen=True)
class _Mixture:
    """Gaussians around samples.

    Attributes:
        center: the samples. [m, d]
        variance: of each Gaussian, in every direction. [m]
        note: whether the fit had finished.
    """

    center: Float64[Tensor, "m d"]
    variance: Float64[Tensor, " m"]
    note: str = ""

    @property
    def dim(self) -> int:
        return self.center.shape[1]

    def log_density(self, squared: Float64[Tensor, "r m"]) -> Float64[Tensor, "r m"]:
        """Log N(x_i; y_j, s_j) from squared distances."""
        # -|x - y|^2 / 2s - d/2 log 2 pi s
        return -squared / (2 * self.variance) - self.dim / 2 * (2 * math.pi * self.variance).log()

    def log_likelihood(self, x: Float64[Tensor, "r d"]) -> Float64[Tensor, " r"]:
        """Log (1/m) sum_j N(x_i; y_j, s_j) of every row."""
        parts = [self.log_density(tile).logsumexp(1) for tile in _Distances(x, self.center)]
        return torch.cat(parts) - math.log(len(self.center))

    def log_means(self, x: Float64[Tensor, "r d"]) -> Float64[Tensor, " m"]:
        """Log (1/r) sum_i N(x_i; y_j, s_j) of every Gaussian."""
        parts = [self.log_density(tile).logsumexp(0) for tile in _Distances(x, self.center)]
        return torch.stack(parts).logsumexp(0) - math.log(len(x))


class _Distances:
    """Squared distances between rows and centers, by tiles of rows; kept where there is room."""

    def __init__(self, x: Float64[Tensor, "r d"], center: Float64[Tensor, "m d"]) -> None:
        self.x = x
        self.center = center
        self.lengths = center.square().sum(1)
        self.kept: list[Tensor] = []

    def __iter__(self) -> Iterator[Tensor]:
        if self.kept:
            yield from self.kept
            return
        has_room = len(self.x) * len(self.center) <= _KEPT
        for rows in self.x.split(max(1, _TILE // len(self.center))):
            tile = self._tile(rows)
            if has_room:
                self.kept.append(tile)
            yield tile

    def _tile(self, rows: Float64[Tensor, "r d"]) -> Float64[Tensor, "r m"]:
        # |x - y|^2 = |x|^2 - 2 x.y + |y|^2
        product = torch.addmm(self.lengths, rows, self.center.T, alpha=-2)
        return (product + rows.square().sum(1, keepdim=True)).clamp(min=0)


def _with_holdout(sets: Sets) -> Sets:
    """The sets, if there are held-out items enough for two halves with a spread."""
    if len(sets.held) < _FEWEST:
        raise InputError(f"holdout: expected at least {_FEWEST} items, got {len(sets.held)}")
    return sets


def _fitted(sets: Sets) -> tuple[_Mixture, _Real]:
    """The mixture around the samples, fitted to the training items, in features of variance 1."""
    holdout = wide(sets.held)
    mean = holdout.mean(0)
    spread = holdout.std(0)
    spread = spread.where(spread > 0, 1.0)  # what does not vary is not scaled
    samples, train = ((wide(rows) - mean) / spread for rows in (sets.samples, sets.train))
    return _fit(samples, train), _Real(train, (holdout - mean) / spread)


def _fit(center: Float64[Tensor, "m d"], x: Float64[Tensor, "n d"]) -> _Mixture:
    """Maximize the likelihood of x over the variances, by expectation and maximization.

    Each round makes it larger; at the start every Gaussian has the variance that its nearest item asks for.
    """
    dim = center.shape[1]
    nearest = nearest_of(center, x, 1)[0][:, 0].double()
    mixture = _Mixture(center, (nearest.square() / dim).clamp(_SMALLEST, _LARGEST))
    distances = _Distances(x, center)
    before = -math.inf
    for _ in range(_ROUNDS):
        variance, likelihood = _round(mixture, distances)
        if likelihood - before < _GAIN * dim * len(x):
            return mixture
        before = likelihood
        mixture = _Mixture(center, variance)
    return _Mixture(center, mixture.variance, f"the fit was stopped after {_ROUNDS} rounds")


def _round(mixture: _Mixture, distances: _Distances) -> tuple[Float64[Tensor, " m"], float]:
    """Give the next variances, and the log-likelihood at these ones (up to a constant).

    r_ij = N(x_i; y_j, s_j) / sum_j N(x_i; y_j, s_j),  s_j = sum_i r_ij |x_i - y_j|^2 / (d sum_i r_ij)
    """
    weight = torch.zeros_like(mixture.variance)
    moment = torch.zeros_like(mixture.variance)
    likelihood = 0.0
    for squared in distances:
        log_density = mixture.log_density(squared)
        total = log_density.logsumexp(1, keepdim=True)
        r = (log_density - total).exp()
        weight += r.sum(0)
        moment += (r * squared).sum(0)
        likelihood += float(total.sum())
    return _variances(weight, moment / mixture.dim, mixture.variance), likelihood


def _variances(
    weight: Float64[Tensor, " m"], moment: Float64[Tensor, " m"], before: Float64[Tensor, " m"]
) -> Float64[Tensor, " m"]:
    """Moment over weight; a Gaussian that has no item keeps its variance."""
    has_items = weight > torch.finfo(weight.dtype).tiny
    variance = moment / weight.where(has_items, 1.0)
    return variance.where(has_items, before).clamp(_SMALLEST, _LARGEST)


def _halved(sets: Sets) -> Sets:
    """Held-out items of even position as samples, against those of odd position and half of train."""
    return Sets(sets.held[::2], sets.train[::2], sets.held[1::2])


def _differences(sets: Sets) -> tuple[Float64[Tensor, " m"], str]:
    """Log mean likelihood of each Gaussian on training items minus that on held-out items; and the note."""
    mixture, real = _fitted(sets)
    return mixture.log_means(real.train) - mixture.log_means(real.holdout), mixture.note


def _share_above_0(difference: Shaped[Tensor, " m"]) -> Fraction:
    return Fraction.of(int((difference > 0).sum()), len(difference))


def _gap(sets: Sets) -> tuple[Estimate, str]:
    """100 / d (mean log-likelihood of the held-out items - that of the training items); and the note."""
    mixture, real = _fitted(sets)
    train = Mean.of(mixture.log_likelihood(real.train))
    holdout = Mean.of(mixture.log_likelihood(real.holdout))
    scale = 100 / mixture.dim
    value = scale * (holdout.value - train.value)
    half = scale * NORMAL_95 * math.hypot(holdout.standard_error, train.standard_error)
    return Estimate(value, value - half, value + half), mixture.note
