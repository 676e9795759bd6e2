import math
from itertools import pairwise

import pytest
import torch
from scipy import stats
from torch import nn

from memhorizon import samplers
from memhorizon.diffusion import ideal_model
from memhorizon.distributions import Empirical, Gaussian, GaussianMixture
from memhorizon.errors import InputError
from memhorizon.samplers import (
    LITTLE_SIGNAL,
    MOST_SIGNAL,
    SamplerConfig,
    sample,
    sample_path,
    visited_indices,
)
from memhorizon.schedule import Schedule
from typecheck import unchecked

METHODS = ("ddpm", "ddim", "heun", "dpm++")
PREDICTIONS = ("noise", "x0", "v")
LINEAR = Schedule.linear()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


MIX = torch.randn(32, 32, dtype=torch.float64, generator=generator()) / math.sqrt(32)


def nonlinear(x, index):
    """A smooth model that mixes coordinates and knows its index; it answers in float64."""
    y = x.flatten(1).double()
    return (0.6 * y + 0.4 * torch.tanh(y @ MIX + index[:, None] / 1000)).reshape(x.shape)


def elementwise(x, index):
    return 0.3 * x + 0.1 * x * x.abs() / (1 + x.abs()) + index.reshape(-1, 1, 1) * 1e-4


# ---- equality with diffusers


class Wide(torch.Tensor):
    """Stays in float64 where diffusers' DPM-Solver++ rounds samples to float32."""

    def to(self, *_, **__):
        return self


def diffusers_sample(method, schedule, steps, prediction, seeds, monkeypatch, exact=False):
    """Run diffusers' scheduler on our indices, if wanted on our table, with one generator per sample."""
    from diffusers import (
        DDIMScheduler,
        DDPMScheduler,
        DPMSolverMultistepScheduler,
        HeunDiscreteScheduler,
    )
    from diffusers.schedulers import scheduling_ddpm

    indices = visited_indices(schedule, steps, method)
    settings = {
        "prediction_type": {"noise": "epsilon", "x0": "sample", "v": "v_prediction"}[prediction],
        "num_train_timesteps": len(schedule),
    }
    if method == "heun":
        betas = {"beta_start": 1e-4, "beta_end": 2e-2, "beta_schedule": "linear"}  # its defaults differ
        scheduler = HeunDiscreteScheduler(timestep_spacing="leading", **betas, **settings)  # of the start
        scheduler.set_timesteps(timesteps=indices)
    elif method == "dpm++":  # of second order and "midpoint", their defaults
        scheduler = DPMSolverMultistepScheduler(**settings)
        scheduler.set_timesteps(timesteps=indices)
    elif method == "ddpm":
        scheduler = DDPMScheduler(clip_sample=False, **settings)
        scheduler.set_timesteps(timesteps=indices)
    else:  # DDIM goes down by len // num_inference_steps
        scheduler = DDIMScheduler(clip_sample=False, **settings)
        scheduler.set_timesteps(steps)
        stride = indices[0] - indices[1]
        scheduler.num_inference_steps = len(schedule) // stride
        assert len(schedule) // scheduler.num_inference_steps == stride
        scheduler.timesteps = torch.tensor(indices)
    assert list(dict.fromkeys(int(i) for i in scheduler.timesteps)) == indices
    if exact:
        scheduler.alphas_cumprod = schedule.alpha_bar
    if exact and method == "heun":
        sigma = torch.cat([schedule.sigma(torch.tensor(indices)), torch.zeros(1)])
        scheduler.sigmas = torch.cat([sigma[:1], sigma[1:-1].repeat_interleave(2), sigma[-1:]])
    if exact and method == "dpm++":
        scheduler.sigmas = torch.cat([schedule.sigma(torch.tensor(indices)), torch.zeros(1)])

    generators = [generator(seed) for seed in seeds]

    def draw(*_, **__):
        return torch.stack([torch.randn(2, 16, generator=g) for g in generators]).double()

    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", draw)
    x = (draw() * scheduler.init_noise_sigma).as_subclass(Wide)
    for index in scheduler.timesteps:
        output = nonlinear(scheduler.scale_model_input(x, index), torch.full((len(x),), int(index)))
        x = scheduler.step(output, index, x).prev_sample
    return x.as_subclass(torch.Tensor)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # theirs, with NumPy 2
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(
    ("levels", "steps"), [(1000, 10), (1000, 100), (1000, 1000), (998, 5)]
)  # the last one goes evenly from the last level; their DDIM needs one stride, which is 249 there
def test_equals_diffusers(method, prediction, levels, steps, monkeypatch):
    schedule, seeds = Schedule.linear(levels), (5, 2, 9)
    ours = sample(
        nonlinear,
        (2, 16),
        schedule=schedule,
        seeds=seeds,
        sampler=SamplerConfig(method, steps),
        prediction=prediction,
    )
    settings = (method, schedule, steps, prediction, seeds, monkeypatch)
    # As it comes, their table is rounded to float32, with a relative error of up to 1.3e-4 at index 999
    # (test_schedule.py); it enters once through each of the two amplitudes.
    theirs = diffusers_sample(*settings)
    assert float((ours - theirs).abs().max() / theirs.abs().max()) < 2 * 1.3e-4
    # On our table: some 10 float64 roundings per step, times up to sigma = 160 at index 999 (x0 of noise).
    # With DDPM they add 1e-10 of noise after a last step from index 1 (their variances stay above 1e-20).
    theirs = diffusers_sample(*settings, exact=True)
    tolerance = steps * 10 * 2**-53 * 160 + (6e-10 if method == "ddpm" else 0)
    assert float((ours - theirs).abs().max() / theirs.abs().max()) < tolerance


