"""Duplicates: equal items, and near ones, much nearer to one another than items of these data are.

How near is near is read off the data. With r_k the distance of an item to its k-th nearest, the number of
neighbours grows as N(r) = k (r / r_k)^D; two distances, r_k and r_2k, give the D of the data. The k-th
neighbour, not the first, sets the scale, so that it stays the same where every item occurs up to k times.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float64, Int, Shaped
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from memhorizon.checks import check_choice, check_number
from memhorizon.files.digests import row_digests
from memhorizon.files.mapped import blocks, rows_of
from memhorizon.measure.features import pca_features
from memhorizon.measure.items import Items, as_items
from memhorizon.measure.neighbors import check_finite, nearest_of, pairs_within

SHARE = 0.2  # of the distance to the k-th nearest; JPEG at quality 75 lies below, distinct pictures above
CHANCE = 1e-3  # share of items that may have a neighbour so near by chance: the bound in few dimensions
NEIGHBOUR = 5  # k, less among few items
FEWEST = 3  # smallest k that a scale is read from
LOOKED_AT = 1024  # items that the scale is read from
DIRECTIONS = (64, 256)  # main directions of a first, coarse search
LINKS = 100  # pairs per item that it may leave to be looked at again
MOST_LINKS = 10_000_000  # such pairs of all items, which are in memory together
_ROUNDING = 4 * torch.finfo(torch.float32).eps  # of a distance between two rounded vectors, per their length


def duplicate_groups(items: Items, *, distance: float | str = "near") -> Int[Tensor, " n"]:
    """Number the groups of duplicates among items, as `gap_ratios` takes them for its `group`.

    Two items are linked where they are equal in every value, or their Euclidean distance over all entries is
    at most `distance`. A group is all items that links join: a and c are in one group if both are linked to
    b, however far they are from each other.

    Args:
        items: tensor, array, path or ImageSet, [n, *item].
        distance: in the unit of the items; 0 links equal items only. "near" takes a fifth of the median
            distance of an item to its fifth nearest, less where more than one item in a thousand would have
            another so near by chance (`near_distance`): the rule of `load_split`.

    Returns:
        Group numbers, counted from 0 in the order of first appearance, on the device of the items. [n]

    Raises:
        InputError: if `distance` is negative or another word, or the items cannot be used.

    >>> duplicate_groups([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [3.0, 4.1]], distance=0.2).tolist()
    [0, 1, 0, 1]
    """
    checked = as_items(items, "items")
    check_finite(checked, "items")
    return linked_groups(checked, _reach(distance, checked)).to(checked.device)


def _reach(distance: object, items: Shaped[Tensor, "n ..."]) -> float:
    """The distance as a number."""
    if isinstance(distance, str):
        check_choice("distance", distance, ("near",))
        return near_distance(items)
    return float(check_number("distance", distance, least=0))


def near_distance(items: Shaped[Tensor, "n ..."]) -> float:
    """Give the Euclidean distance below which items count as near duplicates; 0 among too few to tell.

    One fifth of the median distance r_k of a distinct item to its k-th nearest, k = 5; less in data of few
    dimensions, such that one item in a thousand has a neighbour so near by chance:
    k (r / r_k)^D n / m = 1e-3, for n items of which m were looked at.
    """
    n = len(items)
    points = torch.unique(items[:LOOKED_AT].flatten(1), dim=0) if n else items
    m = len(points)
    k = min(NEIGHBOUR, (m - 1) // 2)
    if k < FEWEST:
        return 0.0
    distance, _ = nearest_of(points, points, 2 * k + 1)  # the first is the point itself
    r_k = distance[:, k].double()
    r_2k = distance[:, 2 * k].double()
    # k (r / r_k)^D n / m = CHANCE, of which this is (r / r_k)^D
    chance = CHANCE * min(m, n) / (k * n)
    return float(r_k.median()) * min(SHARE, chance ** _inverse_dimension(r_k, r_2k, k))


def _inverse_dimension(r_k: Float64[Tensor, " m"], r_2k: Float64[Tensor, " m"], k: int) -> float:
    """1/D of uniform data, from E log r_2k / r_k = (1/k + ... + 1/(2k - 1)) / D."""
    steps = sum(1 / j for j in range(k, 2 * k))
    return float((r_2k / r_k).log().mean()) / steps


def rule(distance: float) -> str:
    """Put in words which items count as duplicates.

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


