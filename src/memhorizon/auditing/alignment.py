"""Registration of pictures: which flip, scale, shift, brightness and blur makes one of the other.

A candidate x is brought into the frame of a picture y in two steps. First all transforms of a grid (flip,
scales, whole shifts) are tried on y at half the resolution, where one product of matrices gives all
correlations with all candidates. Then the best one is refined by Gauss-Newton steps at full resolution, in
which y is fitted by

    y(p) = gain x(u p + v) + blur B x(u p + v) + offset,

with u = (u_1, u_2) scales (a flip has u_1 < 0), v a shift, B the mean over 3x3 pixels, one offset for each
channel. What lies outside of x, and pixels of y that are as bright as can be, are left out of the fit.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

SCALES = (0.82, 0.86, 0.90, 0.95, 1.0, 1.05, 1.10, 1.16, 1.22)
STEPS = 2  # of Gauss-Newton
FARTHEST = 1 / 9  # of a side: how far whole shifts go
_STEP = 0.08  # longest step, in halves of the picture
_DRIFT = (0.06, 0.06, 0.14, 0.14)  # farthest from the start, for u and v
_RIDGE = 1e-4  # added to the normal equations
_LEAST_GAIN = 0.2  # that a step is divided by


@dataclass(frozen=True, eq=False)
class Fit:
    """Candidates fitted to pictures.

    Attributes:
        fitted: candidates in the frame and brightness of their picture. [q, K, d]
        inside: 1 where the candidate is known, 0 outside of it. [q, K, d]
        place: u_1, u_2, v_1, v_2 of each. [q, K, 4]
        gain: of brightness, with that of the blurred candidate. [q, K]
        blur: share of the gain that is the blurred candidate's. [q, K]
    """

    fitted: Float[Tensor, "q K d"]
    inside: Float[Tensor, "q K d"]
    place: Float[Tensor, "q K 4"]
    gain: Float[Tensor, "q K"]
    blur: Float[Tensor, "q K"]


def farthest_shift(side: int) -> int:
    """Whole pixels by which pictures are shifted at most."""
    return max(1, round(side * FARTHEST))


def blurred(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """The mean over 3x3 pixels."""
    return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)


def correlate(
    y: Float[Tensor, "q c h w"], candidates: Float[Tensor, "q K c h w"]
) -> tuple[Float[Tensor, "q K"], Float[Tensor, "q K 4"]]:
    """Largest correlation of each candidate with the picture over the grid of transforms, and where it is.

    A candidate is tried as it is and blurred; the larger correlation counts.
    """
    q, K, c, h, w = candidates.shape
    versions = _versions(y)
    # correlation of t and x: <t, x - mean x> / (|t - mean t| |x - mean x|)
    directions = _directions(candidates)
    correlation = versions @ directions.transpose(1, 2) / _lengths(versions)[:, :, None]
    best, where = correlation.view(q, -1, K, 2).amax(3).max(1)
    return best, _place(where, h, w)


def _lengths(versions: Float[Tensor, "q t d"]) -> Float[Tensor, "q t"]:
    """|t - mean t| of each version t."""
    spread = versions.square().sum(2) - versions.sum(2).square() / versions.shape[-1]
    return spread.clamp_min(1e-6).sqrt()


def _directions(candidates: Float[Tensor, "q K c h w"]) -> Float[Tensor, "q twice_K d"]:
    """Each candidate as it is and blurred, at half the resolution, without its mean and of length 1."""
    q, K = candidates.shape[:2]
    x = candidates.flatten(0, 1)
    halves = torch.stack([F.avg_pool2d(x, 2), F.avg_pool2d(blurred(x), 2)], 1)
    both = halves.flatten(2).unflatten(0, (q, K)).flatten(1, 2)
    both = both - both.mean(2, keepdim=True)
    return both / both.norm(dim=2, keepdim=True).clamp_min(1e-6)


def _versions(y: Float[Tensor, "q c h w"]) -> Float[Tensor, "q t d"]:
    """Each picture under all transforms of the grid, at half the resolution."""
    q, c, h, w = y.shape
    down = farthest_shift(h)
    right = farthest_shift(w)
    padded = F.pad(_scaled(y), (right, right, down, down), mode="replicate")
    pooled = F.avg_pool2d(padded, 2, 1)
    # every shift is a view: windows of every second pixel that begin at one of the shifts
    step = pooled.stride()
    size = (q, len(pooled), 2 * down + 1, 2 * right + 1, c, h // 2, w // 2)
    strides = (c * step[1], step[0], step[2], step[3], step[1], 2 * step[2], 2 * step[3])
    return pooled.as_strided(size, strides).reshape(q, -1, c * (h // 2) * (w // 2))


def _scaled(y: Float[Tensor, "q c h w"]) -> Float[Tensor, "t qc h w"]:
    """The pictures at all scales, as they are and flipped, their channels beside one another."""
    q, c, h, w = y.shape
    matrix = torch.tensor([[[flip * s, 0, 0], [0, s, 0]] for flip in (1.0, -1.0) for s in SCALES])
    grid = F.affine_grid(matrix, [len(matrix), c, h, w], align_corners=False)
    channels = y.reshape(1, q * c, h, w).expand(len(matrix), -1, -1, -1)
    return F.grid_sample(channels, grid, padding_mode="border", align_corners=False)


def _place(where: Int[Tensor, "q K"], h: int, w: int) -> Float[Tensor, "q K 4"]:
    """U and v of a transform of the grid, in the frame of the picture."""
    down = farthest_shift(h)
    right = farthest_shift(w)
    columns = 2 * right + 1
    rows = 2 * down + 1
    t = where // (rows * columns)
    # version(p) = y(s (p + o)) is like x(p):  y(p) = x(p / s - o)
    o_1 = (where % columns - right) * (2 / w)
    o_2 = (where // columns % rows - down) * (2 / h)
    scale = torch.tensor(SCALES)[t % len(SCALES)]
    flip = torch.where(t < len(SCALES), 1.0, -1.0)
    return torch.stack([flip / scale, 1 / scale, -o_1, -o_2], -1)


def align(
    y: Float[Tensor, "q c h w"],
    candidates: Float[Tensor, "q K c h w"],
    place: Float[Tensor, "q K 4"],
) -> Fit:
    """Refine the place of each candidate and fit it to its picture.

    Args:
        y: pictures with values from 0 to 1; fitted ones are cut there as pictures are.
        candidates: of each, likewise.
        place: where the refinement starts.
    """
    q, K, c, h, w = candidates.shape
    x = candidates.reshape(q * K, c, h, w)
    target = y[:, None].expand(-1, K, -1, -1, -1).reshape(q * K, c * h * w)
    open_pixels = _unsaturated(y).repeat_interleave(K, 0)
    now = _refined(x, target, open_pixels, place.reshape(q * K, 4))
    parts = _fitted(x, target, open_pixels, now)
    return Fit(*(part.view(q, K, *part.shape[1:]) for part in parts))


def _fitted(
    x: Float[Tensor, "m c h w"],
    target: Float[Tensor, "m d"],
    open_pixels: Float[Tensor, "m d"],
    place: Float[Tensor, "m 4"],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What a `Fit` holds, of candidates in their place."""
    # pictures are resized by cubic interpolation more often than by linear
    seen, inside = _seen(x, place, cubic=True)
    terms = _terms(seen)
    found = _least_squares(terms, target, inside * open_pixels)
    fitted = torch.einsum("mp,mpd->md", found, terms).clamp(0, 1)
    gain = found[:, 0] + found[:, 1]
    blur = found[:, 1] / _not_small(gain)
    return fitted, inside, place, gain, blur


