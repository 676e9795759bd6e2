"""Exact nearest neighbours at the speed of the matrix product.

|a - b|^2 = |a|^2 - 2 a.b + |b|^2 turns the search into a matrix product, but cancels: in 32 bits an exact
copy can come out at distance 0.1. So the product only ranks. The few best are measured again by direct
differences in 64 bits, and a bound on the rounding of the ranking tells, row by row, whether a point that
was not measured again could belong to the answer; such rows are searched a second time, for every point
within the bound.
"""

import math
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, SupportsIndex, TypeAlias

import torch
from jaxtyping import Bool, Float, Float64, Int, Shaped
from torch import Tensor

from memhorizon.checks import check_number, check_whole
from memhorizon.devices import wide, widest_float
from memhorizon.errors import InputError
from memhorizon.files.mapped import blocks, ends, give_back, is_mapped
from memhorizon.files.plain import check_path, make_folder
from memhorizon.measure.items import Items, as_items, as_pair
from memhorizon.measure.leaves import Leaf, leaves
from memhorizon.measure.ranking import Frame, pairs_below, piece_rows, rank
from memhorizon.measure.search import Found, Keeper

if TYPE_CHECKING:
    Report: TypeAlias = Callable[[int, int], object]  # how many are done, of how many
else:  # checked by `nearest`
    Report = object

_SPARE = 4  # candidates kept beyond k; with fewer, near ties send more rows to the second search
_CHUNK = 1 << 26  # entries of samples placed at a time: 256 MB
# Where the training points are searched in spans, of which one at a time is in memory:
_SPAN = 1 << 25  # entries of one: 128 MB
_CHUNK_OF_SPAN = 1 << 24  # entries of samples placed at a time: 64 MB
_LARGEST = 1e150  # the squares of larger numbers overflow in 64 bits
_LARGEST_NARROW = 1e30  # distances between larger numbers may overflow in 32 bits
_TINY = 1e-140  # the squares of differences below this lose digits in 64 bits, below 1e-162 all of them
_ENLARGED = 2.0**700  # brings the smallest number of 64 bits, 5e-324, to 3e-113
_NARROW = {torch.float32, torch.float16, torch.bfloat16, torch.uint8, torch.int8, torch.int16, torch.bool}


def nearest(
    samples: Items,
    train: Items,
    *,
    k: SupportsIndex = 2,
    chunk: SupportsIndex | None = None,
    same_units: bool = False,
    cache: str | os.PathLike[str] | None = None,
    progress: Report | None = None,
) -> tuple[Float[Tensor, "m k"], Int[Tensor, "m k"]]:
    """Find the k nearest training points of every sample, exactly.

    Distances are Euclidean over all entries of an item and come from direct differences in 64 bits: an exact
    copy is at distance exactly 0. Neighbours come nearest first, equal distances by the lower index.

    A set may be larger than the memory: of an array that NumPy has mapped (`np.load(..., mmap_mode="r")`),
    and of a .npy file of 32-bit floats of 256 MB or more, a part at a time is read. Beside the answer that
    takes about half a gigabyte. The other set may then be on a GPU, which does the work.

    Args:
        samples: the points asked about, [m, *item]: tensor or array of any real type, path or ImageSet.
        train: the points searched, [n, *item], on the same device. Integer pixels beside floats from 0 to 1
            are brought to that range.
        k: how many neighbours.
        chunk: samples handled at a time; by default as many as fit 256 MB. It never changes the result.
        same_units: vouch that both sets have one unit; their ranges are then not compared, and nothing is
            brought to another range.
        cache: a folder where a file keeps what was found, so that the same search resumes where it was ended,
            with the same result to the bit.
        progress: called with the number of training points that were searched, and that of all.

    Returns:
        Distances [m, k] (32-bit; 64-bit if an input has more than 24 bits or values above 1e30) and indices
        into `train` [m, k], on the device of the inputs (on the CPU where that has no 64 bits).

    Raises:
        InputError: if types, shapes, devices or evidently the units do not match, k is not within 1..n, a
            value is not finite, or no file can be written in `cache`.
    """
    a, b = as_pair(samples, train, ("samples", "train"), same_units=same_units)
    check_whole("k", k)
    k = int(k)
    if not 1 <= k <= len(b):
        raise InputError(f"k: expected 1 to {len(b)} (the number of training points), got {k}")
    if chunk is not None:
        check_whole("chunk", chunk, least=1)
    if progress is not None and not callable(progress):
        raise InputError(f"progress: expected a function of two numbers, got {progress!r:.100}")
    keeper = None if cache is None else _keeper(cache, a, b, k)
    return nearest_of(a, b, k, chunk, keeper=keeper, report=progress)


