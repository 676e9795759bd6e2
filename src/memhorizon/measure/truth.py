"""How far a model is from the distribution of its data, where that is known."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from memhorizon.checks import check_whole
from memhorizon.denoiser import Denoiser, as_denoiser
from memhorizon.devices import wide
from memhorizon.diffusion import Model, Prediction, add_noise, to_score
from memhorizon.distributions import Distribution, Gaussian, GaussianMixture
from memhorizon.errors import InputError
from memhorizon.eval_mode import device_of_model, eval_mode
from memhorizon.measure.items import Items, as_items
from memhorizon.measure.losses import check_indices, fixed_noise
from memhorizon.measure.means import Mean, jackknife_error
from memhorizon.measure.neighbors import kth_among, nearest_of
from memhorizon.schedule import Schedule

_GROUPS = 20  # of points, left out in turn for the standard error
_SPARE = 8  # neighbours beyond 2k, to stand in for those left out


def score_error(
    model: Model | Denoiser,
    truth: Distribution,
    *,
    schedule: Schedule | None = None,
    indices: Sequence[int],
    item_shape: Sequence[int] | None = None,
    n: int = 4096,
    seed: int = 0,
    prediction: Prediction | None = None,
    batch_size: int = 1024,
) -> tuple[Mean, ...]:
    """Measure the error of the learned score, (1/d) E |s(x_t) - grad log P_t(x_t)|^2 with x_t drawn from P_t.

    The draws follow from the seed alone: the same at every snapshot and every noise level.

    Args:
        model: network `model(x, index)`, a function around one (see `eval_mode.eval_mode`), or a Denoiser;
            its networks lie on the device of the distribution, or the distribution on the CPU.
        truth: the distribution of the data, in the coordinates of the flattened items.
        schedule: the noise schedule; None for that of a Denoiser.
        indices: grid positions to measure at.
        item_shape: shape of the model's items; by default they are vectors.
        n: draws at each noise level.
        seed: of the draws.
        prediction: what the model puts out, by default the noise; a Denoiser knows.
        batch_size: items per call of the model.

    Returns:
        One mean with its Monte Carlo standard error per noise level.

    Raises:
        InputError: if `n` or `batch_size` is below 1, an index is outside the schedule, or the shape does
            not fit.

    Source: [bonnaire2025] Eq. (11)
    """
    denoiser = as_denoiser(model, schedule, prediction)
    shape = tuple(item_shape or (truth.dim,))
    check_whole("n", n, least=1)
    check_whole("batch_size", batch_size, least=1)
    check_indices(indices, denoiser.schedule)
    _check_item_shape(shape, truth.dim)
    clean, noise = _draws(truth, n, seed, device_of_model(model))
    means = []
    with eval_mode(model):
        for level in indices:
            alpha_bar = denoiser.schedule.at(torch.tensor([level], device=clean.device))
            parts = add_noise(clean, noise, alpha_bar).split(batch_size)
            errors = [_errors(denoiser, truth, x.reshape(-1, *shape), alpha_bar) for x in parts]
            means.append(Mean.of(torch.cat(errors)))
    return tuple(means)


def _check_item_shape(shape: tuple[int, ...], dim: int) -> None:
    if math.prod(shape) != dim:
        raise InputError(f"item_shape: expected {dim} entries in all, got {shape}")


def _draws(truth: Distribution, n: int, seed: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Items and unit noise, [n, d] each, on the device of the networks or else of the distribution."""
    clean = truth.sample(n, generator=torch.Generator().manual_seed(seed)).float()
    clean = clean.to(device) if device.type != "cpu" else clean
    return clean, fixed_noise(clean.shape[1:], range(n), seed=seed).to(clean)


def _errors(
    denoiser: Denoiser, truth: Distribution, x_t: Float[Tensor, " batch *item"], alpha_bar: Tensor
) -> Float64[Tensor, " batch"]:
    """(1/d) |s(x_t) - grad log P_t(x_t)|^2 of each point at one noise level, alpha_bar [1]."""
    output = wide(denoiser.output(x_t, alpha_bar).flatten(1))
    x = wide(x_t.flatten(1))
    learned = to_score(output, x, alpha_bar, denoiser.prediction)
    t = float(-0.5 * alpha_bar.log())
    return (learned - truth.score(x, t)).square().mean(1)


