"""One abstraction for what any network is: each way to make it gives the E[x_0 | x] that is known exactly."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from memhorizon.denoiser import Denoiser, as_denoiser
from memhorizon.diffusion import ideal_model
from memhorizon.distributions import Empirical, Gaussian
from memhorizon.errors import InputError
from memhorizon.measure.losses import denoising_losses
from memhorizon.measure.truth import score_error
from memhorizon.samplers import SamplerConfig, sample, sample_path
from memhorizon.schedule import Schedule

LINEAR = Schedule.linear()
PREDICTIONS = ("noise", "x0", "v")
DIM = 4


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draws(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


MIX = draws(DIM, DIM, seed=7)
COVARIANCE = MIX @ MIX.T / DIM + 0.1 * torch.eye(DIM, dtype=torch.float64)
MEAN = torch.linspace(-1, 1, DIM, dtype=torch.float64)
GAUSSIAN = Gaussian(MEAN, COVARIANCE)


def posterior_mean(x, sigma):
    """E[x_0 | x] = m + C (C + sigma^2)^-1 (x - m), by solving; one sigma for each row."""
    eye = torch.eye(DIM, dtype=torch.float64)
    rows = [
        MEAN + COVARIANCE @ torch.linalg.solve(COVARIANCE + s * s * eye, row - MEAN)
        for row, s in zip(x, sigma, strict=True)
    ]
    return torch.stack(rows)


def velocity(x, tau):
    """E[noise - x_0 | x_tau] of the straight path, from E[x_0 | x_tau/(1 - tau)] at sigma = tau/(1 - tau)."""
    x0 = posterior_mean(x / (1 - tau[:, None]), tau / (1 - tau))
    noise = (x - (1 - tau[:, None]) * x0) / tau[:, None]
    return noise - x0


def raw_edm(x_in, c_noise, sigma_data=0.5):
    """The F of Karras et al., Table 1 (EDM), F = (D - c_skip x)/c_out of what it is called with."""
    sigma = (4 * c_noise).exp()
    total = sigma**2 + sigma_data**2
    x = x_in * total.sqrt()[:, None]
    c_skip = sigma_data**2 / total
    c_out = sigma * sigma_data / total.sqrt()
    return (posterior_mean(x, sigma) - c_skip[:, None] * x) / c_out[:, None]


LEVELS = torch.tensor([1, 40, 300, 700, 999])
MADE = {
    "noise": lambda: Denoiser.noise(ideal_model(GAUSSIAN, LINEAR), LINEAR),
    "x0": lambda: Denoiser.x0(ideal_model(GAUSSIAN, LINEAR, "x0"), LINEAR),
    "v": lambda: Denoiser.v(ideal_model(GAUSSIAN, LINEAR, "v"), LINEAR),
    "velocity": lambda: Denoiser.velocity(velocity),
    "velocity turned round": lambda: Denoiser.velocity(lambda x, tau: -velocity(x, 1 - tau), data_at="tau=1"),
    "edm": lambda: Denoiser.edm(posterior_mean),
    "raw edm": lambda: Denoiser.edm(raw_edm, sigma_data=0.5),
    "exact": lambda: Denoiser.exact(GAUSSIAN),
}


@pytest.mark.parametrize("how", MADE)
def test_each_gives_the_posterior_mean_of_a_gaussian(how):
    sigma = LINEAR.sigma(LEVELS)
    x = draws(len(sigma), DIM, seed=1) * (1 + sigma[:, None])
    found = MADE[how]()(x, sigma)
    # A few float64 roundings of numbers up to 160, divided by the smallest amplitude, 0.014 at level 1.
    torch.testing.assert_close(found, posterior_mean(x, sigma), rtol=0.0, atol=100 * 160 * 2**-53 / 0.014)
    one = MADE[how]()(x[2:3], float(sigma[2]))
    torch.testing.assert_close(one, found[2:3], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("how", ["velocity", "edm", "raw edm", "exact"])
def test_what_knows_every_sigma_is_right_between_levels(how):
    sigma = torch.tensor([0.003, 0.2, 1.234, 55.5], dtype=torch.float64)
    x = draws(4, DIM, seed=2) * (1 + sigma[:, None])
    # As above; v = (a x_t - x_0)/b divides by b = 0.003 what is multiplied by it again.
    torch.testing.assert_close(MADE[how]()(x, sigma), posterior_mean(x, sigma), rtol=1e-10, atol=1e-10)


def test_between_levels_the_nearest_is_asked_at_the_scale_of_the_sigma_itself():
    table = LINEAR.sigma(torch.arange(1000))
    sigma = 10 ** torch.linspace(-3, 3, 200, dtype=torch.float64)  # also beyond both ends
    seen = []

    def model(x, index):
        seen.append((x, index))
        return torch.zeros_like(x)

    x = draws(200, DIM)
    found = Denoiser.noise(model, LINEAR)(x, sigma)
    asked, index = seen[0]
    assert torch.equal(index, (sigma[:, None] - table).abs().argmin(1))
    assert index.dtype == torch.int64
    torch.testing.assert_close(asked, x / (1 + sigma**2).sqrt()[:, None], rtol=1e-14, atol=0.0)
    torch.testing.assert_close(found, x, rtol=1e-14, atol=0.0)  # x - sigma * 0


@pytest.mark.parametrize(
    "schedule", [LINEAR, Schedule.cosine(), Schedule.edm(), Schedule.linear(1)], ids=repr
)
def test_a_level_of_the_schedule_is_its_own_nearest(schedule):
    assert torch.equal(schedule.nearest(schedule.alpha_bar), torch.arange(len(schedule)))


# ---- the rest of the package asks a Denoiser as it asks the model


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(DIM, 16), nn.Dropout(0.5), nn.Linear(16, DIM))


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("method", ["ddpm", "ddim", "heun"])
def test_samples_are_those_of_the_model_to_the_bit(prediction, method):
    net = network()

    def model(x, index):
        return net(x) + index[:, None] / 1000

    denoiser = getattr(Denoiser, prediction)(model, LINEAR)
    settings = {"seeds": range(5), "sampler": SamplerConfig(method, 12)}
    theirs = sample(model, (DIM,), schedule=LINEAR, prediction=prediction, **settings)
    assert torch.equal(sample(denoiser, (DIM,), **settings), theirs)
    assert all(module.training for module in net.modules())


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_losses_and_score_errors_are_those_of_the_model_to_the_bit(prediction):
    net = network()

    def model(x, index):
        return net(x) + index[:, None] / 1000

    denoiser = getattr(Denoiser, prediction)(model, LINEAR)
    data = draws(30, DIM).float()
    at = {"indices": [3, 200], "schedule": LINEAR, "prediction": prediction}
    theirs = denoising_losses(model, data, **at)
    assert torch.equal(denoising_losses(denoiser, data, indices=[3, 200]).items, theirs.items)
    assert score_error(denoiser, GAUSSIAN, indices=[3, 200], n=50) == score_error(model, GAUSSIAN, n=50, **at)


def test_the_loss_of_an_exact_flow_is_the_bayes_risk_of_v():
    """E|v - v_hat|^2/d is the mean over eigenvalues l of l (1 + sigma^2)/(l + sigma^2)."""
    n = 2000
    data = GAUSSIAN.sample(n, generator=generator(5))
    denoiser = Denoiser.velocity(velocity)
    indices = [100, 500, 900]
    found = denoising_losses(denoiser, data, indices=indices, repeats=1)
    eigenvalues = torch.linalg.eigvalsh(COVARIANCE)
    for mean, index in zip(found.levels, indices, strict=True):
        square = float(denoiser.schedule.sigma(index)) ** 2
        risk = float((eigenvalues * (1 + square) / (eigenvalues + square)).mean())
        assert abs(mean.value - risk) < 4 * mean.standard_error


def test_the_score_of_an_exact_denoiser_has_no_error():
    found = score_error(Denoiser.edm(posterior_mean), GAUSSIAN, indices=[50, 500], n=200)
    # the network sees float32 points and the score divides by sigma = 0.004 at level 50 of EDM's
    assert all(mean.value < (10 * 2**-24 / 0.004**2) ** 2 for mean in found)


def test_heun_on_the_levels_of_edm_is_algorithm_1():
    """Against the deterministic sampler as the paper writes it (S_churn = 0), in x = x_0 + sigma noise."""
    n = 18
    sigma = [(80 ** (1 / 7) + i / (n - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(n)] + [
        0.0
    ]

    def slope(x, s):
        return (x - posterior_mean(x, torch.full((len(x),), s, dtype=torch.float64))) / s

    denoiser = Denoiser.edm(posterior_mean, schedule=Schedule.edm(n))
    settings = {"seeds": [1, 2, 3], "sampler": SamplerConfig("heun", n)}
    start = torch.stack([torch.randn(DIM, generator=generator(seed)) for seed in (1, 2, 3)]).double()
    x = start * math.sqrt(1 + sigma[0] ** 2)  # unit noise at alpha_bar = 1/(1 + sigma^2)
    for now, after in zip(sigma, sigma[1:], strict=False):
        d = slope(x, now)
        moved = x + (after - now) * d
        if after:
            moved = x + (after - now) * (d + slope(moved, after)) / 2
        x = moved
    # the start is float32, and so is what the network is first asked
    torch.testing.assert_close(sample(denoiser, (DIM,), **settings), x, rtol=0.0, atol=10 * 2**-24)


def test_ddim_on_the_levels_of_a_flow_is_the_rule_of_euler():
    n = 40
    denoiser = Denoiser.velocity(velocity, schedule=Schedule.flow(n))
    found = sample(denoiser, (DIM,), seeds=[4, 5], sampler=SamplerConfig("ddim", n))
    tau = [k / (n + 1) for k in range(n, -1, -1)]
    start = torch.stack([torch.randn(DIM, generator=generator(seed)) for seed in (4, 5)]).double()
    x = start * math.hypot(1 - tau[0], tau[0])  # unit noise, in the coordinates of the path
    for now, after in zip(tau, tau[1:], strict=False):
        x = x + (after - now) * velocity(x, torch.full((2,), now, dtype=torch.float64))
    # the start is float32, and so is what the network is first asked
    torch.testing.assert_close(found, x, rtol=0.0, atol=10 * 2**-24)


def test_a_perfect_memorizer_is_sampled_from_any_schedule():
    points = draws(5, DIM)
    for schedule in (None, Schedule.edm(), Schedule.flow(), Schedule.cosine()):
        made = sample(
            Denoiser.exact(Empirical(points), schedule=schedule),
            (DIM,),
            seeds=range(20),
            sampler=SamplerConfig(n_solver_steps=30),
        )
        nearest = torch.cdist(made.double(), points).amin(1)
        assert float(nearest.max()) < 1e-4  # all weight is on one point, but for float32


# ---- diffusers


def tiny_unet():
    from diffusers import UNet2DModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UNet2DModel(
            sample_size=8,
            in_channels=1,
            out_channels=1,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            norm_num_groups=4,
        ).eval()


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_a_unet_of_diffusers_denoises_as_its_scheduler_says(kind):
    from diffusers import DDPMScheduler

    unet = tiny_unet()
    scheduler = DDPMScheduler(prediction_type=kind, clip_sample=False)
    denoiser = Denoiser.diffusers(unet, scheduler)
    for level in (3, 500, 990):
        alpha_bar = scheduler.alphas_cumprod[level].double()
        x_t = torch.randn(2, 1, 8, 8, generator=generator(level))
        with torch.no_grad():
            theirs = scheduler.step(
                unet(x_t, level).sample, level, x_t, generator=generator()
            ).pred_original_sample
            ours = denoiser(x_t / alpha_bar.sqrt().float(), float((1 / alpha_bar - 1).sqrt()))
        # float32 roundings of x_t, through the network and divided by sqrt(alpha_bar)
        assert float((ours - theirs).abs().max()) < 50 * 2**-24 / math.sqrt(float(alpha_bar)) * 10


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # theirs, with NumPy 2
def test_samples_of_a_unet_of_diffusers_are_those_of_its_pipeline():
    from diffusers import DDIMScheduler

    unet = tiny_unet()
    scheduler = DDIMScheduler(clip_sample=False, set_alpha_to_one=True, steps_offset=1)
    scheduler.set_timesteps(10)
    x = torch.stack([torch.randn(1, 8, 8, generator=generator(seed)) for seed in (0, 1)])
    with torch.no_grad():
        for timestep in scheduler.timesteps:
            x = scheduler.step(unet(x, timestep).sample, timestep, x).prev_sample
    denoiser = Denoiser.diffusers(unet, DDIMScheduler())
    ours = sample(denoiser, (1, 8, 8), seeds=[0, 1], sampler=SamplerConfig("ddim", 10))
    # ten steps of float32, from a signal of 0.02 on: a rounding at the start grows by 1/0.02
    assert float((ours - x).abs().max() / x.abs().max()) < 10 * 10 * 2**-24 / 0.02


def test_a_flow_of_diffusers_denoises_as_its_scheduler_says():
    from diffusers import FlowMatchEulerDiscreteScheduler

    unet = tiny_unet()
    scheduler = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(10)
    x = torch.randn(2, 1, 8, 8, generator=generator(0))
    denoiser = Denoiser.diffusers(unet, scheduler)
    for timestep, tau in zip(scheduler.timesteps, scheduler.sigmas[:-1], strict=True):
        with torch.no_grad():
            last = scheduler.step(unet(x, timestep).sample, timestep, x).prev_sample
        if float(tau) < 0.95:  # at tau = 1 nothing of the data is left in x
            with torch.no_grad():
                x0 = denoiser(x / (1 - tau), float(tau / (1 - tau)))
            following = scheduler.sigmas[scheduler.step_index]
            # Euler's step in what it believes: x' = (1 - tau') x_0 + tau' noise
            noise = (x - (1 - tau) * x0) / tau
            expected = (1 - following) * x0 + following * noise
            assert float((expected - last).abs().max()) < 1e-4
        x = last


# ---- bad input and how it is shown


def test_it_is_short_when_shown():
    assert repr(Denoiser.noise(network(), LINEAR)) == (
        "Denoiser(noise, loss in noise, Schedule(linear, 1000 levels, sigma 0.01 to 157))"
    )
    assert len(repr(Denoiser.exact(GAUSSIAN))) < 100


def past_the_checker(function):
    return getattr(function, "__wrapped__", function)


def unchecked(name, *args, **options):
    """A class method without the checker of annotations."""
    return past_the_checker(getattr(Denoiser, name).__func__)(Denoiser, *args, **options)


def scheduler(prediction_type):
    """What `Denoiser.diffusers` reads of a scheduler that a user has made or edited."""
    return SimpleNamespace(
        config=SimpleNamespace(prediction_type=prediction_type), alphas_cumprod=torch.linspace(0.9, 0.1, 9)
    )


class FlowMatchScheduler(SimpleNamespace):
    """The same of one of flow matching."""


def flow_scheduler(count):
    return FlowMatchScheduler(config=SimpleNamespace(num_train_timesteps=count))


EXACT = Denoiser.exact(GAUSSIAN)
X = torch.zeros(3, DIM)
BAD = {
    "no model": (lambda: as_denoiser(None, LINEAR), "model: expected a callable .* got NoneType"),
    "no schedule": (lambda: as_denoiser(network()), "schedule: expected a Schedule, got NoneType"),
    "unknown": (lambda: as_denoiser(network(), LINEAR, "eps"), "prediction: .*'eps'"),
    "twice": (lambda: as_denoiser(EXACT, None, "noise"), "prediction: expected None"),
    "a table": (lambda: as_denoiser(EXACT, LINEAR.alpha_bar), "schedule: expected a Schedule, got Tensor"),
    "integers": (lambda: past_the_checker(Denoiser.__call__)(EXACT, X.long(), 1.0), "x: .* got torch.int64"),
    "one item": (lambda: past_the_checker(Denoiser.__call__)(EXACT, X[0, 0], 1.0), r"x: .* of shape \(\)"),
    "no noise": (lambda: EXACT(X, 0.0), "sigma: .* got 0.0"),
    "NaN": (lambda: EXACT(X, torch.tensor([1.0, math.nan, 1.0])), "sigma: expected one positive finite"),
    "complex": (
        lambda: EXACT(X, torch.ones(3, dtype=torch.cfloat)),
        "sigma: expected real numbers, got .*complex64",
    ),
    "two for three": (lambda: EXACT(X, torch.ones(2)), r"sigma: .* 3 items, got .* \(2 in all\)"),
    "end": (lambda: past_the_checker(Denoiser.velocity.__func__)(Denoiser, velocity, data_at="1"), "data_at"),
    "spread": (lambda: Denoiser.edm(posterior_mean, sigma_data=0.0), "sigma_data"),
    "scheduler": (lambda: Denoiser.diffusers(network(), SimpleNamespace()), "scheduler: .* SimpleNamespace"),
    "levels of a flow": (lambda: unchecked("velocity", velocity, schedule="flow"), "schedule: .* got str"),
    "levels of EDM": (lambda: unchecked("edm", posterior_mean, schedule=1000), "schedule: .* got int"),
    "levels of exact": (
        lambda: unchecked("exact", GAUSSIAN, schedule=LINEAR.alpha_bar),
        "schedule: .*Tensor",
    ),
    "items, no distribution": (lambda: unchecked("exact", X), "distribution: .*Empirical, got Tensor"),
    "several predictions": (lambda: Denoiser.diffusers(network(), scheduler(["epsilon"])), "prediction_type"),
    "no count": (lambda: Denoiser.diffusers(network(), flow_scheduler(None)), "num_train_timesteps: .* None"),
    "count in words": (lambda: Denoiser.diffusers(network(), flow_scheduler("many")), "timesteps: .* 'many'"),
    "count of none": (lambda: Denoiser.diffusers(network(), flow_scheduler(0)), "num_train_timesteps: .* 0"),
    "shape": (lambda: Denoiser.velocity(lambda x, tau: x[:, :2])(X, 1.0), r"model: .*\(3, 4\), got \(3, 2\)"),
    "path": (
        lambda: sample_path(EXACT, (DIM,), seeds=[0], prediction="x0"),
        "prediction: expected None, since a Denoiser knows",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call()
