"""Frechet and kernel distance of two named sets, and MiFID in the order of its paper."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from memhorizon import metrics
from memhorizon.errors import InputError
from memhorizon.measure.quality import frechet_distance, kernel_distance
from metrics_reference import cosine_distances_slow


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_they_are_those_of_measure_beside_that_of_held_out_items():
    samples, train, holdout = 1.2 * normal(80, 4), normal(90, 4, seed=1), normal(80, 4, seed=2)
    for metric, distance in ((metrics.frechet, frechet_distance), (metrics.kernel, kernel_distance)):
        found = metric(samples, train, holdout=holdout)
        assert found.value == distance(samples, train)
        assert found.null == distance(holdout, train)


def test_a_distance_is_printed_with_its_correction_where_that_has_an_error():
    many = metrics.frechet(1.5 * normal(200, 2), normal(200, 2, seed=1))
    few = metrics.frechet(normal(3, 2), normal(3, 2, seed=1))
    assert f"{many.value.value:.4g} (corrected {many.value.corrected})" in str(many)
    assert few.value.corrected.standard_error == math.inf
    assert f"{few.value.value:.4g}" in str(few)
    assert "corrected" not in str(few)


def test_gaussians_have_their_closed_form():
    """N(0, I) and N(mu, s^2 I): d (s - 1)^2 + |mu|^2, within 4 standard errors of the corrected number."""
    d = 8
    found = metrics.frechet(1.5 * normal(2000, d) + 0.5, normal(2000, d, seed=1)).value.corrected
    assert abs(found.value - d * (0.5**2 + 0.5**2)) < 4 * found.standard_error


def test_a_generator_that_only_copies_is_the_best_to_them():
    """The blind spot of both, which their page states."""
    train, holdout = normal(400, 4), normal(400, 4, seed=1)
    for metric in (metrics.frechet, metrics.kernel):
        found = metric(train.flip(0), train, holdout=holdout)
        assert found.value.value < found.null.value


@pytest.mark.parametrize("shift", [0.0, 3.0], ids=["both signs", "above 0"])
def test_mifid_equals_the_slow_twin(shift):
    samples, train = normal(40, 5).abs() + shift, normal(60, 5, seed=1) + shift
    expected = cosine_distances_slow(samples, train)
    found = metrics.mifid(samples, train, penalty_below=1.0)
    # 1 - cos is a difference of numbers near 1 in the twin: some units of 2^-53
    np.testing.assert_allclose(found.per_sample, expected, atol=1e-14)
    frechet = metrics.frechet(samples, train).value.value
    assert found.value.value == pytest.approx(frechet / expected.mean(), rel=1e-9)


def test_opposite_vectors_are_near_and_directions_count_alone():
    """One sample at 30 degrees from -x and 60 from +-y, scaled: 1 - cos 30."""
    angle = math.radians(30)
    samples = 7 * torch.tensor([[-math.cos(angle), math.sin(angle)]] * 2)
    train = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert metrics.mifid(samples, train).per_sample.tolist() == pytest.approx([1 - math.cos(angle)] * 2)


def test_an_item_of_zeros_has_no_direction():
    zeros, some = torch.zeros(3, 4), normal(5, 4)
    assert metrics.mifid(zeros, some).per_sample.tolist() == [1.0] * 3
    assert metrics.mifid(some, zeros).per_sample.tolist() == [1.0] * 5


def positive(n, seed):
    """Features such as networks have: above 0, and far from one another in direction."""
    return normal(n, 64, seed=seed).clamp(min=0)


class Same(nn.Module):
    """The features are the items."""

    def forward(self, x):
        return x


def test_few_samples_all_copies_are_punished_here_and_not_by_torchmetrics():
    """50 samples, all of them copies: torchmetrics averages over the 1,000 training items."""
    theirs = pytest.importorskip("torchmetrics.image.mifid").MemorizationInformedFrechetInceptionDistance
    train = positive(1000, seed=0)
    copies = train[:50]
    metric = theirs(feature=Same())
    metric.update(train, real=True)
    metric.update(copies, real=False)
    frechet = metrics.frechet(copies, train).value.value
    assert float(metric.compute()) == pytest.approx(frechet, rel=1e-3)  # as if nothing had been copied
    found = metrics.mifid(copies, train)
    assert found.per_sample.tolist() == [0.0] * 50
    assert found.value.value > 1e6 * frechet


def test_of_an_exact_copy_nothing_is_left_to_punish():
    """What rounding leaves of a distance of 0 is not divided by 1e-15."""
    train = positive(60, seed=0)
    found = metrics.mifid(train, train)
    assert found.value.value == 0
    assert found.value.corrected.value == 0


def test_in_the_order_of_the_paper_torchmetrics_has_the_same_number():
    """Its function averages over its first argument: give it the samples there."""
    module = pytest.importorskip("torchmetrics.image.mifid")
    train = positive(300, seed=0)
    samples = train[:80] + 0.2 * positive(80, seed=1)
    theirs = module._compute_cosine_distance(samples.double(), train.double(), cosine_distance_eps=0.1)
    found = metrics.mifid(samples, train)
    assert float(found.per_sample.mean()) == pytest.approx(float(theirs), rel=1e-9)
    assert float(theirs) < 0.1
    frechet = metrics.frechet(samples, train).value
    assert found.value.value == pytest.approx(frechet.value / float(theirs), rel=1e-9)
    # errors of two independent factors, in quadrature
    near = found.per_sample
    relative = float(near.std() / near.mean()) / math.sqrt(80)
    share = math.hypot(frechet.corrected.standard_error, frechet.corrected.value * relative) / float(theirs)
    assert found.value.corrected.standard_error == pytest.approx(share, rel=1e-6)


def test_50_copies_among_1000_fresh_samples_are_not_seen():
    """The blind spot of MiFID, which its page states: one mean, one switch."""
    train = positive(1000, seed=0)
    samples = torch.cat([train[:50], positive(950, seed=1)])
    found = metrics.mifid(samples, train, holdout=positive(200, seed=2))
    assert found.value == metrics.frechet(samples, train).value
    assert float(found.per_sample.mean()) > 0.1
    assert found.note.startswith("mean cosine distance to the nearest training item 0.")


def test_bad_input_is_named():
    items = torch.eye(4)
    with pytest.raises(InputError, match="penalty_below: expected"):
        metrics.mifid(items, items, penalty_below=0.0)
    for metric in (metrics.mifid, metrics.frechet, metrics.kernel):
        with pytest.raises(InputError, match="at least 2 items each"):
            metric(items[:1], items)
