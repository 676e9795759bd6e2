"""LoRA: a network without text is fine-tuned on 40 images; the monitor sees it with its adapters.

python examples/monitor_lora.py
"""

import torch
from diffusers import DDPMScheduler, UNet2DModel
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils.parametrize import register_parametrization

import memhorizon as mh

SCHEDULER = DDPMScheduler(num_train_timesteps=1000)


class LowRank(nn.Module):
    """A frozen weight with a trained correction of low rank, W + B A: what peft does, in short."""

    def __init__(self, weight: torch.Tensor, rank: int = 4):
        super().__init__()
        self.a = nn.Parameter(torch.randn(rank, weight.shape[1]) / rank)
        self.b = nn.Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + self.b @ self.a


def training(unet: UNet2DModel, images: torch.Tensor, optimizer: torch.optim.Optimizer, steps: int):
    for _ in range(steps):
        x = images[torch.randint(len(images), (16,))]
        noise = torch.randn_like(x)
        timesteps = torch.randint(0, 1000, (16,))
        F.mse_loss(unet(SCHEDULER.add_noise(x, noise, timesteps), timesteps).sample, noise).backward()
        optimizer.step()
        optimizer.zero_grad()
        yield


def main(steps: int = 1500, pretraining: int = 1500, **settings) -> mh.Monitor:
    digits = mh.load_split(mh.DataConfig(name="digits", n_train=1000, scale=2.0)).train
    blocks = {"down_block_types": ("AttnDownBlock2D",) * 2, "up_block_types": ("AttnUpBlock2D",) * 2}
    sizes = {"sample_size": 8, "in_channels": 1, "out_channels": 1, "block_out_channels": (16, 32)}
    unet = UNet2DModel(norm_num_groups=8, **sizes, **blocks)
    list(training(unet, digits[80:], torch.optim.AdamW(unet.parameters(), lr=2e-3), pretraining))
    unet.requires_grad_(False)
    for layer in [layer for name, layer in unet.named_modules() if name.endswith(("to_q", "to_k", "to_v"))]:
        register_parametrization(layer, "weight", LowRank(layer.weight))
    optimizer = torch.optim.AdamW([p for p in unet.parameters() if p.requires_grad], lr=2e-3)
    denoiser = mh.integrations.diffusers_denoiser(SCHEDULER)
    monitor = mh.Monitor(digits[:40], holdout=digits[40:80], denoiser=denoiser, **settings)  # one line
    mh.integrations.on_step(monitor, optimizer, unet)  # and another
    for _ in training(unet, digits[:40], optimizer, steps):
        if monitor.should_stop:
            break
    return monitor


if __name__ == "__main__":
    print(main().verdict)
