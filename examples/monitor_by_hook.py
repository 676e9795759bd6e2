"""One line for a loop that you cannot or will not change: a hook on the optimizer. Here: flow matching.

python examples/monitor_by_hook.py
"""

from collections.abc import Iterator

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DModel

import memhorizon as mh


def somebodys_loop(
    unet: UNet2DModel, images: torch.Tensor, optimizer: torch.optim.Optimizer, n_updates: int
) -> Iterator[float]:
    """Train on x = (1 - sigma) x_0 + sigma noise; the network learns noise - x_0."""
    for _ in range(n_updates):
        x0 = images[torch.randint(len(images), (32,))]
        noise = torch.randn_like(x0)
        sigma = torch.rand(len(x0))
        x = torch.lerp(x0, noise, sigma.view(-1, 1, 1, 1))
        loss = (unet(x, 1000 * sigma).sample - (noise - x0)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield loss.item()


def main(n_updates: int = 3000, n_train: int = 100, **settings) -> mh.Monitor:
    digits = mh.load_split(mh.DataConfig(name="digits", n_train=n_train, n_holdout=60, scale=2.0))
    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    sizes = {"sample_size": 8, "in_channels": 1, "out_channels": 1, "block_out_channels": (16, 32)}
    unet = UNet2DModel(norm_num_groups=8, **sizes, **blocks)
    optimizer = torch.optim.Adam(unet.parameters(), lr=2e-3)

    denoiser = mh.Denoiser.diffusers(unet, FlowMatchEulerDiscreteScheduler())
    monitor = mh.Monitor(digits.train, holdout=digits.holdout, denoiser=denoiser, **settings)
    hook = mh.integrations.on_step(monitor, optimizer)  # the line

    for _ in somebodys_loop(unet, digits.train, optimizer, n_updates):
        if monitor.should_stop:
            break
    hook.finish()
    hook.remove()
    return monitor


if __name__ == "__main__":
    print(main().verdict)
