"""Which data, how many, and how they are prepared."""

import math
import operator
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, SupportsFloat, SupportsIndex, get_args

from memhorizon.checks import check_choice, check_flag
from memhorizon.datasets.synthetic import Basis, power_law
from memhorizon.errors import InputError
from memhorizon.files.bounds import MOST_BYTES, MOST_SIDE

Name = Literal[
    "digits", "mnist", "fashion-mnist", "cifar10", "celeba", "folder", "file", "gaussian", "mixture"
]
SYNTHETIC = ("gaussian", "mixture")
MOST = 1e30  # largest scale, mean and eigenvalue, far from the ends of float32
MOST_COVARIANCE = 2**24  # numbers in the covariances, 128 MiB, of which a few copies are made

_LEAST = {"n_train": 1, "n_holdout": 0, "subset": 0, "seed": 0, "dim": 1, "size": 1}
_INTEGERS = (*_LEAST, "components")
_NUMBERS = ("scale", "mean", "exponent")


@dataclass(frozen=True)
class DataConfig:
    """Which data, how many, and how they are prepared.

    Attributes:
        name: the data set.
        path: file or folder it is read from; None for what needs none or is found by itself.
        n_train: number of training items.
        n_holdout: number of held-out items.
        subset: which of the disjoint training subsets of this size.
        size: the short side is resized to this many pixels, at most 8,192, then the centre cropped to
            size x size.
        grey: make pictures grey, after resizing and cropping.
        seed: fixes the order of the pictures, the draws and the random basis; less than 2**63.
        scale: factor on the centred pixels; 1 is the paper's convention, 2 gives values of order one.
        dim: dimension of the synthetic data; components * dim**2 is at most 2**24.
        components: number of Gaussians in the mixture, equal in weight and covariance; the means of the first
            two are +mean and -mean in every coordinate, further ones have random distinct signs.
        mean: absolute value of each coordinate of the mixture's means.
        eigenvalues: eigenvalues of the covariance, `dim` of them; None for the power law.
        exponent: of the power law: eigenvalue k = 1..dim is proportional to k**-exponent, their mean is 1.
        basis: eigenvectors along the axes, or a random rotation of them.
    """

    name: Name = "digits"
    path: str | None = None
    n_train: int = 128
    n_holdout: int = 512
    subset: int = 0
    size: int | None = None
    grey: bool = False
    seed: int = 0
    scale: float = 1.0
    dim: int = 8
    components: int = 2
    mean: float = 1.0
    eigenvalues: tuple[float, ...] | None = None
    exponent: float = 0.0
    basis: Basis = "axes"

    def __post_init__(self) -> None:
        self._make_plain()
        check_choice("name", self.name, get_args(Name))
        check_choice("basis", self.basis, get_args(Basis))
        check_flag("grey", self.grey)
        for word, least in _LEAST.items():
            _check_least(word, getattr(self, word), least)
        self._check_size()
        self._check_scale()
        self._check_path()
        if self.name in SYNTHETIC:
            self._check_distribution()

    @property
    def needed(self) -> int:
        """How many items of the source the held-out set and the subsets up to this one take."""
        return (self.subset + 1) * self.n_train + self.n_holdout

    def _make_plain(self) -> None:
        for word in _INTEGERS:
            self._as_plain(word, _plain_integer, "an integer, less than 2**63")
        for word in _NUMBERS:
            self._as_plain(word, _plain_number, "a finite number")
        self._as_plain("eigenvalues", _plain_numbers, "finite numbers")
        self._as_plain("path", os.fsdecode, "a path")

    def _as_plain(self, word: str, convert: Callable[..., object], expected: str) -> None:
        """Replace a NumPy number or a Path by the plain value that a configuration is saved with."""
        value = getattr(self, word)
        if value is None and word in ("size", "eigenvalues", "path"):
            return
        try:
            object.__setattr__(self, word, convert(value))
        except OverflowError as error:  # of too many digits to print, perhaps
            raise InputError(f"{word}: expected {expected}, got one that is too large") from error
        except (TypeError, ValueError, RuntimeError) as error:  # the last from PyTorch
            raise InputError(f"{word}: expected {expected}, got {value!r}") from error

    def _check_size(self) -> None:
        if self.size is not None and self.size > MOST_SIDE:
            raise InputError(f"size: expected at most {MOST_SIDE:,} pixels, got {self.size:,}")

    def _check_scale(self) -> None:
        if not 1 / MOST <= self.scale <= MOST:
            raise InputError(f"scale: expected a positive number, {1 / MOST:g} to {MOST:g}, got {self.scale}")

    def _check_path(self) -> None:
        if self.path == "":
            raise InputError("path: expected a file or folder, got an empty path")
        if self.path is not None and self.name in ("digits", *SYNTHETIC):
            raise InputError(f"path: {self.name} is not read from a path, got {self.path!r}")

    def _check_distribution(self) -> None:
        self._check_no_pixels()
        self._check_components()
        self._check_mean()
        self._check_covariances()
        self._check_draws()
        self._check_eigenvalues()

    def _check_no_pixels(self) -> None:
        if self.size is not None or self.grey or self.scale != 1:
            raise InputError(f"size, grey, scale: {self.name} has no pixels, expected None, False and 1")

    def _check_components(self) -> None:
        if not 1 <= self.components <= 2 ** min(self.dim, 20):
            raise InputError(f"components: expected 1 to 2**dim (at most 2**20), got {self.components}")

    def _check_mean(self) -> None:
        if abs(self.mean) > MOST:
            raise InputError(f"mean: expected at most {MOST:g} in magnitude, got {self.mean}")

    def _check_covariances(self) -> None:
        components = self.components if self.name == "mixture" else 1
        if components * self.dim**2 > MOST_COVARIANCE:
            raise InputError(
                f"dim, components: expected at most {MOST_COVARIANCE:,} numbers in the covariances, "
                f"components * dim**2, got {components:,} * {self.dim:,}**2"
            )

    def _check_draws(self) -> None:
        if self.needed * self.dim * 4 > MOST_BYTES:  # subset k comes after the k before it
            raise InputError(
                f"n_train, n_holdout, subset, dim: expected at most {MOST_BYTES // 4:,} numbers to draw, "
                f"((subset + 1) * n_train + n_holdout) * dim, got {self.needed:,} * {self.dim:,}"
            )

    def _check_eigenvalues(self) -> None:
        given = self.eigenvalues
        if given is None:
            power_law(self.dim, self.exponent)
        elif not _are_eigenvalues(given, self.dim):
            raise InputError(
                f"eigenvalues: expected {self.dim} positive numbers, at most {MOST:g}, got {given}"
            )


def _are_eigenvalues(given: tuple[float, ...], dim: int) -> bool:
    return len(given) == dim and all(0 < value <= MOST for value in given)


def _check_least(word: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise InputError(f"{word}: expected at least {least}, got {value}")


def _plain_integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise TypeError("no whole number")
    number = operator.index(value)
    if not -(2**63) <= number < 2**63:
        raise OverflowError
    return number


def _plain_number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, SupportsFloat):
        raise TypeError("no number")
    number = value if type(value) is int else float(value)
    if not math.isfinite(number):  # an integer may be too large, and says so
        raise ValueError("no finite number")
    return number


def _plain_numbers(values: object) -> tuple[int | float, ...]:
    if not isinstance(values, Iterable):
        raise TypeError("no numbers")
    return tuple(_plain_number(value) for value in values)
