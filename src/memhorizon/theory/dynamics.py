"""Train loss, test loss and score error against training time, in the limit of high dimension."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Complex, Float

from memhorizon.results import Status
from memhorizon.theory.arguments import number, times
from memhorizon.theory.coefficients import Coefficients, coefficients
from memhorizon.theory.contour import Contour, Losses
from memhorizon.theory.equations import Equations
from memhorizon.theory.model import FeatureModel
from memhorizon.theory.support import support_of

LARGEST_RIDGE = 1e100
RESOLVED = 1e-7  # largest residual of curves that can be relied on


@dataclass(frozen=True, repr=False)
class LossCurves:
    """Losses along gradient flow from A = 0.

    Attributes:
        tau: training times, in units of d^2 steps of unit learning rate (tau = steps * rate/d^2). [m]
        L_train: train loss per coordinate, 1 at tau = 0. [m]
        L_test: the same over fresh data. [m]
        L_gen: L_test - L_train. [m]
        E_score: mean square distance to the true score, per coordinate; NaN where `note` says why. [m]
        residual: bound on the absolute error of the losses; None where they come from a finite network. [m]
        status: SOLVED; NOT_RESOLVED; NOT_CONVERGED (the constants of the activation); LEADING_ORDER.
        note: what else limits the numbers.
    """

    tau: Float[np.ndarray, " m"]
    L_train: Float[np.ndarray, " m"]
    L_test: Float[np.ndarray, " m"]
    L_gen: Float[np.ndarray, " m"]
    E_score: Float[np.ndarray, " m"]
    residual: Float[np.ndarray, " m"] | None = None
    status: Status = Status.SOLVED
    note: str = ""

    def __repr__(self) -> str:
        """How many times, from when to when."""
        span = f", tau {self.tau[0]:g} to {self.tau[-1]:g}" if len(self.tau) else ""
        return f"LossCurves({len(self.tau)} times{span}; {self.status})"


def loss_curves(model: FeatureModel, tau: object, *, ridge: float = 0.0) -> LossCurves:
    """Compute the losses at training times, without sampling a matrix.

    Gradient flow dA/dtau = -d^2 grad L_train from A = 0. With `ridge`, the penalty ridge * Delta_t/(d p)
    |A|^2 is added to the train loss that is descended (U -> U + ridge), not to the losses reported.

    The score error is (L_test - L_opt)/Delta_t, which holds for Gaussian data: other spectra get NaN and a
    note that says so.

    Args:
        model: what is trained.
        tau: training times, 0 and inf included. [m]
        ridge: weight decay, in units of the eigenvalues of U, up to 1e100.

    Raises:
        InputError: if a time or `ridge` is negative or no number, or the model is not solved (`bulk_edges`).

    >>> c = loss_curves(FeatureModel(psi_n=4, psi_p=64, t=0.01), [0.0, 100.0, float("inf")])
    >>> print(c.L_train.round(3), c.L_gen.round(1))
    [1.    0.978 0.192] [ 0.   0.  34.7]

    Source: [bonnaire2025] Eq. (10)
    """
    places = times(tau)
    number("ridge", ridge, 0.0, LARGEST_RIDGE)
    constants = coefficients(model)
    equations = Equations.from_constants(model, constants)
    contour = Contour(equations, support_of(equations))
    found = contour.losses(flow_filter(contour.z, rate(model, places), ridge))
    L_train = 1 + found.drop
    resolved = contour.solved and bool(np.all(found.residual < RESOLVED))
    return LossCurves(
        tau=places,
        L_train=L_train,
        L_test=L_train + found.gap,
        L_gen=found.gap,
        E_score=_score_error(model, found),
        residual=found.residual,
        status=status_of(resolved, constants),
        note="" if model.spectrum.gaussian else "E_score holds for Gaussian data only",
    )


def status_of(resolved: bool, constants: Coefficients) -> Status:
    """How an answer came about that needs the curves resolved and the constants converged."""
    if not resolved:
        return Status.NOT_RESOLVED
    return constants.status


def _score_error(model: FeatureModel, found: Losses) -> np.ndarray:
    """E_score = (L_test - L_opt)/Delta_t; NaN where the data are not Gaussian. [m]."""
    excess = excess_loss(model, found)
    return excess if model.spectrum.gaussian else np.full_like(excess, np.nan)


def excess_loss(model: FeatureModel, found: Losses) -> np.ndarray:
    """(L_test - L_opt)/Delta_t, L_opt the test loss of the best linear denoiser. [m]."""
    return (found.drop + found.gap) / model.delta_t + initial_error(model)


def rate(model: FeatureModel, tau: np.ndarray) -> np.ndarray:
    """The c of exp(-c u), by which a mode of eigenvalue u has decayed in A at time tau."""
    with np.errstate(over="ignore"):  # beyond the largest number: the limit
        return 2 * model.delta_t * tau / model.psi_p


Number = TypeVar("Number", float, np.ndarray)


def decay_time(model: FeatureModel, eigenvalue: Number) -> Number:
    """Time in which A moves by a factor e along a mode of U: psi_p/(2 Delta u)."""
    return model.psi_p / (2 * model.delta_t * eigenvalue)


def initial_error(model: FeatureModel) -> float:
    """Score error of A = 0: <1/(exp(-2t) lambda + Delta_t)>."""
    spectrum = model.spectrum
    return float(spectrum.weights @ (1 / (model.decay**2 * spectrum.eigenvalues + model.delta_t)))


def flow_filter(
    z: Complex[np.ndarray, " n"], c: Float[np.ndarray, " m"], ridge: float = 0.0
) -> Complex[np.ndarray, "m n"]:
    """f(z) = (1 - exp(-c (z + ridge)))/(z + ridge), 1/(z + ridge) at c = inf."""
    shifted = z + ridge
    known = np.isfinite(c)
    gone = 1e4 / np.min(shifted.real)  # by then exp(-c z) is 0 at every node
    finite = np.minimum(np.where(known, c, 0.0), gone)
    decayed = -np.expm1(-finite[:, None] * shifted)  # [m, n]
    return np.where(known[:, None], decayed, 1.0) / shifted
