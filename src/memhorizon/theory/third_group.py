"""The d eigenvalues between the atom and the first bulk when psi_p > psi_n, in closed form for large psi.

Derived in docs/notes/third-group.md. Everything here is the leading order in 1/psi at fixed r = psi_p/psi_n;
the exact limit at given psi_n, psi_p is `bulk_edges` and `loss_curves`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from memhorizon.errors import InputError
from memhorizon.theory.arguments import times
from memhorizon.theory.coefficients import coefficients
from memhorizon.theory.dynamics import LossCurves
from memhorizon.theory.equations import Equations
from memhorizon.theory.model import FeatureModel
from memhorizon.theory.support import support_of


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
        onset: psi_n/(2 Delta v2), the unit of time in which overfitting begins; see `early_overfitting`.
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
    onset: float
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
    with np.errstate(divide="ignore", over="ignore"):
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
        onset=float(model.psi_n / (2 * delta * c.v2)),
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


def early_overfitting(model: FeatureModel, tau: object) -> LossCurves:
    """Losses between generalization and the end of overfitting, for psi_p >> psi_n >> 1 and small t.

    With s = tau/onset, the third group makes L_gen = <e> (2 s + s^2), E_score = <1/lambda> s^2. Before the
    second bulk has relaxed, and once the third has, this does not hold.

    Args:
        model: of positive data variances.
        tau: training times. [m]

    Raises:
        InputError: if psi_p <= psi_n, a data variance is zero or a time negative.

    Source: [bonnaire2025] Eq. (10)
    """
    closed, lam, w = third_group(model), model.spectrum.eigenvalues, model.spectrum.weights
    if lam[0] == 0:
        raise InputError("spectrum: expected positive eigenvalues, got one of zero")
    places = times(tau)
    s = places / closed.onset
    e = np.expm1(2 * model.t) * float(w @ (1 / lam))
    train, gap = 1 - closed.second_drop - 2 * e * s, e * (2 * s + s**2)
    return LossCurves(
        places, train, train + gap, gap, float(w @ (1 / lam)) * s**2, status="leading order at large psi"
    )


@dataclass(frozen=True)
class GroupDrops:
    """What each interval of the spectrum takes off the train loss by the end of training, in the exact limit.

    Attributes:
        labels: groups as in `bulk_edges`; the third one is "sub_bulk". [k]
        drops: of the train loss; their sum is 1 - L_train(inf). [k]
        residual: how far that sum is from the value that the resolvent at zero gives.
    """

    labels: tuple[str, ...]
    drops: Float[np.ndarray, " k"]
    residual: float


def group_drops(model: FeatureModel, *, nodes: int = 400) -> GroupDrops:
    """Integrate b^2 Im K1/(pi lambda), K1 = (1/d^2) tr W^T R W, over each interval of the support.

    Args:
        model: what U belongs to.
        nodes: of the Gauss rule, on each interval.

    Source: [bonnaire2025] Eq. (10)
    """
    equations = Equations.of(model)
    support = support_of(equations)
    x, weight = np.polynomial.legendre.leggauss(nodes)
    theta, drops = 0.5 * np.pi * (x + 1), []
    for low, high in support.offsets:
        w = low + (high - low) * np.sin(theta / 2) ** 2  # removes the square roots at both edges
        slope = 0.25 * np.pi * (high - low) * np.sin(theta) * weight
        found = equations.solve(w)
        K1 = equations.sums(found.X, found.kappa)[0]
        drops.append(float(slope @ (K1.imag / (np.pi * (equations.s2 + w)))) * equations.b2)
    zero = equations.solve(np.array([-equations.s2]))
    total = float(equations.b2 * equations.sums(zero.X, zero.kappa)[0, 0].real)
    return GroupDrops(support.labels, np.array(drops), abs(sum(drops) - total))
