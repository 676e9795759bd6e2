"""Pictures resized, cropped and made grey: in this order, which is that of the paper's code."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from memhorizon.errors import InputError
from memhorizon.files.bounds import check_unpacked

LUMA = (0.299, 0.587, 0.114)  # weights of red, green, blue in ITU-R BT.601, as in Pillow's "L"
CHUNK = 1024  # pictures resized at once; bounds memory, changes no result


def prepare(
    images: Float[Tensor, " n *before"], *, size: int | None = None, grey: bool = False
) -> Float[Tensor, " n *after"]:
    """Resize the short side to `size`, crop the centre to size x size and make grey.

    Raises:
        InputError: if the items are no pictures, `grey` is asked of other than 1 or 3 channels, or what comes
            out is beyond MOST_BYTES.
    """
    if size is None and not grey:
        return images
    if images.ndim != 4:
        raise InputError(f"size, grey: expected pictures [n, c, h, w], got {tuple(images.shape)}")
    if grey and images.shape[1] not in (1, 3):
        raise InputError(f"grey: expected pictures with 1 or 3 channels, got {images.shape[1]}")
    sides = images.shape[-2:] if size is None else (size, size)
    check_unpacked(math.prod((*images.shape[:2], *sides, images.element_size())), "size")
    return torch.cat([_prepared(part, size, grey) for part in images.split(CHUNK)])


def _prepared(images: Float[Tensor, "n c h w"], size: int | None, grey: bool) -> Float[Tensor, "n c2 h2 w2"]:
    if size is not None and len(images):
        images = _cropped(_resized(images, size), size)
    return _grey(images) if grey and images.shape[1] == 3 else images


def _cropped(images: Float[Tensor, "n c h w"], size: int) -> Float[Tensor, "n c size size"]:
    top, left = (round((side - size) / 2) for side in images.shape[-2:])
    return images[..., top : top + size, left : left + size]


def _resized(images: Float[Tensor, "n c h w"], size: int) -> Float[Tensor, "n c h2 w2"]:
    """Bring the short side to `size`, within each picture's range of values."""
    height, width = images.shape[-2:]
    short = min(height, width)
    if short == size:
        return images
    low = images.amin((-2, -1), keepdim=True)
    high = images.amax((-2, -1), keepdim=True)
    is_strip = max(height, width) > 4 * short
    resized = _resize_centre(images, size) if is_strip else _resize_all(images, size)
    return torch.minimum(torch.maximum(resized, low), high)  # bicubic weights overshoot at edges


def _resize_all(images: Float[Tensor, "n c h w"], size: int) -> Float[Tensor, "n c h2 w2"]:
    height, width = images.shape[-2:]
    short = min(height, width)
    shape = [height * size // short, width * size // short]
    return F.interpolate(images, shape, mode="bicubic", antialias=True)


def _resize_centre(images: Float[Tensor, "n c h w"], size: int) -> Float[Tensor, "n c size size"]:
    """Do as `_resize_all` with the centre crop after it, without what the crop takes away: for strips."""
    height, width = images.shape[-2:]
    short = min(height, width)
    rows, of_rows = _bicubic(height, height * size // short, size)
    columns, of_columns = _bicubic(width, width * size // short, size)
    return of_rows.to(images) @ images[..., rows, columns] @ of_columns.to(images).T


def _bicubic(before: int, after: int, size: int) -> tuple[slice, Float[Tensor, "size taps"]]:
    """Weights of the `size` middle pixels of a side resized from `before` to `after`, and of which pixels."""
    scale = before / after
    wide = max(scale, 1.0)  # antialiasing: where pixels are lost, the kernel covers what it skips
    first = round((after - size) / 2)
    # centre of new pixel i in old pixels: (i + 1/2) scale
    centre = (torch.arange(first, first + size, dtype=torch.float64) + 0.5) * scale
    start = max(0, int(centre[0] - 2 * wide) - 1)
    stop = min(before, int(centre[-1] + 2 * wide) + 2)
    old = torch.arange(start, stop, dtype=torch.float64) + 0.5
    weights = _keys((old - centre[:, None]).abs() / wide)
    return slice(start, stop), weights / weights.sum(1, keepdim=True)


def _keys(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Keys' cubic kernel with a = -1/2, at distances x >= 0."""
    # 3/2 x^3 - 5/2 x^2 + 1 below 1
    near = (1.5 * x - 2.5) * x**2 + 1
    # -1/2 x^3 + 5/2 x^2 - 4 x + 2 below 2, nothing beyond
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _grey(images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1 h w"]:
    weights = torch.tensor(LUMA, dtype=images.dtype, device=images.device)
    return (images * weights[:, None, None]).sum(1, keepdim=True)
