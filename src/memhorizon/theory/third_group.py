"""The d eigenvalues between the atom and the first bulk when psi_p > psi_n, in closed form for large psi.

Derived in docs/notes/third-group.md. Everything here is the leading order in 1/psi at fixed r = psi_p/psi_n;
the exact limit at given psi_n, psi_p is `bulk_edges` and `loss_curves`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from memhorizon.results import InputError
from memhorizon.theory.coefficients import coefficients
from memhorizon.theory.model import FeatureModel


@dataclass(frozen=True)
class ThirdGroup:
    """Leading order of the third group, one entry per data eigenvalue; NaN where it is not separated.

    Attributes:
        data_eigenvalues: of Sigma. [k]
        separated: whether r > (1 + e)^2, e = (exp(2t) - 1)/lambda, so that it lies below the first bulk. [k]
        centers: position of the eigenvalues of U. [k]
        half_widths: their density is a semicircle of this half-width. [k]
        masses: share of all p eigenvalues. [k]
        train_drop: what these modes take off the train loss by the end of training. [k]
        gap: what they add to L_gen by the end of training. [k]
        time: time at which A has relaxed along them, psi_p/(2 Delta center). [k]
        first_bulk: edges of the first bulk at the same order. (2,)
        first_time: time at which A has relaxed at its lower edge, psi_p/(2 Delta lambda_-).
        total_drop: 1 - L_train(inf) at the same order.
        total_gap: L_gen(inf) at the same order.
        second_drop: part of `total_drop` from the second bulk: 1 - L_opt.
    """

    data_eigenvalues: Float[np.ndarray, " k"]
    separated: Bool[np.ndarray, " k"]
    centers: Float[np.ndarray, " k"]
    half_widths: Float[np.ndarray, " k"]
    masses: Float[np.ndarray, " k"]
    train_drop: Float[np.ndarray, " k"]
    gap: Float[np.ndarray, " k"]
    time: Float[np.ndarray, " k"]
    first_bulk: tuple[float, float]
    first_time: float
    total_drop: float
    total_gap: float
    second_drop: float


def third_group(model: FeatureModel) -> ThirdGroup:
    """Where the third group lies and what it does to the losses, for psi_p > psi_n >> 1.

    Raises:
        InputError: if psi_p <= psi_n, where there is none.

    Source: [bonnaire2025] Eq. (19)
    """
    if model.psi_p <= model.psi_n:
        raise InputError(f"psi_p: expected more than psi_n = {model.psi_n:g} features, got {model.psi_p:g}")
    c = coefficients(model)
    lam, w = np.asarray(model.spectrum.eigenvalues), np.asarray(model.spectrum.weights)
    r, delta = model.psi_p / model.psi_n, float(-np.expm1(-2 * model.t))
    with np.errstate(divide="ignore"):
        e = np.expm1(2 * model.t) / lam  # = b^2/(alpha lam) = minus kappa at the center; inf: no data there
    separated = r > (1 + e) ** 2
    e_k = np.where(separated, e, np.nan)
    margin = r - (1 + e_k) ** 2
    center = c.s2 + c.v2 * e_k * (r / (1 + e_k) - 1)
    width = 2 * np.sqrt(w / model.psi_n * margin * r) * c.v2 * e_k / (1 + e_k) ** 2
    drop = w * e_k * c.v2 * margin / ((1 + e_k) ** 2 * center)
    gap = w * e_k * (1 - e_k) * c.v2**2 * r * margin / ((1 + e_k) ** 3 * center**2)
    lower, upper = (c.s2 + c.v2 * (1 + s * np.sqrt(r)) ** 2 for s in (-1, 1))
    kappa = _kappa_at_zero(c.v2, c.s2, r)

    return ThirdGroup(
        data_eigenvalues=lam,
        separated=separated,
        centers=center,
        half_widths=width,
        masses=np.where(separated, w / model.psi_p, np.nan),
        train_drop=drop,
        gap=gap,
        time=model.psi_p / (2 * delta * center),
        first_bulk=(float(lower), float(upper)),
        first_time=float(model.psi_p / (2 * delta * lower)),
        total_drop=float(np.sum(w / (1 + kappa / e))),
        total_gap=float((1 - kappa**2) * np.sum(w / e / (1 + kappa / e) ** 2) / (1 - (1 - kappa) ** 2 / r)),
        second_drop=float(np.sum(w / (1 + 1 / e))),
    )


def _kappa_at_zero(v2: float, s2: float, r: float) -> float:
    """Leave-one-out factor kappa at z = 0: x = 1/q solves x^2 + (v2 (r-1) - s2) x - s2 v2 r = 0."""
    half = (v2 * (r - 1) - s2) / 2
    root = np.hypot(half, np.sqrt(s2 * v2 * r))
    x = s2 * v2 * r / (half + root) if half > 0 else root - half
    return float(x / (x + v2 * r))
