"""Samplers: DDPM, DDIM, Heun and DPM-Solver++ as generators over steps, with one seed per sample.

All run over indices of one table, then to noise zero, without clipping. They equal diffusers' schedulers on
the same indices and noise, without clipping there too. Models are asked at integer indices only.

Every sampler starts from pure noise, while the level that it starts at still holds the data times
s = sqrt(alpha_bar). What that costs is known for data with mean m and variance v in some direction: with the
exact model and many steps DDIM and Heun end at
    mean m (1 - s sqrt(r)), variance r = v / (1 - s^2 + s^2 v),
m s standard deviations short, and DDPM, whose steps forget the start, at mean m (1 - s^2 r). A start with s
up to MOST_SIGNAL = 0.03 counts as noise: of data with m near 1, as pixels and centred pixels are, the mean
then moves by no more than half of what a 95 % interval from 1,000 samples leaves open,
1.96/sqrt(1000) = 0.062 standard deviations. Nor is the noisiest level always the best start: the error of a
network enters the samples times sigma = sqrt(1/alpha_bar - 1), so the last few levels, which hold nothing of
the data, can cost more than they bring (measured: dev/LOG.md, 2026-11-25).

A step from signal s to s' = G s turns a rounding of the noise, 2^-24 in float32, into G times as much: signal
and noise are told apart by a difference of numbers of size 1/s. A step of Heun does so twice, G^2/2 times.
DDPM and DDIM take a G up to 2^20, Heun one up to 2^12, which leaves 2^-4 and 1/2 of a standard deviation.
DPM-Solver++ corrects the estimate of the data by its last change times h'/(2 h), h and h' the last step and
this one in log(signal/noise); that is at most 3 or so on its indices, so it takes up to 2^18.
"""

import math
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from memhorizon.checks import check_choice, check_whole
from memhorizon.denoiser import Denoiser, as_denoiser
from memhorizon.devices import device_of
from memhorizon.diffusion import Model, Prediction, to_noise, to_x0
from memhorizon.errors import InputError
from memhorizon.eval_mode import device_of_model, eval_mode
from memhorizon.schedule import Schedule

Method = Literal["ddpm", "ddim", "heun", "dpm++"]


@dataclass(frozen=True)
class SamplerConfig:
    """How samples are generated.

    Attributes:
        method: "ddpm" (ancestral), "ddim" (eta = 0), "heun" (second order, two calls per step) or "dpm++"
            (DPM-Solver++, second order, multistep, one call per step).
        n_solver_steps: number of steps from noise to sample.
    """

    method: Method = "ddim"
    n_solver_steps: int = 50

    def __post_init__(self) -> None:
        check_choice("method", self.method, get_args(Method))
        check_whole("n_solver_steps", self.n_solver_steps, least=1)

    @property
    def n_evaluations(self) -> int:
        """How often the network is asked for each sample; the last step of Heun asks once.

        >>> SamplerConfig("heun", 10).n_evaluations, SamplerConfig("dpm++", 10).n_evaluations
        (19, 10)
        """
        return 2 * self.n_solver_steps - 1 if self.method == "heun" else self.n_solver_steps


MOST_SIGNAL = 0.03  # sqrt(alpha_bar) of the level that a sampler starts at, see above
LITTLE_SIGNAL = 0.01  # the same where a sampler may choose its levels: the mean moves by no more than this
DEFAULT = SamplerConfig()
LEAST_SIGNAL = 2.0**-100  # of the same level: float32, from 2^-126 to 2^128, holds it and sigma times noise
MOST_GAIN = {
    "ddpm": 2.0**20,
    "ddim": 2.0**20,
    "heun": 2.0**12,
    "dpm++": 2.0**18,
}  # of signal in one step, see above
_NOISE_BLOCK = 2**14  # numbers that a sample's generator draws at a time; with 500 samples 33 MB


