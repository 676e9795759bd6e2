"""What is predicted: the random-features model in the high-dimensional limit (NumPy and SciPy only)."""

from memhorizon.theory.coefficients import Coefficients, coefficients
from memhorizon.theory.density import SpectralDensity, spectral_density
from memhorizon.theory.dynamics import LossCurves, loss_curves
from memhorizon.theory.ensembles import simulate
from memhorizon.theory.model import FeatureModel
from memhorizon.theory.spectra import Spectrum
from memhorizon.theory.stieltjes import stieltjes
from memhorizon.theory.support import Support, bulk_edges
from memhorizon.theory.timescales import ModelTimescales, Threshold, overfitting_threshold, timescales

__all__ = [
    "Coefficients",
    "FeatureModel",
    "LossCurves",
    "ModelTimescales",
    "SpectralDensity",
    "Spectrum",
    "Support",
    "Threshold",
    "bulk_edges",
    "coefficients",
    "loss_curves",
    "overfitting_threshold",
    "simulate",
    "spectral_density",
    "stieltjes",
    "timescales",
]