@pytest.mark.parametrize("method", METHODS)
def test_float32_differs_from_float64_by_rounding(method):
    def single(x, index):
        return nonlinear(x, index).float()

    wide, narrow = (
        sample(f, (2, 16), schedule=LINEAR, seeds=range(4), sampler=SamplerConfig(method, 50), prediction="v")
        for f in (nonlinear, single)
    )
    assert (wide.dtype, narrow.dtype) == (torch.float64, torch.float32)
    # As above, in float32 and without the factor 160: v-prediction never divides by a small amplitude, and
    # Heun goes to the sigma coordinate and back within one step.
    assert float((wide - narrow).abs().max() / wide.abs().max()) < 50 * 10 * 2**-24


# ---- one seed per sample


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("item", [(1, 3), (4, 8)])
def test_batches_and_neighbours_change_no_byte(method, item):
    seeds = [3, 141, 59, 26, 5]

    def run(seeds, batch_size):
        settings = {"schedule": LINEAR, "sampler": SamplerConfig(method, 20)}
        return sample(elementwise, item, seeds=seeds, batch_size=batch_size, **settings)

    together = run(seeds, 5)
    for batch_size in (1, 2, 500):
        assert torch.equal(run(seeds, batch_size), together)
    assert torch.equal(run(seeds[::-1], 2), together.flip(0))
    assert torch.equal(run([26], 1)[0], together[3])


@pytest.mark.parametrize("method", METHODS)
def test_a_network_rounds_differently_in_other_batches_but_no_more(method):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 32))

    def run(batch_size):
        def model(x, index):
            return net(x.flatten(1)).reshape(x.shape)

        settings = {"schedule": LINEAR, "sampler": SamplerConfig(method, 50), "prediction": "v"}
        return sample(model, (2, 16), seeds=range(16), batch_size=batch_size, **settings)

    together = run(16)
    # Sums of 64 float32 terms in another order, at every step; the net's slope is about 1.
    assert float((run(1) - together).abs().max() / together.abs().max()) < 50 * math.sqrt(64) * 2**-24


def recover_path(seeds, item, steps):
    """The standard noises of a DDPM path, read off with a model that always answers x_0 = 0."""
    settings = {"schedule": LINEAR, "sampler": SamplerConfig("ddpm", steps), "prediction": "x0"}
    path = torch.stack(list(sample_path(lambda x, index: x.double() * 0, item, seeds=seeds, **settings)))
    levels = LINEAR.alpha_bar[visited_indices(LINEAR, steps)].tolist()
    noises = []
    for k, (now, after) in enumerate(pairwise(levels)):
        if k:  # x_T itself is not yielded
            mean = math.sqrt(now / after) * (1 - after) / (1 - now) * path[k - 1]
            noises.append((path[k] - mean) / math.sqrt((1 - after) / (1 - now) * (1 - now / after)))
    return torch.stack(noises, dim=1)  # [m, steps - 2, *item]


