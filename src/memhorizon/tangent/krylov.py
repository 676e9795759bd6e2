"""Functions of a large symmetric matrix that is known by its products with vectors alone."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from memhorizon.checks import check_whole
from memhorizon.errors import InputError

Product = Callable[[Tensor], Tensor]
Function = Callable[[Tensor], Tensor]
BREAKDOWN = 1e-6  # a new direction this much shorter than the largest before it is rounding


@dataclass(frozen=True, eq=False, repr=False)
class Krylov:
    """A symmetric matrix A seen from one vector b: Q^T A Q = T, tridiagonal, with Q e_1 = b/|b|.

    Attributes:
        basis: orthonormal rows, Q^T; the first is b/|b|. [k, dim]
        eigenvalues: of T: the nodes of the Gauss quadrature, rising. [k]
        vectors: of T, a column each. [k, k]
        length: |b|.
    """

    basis: Float[Tensor, "k dim"]
    eigenvalues: Float64[Tensor, " k"]
    vectors: Float64[Tensor, "k k"]
    length: float

    @property
    def weights(self) -> Float64[Tensor, " k"]:
        """Share of |b|^2 that each node carries: sum weights f(eigenvalues) = b^T f(A) b / |b|^2.

        It is exact where f is a polynomial of degree below 2 k.

        Source: [golub1969]
        """
        return self.vectors[0].square()

    def apply(self, function: Function) -> Float[Tensor, " dim"]:
        """Give f(A) b, nearly: |b| Q f(T) e_1, exact where f is a polynomial of degree below k.

        Args:
            function: f, of a vector of eigenvalues, value by value.

        Source: [saad1992] Sec. 2
        """
        small = self.vectors @ (function(self.eigenvalues) * self.vectors[0])  # [k]
        return self.length * (small.to(self.basis) @ self.basis)

    def __repr__(self) -> str:
        low = float(self.eigenvalues[0])
        high = float(self.eigenvalues[-1])
        return f"Krylov({len(self.basis)} nodes from {low:.3g} to {high:.3g})"


def krylov(product: Product, start: Tensor, *, size: int) -> Krylov:
    """Build the Krylov space of a symmetric matrix by Lanczos' algorithm, reorthogonalised in full.

    It keeps `size` vectors, and ends earlier where A maps the space into itself.

    Args:
        product: v -> A v, both of the shape of `start`.
        start: b, not zero. [dim]
        size: number of products with A, k.

    Raises:
        InputError: if `size` is below 1, or `start` is no vector of finite floats, or zero.

    Source: [ubaru2017] Sec. 2
    """
    check_whole("size", size, least=1)
    length = _length_of(start)
    rows = [start / length]
    diagonal: list[float] = []
    off: list[float] = []
    for _ in range(min(size, len(start))):
        image = product(rows[-1])
        diagonal.append(float(image.double() @ rows[-1].double()))
        # what is left of A q_j: beta_j q_{j+1}
        rest = _without(torch.stack(rows), image)
        off.append(float(rest.double().norm()))
        if off[-1] <= BREAKDOWN * max(max(map(abs, diagonal)), *off):
            break
        rows.append(rest / off[-1])
    return _solved(rows[: len(diagonal)], diagonal, off[: len(diagonal) - 1], length)


def _solved(rows: list[Tensor], diagonal: list[float], off: list[float], length: float) -> Krylov:
    """The eigenvalues and vectors of T."""
    matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    for k, beta in enumerate(off):
        matrix[k, k + 1] = beta
        matrix[k + 1, k] = beta
    eigenvalues, vectors = torch.linalg.eigh(matrix)
    return Krylov(torch.stack(rows), eigenvalues, vectors, length)


def _without(rows: Tensor, vector: Tensor) -> Tensor:
    """What of a vector is orthogonal to orthonormal rows; twice, for the first time leaves rounding."""
    once = vector - (rows @ vector) @ rows
    return once - (rows @ once) @ rows


def _length_of(start: Tensor) -> float:
    """The length of a vector that is one."""
    _check_vector(start)
    length = float(start.double().norm())
    if not 0 < length < float("inf"):
        raise InputError(f"start: expected a finite vector that is not zero, got one of length {length}")
    return length


def _check_vector(start: Tensor) -> None:
    if start.ndim != 1 or not start.is_floating_point():
        raise InputError(f"start: expected a vector of floats, got {start.dtype} {tuple(start.shape)}")