def _keeper(cache: object, a: Shaped[Tensor, "..."], b: Shaped[Tensor, "..."], k: int) -> Keeper:
    folder = check_path("cache", cache)
    make_folder(folder, "cache")
    return Keeper.of(folder, a, b, k)


def nearest_of(
    samples: Shaped[Tensor, "..."],
    train: Shaped[Tensor, "..."],
    k: int,
    chunk: SupportsIndex | None = None,
    *,
    among: Int[Tensor, " s"] | None = None,
    keeper: Keeper | None = None,
    report: Report | None = None,
) -> tuple[Float[Tensor, "m k"], Int[Tensor, "m k"]]:
    """Do as `nearest`, for tensors that are known to fit each other.

    Training points that lie in a file are searched in spans, as are all where what was found is kept.

    Args:
        samples: as for `nearest`.
        train: likewise.
        k: likewise.
        chunk: likewise.
        among: numbers of the training points that are searched, ascending; the indices of the answer then
            count these. None for all.
        keeper: of what was found.
        report: told how many of the training points were searched.

    Raises:
        InputError: if a value is not finite.
    """
    a = samples.reshape(len(samples), -1)
    b = train.reshape(len(train), -1)
    place = _place(a, b)
    in_spans = keeper is not None or is_mapped(b)
    size = int(chunk or _rows_at_a_time(b, _CHUNK_OF_SPAN if in_spans else _CHUNK))
    total = len(b) if among is None else len(among)
    found = _begun(a, place, keeper)
    span = _rows_at_a_time(b, _SPAN) if in_spans else total
    for points in _spans(b, among, found.done, span):
        found = _searched(a, points.to(place), k, size, found)
        if keeper is not None:
            keeper.write(found)
        if report is not None:
            report(found.done, total)
    return found.distance.to(_rank_type({a.dtype, b.dtype}, found.largest)), found.index


def _begun(samples: Shaped[Tensor, "m d"], place: torch.device, keeper: Keeper | None) -> Found:
    """What was found before, which the samples of that search were finite for, or nothing."""
    kept = None if keeper is None else keeper.read(place)
    return kept or Found.none(len(samples), check_finite(samples, "samples"), place)


def _spans(
    points: Shaped[Tensor, "n d"], among: Int[Tensor, " s"] | None, first: int, size: int
) -> Iterator[Shaped[Tensor, "b d"]]:
    """Yield the points that are searched from the first on, `size` at a time, giving back what they took."""
    total = len(points) if among is None else len(among)
    for start in range(first, total, max(1, size)):
        some = slice(start, start + size)
        yield points[some] if among is None else points[among[some]]
        give_back(points)


def _searched(
    samples: Shaped[Tensor, "m d"], points: Shaped[Tensor, "s d"], k: int, size: int, before: Found
) -> Found:
    """Search further points, which follow those that were searched before."""
    largest = max(before.largest, check_finite(points, "train", first=before.done))
    frame = Frame.of(points, largest, _rank_type({samples.dtype, points.dtype}, largest))
    some = min(k, len(points))
    parts = [_search(part.to(points.device), points, some, frame) for part in blocks(samples, rows=size)]
    distance, index = (torch.cat(column) for column in zip(*parts, strict=True))
    done = before.done + len(points)
    if not before.done:
        return Found(distance, index, done, largest)
    distance = torch.cat([before.distance, distance], 1)
    index = torch.cat([before.index, index + before.done], 1)
    return Found(*_in_order(distance, index, k), done, largest)


def _place(a: Shaped[Tensor, "m d"], b: Shaped[Tensor, "n d"]) -> torch.device:
    """Where a search computes: on the device of what is in memory, if that has 64 bits."""
    device = a.device if is_mapped(b) else b.device
    return device if widest_float(device) == torch.float64 else torch.device("cpu")


def pairs_within(points: Items, distance: float) -> tuple[Int[Tensor, " p"], Int[Tensor, " p"]]:
    """Find all pairs i < j of points whose Euclidean distance is at most `distance`, exactly.

    Raises:
        InputError: if there is no point, or a value is not finite.
    """
    check_number("distance", distance)
    items = as_items(points, "points")
    largest = check_finite(items, "points")
    x = _on_wide_device(items)
    frame = Frame.of(x, largest, _rank_type({x.dtype}, largest))
    parts = [_pairs_of(x, leaf, distance, frame) for leaf in leaves(x, distance)]
    i, j = (torch.cat(side) for side in zip(*parts, strict=True))
    return i, j


