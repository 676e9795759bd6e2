"""The view that registers pictures, against the definition and by what it finds."""

import numpy as np
import pytest
import torch

from audit_views import changed_statistics, drawn_descriptor, joined_statistics, quiet, with_one_more
from memhorizon.auditing.alignment import Fit
from memhorizon.auditing.planted import EDITS
from memhorizon.auditing.views import aligned
from memhorizon.auditing.views.aligned import AlignedView, _of_fit
from scenes import scenes


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def pictures(count, height, width, channels=1, seed=0):
    whole = scenes(count, max(height, width), generator=seeded(seed))[..., :height, :width]
    return whole if channels == 3 else whole.mean(1, keepdim=True)


def view_of(train, group=None, limits=(0.0, 1.0)):
    net = drawn_descriptor(tuple(train.shape[1:]))
    group = torch.arange(len(train)) if group is None else group
    return AlignedView("", net, train, net(train), group, limits)


def with_picture(view, picture):
    """The view with one more picture."""
    return with_one_more(view, picture, train=picture, places=view.descriptor(picture[None])[0])


def joining_to(train):
    """Fresh pictures, copies, a flipped and a moved one."""
    fresh = pictures(2, *train.shape[2:], train.shape[1], seed=7)
    # the last two are like none
    return torch.cat([fresh, train[:2], train[2:3].flip(-1), train[3:4].roll(1, -1), 1 - train[:2]])


@pytest.mark.parametrize(
    ("n", "size", "channels"),
    [
        (40, (12, 12), 1),  # more groups than are listed
        (aligned.SHORTLIST, (9, 12), 1),
        (aligned.SHORTLIST + 1, (8, 8), 3),  # as many as are listed, when one is left out
        (12, (9, 28), 1),  # fewer
        (7, (8, 9), 1),  # fewer than are fitted
    ],
)
def test_the_statistics_that_change_are_those_of_the_training_set_with_the_sample(n, size, channels):
    train = pictures(n, *size, channels)
    group = torch.arange(n)
    train[-1] = train[0]  # two duplicates
    group[-1] = 0
    view = view_of(train, group)
    reference = torch.arange(0, n - 2, 3)
    items, left_out = train[reference], group[reference]
    joining = joining_to(train)
    expected = joined_statistics([with_picture(view, y) for y in joining], items, left_out)
    found = changed_statistics(view, items, left_out, joining)
    # the same numbers from products of other sizes, 24 bits; normal equations with a ridge of 1e-4 lose half
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert (expected != view.find(items, left_out, quiet).statistic).any()


@pytest.mark.parametrize("edit", ["exact", "flip", "shift 1, edge", "brightness 0.8", "blur"])
@pytest.mark.parametrize("channels", [1, 3])
def test_copies_are_nearer_than_all_others(edit, channels):
    train = pictures(30, 16, 16, channels)
    view = view_of(train)
    copies = EDITS[edit](train[:10], seeded(1))
    found = view.find(copies, None, quiet)
    honest = view.find(pictures(40, 16, 16, channels, seed=5), None, quiet).statistic
    assert found.nearest[:10].tolist() == list(range(10))
    assert np.median(found.statistic) < np.quantile(honest, 0.05)


@pytest.mark.parametrize("pixels", [1, 2])
def test_what_lies_outside_of_the_original_does_not_count(pixels):
    """A moved copy has pixels that its original does not have, here those of its other side.

    All the rest is equal, so that the statistic is that of an exact copy; with them it is 0.02 at least.
    """
    train = pictures(30, 16, 16, 3)
    found = view_of(train).find(train[:10].roll(pixels, -1), None, quiet)
    assert found.nearest.tolist() == list(range(10))
    assert found.statistic.max() < 1e-4


def test_the_unit_of_the_pictures_changes_nothing():
    train = pictures(26, 12, 12)
    asked = torch.cat([train[:3].flip(-1), pictures(3, 12, 12, seed=3)])
    one = view_of(train).find(asked, None, quiet)
    for low, high in ((0.0, 255.0), (-1.0, 1.0), (5.0, 5.001)):
        view = view_of(train, limits=(low, high))
        other = view.find(asked * (high - low) + low, None, quiet)
        # an offset of 5,000 widths leaves 24 - 13 bits of a pixel
        np.testing.assert_allclose(other.statistic, one.statistic, atol=1e-2)
        assert other.nearest.tolist() == one.nearest.tolist()


