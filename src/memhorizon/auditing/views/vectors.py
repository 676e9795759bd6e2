"""Views in which an item is a vector: its pixels, its place in main directions, its features."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Shaped
from torch import Tensor

from memhorizon.auditing.nearby import Nearby, nearest_groups, squared_distances_to_first
from memhorizon.auditing.position import position
from memhorizon.auditing.scores import Changes
from memhorizon.auditing.views.base import Found, Report
from memhorizon.files.mapped import rows_of

NEIGHBOURS = 4  # K of the statistic; 3 lose power against noise, 12 gain none
_NUMBERS = 1 << 24  # numbers in memory at a time
_MEASURED = 1 << 22  # of them that are differences, in 64 bits, several times over
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
        digest: of what was learned or given beside the items.
    """

    name: str
    compares: str
    note: str
    embed: Embed
    train: Float[Tensor, "n d"]
    group: Int[Tensor, " n"]
    digest: str = ""

    @property
    def neighbours(self) -> int:
        """K: fewer where there are few groups."""
        return min(NEIGHBOURS, int(self.group.max()))

    def find(
        self, queries: Float[Tensor, " q *item"], left_out: Int[Tensor, " q"] | None, report: Report
    ) -> Found:
        """See `View.find`."""
        vectors = self.embed(queries)
        near = self._nearest(vectors, left_out, report)
        statistic = self._statistics(vectors, near.index)
        return Found(
            statistic, near.index[:, 0].numpy(), {"reach": near.distance[:, -1], "index": near.index}
        )

    def _nearest(
        self, vectors: Float[Tensor, "q d"], left_out: Int[Tensor, " q"] | None, report: Report
    ) -> Nearby:
        """The nearest training items of different groups, of so many vectors at a time."""
        rows = max(256, _NUMBERS // vectors.shape[1])
        parts = []
        for start in range(0, len(vectors), rows):
            some = slice(start, start + rows)
            own = None if left_out is None else left_out[some]
            within = _within(report, start, min(rows, len(vectors) - start), len(vectors))
            parts.append(nearest_groups(vectors[some], self.train, self.group, self.neighbours, own, within))
            report(min(start + rows, len(vectors)), len(vectors))
        return Nearby(torch.cat([part.distance for part in parts]), torch.cat([part.index for part in parts]))

    def _statistics(
        self, vectors: Float[Tensor, "q d"], index: Int[Tensor, "q K"]
    ) -> Float64[np.ndarray, " q"]:
        """The statistics of items among training items."""
        rows = self._rows()
        pairs = zip(vectors.split(rows), index.split(rows), strict=True)
        return torch.cat([_statistic(some, rows_of(self.train, i)) for some, i in pairs]).numpy()

    def _rows(self) -> int:
        """Queries whose neighbours are in memory at a time."""
        return max(1, _MEASURED // (self.train.shape[1] * (self.neighbours + 1)))

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
        index = found.state["index"]
        item, row = _pairs_within(vectors, others, found.state["reach"])
        values = [np.empty(0)]
        for i, j in zip(item.split(self._rows()), row.split(self._rows()), strict=True):
            points = torch.cat([rows_of(self.train, index[i]), others[j][:, None]], 1)
            values.append(_statistic(vectors[i], points, index.shape[1]).numpy())
            report(sum(map(len, values)), len(item))
        return Changes(row.numpy(), item.numpy(), np.concatenate(values))


def _within(report: Report, start: int, count: int, total: int) -> Report:
    """Tells of some queries of all, for which so many of the training items were searched."""
    return lambda done, of: report(start + count * done // of, total)


def _statistic(
    items: Float[Tensor, "p d"], points: Float[Tensor, "p K d"], k: int | None = None
) -> Float64[Tensor, " p"]:
    """The statistic of each item among the k nearest of its points, of all if that is None."""
    points = points.double()
    # direct differences in 64 bits: the places on short lines are differences of large squares
    r2 = (points - items.double()[:, None]).square().sum(2)
    r2, order = r2.sort(dim=1, stable=True)
    points = points.gather(1, order[:, :k, None].expand(-1, -1, points.shape[2]))
    return position(r2[:, :k], squared_distances_to_first(points))


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
