"""Near duplicates: items much nearer to one another than items of these data are.

How near is near is read off the data. With r_k the distance of an item to its k-th nearest, the number of
neighbours grows as N(r) = k (r / r_k)^D; two distances, r_k and r_2k, give the D of the data. The k-th
neighbour, not the first, sets the scale, so that it stays the same where every item occurs up to k times.
"""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from memhorizon.measure.memorization import duplicate_groups
from memhorizon.measure.neighbors import nearest, pairs_within
from memhorizon.measure.quality import pca_features

SHARE = 0.2  # of the distance to the k-th nearest; JPEG at quality 75 lies below, distinct pictures above
CHANCE = 1e-3  # share of items that may have a neighbour so near by chance: the bound in few dimensions
NEIGHBOUR = 5  # k, less among few items
FEWEST = 3  # smallest k that a scale is read from
LOOKED_AT = 1024  # items that the scale is read from
DIRECTIONS = (64, 256)  # main directions of a first, coarse search
LINKS = 100  # pairs per item that it may leave to be looked at again
_ROUNDING = 4 * torch.finfo(torch.float32).eps  # of a distance between two rounded vectors, per their length


def near_distance(items: Shaped[Tensor, " n *item"]) -> float:
    """Give the Euclidean distance below which items count as near duplicates; 0 among too few to tell.

    One fifth of the median distance r_k of a distinct item to its k-th nearest, k = 5; less in data of few
    dimensions, such that one item in a thousand has a neighbour so near by chance:
    k (r / r_k)^D n / m = 1e-3, for n items of which m were looked at.
    """
    points = torch.unique(items[:LOOKED_AT].flatten(1), dim=0) if len(items) else items
    m = len(points)
    k = min(NEIGHBOUR, (m - 1) // 2)
    if k < FEWEST:
        return 0.0
    distance, _ = nearest(points, points, k=2 * k + 1)  # the first is the point itself
    r_k = distance[:, k].double()
    r_2k = distance[:, 2 * k].double()
    # uniform data: log r_2k / r_k has the mean (1/k + ... + 1/(2k - 1)) / D
    inverse_dimension = float((r_2k / r_k).log().mean()) / sum(1 / j for j in range(k, 2 * k))
    chance = CHANCE * min(m, len(items)) / (k * len(items))
    return float(r_k.median()) * min(SHARE, chance**inverse_dimension)


def rule(distance: float) -> str:
    """Say in words which items count as duplicates.

    >>> rule(0.0)
    'exact: equal in every value'
    """
    exact = "exact: equal in every value"
    if distance == 0:
        return exact
    return (
        f"{exact}; near: Euclidean distance at most {distance:.4g}, which is {SHARE:g} of the median "
        f"distance to the {NEIGHBOUR}th nearest item, less where more than {CHANCE:g} of the items would "
        "have another so near by chance; chains join"
    )


def near_groups(items: Float[Tensor, " n *item"], distance: float) -> Int[Tensor, " n"]:
    """Do what `duplicate_groups` does, faster for large items: a first search in their main directions.

    A projection makes no distance longer, so items that are linked are linked there too. More directions are
    taken where a few link too many pairs (pictures like noise), and all of them where many do.
    """
    if not len(items):
        return torch.zeros(0, dtype=torch.int64)
    rows = items.flatten(1)
    for count in DIRECTIONS:
        if count >= rows.shape[1] or len(rows) <= LOOKED_AT:
            break
        main = _main_directions(rows, count)
        reach = distance + _ROUNDING * float(main.norm(dim=1).amax())
        some = main[:LOOKED_AT]
        linked = len(pairs_within(some, reach)[0]) * (len(main) / len(some)) ** 2
        if linked <= LINKS * len(main):
            return _refined(rows, duplicate_groups(main, distance=reach), distance)
    return duplicate_groups(rows, distance=distance)


def _main_directions(rows: Float[Tensor, "n d"], count: int) -> Float[Tensor, "n count"]:
    project = pca_features(rows[: 2 * count], count)
    return torch.cat([project(part) for part in rows.split(LOOKED_AT)]).float()


def _refined(rows: Float[Tensor, "n d"], coarse: Int[Tensor, " n"], distance: float) -> Int[Tensor, " n"]:
    """Search within each coarse group."""
    first = torch.arange(len(rows))  # the first item of each one's group
    order = coarse.sort(stable=True).indices
    for members in order.split(coarse.bincount().tolist()):
        if len(members) > 1:
            first[members] = members[_first_of(duplicate_groups(rows[members], distance=distance))]
    return torch.unique(first, return_inverse=True)[1]


def _first_of(group: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Give the place of the first item of each one's group; groups are numbered by first appearance."""
    order = group.sort(stable=True).indices
    size = group.bincount()
    return order[size.cumsum(0) - size][group]
