"""The paper's U-Net: residual blocks with a time shift, attention at coarse resolutions, concatenated skips.

Called as `model(x, index)` with x [batch, channels, height, width] and index [batch].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from memhorizon.checks import check_flag, check_number, check_tuple, check_whole
from memhorizon.errors import InputError
from memhorizon.networks import small
from memhorizon.networks.embedding import TimeTable, check_even, check_positive, seeded


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
    """

    width: int = 32
    multipliers: tuple[int, ...] = (1, 2, 4)
    blocks: int = 2
    attention: tuple[bool, ...] = (False, True, True)
    heads: int = 4
    groups: int = 8
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_positive(blocks=self.blocks, heads=self.heads, groups=self.groups)
        check_even(width=self.width)
        check_number("dropout", self.dropout, least=0, below=1)
        self._check_multipliers()
        self._check_attention()
        self._check_channels()

    def _check_multipliers(self) -> None:
        check_tuple("multipliers", self.multipliers)
        if not self.multipliers:
            raise InputError("multipliers: expected at least one, got none")
        for multiplier in self.multipliers:
            check_whole("multipliers", multiplier, least=1)

    def _check_attention(self) -> None:
        check_tuple("attention", self.attention)
        if len(self.attention) != len(self.multipliers):
            wanted = f"one entry for each of the {len(self.multipliers)} multipliers"
            raise InputError(f"attention: expected {wanted}, got {self.attention}")
        for attends in self.attention:
            check_flag("attention", attends)

    def _check_channels(self) -> None:
        """Refuse channels that do not split into groups and heads."""
        attention = (*self.attention[:-1], True)  # the bottleneck attends, with the channels of the coarsest
        for multiplier, attends in zip(self.multipliers, attention, strict=True):
            channels = self.width * multiplier
            if channels % self.groups:
                raise InputError(self._indivisible("groups", self.groups, channels))
            if attends and channels % self.heads:
                raise InputError(self._indivisible("heads", self.heads, channels))

    def _indivisible(self, name: str, parts: int, channels: int) -> str:
        return (
            f"width, {name}: expected width times {', '.join(map(str, self.multipliers))} in {parts} equal "
            f"{name}, got {channels} channels (width {self.width})"
        )

    @property
    def factor(self) -> int:
        """Height and width of the images must be divisible by this."""
        return 2 ** (len(self.multipliers) - 1)

    def build(self, item_shape: tuple[int, ...], *, n_levels: int = 1000, seed: int) -> "UNet":
        """Make the network for images of this shape, (channels, height, width).

        Raises:
            InputError: if the shape is not that of an image, or cannot be halved as often as needed.
        """
        self._check_item_shape(item_shape)
        with seeded(seed):
            return UNet(self, item_shape[0], n_levels)

    def _check_item_shape(self, item_shape: tuple[int, ...]) -> None:
        if len(item_shape) != 3 or min(item_shape) < 1:
            raise InputError(f"item_shape: expected (channels, height, width), got {item_shape}")
        if item_shape[1] % self.factor or item_shape[2] % self.factor:
            wanted = f"height and width divisible by {self.factor} for {len(self.multipliers)} resolutions"
            raise InputError(f"item_shape: expected {wanted}, got {item_shape}")


