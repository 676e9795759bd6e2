"""Pictures from anywhere as one tensor: arrays, folders, files, sequences of pictures."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from memhorizon.results import InputError

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's "L"


@dataclass(frozen=True)
class Skipped:
    """A picture that was passed over.

    Attributes:
        name: the file, or the position in the sequence.
        reason: why it could not be used.
    """

    name: str
    reason: str


def prepare(
    images: Float[Tensor, " n c h w"], *, size: int | None = None, grey: bool = False
) -> Float[Tensor, " n *item"]:
    """Resize, centre-crop, make grey, in this order, which is that of the paper's code."""
    if size is not None:
        height, width = images.shape[-2:]
        short = min(height, width)
        if short != size:
            shape = [round(height * size / short), round(width * size / short)]
            images = F.interpolate(images, shape, mode="bicubic", antialias=True).clamp(0, 1)
        top, left = (images.shape[-2] - size) // 2, (images.shape[-1] - size) // 2
        images = images[..., top : top + size, left : left + size]
    if grey and images.shape[1] != 1:
        if images.shape[1] != 3:
            raise InputError(f"grey: expected pictures with 1 or 3 channels, got {images.shape[1]}")
        images = (images * torch.tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    return images.contiguous()
