"""The paper's U-Net: residual blocks with a time shift, attention at coarse resolutions, concatenated skips.

Called as `model(x, index)` with x [batch, channels, height, width] and index [batch].
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from memhorizon.nets import TimeTable, check_positive, seeded
from memhorizon.results import InputError


@dataclass(frozen=True)
class UNetConfig:
    """A U-Net; the defaults are the paper's 4-million-parameter network.

    Attributes:
        width: W, the channels of the finest resolution.
        multipliers: channels of each resolution in units of W, finest first; each next one has half the size.
        blocks: residual blocks per resolution on the way down (one more on the way up).
        attention: per resolution, whether its residual blocks are followed by self-attention.
        heads: attention heads.
        groups: groups of each group norm.
        dropout: chance that the second half of a residual block loses a channel while training. The published
            code used 0.1, which the paper does not mention.
        steps: length of the diffusion grid that the time table covers.
    """

    width: int = 32
    multipliers: tuple[int, ...] = (1, 2, 4)
    blocks: int = 2
    attention: tuple[bool, ...] = (False, True, True)
    heads: int = 4
    groups: int = 8
    dropout: float = 0.0
    steps: int = 1000

    def __post_init__(self) -> None:
        check_positive(width=self.width, blocks=self.blocks, heads=self.heads, groups=self.groups)
        check_positive(steps=self.steps, **{"multipliers": min(self.multipliers, default=0)})
        if len(self.attention) != len(self.multipliers):
            wanted = f"one entry for each of the {len(self.multipliers)} multipliers"
            raise InputError(f"attention: expected {wanted}, got {self.attention}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout: expected 0 <= dropout < 1, got {self.dropout}")
        if self.width < 4 or self.width % 2:
            raise InputError(f"width: expected an even number of at least 4, got {self.width}")
        for multiplier, attends in zip(self.multipliers, self._attends(), strict=True):
            channels = self.width * multiplier
            if channels % self.groups:
                raise InputError(f"width: {channels} channels do not divide into groups={self.groups}")
            if attends and channels % self.heads:
                raise InputError(f"width: {channels} channels do not divide into heads={self.heads}")

    def _attends(self) -> list[bool]:
        return [*self.attention[:-1], True]  # the bottleneck always attends, at the coarsest channel count

    def build(self, item_shape: tuple[int, ...], *, seed: int) -> "UNet":
        """Make the network for images of this shape, (channels, height, width).

        Raises:
            InputError: if the shape is not that of an image, or cannot be halved as often as needed.
        """
        if len(item_shape) != 3 or min(item_shape) < 1:
            raise InputError(f"item_shape: expected (channels, height, width), got {item_shape}")
        factor = 2 ** (len(self.multipliers) - 1)
        if item_shape[1] % factor or item_shape[2] % factor:
            wanted = f"height and width divisible by {factor} for {len(self.multipliers)} resolutions"
            raise InputError(f"item_shape: expected {wanted}, got {item_shape}")
        with seeded(seed):
            return UNet(self, item_shape[0])


class Attention(nn.Module):
    """Multi-head self-attention over the pixels, added to its input."""

    def __init__(self, channels: int, config: UNetConfig):
        super().__init__()
        self.heads = config.heads
        self.norm = nn.GroupNorm(config.groups, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.outer = nn.Linear(channels, channels)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [batch, channels, height, width] to the same shape."""
        batch, channels, height, width = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # [batch, pixels, channels]
        q, k, v = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)  # [batch, heads, pixels, channels/heads]
        out = self.outer(mixed.transpose(1, 2).reshape(batch, height * width, channels))
        return x + out.transpose(1, 2).unflatten(2, (height, width))


