"""Networks of diffusers: what they put out follows from their scheduler; looks are at averaged weights."""

import math

import pytest
import torch
from torch import nn

import memhorizon as mh
from memhorizon.integrations import diffusers_denoiser
from watched_training import PLAN

diffusers = pytest.importorskip("diffusers")

SPREAD = 0.5
SHAPE = (1, 8, 8)


def tiny(seed=0):
    torch.manual_seed(seed)
    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    widths = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4}
    return diffusers.UNet2DModel(8, 1, 1, **blocks, **widths)


def gaussian(n, seed):
    return SPREAD * torch.randn(n, *SHAPE, generator=torch.Generator().manual_seed(seed))


class OfNoise(nn.Module):
    """The best prediction of the noise for Gaussian data, by the table of a scheduler.

    E[noise | x_t] = sqrt(1 - a)/(a s^2 + 1 - a) x_t
    """

    def __init__(self, table):
        super().__init__()
        self.table = table

    def forward(self, x, timestep):
        a = self.table[timestep].to(x)[:, None, None, None]
        return (1 - a).sqrt() / (a * SPREAD**2 + 1 - a) * x


class OfVelocity(nn.Module):
    """The best prediction of noise - x_0 for Gaussian data, with timesteps of 0 to 1,000.

    x = (1 - u) x_0 + u noise: E[noise - x_0 | x] = (u - (1 - u) s^2)/((1 - u)^2 s^2 + u^2) x
    """

    def forward(self, x, timestep):
        u = (timestep / 1000)[:, None, None, None]
        return (u - (1 - u) * SPREAD**2) / ((1 - u).square() * SPREAD**2 + u.square()) * x


def of_noise(a):
    """Loss of the best prediction of the noise: a s^2/(a s^2 + 1 - a)."""
    return a * SPREAD**2 / (a * SPREAD**2 + 1 - a)


def of_v(a):
    """Loss of the best prediction of v, to which a velocity is brought: s^2/(a s^2 + 1 - a)."""
    return SPREAD**2 / (a * SPREAD**2 + 1 - a)


@pytest.mark.parametrize("name", ["DDPMScheduler", "DDIMScheduler", "FlowMatchEulerDiscreteScheduler"])
def test_a_look_finds_the_losses_of_the_best_network(name):
    """Losses of Gaussian data are known in closed form at each level; d = 64 coordinates, 400 items each."""
    scheduler = getattr(diffusers, name)()
    flow = name.startswith("Flow")
    net = OfVelocity() if flow else OfNoise(scheduler.alphas_cumprod)
    plan = mh.LookPlan(first=1, n_samples=1, n_probe=400)
    watched = mh.Monitor(
        gaussian(400, 0),
        holdout=gaussian(400, 1),
        denoiser=diffusers_denoiser(scheduler),
        plan=plan,
        sampler=mh.SamplerConfig("ddim", 1),
        budget=None,
    )
    watched.update(1, net)
    (look,) = watched.history
    schedule = mh.Denoiser.diffusers(net, scheduler).schedule
    for level in look.losses:
        a = float(schedule.alpha_bar[level.index])
        wanted = of_v(a) if flow else of_noise(a)
        # an error that is Gaussian with variance L: its square has the standard deviation sqrt(2) L
        error = math.sqrt(2) * wanted / math.sqrt(400 * 64)
        assert abs(level.holdout - wanted) < 5 * error
        assert abs(level.train - wanted) < 5 * error


def test_looks_are_at_the_averaged_weights_and_the_training_keeps_its_own():
    scheduler = diffusers.DDPMScheduler()
    trained = tiny(0)
    averaged = tiny(1)
    ema = diffusers.training_utils.EMAModel(averaged.parameters())
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    found = diffusers_denoiser(scheduler, ema=ema)(trained)
    x = torch.randn(3, *SHAPE)
    with torch.no_grad():
        wanted = mh.Denoiser.diffusers(averaged, scheduler)(x, 0.7)
        assert torch.equal(found(x, 0.7), wanted)
        assert not torch.equal(mh.Denoiser.diffusers(trained, scheduler)(x, 0.7), wanted)
    assert all(torch.equal(before[name], value) for name, value in trained.state_dict().items())
    assert trained.training


def test_the_average_of_each_look_is_the_one_of_its_step():
    """An average that moves by half at each step, which the next look has to see."""
    unet = tiny(0)
    ema = diffusers.training_utils.EMAModel(unet.parameters(), decay=0.5)
    make = diffusers_denoiser(diffusers.DDPMScheduler(), ema=ema)
    x = torch.randn(2, *SHAPE)
    seen = []
    for _ in range(2):
        with torch.no_grad():
            seen.append(make(unet)(x, 0.5))
            for parameter in unet.parameters():
                parameter.add_(0.1)
        ema.step(unet.parameters())
        ema.step(unet.parameters())
    assert not torch.allclose(seen[0], seen[1])


def test_an_adapter_that_does_nothing_changes_nothing_and_one_that_is_trained_is_seen():
    """LoRA by peft, where it is installed: its matrix B begins at zero."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    blocks = {"down_block_types": ("AttnDownBlock2D",) * 2, "up_block_types": ("AttnUpBlock2D",) * 2}
    unet = diffusers.UNet2DModel(8, 1, 1, block_out_channels=(8, 8), norm_num_groups=4, **blocks)
    make = diffusers_denoiser(diffusers.DDPMScheduler())
    settings = {"holdout": gaussian(20, 1), "denoiser": make, "plan": PLAN, "budget": None}
    settings["sampler"] = mh.SamplerConfig("ddim", 2)
    watched = mh.Monitor(gaussian(20, 0), **settings)
    watched.update(2, unet)
    tuned = peft.get_peft_model(unet, peft.LoraConfig(r=2, target_modules=["to_q", "to_k", "to_v"]))
    watched.update(4, tuned)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name:
                parameter.fill_(1.0)
    watched.update(8, tuned)
    losses = [look.holdout_loss for look in watched.history]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[2] != pytest.approx(losses[1], rel=1e-3)


@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_used_is_refused_before_the_training():
    with pytest.raises(mh.InputError, match="scheduler: expected one with alphas_cumprod"):
        diffusers_denoiser(object())
    with pytest.raises(mh.InputError, match="ema: expected an EMAModel of diffusers, got int"):
        diffusers_denoiser(diffusers.DDPMScheduler(), ema=5)
