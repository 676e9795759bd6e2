"""The model that the theory solves."""

from dataclasses import dataclass, field

import numpy as np

from memhorizon.errors import InputError
from memhorizon.theory.activations import resolve
from memhorizon.theory.arguments import number
from memhorizon.theory.spectra import Spectrum

# What double precision solves. Further out the groups of the spectrum differ by more decades than it has.
SIZES = (1e-4, 1e8)  # of psi_n and psi_p
DIFFUSION_TIMES = (1e-12, 12.0)
LEAST_SIGNAL = 1e-11  # of exp(-2t) * largest eigenvalue/Delta_t: less of the data is lost in rounding


@dataclass(frozen=True)
class FeatureModel:
    """A random-features score model at one diffusion time, in the limit of high dimension.

    s_A(x) = (A/sqrt p) sigma(W x/sqrt d) with a frozen Gaussian W [p, d], trained by gradient flow from A = 0
    to denoise n points of covariance Sigma at diffusion time t; n, p and d grow together.

    Attributes:
        psi_n: n_train / dim, from 1e-4 to 1e8.
        psi_p: n_features / dim, from 1e-4 to 1e8.
        t: diffusion time, from 1e-12 to 12; the noise variance is 1 - exp(-2t).
        activation: "tanh", "erf", "relu", "sin", "sigmoid", "gelu", "silu", "softplus", or a callable from an
            array to an array, entry by entry.
        spectrum: eigenvalues of the data covariance: `Spectrum.isotropic`, `.from_covariance`,
            `.from_eigenvalues`, `.from_data`, ...

    Raises:
        InputError: if a number is outside of the range that is solved, the activation is unknown or linear,
            or less than 1e-11 of the noise is left of the data, exp(-2t) * largest eigenvalue/Delta_t.

    Source: [bonnaire2025] Eq. (7)
    """

    psi_n: float
    psi_p: float
    t: float
    activation: object = "tanh"
    spectrum: Spectrum = field(default_factory=Spectrum.isotropic)

    def __post_init__(self) -> None:
        number("psi_n", self.psi_n, *SIZES)
        number("psi_p", self.psi_p, *SIZES)
        number("t", self.t, *DIFFUSION_TIMES)
        self._check_spectrum()
        self._check_signal()
        resolve(self.activation)

    def _check_spectrum(self) -> None:
        if not isinstance(self.spectrum, Spectrum):
            raise InputError(
                f"spectrum: expected a Spectrum, such as Spectrum.isotropic(), got {self.spectrum!r:.200}"
            )

    def _check_signal(self) -> None:
        """Refuse data that the noise drowns."""
        signal = self._signal_to_noise
        if signal < LEAST_SIGNAL:
            raise InputError(
                f"t, spectrum: expected exp(-2t) * largest eigenvalue/(1 - exp(-2t)) of at least "
                f"{LEAST_SIGNAL:g}, got {signal:.3g}: the data are lost in rounding beside the noise"
            )

    @property
    def _signal_to_noise(self) -> float:
        """exp(-2t) * largest eigenvalue/Delta_t."""
        return self.decay**2 * float(np.max(self.spectrum.eigenvalues)) / self.delta_t

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
