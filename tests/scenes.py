"""Colour images made up for tests: discs and rectangles with gradients, laid over one another."""

import math

import torch

SHAPES = 24  # laid on each image; with these the ground is seldom seen


def scenes(count, side, *, generator):
    """Draw dead leaves: sizes by a power law, as in photographs, colours and gradients at random.

    Returns float32 [count, 3, side, side], 0 to 1.
    """
    grid = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    images = _ramp(count, x, y, generator)
    for _ in range(SHAPES):
        inside = _shape(count, x, y, generator)
        images = torch.where(inside[:, None], _ramp(count, x, y, generator), images)
    return images


def _uniform(count, low, high, generator):
    return low + (high - low) * torch.rand(count, 1, 1, generator=generator)


def _ramp(count, x, y, generator):
    """A colour that changes along a random direction."""
    colour = torch.rand(count, 3, 1, 1, generator=generator)
    slope = 0.6 * (torch.rand(count, 3, 1, 1, generator=generator) - 0.5)
    angle = _uniform(count, 0.0, 2 * math.pi, generator)
    along = (x - 0.5) * angle.cos() + (y - 0.5) * angle.sin()
    return (colour + slope * along[:, None]).clamp(0, 1)


def _shape(count, x, y, generator):
    """A disc or a turned rectangle, the radius r with density ~ r^-2 on 0.06 to 0.5."""
    radius = 1 / _uniform(count, 1 / 0.5, 1 / 0.06, generator)
    angle = _uniform(count, 0.0, math.pi, generator)
    stretch = _uniform(count, 0.4, 1.0, generator)
    dx = x - _uniform(count, 0.0, 1.0, generator)
    dy = y - _uniform(count, 0.0, 1.0, generator)
    along = dx * angle.cos() + dy * angle.sin()
    across = (dy * angle.cos() - dx * angle.sin()) / stretch
    disc = along.square() + across.square() <= radius.square()
    rectangle = torch.maximum(along.abs(), across.abs()) <= radius
    return torch.where(_uniform(count, 0.0, 1.0, generator) < 0.5, disc, rectangle)
