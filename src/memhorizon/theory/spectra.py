"""The spectrum of the data covariance Sigma, as atoms with weights."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh_tridiagonal

from memhorizon.errors import InputError
from memhorizon.theory.arguments import array, count, number, row

VARIANCES = (
    1e-12,
    1e12,
)  # within which the largest eigenvalue has to lie: squares of it must keep their digits
LEAST_WEIGHT = 1e-100  # what weighs less is left out: powers of a weight must not vanish
MAX_NODES = 1000


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A limiting eigenvalue distribution of Sigma = E[x x^T], held as atoms.

    Where the distribution is continuous the atoms are Gauss nodes of its density: averages of smooth
    functions then converge geometrically in their number. Large psi_n and psi_p resolve atoms one by one, so
    that the number of nodes must grow like the square root of psi.

    Attributes:
        eigenvalues: distinct, ascending, not negative. [k]
        weights: positive, of sum 1. [k]
        gaussian: whether the data are Gaussian with this covariance, which the score error needs.
        name: where it comes from.
    """

    eigenvalues: Float[np.ndarray, " k"]
    weights: Float[np.ndarray, " k"]
    gaussian: bool = True
    name: str = "atoms"

    @property
    def variance(self) -> float:
        """Mean eigenvalue tr Sigma / d, the mean square of one coordinate of the data."""
        return float(self.weights @ self.eigenvalues)

    @classmethod
    def isotropic(cls, variance: float = 1.0) -> "Spectrum":
        """Sigma = variance * identity.

        Raises:
            InputError: if `variance` is not positive.
        """
        number("variance", variance, *VARIANCES)
        return cls(*_atoms([variance], [1.0]), name=f"isotropic({variance:g})")

    @classmethod
    def atoms(cls, eigenvalues: object, weights: object = None, *, gaussian: bool = True) -> "Spectrum":
        """Finitely many eigenvalues; `weights` are normalised to sum 1, and equal when not given.

        Raises:
            InputError: if the lists do not match, an eigenvalue is negative, or all are zero.

        >>> Spectrum.atoms([1.5, 0.5]).eigenvalues
        array([0.5, 1.5])
        """
        values = row("eigenvalues", eigenvalues).astype(float)
        given = np.ones_like(values) if weights is None else row("weights", weights).astype(float)
        return cls(*_atoms(values, given), gaussian=gaussian)

    @classmethod
    def power_law(
        cls, exponent: float, *, condition: float = 1000.0, variance: float = 1.0, nodes: int = 48
    ) -> "Spectrum":
        """Eigenvalue k of d proportional to k^-exponent, the largest `condition` times the smallest.

        With x = k/d uniform, lambda = c x^-exponent on x_min <= x <= 1, cut at x_min =
        condition^(-1/exponent); the nodes are those of Gauss and Legendre in log x. `variance` is the mean
        eigenvalue.

        Raises:
            InputError: if an argument is not positive, `condition` is not above 1 or `nodes` is below 1.
        """
        number("exponent", exponent, 1e-3, 1e3)
        number("variance", variance, *VARIANCES)
        if number("condition", condition, 1.0, 1e100) == 1:
            raise InputError("condition: expected a number above 1, got 1: that is Spectrum.isotropic")
        x, w = np.polynomial.legendre.leggauss(count("nodes", nodes, 1, MAX_NODES))
        log_x = 0.5 * (x - 1) * np.log(condition) / exponent  # from log x_min to 0
        weights = w * np.exp(log_x)  # dx = x dlog x
        values = np.exp(-exponent * log_x)
        values *= variance * weights.sum() / (weights @ values)
        return cls(*_atoms(values, weights), name=f"power law({exponent:g})")

    @classmethod
    def marchenko_pastur(cls, ratio: float, *, variance: float = 1.0, nodes: int = 64) -> "Spectrum":
        """Eigenvalues of a Wishart matrix Z Z^T/N, Z [d, N] with entries of this variance, ratio = d/N.

        Gauss nodes of the Marchenko-Pastur law from its three-term recurrence (diagonal 1, 1 + ratio, ...;
        off-diagonal sqrt(ratio)), by the method of Golub and Welsch; the atom at zero of ratio > 1 is among
        them.

        Raises:
            InputError: if `ratio` or `variance` is not positive or `nodes` is below 1.

        Source: [golub1969]
        """
        number("ratio", ratio, 1e-6, 1e6)
        number("variance", variance, *VARIANCES)
        diagonal = np.full(count("nodes", nodes, 1, MAX_NODES), 1.0 + ratio)
        diagonal[0] = 1.0
        values, vectors = eigh_tridiagonal(diagonal, np.full(nodes - 1, np.sqrt(ratio)))
        values = np.where(values < 1e-13, 0.0, values)
        return cls(*_atoms(variance * values, vectors[0] ** 2), name=f"Marchenko-Pastur({ratio:g})")

    @classmethod
    def from_data(cls, data: object, *, nodes: int = 48) -> "Spectrum":
        """Eigenvalues of the covariance of a data matrix, centred.

        More than `nodes` distinct eigenvalues are merged in bins of equal width in log lambda, each bin at
        its mean, so that the trace is kept exactly; those below 1e-12 of the largest join the lowest bin. The
        data are not taken for Gaussian: the score error of this spectrum is refused. With fewer points than a
        few times the dimension the eigenvalues of a sample are spread around those of its law.

        Args:
            data: one row per point, at least two; further axes are flattened. [n, *item]
            nodes: how many atoms to keep at most.

        Raises:
            InputError: if there are fewer than two points, or they are not finite, or all equal.
        """
        x = array("data", data).astype(float)
        if x.ndim < 2 or x.shape[0] < 2 or x.size == 0 or not np.all(np.isfinite(x)):
            raise InputError(f"data: expected at least two finite points [n, *item], got shape {x.shape}")
        nodes = count("nodes", nodes, 1, MAX_NODES)
        x = x.reshape(len(x), -1)
        if not np.max(np.abs(x)) < VARIANCES[1]:
            raise InputError(
                f"data: expected values below {VARIANCES[1]:g}, got {np.max(np.abs(x)):.3g}; rescale"
            )
        x = x - x.mean(axis=0)
        n, dim = x.shape
        values = np.zeros(dim)
        small = np.linalg.eigvalsh(x @ x.T if n < dim else x.T @ x) / n
        values[: len(small)] = np.clip(small, 0.0, None)
        if not values.max() > 0:
            raise InputError("data: expected points that differ, got all equal")
        return cls(*_binned(values, nodes), gaussian=False, name=f"data({n} points, dim {dim})")


