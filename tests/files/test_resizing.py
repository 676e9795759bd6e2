import resource

import numpy as np
import pytest
import torch
from PIL import Image

from memhorizon.files import resizing
from memhorizon.files.images import load_images
from memhorizon.files.resizing import prepare


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize(("height", "width", "size"), [(40, 28, 16), (28, 28, 32), (9, 30, 9), (31, 64, 7)])
def test_resize_and_crop_equal_pillow(height, width, size):
    """Pillow resizes pictures of mode F in float32, by another algorithm; both sum 4 * scale products."""
    picture = noise(height, width).astype(np.float32) / 255
    scale = size / min(height, width)
    shape = (int(width * scale + 1e-9), int(height * scale + 1e-9))
    other = np.asarray(Image.fromarray(picture).resize(shape, Image.Resampling.BICUBIC))
    other = other.clip(picture.min(), picture.max())
    top, left = round((shape[1] - size) / 2), round((shape[0] - size) / 2)
    ours = load_images(picture[None, None], size=size).images[0, 0].numpy()
    assert ours.shape == (size, size)
    taps = 2 * (4 * max(1, 1 / scale) + 1)
    tolerance = taps * 2**-23 * 1.5**2  # float32 rounding per product, weights of absolute sum below 1.5
    np.testing.assert_allclose(ours, other[top : top + size, left : left + size], atol=tolerance)


def test_resize_stays_within_the_range_of_each_picture():
    step = torch.zeros(1, 1, 8, 8)
    step[..., 4:] = 1
    wild = torch.nn.functional.interpolate(step, (12, 12), mode="bicubic", antialias=True)
    assert wild.min() < -0.01  # the test would be empty without overshoot
    ours = prepare(step, size=12)
    assert (float(ours.min()), float(ours.max())) == (0, 1)


def test_grey_equals_pillow_to_its_rounding():
    pixels = noise(3, 9, 9, 3)
    ours = load_images(pixels, grey=True).images[:, 0].numpy()
    pillow = np.stack([np.asarray(Image.fromarray(p).convert("L")) for p in pixels]) / 255
    np.testing.assert_allclose(ours, pillow, atol=0.5 / 255 + 1e-4)  # half a level, 16-bit weights
    assert load_images(pixels[..., :1], grey=True).images.shape == (3, 1, 9, 9)


def test_chunks_change_nothing(monkeypatch):
    pixels = torch.from_numpy(noise(50, 3, 12, 9)).float()
    whole = prepare(pixels, size=7, grey=True)
    for chunk in (1, 7, 49):
        monkeypatch.setattr("memhorizon.files.resizing.CHUNK", chunk)
        assert torch.equal(prepare(pixels, size=7, grey=True), whole)


@pytest.mark.parametrize("shape", [(3, 100), (100, 3), (7, 64), (40, 500), (64, 300)])
@pytest.mark.parametrize("size", [5, 16, 64])
def test_strips_are_resized_in_their_middle_alone(shape, size, monkeypatch):
    """The same as all of it resized, then cropped, to the rounding of PyTorch's float32.

    Of the products as in the test against Pillow; and of positions, which it holds in float32 as well: three
    roundings of numbers up to the long side, times the slopes of the kernel, whose absolute sum is below 3.
    """
    picture = torch.from_numpy(noise(2, 3, *shape)) / 255
    ours = prepare(picture, size=size)
    monkeypatch.setattr("memhorizon.files.resizing._resize_centre", resizing._resize_all)
    products = 2 * (4 * max(1, min(shape) / size) + 1) * 2**-23 * 1.5**2
    positions = 3 * max(shape) * 2**-24 * 3
    torch.testing.assert_close(ours, prepare(picture, size=size), atol=products + positions, rtol=0)


def test_a_long_strip_takes_little_memory(tmp_path):
    Image.fromarray(np.tile(np.arange(250, dtype=np.uint8), (2, 80))).save(tmp_path / "rule.png")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert load_images(tmp_path, size=64).images.shape == (1, 1, 64, 64)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB; all of it takes 300,000
