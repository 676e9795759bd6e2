"""Exact nearest neighbours at the speed of the matrix product.

|a - b|^2 = |a|^2 - 2 a.b + |b|^2 turns the search into a matrix product, but cancels: in 32 bits an exact
copy can come out at distance 0.1. So the product only ranks. The few best are measured again by direct
differences in 64 bits, and a bound on the rounding of the ranking tells, row by row, whether a point that
was not measured again could belong to the answer; such rows are searched a second time, for every point
within the bound.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int, Shaped
from torch import Tensor

from memhorizon.results import InputError

_SPARE = 4  # candidates kept beyond k; with fewer, near ties send more rows to the second search
_BLOCK = 32  # scores that share one minimum: a wide top-k is slow, a minimum is not
_INNER = 1024  # longest product summed in one go: the bound on the rounding grows with it
_ROWS, _COLUMNS = 1024, 16384  # one tile of scores: 64 MB
_TILE = 1 << 25  # entries of centred training points held at a time: 128 MB
_CHUNK = 1 << 26  # entries of centred samples held at a time: 256 MB
_DIRECT = 1 << 14  # entries worked on in 64 bits at a time: in the cache, and too few to wake other threads
_LARGEST = 1e150  # the squares of larger numbers overflow in 64 bits
_NARROW = {torch.float32, torch.float16, torch.bfloat16, torch.uint8, torch.int8, torch.int16, torch.bool}
_ROUNDED = {"highest": 0.0, "high": 2.0**-10, "medium": 2.0**-7}  # of factors, where torch may shorten them


def nearest(
    samples: Shaped[Tensor, "..."], train: Shaped[Tensor, "..."], *, k: int = 2, chunk: int | None = None
) -> tuple[Float[Tensor, "m k"], Int[Tensor, "m k"]]:
    """Find the k nearest training points of every sample, exactly.

    Distances are Euclidean over all entries of an item and come from direct differences in 64 bits: an exact
    copy is at distance exactly 0. Neighbours come nearest first, equal distances by the lower index.

    Args:
        samples: the points asked about, [m, *item]; any real type, on any device with 64-bit numbers.
        train: the points searched, [n, *item], on the same device.
        k: how many neighbours.
        chunk: samples handled at a time; by default as many as fit 256 MB. It never changes the result.

    Returns:
        Distances [m, k] (32-bit; 64-bit if an input has more than 24 bits) and indices into `train` [m, k].

    Raises:
        InputError: if shapes or devices do not match, k is not within 1..n, or a value is not finite.
    """
    if samples.shape[1:] != train.shape[1:]:
        raise InputError(
            "samples, train: expected items of one shape, got "
            f"{tuple(samples.shape[1:])} and {tuple(train.shape[1:])}"
        )
    if samples.device != train.device:
        raise InputError(f"samples, train: expected one device, got {samples.device} and {train.device}")
    largest = max(_largest(samples, "samples"), _largest(train, "train"))
    if not 1 <= k <= len(train):
        raise InputError(f"k: expected 1 to {len(train)} (the number of training points), got {k}")
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk: expected at least 1, got {chunk}")
    a, b = samples.reshape(len(samples), -1), train.reshape(len(train), -1)
    frame = _Frame.of(b, largest, torch.float32 if {a.dtype, b.dtype} <= _NARROW else torch.float64)
    parts = [_search(part, b, k, frame) for part in a.split(chunk or max(_ROWS, _CHUNK // b.shape[1]))]
    distances, indices = (torch.cat(column) for column in zip(*parts, strict=True))
    return distances.to(frame.center.dtype), indices


def pairs_within(
    points: Shaped[Tensor, "..."], distance: float
) -> tuple[Int[Tensor, " p"], Int[Tensor, " p"]]:
    """Find all pairs i < j of points whose Euclidean distance is at most `distance`, exactly.

    Raises:
        InputError: if there is no point, or a value is not finite.
    """
    largest = _largest(points, "points")
    x = points.reshape(len(points), -1)
    frame = _Frame.of(x, largest, torch.float32 if x.dtype in _NARROW else torch.float64)
    size = max(_ROWS, _CHUNK // x.shape[1])
    found = []
    for first in range(0, len(x), size):
        a, radius = frame.queries(x[first : first + size])
        reach = torch.full_like(radius, distance * frame.scale)
        limit = reach**2 - radius**2 + frame.slack(radius, reach)
        for row, j in _pairs_below(a, x[first:], frame, limit):
            i, j = row[row < j] + first, j[row < j] + first
            near = _direct(x, x, i, j) <= distance
            found.append((i[near], j[near]))
    i, j = (torch.cat(side) for side in zip(*found, strict=True))
    return i, j


def _largest(x: Shaped[Tensor, "..."], name: str) -> float:
    if x.ndim == 0 or x.numel() == 0 or x.is_complex():
        raise InputError(f"{name}: expected at least one item of real numbers, got {x.dtype} {list(x.shape)}")
    low, high = (float(end) for end in torch.aminmax(x))
    largest = max(abs(low), abs(high))
    if not largest < _LARGEST:  # also catches NaN
        bad = x.reshape(len(x), -1).double().abs().lt(_LARGEST).all(1).logical_not().nonzero().flatten()
        raise InputError(
            f"{name}: expected finite values below {_LARGEST:g}, got others in rows {bad[:5].tolist()}"
        )
    return largest


@dataclass(frozen=True)
class _Frame:
    """Where ranking happens: data times a power of two (no overflow), minus a centre (less cancellation).

    Both sides carry one more column, so that one plain product of rows gives the whole score |b|^2 - 2 a.b.
    """

    scale: float
    center: Float[Tensor, " d"]

    @classmethod
    def of(cls, train: Shaped[Tensor, "n d"], largest: float, dtype: torch.dtype) -> "_Frame":
        scale = 2.0 ** -min(max(math.frexp(largest)[1], -126), 126)
        some = train[:: max(1, len(train) // 1024)].to(
            dtype
        )  # any centre is right, this one is near the mean
        return cls(scale, (some * scale).mean(0))

    def queries(self, x: Shaped[Tensor, "m d"]) -> tuple[Float[Tensor, "m e"], Float64[Tensor, " m"]]:
        """Place samples: rows (-2a, 1), and |a|."""
        rows = self.center.new_ones(len(x), x.shape[1] + 1)
        norms = self._place(x, rows[:, :-1])
        rows[:, :-1] *= -2
        return rows, norms

    def points(self, x: Shaped[Tensor, "n d"], out: Float[Tensor, "n e"]) -> Float[Tensor, "n e"]:
        """Place training points: rows (b, |b|^2)."""
        out[:, -1] = self._place(x, out[:, :-1]).square()
        return out

    def _place(self, x: Shaped[Tensor, "m d"], out: Float[Tensor, "m d"]) -> Float64[Tensor, " m"]:
        size = max(1, _DIRECT // x.shape[1])
        norms = []
        for part, rows in zip(
            x.split(size), out.split(size), strict=True
        ):  # in pieces that stay in the cache
            torch.add(-self.center, part.to(out.dtype), alpha=self.scale, out=rows)
            norms.append(torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64))
        return torch.cat(norms)

    @property
    def runs(self) -> int:
        """Into how many products the sum over columns is split: few terms in each keep the rounding small."""
        return math.ceil(len(self.center) / _INNER)

    def slack(self, radius: Float64[Tensor, " m"], distance: Float64[Tensor, " m"]) -> Float64[Tensor, " m"]:
        """How far a score may be from |a - b|^2 - |a|^2, for every b within `distance` of a, |a| = `radius`.

        Let u be the unit roundoff, A = |a|, B = |b| in the frame. Centring moves each entry by a relative u,
        so |a - b|^2 by at most 2u (A+B)^2. |b|^2 is summed in 64 bits and rounded once: u B^2. The product is
        summed in L runs of at most K terms, in any order, |b|^2 being one of the terms: each passes at most
        K + L + 1 roundings, so the error is at most (K+L+1) u (B^2 + 2AB) to first order in u. B <= A +
        distance bounds A+B. The 64-bit sums (|a|^2, |b|^2, the direct distance) count d units of 2^-53 each;
        factors that torch may shorten count twice their rounding; underflow counts a few smallest normal
        numbers per entry.

        Source: [higham2002] Eq. (3.5)
        """
        d, dtype = len(self.center), self.center.dtype
        unit = torch.finfo(dtype).eps / 2
        kappa = unit * (math.ceil((d + 1) / self.runs) + self.runs + 16) + 4 * d * 2.0**-53
        if dtype == torch.float32:
            kappa += _ROUNDED[torch.get_float32_matmul_precision()]
        return kappa * (2 * radius + distance) ** 2 + 16 * d * torch.finfo(dtype).tiny


def _search(
    samples: Shaped[Tensor, "m d"], train: Shaped[Tensor, "n d"], k: int, frame: _Frame
) -> tuple[Float[Tensor, "m k"], Int[Tensor, "m k"]]:
    a, radius = frame.queries(samples)
    score, index = _rank(a, train, min(k + _SPARE, len(train)), frame)
    distance = torch.full(score.shape, math.inf, dtype=torch.float64, device=score.device)
    row = torch.arange(len(a), device=a.device)
    distance[:, :k] = _direct(samples, train, row.repeat_interleave(k), index[:, :k].reshape(-1)).view(-1, k)
    reach = distance[:, :k].amax(1) * frame.scale  # the k-th neighbour is not farther than this
    limit = reach**2 - radius**2 + frame.slack(radius, reach)
    open_row, open_rank = (score[:, k:] <= limit[:, None]).nonzero(as_tuple=True)
    distance[open_row, k + open_rank] = _direct(samples, train, open_row, index[open_row, k + open_rank])
    index, order = index.sort(dim=1)
    distance, order = distance.gather(1, order).sort(dim=1, stable=True)
    distance, index = distance[:, :k], index.gather(1, order)[:, :k]
    again = (score[:, -1] <= limit).nonzero().flatten() if score.shape[1] < len(train) else row[:0]
    if len(again):
        distance[again], index[again] = _search_within(samples[again], train, k, frame, limit[again])
    return distance, index


def _search_within(
    samples: Shaped[Tensor, "m d"],
    train: Shaped[Tensor, "n d"],
    k: int,
    frame: _Frame,
    limit: Float[Tensor, " m"],
) -> tuple[Float[Tensor, "m k"], Int[Tensor, "m k"]]:
    """Measure every pair whose score is within the limit of its row."""
    kept = [
        torch.empty(0, dtype=dtype, device=limit.device) for dtype in (torch.int64, torch.double, torch.int64)
    ]
    for row, column in _pairs_below(frame.queries(samples)[0], train, frame, limit):
        found = (row, _direct(samples, train, row, column), column)
        kept = _first_k(*(torch.cat(pair) for pair in zip(kept, found, strict=True)), k=k)
    return kept[1].view(-1, k), kept[2].view(-1, k)


def _pairs_below(
    a: Float[Tensor, "m e"], train: Shaped[Tensor, "n d"], frame: _Frame, limit: Float[Tensor, " m"]
) -> Iterator[tuple[Int[Tensor, " p"], Int[Tensor, " p"]]]:
    """Yield, by tiles, the pairs (row of `a`, training point) whose score is within the limit of the row."""
    bound = torch.nextafter(limit.to(a.dtype), torch.full_like(a[:, 0], math.inf))  # rounded upwards
    for rows, start, score in _score_tiles(a, train, frame):
        row, column = (score <= bound[rows, None]).nonzero(as_tuple=True)
        yield row + rows.start, column + start


def _first_k(
    row: Int[Tensor, " p"], distance: Float[Tensor, " p"], index: Int[Tensor, " p"], *, k: int
) -> list[Tensor]:
    """Keep the k nearest of each row, in the order row, distance, index; per row the indices come rising."""
    order = distance.sort(stable=True).indices
    order = order[row[order].sort(stable=True).indices]
    row, distance, index = row[order], distance[order], index[order]
    rank = torch.arange(len(row), device=row.device) - torch.searchsorted(row, row)
    return [column[rank < k] for column in (row, distance, index)]


def _rank(
    a: Float[Tensor, "m e"], train: Shaped[Tensor, "n d"], keep: int, frame: _Frame
) -> tuple[Float[Tensor, "m keep"], Int[Tensor, "m keep"]]:
    """Find the `keep` lowest scores |b|^2 - 2 a.b of each row, ascending."""
    best = torch.full((len(a), keep), math.inf, dtype=a.dtype, device=a.device)
    index = torch.zeros(best.shape, dtype=torch.int64, device=a.device)
    for rows, start, score in _score_tiles(a, train, frame):
        low, column = _lowest(score, min(keep, score.shape[1]))
        low, order = torch.cat([best[rows], low], dim=1).topk(keep, largest=False)
        best[rows], index[rows] = low, torch.cat([index[rows], column + start], dim=1).gather(1, order)
    return best, index


def _score_tiles(
    a: Float[Tensor, "m e"], train: Shaped[Tensor, "n d"], frame: _Frame
) -> Iterator[tuple[slice, int, Float[Tensor, "r c"]]]:
    """Yield (rows of `a`, first training point, scores) over all tiles; the next tile overwrites the last."""
    columns = min(_COLUMNS, max(256, _TILE // a.shape[1]), len(train))
    points = a.new_empty(columns, a.shape[1])
    buffer = a.new_empty(min(_ROWS, len(a)), columns)
    for start in range(0, len(train), columns):
        part = train[start : start + columns]
        b = frame.points(part, points[: len(part)])
        for first in range(0, len(a), _ROWS):
            rows = slice(first, min(first + _ROWS, len(a)))
            score = buffer[: rows.stop - first, : len(b)]
            for run, (left, right) in enumerate(
                zip(a[rows].chunk(frame.runs, 1), b.chunk(frame.runs, 1), strict=True)
            ):
                torch.addmm(score, left, right.T, beta=min(run, 1), out=score)
            yield rows, start, score


def _lowest(score: Float[Tensor, "r c"], keep: int) -> tuple[Float[Tensor, "r keep"], Int[Tensor, "r keep"]]:
    """Top-k through minima of blocks: the `keep` lowest scores lie in the blocks with the lowest minima."""
    blocks = score.shape[1] // _BLOCK
    if blocks < 2 * keep:
        low, column = score.topk(keep, largest=False)
        return low, column
    whole = blocks * _BLOCK
    minima = (
        score[:, :whole].unflatten(1, (_BLOCK, blocks)).amin(1)
    )  # block j holds columns j, j + blocks, ...
    block = minima.topk(keep, largest=False).indices
    step = torch.arange(0, whole, blocks, device=score.device)
    column = (block[:, :, None] + step).flatten(1)
    if whole < score.shape[1]:
        rest = torch.arange(whole, score.shape[1], device=score.device)
        column = torch.cat([column, rest.expand(len(score), -1)], dim=1)
    low, order = score.gather(1, column).topk(keep, largest=False)
    return low, column.gather(1, order)


def _direct(
    samples: Shaped[Tensor, "m d"],
    train: Shaped[Tensor, "n d"],
    row: Int[Tensor, " p"],
    column: Int[Tensor, " p"],
) -> Float[Tensor, " p"]:
    """Measure |samples[row] - train[column]| in 64 bits."""
    size = max(2, _DIRECT // samples.shape[1])
    parts = [
        torch.linalg.vector_norm(samples[i].double() - train[j].double(), dim=1)
        for i, j in zip(row.split(size), column.split(size), strict=True)
    ]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.float64, device=row.device)