class Conv(nn.Module):
    """A convolution on images [batch, height, width, channels].

    The channels come last everywhere inside the network, as the fast CPU and GPU kernels want them, and the
    weight [outlet, size, size, inlet] is stored in that order too, so that it is a plain contiguous tensor.
    """

    def __init__(self, inlet: int, outlet: int, *, size: int = 3, stride: int = 1):
        super().__init__()
        self.stride = stride
        self.padding = size // 2
        self.covers_four = size == 3 and stride == 1  # pixels of 2 x 2, from each of them
        bound = 1 / math.sqrt(inlet * size**2)
        self.weight = nn.Parameter(torch.empty(outlet, size, size, inlet).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outlet).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Map x [batch, height, width, inlet] to [batch, height/stride, width/stride, outlet]."""
        if self.covers_four and small.is_two_by_two(x):
            return small.convolution(x, self.weight, self.bias)
        weight = self.weight.permute(0, 3, 1, 2)
        out = F.conv2d(x.permute(0, 3, 1, 2), weight, self.bias, self.stride, self.padding)
        return out.permute(0, 2, 3, 1)


class Halve(Conv):
    """Halve height and width by a convolution of stride 2."""

    def __init__(self, channels: int):
        super().__init__(channels, channels, stride=2)


class Double(Conv):
    """Double height and width by repeating each pixel, then a convolution."""

    def __init__(self, channels: int):
        super().__init__(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [batch, height, width, channels] to twice the height and width."""
        return super().forward(F.interpolate(x.permute(0, 3, 1, 2), scale_factor=2).permute(0, 2, 3, 1))


class Norm(nn.GroupNorm):
    """Group norm of x [batch, height, width, channels]."""

    def __init__(self, channels: int, config: UNetConfig):
        super().__init__(config.groups, channels)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise the channels of each group together, over all pixels of an image."""
        if small.has_narrow_groups(input, self.num_groups):
            return small.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)
        return super().forward(input.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Attention(nn.Module):
    """Multi-head self-attention over the pixels, added to its input."""

    def __init__(self, channels: int, config: UNetConfig):
        super().__init__()
        self.heads = config.heads
        self.norm = Norm(channels, config)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.outlet = nn.Linear(channels, channels)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.outlet.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [batch, height, width, channels] to the same shape."""
        qkv = self.qkv(self.norm(x)).flatten(1, 2)  # [batch, pixels, 3 channels]
        return x + self.outlet(self._mixed(qkv)).view(x.shape)

    def _mixed(self, qkv: Tensor) -> Tensor:
        """Map [batch, pixels, 3 channels] to [batch, pixels, channels]."""
        if small.has_narrow_heads(qkv, self.heads):
            return small.attention(qkv, self.heads)
        q, k, v = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)  # [batch, heads, pixels, channels/heads]
        return mixed.transpose(1, 2).flatten(2)


class ResidualBlock(nn.Module):
    """Twice norm, SiLU and convolution, the time's shift added in between, plus the input; then attention."""

    def __init__(self, inlet: int, outlet: int, attends: bool, config: UNetConfig):
        super().__init__()
        self.channels = outlet
        self.dropout = config.dropout
        self.norm1 = Norm(inlet, config)
        self.conv1 = Conv(inlet, outlet)
        self.norm2 = Norm(outlet, config)
        self.conv2 = Conv(outlet, outlet)
        self.skip = nn.Linear(inlet, outlet) if inlet != outlet else nn.Identity()
        self.attention = Attention(outlet, config) if attends else nn.Identity()

    def forward(self, x: Tensor, shift: Tensor) -> Tensor:
        """Map x [batch, height, width, inlet] to [batch, height, width, outlet]; shift [batch, outlet]."""
        h = self.conv1(F.silu(self.norm1(x))) + shift[:, None, None]
        h = F.silu(self.norm2(h))
        if self.dropout:
            h = F.dropout2d(h.permute(0, 3, 1, 2), self.dropout, self.training).permute(0, 2, 3, 1)
        return self.attention(self.conv2(h) + self.skip(x))