def test_path_noise_is_standard_and_fresh_at_every_step_and_seed(monkeypatch):
    monkeypatch.setattr(samplers, "_NOISE_BLOCK", 320)  # blocks of ten steps
    noise = recover_path(range(40), (2, 16), 100)  # [40, 98, 2, 16]
    assert stats.kstest(noise.flatten().numpy(), "norm").pvalue > 1e-3
    flat = noise.flatten(2)
    # Any two seeds, any two steps: correlations of independent numbers, standard error 1/sqrt(how many).
    for rows in (flat.flatten(1), flat.transpose(0, 1).flatten(1)):
        correlation = torch.corrcoef(rows) - torch.eye(len(rows))
        pairs = len(rows) * (len(rows) - 1) / 2
        limit = stats.norm.isf(0.5e-3 / pairs) / math.sqrt(rows.shape[1])  # 1e-3 for all pairs together
        assert float(correlation.abs().max()) < limit


def test_path_noise_is_the_seeds_own_sequence():
    noise = recover_path([7, 8], (2, 16), 700)  # more steps than the 512 of one block
    for row, seed in zip(noise, (7, 8), strict=True):
        g = generator(seed)
        start, *rest = (torch.randn(2, 16, generator=g) for _ in range(700))
        # Division by the smallest standard deviation of a step, 0.007, of numbers up to 5 rounded in float64.
        torch.testing.assert_close(row, torch.stack(rest[1:]).double(), rtol=0.0, atol=20 * 5 * 2**-52 / 7e-3)


def test_methods_start_from_the_same_noise():
    first = [
        sample(lambda x, i: 0 * x, (3, 5), schedule=LINEAR, seeds=[4, 6], sampler=SamplerConfig(method, 1))
        for method in METHODS
    ]
    assert torch.equal(first[1], first[2])
    torch.testing.assert_close(first[0], first[1], rtol=4 * 2**-24, atol=0.0)


def test_many_consecutive_seeds_start_like_independent_normals():
    x = sample(
        lambda x, i: 0 * x,
        (16,),
        schedule=LINEAR,
        seeds=range(20_000),
        sampler=SamplerConfig(n_solver_steps=1),
    )
    x = x * math.sqrt(float(LINEAR.alpha_bar[-1]))
    assert stats.kstest(x.flatten().numpy(), "norm").pvalue > 1e-3
    neighbours = (x[1:] * x[:-1]).flatten()
    assert abs(float(neighbours.mean())) < 4 / math.sqrt(len(neighbours))


# ---- what is sampled


def gaussian(dim=3):
    eigenvalues = torch.tensor([4.0, 1.0, 0.05], dtype=torch.float64)[:dim]
    A = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64, generator=generator(1)))[0]
    mean = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)[:dim]
    return Gaussian(mean, (A * eigenvalues) @ A.mT)


def in_float64(model):
    return lambda x, index: model(x.double(), index)


def flow_error(method, steps):
    """Distance from the exact flow at the last index visited, before the step to zero noise.

    The probability flow of a Gaussian stretches each eigendirection: in y = x/sqrt(alpha_bar), y - mean goes
    as sqrt(eigenvalue + sigma^2).
    """
    law, indices = gaussian(), visited_indices(LINEAR, steps, method)
    settings = {"schedule": LINEAR, "seeds": range(20), "sampler": SamplerConfig(method, steps)}
    *_, x, _ = sample_path(in_float64(ideal_model(law, LINEAR)), (3,), **settings)
    start = torch.stack([torch.randn(3, generator=generator(seed)) for seed in range(20)]).double()
    lam, Q = torch.linalg.eigh(law.covariance)
    top, end = (float(LINEAR.sigma(i)) for i in (indices[0], indices[-1]))
    y = (start * math.sqrt(1 + top**2) - law.mean) @ Q * ((lam + end**2) / (lam + top**2)).sqrt()
    exact = (law.mean + y @ Q.mT) * math.sqrt(float(LINEAR.alpha_bar[indices[-1]]))
    return float((x - exact).norm() / exact.norm())


