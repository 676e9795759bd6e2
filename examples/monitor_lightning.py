"""A LightningModule that stops before it copies: one callback. Works with lightning and pytorch_lightning.

python examples/monitor_lightning.py
"""

import lightning.pytorch as pl
import torch
from diffusers import DDIMScheduler, UNet2DModel
from torch.nn import functional as F  # noqa: N812

import memhorizon as mh


class Diffusion(pl.LightningModule):
    """A small U-Net of diffusers that predicts the noise."""

    def __init__(self, size: int = 8, channels: int = 1):
        super().__init__()
        blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
        widths = {"block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8}
        self.unet = UNet2DModel(size, channels, channels, **blocks, **widths)
        self.scheduler = DDIMScheduler(num_train_timesteps=1000)

    def training_step(self, clean: torch.Tensor, _: int) -> torch.Tensor:
        noise = torch.randn_like(clean)
        timesteps = torch.randint(0, 1000, (len(clean),), device=self.device)
        noisy = self.scheduler.add_noise(clean, noise, timesteps)
        return F.mse_loss(self.unet(noisy, timesteps).sample, noise)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=2e-3)


def main(steps: int = 3000, n_train: int = 100, **settings) -> mh.Monitor:
    digits = mh.load_split(mh.DataConfig(name="digits", n_train=n_train, n_holdout=60, scale=2.0))
    module = Diffusion()
    denoiser = mh.integrations.diffusers_denoiser(module.scheduler)
    monitor = mh.Monitor(digits.train, holdout=digits.holdout, denoiser=denoiser, **settings)
    watched = mh.integrations.lightning_callback(monitor, lambda module: module.unet)
    loader = torch.utils.data.DataLoader(digits.train, batch_size=25, shuffle=True)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = pl.Trainer(max_steps=steps, max_epochs=-1, callbacks=[watched], **quiet)
    trainer.fit(module, loader)
    trainer.save_checkpoint("last.ckpt")  # the state of the monitor is in it
    print(monitor.verdict)
    return monitor


if __name__ == "__main__":
    main()
