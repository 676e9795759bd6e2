"""The contact sheet: which pairs are on it, and where their pixels are."""

import io

import numpy as np
import torch
from PIL import Image

from memhorizon.monitor.copies import CopyFinder
from memhorizon.monitor.sheets import GAP, SheetItems, picture


def sheet(count=3, channels=1):
    train = torch.rand(12, channels, 8, 8, generator=torch.Generator().manual_seed(0))
    fresh = torch.rand(4, channels, 8, 8, generator=torch.Generator().manual_seed(1))
    samples = torch.cat([fresh, train[5:6] + 1e-3, train[7:8]])
    found = CopyFinder.of(train, None, target=0.01, seed=0).find(samples)
    return SheetItems.of(samples, list(range(100, 106)), found, train, count), train


def test_the_closest_come_first_with_their_training_images():
    items, train = sheet()
    assert [row.seed for row in items.rows[:2]] == [105, 104]
    assert [row.nearest for row in items.rows[:2]] == [7, 5]
    assert [row.is_copy for row in items.rows] == [True, True, False]
    assert torch.equal(items.nearest[:2], train[[7, 5]])


def test_pixels_are_where_they_belong():
    """8 x 8 is enlarged by 7: the first pair has its sample left and its training image right of it."""
    for channels in (1, 3):
        items, train = sheet(channels=channels)
        shown = np.asarray(Image.open(io.BytesIO(picture(items, (0.0, 1.0)))))
        top = left = 3 * GAP
        expected = (train[7] * 255).round().byte().expand(3, 8, 8).permute(1, 2, 0).numpy()
        for start in (left, left + 56 + GAP):
            block = shown[top : top + 56, start : start + 56]
            assert np.array_equal(block[::7, ::7], expected)
            assert np.array_equal(block[6::7, 6::7], expected)
        assert tuple(shown[2 * GAP, 2 * GAP]) == (200, 40, 40)  # the frame of a copy


def test_small_coloured_pictures_are_enlarged_as_grey_ones():
    """Of 2 x 2 pixels the side counts, not the number of channels, which is larger."""
    rows = sheet()[0].rows[:1]
    sizes = set()
    for channels in (1, 3):
        items = SheetItems(torch.zeros(1, channels, 2, 2), torch.ones(1, channels, 2, 2), rows)
        sizes.add(Image.open(io.BytesIO(picture(items, (0.0, 1.0)))).size)
    assert len(sizes) == 1


def test_items_that_are_no_pictures_have_no_picture():
    assert sheet()[0].are_pictures
    assert not sheet(channels=2)[0].are_pictures
