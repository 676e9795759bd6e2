"""Views in which an item is a vector: its pixels, its place in main directions, its features."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from memhorizon.auditing.nearby import Nearby, nearest_groups, squared_distances_to_first
from memhorizon.auditing.position import position
from memhorizon.auditing.scores import Changes
from memhorizon.auditing.views.base import Found, Report

NEIGHBOURS = 4  # K of the statistic; 3 lose power against noise, 12 gain none
_NUMBERS = 1 << 24  # numbers in memory at a time
_TOLERANCE = 1e-4  # relative: what ranking squared distances by a matrix product may be off

Embed = Callable[[Float[Tensor, " q *item"]], Float[Tensor, "q d"]]


@dataclass(frozen=True, eq=False, repr=False)
class VectorView:
    """A view that compares vectors.

    Attributes:
        name: of the view.
        compares: what it compares, in words.
        note: what was left out or reduced.
        embed: gives the vectors of items.
        train: vectors of the training items. [n, d]
        group: number of the group of duplicates of each. [n]
    """

    name: str
    compares: str
    note: str
    embed: Embed
    train: Float[Tensor, "n d"]
    group: Int[Tensor, " n"]

    @property
    def neighbours(self) -> int:
        """K: fewer where there are few groups."""
        return min(NEIGHBOURS, int(self.group.max()))

    def find(
        self, queries: Float[Tensor, " q *item"], left_out: Int[Tensor, " q"] | None, report: Report
    ) -> Found:
        """See `View.find`."""
        vectors = self.embed(queries)
        rows = max(256, _NUMBERS // vectors.shape[1])
        parts = []
        for start in range(0, len(vectors), rows):
            some = slice(start, start + rows)
            own = None if left_out is None else left_out[some]
            parts.append(nearest_groups(vectors[some], self.train, self.group, self.neighbours, own))
            report(min(start + rows, len(vectors)), len(vectors))
        distance = torch.cat([part.distance for part in parts])
        index = torch.cat([part.index for part in parts])
        statistic = self._statistic(Nearby(distance, index))
        state = {"distance": distance, "index": index}
        return Found(statistic.numpy(), index[:, 0].numpy(), state)

    def _statistic(self, nearby: Nearby) -> Float[Tensor, " q"]:
        """The statistic, from distances that are known."""
        rows = self._rows()
        parts = [squared_distances_to_first(self.train[i].double()) for i in nearby.index.split(rows)]
        return position(nearby.distance.square(), torch.cat(parts))

    def _rows(self) -> int:
        """Queries whose neighbours are in memory at a time."""
        return max(1, _NUMBERS // (self.train.shape[1] * (self.neighbours + 1)))

    def changes(
        self,
        items: Float[Tensor, " R *item"],
        left_out: Int[Tensor, " R"],
        found: Found,
        joining: Float[Tensor, " j *item"],
        report: Report,
    ) -> Changes:
        """See `View.changes`: only an item that has a joining one among its K nearest can change."""
        vectors = self.embed(items)
        others = self.embed(joining)
        nearby = Nearby(found.state["distance"], found.state["index"])
        item, row = _pairs_within(vectors, others, nearby.distance[:, -1])
        values = [np.empty(0)]
        for i, j in zip(item.split(self._rows()), row.split(self._rows()), strict=True):
            values.append(self._joined(vectors[i], others[j], nearby.index[i]))
            report(sum(map(len, values)), len(item))
        return Changes(row.numpy(), item.numpy(), np.concatenate(values))

    def _joined(
        self, items: Float[Tensor, "p d"], other: Float[Tensor, "p d"], index: Int[Tensor, "p K"]
    ) -> Float[np.ndarray, " p"]:
        """The statistics of items, each with one more item beside its K nearest."""
        points = torch.cat([self.train[index], other[:, None]], 1).double()
        r2 = (items.double()[:, None] - points).square().sum(2)
        r2, order = r2.sort(dim=1, stable=True)
        points = points.gather(1, order[:, :, None].expand_as(points))[:, :-1]
        return position(r2[:, :-1], squared_distances_to_first(points)).numpy()


def _pairs_within(
    items: Shaped[Tensor, "R d"], others: Shaped[Tensor, "j d"], reach: Float[Tensor, " R"]
) -> tuple[Int[Tensor, " p"], Int[Tensor, " p"]]:
    """Pairs (item, other) within the reach of the item and, for rounding, some that are hardly beyond."""
    centre = items.mean(0)
    a = items - centre
    b = others - centre
    length_a = a.square().sum(1)
    length_b = b.square().sum(1)
    limit = reach.square().to(a.dtype)
    rows = max(1, _NUMBERS // max(len(items), 1))
    firsts = []
    seconds = []
    for start in range(0, len(b), rows):
        some = slice(start, start + rows)
        slack = _TOLERANCE * (length_a[:, None] + length_b[some])
        # |a - b|^2 = |a|^2 - 2 a.b + |b|^2
        near = length_a[:, None] - 2 * a @ b[some].T + length_b[some] <= limit[:, None] + slack
        i, j = near.nonzero(as_tuple=True)
        firsts.append(i)
        seconds.append(j + start)
    return torch.cat(firsts), torch.cat(seconds)