@pytest.mark.parametrize(("method", "order"), [("ddim", 1), ("heun", 2), ("dpm++", 2)])
def test_order_of_convergence(method, order):
    # Halving the stride from 8 to 4 indices. The next term of the expansion is smaller by about one step in
    # log sigma, 0.08 at stride 8, so the measured order is off by about that.
    assert math.log2(flow_error(method, 125) / flow_error(method, 250)) == pytest.approx(order, abs=0.15)


def test_ddpm_of_a_gaussian_has_the_variance_of_its_recursion():
    """With the exact denoiser each step is linear, so mean and variance follow a scalar recursion exactly."""
    law, m, steps = gaussian(), 20_000, 50
    x = sample(
        in_float64(ideal_model(law, LINEAR)),
        (3,),
        schedule=LINEAR,
        seeds=range(m),
        sampler=SamplerConfig("ddpm", steps),
        batch_size=m,
    )
    lam, Q = torch.linalg.eigh(law.covariance)
    mean, variance = torch.zeros(2, 3, dtype=torch.float64).add(torch.tensor([[0.0], [1.0]]))
    levels = [*LINEAR.alpha_bar[visited_indices(LINEAR, steps)].tolist(), 1.0]
    for now, after in pairwise(levels):
        gain = math.sqrt(now) * lam / (now * lam + 1 - now)  # x_0 = centre + gain (x - sqrt(now) centre)
        a = math.sqrt(after) * (1 - now / after) / (1 - now)
        b = math.sqrt(now / after) * (1 - after) / (1 - now)
        mean = (a * gain + b) * mean + a * (1 - gain * math.sqrt(now)) * (law.mean @ Q)
        variance = (a * gain + b).square() * variance + (1 - after) / (1 - now) * (1 - now / after)
    z = ((x @ Q) - mean) / variance.sqrt()
    assert bool((z.mean(0).abs() < 4 / math.sqrt(m)).all())
    assert bool(((z.square().mean(0) - 1).abs() < 4 * math.sqrt(2 / m)).all())


@pytest.mark.parametrize("method", METHODS)
def test_mixture_is_sampled(method):
    means = torch.tensor([[-2.0], [1.0]], dtype=torch.float64)
    covariances = torch.tensor([[[0.25]], [[0.04]]], dtype=torch.float64)
    law = GaussianMixture(means, covariances, torch.tensor([0.3, 0.7], dtype=torch.float64))
    steps = {"ddpm": 500, "ddim": 250, "heun": 100, "dpm++": 100}[method]
    settings = {"schedule": LINEAR, "sampler": SamplerConfig(method, steps), "batch_size": 2000}
    x = sample(ideal_model(law, LINEAR), (1,), seeds=range(2000), **settings)

    def cdf(y):
        return 0.3 * stats.norm.cdf(y, -2, 0.5) + 0.7 * stats.norm.cdf(y, 1, 0.2)

    # 2,000 draws see a shift of 0.04 in the distribution function. The steps' own: a variance wrong by a
    # share r shifts it by at most 0.12 r; r of DDPM, the worst, is 4 % for the narrow component at 500 steps.
    assert stats.kstest(x[:, 0].double().numpy(), cdf).pvalue > 1e-3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_memorizer_copies_its_points_equally_often(method, prediction):
    points = torch.rand(8, 3, 4, 4, generator=generator())
    model = ideal_model(Empirical(points.flatten(1)), LINEAR, prediction)
    settings = {"schedule": LINEAR, "sampler": SamplerConfig(method, 100), "prediction": prediction}
    x = sample(model, (3, 4, 4), seeds=range(400), **settings)
    distance = (x[:, None] - points).flatten(2).norm(dim=2)  # [400, 8]
    # At the last index, sigma = 0.015 while points are 2 apart: all weight is on one; float32 rounds 48
    # numbers below 1 a few times, and what a prediction divides by sigma is multiplied by it again.
    assert float(distance.amin(1).max()) < 10 * math.sqrt(48) * 2**-24
    counts = distance.argmin(1).bincount(minlength=8)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


# ---- the rest of the contract


