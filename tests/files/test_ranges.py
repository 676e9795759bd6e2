import numpy as np
import pytest
from PIL import Image

from memhorizon.errors import InputError
from memhorizon.files.folders import list_pictures
from memhorizon.files.images import load_images


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def _narrow(bits, kind, count=3):
    values = noise(count, 6, 6).astype(np.uint16) << max(bits - 8, 0)
    values[0, 0, 0] = 2**bits - 1
    return [Image.fromarray(v.astype(np.int32) if kind == "int32" else v) for v in values], values


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize(("suffix", "kind"), [("png", "uint16"), ("tif", "uint16"), ("tif", "int32")])
def test_16_bit_pictures_of_fewer_bits_are_read_by_those(tmp_path, bits, suffix, kind):
    pictures, values = _narrow(bits, kind)
    for i, picture in enumerate(pictures):
        picture.save(tmp_path / f"{i}.{suffix}")
    expected = values / np.float32(2**bits - 1)
    for source in (tmp_path, sorted(tmp_path.iterdir()), pictures):
        assert np.array_equal(load_images(source).images[:, 0].numpy(), expected)
    Image.fromarray(noise(6, 6, seed=5)).save(tmp_path / "8bit.png")  # each by its own depth
    found = load_images(tmp_path)
    assert np.array_equal(found.images[:3, 0].numpy(), expected)
    assert np.array_equal(found.images[3, 0].numpy(), noise(6, 6, seed=5) / np.float32(255))


def test_a_dark_picture_among_bright_ones_keeps_its_darkness(tmp_path):
    """The range is that of the set, in a folder and in each part of it that a split may take."""
    bright = noise(6, 6).astype(np.uint16) * 257
    for i, picture in enumerate((bright // 16, bright // 4, bright)):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    expected = np.stack([bright // 16, bright // 4, bright]) / np.float32(65535)
    assert np.array_equal(load_images(tmp_path).images[:, 0].numpy(), expected)
    assert np.array_equal(list_pictures(tmp_path).read(0)[0].numpy(), expected[0])
    for i in range(3, 300):  # the bright one comes late
        Image.fromarray(bright // 16).save(tmp_path / f"0.{i}.png")
    assert load_images(tmp_path).images[:-2].max() == expected[0].max() < 1 / 15
    dark = [Image.fromarray(noise(6, 6, seed=i) // 7) for i in range(4)]  # dark photographs of 8 bits
    assert load_images(dark).images.max() <= 36 / 255


UNKNOWN_RANGES = {
    "classes": lambda: [Image.fromarray(noise(6, 6, 3, seed=i) // 16) for i in range(3)],
    "9 bits": lambda: [Image.fromarray(noise(6, 6, seed=i).astype(np.uint16) + 100) for i in range(3)],
    "14 bits": lambda: _narrow(14, "uint16")[0],
    "uint8 arrays of classes": lambda: [noise(6, 6, seed=i) // 64 for i in range(3)],
}


@pytest.mark.parametrize("case", UNKNOWN_RANGES)
def test_a_set_in_an_unknown_range_is_refused(tmp_path, case):
    with pytest.raises(
        InputError, match="images: expected integers that use their range .* the largest of its"
    ):
        load_images(UNKNOWN_RANGES[case]())


def test_masks_stay_zero_and_one(tmp_path):
    masks = noise(3, 6, 6) // 128
    for dtype in (np.uint8, np.uint16):
        for i, mask in enumerate(masks):
            Image.fromarray(mask.astype(dtype)).save(tmp_path / f"{i}.png")
        for source in (tmp_path, list(masks.astype(dtype))):
            assert np.array_equal(load_images(source).images[:, 0].numpy(), masks)
