"""Lanczos against dense eigendecompositions."""

import math

import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.tangent import krylov

DIM = 30


@pytest.fixture
def matrix():
    """Positive, with eigenvalues over four decades."""
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(DIM, DIM, dtype=torch.float64, generator=generator))
    return basis @ torch.diag(torch.logspace(-4, 0, DIM, dtype=torch.float64)) @ basis.T


@pytest.fixture
def start():
    return torch.randn(DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_with_all_vectors_functions_are_those_of_the_matrix(matrix, start):
    found = krylov(lambda v: matrix @ v, start, size=DIM)
    wanted = torch.linalg.matrix_exp(-3 * matrix) @ start
    got = found.apply(lambda rate: torch.exp(-3 * rate))
    # errors of rounding, some 30 products each with 1e-16
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        found.basis @ found.basis.T, torch.eye(len(found.basis)).double(), atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("degree", range(10))
def test_five_nodes_give_moments_below_the_tenth_exactly(matrix, start, degree):
    found = krylov(lambda v: matrix @ v, start, size=5)
    wanted = start @ torch.linalg.matrix_power(matrix, degree) @ start / start.square().sum()
    got = (found.weights * found.eigenvalues**degree).sum()
    assert float(got) == pytest.approx(float(wanted), rel=1e-10)


def test_the_tenth_moment_is_not_exact(matrix, start):
    found = krylov(lambda v: matrix @ v, start, size=5)
    wanted = start @ torch.linalg.matrix_power(matrix, 10) @ start / start.square().sum()
    assert float((found.weights * found.eigenvalues**10).sum()) != pytest.approx(float(wanted), rel=1e-10)


def test_it_ends_where_the_space_is_mapped_into_itself(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    found = krylov(lambda v: matrix @ v, vectors[:, [3, 12, 29]].sum(1), size=20)
    torch.testing.assert_close(found.eigenvalues, values[[3, 12, 29]], rtol=1e-8, atol=0)
    torch.testing.assert_close(found.weights, torch.full((3,), 1 / 3, dtype=torch.float64), rtol=1e-8, atol=0)
    assert found.length == pytest.approx(math.sqrt(3))


def test_the_words_of_an_answer(matrix, start):
    assert repr(krylov(lambda v: matrix @ v, start, size=2)).startswith("Krylov(2 nodes from ")


@pytest.mark.parametrize(
    "bad", [torch.zeros(3), torch.tensor([1.0, math.nan]), torch.ones(2, 2), torch.ones(3).long()]
)
def test_what_is_no_start_is_refused(bad):
    with pytest.raises(InputError, match="start: expected a"):
        krylov(lambda v: v, bad, size=2)


def test_no_nodes_are_refused():
    with pytest.raises(InputError, match="size"):
        krylov(lambda v: v, torch.ones(3), size=0)
