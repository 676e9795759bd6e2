"""The statistic of the audit: where an item lies between its nearest training item and the next ones.

y lies close to its nearest item a_1 and a_2, ..., a_K are the next nearest, r_k = |y - a_k| and
D_k = |a_k - a_1|. The foot of y on the line from a_1 (place 0) to a_k (place 1) is at

    t_k = <y - a_1, a_k - a_1> / D_k^2 = (r_1^2 - r_k^2 + D_k^2) / (2 D_k^2).

A copy of a_1 has t_k = 0 for all k, an item that has nothing to do with the training items t_k = 1/2. What is
added to a copy and does not point from a_1 to a_k (noise, traces of compression) leaves t_k where it was,
whatever it does to the ratio r_1 / r_2. The statistic joins both, small for copies:

    s = max_k |t_k| sqrt(r_1 / r_2).

It compares distances with distances only, so a blurred or a grainy item that copies nothing is not taken for
a copy; the nearest distance alone would be.
"""

import torch
from jaxtyping import Float
from torch import Tensor

_SMALL = 1e-9  # of the last squared distance: what counts as 0 in a quotient


def position(
    r2: Float[Tensor, "q K"],
    D2: Float[Tensor, "q K"],
    *,
    noise: Float[Tensor, " q"] | None = None,
    floor: Float[Tensor, " q"] | None = None,
) -> Float[Tensor, " q"]:
    """The statistic of items, small for copies.

    Args:
        r2: squared distances to the K nearest training items of different groups, the nearest first.
        D2: squared distances of these items to the first of them; the first column is not looked at.
        noise: squared length of noise that all of `r2` hold alike; taken off in the quotient r_1 / r_2.
        floor: squared distance that counts as none; by default a billionth of the farthest.
    """
    small = (_SMALL * r2[:, -1] if floor is None else floor) + torch.finfo(r2.dtype).tiny
    # t_k = (r_1^2 - r_k^2 + D_k^2) / (2 D_k^2); 1/2 where a_k is no farther from a_1 than what counts as none
    D2 = D2[:, 1:]
    apart = small[:, None] < D2
    t = torch.where(apart, (r2[:, :1] - r2[:, 1:] + D2) / (2 * D2.clamp_min(torch.finfo(D2.dtype).tiny)), 0.5)
    # r_1^2 / r_2^2, both without noise
    first = r2[:, 0]
    second = r2[:, 1:].amin(1)
    if noise is not None:
        first = (first - noise).clamp_min(0)
        second = (second - noise).clamp_min(0)
    quotient = ((first + small) / (second + small)).clamp_max(1)
    # s = max_k |t_k| (r_1^2 / r_2^2)^(1/4)
    return t.abs().amax(1) * quotient.pow(0.25)
