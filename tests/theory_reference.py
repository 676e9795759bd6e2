"""Slow twins of the theory, by other methods: the paper's equations as printed, sampled matrices."""

import numpy as np
from scipy.optimize import root

from memhorizon.theory import coefficients


def paper_stieltjes(model, z, *, steps=60):
    """q(z) from the equations of the paper in (q, r, s), Im z > 0, by continuation from Im z = 100.

    Repaired in one place: its r and s need one more 1/d to be of order one, which the equations below assume.

    Source: [bonnaire2025] Eqs. (15)-(19)
    """
    c, lam, w = coefficients(model), model.spectrum.eigenvalues, model.spectrum.weights
    alpha = (c.a * model.decay) ** 2
    n, p = model.psi_n, model.psi_p

    def equations(x, point):
        q, r, s = x[:3] + 1j * x[3:]
        D = 1 + p / n * (alpha * r + c.v2 * q)
        shat, rhat = c.b**2 * p + 1 / q, p * alpha / D
        f = np.array(
            [
                p * (c.s2 - point) + p * c.v2 / D + (1 - p) / q - s / q**2,
                r - np.sum(w * lam / (shat + lam * rhat)),
                s - np.sum(w / (shat + lam * rhat)),
            ]
        )
        return np.concatenate([f.real, f.imag])

    def solve(point):
        q = -1 / (point.real + 100j)
        x = np.array([q.real, q.real, q.real, q.imag, q.imag, q.imag])
        for height in np.geomspace(100, point.imag, steps):
            found = root(equations, x, args=(point.real + 1j * height,), tol=1e-13)
            x = found.x
        return x[0] + 1j * x[3], np.max(np.abs(equations(x, point)))

    solved = [solve(point) for point in np.atleast_1d(z)]
    return np.array([q for q, _ in solved]), np.array([size for _, size in solved])


def equivalent_matrices(model, dim, seed):
    """U, the population covariance C of one sample, and W of the Gaussian equivalent at finite size.

    Source: [bonnaire2025] Lemmas C.1-C.4
    """
    c, rng = coefficients(model), np.random.default_rng(seed)
    n, p = round(model.psi_n * dim), round(model.psi_p * dim)
    counts = np.round(np.cumsum(model.spectrum.weights) * dim).astype(int)
    lam = np.repeat(model.spectrum.eigenvalues, np.diff(counts, prepend=0))
    W = rng.normal(size=(p, dim))
    X = rng.normal(size=(dim, n)) * np.sqrt(lam)[:, None]
    slope = c.a * model.decay / np.sqrt(dim)
    G = slope * (W @ X) + np.sqrt(c.v2) * rng.normal(size=(p, n))
    U = G @ G.T / n + c.b**2 * (W @ W.T) / dim + c.s2 * np.eye(p)
    C = slope**2 * (W * lam) @ W.T + c.v2 * np.eye(p)
    return U, C, W
