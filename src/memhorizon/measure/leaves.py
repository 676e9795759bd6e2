"""Points cut into leaves that are near to few of the others, so that not every pair has to be looked at.

A leaf has its members and its visitors: all points that may be within some distance of a member, members
among them. The shorter that distance is beside the spread of the points, the fewer are the visitors. Where it
is as long, every point visits every leaf.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int, Shaped
from torch import Tensor

LEAF = 1024  # members at most
_SAVED = 0.95  # a cut that leaves more of the visitors of each member is not made
_ROUNDING = 1e-12  # relative: of sums of a few numbers in 64 bits
_DIRECTIONS = 64  # entries of a point that are looked at, the first
_LOOKED_AT = 1024  # members that show along which entry they spread most


@dataclass(frozen=True, eq=False)
class Leaf:
    """Some points, and those that may be near to one of them.

    Attributes:
        members: each point is a member of one leaf. [m]
        visitors: ascending. [v]
        box: entries by which the members were cut out, with their smallest and largest value.
    """

    members: Int[Tensor, " m"]
    visitors: Int[Tensor, " v"]
    box: dict[int, tuple[float, float]]


def leaves(points: Shaped[Tensor, "n d"], distance: float) -> Iterator[Leaf]:
    """Cut points into leaves, at the median of the entry in which members spread most.

    Args:
        points: finite.
        distance: which two points within it are member and visitor of a leaf.
    """
    every = torch.arange(len(points), device=points.device)
    waiting = [Leaf(every, every, {})]
    while waiting:
        leaf = waiting.pop()
        halves = _halves(points, leaf, distance) if len(leaf.members) > LEAF else []
        if halves:
            waiting.extend(halves)
        else:
            yield leaf


def _halves(points: Shaped[Tensor, "n d"], leaf: Leaf, distance: float) -> list[Leaf]:
    """Cut a leaf in two; nothing where all members are at one place, or hardly a visitor would be saved."""
    some = points[leaf.members[:: max(1, len(leaf.members) // _LOOKED_AT)], :_DIRECTIONS].double()
    along = int((some.amax(0) - some.amin(0)).argmax())
    place = points[leaf.members, along].double()
    is_low = place <= place.median()
    if bool(is_low.all()):
        return []
    halves = [_part(points, leaf, along, half, distance) for half in (is_low, ~is_low)]
    looked_at = sum(len(half.visitors) for half in halves) / 2  # of each member, where it was all visitors
    return halves if looked_at <= _SAVED * len(leaf.visitors) else []


def _part(points: Shaped[Tensor, "n d"], leaf: Leaf, along: int, kept: Tensor, distance: float) -> Leaf:
    """Some members of a leaf, and the visitors that are near enough to the box around them."""
    members = leaf.members[kept]
    place = points[members, along].double()
    box = {**leaf.box, along: (float(place.amin()), float(place.amax()))}
    near = _squared_distances(points, leaf.visitors, box) <= distance**2 * (1 + _ROUNDING)
    return Leaf(members, leaf.visitors[near], box)


def _squared_distances(
    points: Shaped[Tensor, "n d"], index: Int[Tensor, " v"], box: dict[int, tuple[float, float]]
) -> Float64[Tensor, " v"]:
    """Of some points from a box; two points are no nearer to each other than one is to a box of the other."""
    total = torch.zeros(len(index), dtype=torch.float64, device=points.device)
    for along, (low, high) in box.items():
        place = points[index, along].double()
        total += (low - place).clamp_min(0).maximum(place - high).square()
    return total
