"""Gaussian data with any spectrum, and draws that do not depend on how many are taken at once."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from memhorizon.distributions import Gaussian, GaussianMixture
from memhorizon.errors import InputError

Basis = Literal["axes", "random"]
BLOCK = 1024  # rows drawn at once; part of what a seed means, so it never changes
STREAMS = ("train", "holdout", "distribution")


def stream_seed(seed: int, stream: Literal["train", "holdout", "distribution"]) -> int:
    """Derive independent seeds from one."""
    state = np.random.SeedSequence([seed, STREAMS.index(stream)]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))  # torch takes 63 bits without a sign


def draw(
    distribution: Gaussian | GaussianMixture, start: int, count: int, *, seed: int
) -> Float[Tensor, "count dim"]:
    """Give rows start to start + count of the endless sequence of draws that belongs to `seed`."""
    generator = torch.Generator().manual_seed(seed)
    out = torch.empty(count, distribution.dim)
    for first in range(0, start + count if count else 0, BLOCK):
        block = distribution.sample(BLOCK, generator=generator)
        low = max(start - first, 0)
        high = min(start + count - first, BLOCK)
        if low < high:
            out[first + low - start : first + high - start] = block[low:high]
    return out


def power_law(dim: int, exponent: float) -> tuple[float, ...]:
    """Give eigenvalues proportional to k**-exponent, k = 1 to dim, with mean 1.

    Raises:
        InputError: if they leave the range of floats.
    """
    try:
        raw = [float(k) ** -exponent for k in range(1, dim + 1)]
        total = math.fsum(raw)
    except OverflowError:
        raw = [0.0]
        total = 1.0
    if not 0 < min(raw) <= total < math.inf:
        raise InputError(f"exponent: expected one of which {dim}**-exponent is a float, got {exponent}")
    return tuple(value * dim / total for value in raw)


def covariance(
    eigenvalues: Sequence[float], *, basis: Basis, generator: torch.Generator
) -> Float[Tensor, "dim dim"]:
    """Build the covariance with these eigenvalues, float64; a random basis is uniform (Haar)."""
    values = torch.tensor(eigenvalues, dtype=torch.float64)
    if basis == "axes":
        return torch.diag(values)
    normal = torch.randn(len(values), len(values), dtype=torch.float64, generator=generator)
    Q = torch.linalg.qr(normal).Q  # uniform but for the signs of its columns, which drop out below
    return (Q * values) @ Q.T


def sign_vectors(count: int, dim: int, *, generator: torch.Generator) -> Float[Tensor, "count dim"]:
    """Give distinct vectors of signs: all +1, all -1, then random ones."""
    rows = [torch.ones(dim, dtype=torch.float64), -torch.ones(dim, dtype=torch.float64)][:count]
    seen = {tuple(row.tolist()) for row in rows}
    while len(rows) < count:
        row = torch.randint(0, 2, (dim,), generator=generator).double() * 2 - 1
        if tuple(row.tolist()) not in seen:
            seen.add(tuple(row.tolist()))
            rows.append(row)
    return torch.stack(rows)
