"""Large pictures made smaller: what is compared has to fit the memory; copies are seen in small as well."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

LARGEST_ALIGNED = 32  # pixels of the longer side of a picture that is registered
SMALLEST_ALIGNED = 8  # and of the shorter side
SIDES = (64, 48, 32)  # longer sides that pictures are brought to
MOST_BYTES = 1 << 30  # of the training items as they are compared


def reduced(images: Float[Tensor, "n c h w"], side: int) -> Float[Tensor, "n c h2 w2"]:
    """Pictures with a longer side of at most so many pixels; smaller ones stay as they are."""
    height, width = images.shape[-2:]
    longer = max(height, width)
    if longer <= side:
        return images
    if width == 1:  # torch 2 makes every row of a column alike
        return reduced(images.transpose(2, 3), side).transpose(2, 3).contiguous()
    size = (max(1, round(height * side / longer)), max(1, round(width * side / longer)))
    return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)


def is_registered(shape: tuple[int, ...]) -> bool:
    """Whether items of this shape are pictures large enough to be registered."""
    if len(shape) != 3:
        return False
    longer = max(shape[1:])
    return min(shape[1:]) * min(1.0, LARGEST_ALIGNED / longer) >= SMALLEST_ALIGNED


def in_unit(images: Float[Tensor, "n c h w"], limits: tuple[float, float]) -> Float[Tensor, "n c h w"]:
    """Pictures with values from 0 to 1."""
    low, high = limits
    return images if limits == (0.0, 1.0) else (images - low) / (high - low)


def side_for(shape: tuple[int, ...], count: int) -> int | None:
    """The longer side that pictures of this shape are brought to; None for what are no pictures."""
    if len(shape) != 3:
        return None
    channels, height, width = shape
    for side in SIDES:
        scale = min(1.0, side / max(height, width))
        if count * channels * height * width * scale**2 * 4 <= MOST_BYTES:
            return side
    return SIDES[-1]
