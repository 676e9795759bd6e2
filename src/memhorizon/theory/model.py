"""The model that the theory speaks of."""

from dataclasses import dataclass, field
from numbers import Real

import numpy as np

from memhorizon.results import InputError
from memhorizon.theory.activations import resolve
from memhorizon.theory.spectra import Spectrum


@dataclass(frozen=True)
class FeatureModel:
    """A random-features score model at one diffusion time, in the limit of high dimension.

    s_A(x) = (A/sqrt p) sigma(W x/sqrt d) with a frozen Gaussian W [p, d], trained by gradient flow from A = 0
    to denoise n points of covariance Sigma at diffusion time t; n, p and d grow together.

    Attributes:
        psi_n: n_train / dim.
        psi_p: n_features / dim.
        t: diffusion time; the noise variance is 1 - exp(-2t).
        activation: "tanh", "erf", "relu", "sin", "sigmoid", or a callable from an array to an array, entry by
            entry.
        spectrum: eigenvalues of the data covariance.

    Raises:
        InputError: if a number is not positive and finite, or the activation is unknown or linear.

    Source: [bonnaire2025] Eq. (7)
    """

    psi_n: float
    psi_p: float
    t: float
    activation: object = "tanh"
    spectrum: Spectrum = field(default_factory=Spectrum.isotropic)

    def __post_init__(self) -> None:
        for name in ("psi_n", "psi_p", "t"):
            value = getattr(self, name)
            if not (isinstance(value, Real) and 0 < float(value) < np.inf):
                raise InputError(f"{name}: expected a finite number above 0, got {value!r}")
        if not isinstance(self.spectrum, Spectrum):
            raise InputError(
                f"spectrum: expected a Spectrum, such as Spectrum.isotropic(), got {self.spectrum!r}"
            )
        resolve(self.activation)

    @property
    def decay(self) -> float:
        """exp(-t), the factor of the data in x_t."""
        return float(np.exp(-self.t))

    @property
    def delta_t(self) -> float:
        """1 - exp(-2t), the variance of the noise in x_t."""
        return float(-np.expm1(-2 * self.t))

    @property
    def total_variance(self) -> float:
        """Mean square of one coordinate of x_t: exp(-2t) tr Sigma/d + 1 - exp(-2t)."""
        return self.decay**2 * self.spectrum.variance + self.delta_t
