"""Copies of training images with known edits, planted among honest images: what an audit should find.

The images are [n, c, h, w] with values 0 to 1; a pixel is one of the image, whatever its size.
"""

import io
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from memhorizon.checks import check_choice, check_whole
from memhorizon.errors import InputError

Edit: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]

DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))  # down, right
NEAR = 0.02  # standard deviation of the noise on the second of two near-duplicates
HONEST = -1  # the source of a sample that is no copy


class Planted(NamedTuple):
    """Samples of which it is known which are copies.

    Attributes:
        samples: honest images, some of which are replaced by edited copies, [m, c, h, w].
        is_copy: which samples these are, [m].
        source: the training item that each is a copy of, -1 for honest ones, [m].
    """

    samples: Float[Tensor, "m c h w"]
    is_copy: Bool[Tensor, " m"]
    source: Int[Tensor, " m"]


class Doubled(NamedTuple):
    """A training set in which some images occur twice.

    Attributes:
        train: the training set, with the second ones at its end, [n + count, c, h, w].
        twice: which of the first n items these are, [count].
    """

    train: Float[Tensor, "n2 c h w"]
    twice: Int[Tensor, " count"]


def planted(
    honest: Shaped[Tensor, " m *item"],
    train: Shaped[Tensor, " n *item2"],
    edit: str,
    *,
    generator: torch.Generator,
    count: int = 50,
    among: Int[Tensor, " k"] | None = None,
) -> Planted:
    """Replace `count` of the honest images by edited copies of as many different training images.

    Args:
        honest: images that are no copies, such as held-out ones, values 0 to 1.
        train: the training images, of the same size.
        edit: a name of EDITS.
        generator: chooses the images and makes the edits.
        count: number of copies.
        among: training images to copy from; None for all.

    Raises:
        InputError: if the images are not of one size with 1 or 3 channels and values 0 to 1, `edit` is none
            of EDITS, or there are fewer than `count` images to replace or to copy.
    """
    check_choice("edit", edit, tuple(EDITS))
    _check_pair(honest, train)
    pool = torch.arange(len(train)) if among is None else among
    check_whole("count", count, least=1, most=min(len(honest), len(pool)))
    place = _drawn(len(honest), count, generator)
    source = pool[_drawn(len(pool), count, generator)]
    return _replaced(honest, place, EDITS[edit](train[source], generator), source)


def _check_pair(honest: Shaped[Tensor, " m *item"], train: Shaped[Tensor, " n *item2"]) -> None:
    _check_images("honest", honest)
    _check_images("train", train)
    if honest.shape[1:] != train.shape[1:]:
        raise InputError(
            f"honest: expected images as in train {tuple(train.shape[1:])}, got {tuple(honest.shape[1:])}"
        )


def _drawn(total: int, count: int, generator: torch.Generator) -> Int[Tensor, " count"]:
    """So many of all numbers below the total, in an order that is drawn as well."""
    return torch.randperm(total, generator=generator)[:count]


def _replaced(
    honest: Shaped[Tensor, " m *item"],
    place: Int[Tensor, " count"],
    copies: Float[Tensor, " count *item"],
    source: Int[Tensor, " count"],
) -> Planted:
    """The honest images, with copies of these sources in some places."""
    samples = honest.clone()
    samples[place] = copies.to(samples.dtype)
    sources = torch.full((len(honest),), HONEST)
    sources[place] = source
    return Planted(samples, sources != HONEST, sources)


def doubled(
    train: Shaped[Tensor, " n *item"], count: int, *, generator: torch.Generator, near: bool = False
) -> Doubled:
    """Let `count` of the training images occur a second time: as they are, or with a little noise.

    Raises:
        InputError: if these are no images with values 0 to 1, or fewer than `count`.
    """
    _check_images("train", train)
    check_whole("count", count, least=1, most=len(train))
    twice = _drawn(len(train), count, generator)
    again = _noise(train[twice], generator, NEAR if near else 0.0)
    return Doubled(torch.cat([train, again]), twice)


def _check_images(name: str, images: Shaped[Tensor, " n *item"]) -> None:
    _check_form(name, images)
    if len(images):
        _check_range(name, float(images.min()), float(images.max()))


def _check_form(name: str, images: Shaped[Tensor, " n *item"]) -> None:
    if not _are_pictures(images):
        got = f"{images.dtype} {tuple(images.shape)}"
        raise InputError(f"{name}: expected floating-point images [n, 1 or 3, h, w], got {got}")


def _are_pictures(images: Shaped[Tensor, "..."]) -> bool:
    return images.ndim == 4 and images.shape[1] in (1, 3) and images.is_floating_point()


def _check_range(name: str, low: float, high: float) -> None:
    if not (low >= 0 and high <= 1):
        raise InputError(f"{name}: expected values from 0 to 1, got {low:g} to {high:g}")


