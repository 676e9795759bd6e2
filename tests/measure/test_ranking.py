"""Ranking by products: the bound on its rounding, against direct differences in 64 bits."""

import pytest
import torch

from memhorizon.measure import ranking
from memhorizon.measure.neighbors import nearest
from reference import nearest_slow


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def agree(samples, train, k, **options):
    distance, index = nearest(samples, train, k=k, **options)
    true_distance, true_index = nearest_slow(samples, train, k)
    assert torch.equal(index, true_index)
    # the distance is rounded once, to the bits of its type (subnormal numbers: to a fixed grid)
    info = torch.finfo(distance.dtype)
    allowed = info.eps * true_distance + info.smallest_normal * info.eps
    if distance.dtype == torch.float64:
        allowed *= 4 * train[0].numel()  # the twin rounds in 64 bits as well, once per entry of the sums
    assert bool(((distance.double() - true_distance).abs() <= allowed).all())


@pytest.mark.parametrize("d", [3, 64, 1500])
@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_scores_stay_within_their_slack(d, scale):
    """The bound behind the exactness: no score is farther from |a - b|^2 - |a|^2 than `slack`."""
    samples, train = (scale * normal(40, d)).abs() + 3, normal(200, d, seed=1).abs()
    frame = ranking.Frame.of(train, 4.0, torch.float32)
    a, radius = frame.queries(samples)
    score, index = ranking.rank(a, train, 200, frame)
    true = torch.stack([(row - train.double()).square().sum(1) for row in samples.double()])
    true = true.gather(1, index) * frame.scale**2
    error = (score.double() + radius[:, None] ** 2 - true).abs()
    slack = torch.stack([frame.slack(radius, distance) for distance in true.sqrt().T], dim=1)
    assert bool((error <= slack).all())
    assert float(error.max()) > 0  # there is rounding to bound


@pytest.mark.parametrize("d", [3, 12, 1500])
def test_the_slack_holds_the_roundings_that_are_counted(d):
    """In units of u (2A + distance)^2: 2 of centring, K + 5 of lengths, K + L + 1 of the score, 8 of room."""
    frame = ranking.Frame.of(normal(50, d), 4.0, torch.float32)
    one = torch.ones(1, dtype=torch.float64)
    runs = 1 if d < 1024 else 2  # of at most 1,024 columns
    terms = -(-(d + 1) // runs)
    in_units = float(frame.slack(one, one)) / (9 * 2.0**-24)
    # the rest are sums in 64 bits, d units of 2^-51
    assert in_units == pytest.approx(2 + terms + 5 + terms + runs + 1 + 8, abs=d * 2.0**-26)


def test_shortened_products_widen_the_slack():
    frame = ranking.Frame.of(normal(10, 8), 4.0, torch.float32)
    one = torch.ones(1, dtype=torch.float64)
    plain = frame.slack(one, one)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert float(frame.slack(one, one)) > float(plain) + 9 * 2.0**-7 - 1e-12
        agree(normal(20, 8), normal(300, 8, seed=1), 2)
    finally:
        torch.set_float32_matmul_precision(before)
