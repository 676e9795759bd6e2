"""Cells of the data: k-means."""

import torch
from jaxtyping import Float, Float64, Int, Shaped
from torch import Tensor

from memhorizon.devices import wide
from memhorizon.measure.neighbors import nearest_of

_ROUNDS = 100  # of k-means; what has not settled by then is taken as it is
_ROWS = 4096  # items brought to 64 bits at a time


def cells_of(
    train: Shaped[Tensor, "n d"], cells: int, seed: int
) -> tuple[Int[Tensor, " n"], Float64[Tensor, "cells d"]]:
    """Cut items into cells around centers; fewer than asked for where there are fewer distinct items.

    Args:
        train: items as rows.
        cells: how many.
        seed: of the items that the centers start from.

    Returns:
        The cell of each item, and the centers.

    Source: [arthur2007] Sec. 2
    """
    center = _spread_items(train, cells, torch.Generator().manual_seed(seed))
    label = nearest_center(train, center)
    for _ in range(_ROUNDS):
        center = _means(train, label, center)
        before = label
        label = nearest_center(train, center)
        if torch.equal(label, before):
            break
    return label, center


def nearest_center(rows: Shaped[Tensor, "m d"], center: Float64[Tensor, "cells d"]) -> Int[Tensor, " m"]:
    """Give the cell of each row, by the product: a tie, or nearly one, goes either way."""
    squared_length = center.square().sum(1)
    parts = []
    for some in rows.split(_ROWS):
        # |x - c|^2 - |x|^2 = |c|^2 - 2 x.c
        score = torch.addmm(squared_length, wide(some), center.T, alpha=-2)
        parts.append(score.argmin(1))
    return torch.cat(parts)


def _spread_items(
    train: Shaped[Tensor, "n d"], cells: int, generator: torch.Generator
) -> Float64[Tensor, "cells d"]:
    """Draw items as first centers, each with probability proportional to its squared distance to the others.

    Source: [arthur2007] Sec. 2.2
    """
    place = int(torch.randint(len(train), (1,), generator=generator))
    places = [place]
    squared = _squared_to(train, place)
    while len(places) < cells and float(squared.sum()) > 0:
        place = int(torch.multinomial(squared, 1, generator=generator))
        places.append(place)
        squared = torch.minimum(squared, _squared_to(train, place))
    return wide(train[places])


def _squared_to(train: Shaped[Tensor, "n d"], place: int) -> Float64[Tensor, " n"]:
    """Squared distance of every item to one of them, on the CPU; exactly 0 to an equal one."""
    return nearest_of(train, train[place : place + 1], 1)[0][:, 0].double().square().cpu()


def _means(
    train: Shaped[Tensor, "n d"], label: Int[Tensor, " n"], center: Float64[Tensor, "cells d"]
) -> Float[Tensor, "cells d"]:
    """The mean of every cell; a cell without an item keeps its center."""
    total = torch.zeros_like(center)
    for some, rows in zip(label.split(_ROWS), train.split(_ROWS), strict=True):
        total.index_add_(0, some, wide(rows))
    count = label.bincount(minlength=len(center))[:, None]
    return torch.where(count > 0, total / count.clamp(min=1), center)
