"""The spectrum of the data covariance Sigma, as atoms with weights."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh_tridiagonal

from memhorizon.errors import InputError
from memhorizon.theory.arguments import array, count, number, row

VARIANCES = (1e-12, 1e12)  # bounds of the largest eigenvalue: squares of it must keep their digits
LEAST_WEIGHT = 1e-100  # what weighs less is left out: powers of a weight must not vanish
MAX_NODES = 1000
ASYMMETRY = 1e-8  # of a covariance matrix that went through single precision


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

    def __repr__(self) -> str:
        largest = self.eigenvalues[-1]
        return f"Spectrum({self.name}: {len(self.weights)} atoms up to {largest:.3g})"

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

        Gauss nodes of the Marchenko-Pastur distribution from its three-term recurrence (diagonal 1,
        1 + ratio, ...; off-diagonal sqrt(ratio)), by the method of Golub and Welsch; the atom at zero of
        ratio > 1 is among them.

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
    def from_eigenvalues(cls, eigenvalues: object, *, nodes: int = 48, gaussian: bool = True) -> "Spectrum":
        """All d eigenvalues of one covariance matrix, in any order.

        Up to `nodes` distinct ones are kept as they are (`Spectrum.atoms` keeps any number). More are merged
        in bins of equal width in log lambda, each bin at its mean, so that the trace is kept exactly; those
        below 1e-12 of the largest join the lowest bin.

        Args:
            eigenvalues: of Sigma, with repetitions. [d]
            nodes: how many atoms to keep at most.
            gaussian: whether the data are Gaussian with this covariance, which the score error needs.

        Raises:
            InputError: if one is negative or no finite number, or all are zero.

        >>> Spectrum.from_eigenvalues([2.0, 1.0, 1.0, 0.0]).weights
        array([0.25, 0.5 , 0.25])
        """
        values = row("eigenvalues", eigenvalues).astype(float)
        _check_eigenvalues(values)
        name = f"{len(values)} eigenvalues"
        return cls(*_binned(values, count("nodes", nodes, 1, MAX_NODES)), gaussian=gaussian, name=name)

    @classmethod
    def from_covariance(cls, covariance: object, *, nodes: int = 48, gaussian: bool = True) -> "Spectrum":
        """The eigenvalues of a covariance matrix, merged as in `from_eigenvalues`.

        Args:
            covariance: Sigma = E[x x^T]. [d, d]
            nodes: how many atoms to keep at most.
            gaussian: whether the data are Gaussian with this covariance, which the score error needs.

        Raises:
            InputError: if it is not square, finite, symmetric to 1e-8 and positive semi-definite to 1e-8 of
                its largest eigenvalue, or zero.

        >>> Spectrum.from_covariance([[2.0, 1.0], [1.0, 2.0]]).eigenvalues.round(12)
        array([1., 3.])
        """
        matrix = _symmetric(covariance)
        values = np.linalg.eigvalsh(matrix)
        if values[0] < -ASYMMETRY * values[-1]:
            raise InputError(
                f"covariance: expected no negative eigenvalue, got {values[0]:.3g} beside {values[-1]:.3g}"
            )
        values = np.clip(values, 0.0, None)
        _check_eigenvalues(values)
        name = f"covariance of dim {len(matrix)}"
        return cls(*_binned(values, count("nodes", nodes, 1, MAX_NODES)), gaussian=gaussian, name=name)

    @classmethod
    def from_data(cls, data: object, *, nodes: int = 48, gaussian: bool = False) -> "Spectrum":
        """Eigenvalues of the covariance of a data matrix, centred, merged as in `from_eigenvalues`.

        The data are not taken for Gaussian unless `gaussian` is true: the score error is NaN for this
        spectrum. With fewer points than a few times the dimension the eigenvalues of a sample are spread
        around those of its distribution.

        Args:
            data: one row per point, at least two; further axes are flattened. An array, a tensor, the answer
                of `load_images`, or the path of a .npy file. [n, *item]
            nodes: how many atoms to keep at most.
            gaussian: describe Gaussian data of this covariance instead of the data themselves.

        Raises:
            InputError: if there are fewer than two points, or they are not finite, or all equal, or the file
                cannot be read.
        """
        points = _points(data)
        n, dim = points.shape
        nodes = count("nodes", nodes, 1, MAX_NODES)
        values = _sample_eigenvalues(points)
        if not values.max() > 0:
            raise InputError("data: expected points that differ, got all equal")
        name = f"data({n} points, dim {dim})"
        return cls(*_binned(values, nodes), gaussian=gaussian, name=name)


def _points(data: object) -> np.ndarray:
    """Read a data matrix. [n, d].

    Raises:
        InputError: if it is none.
    """
    held = _load(data) if isinstance(data, str | os.PathLike) else getattr(data, "images", data)
    x = array("data", held).astype(float)
    _check_points(x)
    return x.reshape(len(x), -1)


def _check_points(x: np.ndarray) -> None:
    if x.ndim < 2 or x.shape[0] < 2 or x.size == 0 or not np.all(np.isfinite(x)):
        raise InputError(f"data: expected at least two finite points [n, *item], got shape {x.shape}")
    largest = np.max(np.abs(x))
    if not largest < VARIANCES[1]:
        raise InputError(f"data: expected values below {VARIANCES[1]:g}, got {largest:.3g}; rescale")


def _load(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a .npy file; nothing in it is executed.

    Raises:
        InputError: if it is missing, damaged or of another kind.
    """
    path = Path(path)
    if path.suffix != ".npy":
        raise InputError(
            f"data: expected an array or a .npy file, got {str(path)!r}; read pictures with load_images"
        )
    return _mapped(path)