def visited_indices(schedule: Schedule, n_solver_steps: int, method: Method = "ddim") -> list[int]:
    """Give the indices at which a sampler of `n_solver_steps` steps asks the model, from noisy to clean.

    Every (T // n_solver_steps)-th index, the last one 1 (the paper never trains index 0), where the first of
    these is noise enough to start from; where it is not, evenly from T - 1 down to 1, rounded. Those of
    "dpm++" are even in log(signal/noise) instead ("logSNR" in its authors' code), from the first index that
    holds at most LITTLE_SIGNAL of the data: with indices evenly apart its last steps are so long that it
    overshoots towards training items, and half as many copies again are counted (dev/LOG.md, 2026-11-26). For
    n_solver_steps = T all of them, down to 0; a single step starts at T - 1.

    Raises:
        InputError: if `n_solver_steps` is not within 1..T.

    >>> visited_indices(Schedule.linear(), 10)
    [901, 801, 701, 601, 501, 401, 301, 201, 101, 1]
    >>> visited_indices(Schedule.linear(), 4)  # 751 would hold too much of the data
    [999, 666, 334, 1]
    >>> visited_indices(Schedule.linear(), 10, "dpm++")
    [954, 846, 723, 576, 396, 206, 82, 28, 8, 1]
    """
    check_whole("n_solver_steps", n_solver_steps)
    levels = len(schedule)
    if not 1 <= n_solver_steps <= levels:
        raise InputError(
            f"n_solver_steps: expected 1 to {levels} (the schedule's length), got {n_solver_steps}"
        )
    if n_solver_steps == levels:
        return list(range(levels - 1, -1, -1))
    if method == "dpm++" and n_solver_steps > 1:
        return _evenly_in_log_snr(schedule, n_solver_steps)
    stride = levels // n_solver_steps
    first = 1 + (n_solver_steps - 1) * stride
    if _signal(schedule, first) <= MOST_SIGNAL:
        return list(range(first, 0, -stride))
    return _evenly(levels - 1, n_solver_steps)


def _evenly(last: int, count: int) -> list[int]:
    """So many indices from `last` down to 1, index k the rounded last - k (last - 1)/(count - 1)."""
    if count == 1:
        return [last]
    # last - 1 >= count - 1: no two round to the same
    return [last - _rounded(k * (last - 1), count - 1) for k in range(count)]


def _evenly_in_log_snr(schedule: Schedule, count: int) -> list[int]:
    """So many indices down to 1, each the nearest to its place in log(signal/noise), none of them twice."""
    levels = schedule.alpha_bar[1:].tolist()  # of the indices from 1 on
    log_snr = [_log_snr(level) for level in levels]
    noisy = (index for index, level in enumerate(levels, 1) if math.sqrt(level) <= LITTLE_SIGNAL)
    first = max(next(noisy, len(levels)), count)
    step = (log_snr[0] - log_snr[first - 1]) / (count - 1)
    places = np.array([log_snr[first - 1] + k * step for k in range(count)])
    nearest = np.abs(np.array(log_snr) - places[:, None]).argmin(axis=1) + 1
    indices: list[int] = [first]
    for k in range(1, count):
        # count - k indices are needed from this one down to 1
        indices.append(min(max(int(nearest[k]), count - k), indices[-1] - 1))
    return indices


def _signal(schedule: Schedule, index: int) -> float:
    """How much of the data a level holds: sqrt(alpha_bar)."""
    return math.sqrt(float(schedule.at(index)))


def _rounded(numerator: int, denominator: int) -> int:
    """The nearest whole number to a quotient, halves upwards; exact, unlike a quotient of floats."""
    return (2 * numerator + denominator) // (2 * denominator)


