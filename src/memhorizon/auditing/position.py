"""The statistic of the audit: where an item lies between its nearest training item and the next ones.

y lies close to its nearest item a_1 and a_2, ..., a_K are the next nearest, r_k = |y - a_k| and
D_k = |a_k - a_1|. The foot of y on the line from a_1 (place 0) to a_k (place 1) is at

    t_k = <y - a_1, a_k - a_1> / D_k^2 = (r_1^2 - r_k^2 + D_k^2) / (2 D_k^2).

A copy of a_1 has t_k = 0 for all k, an item that has nothing to do with the training items t_k = 1/2. What is
added to a copy and does not point from a_1 to a_k (noise, traces of compression) leaves t_k where it was,
whatever it does to the ratio r_1 / r_2. The statistic joins both, small for copies:

    s = max_k |t_k| sqrt(r_1 / r_2).

Of pictures it can be told which part A_k of r_k^2 is structure and no noise, and that part is compared. What
a picture has on the lines to other training items is no noise, so that the quotient counts no more than the
foot:

    s = T max(sqrt(A_1 / A_2), T),  T = max_k |t_k|.

Both compare distances with distances only, so a blurred or a grainy item that copies nothing is not taken for
a copy; the nearest distance alone would be.
"""

import torch
from jaxtyping import Float
from torch import Tensor

_SMALL = 1e-9  # of the last squared distance: what counts as 0 in a quotient


def position(r2: Float[Tensor, "q K"], D2: Float[Tensor, "q K"]) -> Float[Tensor, " q"]:
    """The statistic of items, small for copies.

    Args:
        r2: squared distances to the K nearest training items of different groups, the nearest first.
        D2: squared distances of these items to the first of them; the first column is not looked at.
    """
    small = _SMALL * r2[:, -1]
    # s = T (r_1^2 / r_2^2)^(1/4)
    return farthest_foot(r2, D2, small) * _quotient(r2, small).pow(0.25)


def position_by_structure(
    foot: Float[Tensor, " q"], structure: Float[Tensor, "q K"], small: Float[Tensor, " q"]
) -> Float[Tensor, " q"]:
    """The statistic of pictures, small for copies.

    Args:
        foot: T, as of `farthest_foot`.
        structure: the part A_k of the squared distances that is no noise; below 0 it counts as 0.
        small: squared distance that counts as none.
    """
    # s = T max(A_1 / A_2, T^2)^(1/2)
    quotient = _quotient(structure.clamp_min(0), small)
    return foot * torch.maximum(quotient, foot.square()).sqrt()


def farthest_foot(
    r2: Float[Tensor, "q K"], D2: Float[Tensor, "q K"], small: Float[Tensor, " q"]
) -> Float[Tensor, " q"]:
    """T = max_k |t_k|; t_k = 1/2 where a_k is no farther from a_1 than what counts as none.

    Args:
        r2: as for `position`.
        D2: likewise.
        small: squared distance that counts as none.
    """
    tiny = torch.finfo(r2.dtype).tiny
    D2 = D2[:, 1:]
    # t_k = (r_1^2 - r_k^2 + D_k^2) / (2 D_k^2)
    t = (r2[:, :1] - r2[:, 1:] + D2) / (2 * D2.clamp_min(tiny))
    apart = small[:, None] + tiny < D2
    return torch.where(apart, t, 0.5).abs().amax(1)


def _quotient(squares: Float[Tensor, "q K"], small: Float[Tensor, " q"]) -> Float[Tensor, " q"]:
    """The first of some squared lengths by the least of the others, at most 1."""
    small = small + torch.finfo(squares.dtype).tiny
    least = squares[:, 1:].amin(1)
    return ((squares[:, 0] + small) / (least + small)).clamp_max(1)