def _mapped(path: Path) -> np.ndarray:
    try:
        return np.lib.format.open_memmap(path, mode="r")  # refuses pickled objects
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise InputError(f"data: expected a .npy file of numbers, got {str(path)!r} ({error})") from error


def _sample_eigenvalues(points: np.ndarray) -> np.ndarray:
    """Eigenvalues of the centred covariance, from the smaller of the two matrices that have them. [d]."""
    x = points - points.mean(axis=0)
    n, dim = x.shape
    values = np.zeros(dim)
    small = np.linalg.eigvalsh(x @ x.T if n < dim else x.T @ x) / n
    values[: len(small)] = np.clip(small, 0.0, None)
    return values


def _symmetric(covariance: object) -> np.ndarray:
    """Read a symmetric matrix. [d, d].

    Raises:
        InputError: if it is none.
    """
    matrix = array("covariance", covariance).astype(float)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] > 0
    if not (square and np.all(np.isfinite(matrix))):
        raise InputError(f"covariance: expected a finite square matrix, got shape {matrix.shape}")
    _check_symmetric(matrix)
    return matrix


def _check_symmetric(matrix: np.ndarray) -> None:
    difference = np.max(np.abs(matrix - matrix.T))
    if difference > ASYMMETRY * np.max(np.abs(matrix)):
        raise InputError(
            f"covariance: expected a symmetric matrix, got entries that differ by {difference:.3g}"
        )


def _binned(values: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `nodes` atoms with the same trace."""
    values = np.where(values < 1e-12 * values.max(), 0.0, values)
    if len(np.unique(values)) <= nodes:
        return _atoms(values, np.ones_like(values))
    label = _bins(values, nodes)
    held = np.bincount(label, minlength=nodes)
    total = np.bincount(label, weights=values, minlength=nodes)
    kept = held > 0
    return _atoms(total[kept] / held[kept], held[kept])


def _bins(values: np.ndarray, nodes: int) -> np.ndarray:
    """Bins of equal width in the logarithm; zeros are in the first. [d]."""
    positive = values > 0
    logs = np.log(values[positive])
    low = logs.min()
    place = np.zeros(len(values))
    place[positive] = (logs - low) / (logs.max() - low)
    return np.minimum((place * nodes).astype(int), nodes - 1)


def _atoms(eigenvalues: object, weights: object) -> tuple[np.ndarray, np.ndarray]:
    """Checked, sorted, merged, normalised and read-only atoms."""
    values = np.asarray(eigenvalues, dtype=float)
    given = np.asarray(weights, dtype=float)
    if values.ndim != 1 or values.shape != given.shape or values.size == 0:
        raise InputError(
            f"eigenvalues, weights: expected two lists of one length, got {values.shape}, {given.shape}"
        )
    _check_eigenvalues(values)
    if not _weigh(given):
        raise InputError(f"weights: expected finite, none negative, not all zero, got {_short(given)}")
    values, merged = _merged(values, given)
    _check_scale(values)
    values.flags.writeable = False
    merged.flags.writeable = False
    return values, merged


def _merged(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct eigenvalues, ascending, and weights of sum 1."""
    if not VARIANCES[0] <= weights.max() <= VARIANCES[1]:  # the sum of any of them is one then
        weights = weights / weights.max()
    values, label = np.unique(values, return_inverse=True)
    merged = np.bincount(label, weights=weights)
    merged /= merged.sum()
    kept = merged > LEAST_WEIGHT
    return values[kept], merged[kept]


def _weigh(values: np.ndarray) -> bool:
    """Whether numbers are finite, none negative, and not all zero."""
    return bool(np.all(np.isfinite(values)) and np.all(values >= 0) and values.size and values.max() > 0)


def _check_eigenvalues(values: np.ndarray) -> None:
    """Refuse what is no list of variances.

    Raises:
        InputError: if one is negative or not finite, or all are zero.
    """
    if not _weigh(values):
        raise InputError(f"eigenvalues: expected finite, none negative, not all zero, got {_short(values)}")


def _check_scale(values: np.ndarray) -> None:
    """Refuse a largest eigenvalue whose square would lose its digits.

    Raises:
        InputError: if it is too small or too large, or zero because only zeros have weight.
    """
    largest = values.max()
    if not largest > 0:
        raise InputError("weights: expected some weight on a positive eigenvalue, got none")
    low, high = VARIANCES
    if not low <= largest <= high:
        raise InputError(
            f"eigenvalues: expected the largest from {low:g} to {high:g}, got {largest:.3g}; rescale"
        )


def _short(values: np.ndarray) -> str:
    return f"{values.tolist()!s:.200}"