def check_last_level(schedule: Schedule) -> None:
    """Refuse a schedule that a start from pure noise does not fit (see the module).

    Raises:
        InputError: if sqrt(alpha_bar) of the last level is above MOST_SIGNAL or below LEAST_SIGNAL.
    """
    signal = _signal(schedule, len(schedule) - 1)
    if signal < LEAST_SIGNAL:
        raise InputError(
            f"schedule: expected a last level with sqrt(alpha_bar) of at least {LEAST_SIGNAL:.3g}, got "
            f"{signal:.3g}: below it float32 holds no sample without its noise; leave out the last levels"
        )
    if signal > MOST_SIGNAL:
        raise InputError(
            f"schedule: expected a last level of (almost) pure noise, sqrt(alpha_bar) at most {MOST_SIGNAL}, "
            f"got {signal:.3g} at level {len(schedule) - 1} of {schedule.name!r}; samplers start from pure "
            "noise, so their samples would not be the model's: take more levels or a larger beta_end (for T "
            "levels of the linear schedule betas of 0.1/T and 20/T), or the cosine schedule"
        )


def _check_path(schedule: Schedule, levels: Sequence[float], method: Method) -> None:
    """Refuse steps across which rounding drowns the sample (see the module)."""
    gain, now = max((math.sqrt(after / now), now) for now, after in pairwise(levels))
    most = MOST_GAIN[method]
    if gain > most:
        raise InputError(
            f"schedule, n_solver_steps: expected sqrt(alpha_bar) to grow by at most {most:.3g} per step, got "
            f"{gain:.3g} from alpha_bar {now:.3g} of {schedule.name!r}: take more steps, or leave out "
            "the last levels"
        )


def sample_path(
    model: Model | Denoiser,
    item_shape: tuple[int, ...],
    *,
    schedule: Schedule | None = None,
    seeds: Sequence[int],
    sampler: SamplerConfig = DEFAULT,
    prediction: Prediction | None = None,
    device: torch.device | str | None = None,
) -> Iterator[Tensor]:
    """Generate samples step by step: one item per seed.

    All noise of sample i comes from one generator, seeded with seeds[i] on the CPU, so neither the
    other samples nor the device change it; all methods start a seed from the same noise. The model's mode is
    the caller's (see `sample`); no gradient is recorded.

    Args:
        model: called as model(x, index), or a Denoiser.
        item_shape: shape of one sample.
        schedule: the noise levels that the model was trained on. A Denoiser has its levels, which
            others may replace.
        seeds: one per sample, 0 to 2**32 - 1.
        sampler: by which method, in how many steps.
        prediction: what the model puts out, by default the noise; a Denoiser knows.
        device: where to sample; None: where the first parameter of the model's networks is, also of those
            behind a plain function (see `eval_mode.networks`).

    Returns:
        x after each step, one after the other [m, *item_shape]; the last one is the sample.

    Raises:
        InputError: if an argument is out of its range, the schedule's last level is not noisy enough or too
            noisy for float32, a step is too long for it, or the model's output is no tensor of the shape of
            its input.

    Source: [ho2020] Alg. 2; [song2021] Eq. (12); [karras2022] Alg. 1; [lu2022] Alg. 2
    """
    denoiser = as_denoiser(model, schedule, prediction)
    _check(item_shape, seeds, sampler)
    place = device_of_model(model) if device is None else device_of(device)
    levels = visited_levels(denoiser.schedule, sampler)
    return _path(denoiser, levels, sampler, _noise(item_shape, seeds, sampler.n_solver_steps, place))


def sample(
    model: Model | Denoiser,
    item_shape: tuple[int, ...],
    *,
    schedule: Schedule | None = None,
    seeds: Sequence[int],
    sampler: SamplerConfig = DEFAULT,
    prediction: Prediction | None = None,
    device: torch.device | str | None = None,
    batch_size: int = 500,
) -> Tensor:
    """Generate samples to the end, in batches, with the model in eval mode and without gradients.

    Arguments as in `sample_path`. In eval mode are all networks found behind `model`; one that draws random
    numbers nevertheless is warned about (see `eval_mode.eval_mode`). The batch size only bounds memory:
    everything outside the model is the same to the byte for any of them; the model's matrix products may
    round differently for another number of rows.

    Returns:
        The samples in the order of their seeds, on the sampling device. [m, *item_shape]

    Raises:
        InputError: as `sample_path`, and if `batch_size` is below 1.
    """
    check_whole("batch_size", batch_size, least=1)
    denoiser = as_denoiser(model, schedule, prediction)
    _check(item_shape, seeds, sampler)
    done = []
    with eval_mode(model):
        for start in range(0, len(seeds), batch_size):
            some = seeds[start : start + batch_size]
            path = sample_path(denoiser, item_shape, seeds=some, sampler=sampler, device=device)
            done += deque(path, maxlen=1)
    return torch.cat(done)


