"""The network at finite size, trained exactly: one eigendecomposition instead of millions of gradient steps.

Every linear method started at A = 0 (gradient flow, gradient descent, momentum, ridge) gives
A = -sqrt(p/Delta) V^T f(U) with a scalar function f, its filter; the losses are then sums over modes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh

from memhorizon.theory.arguments import times
from memhorizon.theory.dynamics import LossCurves
from memhorizon.theory.features import FiniteMatrices, finite_matrices
from memhorizon.theory.model import FeatureModel

NULL = 1e-13  # an eigenvalue below this share of the largest one is a zero of U, and V has nothing there

Filter = Callable[[Float[np.ndarray, " p"]], Float[np.ndarray, " p"]]


@dataclass(frozen=True)
class Modes:
    """One finite network in the eigenbasis of U, which is all that the losses depend on.

    Attributes:
        eigenvalues: of U, increasing. [p]
        vectors: eigenvectors of U, in columns. [p, p]
        weight: |V^T e_i|^2/d, how much of the noise each mode carries. [p]
        overlap: the same between V and V_test. [p]
        form: quadratic form of the test loss, (e_i.U_test e_j)(e_i.V V^T e_j)/d. [p, p]
        scale: train loss at tau = 0.
        floor: lowest possible test loss, L_opt.
        delta_t: variance of the noise.
        psi_p: p/d.
    """

    eigenvalues: Float[np.ndarray, " p"]
    vectors: Float[np.ndarray, "p p"]
    weight: Float[np.ndarray, " p"]
    overlap: Float[np.ndarray, " p"]
    form: Float[np.ndarray, "p p"]
    scale: float
    floor: float
    delta_t: float
    psi_p: float

    @classmethod
    def of(cls, matrices: FiniteMatrices) -> "Modes":
        """Diagonalise U. Time p^3, about a minute for p = 3200 on one core."""
        d = matrices.V.shape[1]
        u, E = eigh(matrices.U, driver="evd", check_finite=False)
        live = u > NULL * u[-1]
        V = np.where(live[:, None], E.T @ matrices.V, 0.0)  # [p, d]
        V_test = E.T @ matrices.V_test  # [p, d]
        return cls(
            eigenvalues=u,
            vectors=E,
            weight=np.sum(V**2, axis=1) / d,
            overlap=np.sum(V * V_test, axis=1) / d,
            form=(E.T @ matrices.U_test @ E) * (V @ V.T) / d,
            scale=matrices.scale,
            floor=matrices.floor,
            delta_t=matrices.delta_t,
            psi_p=matrices.psi_p,
        )

    @property
    def drop(self) -> Float[np.ndarray, " p"]:
        """What each mode takes off the train loss by the end of training, of sum 1 - L_train(inf)."""
        live, u = self._live()
        return np.where(live, self.weight / u, 0.0)

    def _live(self) -> tuple[np.ndarray, np.ndarray]:
        """Which modes carry weight, and the eigenvalues with 1 in place of the others. [p]."""
        live = self.weight > 0
        return live, np.where(live, self.eigenvalues, 1.0)

    def rate(self, tau: float) -> float:
        """The factor c of exp(-c u): how far a mode of eigenvalue 1 has decayed in A at time tau."""
        return 2 * self.delta_t * tau / self.psi_p

    def flow(self, tau: Sequence[float] | np.ndarray) -> LossCurves:
        """Losses of gradient flow from A = 0 at the times tau (inf allowed)."""
        places = times(tau)
        return self.losses(places, [flow_filter(self.rate(float(s))) for s in places])

    def losses(self, tau: Float[np.ndarray, " m"], filters: Sequence[Filter]) -> LossCurves:
        """Losses after training with these filters, one per entry of `tau` (which only labels them).

        Source: [bonnaire2025] Eq. (10)
        """
        live, u = self._live()
        rows = [np.where(live, make(u), 0.0) for make in filters]
        f = np.array(rows).reshape(len(filters), len(u))  # [m, p]
        # L_train = scale + sum_i (u_i f_i^2 - 2 f_i) weight_i
        L_train = self.scale + (u * f**2 - 2 * f) @ self.weight
        # L_test = 1 + f^T form f - 2 f^T overlap
        L_test = 1 + np.sum((f @ self.form) * f, axis=1) - 2 * f @ self.overlap
        E_score = (L_test - self.floor) / self.delta_t
        return LossCurves(tau, L_train, L_test, L_test - L_train, E_score)


def flow_filter(rate: float, ridge: float = 0.0) -> Filter:
    """Gradient flow for a time tau, `rate` = 2 Delta tau/psi_p; `ridge` is added to U by weight decay."""

    def f(u: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
        with np.errstate(over="ignore"):  # exp(-inf) is the limit
            return -np.expm1(-rate * (u + ridge)) / (u + ridge)

    return f


def descent_filter(steps: int, rate: float, momentum: float = 0.0) -> Filter:
    """Gradient descent with `steps` steps, each worth `rate` of flow, and heavy-ball momentum.

    The residual 1 - u f obeys e_{k+1} = (1 + momentum - rate u) e_k - momentum e_{k-1}, e_0 = e_{-1} = 1.
    Without momentum it is (1 - rate u)^k, stable for rate * u < 2.

    Source: [polyak1964]
    """

    def f(u: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
        # the recursion as the power of a 2 x 2 matrix per mode, by repeated squaring
        power = np.linalg.matrix_power(_descent_step(u, rate, momentum), steps)  # [p, 2, 2]
        residual = power.sum(axis=-1)[:, 0]
        return (1 - residual) / u

    return f


def _descent_step(u: np.ndarray, rate: float, momentum: float) -> np.ndarray:
    """The matrix of each mode that leads from (e_k, e_{k-1}) to (e_{k+1}, e_k). [p, 2, 2]."""
    one = np.ones_like(u)
    zero = np.zeros_like(u)
    first = np.stack([one + momentum - rate * u, -momentum * one], -1)
    second = np.stack([one, zero], -1)
    return np.stack([first, second], -2)


def simulate(
    model: FeatureModel,
    dim: int,
    seed: int,
    tau: Sequence[float] | np.ndarray,
    features: str = "true",
    *,
    equal_norms: bool = False,
    noise_draws: int | None = None,
) -> LossCurves:
    """Loss curves of one finite network under gradient flow, to machine precision.

    Time (psi_p dim)^3, a minute for 3,200 features on one core.

    Args:
        model: sizes are n = psi_n * dim and p = psi_p * dim, rounded.
        dim: dimension d of the data.
        seed: of W and of the data.
        tau: training times, inf allowed. [m]
        features: "true" for the network, "equivalent" for its Gaussian equivalent.
        equal_norms: give all rows of W the length sqrt(d); see `finite_matrices`.
        noise_draws: noise vectors per training point, fixed in training; None averages over all noise.

    Raises:
        InputError: for sizes below 1 or above what memory holds (20,000 features, 2^28 numbers per matrix),
            negative times or an unknown kind of features.

    Source: [bonnaire2025] Eq. (10)
    """
    places = times(tau)
    matrices = finite_matrices(
        model, dim, seed, features=features, equal_norms=equal_norms, noise_draws=noise_draws
    )
    return Modes.of(matrices).flow(places)


def finite_spectrum(
    model: FeatureModel, dim: int, seed: int, features: str = "true", *, equal_norms: bool = False
) -> Float[np.ndarray, " p"]:
    """Eigenvalues of U of one finite network, increasing."""
    U = finite_matrices(model, dim, seed, features=features, equal_norms=equal_norms).U
    return eigh(U, eigvals_only=True, driver="evd", check_finite=False)
