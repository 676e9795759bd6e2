"""The words for an edit name what was done."""

import re

import pytest
import torch

from memhorizon.auditing.edits import edit_of
from memhorizon.auditing.planted import EDITS
from scenes import scenes

UNIT = (0.0, 1.0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count=10, side=28, channels=3, seed=0):
    images = scenes(count, side, generator=seeded(seed))
    return images if channels == 3 else images.mean(1, keepdim=True)


def words_of(edit, count=10, **options):
    originals = pictures(count, **options)
    copies = EDITS[edit](originals, seeded(1))
    return [edit_of(y, x, UNIT).words for y, x in zip(copies, originals, strict=True)]


def numbers(pattern, words):
    """The number in each of these words; nothing of those without it."""
    found = [re.search(pattern, one) for one in words]
    return [float(one.group(1)) for one in found if one]


def test_a_copy_has_no_edit_not_even_in_8_bits():
    x = pictures(1)[0]
    assert edit_of(x, x, UNIT).words == "none"
    assert edit_of((255 * x).round() / 255, x, UNIT).words == "none"
    assert torch.equal(edit_of(x, x, UNIT).registered, x)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_flip_is_named_alone(channels):
    assert words_of("flip", channels=channels) == ["flipped"] * 10


@pytest.mark.parametrize("pixels", [1, 2])
def test_a_shift_has_its_pixels_and_its_direction(pixels):
    originals = pictures(8)
    for down, right in ((0, pixels), (0, -pixels), (pixels, 0), (-pixels, 0)):
        words = [edit_of(x.roll((down, right), (-2, -1)), x, UNIT).words for x in originals]
        way = {(0, 1): "right", (0, -1): "left", (1, 0): "down", (-1, 0): "up"}
        name = way[(down // pixels, right // pixels)]
        named = [one for one in words if re.search(rf"moved \d+\.\d pixels {name}", one)]
        assert len(named) >= 7
        # a tenth of a pixel is what linear interpolation is good for
        assert all(abs(one - pixels) <= 0.31 for one in numbers(rf"moved (\d+\.\d) pixels {name}", words))
        assert not any("flipped" in one for one in words)


@pytest.mark.parametrize(("factor", "kind"), [(0.8, "less"), (1.2, "more")])
def test_brightness_has_its_share(factor, kind):
    words = words_of(f"brightness {factor:g}", channels=1)
    found = numbers(rf"(\d+) % {kind} contrast or brightness", words)
    assert len(found) >= 9
    assert sum(abs(one - 20) <= 2 for one in found) >= 8
    assert not any("moved" in one or "flipped" in one for one in words)


def test_blur_noise_and_crops_are_named():
    assert sum("blurred" in one for one in words_of("blur")) >= 9
    noise = words_of("noise 0.1")
    left = numbers(r"noise, compression or other differences of (\d+\.\d) %", noise)
    # less at pixels that are black or white, which cut the noise off
    assert len(left) == 10
    assert all(6 <= one <= 10.5 for one in left)
    crop = numbers(r"(\d+) % larger", words_of("crop 1"))
    # 28 / 26 is 8 % larger
    assert len(crop) >= 9
    assert all(5 <= one <= 10 for one in crop)


def test_several_edits_are_all_named():
    originals = pictures(8, side=32)
    for x in originals:
        y = (0.7 * x.flip(-1).roll(2, -1)).clamp(0, 1)
        words = edit_of(y, x, UNIT).words
        assert words.startswith("flipped")
        assert "moved 2.0 pixels right" in words or "moved 1.9 pixels right" in words
        assert re.search(r"(29|30|31) % less contrast or brightness", words)


@pytest.mark.parametrize("size", [(64, 64), (50, 64), (64, 33)])
def test_edits_of_large_pictures_are_found_in_small_first(size):
    for x in pictures(4, side=64)[..., : size[0], : size[1]]:
        y = (0.7 * x.flip(-1).roll((-3, 2), (-2, -1))).clamp(0, 1)
        words = edit_of(y, x, UNIT).words
        assert words.startswith("flipped")
        assert re.search(r"moved (1.9|2.0|2.1) pixels right, moved (2.9|3.0|3.1) pixels up", words)
        assert re.search(r"(29|30|31) % less contrast or brightness", words)


@pytest.mark.parametrize("limits", [(0.0, 255.0), (-1.0, 1.0)])
def test_the_unit_changes_no_words(limits):
    low, high = limits
    x = pictures(3)
    y = EDITS["flip, shift 1, jpeg 50"](x, seeded())
    for one, other in zip(y, x, strict=True):
        edit = edit_of(one, other, UNIT)
        wide = edit_of(one * (high - low) + low, other * (high - low) + low, limits)
        assert wide.words == edit.words
        torch.testing.assert_close((wide.registered - low) / (high - low), edit.registered, atol=1e-3, rtol=0)


def test_the_registered_picture_looks_like_the_sample():
    x = pictures(6)
    y = EDITS["flip, shift 1, jpeg 50"](x, seeded())
    for one, other in zip(y, x, strict=True):
        registered = edit_of(one, other, UNIT).registered
        assert registered.shape == one.shape
        assert 0 <= registered.min() <= registered.max() <= 1
        assert (registered - one).square().mean() < 0.2 * (other - one).square().mean()


@pytest.mark.parametrize("size", [(9, 28), (8, 8), (27, 12)])
def test_any_size_and_constant_pictures_have_words(size):
    x = pictures(1, 28)[0, :1, : size[0], : size[1]]
    for y in (torch.zeros_like(x), torch.ones_like(x), x.flip(-2)):
        for sample, original in ((y, x), (x, y)):
            edit = edit_of(sample, original, UNIT)
            assert edit.words
            assert edit.registered.isfinite().all()