class UNet(nn.Module):
    """The U-Net of the paper's experiments on images; make it by `UNetConfig.build`.

    Its parameter counts are those of the paper: at W = 32, 4,023,233 trained and 1000 x W in the time table.

    Source: [bonnaire2025] Sec. 2
    """

    def __init__(self, config: UNetConfig, channels: int, n_levels: int):
        super().__init__()
        width = config.width
        self.channels = channels
        self.factor = config.factor
        self.table = TimeTable(n_levels, width)
        self.time = _time_network(width)
        self.inlet = Conv(channels, width)
        self.down, kept = _way_down(config)
        self.up = nn.ModuleList()  # before the middle in every saved state, after it in the draw of weights
        bottom = kept[-1]
        self.middle = nn.ModuleList(
            ResidualBlock(bottom, bottom, attends, config) for attends in (True, False)
        )
        self.up.extend(_way_up(config, kept))
        finest = width * config.multipliers[0]
        self.norm = Norm(finest, config)
        self.outlet = Conv(finest, channels)
        layers = [*self.down, *self.middle, *self.up]
        self.outlets = [layer.channels for layer in layers if isinstance(layer, ResidualBlock)]
        self.shifts = nn.Linear(4 * width, sum(self.outlets))  # those of all blocks in one product

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Predict from images x [batch, channels, height, width] at the grid positions index [batch].

        Raises:
            InputError: if x is not a batch of images that the network can halve and double back, or index
                does not fit.
        """
        self._check(x)
        time = self.time(self.table(index, len(x)))  # [batch, 4 W]
        shifts = iter(self.shifts(time).split(self.outlets, dim=1))
        # one channel lies the same first or last, so the first convolution may take either order
        kept = [self.inlet(x.permute(0, 2, 3, 1)).contiguous()]
        for layer in self.down:
            kept.append(_through(layer, kept[-1], shifts))
        h = kept[-1]
        for layer in self.middle:
            h = _through(layer, h, shifts)
        for layer in self.up:
            h = h if isinstance(layer, Double) else torch.cat([h, kept.pop()], -1)
            h = _through(layer, h, shifts)
        return self.outlet(F.silu(self.norm(h))).permute(0, 3, 1, 2).contiguous()

    def _check(self, x: Tensor) -> None:
        fits = x.ndim == 4 and x.shape[1] == self.channels
        if not fits or x.shape[2] % self.factor or x.shape[3] % self.factor:
            wanted = f"[batch, {self.channels}, height, width] with sizes divisible by {self.factor}"
            raise InputError(f"x: expected {wanted}, got shape {tuple(x.shape)}")


def _time_network(width: int) -> nn.Sequential:
    """Two layers on the embedding of the time, to 4 W features."""
    wide = 4 * width
    return nn.Sequential(nn.Linear(width, wide), nn.SiLU(), nn.Linear(wide, wide), nn.SiLU())


def _way_down(config: UNetConfig) -> tuple[nn.ModuleList, list[int]]:
    """The layers down to the coarsest resolution, and the channels of each output, the inlet's first."""
    layers = nn.ModuleList()
    kept = [config.width]
    for depth, (multiplier, attends) in enumerate(zip(config.multipliers, config.attention, strict=True)):
        if depth:
            layers.append(Halve(kept[-1]))
            kept.append(kept[-1])
        for _ in range(config.blocks):
            layers.append(ResidualBlock(kept[-1], config.width * multiplier, attends, config))
            kept.append(config.width * multiplier)
    return layers, kept


def _way_up(config: UNetConfig, kept: list[int]) -> nn.ModuleList:
    """The layers back up; each block takes one of the outputs kept on the way down, the last one first."""
    layers = nn.ModuleList()
    left = list(kept)
    now = left[-1]
    levels = list(zip(config.multipliers, config.attention, strict=True))
    for depth, (multiplier, attends) in enumerate(reversed(levels)):
        if depth:
            layers.append(Double(now))
        for _ in range(config.blocks + 1):
            layers.append(ResidualBlock(now + left.pop(), config.width * multiplier, attends, config))
            now = config.width * multiplier
    return layers


def _through(layer: nn.Module, h: Tensor, shifts: Iterator[Tensor]) -> Tensor:
    """Apply a layer; a residual block takes the next shift of the time."""
    return layer(h, next(shifts)) if isinstance(layer, ResidualBlock) else layer(h)
