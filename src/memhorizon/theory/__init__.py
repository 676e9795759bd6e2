"""What is predicted: the random-features model in the high-dimensional limit (NumPy and SciPy only)."""

from memhorizon.theory.coefficients import Coefficients, coefficients
from memhorizon.theory.model import FeatureModel
from memhorizon.theory.spectra import Spectrum

__all__ = ["Coefficients", "FeatureModel", "Spectrum", "coefficients"]