def kl_divergence(
    samples: Items,
    truth: Gaussian | GaussianMixture,
    *,
    k: int = 3,
    nulls: int = 4,
    seed: int = 0,
) -> Mean:
    """Estimate KL(P | truth) in nats from samples of P and a known density.

    KL = E_P[log P] - E_P[log truth]. The first term is the k-nearest-neighbour estimate of the negative
    entropy; its bias falls only as m^(-2/d) for m samples. The same estimate on `nulls` sets of m draws
    from `truth` itself, where KL is 0, measures that bias, which is subtracted: none is left where P is that
    distribution, and little where P is as rough. Samples that repeat exactly are atoms: the value is
    infinity, as KL then is.

    Args:
        samples: draws of P in the coordinates of the distribution, [m, dim].
        truth: with a density: a Gaussian or a mixture.
        k: which neighbour measures the local density.
        nulls: sets drawn from `truth` to measure the bias.
        seed: of these draws.

    Returns:
        The estimate and its standard error, that of the bias included. Near 0 it may be below 0.

    Raises:
        InputError: if there are not more than 2k finite samples of the dimension of `truth`, or k or nulls is
            below 1.

    Source: [kozachenko1987]; [kraskov2004] Eq. (20)
    """
    check_whole("k", k)
    check_whole("nulls", nulls, least=1)
    points = as_items(samples, "samples")
    _check_points(points, truth.dim, k)
    generator = torch.Generator().manual_seed(seed)
    raw = _raw_divergence(wide(points), truth, k)
    draws = (truth.sample(len(points), generator=generator) for _ in range(nulls))
    null = [_raw_divergence(draw, truth, k) for draw in draws]
    bias = sum(one.value for one in null) / nulls
    variance = sum(one.standard_error**2 for one in null) / nulls**2
    return Mean(raw.value - bias, math.sqrt(raw.standard_error**2 + variance), len(points))


def _check_points(points: Tensor, dim: int, k: int) -> None:
    if not _are_enough(points, dim, k):
        wanted = f"k >= 1 and more than 2k points of dimension {dim}"
        raise InputError(f"samples, k: expected {wanted}, got shape {tuple(points.shape)}, k = {k}")


def _are_enough(points: Tensor, dim: int, k: int) -> bool:
    return points.ndim == 2 and points.shape[1] == dim and 2 <= 2 * k < len(points)


def _raw_divergence(x: Float64[Tensor, "m d"], truth: Gaussian | GaussianMixture, k: int) -> Mean:
    """Average log p(x_i) - log truth(x_i), with p(x_i) from the distance to the k-th of the other points.

    The terms depend on each other through shared neighbours, so the error comes from leaving out groups of
    points.
    """
    m = len(x)
    distance, index = nearest_of(x, x, min(2 * k + _SPARE, m))
    radius = distance[:, 1:].log()  # the first neighbour is the point itself. [m, K]
    if bool(radius[:, k - 1].isinf().any()):
        return Mean(math.inf, math.inf, m)
    points = _Neighbourhoods(radius, index[:, 1:], truth.log_prob(x), x.shape[1], k)
    whole = points.divergence(torch.ones(m, dtype=torch.bool, device=x.device))
    return Mean(whole, points.error(), m)


@dataclass(frozen=True)
class _Neighbourhoods:
    """Points with their nearest other points.

    Attributes:
        radius: log distances to them. [m, K]
        index: their numbers. [m, K]
        log_truth: log density of the known distribution at the points. [m]
        dim: d.
        k: which of them measures the density.
    """

    radius: Float64[Tensor, "m K"]
    index: Int[Tensor, "m K"]
    log_truth: Float64[Tensor, " m"]
    dim: int
    k: int

    def error(self) -> float:
        """Standard error of the mean over all points, by leaving out each of a number of groups."""
        m = len(self.radius)
        group = torch.arange(m, device=self.radius.device) % min(_GROUPS, m)
        left_out = [self.divergence(group != g) for g in range(int(group.max()) + 1)]
        return jackknife_error(torch.tensor(left_out))

    def divergence(self, kept: Bool[Tensor, " m"]) -> float:
        """The mean over some points, with neighbours among the same.

        -log p(x_i) = log c_d + d log r_k(i) - psi(k) + psi(m),  c_d the volume of the unit ball.

        Source: [kraskov2004] Eq. (20)
        """
        log_unit_ball = self.dim / 2 * math.log(math.pi) - math.lgamma(self.dim / 2 + 1)
        column = kth_among(self.index[kept], kept, self.k)
        log_ball = log_unit_ball + self.dim * self.radius[kept].gather(1, column).mean()
        psi_k, psi_m = torch.tensor([self.k, int(kept.sum())]).double().digamma()
        return float(psi_k - psi_m - log_ball - self.log_truth[kept].mean())
