"""Main directions against a singular value decomposition, and of data that have few."""

import numpy as np
import pytest
import torch

from audit_views import quiet
from memhorizon.auditing.views.pixels import LOOKED_AT, SHARE, coarse, main_directions, pixels


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rows_of(n, d, rank=None):
    """Rows off the origin, of variances that differ, in a plane of so many dimensions."""
    k = min(n, d) if rank is None else rank
    scales = 2.0 ** -torch.arange(k).clamp(max=12)
    return torch.randn(n, k, generator=seeded()) * scales @ torch.randn(k, d, generator=seeded(1)) + 3


@pytest.mark.parametrize(("n", "d"), [(60, 20), (40, 90)])
def test_directions_are_those_of_the_singular_values(n, d):
    rows = rows_of(n, d)
    mean, directions = main_directions(rows, 1000)
    count = min(d // SHARE, n // SHARE)
    assert directions.shape == (d, count)
    _, _, right = np.linalg.svd((rows - rows.mean(0)).double().numpy(), full_matrices=False)
    # up to their signs; the values are about twice the next, so that rounding of 24 bits turns them little
    overlap = np.abs(right[:count] @ directions.double().numpy())
    np.testing.assert_allclose(overlap, np.eye(count), atol=1e-3)
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-6)


@pytest.mark.parametrize(("n", "d"), [(60, 40), (40, 90)])
@pytest.mark.parametrize("rank", [1, 3])
def test_flat_data_have_as_many_directions_as_dimensions(n, d, rank):
    """Where 24 bits leave a variance of nothing but rounding, it is below 1e-10 of the largest one."""
    rows = rows_of(n, d, rank).double()
    directions = main_directions(rows, 1000)[1]
    assert directions.shape == (d, rank)
    np.testing.assert_allclose(directions.T @ directions, np.eye(rank), atol=1e-6)


@pytest.mark.parametrize("shape", [(30, 5), (5, 30), (30, 1)])
def test_equal_rows_have_a_direction(shape):
    directions = main_directions(torch.full(shape, 0.3), 64)[1]
    assert directions.isfinite().all()


def test_coarse_leaves_out_what_is_orthogonal():
    """Noise in other directions than those that are kept changes no statistic."""
    train = torch.zeros(400, 40)
    train[:, :5] = torch.randn(400, 5, generator=seeded())
    view = coarse(train, torch.arange(400), torch.arange(LOOKED_AT)[:400], "")
    asked = train[:20] + 0.1 * torch.randn(20, 40, generator=seeded(2))
    plain = asked.clone()
    plain[:, 5:] = 0
    found = view.find(asked, None, quiet).statistic
    np.testing.assert_allclose(found, view.find(plain, None, quiet).statistic, rtol=1e-3)
    assert view.digest
    assert not pixels(train, torch.arange(400), "").digest
    assert (found != pixels(train, torch.arange(400), "").find(asked, None, quiet).statistic).all()


def test_only_the_rest_is_learned_from():
    train = torch.randn(100, 12, generator=seeded())
    other = train.clone()
    other[:50] = 9 * other[:50].flip(1)
    rest = torch.arange(50, 100)
    views = [coarse(x, torch.arange(100), rest, "") for x in (train, other)]
    assert views[0].digest == views[1].digest
    assert coarse(train, torch.arange(100), torch.arange(50), "").digest != views[0].digest
