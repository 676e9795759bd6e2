"""FLS overfit and the generalization gap: closed forms, the gradient of the likelihood, copies."""

import math

import numpy as np
import pytest
import torch

from memhorizon import metrics
from memhorizon.errors import InputError
from memhorizon.metrics import likelihood
from metrics_reference import distances, log_densities


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def standardized(*sets, by):
    """By mean and standard deviation of one set."""
    return [((x - by.mean(0)) / by.std(0)).numpy() for x in sets]


def test_one_gaussian_has_the_closed_form():
    """One sample y: s = mean |x - y|^2 / d, and the gap is 50 (1 - mean |h - y|^2 / d s)."""
    train, holdout, sample = normal(40, 3), 2 * normal(30, 3, seed=1), normal(1, 3, seed=2)
    x, h, y = standardized(train, holdout, sample, by=holdout)
    s = ((x - y) ** 2).sum(1).mean() / 3
    expected = 50 * (1 - ((h - y) ** 2).sum(1).mean() / (3 * s))
    found = metrics.generalization_gap(sample, train, holdout=holdout)
    # the fit ends with the round that gains less than 1e-6, and the first one is already exact here
    assert found.value.value == pytest.approx(expected, rel=1e-9)
    # standard errors of two means of squares, 100 / d |x - y|^2 / 2s
    errors = [50 / (3 * s) * ((z - y) ** 2).sum(1).std(ddof=1) / math.sqrt(len(z)) for z in (x, h)]
    assert found.value.high - found.value.value == pytest.approx(1.959964 * math.hypot(*errors), rel=1e-6)


def test_far_gaussians_have_the_variance_of_their_items():
    """Samples at far places: each explains the items there alone."""
    place = 1e3 * torch.eye(4, dtype=torch.float64)
    x = torch.cat([place[i] + (i + 1) * normal(25, 4, seed=i) for i in range(4)])
    found = likelihood._fit(place, x)
    squared = distances(x, place) ** 2
    expected = [squared[25 * i : 25 * i + 25, i].mean() / 4 for i in range(4)]
    # squared distances by the product: 1e6 times some units of 2^-53
    np.testing.assert_allclose(found.variance, expected, rtol=1e-9)


def test_the_fit_is_where_the_gradient_of_the_likelihood_vanishes():
    """By automatic differentiation. It stops when a round gains less than 1e-6 per dimension and item."""
    center, x = normal(30, 2), normal(50, 2, seed=1)
    found = likelihood._fit(center, x)
    log_variance = found.variance.log().requires_grad_()
    squared = torch.from_numpy(distances(x, center) ** 2)
    density = -squared / (2 * log_variance.exp()) - log_variance
    mean = (density.logsumexp(1) - math.log(30)).mean()
    mean.backward()
    is_free = found.variance > 2 * likelihood._SMALLEST
    start = (torch.from_numpy(distances(center, x).min(1)) ** 2 / 2).log()
    before = start.clone().requires_grad_()
    (-squared / (2 * before.exp()) - before).logsumexp(1).mean().backward()
    assert float(log_variance.grad[is_free].norm()) < 0.05 * float(before.grad.norm())


def test_the_likelihood_rises_from_round_to_round():
    center, x = normal(40, 3), normal(60, 3, seed=1)
    mixture = likelihood._Mixture(center, torch.ones(40, dtype=torch.float64))
    tiles = likelihood._Distances(x, center)
    seen = []
    for _ in range(10):
        variance, value = likelihood._round(mixture, tiles)
        seen.append(value)
        mixture = likelihood._Mixture(center, variance)
    assert all(later >= earlier - 1e-9 for earlier, later in zip(seen, seen[1:], strict=False))


def test_likelihoods_equal_the_slow_twin(monkeypatch):
    """By tiles of a few rows, kept or made again, as at once."""
    center, x = normal(7, 3), normal(23, 3, seed=1)
    variance = normal(7, seed=2).exp()
    mixture = likelihood._Mixture(center, variance)
    slow = log_densities(x.numpy(), center.numpy(), variance.numpy())
    mixed = np.log(np.exp(slow).mean(1))
    for tile, kept in ((1 << 20, 1 << 20), (14, 1 << 20), (14, 0)):
        monkeypatch.setattr(likelihood, "_TILE", tile)
        monkeypatch.setattr(likelihood, "_KEPT", kept)
        np.testing.assert_allclose(mixture.log_likelihood(x), mixed, rtol=1e-10)
        np.testing.assert_allclose(mixture.log_means(x), np.log(np.exp(slow).mean(0)), rtol=1e-10)
        np.testing.assert_allclose(likelihood._fit(center, x).variance, likelihood._fit(center, x).variance)


