"""Folders of checkpoints as diffusers writes them: small networks for digits."""

import torch

from memhorizon.files.layouts import read_digits

SHAPE = {"sample_size": 8, "in_channels": 1, "out_channels": 1}


def digits(n, start=0):
    """Handwritten digits, the same order each time. [n, 1, 8, 8], 0 to 1"""
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
    return read_digits()[0][order[start : start + n]]


def tiny(seed=0, **changes):
    """A network of 20,000 weights; the global generator is left as it was."""
    from diffusers import UNet2DModel

    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    widths = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet2DModel(**(SHAPE | blocks | widths | changes))


def folder_of(path, steps, *, scheduler=True):
    """Checkpoints of untrained networks, with the scheduler in the folder of all; the networks by step."""
    from diffusers import DDPMScheduler

    made = {step: tiny(step) for step in steps}
    for step, network in made.items():
        network.save_pretrained(path / f"checkpoint-{step}" / "unet")
    if scheduler:
        DDPMScheduler().save_pretrained(path / "scheduler")
    return made