def _refined(
    x: Float[Tensor, "m c h w"],
    target: Float[Tensor, "m d"],
    open_pixels: Float[Tensor, "m d"],
    start: Float[Tensor, "m 4"],
) -> Float[Tensor, "m 4"]:
    """The place after steps of Gauss-Newton, not far from the start."""
    drift = torch.tensor(_DRIFT)
    now = start
    for _ in range(STEPS):
        seen, inside = _seen(x, now)
        terms = torch.cat([_terms(seen), _derivatives(seen, now)], 1)
        found = _least_squares(terms, target, inside * open_pixels)
        # y = gain (x(p) + step . dx/dp) + ...
        gain = _not_small(found[:, 0] + found[:, 1])
        step = (found[:, -4:] / gain[:, None]).clamp(-_STEP, _STEP)
        now = torch.maximum(torch.minimum(now + step, start + drift), start - drift)
    return now


def _not_small(gain: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
    """The gain, or the least that is divided by."""
    return torch.where(gain.abs() < _LEAST_GAIN, _LEAST_GAIN, gain)


def _unsaturated(y: Float[Tensor, "q c h w"]) -> Float[Tensor, "q d"]:
    """1 for pixels below the largest value; all of a picture that is mostly as bright as can be."""
    below = (y.flatten(1) < 1).to(y.dtype)
    enough = below.mean(1, keepdim=True) > 0.5
    return torch.where(enough, below, 1.0)


def _seen(
    x: Float[Tensor, "m c h w"], place: Float[Tensor, "m 4"], *, cubic: bool = False
) -> tuple[Float[Tensor, "m c h w"], Float[Tensor, "m d"]]:
    """Candidates x(u p + v), and where they are known."""
    c, h, w = x.shape[1:]
    p_1, p_2 = _coordinates(h, w)
    along = place[:, :1] * p_1 + place[:, 2:3]
    down = place[:, 1:2] * p_2 + place[:, 3:]
    grid = torch.stack([along[:, None, :].expand(-1, h, -1), down[:, :, None].expand(-1, -1, w)], -1)
    mode = "bicubic" if cubic else "bilinear"
    seen = F.grid_sample(x, grid, mode, padding_mode="border", align_corners=False).clamp(0, 1)
    inside = (along.abs() <= 1)[:, None, :] & (down.abs() <= 1)[:, :, None]
    return seen, inside[:, None].expand(-1, c, -1, -1).flatten(1).to(x.dtype)


def _coordinates(h: int, w: int) -> tuple[Float[Tensor, " w"], Float[Tensor, " h"]]:
    """Centres of pixels, -1 to 1."""
    return _centres(w), _centres(h)


def _centres(count: int) -> Float[Tensor, " count"]:
    return (torch.arange(count) * 2 + 1) / count - 1


def _terms(seen: Float[Tensor, "m c h w"]) -> Float[Tensor, "m p d"]:
    """What a picture is fitted by: the candidate, it blurred, one constant for each channel."""
    m, c, h, w = seen.shape
    constants = torch.eye(c)[:, :, None].expand(-1, -1, h * w).reshape(1, c, c * h * w).expand(m, -1, -1)
    return torch.cat([seen.flatten(1)[:, None], blurred(seen).flatten(1)[:, None], constants], 1)


def _derivatives(seen: Float[Tensor, "m c h w"], place: Float[Tensor, "m 4"]) -> Float[Tensor, "m 4 d"]:
    """Derivatives of x(u p + v) by u_1, u_2, v_1 and v_2."""
    h, w = seen.shape[-2:]
    p_1, p_2 = _coordinates(h, w)
    # d/dv_1 = (d/dp_1) / u_1, with differences over two pixels, each 2/w wide
    along = F.pad(seen[..., 2:] - seen[..., :-2], (1, 1, 0, 0)) * (w / 4) / place[:, 0, None, None, None]
    down = F.pad(seen[:, :, 2:] - seen[:, :, :-2], (0, 0, 1, 1)) * (h / 4) / place[:, 1, None, None, None]
    parts = [p_1 * along, p_2[:, None] * down, along, down]
    return torch.stack([part.flatten(1) for part in parts], 1)


def _least_squares(
    terms: Float[Tensor, "m p d"], target: Float[Tensor, "m d"], weight: Float[Tensor, "m d"]
) -> Float[Tensor, "m p"]:
    """Coefficients that minimize the weighted squared misfit, with a ridge that keeps them finite."""
    weighted = terms * weight[:, None]
    square = weighted @ terms.transpose(1, 2) + _RIDGE * torch.eye(terms.shape[1])
    return torch.linalg.solve(square, (weighted @ target[:, :, None]))[:, :, 0]