def _exact(images: Float[Tensor, "n c h w"], _: torch.Generator) -> Float[Tensor, "n c h w"]:
    return images.clone()


def _noise(
    images: Float[Tensor, "n c h w"], generator: torch.Generator, size: float
) -> Float[Tensor, "n c h w"]:
    noise = torch.randn(images.shape, generator=generator, dtype=images.dtype)
    return (images + size * noise).clamp(0, 1)


def _brightness(
    images: Float[Tensor, "n c h w"], _: torch.Generator, factor: float
) -> Float[Tensor, "n c h w"]:
    return (factor * images).clamp(0, 1)


def _flip(images: Float[Tensor, "n c h w"], _: torch.Generator) -> Float[Tensor, "n c h w"]:
    return images.flip(-1)


def _shift(
    images: Float[Tensor, "n c h w"], generator: torch.Generator, pixels: int, fill: str
) -> Float[Tensor, "n c h w"]:
    """Shift each image in one of eight directions; what leaves it comes in again, or its edge goes on."""
    height, width = images.shape[-2:]
    padded = F.pad(images, [pixels] * 4, mode=fill)
    chosen = torch.randint(len(DIRECTIONS), (len(images),), generator=generator).tolist()
    shifted = torch.empty_like(images)
    for index, direction in enumerate(chosen):
        down, right = DIRECTIONS[direction]
        top = pixels - down * pixels
        left = pixels - right * pixels
        shifted[index] = padded[index, :, top : top + height, left : left + width]
    return shifted


def _blur(images: Float[Tensor, "n c h w"], _: torch.Generator) -> Float[Tensor, "n c h w"]:
    """Mean of 3 x 3 pixels, the edge repeated."""
    return F.avg_pool2d(F.pad(images, [1] * 4, mode="replicate"), 3, stride=1)


def _crop(images: Float[Tensor, "n c h w"], _: torch.Generator, pixels: int) -> Float[Tensor, "n c h w"]:
    """Cut `pixels` off each side and resize what is left to the size before (bicubic, as Pillow does)."""
    inner = images[..., pixels:-pixels, pixels:-pixels]
    size = [images.shape[-2], images.shape[-1]]
    return F.interpolate(inner, size, mode="bicubic", antialias=True).clamp(0, 1)


def _jpeg(images: Float[Tensor, "n c h w"], _: torch.Generator, quality: int) -> Float[Tensor, "n c h w"]:
    """Round to 8 bits and compress each image by Pillow."""
    levels = (255 * images).round().byte().movedim(1, -1)
    read = [_through_jpeg(image, quality) for image in levels.numpy()]
    return torch.from_numpy(np.stack(read)).movedim(-1, 1).to(images.dtype) / 255


def _through_jpeg(levels: np.ndarray, quality: int) -> np.ndarray:
    """Give the 8-bit picture [h, w, c] as it comes back from a JPEG file."""
    picture = Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)
    file = io.BytesIO()
    picture.save(file, format="JPEG", quality=quality)
    with Image.open(file) as again:
        return np.array(again).reshape(levels.shape)


def _all_of(
    images: Float[Tensor, "n c h w"], generator: torch.Generator, edits: tuple[Edit, ...]
) -> Float[Tensor, "n c h w"]:
    for edit in edits:
        images = edit(images, generator)
    return images


_shift_1 = partial(_shift, pixels=1, fill="circular")
_jpeg_50 = partial(_jpeg, quality=50)
_crop_1 = partial(_crop, pixels=1)
_noise_5 = partial(_noise, size=0.05)

EDITS: Mapping[str, Edit] = MappingProxyType(
    {
        "exact": _exact,
        "noise 0.05": _noise_5,
        "noise 0.1": partial(_noise, size=0.1),
        "noise 0.2": partial(_noise, size=0.2),
        "brightness 0.8": partial(_brightness, factor=0.8),
        "brightness 1.2": partial(_brightness, factor=1.2),
        "shift 1": _shift_1,
        "shift 2": partial(_shift, pixels=2, fill="circular"),
        "shift 1, edge": partial(_shift, pixels=1, fill="replicate"),
        "shift 2, edge": partial(_shift, pixels=2, fill="replicate"),
        "flip": _flip,
        "blur": _blur,
        "jpeg 50": _jpeg_50,
        "jpeg 20": partial(_jpeg, quality=20),
        "crop 1": _crop_1,
        "crop 2": partial(_crop, pixels=2),
        "flip, shift 1, jpeg 50": partial(_all_of, edits=(_flip, _shift_1, _jpeg_50)),
        "crop 1, noise 0.05": partial(_all_of, edits=(_crop_1, _noise_5)),
    }
)
