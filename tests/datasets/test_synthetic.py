import math

import pytest
import torch

from memhorizon.datasets.synthetic import covariance, draw, power_law, sign_vectors, stream_seed
from memhorizon.distributions import Gaussian, GaussianMixture


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def distribution():
    return Gaussian(torch.tensor([1.0, -2.0, 0.5]), torch.diag(torch.tensor([0.5, 1.0, 2.0])))


def test_rows_do_not_depend_on_how_many_are_drawn(distribution):
    whole = draw(distribution, 0, 5000, seed=3)
    for start, count in ((0, 1), (0, 1024), (1023, 2), (2048, 1024), (4999, 1), (700, 3000), (5, 0)):
        assert torch.equal(draw(distribution, start, count, seed=3), whole[start : start + count])


def test_draws_follow_the_distribution(distribution):
    """Within 5 standard errors, that of a covariance being at most sqrt(2/n) s_i s_j."""
    n = 20000
    x = draw(distribution, 0, n, seed=0).double()
    scale = distribution.covariance.diagonal().double().sqrt()
    assert ((x.mean(0) - distribution.mean).abs() < 5 * scale / math.sqrt(n)).all()
    assert (
        (x.T.cov() - distribution.covariance).abs() < 5 * math.sqrt(2 / n) * torch.outer(scale, scale)
    ).all()


def test_streams_are_different_and_independent(distribution):
    """The correlation of n independent pairs has standard error 1/sqrt(n)."""
    n = 10000
    seeds = [
        stream_seed(seed, stream) for seed in range(50) for stream in ("train", "holdout", "distribution")
    ]
    assert len(set(seeds)) == 150
    assert all(0 <= seed < 2**63 for seed in seeds)
    a, b = (draw(distribution, 0, n, seed=stream_seed(0, stream))[:, 0] for stream in ("train", "holdout"))
    assert abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1])) < 5 / math.sqrt(n)


def test_power_law_has_its_exponent_and_mean_one():
    values = power_law(50, 1.5)
    assert math.isclose(math.fsum(values) / 50, 1, rel_tol=1e-14)
    for k in (1, 7, 49):
        assert math.isclose(math.log(values[0] / values[k]) / math.log(k + 1), 1.5, rel_tol=1e-12)
    assert power_law(4, 0.0) == (1.0,) * 4


@pytest.mark.parametrize("basis", ["axes", "random"])
def test_the_covariance_has_the_eigenvalues(basis):
    values = torch.tensor(power_law(20, 2.0), dtype=torch.float64)
    matrix = covariance(values.tolist(), basis=basis, generator=generator())
    # a symmetric eigenvalue moves by at most the norm of the rounding error: d * eps * largest
    bound = 20 * 2.0**-52 * float(values.max())
    assert (torch.linalg.eigvalsh(matrix) - values.sort().values).abs().max() < 4 * bound
    assert torch.equal(matrix, torch.diag(values)) == (basis == "axes")


def test_the_random_basis_has_no_preferred_direction():
    """Each diagonal entry has the mean of the eigenvalues; standard error from the draws."""
    source = generator()
    rows = [covariance([4.0, 1.0, 0.1], basis="random", generator=source).diagonal() for _ in range(300)]
    entries = torch.stack(rows)
    error = entries.std(0) / math.sqrt(len(entries))
    assert ((entries.mean(0) - 1.7).abs() < 5 * error).all()


def test_sign_vectors_are_distinct_and_start_with_the_papers_pair():
    rows = sign_vectors(8, 3, generator=generator())
    assert len(rows.unique(dim=0)) == 8  # all there are in three dimensions
    assert torch.equal(rows[:2], torch.tensor([[1.0] * 3, [-1.0] * 3], dtype=torch.float64))
    assert torch.equal(rows.abs(), torch.ones(8, 3, dtype=torch.float64))


def test_draws_of_a_mixture_have_its_moments():
    """Two balanced classes at +-1, unit covariance: mean 0, second moments I + 11', fourth ones up to 10."""
    distribution = GaussianMixture(
        sign_vectors(2, 4, generator=generator()), torch.eye(4).repeat(2, 1, 1), torch.full((2,), 0.5)
    )
    n = 20000
    x = draw(distribution, 0, n, seed=1).double()
    assert (x.mean(0).abs() < 5 * math.sqrt(2 / n)).all()
    # (1 + z)^4 has mean 1 + 6 + 3 = 10
    assert ((x.T @ x / n - torch.eye(4) - 1).abs() < 5 * math.sqrt(10 / n)).all()
