"""Each edit does what its name says; planted copies are where they are said to be."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import uniform_filter

from memhorizon.auditing.planted import EDITS, HONEST, doubled, planted
from memhorizon.errors import InputError
from scenes import scenes

SIZES = [(1, 8), (1, 28), (3, 32), (3, 64), (1, 256)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def grey(count, side, seed=0):
    return scenes(count, side, generator=seeded(seed)).mean(1, keepdim=True)


def pictures(channels, count, side, seed=0):
    images = scenes(count, side, generator=seeded(seed))
    return images if channels == 3 else images.mean(1, keepdim=True)


def edited(name, images, seed=1):
    return EDITS[name](images, seeded(seed))


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize(("channels", "side"), SIZES)
def test_an_edit_keeps_size_and_range_and_leaves_its_input(name, channels, side):
    images = pictures(channels, 4, side)
    before = images.clone()
    after = edited(name, images)
    assert after.shape == images.shape
    assert after.dtype == images.dtype
    assert 0 <= after.min() <= after.max() <= 1
    assert torch.equal(images, before)
    assert torch.equal(after, edited(name, images))  # the generator decides
    assert name == "exact" or not torch.equal(after, images)


@pytest.mark.parametrize("size", [0.05, 0.1, 0.2])
def test_noise_has_its_standard_deviation(size):
    images = torch.full((20, 1, 28, 28), 0.5)
    noise = edited(f"noise {size:g}", images) - images
    # clipping at 2.5 standard deviations or more removes at most 5 % of the variance; the estimate of a
    # standard deviation from k draws errs by 1/sqrt(2 k), here 0.6 %, of which four are allowed
    allowed = 4 / math.sqrt(2 * noise.numel())
    assert size * (0.95 - allowed) <= noise.std() <= size * (1 + allowed)


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_brightness_multiplies_and_clips(factor):
    images = grey(3, 16)
    expected = np.minimum(factor * images.numpy(), 1)
    np.testing.assert_allclose(edited(f"brightness {factor:g}", images), expected, rtol=1e-6)


def rolled(image, pixels):
    """All images that a roll by `pixels` in one of eight directions gives."""
    steps = (-pixels, 0, pixels)
    return [image.roll((down, right), (-2, -1)) for down in steps for right in steps if down or right]


@pytest.mark.parametrize("pixels", [1, 2])
def test_a_shift_rolls_in_each_of_eight_directions(pixels):
    images = torch.rand(200, 1, 12, 12, generator=seeded())
    found = set()
    for before, after in zip(images, edited(f"shift {pixels}", images), strict=True):
        matches = [k for k, one in enumerate(rolled(before, pixels)) if torch.equal(one, after)]
        assert len(matches) == 1
        found.update(matches)
    assert found == set(range(8))  # each is left out with probability (7/8)**200 = 3e-12


@pytest.mark.parametrize("pixels", [1, 2])
def test_a_shift_with_the_edge_repeats_it(pixels):
    images = torch.rand(50, 3, 12, 12, generator=seeded())
    for before, after in zip(images.numpy(), edited(f"shift {pixels}, edge", images).numpy(), strict=True):
        rows = np.arange(12)
        steps = (-pixels, 0, pixels)
        moved = [
            before[:, np.clip(rows - down, 0, 11)][:, :, np.clip(rows - right, 0, 11)]
            for down in steps
            for right in steps
            if down or right
        ]
        assert sum(np.array_equal(one, after) for one in moved) == 1


def test_blur_is_the_mean_of_nine():
    images = grey(3, 20)
    expected = [uniform_filter(image[0], 3, mode="nearest") for image in images.numpy()]
    np.testing.assert_allclose(edited("blur", images)[:, 0], np.stack(expected), atol=1e-6)


@pytest.mark.parametrize("pixels", [1, 2])
def test_a_crop_enlarges_the_middle(pixels):
    """On a plane the resized crop is the plane seen closer: x -> p + (x + 1/2) (s - 2 p) / s - 1/2."""
    side = 32
    at = torch.arange(side, dtype=torch.float64)
    plane = (0.1 + 0.01 * at[None, :] + 0.013 * at[:, None])[None, None]
    closer = pixels + (at + 0.5) * (side - 2 * pixels) / side - 0.5
    expected = 0.1 + 0.01 * closer[None, :] + 0.013 * closer[:, None]
    inner = slice(4, -4)  # cubic weights reach over the edge in the outer pixels
    after = edited(f"crop {pixels}", plane)[0, 0]
    # in 64 bits; a cubic through points of a plane is the plane
    np.testing.assert_allclose(after[inner, inner], expected[inner, inner], atol=1e-9)


@pytest.mark.parametrize(("name", "quality"), [("jpeg 50", 50), ("jpeg 20", 20)])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_what_pillow_reads_back(name, quality, channels, tmp_path):
    images = pictures(channels, 2, 24)
    for before, after in zip(images, edited(name, images), strict=True):
        levels = (before * 255).round().byte().permute(1, 2, 0).numpy().squeeze()
        path = tmp_path / "picture.jpg"
        Image.fromarray(levels).save(path, quality=quality)
        read = np.asarray(Image.open(io.BytesIO(path.read_bytes())))
        np.testing.assert_array_equal((after * 255).round().byte().permute(1, 2, 0).numpy().squeeze(), read)


def test_chains_are_their_links_in_turn():
    images = pictures(3, 3, 24)
    generator = seeded(1)
    by_hand = EDITS["flip"](images, generator)
    by_hand = EDITS["shift 1"](by_hand, generator)
    by_hand = EDITS["jpeg 50"](by_hand, generator)
    assert torch.equal(edited("flip, shift 1, jpeg 50", images), by_hand)
    by_hand = EDITS["noise 0.05"](EDITS["crop 1"](images, generator), seeded(1))
    assert torch.equal(edited("crop 1, noise 0.05", images), by_hand)


def test_planted_copies_are_where_they_are_said_to_be():
    honest = grey(40, 12, seed=1)
    train = grey(60, 12, seed=2)
    samples, is_copy, source = planted(honest, train, "flip", count=15, generator=seeded())
    assert int(is_copy.sum()) == 15
    assert torch.equal(samples[~is_copy], honest[~is_copy])
    assert (source[~is_copy] == HONEST).all()
    assert torch.equal(samples[is_copy], train[source[is_copy]].flip(-1))
    assert len(source[is_copy].unique()) == 15


def test_places_and_sources_are_spread_evenly():
    """Each place holds a copy with probability count/m, each training image is copied with count/n."""
    honest = torch.zeros(10, 1, 8, 8)
    train = torch.ones(20, 1, 8, 8)
    generator = seeded()
    draws = [planted(honest, train, "exact", count=4, generator=generator) for _ in range(500)]
    places = torch.stack([draw.is_copy for draw in draws]).float().mean(0)
    copied = (
        torch.stack([torch.bincount(draw.source + 1, minlength=21)[1:] for draw in draws]).float().mean(0)
    )
    # standard errors of shares of 500: 0.022 and 0.018; four and a half of them for 30 comparisons
    assert ((places - 0.4).abs() < 4.5 * math.sqrt(0.4 * 0.6 / 500)).all()
    assert ((copied - 0.2).abs() < 4.5 * math.sqrt(0.2 * 0.8 / 500)).all()


@pytest.mark.parametrize("near", [False, True])
def test_doubled_images_occur_twice_and_may_be_planted(near):
    train = grey(30, 12, seed=2)
    both, twice = doubled(train, 6, generator=seeded(), near=near)
    assert torch.equal(both[:30], train)
    gap = (both[30:] - train[twice]).square().mean().sqrt()
    assert (gap == 0) if not near else (0.01 < gap < 0.025)  # clipping takes some of 0.02 away
    copies = planted(grey(20, 12, seed=3), both, "exact", count=6, generator=seeded(), among=twice)
    assert sorted(copies.source[copies.is_copy].tolist()) == sorted(twice.tolist())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"edit": "exakt"}, "edit: expected one of"),
        ({"count": 0}, "count: expected a whole number of at least 1"),
        ({"count": 9}, "count: expected a whole number of at least 1 and at most 8"),
        ({"among": torch.tensor([1, 2])}, "at most 2"),
        ({"honest": torch.zeros(8, 1, 9, 9)}, "honest: expected images as in train"),
        ({"honest": torch.zeros(8, 64)}, "honest: expected floating-point images"),
        ({"honest": torch.zeros(8, 4, 8, 8)}, "honest: expected floating-point images"),
        ({"train": torch.zeros(9, 1, 8, 8, dtype=torch.uint8)}, "train: expected floating-point images"),
        ({"train": torch.full((9, 1, 8, 8), 2.0)}, "train: expected values from 0 to 1, got 2 to 2"),
        ({"train": torch.full((9, 1, 8, 8), math.nan)}, "train: expected values from 0 to 1"),
    ],
)
def test_bad_input_is_named(change, words):
    arguments = {
        "honest": torch.zeros(8, 1, 8, 8),
        "train": torch.zeros(9, 1, 8, 8),
        "edit": "exact",
        "count": 3,
    }
    with pytest.raises(InputError, match=words):
        planted(**{**arguments, **change}, generator=seeded())


def test_scenes_are_of_their_size_and_of_their_seed():
    images = scenes(5, 16, generator=seeded())
    assert images.shape == (5, 3, 16, 16)
    assert 0 <= images.min() < images.max() <= 1
    assert torch.equal(images, scenes(5, 16, generator=seeded()))
    assert images.flatten(1).std(1).min() > 0.05