def linked_groups(items: Shaped[Tensor, "n ..."], distance: float) -> Int[Tensor, " n"]:
    """Number the groups of items, if any, linked by steps of at most `distance`; on the CPU.

    Of many large items the first search is one in their main directions. A projection makes no distance
    longer, so items that are linked are linked there too.
    """
    if not len(items):
        return torch.zeros(0, dtype=torch.int64)
    rows = items.flatten(1)
    coarse = _coarse_groups(rows, distance)
    if coarse is None:
        return direct_groups(rows, distance)
    return _refined(rows, coarse, distance)


def direct_groups(items: Shaped[Tensor, "n ..."], distance: float) -> Int[Tensor, " n"]:
    """Do what `linked_groups` does by one search in all directions."""
    rows = items.flatten(1)
    _, first, label = np.unique(row_digests(rows), return_index=True, return_inverse=True)
    if distance > 0:
        points = rows if len(first) == len(rows) else rows[torch.from_numpy(first)]
        label = _components(points, distance)[np.arange(len(rows)) if points is rows else label]
    return _by_appearance(label)


def _components(points: Shaped[Tensor, "m d"], distance: float) -> Int[np.ndarray, " m"]:
    """The component of each point in the graph of the pairs within the distance."""
    one, other = (side.cpu().numpy() for side in pairs_within(points, distance))
    graph = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(len(points),) * 2)
    return connected_components(graph, directed=False)[1]


def _by_appearance(label: Shaped[np.ndarray, " n"]) -> Int[Tensor, " n"]:
    """Number labels from 0 in the order in which they appear."""
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    place = first.argsort().argsort()
    return torch.from_numpy(place[inverse])


def _coarse_groups(rows: Shaped[Tensor, "n d"], distance: float) -> Int[Tensor, " n"] | None:
    """Groups linked in few directions; None where these link too many items, or there are few items.

    More directions are taken where a few link too many pairs: pictures like noise.
    """
    if len(rows) <= LOOKED_AT:
        return None
    for count in DIRECTIONS:
        if count >= rows.shape[1]:
            return None
        main = _main_directions(rows, count)
        reach = distance + _ROUNDING * float(main.norm(dim=1).amax())
        if _expected_pairs(main, reach) <= min(LINKS * len(main), MOST_LINKS):
            return direct_groups(main, reach)
    return None


def _main_directions(rows: Shaped[Tensor, "n d"], count: int) -> Shaped[Tensor, "n count"]:
    project = pca_features(rows[: 2 * count], count)
    main = torch.empty(len(rows), count)
    done = 0
    for part in blocks(rows, rows=LOOKED_AT):
        main[done : done + len(part)] = project(part)
        done += len(part)
    return main


def _expected_pairs(rows: Shaped[Tensor, "n d"], reach: float) -> float:
    """Linked pairs among all, as many for their number as among the first."""
    some = rows[:LOOKED_AT]
    found, _ = pairs_within(some, reach)
    return len(found) * (len(rows) / len(some)) ** 2


def _refined(rows: Shaped[Tensor, "n d"], coarse: Int[Tensor, " n"], distance: float) -> Int[Tensor, " n"]:
    """Search within each coarse group."""
    first = torch.arange(len(rows))  # the first item of each one's group
    for members in several(coarse):
        group = direct_groups(rows_of(rows, members), distance)
        first[members] = members[first_members(group)[group]]  # groups are numbered from 0 on
    return torch.unique(first, return_inverse=True)[1]


def first_members(group: Int[Tensor, " n"]) -> Int[Tensor, " g"]:
    """The place of the first item of each group, by the number of the group."""
    return torch.from_numpy(np.unique(group.cpu().numpy(), return_index=True)[1])


def several(group: Int[Tensor, " n"]) -> Iterator[Int[Tensor, " s"]]:
    """Yield the places of the items of each group of more than one, ascending."""
    order = group.sort(stable=True).indices
    size = group.bincount()
    end = size.cumsum(0)
    for number in (size > 1).nonzero().flatten().tolist():
        yield order[end[number] - size[number] : end[number]]
