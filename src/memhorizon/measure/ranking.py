"""Ranking by matrix product: scores |b|^2 - 2 a.b in tiles, and a bound on how far rounding may move them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int, Shaped
from torch import Tensor

_PIECE = (1 << 15) - 1  # entries of small work done at a time: in the cache, too few to wake other threads
_PIECE_ELSEWHERE = 1 << 22  # the same on an accelerator, where small work is slow work
_BLOCK = 16  # scores that share one minimum: a wide top-k is slow, a minimum is not
_INNER = 1024  # longest product summed in one go: the bound on the rounding grows with it
# One tile of scores: 64 MB.
_ROWS = 1024
_COLUMNS = 16384
_POINTS = 1 << 25  # entries of training points placed at a time: 128 MB
_SHORTENED = 2.0**-7  # twice the rounding of factors that torch may shorten to 8 bits


@dataclass(frozen=True)
class Frame:
    """Where ranking happens: data times a power of two (no overflow), minus a centre (less cancellation).

    Both sides carry one more column, so that one plain product of rows gives the whole score |b|^2 - 2 a.b.
    """

    scale: float
    center: Float[Tensor, " d"]

    @classmethod
    def of(cls, train: Shaped[Tensor, "n d"], largest: float, dtype: torch.dtype) -> "Frame":
        """Choose a frame for data below `largest`; any centre is right, this one is near the mean."""
        scale = _scale_for(largest)
        some = train[:: max(1, len(train) // 1024)].to(dtype)
        return cls(scale, (some * scale).mean(0))

    def queries(self, x: Shaped[Tensor, "m d"]) -> tuple[Float[Tensor, "m e"], Float64[Tensor, " m"]]:
        """Place samples: rows (-2a, 1), and |a|."""
        rows = self.center.new_ones(len(x), x.shape[1] + 1)
        return rows, self._place(x, rows[:, :-1], -2.0).sqrt() / 2

    def points(self, x: Shaped[Tensor, "n d"], out: Float[Tensor, "n e"]) -> Float[Tensor, "n e"]:
        """Place training points: rows (b, |b|^2)."""
        out[:, -1] = self._place(x, out[:, :-1], 1.0)
        return out

    def _place(
        self, x: Shaped[Tensor, "m d"], out: Float[Tensor, "m d"], factor: float
    ) -> Float64[Tensor, " m"]:
        """Write `factor` times the placed rows, and give their squared lengths."""
        center = -factor * self.center
        scale = factor * self.scale
        size = piece_rows(x)
        squares = []
        for part, rows in zip(x.split(size), out.split(size), strict=True):
            torch.add(center, part.to(out.dtype), alpha=scale, out=rows)
            squares.append(self._squared_lengths(rows))
        return torch.cat(squares)

    def _squared_lengths(self, rows: Float[Tensor, "m d"]) -> Float64[Tensor, " m"]:
        total = rows.new_zeros(len(rows), dtype=torch.float64)
        for run in rows.chunk(self.runs, 1):
            total += torch.linalg.vector_norm(run, dim=1).double().square()
        return total

    @property
    def runs(self) -> int:
        """Into how many products the sum over columns is split: few terms in each keep the rounding small."""
        return math.ceil(len(self.center) / _INNER)

    def limit(self, radius: Float64[Tensor, " m"], distance: Float64[Tensor, " m"]) -> Float64[Tensor, " m"]:
        """Highest score that a training point within `distance` of a sample, |a| = `radius`, may have."""
        reach = distance * self.scale
        return reach**2 - radius**2 + self.slack(radius, reach)

    def slack(self, radius: Float64[Tensor, " m"], distance: Float64[Tensor, " m"]) -> Float64[Tensor, " m"]:
        """How far a score may be from |a - b|^2 - |a|^2, for every b within `distance` of a, |a| = `radius`.

        Let u be the unit roundoff, A = |a|, B = |b| in the frame. Centring moves each entry by a relative u,
        so |a - b|^2 by at most 2u (A+B)^2. Sums go over L runs of at most K terms, in any order. |a|^2 and
        |b|^2: each run is off by at most (K+4) u of itself, the sum of runs is exact by comparison, so both
        together by at most (K+5) u (A+B)^2. The score, with |b|^2 as one of its terms: each passes at most
        K+L+1 roundings, so it is off by at most (K+L+1) u (B^2 + 2AB). All to first order in u, for which the
        16 leaves room. B <= A + distance bounds A+B. Sums in 64 bits (the direct distance) count d units of
        2^-53; factors that torch may shorten count twice their rounding; underflow counts a few smallest
        normal numbers per entry.

        Source: [higham2002] Eq. (3.5)
        """
        d = len(self.center)
        dtype = self.center.dtype
        u = torch.finfo(dtype).eps / 2
        L = self.runs
        K = math.ceil((d + 1) / L)
        # kappa = u (2K + L + 16) + 4 d 2^-53
        kappa = u * (2 * K + L + 16) + 4 * d * 2.0**-53
        if dtype == torch.float32 and _may_shorten():
            kappa += _SHORTENED
        # kappa (2A + distance)^2
        return kappa * (2 * radius + distance) ** 2 + 16 * d * torch.finfo(dtype).tiny


def piece_rows(x: Shaped[Tensor, "m d"]) -> int:
    """Rows of `x` to do small work on at a time."""
    return max(2, (_PIECE if x.device.type == "cpu" else _PIECE_ELSEWHERE) // x.shape[1])


def _may_shorten() -> bool:
    """Whether the user has allowed products of 32-bit numbers to use fewer bits."""
    try:
        return torch.get_float32_matmul_precision() != "highest"
    except RuntimeError:  # what torch raises where the newer settings of each backend are in use
        return True


def _scale_for(largest: float) -> float:
    """The power of two that brings data below `largest` below 1, within what 32 bits hold."""
    return 2.0 ** -min(max(math.frexp(largest)[1], -126), 126)


def rank(
    a: Float[Tensor, "m e"], train: Shaped[Tensor, "n d"], keep: int, frame: Frame
) -> tuple[Float[Tensor, "m keep"], Int[Tensor, "m keep"]]:
    """Find the `keep` lowest scores |b|^2 - 2 a.b of each row, ascending."""
    best = torch.full((len(a), keep), math.inf, dtype=a.dtype, device=a.device)
    index = torch.zeros(best.shape, dtype=torch.int64, device=a.device)
    for rows, start, score in _score_tiles(a, train, frame):
        low, column = _lowest(score, min(keep, score.shape[1]))
        both = torch.cat([best[rows], low], dim=1)
        places = torch.cat([index[rows], column + start], dim=1)
        best[rows], order = both.topk(keep, largest=False)
        index[rows] = places.gather(1, order)
    return best, index


def pairs_below(
    a: Float[Tensor, "m e"], train: Shaped[Tensor, "n d"], frame: Frame, limit: Float[Tensor, " m"]
) -> Iterator[tuple[Int[Tensor, " p"], Int[Tensor, " p"]]]:
    """Yield, by tiles, the pairs (row of `a`, training point) whose score is within the limit of the row."""
    bound = torch.nextafter(limit.to(a.dtype), torch.full_like(a[:, 0], math.inf))  # rounded upwards
    for rows, start, score in _score_tiles(a, train, frame):
        row, column = (score <= bound[rows, None]).nonzero(as_tuple=True)
        yield row + rows.start, column + start


def _score_tiles(
    a: Float[Tensor, "m e"], train: Shaped[Tensor, "n d"], frame: Frame
) -> Iterator[tuple[slice, int, Float[Tensor, "r c"]]]:
    """Yield (rows of `a`, first training point, scores) over all tiles; the next tile overwrites the last."""
    columns = min(_COLUMNS, max(256, _POINTS // a.shape[1]), len(train))
    points = a.new_empty(columns, a.shape[1])
    buffer = a.new_empty(min(_ROWS, len(a)), columns)
    for start in range(0, len(train), columns):
        part = train[start : start + columns]
        b = frame.points(part, points[: len(part)])
        for first in range(0, len(a), _ROWS):
            rows = slice(first, min(first + _ROWS, len(a)))
            score = buffer[: rows.stop - first, : len(b)]
            _write_scores(a[rows], b, frame.runs, out=score)
            yield rows, start, score


def _write_scores(
    a: Float[Tensor, "r e"], b: Float[Tensor, "c e"], runs: int, *, out: Float[Tensor, "r c"]
) -> None:
    """Write the product of all rows of `a` and `b`, summed run by run."""
    pieces = zip(a.chunk(runs, 1), b.chunk(runs, 1), strict=True)
    for run, (left, right) in enumerate(pieces):
        torch.addmm(out, left, right.T, beta=min(run, 1), out=out)  # 0 for the first: what is there is old


def _lowest(score: Float[Tensor, "r c"], keep: int) -> tuple[Float[Tensor, "r keep"], Int[Tensor, "r keep"]]:
    """Find the `keep` lowest scores of each row, ascending."""
    blocks = score.shape[1] // _BLOCK
    if blocks < 2 * keep:
        low, column = score.topk(keep, largest=False)
        return low, column
    return _lowest_by_blocks(score, keep, blocks)


def _lowest_by_blocks(
    score: Float[Tensor, "r c"], keep: int, blocks: int
) -> tuple[Float[Tensor, "r keep"], Int[Tensor, "r keep"]]:
    """Top-k through minima of blocks: the `keep` lowest scores lie in the blocks with the lowest minima.

    Block j holds columns j, j + blocks, ...; the columns that fill no block are looked at one by one.
    """
    whole = blocks * _BLOCK
    minima = score[:, :whole].unflatten(1, (_BLOCK, blocks)).amin(1)
    step = torch.arange(0, whole, blocks, device=score.device)
    rest = torch.arange(whole, score.shape[1], device=score.device)
    size = piece_rows(minima)
    found = []
    for some, lows in zip(score.split(size), minima.split(size), strict=True):
        block = lows.topk(keep, largest=False).indices
        in_blocks = (block[:, :, None] + step).flatten(1)
        columns = torch.cat([in_blocks, rest.expand(len(some), -1)], dim=1)
        found.append(_lowest_among(some, columns, keep))
    low, column = (torch.cat(part) for part in zip(*found, strict=True))
    return low, column


def _lowest_among(
    score: Float[Tensor, "r c"], column: Int[Tensor, "r some"], keep: int
) -> tuple[Float[Tensor, "r keep"], Int[Tensor, "r keep"]]:
    """Find the `keep` lowest scores among some columns of each row."""
    low, order = score.gather(1, column).topk(keep, largest=False)
    return low, column.gather(1, order)