def test_constant_and_equal_pictures_give_numbers():
    level = torch.linspace(0, 1, 12)[:, None, None, None].expand(-1, 1, 9, 10)
    some = pictures(12, 9, 10)
    for train in (level.contiguous(), level, torch.cat([level, some]), torch.ones(12, 1, 9, 10)):
        view = view_of(train)
        group = torch.arange(len(train))
        assert np.isfinite(view.find(train, None, quiet).statistic).all()
        table = changed_statistics(view, train, group, train[:4])
        assert np.isfinite(table).all()


def test_duplicates_beyond_the_first_list_are_passed_over():
    """Of 60 pictures 45 are one: the list of 24 + 8 most similar ones holds too few groups."""
    train = pictures(60, 8, 8)
    train[:45] = train[0]
    group = (torch.arange(60) - 44).clamp_min(0)
    view = view_of(train, group)
    found = view.find(train[40:50], group[40:50], quiet)
    candidates = group[found.state["candidates"]]
    assert candidates.shape == (10, 15)  # of 16 groups one is left out
    for row, own in zip(candidates.tolist(), group[40:50].tolist(), strict=True):
        assert sorted([*row, own]) == list(range(16))


def test_the_number_of_pictures_together_changes_little(monkeypatch):
    train = pictures(40, 10, 11)
    view = view_of(train)
    asked = pictures(9, 10, 11, seed=2)
    whole = view.find(asked, None, quiet).statistic
    monkeypatch.setattr(aligned, "TOGETHER", 2)
    monkeypatch.setattr(aligned, "_NUMBERS", 100)
    np.testing.assert_allclose(view.find(asked, None, quiet).statistic, whole, atol=2e-3)


def test_the_brightness_of_what_is_fitted_changes_nothing():
    """What counts as no distance at all is a share of the variance of the picture, not of its square."""
    y = pictures(4, 12, 12)
    noise = torch.randn(4, 8, 144, generator=seeded(1))
    fitted = y.flatten(1)[:, None] + torch.tensor([1e-3, *torch.linspace(0.05, 0.1, 7)])[:, None] * noise
    numbers = torch.ones(4, 8)
    plain, order = _of_fit(y, Fit(fitted, torch.ones_like(fitted), torch.zeros(4, 8, 4), numbers, numbers))
    assert order[:, 0].tolist() == [0] * 4
    moved = Fit(fitted + 8, torch.ones_like(fitted), torch.zeros(4, 8, 4), numbers, numbers)
    assert bool((plain < 0.05).all())  # copies of the first
    # beside 8, pixels have 2^-20 of rounding, and the nearest candidate is 1e-3 away
    torch.testing.assert_close(_of_fit(y + 8, moved)[0], plain, rtol=0.01, atol=1e-4)


def test_white_noise_has_no_structure():
    """E e(p) e(q) = 0 for neighbours p, q: the mean of many within four standard errors."""
    side = 20
    size = 0.3
    noise = size * torch.randn(200, 2, 3, side, side, generator=seeded(0))
    found = aligned.structure(noise).double()
    # A is half the sum of N products along and N down, N = 3 side (side - 1), each of variance size^4
    deviation = size**2 * (2 * 3 * side * (side - 1)) ** 0.5 / 2
    assert abs(float(found.mean())) < 4 * deviation / found.numel() ** 0.5
    assert float(found.std()) == pytest.approx(deviation, rel=4 / (2 * found.numel()) ** 0.5)


def test_smooth_pictures_are_all_structure_and_compression_has_none():
    side = 24
    wave = torch.cos(2 * torch.pi * torch.arange(side) / side)[:, None].expand(1, 1, 1, side, side)
    # rows: cos(2 pi i / side) cos(2 pi (i + 1) / side) over side - 1 places, columns: cos^2, side - 1 of side
    i = torch.arange(side - 1)
    down = torch.cos(2 * torch.pi * i / side) * torch.cos(2 * torch.pi * (i + 1) / side)
    expected = (side * float(down.sum()) + (side - 1) * side / 2) / 2
    assert float(aligned.structure(wave)) == pytest.approx(expected, rel=1e-5)
    train = pictures(40, 32, 32)
    for edit in ("jpeg 50", "jpeg 20"):
        left = EDITS[edit](train, seeded(1)) - train
        share = aligned.structure(left[:, None])[:, 0] / left.square().sum((1, 2, 3))
        other = train.roll(1, 0) - train
        of_others = aligned.structure(other[:, None])[:, 0] / other.square().sum((1, 2, 3))
        assert share.median() < 0.15
        assert of_others.median() > 0.5