def visited_levels(schedule: Schedule, sampler: SamplerConfig) -> list[float]:
    """Give alpha_bar along the path of a sampler, from its start to 1, which is without noise.

    Raises:
        InputError: if the schedule has fewer levels than the sampler has steps, or its last level or the
            steps between levels are none that can be sampled (see the module).
    """
    check_last_level(schedule)
    indices = visited_indices(schedule, sampler.n_solver_steps, sampler.method)
    levels = [*schedule.alpha_bar[indices].tolist(), 1.0]
    _check_path(schedule, levels, sampler.method)
    return levels


def _path(
    denoiser: Denoiser, levels: list[float], sampler: SamplerConfig, noise: Iterator[Tensor]
) -> Iterator[Tensor]:
    """Take the steps; `noise` gives the start, then that of each step."""
    x = next(noise)  # [m, *item]
    last: _Estimate | None = None
    for now, after in pairwise(levels):
        x0, eps = _estimates(denoiser, x, now)
        x = x.to(x0.dtype)
        if sampler.method == "ddpm":
            x = _ddpm_step(x, x0, noise, now, after)
        elif sampler.method == "ddim" or after == 1:  # the last step of all others, to sigma = 0
            x = _ddim_step(x0, eps, after)
        elif sampler.method == "dpm++":
            x = _multistep(x, x0, last, now, after)
            last = _Estimate(x0, now)
        else:
            x = _heun_step(x, eps, denoiser, now, after)
        yield x


