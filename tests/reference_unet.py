"""The U-Net written plainly: channels first, nn.MultiheadAttention, one linear layer per time shift.

A slow twin of networks.unet for tests and benchmarks; `PlainUNet.like(net, config)` takes over the weights.
"""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


class PlainAttention(nn.Module):
    def __init__(self, channels, config):
        super().__init__()
        self.norm = nn.GroupNorm(config.groups, channels)
        self.mha = nn.MultiheadAttention(channels, config.heads, batch_first=True)
        self.need_weights = True  # what a plain call does

    def forward(self, x):
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        mixed, _ = self.mha(tokens, tokens, tokens, need_weights=self.need_weights)
        return x + mixed.transpose(1, 2).reshape(x.shape)


class PlainBlock(nn.Module):
    def __init__(self, inlet, outlet, attends, config):
        super().__init__()
        self.norm1 = nn.GroupNorm(config.groups, inlet)
        self.conv1 = nn.Conv2d(inlet, outlet, 3, padding=1)
        self.shift = nn.Linear(4 * config.width, outlet)
        self.norm2 = nn.GroupNorm(config.groups, outlet)
        self.dropout = nn.Dropout2d(config.dropout)
        self.conv2 = nn.Conv2d(outlet, outlet, 3, padding=1)
        self.skip = nn.Conv2d(inlet, outlet, 1) if inlet != outlet else nn.Identity()
        self.attention = PlainAttention(outlet, config) if attends else nn.Identity()

    def forward(self, x, time):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.shift(F.silu(time))[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return self.attention(h + self.skip(x))


class PlainUNet(nn.Module):
    def __init__(self, config, channels):
        super().__init__()
        W = config.width
        frequency = 1e4 ** (-torch.arange(W // 2, dtype=torch.float64) / (W // 2 - 1))
        angle = torch.arange(1000)[:, None] * frequency
        self.embedding = nn.Embedding.from_pretrained(torch.cat([angle.sin(), angle.cos()], 1).float())
        self.time = nn.Sequential(nn.Linear(W, 4 * W), nn.SiLU(), nn.Linear(4 * W, 4 * W))
        self.inlet = nn.Conv2d(channels, W, 3, padding=1)
        self.down, self.up, now, kept = nn.ModuleList(), nn.ModuleList(), W, [W]
        levels = list(zip(config.multipliers, config.attention, strict=True))
        for i, (m, attends) in enumerate(levels):
            if i > 0:
                self.down.append(nn.Conv2d(now, now, 3, stride=2, padding=1))
                kept.append(now)
            for _ in range(config.blocks):
                self.down.append(PlainBlock(now, W * m, attends, config))
                now = W * m
                kept.append(now)
        self.middle = nn.ModuleList([PlainBlock(now, now, True, config), PlainBlock(now, now, False, config)])
        for i, (m, attends) in enumerate(levels[::-1]):
            if i > 0:
                self.up.append(nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(now, now, 3, padding=1)))
            for _ in range(config.blocks + 1):
                self.up.append(PlainBlock(now + kept.pop(), W * m, attends, config))
                now = W * m
        self.head = nn.Sequential(
            nn.GroupNorm(config.groups, now), nn.SiLU(), nn.Conv2d(now, channels, 3, padding=1)
        )

    def forward(self, x, index):
        time, h = self.time(self.embedding(index)), self.inlet(x)
        kept = [h]
        for layer in self.down:
            h = layer(h, time) if isinstance(layer, PlainBlock) else layer(h)
            kept.append(h)
        for layer in self.middle:
            h = layer(h, time)
        for layer in self.up:
            block = isinstance(layer, PlainBlock)
            h = layer(torch.cat([h, kept.pop()], 1), time) if block else layer(h)
        return self.head(h)

    @classmethod
    def like(cls, net, config):
        """The same network as `net`, a memhorizon.networks.unet.UNet of this configuration."""
        with torch.random.fork_rng(devices=[]):
            twin = cls(config, net.channels)
        with torch.no_grad():
            for theirs, ours in matching(twin, net):
                theirs.copy_(ours)
        return twin


def matching(twin, net):
    """Pairs of equal tensors: each parameter of the twin, and the part of `net` that it is, in its shape."""
    yield from same(twin.time, net.time)
    yield from conv(twin.inlet, net.inlet)
    rows = iter(zip(net.shifts.weight.split(net.outlets), net.shifts.bias.split(net.outlets), strict=True))
    ours = [*net.down, *net.middle, *net.up]
    for a, b in zip([*twin.down, *twin.middle, *twin.up], ours, strict=True):
        if isinstance(a, PlainBlock):
            yield from zip((a.shift.weight, a.shift.bias), next(rows), strict=True)
            yield from block(a, b)
        else:
            yield from conv(a[1] if isinstance(a, nn.Sequential) else a, b)
    yield from same(twin.head[0], net.norm)
    yield from conv(twin.head[2], net.outlet)


def block(a, b):
    for name in ("norm1", "norm2"):
        yield from same(getattr(a, name), getattr(b, name))
    for name in ("conv1", "conv2"):
        yield from conv(getattr(a, name), getattr(b, name))
    if isinstance(a.skip, nn.Conv2d):
        yield a.skip.weight, b.skip.weight[:, :, None, None]
        yield a.skip.bias, b.skip.bias
    if isinstance(a.attention, PlainAttention):
        yield from same(a.attention.norm, b.attention.norm)
        yield a.attention.mha.in_proj_weight, b.attention.qkv.weight
        yield a.attention.mha.in_proj_bias, b.attention.qkv.bias
        yield from same(a.attention.mha.out_proj, b.attention.outlet)


def same(a, b):
    yield from zip(a.parameters(), b.parameters(), strict=True)


def conv(a, b):
    yield a.weight, b.weight.permute(0, 3, 1, 2)
    yield a.bias, b.bias