class ResidualBlock(nn.Module):
    """Twice norm, SiLU and 3x3 convolution, the time added in between, plus the input; then attention."""

    def __init__(self, inlet: int, outlet: int, attends: bool, config: UNetConfig):
        super().__init__()
        self.norm1 = nn.GroupNorm(config.groups, inlet)
        self.conv1 = nn.Conv2d(inlet, outlet, 3, padding=1)
        self.shift = nn.Linear(4 * config.width, outlet)
        self.norm2 = nn.GroupNorm(config.groups, outlet)
        self.dropout = nn.Dropout2d(config.dropout)
        self.conv2 = nn.Conv2d(outlet, outlet, 3, padding=1)
        self.skip = nn.Conv2d(inlet, outlet, 1) if inlet != outlet else nn.Identity()
        self.attention = Attention(outlet, config) if attends else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map x [batch, inlet, height, width] to [batch, outlet, height, width]; time [batch, 4 W]."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.shift(time)[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return self.attention(h + self.skip(x))


class Halve(nn.Conv2d):
    """Halve the resolution by a 3x3 convolution of stride 2."""

    def __init__(self, channels: int):
        super().__init__(channels, channels, 3, stride=2, padding=1)


class Double(nn.Conv2d):
    """Double the resolution by repeating pixels, then a 3x3 convolution."""

    def __init__(self, channels: int):
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        """Map [batch, channels, height, width] to twice the height and width."""
        return super().forward(F.interpolate(input, scale_factor=2))


class UNet(nn.Module):
    """The U-Net of the paper's experiments on images; make it by `UNetConfig.build`.

    Its parameter counts are those of the paper: 4,023,233 trained and 1000 x W in the time table for W = 32.

    Source: [bonnaire2025] Sec. 2
    """

    def __init__(self, config: UNetConfig, channels: int):
        super().__init__()
        W, levels = config.width, list(zip(config.multipliers, config.attention, strict=True))
        self.channels, self.factor = channels, 2 ** (len(levels) - 1)
        table = TimeTable(config.steps, W)
        self.time = nn.Sequential(table, nn.Linear(W, 4 * W), nn.SiLU(), nn.Linear(4 * W, 4 * W), nn.SiLU())
        self.inlet = nn.Conv2d(channels, W, 3, padding=1)
        now, kept = W, [W]  # channels of the signal, and of each skip
        self.down = nn.ModuleList()
        for depth, (multiplier, attends) in enumerate(levels):
            if depth:
                self.down.append(Halve(now))
                kept.append(now)
            for _ in range(config.blocks):
                self.down.append(ResidualBlock(now, W * multiplier, attends, config))
                now = W * multiplier
                kept.append(now)
        self.middle = nn.ModuleList(ResidualBlock(now, now, attends, config) for attends in (True, False))
        self.up = nn.ModuleList()
        for depth, (multiplier, attends) in enumerate(reversed(levels)):
            if depth:
                self.up.append(Double(now))
            for _ in range(config.blocks + 1):
                self.up.append(ResidualBlock(now + kept.pop(), W * multiplier, attends, config))
                now = W * multiplier
        self.norm = nn.GroupNorm(config.groups, now)
        self.outlet = nn.Conv2d(now, channels, 3, padding=1)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Predict from images x [batch, channels, height, width] at the grid positions index [batch].

        Raises:
            InputError: if x is not a batch of images of a shape that the network can halve and double back.
        """
        if x.ndim != 4 or x.shape[1] != self.channels or x.shape[2] % self.factor or x.shape[3] % self.factor:
            wanted = f"[batch, {self.channels}, height, width] with sizes divisible by {self.factor}"
            raise InputError(f"x: expected {wanted}, got shape {tuple(x.shape)}")
        time = self.time(index)  # [batch, 4 W]
        kept = [self.inlet(x)]
        for layer in self.down:
            kept.append(layer(kept[-1]) if isinstance(layer, Halve) else layer(kept[-1], time))
        h = kept[-1]
        for layer in self.middle:
            h = layer(h, time)
        for layer in self.up:
            h = layer(h) if isinstance(layer, Double) else layer(torch.cat([h, kept.pop()], dim=1), time)
        return self.outlet(F.silu(self.norm(h)))
