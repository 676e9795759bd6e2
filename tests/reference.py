"""Slow twins: the plainest way to an answer, for tests to hold the fast way against."""

import numpy as np
import torch


def nearest_slow(samples, train, k):
    """All distances by direct differences in 64 bits, then a stable sort: ties go to the lower index."""
    a, b = (x.reshape(len(x), -1).double() for x in (samples, train))
    distance = torch.stack([(row - b).square().sum(1).sqrt() for row in a])
    distance, index = distance.sort(dim=1, stable=True)
    return distance[:, :k], index[:, :k]


def gap_ratios_slow(samples, train, group):
    """d1 over the distance to the nearest point of another group than that of the nearest point."""
    out = []
    for row in samples.double():
        distance = (row - train.double()).flatten(1).square().sum(1).sqrt()
        first = int(distance.argmin())
        other = distance[group != group[first]].min()
        out.append(0.0 if distance[first] == 0 else float(distance[first] / other))
    return torch.tensor(out)


def frechet_slow(x, y):
    """|m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)), from the eigenvalues of S_x S_y."""
    x, y = (z.flatten(1).double().numpy() for z in (x, y))
    Sx, Sy = (np.atleast_2d(np.cov(z, rowvar=False)) for z in (x, y))
    root = np.sqrt(np.linalg.eigvals(Sx @ Sy).astype(complex)).real.sum()
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(Sx) + np.trace(Sy) - 2 * root)


def kernel_distance_slow(x, y):
    """Unbiased squared maximum mean discrepancy with the kernel (x.y/d + 1)^3, pair by pair."""
    x, y = (z.flatten(1).double().tolist() for z in (x, y))

    def kernel(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    def within(z):
        pairs = [kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j]
        return sum(pairs) / len(pairs)

    between = [kernel(a, b) for a in x for b in y]
    return within(x) + within(y) - 2 * sum(between) / len(between)