def _pairs_of(
    x: Shaped[Tensor, "n d"], leaf: Leaf, distance: float, frame: Frame
) -> tuple[Int[Tensor, " p"], Int[Tensor, " p"]]:
    """Find the pairs of a visitor and a member of a leaf, the lower number of the two a visitor."""
    first = [leaf.members[:0]]
    second = [leaf.members[:0]]
    for visitors in leaf.visitors.split(_rows_at_a_time(x, _CHUNK)):
        members = leaf.members[leaf.members > visitors[0]]
        if not len(members):
            break
        a, radius = frame.queries(_picked(x, visitors))
        limit = frame.limit(radius, torch.full_like(radius, distance))
        for row, column in pairs_below(a, _picked(x, members), frame, limit):
            i = visitors[row]
            j = members[column]
            once = i < j
            near = _direct(x, x, i[once], j[once]) <= distance
            first.append(i[once][near])
            second.append(j[once][near])
    return torch.cat(first), torch.cat(second)


def _picked(x: Shaped[Tensor, "n d"], index: Int[Tensor, " s"]) -> Shaped[Tensor, "s d"]:
    """Points by their ascending numbers, not copied where these are a range."""
    if not len(index):
        return x[:0]
    start = int(index[0])
    stop = int(index[-1]) + 1
    return x[start:stop] if stop - start == len(index) else x[index]


def pairs_in_balls(
    centers: Shaped[Tensor, "n d"], points: Shaped[Tensor, "m d"], radius: Float[Tensor, " n"]
) -> Iterator[tuple[Int[Tensor, " p"], Int[Tensor, " p"]]]:
    """Yield, by tiles, all pairs (center, point) whose distance is at most the radius of the center, exactly.

    Distances are rounded to the type of the radii, so that a radius found by `nearest` includes its point.

    Raises:
        InputError: if a value is not finite.
    """
    largest = max(check_finite(centers, "centers"), check_finite(points, "points"))
    a = _on_wide_device(centers)
    b = _on_wide_device(points)
    reach = radius.to(a.device)
    frame = Frame.of(b, largest, _rank_type({a.dtype, b.dtype}, largest))
    size = _rows_at_a_time(b, _CHUNK)
    for start in range(0, len(a), size):
        rows = slice(start, start + size)
        for row, column in _pairs_in_balls_of(a[rows], b, reach[rows], frame):
            yield row + start, column


def _pairs_in_balls_of(
    centers: Shaped[Tensor, "n d"], points: Shaped[Tensor, "m d"], radius: Float[Tensor, " n"], frame: Frame
) -> Iterator[tuple[Int[Tensor, " p"], Int[Tensor, " p"]]]:
    """The same for centers that are placed at once."""
    a, length = frame.queries(centers)
    rounded_up = torch.nextafter(radius, torch.full_like(radius, math.inf))
    limit = frame.limit(length, rounded_up.double())
    for row, column in pairs_below(a, points, frame, limit):
        near = _direct(centers, points, row, column).to(radius.dtype) <= radius[row]
        yield row[near], column[near]


def kth_among(index: Int[Tensor, "m K"], allowed: Bool[Tensor, " n"], k: int) -> Int[Tensor, "m 1"]:
    """Give the column of the k-th neighbour that is allowed; the last column where fewer are.

    With a few neighbours to spare this answers many searches among subsets of the points with one search.
    """
    return (allowed[index].cumsum(1) < k).sum(1, keepdim=True).clamp(max=index.shape[1] - 1)


def check_finite(x: Shaped[Tensor, "n ..."], name: str, *, first: int = 0) -> float:
    """Give the largest absolute value of a set, whose rows are counted from `first`.

    Raises:
        InputError: naming its rows, if a value is not finite, or too large to be squared.
    """
    largest = _largest(x)
    if not largest < _LARGEST:  # also catches NaN
        rows = [first + row for row in _rows_out_of_range(x)[:5]]
        raise InputError(f"{name}: expected finite values below {_LARGEST:g}, got others in rows {rows}")
    return largest


def _largest(x: Shaped[Tensor, "n ..."]) -> float:
    """The largest absolute value; NaN where there is one."""
    low, high = ends(x)
    return max(abs(low), abs(high))


def _rows_out_of_range(x: Shaped[Tensor, "n ..."]) -> list[int]:
    is_fine = [wide(part.flatten(1)).abs().lt(_LARGEST).all(1) for part in blocks(x)]
    return torch.cat(is_fine).logical_not().nonzero().flatten().tolist()


def _on_wide_device(x: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "n d"]:
    """Items as rows, on a device that has 64 bits."""
    rows = x.reshape(len(x), -1)
    return rows if widest_float(rows.device) == torch.float64 else rows.cpu()