def test_visited_indices_end_at_one_and_start_in_noise():
    assert visited_indices(LINEAR, 100)[:2] == [991, 981]
    assert visited_indices(LINEAR, 100)[-1] == 1
    assert visited_indices(LINEAR, 999) == list(range(999, 0, -1))
    assert visited_indices(LINEAR, 1000) == list(range(999, -1, -1))
    assert visited_indices(LINEAR, 3) == [999, 500, 1]  # every 333rd would start at 667
    assert visited_indices(LINEAR, 501)[0] == 999  # every single one would start at 501
    assert visited_indices(Schedule.cosine(), 10)[0] == 999  # every hundredth would start at 901
    for schedule in (*map(Schedule.linear, (1, 2, 3, 101)), LINEAR):
        levels = len(schedule)
        for steps in range(1, levels + 1, 1 + levels // 100):
            indices = visited_indices(schedule, steps)
            assert len(indices) == steps
            held = math.sqrt(float(schedule.alpha_bar[indices[0]]))
            assert indices[0] == levels - 1 or held <= MOST_SIGNAL
            assert indices[-1] == (0 if steps == levels else 1 if steps > 1 else levels - 1)
            strides = [a - b for a, b in pairwise(indices)]
            assert min(strides, default=1) >= 1  # no index twice
            assert max(strides, default=1) - min(strides, default=1) <= 1


@pytest.mark.parametrize("schedule", [LINEAR, Schedule.cosine(), Schedule.linear(101), Schedule.cosine(40)])
def test_the_indices_of_a_multistep_solver_are_even_in_the_logarithm_of_signal_to_noise(schedule):
    """As far as whole numbers allow: each is within half an index of its place, or all below are taken."""
    levels = len(schedule)
    log_snr = schedule.alpha_bar.logit() / 2
    for steps in range(2, levels, 1 + levels // 50):
        indices = visited_indices(schedule, steps, "dpm++")
        assert len(indices) == steps
        assert indices[-1] == 1
        assert all(a > b for a, b in pairwise(indices))
        held = float(schedule.alpha_bar[indices[0]].sqrt())
        assert held <= LITTLE_SIGNAL or indices[0] == levels - 1
        assert (
            indices[0] in (steps, levels - 1)
            or float(schedule.alpha_bar[indices[0] - 1].sqrt()) > LITTLE_SIGNAL
        )
        places = torch.linspace(float(log_snr[indices[0]]), float(log_snr[1]), steps, dtype=torch.float64)
        for k, (index, place) in enumerate(zip(indices, places.tolist(), strict=True)):
            above, below = (float(log_snr[max(1, min(index + d, levels - 1))]) for d in (1, -1))
            near = (
                (above + float(log_snr[index])) / 2 - 1e-9
                <= place
                <= (below + float(log_snr[index])) / 2 + 1e-9
            )
            crowded = index == steps - k or (k and index == indices[k - 1] - 1)
            assert near or crowded
    assert visited_indices(schedule, levels, "dpm++") == list(range(levels - 1, -1, -1))
    assert visited_indices(schedule, 1, "dpm++") == [levels - 1]


# Schedules of few levels that end in noise all the same, the paper's at awkward numbers of steps, cosines.
STARTS = [(LINEAR, 50, method) for method in METHODS]
STARTS += [(Schedule.linear(50, 2e-3, 0.4), 40, method) for method in METHODS]
STARTS += [(Schedule.cosine(), 60, method) for method in METHODS]
STARTS += [(LINEAR, 501, "ddim"), (Schedule.linear(700), 500, "ddim"), (Schedule.cosine(40), 25, "ddim")]


@pytest.mark.parametrize(("schedule", "steps", "method"), STARTS, ids=lambda v: str(getattr(v, "name", v)))
def test_samples_of_an_exact_model_have_the_mean_of_the_law_but_for_the_shortfall(schedule, steps, method):
    """Each step is linear for a Gaussian: what is lost is what the start leaves out."""
    mean, spread, m = 2.0, 0.5, 2000
    law = Gaussian(torch.full((2,), mean).double(), spread**2 * torch.eye(2).double())
    settings = {"schedule": schedule, "sampler": SamplerConfig(method, steps), "batch_size": m}
    x = sample(in_float64(ideal_model(law, schedule)), (2,), seeds=range(m), **settings)
    signal = math.sqrt(float(schedule.alpha_bar[visited_indices(schedule, steps, method)[0]]))
    # The module's formula for many steps: DDIM and Heun end m s sqrt(r) short, DDPM less.
    r = spread**2 / (1 - signal**2 + signal**2 * spread**2)
    shortfall = mean * signal * math.sqrt(r)
    assert abs(float(x.mean()) - mean) < shortfall + 4 * spread / math.sqrt(2 * m)
    if method != "ddpm" and steps >= 500:  # there the steps themselves add nothing that 4 errors see
        assert abs(float(x.mean()) - (mean - shortfall)) < 4 * spread / math.sqrt(2 * m)
        assert abs(float(x.var()) / r - 1) < 4 * math.sqrt(2 / (2 * m)) + 0.02


def steep(last):
    """200 levels, evenly in log t, down to this last alpha_bar."""
    t = torch.logspace(-4, math.log10(-math.log(last) / 2), 200, dtype=torch.float64)
    return Schedule((-2 * t).exp(), "steep")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(("last", "steps"), [(1e-60, 200), (1e-45, 100), (1e-30, 50)])
def test_samples_of_a_steep_schedule_are_those_of_the_law(last, steps, prediction, method):
    m, mean, spread, schedule = 400, 2.0, 0.5, steep(last)
    model = ideal_model(
        Gaussian(torch.full((2,), mean).double(), spread**2 * torch.eye(2).double()), schedule, prediction
    )
    settings = {"schedule": schedule, "sampler": SamplerConfig(method, steps), "prediction": prediction}
    x = sample(model, (2,), seeds=range(m), **settings).double()
    # Four standard errors; the steps themselves cost the spread up to a tenth.
    assert abs(float(x.mean()) - mean) < 4 * spread / math.sqrt(2 * m)
    assert abs(float(x.std()) / spread - 1) < 4 / math.sqrt(4 * m) + 0.1


def test_a_step_that_heun_would_lose_to_rounding_is_refused():
    """From 1e-60 in 50 steps of float32 it gave a mean of -736,460 where the law's is 2."""
    with pytest.raises(InputError, match=r"schedule, n_solver_steps: .* at most 4.1e\+03 per step"):
        sample_path(elementwise, (2,), schedule=steep(1e-60), seeds=[0], sampler=SamplerConfig("heun", 50))


@pytest.mark.parametrize("levels", [1, 50, 100, 200, 500, 680])
def test_a_schedule_that_keeps_signal_to_its_end_is_refused_before_the_first_step(levels):
    asked = []
    schedule = Schedule.linear(levels)
    with pytest.raises(InputError, match=r"last level .* pure noise, .* beta_end .* cosine"):
        sample_path(
            lambda x, index: asked.append(1),
            (2,),
            schedule=schedule,
            seeds=[0],
            sampler=SamplerConfig(n_solver_steps=1),
        )
    assert not asked


@pytest.mark.parametrize("method", METHODS)
def test_yields_every_step_and_ends_with_the_sample(method):
    settings = {"schedule": LINEAR, "seeds": [1, 2], "sampler": SamplerConfig(method, 9)}
    path = list(sample_path(elementwise, (2, 3), **settings))
    assert len(path) == 9
    assert all(x.shape == (2, 2, 3) and x.dtype == torch.float32 for x in path)
    assert torch.equal(path[-1], sample(elementwise, (2, 3), **settings))
    assert len({float(x[0, 0, 0]) for x in path}) == 9  # nothing is overwritten in place


@pytest.mark.parametrize(("method", "calls"), [("ddpm", 10), ("ddim", 10), ("heun", 19), ("dpm++", 10)])
def test_asks_the_model_only_at_visited_indices(method, calls):
    asked = []

    def model(x, index):
        assert index.dtype == torch.int64
        assert index.shape == (2,)
        asked.append(int(index[0]))
        return 0 * x

    sampler = SamplerConfig(method, 10)
    sample(model, (2, 3), schedule=LINEAR, seeds=[1, 2], sampler=sampler)
    assert len(asked) == sampler.n_evaluations == calls
    assert list(dict.fromkeys(asked)) == visited_indices(LINEAR, 10, method)


def test_evaluates_in_eval_mode_without_gradients():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))
            self.modes = []

        def forward(self, x, index):
            self.modes.append((self.training, torch.is_grad_enabled()))
            return self.scale * x

    net = Net()
    x = sample(net, (2,), schedule=LINEAR, seeds=[0], sampler=SamplerConfig(n_solver_steps=3))
    assert net.modes == [(False, False)] * 3
    assert net.training
    assert not x.requires_grad
    path = sample_path(net, (2,), schedule=LINEAR, seeds=[0], sampler=SamplerConfig(n_solver_steps=3))
    assert not next(path).requires_grad
    assert torch.is_grad_enabled()  # also while a generator is half-way


