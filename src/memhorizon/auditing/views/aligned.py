"""The view that registers pictures: a learned descriptor finds candidates, alignment decides.

Of each picture the nearest training pictures by descriptor are candidates; the best of them by correlation
are fitted to it; the statistic is that of `position`, on distances in the frame of the picture. Copies that
were flipped, moved, cropped, brightened or blurred are found here.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from memhorizon.auditing.alignment import Fit, align, correlate
from memhorizon.auditing.descriptor import Descriptor
from memhorizon.auditing.nearby import Ordered, first_in_groups, squared_distances_to_first
from memhorizon.auditing.position import farthest_foot, position_by_structure
from memhorizon.auditing.scores import Changes
from memhorizon.auditing.views.base import Found, Report
from memhorizon.auditing.views.reduced import in_unit

SHORTLIST = 24  # candidates that the descriptor gives
FITTED = 8  # of them that are fitted
TOGETHER = 32  # pictures at a time
_ASKED = 256  # pictures of which the descriptors are compared at a time, at most
_NUMBERS = 1 << 24  # similarities in memory at a time
_SPARE = 8  # candidates looked at beyond the shortlist; duplicates take the places of others
_JUMP = 1 / 14  # of a side: how far the pictures are moved whose descriptors are looked up as well
_FLOOR = 3e-5  # of the variance of a picture: a squared distance that counts as none


@dataclass(frozen=True, eq=False, repr=False)
class AlignedView:
    """The view that registers pictures.

    Attributes:
        note: what was left out or reduced.
        descriptor: finds candidates; learned from training pictures that are no reference.
        train: training pictures with values from 0 to 1. [n, c, h, w]
        places: their descriptors. [n, d]
        group: number of the group of duplicates of each. [n]
        limits: smallest and largest value that a pixel of the items that are asked about can have.
        digest: of what was learned.
    """

    note: str
    descriptor: Descriptor
    train: Float[Tensor, "n c h w"]
    places: Float[Tensor, "n d"]
    group: Int[Tensor, " n"]
    limits: tuple[float, float]
    digest: str = ""
    name: str = "aligned"
    compares: str = (
        "a picture with training pictures that are flipped, scaled, moved and brightened to fit it"
    )

    def find(
        self, queries: Float[Tensor, "q c h w"], left_out: Int[Tensor, " q"] | None, report: Report
    ) -> Found:
        """See `View.find`."""
        pictures = in_unit(queries, self.limits)
        candidates, reach = self._all_candidates(pictures, left_out)
        statistics = []
        nearest = []
        for y, index in zip(pictures.split(TOGETHER), candidates.split(TOGETHER), strict=True):
            statistic, order = self._statistic(y, self.train[index])
            statistics.append(statistic)
            nearest.append(index.gather(1, order)[:, 0])
            report(sum(map(len, nearest)), len(queries))
        state = {"candidates": candidates, "reach": reach}
        return Found(torch.cat(statistics).double().numpy(), torch.cat(nearest).numpy(), state)

    def _asked(self) -> int:
        """Pictures of which the descriptors are compared at a time."""
        return max(1, min(_ASKED, _NUMBERS // len(self.train)))

    def _all_candidates(
        self, queries: Float[Tensor, "q c h w"], left_out: Int[Tensor, " q"] | None
    ) -> tuple[Int[Tensor, "q K"], Float[Tensor, " q"]]:
        """As `_candidates`, of so many pictures at a time."""
        indices = []
        reaches = []
        size = self._asked()
        for start in range(0, len(queries), size):
            some = slice(start, start + size)
            own = None if left_out is None else left_out[some]
            index, reach = self._candidates(queries[some], own)
            indices.append(index)
            reaches.append(reach)
        return torch.cat(indices), torch.cat(reaches)

    def _candidates(
        self, queries: Float[Tensor, "q c h w"], left_out: Int[Tensor, " q"] | None
    ) -> tuple[Int[Tensor, "q K"], Float[Tensor, " q"]]:
        """Training pictures of different groups that are most similar, the most similar first.

        With them the similarity that a picture must exceed to be one of them: that of the last.
        """
        similarity = self._similarity(queries, self.places)

        def search(rows: Int[Tensor, " r"], size: int) -> Ordered:
            values, places = similarity[rows].topk(size, dim=1)
            return values, places

        k = min(SHORTLIST, int(self.group.max()) + 1 - (left_out is not None))
        value, index = first_in_groups(search, len(queries), self.group, left_out, k, spare=_SPARE)
        if k < SHORTLIST:  # there is room for one more
            return index, torch.full((len(queries),), -torch.inf)
        return index, value[:, -1].to(similarity.dtype)

    def _similarity(
        self, queries: Float[Tensor, "q c h w"], places: Float[Tensor, "n d"]
    ) -> Float[Tensor, "q n"]:
        """The largest similarity of descriptors over the picture, it flipped, and it moved."""
        best = self.descriptor(queries) @ places.T
        for moved in _moved(queries):
            torch.maximum(best, self.descriptor(moved) @ places.T, out=best)
        return best

    def _statistic(
        self, y: Float[Tensor, "q c h w"], candidates: Float[Tensor, "q K c h w"]
    ) -> tuple[Float[Tensor, " q"], Int[Tensor, "q F"]]:
        """The statistic of pictures among their candidates, and the order of these, the best first."""
        correlation, place = correlate(y, candidates)
        best = correlation.topk(min(FITTED, candidates.shape[1]), dim=1).indices
        chosen = candidates[torch.arange(len(y))[:, None], best]
        fit = align(y, chosen, place.gather(1, best[:, :, None].expand(-1, -1, 4)))
        statistic, order = _of_fit(y, fit)
        return statistic, best.gather(1, order)

    def changes(
        self,
        items: Float[Tensor, "R c h w"],
        left_out: Int[Tensor, " R"],
        found: Found,
        joining: Float[Tensor, "j c h w"],
        report: Report,
    ) -> Changes:
        """See `View.changes`: only an item that has a joining one among its candidates can change."""
        pictures = in_unit(items, self.limits)
        others = in_unit(joining, self.limits)
        item, row = self._pairs(pictures, found.state["reach"], self.descriptor(others))
        if not len(item):
            return Changes.none()
        kept = found.state["candidates"][:, : SHORTLIST - 1]  # the last one makes room
        values = [np.empty(0)]
        parts = list(zip(item.split(TOGETHER), row.split(TOGETHER), strict=True))
        for done, (i, j) in enumerate(parts):
            candidates = torch.cat([self.train[kept[i]], others[j][:, None]], 1)
            statistic, _ = self._statistic(pictures[i], candidates)
            values.append(statistic.double().numpy())
            report(done + 1, len(parts))
        return Changes(row.numpy(), item.numpy(), np.concatenate(values))

    def _pairs(
        self, items: Float[Tensor, "R c h w"], reach: Float[Tensor, " R"], places: Float[Tensor, "j d"]
    ) -> tuple[Int[Tensor, " p"], Int[Tensor, " p"]]:
        """Pairs of an item and a joining one that is more similar to it than its last candidate."""
        firsts = []
        seconds = []
        for start in range(0, len(items), _ASKED):
            some = slice(start, start + _ASKED)
            i, j = (self._similarity(items[some], places) > reach[some, None]).nonzero(as_tuple=True)
            firsts.append(i + start)
            seconds.append(j)
        return torch.cat(firsts), torch.cat(seconds)


def _of_fit(y: Float[Tensor, "q c h w"], fit: Fit) -> tuple[Float[Tensor, " q"], Int[Tensor, "q F"]]:
    """The statistic of pictures among candidates fitted to them, and the order of these, the best first."""
    rest = y.flatten(1)[:, None] - fit.fitted
    # order by the mean squared misfit, each over what is known of the candidate
    misfit = (rest.square() * fit.inside).sum(2) / fit.inside.sum(2).clamp_min(1)
    order = misfit.argsort(dim=1, stable=True)
    turned = order[:, :, None].expand_as(rest)
    # all compared where the best is known
    known = fit.inside.gather(1, turned)[:, :1]
    left = rest.gather(1, turned) * known
    spread = y.flatten(1) - y.flatten(1).mean(1, keepdim=True)
    small = _FLOOR * (spread.square() * known[:, 0]).sum(1)
    left = left.view(*left.shape[:2], *y.shape[1:])
    # noise is seen less in the foot of the pictures as they are, compression less in that of smooth ones
    foot = (_foot(left, small) * _foot(_smooth(left), small)).sqrt()
    return position_by_structure(foot, structure(left), small), order


def _foot(left: Float[Tensor, "q F c h w"], small: Float[Tensor, " q"]) -> Float[Tensor, " q"]:
    """The farthest foot of pictures, of what is left of them without each candidate, the best first."""
    left = left.flatten(2)
    # y - a_k - (y - a_1) = a_1 - a_k
    return farthest_foot(left.square().sum(2), squared_distances_to_first(left), small)


def _smooth(left: Float[Tensor, "q F c h w"]) -> Float[Tensor, "q F c h w"]:
    """The mean over 3x3 pixels, nothing outside."""
    return F.avg_pool2d(left.flatten(0, 1), 3, stride=1, padding=1).view(left.shape)


def structure(rest: Float[Tensor, "q F c h w"]) -> Float[Tensor, "q F"]:
    """The part of the squared length of pictures that is structure: what neighbouring pixels have in common.

    A(e) = (1/2) sum_p e(p) (e(p + right) + e(p + down)) has the expectation 0 for white noise, is below 0 for
    most traces of JPEG, and about a third of |e|^2 between different pictures.
    """
    along = (rest[..., 1:] * rest[..., :-1]).sum((2, 3, 4))
    down = (rest[..., 1:, :] * rest[..., :-1, :]).sum((2, 3, 4))
    return (along + down) / 2


def _moved(x: Float[Tensor, "q c h w"]) -> list[Float[Tensor, "q c h w"]]:
    """The pictures flipped, and moved in four directions."""
    down = max(1, round(x.shape[-2] * _JUMP))
    right = max(1, round(x.shape[-1] * _JUMP))
    steps = ((down, 0), (-down, 0), (0, right), (0, -right))
    return [x.flip(-1), *(torch.roll(x, step, (-2, -1)) for step in steps)]