def _rows_at_a_time(x: Shaped[Tensor, "n d"], entries: int) -> int:
    return max(256, entries // x.shape[1])


def _rank_type(dtypes: set[torch.dtype], largest: float) -> torch.dtype:
    return torch.float32 if dtypes <= _NARROW and largest < _LARGEST_NARROW else torch.float64


def _search(
    samples: Shaped[Tensor, "m d"], train: Shaped[Tensor, "n d"], k: int, frame: Frame
) -> tuple[Float[Tensor, "m k"], Int[Tensor, "m k"]]:
    """Rank by the product, measure the best again, and search again where a better one may be left out."""
    a, radius = frame.queries(samples)
    score, index = rank(a, train, min(k + _SPARE, len(train)), frame)
    found = _direct_rows(samples, train, index[:, :k])
    limit = frame.limit(radius, found.amax(1))  # the k-th neighbour is not farther than the farthest of these
    rest = _direct_below(samples, train, score[:, k:], index[:, k:], limit)
    distance, index = _in_order(torch.cat([found, rest], dim=1), index, k)
    if score.shape[1] < len(train):
        again = (score[:, -1] <= limit).nonzero().flatten()
        if len(again):
            distance[again], index[again] = _search_within(samples[again], train, k, frame, limit[again])
    return distance, index


def _in_order(
    distance: Float[Tensor, "m K"], index: Int[Tensor, "m K"], k: int
) -> tuple[Float[Tensor, "m k"], Int[Tensor, "m k"]]:
    """The k nearest of each row, equal distances by the lower index."""
    index, order = index.sort(dim=1)
    distance, order = distance.gather(1, order).sort(dim=1, stable=True)
    return distance[:, :k], index.gather(1, order)[:, :k]


def _search_within(
    samples: Shaped[Tensor, "m d"],
    train: Shaped[Tensor, "n d"],
    k: int,
    frame: Frame,
    limit: Float[Tensor, " m"],
) -> tuple[Float[Tensor, "m k"], Int[Tensor, "m k"]]:
    """Measure every pair whose score is within the limit of its row."""
    place = torch.empty(0, dtype=torch.int64, device=limit.device)
    kept = [place, place.double(), place]
    for row, column in pairs_below(frame.queries(samples)[0], train, frame, limit):
        found = (row, _direct(samples, train, row, column), column)
        kept = _first_k(*(torch.cat(pair) for pair in zip(kept, found, strict=True)), k=k)
    return kept[1].view(-1, k), kept[2].view(-1, k)


def _first_k(
    row: Int[Tensor, " p"], distance: Float[Tensor, " p"], index: Int[Tensor, " p"], *, k: int
) -> list[Tensor]:
    """Keep the k nearest of each row, in the order row, distance, index; per row the indices come rising."""
    order = distance.sort(stable=True).indices
    order = order[row[order].sort(stable=True).indices]
    row = row[order]
    place = torch.arange(len(row), device=row.device) - torch.searchsorted(row, row)  # within its row
    return [row[place < k], distance[order][place < k], index[order][place < k]]


def _direct_rows(
    samples: Shaped[Tensor, "m d"], train: Shaped[Tensor, "n d"], index: Int[Tensor, "m k"]
) -> Float64[Tensor, "m k"]:
    """Measure |samples[i] - train[index[i]]| in 64 bits."""
    size = max(1, piece_rows(samples) // index.shape[1])
    pieces = zip(samples.split(size), index.split(size), strict=True)
    return torch.cat([_length(x.double()[:, None] - train[j].double()) for x, j in pieces])


def _direct_below(
    samples: Shaped[Tensor, "m d"],
    train: Shaped[Tensor, "n d"],
    score: Float[Tensor, "m K"],
    index: Int[Tensor, "m K"],
    limit: Float[Tensor, " m"],
) -> Float64[Tensor, "m K"]:
    """Measure the pairs whose score is within the limit of their row; the others are at infinity."""
    distance = torch.full(score.shape, math.inf, dtype=torch.float64, device=score.device)
    row, place = (score <= limit[:, None]).nonzero(as_tuple=True)
    distance[row, place] = _direct(samples, train, row, index[row, place])
    return distance


def _direct(
    samples: Shaped[Tensor, "m d"],
    train: Shaped[Tensor, "n d"],
    row: Int[Tensor, " p"],
    column: Int[Tensor, " p"],
) -> Float64[Tensor, " p"]:
    """Measure |samples[row] - train[column]| in 64 bits."""
    size = piece_rows(samples)
    pieces = zip(row.split(size), column.split(size), strict=True)
    parts = [_length(samples[i].double() - train[j].double()) for i, j in pieces]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.float64, device=row.device)


def _length(x: Float64[Tensor, "*shape d"]) -> Float64[Tensor, "*shape"]:
    """Euclidean length; squares that would underflow are taken of numbers enlarged by a power of 2."""
    length = torch.linalg.vector_norm(x, dim=-1)
    tiny = length < _TINY
    length[tiny] = torch.linalg.vector_norm(x[tiny] * _ENLARGED, dim=-1) / _ENLARGED
    return length