def _binned(values: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `nodes` atoms with the same trace."""
    values = np.where(values < 1e-12 * values.max(), 0.0, values)
    if len(np.unique(values)) <= nodes:
        return _atoms(values, np.ones_like(values))
    positive = values[values > 0]
    low, high = np.log(positive.min()), np.log(positive.max())
    place = np.zeros(len(values))
    place[values > 0] = (np.log(positive) - low) / (high - low)
    label = np.minimum((place * nodes).astype(int), nodes - 1)
    count = np.bincount(label, minlength=nodes)
    total = np.bincount(label, weights=values, minlength=nodes)
    kept = count > 0
    return _atoms(total[kept] / count[kept], count[kept])


def _atoms(eigenvalues: object, weights: object) -> tuple[np.ndarray, np.ndarray]:
    """Checked, sorted, merged, normalised and read-only atoms."""
    values, given = np.asarray(eigenvalues, dtype=float), np.asarray(weights, dtype=float)
    if values.ndim != 1 or values.shape != given.shape or values.size == 0:
        raise InputError(
            f"eigenvalues, weights: expected two lists of one length, got {values.shape}, {given.shape}"
        )
    if not (np.all(np.isfinite(values)) and np.all(values >= 0) and values.max() > 0):
        raise InputError(f"eigenvalues: expected finite, none negative, not all zero, got {_short(values)}")
    if not (np.all(np.isfinite(given)) and np.all(given >= 0) and given.max() > 0):
        raise InputError(f"weights: expected finite, none negative, not all zero, got {_short(given)}")
    if not VARIANCES[0] <= given.max() <= VARIANCES[1]:  # the sum of any of them is one then
        given = given / given.max()
    values, label = np.unique(values, return_inverse=True)
    merged = np.bincount(label, weights=given)
    merged /= merged.sum()
    kept = merged > LEAST_WEIGHT
    values = values[kept]
    merged = merged[kept]
    if not values.max() > 0:
        raise InputError("weights: expected some weight on a positive eigenvalue, got none")
    if not VARIANCES[0] <= values.max() <= VARIANCES[1]:
        low, high = VARIANCES
        raise InputError(
            f"eigenvalues: expected the largest from {low:g} to {high:g}, got {values.max():.3g}; rescale"
        )
    values.flags.writeable = merged.flags.writeable = False
    return values, merged


def _short(values: np.ndarray) -> str:
    return f"{values.tolist()!s:.200}"