def test_the_share_compares_means_over_both_sets():
    train, holdout, samples = normal(50, 2), normal(20, 2, seed=1), normal(30, 2, seed=2)
    x, h, y = standardized(train, holdout, samples, by=holdout)
    variance = likelihood._fit(torch.from_numpy(y), torch.from_numpy(x)).variance.numpy()
    gains = [np.log(np.exp(log_densities(z, y, variance)).mean(0)) for z in (x, h)]
    found = metrics.fls_overfit(samples, train, holdout=holdout)
    np.testing.assert_allclose(found.per_sample, gains[0] - gains[1], rtol=1e-6, atol=1e-9)
    assert found.value.count == (gains[0] > gains[1]).sum()


@pytest.mark.parametrize(("n", "h"), [(300, 300), (400, 100)])
def test_the_null_is_the_share_of_honest_samples(n, h):
    """It is no half: 0.48 and 0.68 here. 12 independent triples: means within 4 standard errors."""
    values = []
    for seed in range(12):
        train, holdout, samples = (normal(size, 8, seed=3 * seed + i) for i, size in enumerate((n, h, 100)))
        found = metrics.fls_overfit(samples, train, holdout=holdout)
        values.append((found.value.value, found.null.value))
    honest, null = np.array(values).T
    spread = np.std(honest - null, ddof=1) / math.sqrt(12)
    assert abs(np.mean(honest - null)) < 4 * spread


def test_a_generator_that_copies_overfits():
    train, holdout = normal(200, 8), normal(200, 8, seed=1)
    copies, fresh = train[:150] + 1e-3 * normal(150, 8, seed=2), normal(150, 8, seed=3)
    for name, sign in (("fls_overfit", 1), ("generalization_gap", -1)):
        metric = getattr(metrics, name)
        of_copies, of_fresh = (metric(samples, train, holdout=holdout) for samples in (copies, fresh))
        assert sign * (of_copies.value.value - of_copies.null.value) > 0.2
        assert sign * (of_copies.value.value - of_fresh.value.value) > 0.2
        assert not of_copies.null.low <= of_copies.value.value <= of_copies.null.high
    assert metrics.fls_overfit(train[:150], train, holdout=holdout).value.value == 1.0


def test_50_exact_copies_among_1000_samples():
    """The gap sees them. The share counts each, but its base rate is a half or more: 0.05 more is little."""
    train, holdout = normal(1000, 16), normal(400, 16, seed=1)
    samples = torch.cat([train[:50], normal(950, 16, seed=2)])
    gap = metrics.generalization_gap(samples, train, holdout=holdout)
    assert gap.value.high < gap.null.low
    share = metrics.fls_overfit(samples, train, holdout=holdout)
    assert bool((share.per_sample[:50] > 0).all())
    assert "half of the held-out items in place of samples" in str(share)


def test_features_that_do_not_vary_are_no_special_case():
    train, holdout, samples = normal(40, 3), normal(40, 3, seed=1), normal(30, 3, seed=2)
    wide = [torch.cat([x, torch.ones(len(x), 1)], 1) for x in (samples, train, holdout)]
    plain = metrics.fls_overfit(samples, train, holdout=holdout)
    assert torch.isfinite(metrics.fls_overfit(wide[0], wide[1], holdout=wide[2]).per_sample).all()
    assert torch.isfinite(plain.per_sample).all()


def test_few_held_out_items_and_none_are_refused():
    items = torch.eye(4)
    for metric in (metrics.fls_overfit, metrics.generalization_gap):
        with pytest.raises(InputError, match="holdout: expected at least 4 items, got 3"):
            metric(items, items, holdout=items[:3])
        with pytest.raises(InputError, match="holdout: expected held-out items"):
            metric(items, items, holdout=None)