def past_the_checker(function):
    """The function without the checker of annotations, which runs in tests only."""
    return getattr(function, "__wrapped__", function)


def call(function=sample, *, method="ddim", n_solver_steps=4, **changes):
    arguments = {"model": elementwise, "item_shape": (2, 3), "schedule": LINEAR, "seeds": [0, 1]}
    arguments.update(changes)
    if "sampler" not in arguments:
        arguments["sampler"] = unchecked(SamplerConfig, method=method, n_solver_steps=n_solver_steps)
    model, item_shape = arguments.pop("model"), arguments.pop("item_shape")
    return past_the_checker(function)(model, item_shape, **arguments)


BAD = {
    "no shape": ({"item_shape": 3}, "item_shape: expected a tuple"),
    "half a size": ({"item_shape": (2.5,)}, "item_shape: expected a whole number"),
    "one seed": ({"seeds": 7}, "seeds: expected a sequence"),
    "unknown device": ({"device": "abacus"}, "device: expected one of this machine"),
    "true steps": ({"n_solver_steps": True}, "n_solver_steps: expected a whole number"),
    "no dimension": ({"item_shape": ()}, r"item_shape: .*\(\)"),
    "empty dimension": ({"item_shape": (3, 0)}, "item_shape: .* at least 1, got 0"),
    "seeds by name": ({"seeds": {0: 1}}, "seeds: expected a sequence of integers, got dict"),
    "no model": ({"model": None}, "model: expected a callable .* got NoneType"),
    "no schedule": ({"schedule": None}, "schedule: expected a Schedule, got NoneType"),
    "a table": ({"schedule": LINEAR.alpha_bar}, "schedule: expected a Schedule, got Tensor"),
    "beyond float32": ({"schedule": steep(1e-100)}, "schedule: expected a last level .* at least 7.89e-31"),
    "a steep step": (
        {"schedule": steep(1e-30), "n_solver_steps": 1},
        "schedule, n_solver_steps: .* more steps",
    ),
    "no seeds": ({"seeds": []}, "seeds: expected at least one"),
    "negative seed": ({"seeds": [1, -1]}, r"seeds: .*\[1, -1\]"),
    "large seed": ({"seeds": [2**32]}, "seeds: .*4294967296"),
    "broken seed": ({"seeds": [1.5]}, "seeds: expected integers"),
    "method": ({"method": "euler"}, "method: .*'euler'"),
    "prediction": ({"prediction": "eps"}, "prediction: .*'eps'"),
    "no steps": ({"n_solver_steps": 0}, "n_solver_steps: expected a whole number of at least 1"),
    "too many steps": ({"n_solver_steps": 1001}, "n_solver_steps: expected 1 to 1000 .*got 1001"),
    "a word for a sampler": ({"sampler": "ddim"}, "sampler: expected a SamplerConfig, got 'ddim'"),
}


@pytest.mark.parametrize("function", [sample_path, sample])
@pytest.mark.parametrize("name", BAD)
def test_bad_input(name, function):
    changes, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call(function, **changes)  # at the call already, not at the first step


def test_bad_batch_size_and_model():
    with pytest.raises(InputError, match="batch_size: expected a whole number of at least 1, got 0"):
        call(sample, batch_size=0)
    with pytest.raises(InputError, match=r"model: expected an output of shape \(2, 2, 3\), got \(2, 2\)"):
        call(sample, model=lambda x, index: x.sum(2))
