"""Two views of what is there as it is: all pixels, and their main directions."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from memhorizon.auditing.views.vectors import VectorView
from memhorizon.files.digests import digest_of
from memhorizon.files.mapped import by_blocks, rows_of

MOST_DIRECTIONS = 96  # fewer are blinder to noise, more to compression
_LEAST = 1e-10  # of the largest variance: directions of less have no numbers to be read from
SHARE = 4  # a direction for so many numbers of an item, and for so many items, at most
LOOKED_AT = 2000  # items that the directions are read from


def pixels(train: Float[Tensor, " n *item"], group: Int[Tensor, " n"], note: str) -> VectorView:
    """The view of all numbers of an item."""
    rows = train.flatten(1)
    return VectorView("pixels", "all numbers of an item", note, lambda items: items.flatten(1), rows, group)


def coarse(
    train: Float[Tensor, " n *item"], group: Int[Tensor, " n"], rest: Int[Tensor, " r"], note: str
) -> VectorView:
    """The view of main directions: what noise and compression add lies mostly outside of them.

    Args:
        train: training items.
        group: number of the group of duplicates of each.
        rest: those of them from which the directions are read, none of them a reference item.
        note: what the items were reduced to.
    """
    rows = train.flatten(1)
    mean, directions = main_directions(rows_of(rows, rest[:LOOKED_AT]), MOST_DIRECTIONS)

    def embed(items: Float[Tensor, " q *item"]) -> Float[Tensor, "q d"]:
        return (items.flatten(1) - mean) @ directions

    words = f"an item in the {directions.shape[1]} main directions of the training set"
    return VectorView("coarse", words, note, embed, by_blocks(embed, train), group, digest_of(directions))


def main_directions(
    rows: Float[Tensor, "n d"], most: int
) -> tuple[Float[Tensor, " d"], Float[Tensor, "d k"]]:
    """Mean and main directions of vectors, the largest variance first; none in which they are all equal.

    Args:
        rows: vectors.
        most: directions; fewer of short vectors, and of few.
    """
    n, d = rows.shape
    count = max(2, min(most, d // SHARE, n // SHARE))
    mean = rows.mean(0)
    centred = (rows - mean).double()
    # of the smaller of X'X and XX'; in both cases X = U S V'
    is_tall = d <= n
    square, vectors = torch.linalg.eigh(centred.T @ centred if is_tall else centred @ centred.T)
    kept = (square > _LEAST * square[-1]).sum().clamp_min(1)
    square = square[-kept:].flip(0)[:count]
    vectors = vectors[:, -kept:].flip(1)[:, :count]
    tiny = torch.finfo(torch.float64).tiny
    directions = vectors if is_tall else centred.T @ vectors / square.clamp_min(tiny).sqrt()
    return mean, directions.to(rows.dtype)
