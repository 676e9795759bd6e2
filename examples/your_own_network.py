"""Your network and your training loop: a run directory, its timescales and a page; argument: the folder."""

import sys

import torch

import memhorizon as mh

try:
    from diffusers import DDPMScheduler, UNet2DModel
except ImportError:
    UNet2DModel = None


def build(schedule: mh.Schedule):
    """A network, as a function that predicts the noise, and as a denoiser."""
    if UNet2DModel is None:  # any torch module
        net = mh.UNetConfig(width=16, multipliers=(1, 2), attention=(False, True)).build((1, 8, 8), seed=0)
        return net, net, mh.Denoiser.noise(net, schedule)
    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    channels = {"in_channels": 1, "out_channels": 1, "block_out_channels": (16, 32), "norm_num_groups": 8}
    unet = UNet2DModel(sample_size=8, layers_per_block=1, **channels, **blocks)
    return unet, lambda x, t: unet(x, t).sample, mh.Denoiser.diffusers(unet, DDPMScheduler(len(schedule)))


def grey(samples: torch.Tensor, holdout: torch.Tensor) -> float:
    """A quality of your own, lower is better; FID in features of your own is such a function too."""
    return float((samples.mean() - holdout.mean()).abs())


def main(folder: str = "runs/own", steps: int = 2000, n_train: int = 16, n_samples: int = 200) -> mh.Sweep:
    split = mh.load_split(mh.DataConfig(name="digits", n_train=n_train, n_holdout=128, scale=2.0))
    schedule = mh.Schedule.linear()
    net, model, denoiser = build(schedule)
    settings = mh.MeasureConfig(snapshots=12, first=min(20, steps), n_samples=n_samples, repeats=2)
    known = {"settings": settings, "factors": {"lr": 2e-3, "batch_size": 16}, "n_updates": steps}
    known["qualities"] = {"grey": grey}
    writer = mh.RunWriter(f"{folder}/n{n_train}", split.train, split.holdout, **known)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    random = torch.Generator().manual_seed(0)
    for step in range(1, steps + 1):
        x = split.train[torch.randint(n_train, (16,), generator=random)]
        index = torch.randint(1, 1000, (16,), generator=random)
        noise = torch.randn(x.shape, generator=random)
        a = schedule.alpha_bar[index].float().view(-1, 1, 1, 1)
        loss = (model(a.sqrt() * x + (1 - a).sqrt() * noise, index) - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in settings.marks(steps):
            print(f"step {step}: {writer.observe(step, denoiser)}")
    writer.finish()
    print(f"open {mh.Sweep.of(folder).report(folder)}")  # of every run in the folder
    return mh.Sweep.of(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
