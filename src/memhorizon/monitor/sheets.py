"""The contact sheet of a look: samples beside their nearest training images, the closest first."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from memhorizon.monitor.copies import Found
from memhorizon.records.monitor import SheetRow

GAP = 2  # pixels between pictures
LEAST_SIDE = 56  # of a picture on the sheet; smaller ones are enlarged by whole factors
PAIRS = 4  # in a row of the sheet
COPY = (200, 40, 40)
PAPER = (255, 255, 255)


@dataclass(frozen=True, eq=False)
class SheetItems:
    """The items of a contact sheet.

    Attributes:
        samples: the samples. [k, *item]
        nearest: the training item nearest to each. [k, *item]
        rows: what is known of each pair.
    """

    samples: Float[Tensor, " k *item"]
    nearest: Float[Tensor, " k *item"]
    rows: tuple[SheetRow, ...]

    @classmethod
    def of(cls, samples: Tensor, seeds: list[int], found: Found, train: Tensor, count: int) -> "SheetItems":
        """Take the `count` samples with the smallest ratios.

        Args:
            samples: of the look. [m, *item]
            seeds: of the samples.
            found: what they are nearest to.
            train: training items. [n, *item]
            count: how many pairs are shown at most.
        """
        order = found.ratio.argsort(stable=True)[:count]
        nearest = found.nearest[order]
        rows = tuple(
            SheetRow(seeds[i], float(found.ratio[i]), int(found.nearest[i]), bool(found.is_copy[i]))
            for i in order.tolist()
        )
        kept = samples.detach().cpu().float()[order]
        return cls(kept, train[nearest.to(train.device)].detach().cpu().float(), rows)

    @property
    def are_pictures(self) -> bool:
        """Whether items are grey or colour pictures."""
        return self.samples.ndim == 4 and self.samples.shape[1] in (1, 3) and len(self.samples) > 0


def picture(items: SheetItems, limits: tuple[float, float]) -> bytes:
    """Draw a contact sheet as a PNG: pairs of a sample and its nearest training image, copies framed in red.

    Args:
        items: the pairs.
        limits: values that are black and white.
    """
    left = _pixels(items.samples, limits)
    right = _pixels(items.nearest, limits)
    tiles = [_pair(*pair) for pair in zip(left, right, items.rows, strict=True)]
    buffer = io.BytesIO()
    Image.fromarray(_in_lines(tiles)).save(buffer, format="PNG")
    return buffer.getvalue()


def _in_lines(tiles: list[UInt8[np.ndarray, "h w 3"]]) -> UInt8[np.ndarray, "H W 3"]:
    """The pairs side by side in lines, the last of which is filled up with white ones."""
    blank = np.full_like(tiles[0], 255)
    filled = [*tiles, *[blank] * (-len(tiles) % PAIRS)]
    lines = [np.concatenate(filled[k : k + PAIRS], 1) for k in range(0, len(filled), PAIRS)]
    return np.concatenate(lines, 0)


def _pixels(images: Float[Tensor, "k c h w"], limits: tuple[float, float]) -> UInt8[np.ndarray, "k h2 w2 3"]:
    low, high = limits
    scaled = ((images - low) / max(high - low, 1e-12)).clamp(0, 1)
    factor = max(1, -(-LEAST_SIDE // max(images.shape[-2:])))
    enlarged = scaled.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    colours = enlarged.expand(-1, 3, -1, -1).permute(0, 2, 3, 1)
    return torch.nan_to_num(colours * 255).round().byte().numpy()


def _pair(
    left: UInt8[np.ndarray, "h w 3"], right: UInt8[np.ndarray, "h w 3"], row: SheetRow
) -> UInt8[np.ndarray, "H W 3"]:
    """One pair with its frame, on paper."""
    height, width, _ = left.shape
    frame = COPY if row.is_copy else PAPER
    tile = np.full((height + 2 * GAP, 2 * width + 3 * GAP, 3), frame, dtype=np.uint8)
    tile[GAP : GAP + height, GAP : GAP + width] = left
    tile[GAP : GAP + height, 2 * GAP + width : 2 * GAP + 2 * width] = right
    margin = ((2 * GAP, 2 * GAP), (2 * GAP, 2 * GAP), (0, 0))
    return np.pad(tile, margin, constant_values=255)
