import numpy as np
from PIL import Image

from memhorizon.files.images import load_images


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


X = noise(6, 5, 5)


def _save(path, *shapes):
    for i, shape in enumerate(shapes):
        Image.fromarray(noise(*shape, seed=i)).save(path / f"{i}.png")


def test_missing_members_of_a_list_are_listed(tmp_path):
    _save(tmp_path, (4, 4))
    found = load_images([tmp_path / "0.png", tmp_path / "gone.png"])
    assert len(found) == 1
    assert found.skipped[0].name.endswith("gone.png")
    assert "No such file" in found.skipped[0].reason


def test_dark_and_plain_float_pictures_are_in_the_range_of_the_others():
    pictures = [X[0] / 255, X[1] / 2550, 3.0 * X[2] / 255, X[3] / 127.5 - 1]
    assert len(load_images(pictures)) == 4
    black = np.zeros((5, 5))  # passed over, and in any range
    assert len(load_images([black, X[0].astype(np.float32), X[1] * 1.0])) == 2
