"""Unconditional training in the style of diffusers' example, with accelerate and EMA; two lines watch it.

python examples/monitor_diffusers.py [FOLDER OF IMAGES]     without one: 300 handwritten digits
"""

import sys

import torch
from accelerate import Accelerator
from diffusers import DDPMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from torch.nn import functional as F  # noqa: N812

import memhorizon as mh


def images_of(folder: str | None, count: int) -> torch.Tensor:
    """Images from -1 to 1."""
    if folder is not None:
        return 2 * mh.load_images(folder, size=32).images - 1
    digits = mh.load_split(mh.DataConfig(name="digits", n_train=count))
    return 2 * digits.to_pixels(digits.train) - 1


def main(folder: str | None = None, *, steps: int = 6000, save_every: int = 500, **settings):
    accelerator = Accelerator()
    images = images_of(folder, 360)
    train, holdout = images.split([len(images) - len(images) // 6, len(images) // 6])
    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    channels = {"in_channels": images.shape[1], "out_channels": images.shape[1], "norm_num_groups": 8}
    unet = UNet2DModel(images.shape[-1], block_out_channels=(16, 32), **channels, **blocks)
    ema = EMAModel(unet.parameters(), decay=0.995, model_cls=UNet2DModel, model_config=unet.config)
    scheduler = DDPMScheduler(num_train_timesteps=1000)
    scheduler.save_pretrained("ddpm")
    optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-3)
    loader = torch.utils.data.DataLoader(train, batch_size=16, shuffle=True)
    unet, optimizer, loader = accelerator.prepare(unet, optimizer, loader)
    denoiser = mh.integrations.diffusers_denoiser(scheduler, ema=ema)
    monitor = mh.Monitor(train, holdout=holdout, denoiser=denoiser, log=accelerator.log, **settings)
    monitor = mh.integrations.accelerated(monitor, accelerator)  # the first line, in two
    step = 0
    while step < steps and not monitor.should_stop:
        for clean in loader:
            noise = torch.randn_like(clean)
            timesteps = torch.randint(0, 1000, (len(clean),), device=clean.device)
            predicted = unet(scheduler.add_noise(clean, noise, timesteps), timesteps).sample
            accelerator.backward(F.mse_loss(predicted, noise))
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            ema.step(unet.parameters())
            monitor.update(step, unet)  # the second line
            if step % save_every == 0 and accelerator.is_main_process:
                accelerator.unwrap_model(unet).save_pretrained(f"ddpm/step-{step}")
    monitor.finish(unet)
    return monitor.monitor


if __name__ == "__main__":
    print(main(*sys.argv[1:]).verdict)
