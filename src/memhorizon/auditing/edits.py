"""What was done to a training picture to make a copy of it, in words."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from memhorizon.auditing.alignment import Fit, align, correlate
from memhorizon.auditing.views.reduced import LARGEST_ALIGNED, in_unit, reduced

_EQUAL = 0.5 / 255  # of the range: pixels that differ by less are equal to the eye and in 8 bits
_SCALE = 0.02  # changes that are named: of the scale,
_PIXELS = 0.3  # of the place, in pixels,
_GAIN = 0.04  # of brightness,
_BLUR = 0.5  # share of the blurred candidate,
_LEFT = 0.015  # and what is left, of the range


@dataclass(frozen=True, eq=False)
class Edit:
    """How a training picture was edited.

    Attributes:
        words: such as "flipped, moved 1.0 pixels right, 20 % brighter"; "none" for an equal picture.
        registered: the training picture in the frame and brightness of the sample. [c, h, w]
    """

    words: str
    registered: Float[Tensor, "c h w"]


def edit_of(
    sample: Float[Tensor, "c h w"], original: Float[Tensor, "c h w"], limits: tuple[float, float]
) -> Edit:
    """Find out how a sample was made from a training picture.

    Args:
        sample: picture.
        original: training picture of the same shape.
        limits: smallest and largest value that a pixel can have.
    """
    width = limits[1] - limits[0]
    if bool(((sample - original).abs() <= _EQUAL * width).all()):
        return Edit("none", original)
    y = in_unit(sample[None], limits)
    candidate = in_unit(original[None], limits)[None]
    fit = align(y, candidate, _place(y, candidate[0]))
    left = (y.flatten() - fit.fitted[0, 0]).square() * fit.inside[0, 0]
    deviation = float((left.sum() / fit.inside[0, 0].sum().clamp_min(1)).sqrt())
    words = [*_place_words(fit, sample.shape[-2:]), *_value_words(fit, deviation)]
    return Edit(", ".join(words) or "hardly any", fit.fitted[0, 0].view_as(original) * width + limits[0])


def _place(y: Float[Tensor, "1 c h w"], x: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 1 4"]:
    """Where the refinement starts; of large pictures the place that is found in small."""
    small = reduced(y, LARGEST_ALIGNED)
    candidate = reduced(x, LARGEST_ALIGNED)[None]
    place = correlate(small, candidate)[1]
    return place if small is y else align(small, candidate, place).place


def _place_words(fit: Fit, size: torch.Size) -> list[str]:
    """Flip, scale and shift of y(p) = x(u p + v)."""
    u_1, u_2, v_1, v_2 = fit.place[0, 0].tolist()
    h, w = size
    flip = ["flipped"] if u_1 < 0 else []
    scale = 2 / (abs(u_1) + abs(u_2))
    # the centre of x, u p + v = 0, is at p = -v / u
    right = -v_1 / u_1 * w / 2
    down = -v_2 / u_2 * h / 2
    moves = [*_move_words(right, "right", "left"), *_move_words(down, "down", "up")]
    return [*flip, *_scale_words(scale), *moves]


def _scale_words(scale: float) -> list[str]:
    change = abs(scale - 1)
    if change <= _SCALE:
        return []
    return [f"{change:.0%} {'larger' if scale > 1 else 'smaller'}".replace("%", " %")]


def _move_words(pixels: float, positive: str, negative: str) -> list[str]:
    if abs(pixels) <= _PIXELS:
        return []
    return [f"moved {abs(pixels):.1f} pixels {positive if pixels > 0 else negative}"]


def _value_words(fit: Fit, deviation: float) -> list[str]:
    """Brightness, blur, and what is left over."""
    words = _gain_words(float(fit.gain[0, 0]))
    if float(fit.blur[0, 0]) > _BLUR:
        words.append("blurred")
    if deviation > _LEFT:
        words.append(f"noise, compression or other differences of {deviation:.1%}".replace("%", " %"))
    return words


def _gain_words(gain: float) -> list[str]:
    change = abs(gain - 1)
    if change <= _GAIN:
        return []
    kind = "more" if gain > 1 else "less"
    return [f"{change:.0%} {kind} contrast or brightness".replace("%", " %")]
