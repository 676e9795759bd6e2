"""What docs/metrics.md says that each metric sees and misses, where no other test has it."""

import math

import pytest
import torch

from memhorizon import metrics


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def smooth(n, seed):
    """Pictures of 12 x 12 with neighbouring pixels alike."""
    noise = torch.nn.functional.pad(normal(n, 1, 12, 12, seed=seed), (2, 2, 2, 2), mode="circular")
    return torch.nn.functional.avg_pool2d(noise, 5, 1)


PICTURES = smooth(400, 0)
EDITS = {
    "flipped": PICTURES.flip(3),
    "shifted": PICTURES.roll(1, 3),
    "cropped": torch.nn.functional.interpolate(PICTURES[..., 1:-1, 1:-1], size=12, mode="bilinear"),
    "with strong noise": PICTURES + 2 * float(PICTURES.std()) * normal(400, 1, 12, 12, seed=1),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize(("metric", "most"), [(metrics.f_mem, 4), (metrics.calibrated_l2, 50)])
def test_edited_copies_are_missed_by_thresholds_on_pixels(metric, most, edit):
    """All 100 samples are copies: plain ones are all found, edited ones hardly, or in part."""
    assert metric(PICTURES[:100], PICTURES).value.count == 100
    assert metric(EDITS[edit][:100], PICTURES).value.count <= most


def test_noisier_copies_are_seen_by_calibrated_l2_in_many_dimensions():
    """d1 is 0.4 of all other distances: above 1/3, below 1/2."""
    train = normal(300, 512)
    noise = 0.4 * math.sqrt(2) / math.sqrt(1 - 0.4**2) * normal(100, 512, seed=1)
    assert metrics.f_mem(train[:100] + 0.9 * noise, train).value.count < 50
    assert metrics.calibrated_l2(train[:100] + 0.9 * noise, train).value.count == 100


def test_in_two_dimensions_most_honest_points_are_copies_to_calibrated_l2():
    found = metrics.calibrated_l2(normal(300, 2, seed=1), normal(1000, 2), holdout=normal(300, 2, seed=2))
    assert found.value.value > 0.5
    assert found.null.value > 0.5


def test_copies_beside_far_samples_cancel_in_c_t():
    train, holdout = normal(400, 4), normal(300, 4, seed=1)
    samples = torch.cat([train[:100], 5 * normal(100, 4, seed=2)])
    found = metrics.c_t(samples, train, holdout=holdout, cells=1)
    assert found.null.low < found.value.value < found.null.high
    assert metrics.f_mem(samples, train).value.count >= 100


def test_50_copies_among_1000_samples_are_within_the_base_rate_of_fls_overfit():
    train, holdout = normal(1000, 16), normal(1000, 16, seed=1)
    samples = torch.cat([train[:50], normal(950, 16, seed=2)])
    found = metrics.fls_overfit(samples, train, holdout=holdout)
    assert found.value.low < found.null.high


def test_the_generalization_gap_falls_with_the_noise_of_copies():
    train, holdout = normal(300, 16), normal(300, 16, seed=1)

    def gap(noise):
        samples = train[:150] + noise * normal(150, 16, seed=2)
        return metrics.generalization_gap(samples, train, holdout=holdout)

    exact, noisy, very_noisy = (gap(noise) for noise in (0.0, 0.1, 1.0))
    assert exact.value.value < noisy.value.value < very_noisy.value.value < 0
    assert exact.value.value < 10 * very_noisy.value.value


def test_precision_and_density_see_samples_that_are_far_away():
    train = normal(300, 4)
    samples = torch.cat([normal(100, 4, seed=1), 50 + normal(100, 4, seed=2)])
    for metric in (metrics.precision, metrics.density):
        assert metric(samples, train).value.value < 0.6
        assert metric(samples, train).per_sample[100:].tolist() == [0.0] * 100


def test_recall_and_coverage_see_what_is_left_out():
    train = torch.cat([normal(150, 4), 50 + normal(150, 4, seed=1)])
    for metric in (metrics.recall, metrics.coverage):
        assert 0.3 < metric(normal(300, 4, seed=2), train).value.value <= 0.5


def test_outliers_raise_precision_and_recall_more_than_density_and_coverage():
    """One far training item makes a ball that holds all samples of another mode; one far sample likewise."""
    mode, other = normal(200, 4), 30 + normal(200, 4, seed=1)
    far = torch.full((1, 4), 90.0)
    train = torch.cat([mode, far])
    assert metrics.precision(other, train).value.value == 1.0  # within the ball of the one far item
    assert metrics.density(other, train).value.value == pytest.approx(1 / 5)
    samples = torch.cat([mode, far])
    assert metrics.recall(samples, other).value.value == 1.0
    assert metrics.coverage(samples, other).value.value == 0.0
