"""The images of an audit on its page: what is shown of them, and as how many bytes."""

import base64
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from PIL import Image
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.records.audit import AuditRecord

Which = Literal["samples", "train", "holdout"]
LARGEST = 192  # pixels of the longer side of a picture on the page
COARSE = 64  # pixels up to which a picture is shown with its pixels as squares
AROUND = 300  # bytes of a picture beside its pixels: the head of a PNG and the tag


@dataclass(frozen=True, eq=False)
class AuditPictures:
    """The images that a page of an audit shows. Items that are no images have no pictures.

    Attributes:
        samples: all samples, in the order of the record. [m, channels, height, width]
        train: all training images. [n, channels, height, width]
        holdout: all held-out images, where there are any. [k, channels, height, width]
        registered: by the position of a sample, its training image after flip, shift and the like, laid on
            the sample. Each [channels, height, width]

    Values from 0 to 1 are shown as black to white; where the training set has others, its smallest is black
    and its largest white.
    """

    samples: Shaped[Tensor, " m *item"]
    train: Shaped[Tensor, " n *item2"]
    holdout: Shaped[Tensor, " k *item3"] | None = None
    registered: Mapping[int, Tensor] = field(default_factory=dict)

    @cached_property
    def span(self) -> tuple[float, float]:
        """The values that are black and white."""
        low = float(self.train.min())
        high = float(self.train.max())
        return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)

    @property
    def are_images(self) -> bool:
        """Whether the items can be shown."""
        return self.train.ndim == 4

    def of(self, which: Which) -> Shaped[Tensor, " m *item"]:
        """One of the sets.

        Raises:
            InputError: if there are no held-out images.
        """
        items = getattr(self, which)
        if items is None:
            raise InputError("holdout: expected held-out images, got none")
        return items


def check_pictures(record: AuditRecord, pictures: AuditPictures) -> None:
    """Refuse pictures that are not those of the record.

    Raises:
        InputError: if a set has another number of items than the record says, or is missing, or the record
            names an item that is not among them.
    """
    for one in record.sets:
        count = len(pictures.of(one.name))
        if count != one.count:
            raise InputError(f"pictures.{one.name}: expected {one.count:,} items, got {count:,}")
    for which, places in _places(record).items():
        most = len(pictures.of(which)) - 1
        wrong = [place for place in places if not 0 <= place <= most]
        if wrong:
            raise InputError(f"record: expected items 0 to {most} of {which}, got {wrong[0]}")


def _places(record: AuditRecord) -> dict[Which, list[int]]:
    """The positions of all items that the record names."""
    train = [one.nearest for one in record.samples]
    train += [one.index for one in record.most_copied]
    train += [index for group in record.duplicates for index in group.items]
    train += [one.train for one in record.shared]
    places: dict[Which, list[int]] = {"samples": [one.index for one in record.samples], "train": train}
    if record.shared:
        places["holdout"] = [one.index for one in record.shared]
    return places


def png(image: Shaped[Tensor, "c h w"], span: tuple[float, float], side: int) -> tuple[bytes, int, int]:
    """An image as PNG with sides of at most `side`, and its width and height.

    Of two channels the first is shown, of more than three the first three.
    """
    picture = _reduced(_picture(image, span), side)
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=True)
    return buffer.getvalue(), picture.width, picture.height


def _picture(image: Shaped[Tensor, "c h w"], span: tuple[float, float]) -> Image.Image:
    levels = _levels(image, span)
    return Image.fromarray(np.ascontiguousarray(levels[..., 0] if levels.shape[-1] == 1 else levels))


def _levels(image: Shaped[Tensor, "c h w"], span: tuple[float, float]) -> UInt8[np.ndarray, "h w shown"]:
    """Bytes, channels last."""
    levels = 255 * _in_unit(_shown(image), span)
    return levels.round().to(torch.uint8).movedim(0, -1).cpu().numpy()


def _shown(image: Shaped[Tensor, "c h w"]) -> Shaped[Tensor, "shown h w"]:
    return image[: 3 if len(image) >= 3 else 1]


def _in_unit(image: Shaped[Tensor, "c h w"], span: tuple[float, float]) -> Float[Tensor, "c h w"]:
    """The span of values brought to [0, 1]; what lies outside is cut."""
    low, high = span
    scaled = (image.to(torch.float64) - low) / max(high - low, 1e-12)
    return scaled.nan_to_num().clamp(0, 1)


def _reduced(picture: Image.Image, side: int) -> Image.Image:
    factor = side / max(picture.size)
    if factor >= 1:
        return picture
    return picture.resize(_size(picture, factor), Image.Resampling.BOX)


def _size(picture: Image.Image, factor: float) -> tuple[int, int]:
    width, height = (max(1, round(factor * length)) for length in picture.size)
    return width, height


def side_for(count: int, channels: int, most_bytes: int) -> int:
    """The longer side, in pixels, at which so many pictures take at most so many bytes in the page.

    A picture of c channels and sides of s has at most c s^2 bytes, and 4/3 of them in the text of the page.

    >>> side_for(90, 3, 2_500_000), side_for(10, 1, 2_500_000)
    (82, 192)
    """
    each = most_bytes / max(count, 1) - AROUND
    side = math.isqrt(max(int(each * 3 / 4 / min(max(channels, 1), 3)), 1))
    return min(max(side, 8), LARGEST)


@dataclass(frozen=True)
class Frames:
    """Pictures as tags, at most `side` pixels wide and high."""

    pictures: AuditPictures
    side: int

    def tag(self, which: Which, index: int, alt: str) -> str:
        """An item of a set."""
        return self._tag(self.pictures.of(which)[index], alt)

    def registered(self, index: int, alt: str) -> str:
        """The training image laid on a sample; empty where there is none."""
        image = self.pictures.registered.get(index)
        return "" if image is None else self._tag(image, alt)

    def _tag(self, image: Shaped[Tensor, "c h w"], alt: str) -> str:
        content, width, height = png(image, self.pictures.span, self.side)
        look = ' class="coarse"' if max(width, height) <= COARSE else ""
        data = base64.b64encode(content).decode()
        size = f'width="{width}" height="{height}"'
        return f'<img{look} {size} alt="{alt}" src="data:image/png;base64,{data}">'
