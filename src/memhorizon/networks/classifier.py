"""A small convolutional classifier of pictures: its last hidden layer sees what tells the classes apart.

Distances between sets of pictures are compared in that layer (`memhorizon.experiments.perception`), as the
published ones are in the layers of much larger networks.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from memhorizon.networks.embedding import check_positive, seeded

SMALLEST = 4  # pixels along a side below which a picture is not halved any more


@dataclass(frozen=True)
class ClassifierConfig:
    """A classifier and its training.

    Attributes:
        width: channels of the first convolution; twice as many after each halving, at most four times.
        n_features: size of the last hidden layer.
        n_updates: of Adam.
        batch_size: pictures in each.
        lr: learning rate, falling to 0 along a half cosine.
        seed: of the initial weights and the batches.
    """

    width: int = 16
    n_features: int = 32
    n_updates: int = 800
    batch_size: int = 64
    lr: float = 3e-3
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(
            width=self.width,
            n_features=self.n_features,
            n_updates=self.n_updates,
            batch_size=self.batch_size,
        )

    def build(self, item_shape: tuple[int, ...], n_classes: int) -> "Classifier":
        """Make the network for pictures of this shape, (channels, height, width)."""
        with seeded(self.seed):
            return Classifier(self, item_shape, n_classes)


class Classifier(nn.Module):
    """Convolutions that halve the picture, a hidden layer, and the logits of the classes.

    Pixels are between 0 and 1; what lies outside counts as the nearer end, as on a screen.
    """

    def __init__(self, config: ClassifierConfig, item_shape: tuple[int, ...], n_classes: int):
        super().__init__()
        inlet, height, width = item_shape
        channels = config.width
        layers: list[nn.Module] = [nn.Conv2d(inlet, channels, 3, padding=1), nn.ReLU()]
        while min(height, width) > SMALLEST:
            wider = min(2 * channels, 4 * config.width)
            layers += [nn.Conv2d(channels, wider, 3, stride=2, padding=1), nn.ReLU()]
            channels = wider
            height = (height + 1) // 2
            width = (width + 1) // 2
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.hidden = nn.Linear(channels * height * width, config.n_features)
        self.outlet = nn.Linear(config.n_features, n_classes)

    def features(self, pixels: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch n_features"]:
        """Map pictures to the last hidden layer, before its rectifier."""
        return self.hidden(self.convolutions(2 * pixels.clamp(0, 1) - 1))

    def forward(self, pixels: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch classes"]:
        """Map pictures to the logits of their classes."""
        return self.outlet(F.relu(self.features(pixels)))


def fit(
    network: Classifier,
    pixels: Float[Tensor, "n c h w"],
    labels: Int[Tensor, " n"],
    config: ClassifierConfig,
) -> None:
    """Train a classifier in place, on the device of the pictures; the batches follow from the seed alone."""
    generator = torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.Adam(network.parameters(), config.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.n_updates)
    size = min(config.batch_size, len(pixels))
    network.train()
    for _ in range(config.n_updates):
        rows = torch.randint(len(pixels), (size,), generator=generator).to(pixels.device)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(pixels[rows]), labels[rows]).backward()
        optimizer.step()
        schedule.step()
    network.eval()