def _estimates(denoiser: Denoiser, x: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """E[x_0 | x] and E[noise | x] at alpha_bar = level, in the wider dtype of x and the model's output."""
    alpha_bar = torch.tensor([level], dtype=torch.float64)
    with torch.no_grad():
        output = denoiser.output(x, alpha_bar)
    x = x.to(torch.promote_types(x.dtype, output.dtype))
    x0 = to_x0(output, x, alpha_bar, denoiser.prediction)
    return x0, to_noise(output, x, alpha_bar, denoiser.prediction)


def _ddpm_step(x: Tensor, x0: Tensor, noise: Iterator[Tensor], now: float, after: float) -> Tensor:
    """Draw from the posterior q(x_after | x_now, x_0) with x_0 estimated; its variance ends at 0.

    Source: [ho2020] Eqs. (6), (7)
    """
    alpha = now / after
    # mean = sqrt(after) (1 - alpha)/(1 - now) x_0 + sqrt(alpha) (1 - after)/(1 - now) x
    toward_x0 = math.sqrt(after) * (1 - alpha) / (1 - now)
    toward_x = math.sqrt(alpha) * (1 - after) / (1 - now)
    mean = toward_x0 * x0 + toward_x * x
    # variance = (1 - after)/(1 - now) (1 - alpha)
    deviation = math.sqrt((1 - after) / (1 - now) * (1 - alpha))
    return mean + deviation * next(noise).to(mean.dtype)


def _ddim_step(x0: Tensor, eps: Tensor, after: float) -> Tensor:
    """Put the estimated noise back on the estimated x_0, at the next level.

    Source: [song2021] Eq. (12)
    """
    return math.sqrt(after) * x0 + math.sqrt(1 - after) * eps


class _Estimate(NamedTuple):
    """What a network has said of the data."""

    x0: Tensor  # [m, *item]
    level: float  # alpha_bar


def _multistep(x: Tensor, x0: Tensor, last: _Estimate | None, now: float, after: float) -> Tensor:
    """The exact solution for an estimate of x_0 that is linear in lambda, by this one and the last.

    The first step, without a last one, takes it as constant, which is the step of DDIM.

    Source: [lu2022] Alg. 2
    """
    h = _log_snr(after) - _log_snr(now)
    D = x0
    if last is not None:
        # D = x_0 + (x_0 - x_0,last)/(2 r), r = h_last/h
        D = x0 + (x0 - last.x0) * (h / (2 * (_log_snr(now) - _log_snr(last.level))))
    # x' = (sigma'/sigma) x + signal' (1 - e^-h) D
    return math.sqrt((1 - after) / (1 - now)) * x - math.sqrt(after) * math.expm1(-h) * D


def _log_snr(level: float) -> float:
    """Half of the log of the signal-to-noise ratio: log(signal/noise), at alpha_bar = level."""
    return 0.5 * (math.log(level) - math.log1p(-level))


def _heun_step(x: Tensor, eps: Tensor, denoiser: Denoiser, now: float, after: float) -> Tensor:
    """Trapezoid rule for dy/dsigma = eps in y = x/sqrt(alpha_bar).

    Source: [karras2022] Alg. 1
    """
    y = x / math.sqrt(now)
    # sigma' - sigma
    step = math.sqrt((1 - after) / after) - math.sqrt((1 - now) / now)
    trial = _estimates(denoiser, (y + step * eps) * math.sqrt(after), after)[1]
    # y' = y + (sigma' - sigma) (eps + eps')/2
    return (y + step * (eps + trial) / 2) * math.sqrt(after)


def _noise(
    item_shape: tuple[int, ...], seeds: Sequence[int], steps: int, device: torch.device
) -> Iterator[Tensor]:
    """The start, then the noise of each step, [m, *item_shape], drawn in blocks of steps to bound memory."""
    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    numel = math.prod(item_shape)
    for size in _blocks(steps, max(1, _NOISE_BLOCK // numel)):
        for noise in _drawn(generators, size, numel).to(device).unbind(1):
            yield noise.reshape(-1, *item_shape)


def _drawn(generators: Sequence[torch.Generator], size: int, numel: int) -> Tensor:
    """The noise of one block of steps, each sample's from its generator. [m, size, numel]."""
    drawn = torch.empty(len(generators), size, numel)
    for row, generator in zip(drawn, generators, strict=True):
        row.normal_(generator=generator)
    return drawn


def _blocks(steps: int, most: int) -> Iterator[int]:
    """One for the start, so that a solver that needs no more draws no more; then the steps in blocks."""
    yield 1
    for first in range(0, steps, most):
        yield min(most, steps - first)


def _check(item_shape: object, seeds: object, sampler: object) -> None:
    if not isinstance(sampler, SamplerConfig):
        raise InputError(f"sampler: expected a SamplerConfig, got {sampler!r}")
    _check_item_shape(item_shape)
    _check_seeds(seeds)


def _check_item_shape(item_shape: object) -> None:
    if not isinstance(item_shape, tuple | list) or not item_shape:
        raise InputError(f"item_shape: expected a tuple of at least one size, got {item_shape!r}")
    for size in item_shape:
        check_whole("item_shape", size, least=1)


def _check_seeds(seeds: object) -> None:
    if not isinstance(seeds, Collection) or isinstance(seeds, Mapping) or not hasattr(seeds, "__getitem__"):
        raise InputError(f"seeds: expected a sequence of integers, got {type(seeds).__name__}")
    if len(seeds) == 0:
        raise InputError("seeds: expected at least one, got none")
    if not all(hasattr(seed, "__index__") and 0 <= seed < 2**32 for seed in seeds):
        raise InputError(f"seeds: expected integers from 0 to 2**32 - 1, got {list(seeds)[:5]} ...")
