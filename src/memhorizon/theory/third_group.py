"""The d eigenvalues between the atom and the first bulk when psi_p > psi_n, in closed form for large psi.

Derived in docs/notes/third-group.md. Everything here is the leading order in 1/psi at fixed r = psi_p/psi_n;
the exact limit at given psi_n, psi_p is `bulk_edges` and `loss_curves`.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from memhorizon.errors import InputError
from memhorizon.results import Status
from memhorizon.theory.arguments import times
from memhorizon.theory.coefficients import Coefficients, coefficients
from memhorizon.theory.dynamics import LossCurves, decay_time
from memhorizon.theory.equations import Equations
from memhorizon.theory.model import FeatureModel
from memhorizon.theory.support import support_of


@dataclass(frozen=True)
class ThirdGroup:
    """Leading order of the third group, one entry per eigenvalue of Sigma; NaN where it is not separated.

    Attributes:
        separated: whether r > (1 + e)^2, e = (exp(2t) - 1)/lambda, so that it lies below the first bulk. [k]
        centers: position of the eigenvalues of U. [k]
        half_widths: their density is a semicircle of this half-width. [k]
        masses: share of all p eigenvalues. [k]
        train_drop: what these modes take off the train loss by the end of training. [k]
        gap: what they add to L_gen by the end of training. [k]
        time: time at which A has relaxed along them, psi_p/(2 Delta center). [k]
        first_bulk: edges of the first bulk at the same order. (2,)
        onset: psi_n/(2 Delta v2), the unit of time in which overfitting begins; see `early_overfitting`.
        total_drop: 1 - L_train(inf) at the same order.
        total_gap: L_gen(inf) at the same order.
        second_drop: part of `total_drop` from the second bulk: 1 - L_opt.
    """

    separated: Bool[np.ndarray, " k"]
    centers: Float[np.ndarray, " k"]
    half_widths: Float[np.ndarray, " k"]
    masses: Float[np.ndarray, " k"]
    train_drop: Float[np.ndarray, " k"]
    gap: Float[np.ndarray, " k"]
    time: Float[np.ndarray, " k"]
    first_bulk: tuple[float, float]
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
    _check_more_features(model)
    c = coefficients(model)
    modes = _modes(model, c)
    center = modes.center()
    end = _end(model, c)
    return ThirdGroup(
        separated=_are_separated(model),
        centers=center,
        half_widths=modes.half_width(),
        masses=modes.mass() / model.psi_p,
        train_drop=modes.drop(center),
        gap=modes.gap(center),
        time=decay_time(model, center),
        first_bulk=_first_bulk(c.v2, c.s2, modes.r),
        onset=float(model.psi_n / (2 * model.delta_t * c.v2)),
        total_drop=end.drop(),
        total_gap=end.gap(),
        second_drop=replace(end, kappa=1.0).drop(),  # kappa = 1 leaves the second bulk
    )


def _check_more_features(model: FeatureModel) -> None:
    if model.psi_p <= model.psi_n:
        raise InputError(f"psi_p: expected more than psi_n = {model.psi_n:g} features, got {model.psi_p:g}")


def _noise_shares(model: FeatureModel) -> np.ndarray:
    """Shares e = (exp(2t) - 1)/lambda, infinite where the data do not vary. [k].

    e = b^2/(alpha lambda) is minus kappa at the center of the group.
    """
    with np.errstate(divide="ignore", over="ignore"):
        return np.expm1(2 * model.t) / model.spectrum.eigenvalues


def _are_separated(model: FeatureModel) -> np.ndarray:
    """Whether r > (1 + e)^2. [k]."""
    with np.errstate(over="ignore"):
        return model.psi_p / model.psi_n > (1 + _noise_shares(model)) ** 2


def _modes(model: FeatureModel, c: Coefficients) -> "_Modes":
    """The modes of a model."""
    e = np.where(_are_separated(model), _noise_shares(model), np.nan)
    r = model.psi_p / model.psi_n
    return _Modes(c.v2, c.s2, r, model.psi_n, model.spectrum.weights, e)


def _end(model: FeatureModel, c: Coefficients) -> "_End":
    """The end of the training of a model."""
    r = model.psi_p / model.psi_n
    return _End(model.spectrum.weights, _noise_shares(model), r, _kappa_at_zero(c.v2, c.s2, r))


@dataclass(frozen=True)
class _Modes:
    """The leading order of the group of each data eigenvalue; arrays are [k].

    Attributes:
        v2: v^2.
        s2: s^2.
        r: psi_p/psi_n.
        psi_n: n/d.
        w: weights of the eigenvalues of Sigma.
        e: shares of noise, NaN where the group is not separated.
    """

    v2: float
    s2: float
    r: float
    psi_n: float
    w: np.ndarray
    e: np.ndarray

    @property
    def margin(self) -> np.ndarray:
        """Difference r - (1 + e)^2, zero where the group touches the first bulk."""
        return self.r - (1 + self.e) ** 2

    def center(self) -> np.ndarray:
        """Position s2 + v2 e (r/(1 + e) - 1)."""
        return self.s2 + self.v2 * self.e * (self.r / (1 + self.e) - 1)

    def mass(self) -> np.ndarray:
        """Share of the d eigenvalues, the weight w."""
        return np.where(np.isnan(self.e), np.nan, self.w)

    def half_width(self) -> np.ndarray:
        """Half-width 2 sqrt(w margin r/psi_n) v2 e/(1 + e)^2."""
        return 2 * np.sqrt(self.w / self.psi_n * self.margin * self.r) * self.v2 * self.e / (1 + self.e) ** 2

    def drop(self, center: np.ndarray) -> np.ndarray:
        """Share of the train loss, w e v2 margin/((1 + e)^2 center)."""
        return self.w * self.e * self.v2 * self.margin / ((1 + self.e) ** 2 * center)

    def gap(self, center: np.ndarray) -> np.ndarray:
        """Share of L_gen, w e (1 - e) v2^2 r margin/((1 + e)^3 center^2)."""
        e = self.e
        return self.w * e * (1 - e) * self.v2**2 * self.r * self.margin / ((1 + e) ** 3 * center**2)


def _first_bulk(v2: float, s2: float, r: float) -> tuple[float, float]:
    """Edges of the first bulk, s2 + v2 (1 -+ sqrt r)^2."""
    low = s2 + v2 * (1 - np.sqrt(r)) ** 2
    high = s2 + v2 * (1 + np.sqrt(r)) ** 2
    return float(low), float(high)


@dataclass(frozen=True)
class _End:
    """The losses at tau = inf, from kappa at z = 0.

    Attributes:
        w: weights of the eigenvalues of Sigma. [k]
        e: shares of noise. [k]
        r: psi_p/psi_n.
        kappa: leave-one-out factor.
    """

    w: np.ndarray
    e: np.ndarray
    r: float
    kappa: float

    def drop(self) -> float:
        """1 - L_train = <1/(1 + kappa/e)>."""
        return float(np.sum(self.w / (1 + self.kappa / self.e)))

    def gap(self) -> float:
        """L_gen = (1 - kappa^2) <1/(e (1 + kappa/e)^2)>/(1 - (1 - kappa)^2/r)."""
        kappa = self.kappa
        average = np.sum(self.w / self.e / (1 + kappa / self.e) ** 2)
        return float((1 - kappa**2) * average / (1 - (1 - kappa) ** 2 / self.r))


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
    inverse = _mean_inverse(model)  # <1/lambda>
    closed = third_group(model)
    places = times(tau)
    s = places / closed.onset
    e = np.expm1(2 * model.t) * inverse  # <e>
    L_train = 1 - closed.second_drop - 2 * e * s
    L_gen = e * (2 * s + s**2)
    E_score = inverse * s**2
    return LossCurves(
        places,
        L_train,
        L_train + L_gen,
        L_gen,
        E_score,
        status=Status.LEADING_ORDER,
        note="leading order at large psi",
    )


def _mean_inverse(model: FeatureModel) -> float:
    """<1/lambda> over the spectrum of the data."""
    lam = model.spectrum.eigenvalues
    if lam[0] == 0:
        raise InputError("spectrum: expected positive eigenvalues, got one of zero")
    return float(model.spectrum.weights @ (1 / lam))


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
    drops = [_drop(equations, low, high, nodes) for low, high in support.offsets]
    zero = equations.solve(np.array([-equations.s2]))
    K1 = equations.sums(zero.X, zero.kappa)[0, 0]
    total = float(equations.b2 * K1.real)  # 1 - L_train(inf) = b^2 K1(0)
    return GroupDrops(support.labels, np.array(drops), abs(sum(drops) - total))


def _drop(equations: Equations, low: float, high: float, nodes: int) -> float:
    """Integral of b^2 Im K1/(pi u) over one interval, u = s2 + w."""
    w, dw = _nodes(low, high, nodes)
    found = equations.solve(w)
    K1 = equations.sums(found.X, found.kappa)[0]
    return float(dw @ (K1.imag / (np.pi * (equations.s2 + w)))) * equations.b2


def _nodes(low: float, high: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss nodes and weights in theta, w = low + (high - low) sin^2(theta/2): smooth at both edges."""
    x, weight = np.polynomial.legendre.leggauss(count)
    theta = 0.5 * np.pi * (x + 1)
    w = low + (high - low) * np.sin(theta / 2) ** 2
    # dw = (high - low) sin(theta) dtheta/2
    return w, 0.25 * np.pi * (high - low) * np.sin(theta) * weight
