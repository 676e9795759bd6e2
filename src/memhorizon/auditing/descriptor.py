"""A descriptor of pictures that is learned from the training set: edits of one picture get one place.

No weights come from anywhere: a small convolutional network learns to tell pictures of the training set from
one another whatever was done to them (contrastive learning). It only has to find the original of a copy among
all training pictures; whether it is one is decided by `alignment`.
"""

import math
import time
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from memhorizon.auditing.alignment import blurred
from memhorizon.auditing.views.base import Report
from memhorizon.devices import with_threads

UPDATES = 500
BATCH = 256
SIZE = 128  # numbers of the descriptor
WIDTH = 32
_MEAN = 0.3  # of pixels, about: those of a photograph or of a grey picture on black
RATE = 2e-3
DECAY = 1e-4
TEMPERATURE = 0.07
# Edits that it is made blind to
SCALE = 1.25  # largest zoom in or out
SHIFT = 0.09  # farthest, of a side
GAIN = 0.3  # brightness changes by this share at most
NOISE = 0.15  # of the range of the pixels
BLURRED = 0.3  # share of the pictures
NOISY = 0.6  # likewise


@dataclass(frozen=True)
class Learning:
    """How a descriptor was learned.

    Attributes:
        n_updates: of the optimizer that were done.
        wanted: how many were wanted; more than were done where the time was up.
    """

    n_updates: int
    wanted: int


class Descriptor(nn.Module):
    """Pictures with values from 0 to 1 to places on a sphere."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        c, h, w = shape
        with torch.random.fork_rng(devices=[]):  # layers draw weights as they are made
            self.layers = nn.Sequential(*_layers(c, h, w))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """One place for each picture."""
        return F.normalize(self.layers(x - _MEAN), dim=1)


def _layers(c: int, h: int, w: int) -> list[nn.Module]:
    """Three convolutions, each of which halves the sides, and one map to the descriptor."""
    layers: list[nn.Module] = []
    for width in (WIDTH, 2 * WIDTH, 4 * WIDTH):
        layers += [nn.Conv2d(c, width, 3, stride=2, padding=1), nn.ReLU()]
        c = width
        h = math.ceil(h / 2)
        w = math.ceil(w / 2)
    return [*layers, nn.Flatten(), nn.Linear(c * h * w, SIZE)]


def learn(
    train: Float[Tensor, "n c h w"],
    *,
    seed: int,
    minutes: float | None,
    report: Report,
) -> tuple[Descriptor, Learning]:
    """Learn a descriptor from training pictures.

    Args:
        train: pictures with values from 0 to 1, none of them a reference item.
        seed: of the weights, the pictures of each update and their edits.
        minutes: after which it stops; the answer then depends on the machine. None for no limit.
        report: told how many updates are done.
    """
    generator = torch.Generator().manual_seed(seed)
    _, c, h, w = train.shape
    net = _seeded(Descriptor((c, h, w)), generator)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, UPDATES)
    started = time.monotonic()
    done = 0
    # the layers are small; sums then do not depend on the number of cores, and where other programs are busy
    # threads would wait for each other at every step
    with with_threads(1):
        while done < UPDATES and (minutes is None or time.monotonic() - started < 60 * minutes):
            optimizer.zero_grad()
            _loss(net, train, generator).backward()
            optimizer.step()
            rates.step()
            done += 1
            report(done, UPDATES)
    return net.eval().requires_grad_(False), Learning(done, UPDATES)


def _loss(net: Descriptor, train: Float[Tensor, "n c h w"], generator: torch.Generator) -> Float[Tensor, ""]:
    """The loss on two edits of pictures that are drawn."""
    drawn = torch.randint(len(train), (min(BATCH, len(train)),), generator=generator)
    one = net(edited(train[drawn], generator))
    other = net(edited(train[drawn], generator))
    return _contrastive(one, other, drawn)


def _seeded(net: Descriptor, generator: torch.Generator) -> Descriptor:
    """Draw the weights: uniform, of variance 1/(3 fan_in) as torch does by default."""
    for layer in net.layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return net


def _contrastive(
    a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], drawn: Int[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Cross-entropy of finding the other edit of a picture among those of all, both ways.

    A picture that was drawn twice is no wrong answer.
    """
    n = len(a)
    drawn_twice = (drawn[:, None] == drawn) & ~torch.eye(n, dtype=torch.bool)
    # <a_i, b_j> / temperature
    logits = (a @ b.T / TEMPERATURE).masked_fill(drawn_twice, -torch.inf)
    wanted = torch.arange(n)
    return (F.cross_entropy(logits, wanted) + F.cross_entropy(logits.T, wanted)) / 2


def edited(x: Float[Tensor, "n c h w"], generator: torch.Generator) -> Float[Tensor, "n c h w"]:
    """Each picture under a random edit: flip, scale, shift, brightness, blur, noise."""
    y = _moved(x, generator)

    def uniform() -> Float[Tensor, "n 1 1 1"]:
        return torch.rand(len(x), generator=generator)[:, None, None, None]

    gain = 1 + GAIN * (2 * uniform() - 1)
    y = (y * gain).clamp(0, 1)
    y = torch.where(uniform() < BLURRED, blurred(y), y)
    noise = NOISE * uniform() * (uniform() < NOISY)
    y = y + noise * torch.randn(y.shape, generator=generator)
    return y.clamp(0, 1)


def _moved(x: Float[Tensor, "n c h w"], generator: torch.Generator) -> Float[Tensor, "n c h w"]:
    """Each picture flipped or not, scaled and shifted at random."""
    n = len(x)

    def uniform() -> Float[Tensor, " n"]:
        return torch.rand(n, generator=generator)

    matrix = torch.zeros(n, 2, 3)
    scale = SCALE ** (2 * uniform() - 1)
    matrix[:, 0, 0] = torch.where(uniform() < 0.5, -scale, scale)
    matrix[:, 1, 1] = scale
    matrix[:, 0, 2] = 2 * SHIFT * (2 * uniform() - 1)
    matrix[:, 1, 2] = 2 * SHIFT * (2 * uniform() - 1)
    grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)
