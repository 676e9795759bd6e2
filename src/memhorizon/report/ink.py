"""Pictures in the page's colours: each colour of a drawing in two versions, for light and for dark paper."""

import colorsys
import re
from collections.abc import Iterable

HEX = re.compile(r"#([0-9a-f]{6})\b")
USED = re.compile(r"var\(--([0-9a-f]{6})\)")
BEND = 1.5  # how far dark colours are kept apart on dark paper, at the cost of light ones
DARKEST = 8.0  # lightness of dark paper
LIGHTEST = 95.0  # and of the text on it


def inked(svg: str) -> str:
    """A drawing whose colours are variables of the page.

    >>> inked('<path style="fill: #ffffff"/>')
    '<path style="fill: var(--ffffff)"/>'
    """
    return HEX.sub(r"var(--\1)", svg)


def palette(page: str) -> str:
    """The style sheet that gives the variables of a page their values, on light and on dark paper."""
    names = sorted(set(USED.findall(page)))
    light = " ".join(f"--{name}: #{name};" for name in names)
    dark = " ".join(f"--{name}: {at_night('#' + name)};" for name in names)
    return f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def at_night(colour: str) -> str:
    """The colour on dark paper: the same hue and saturation, with its lightness turned round.

    The order of lightness is kept, backwards; white becomes the paper and black the text:

        L' = darkest + (lightest - darkest) (1 - (L / 100) ** bend).

    >>> at_night("#ffffff"), at_night("#440154"), at_night("#44bf70")
    ('#171717', '#f7d8ff', '#297846')
    """
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    hue, _, saturation = colorsys.rgb_to_hls(*channels)
    wanted = DARKEST + (LIGHTEST - DARKEST) * (1 - (lightness(channels) / 100) ** BEND)
    # lightness grows with the third coordinate of the double cone: halve the interval until it is found
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        if lightness(colorsys.hls_to_rgb(hue, middle, saturation)) < wanted:
            low = middle
        else:
            high = middle
    return "#" + "".join(f"{round(255 * c):02x}" for c in colorsys.hls_to_rgb(hue, low, saturation))


def lightness(channels: Iterable[float]) -> float:
    """CIE lightness, 0 to 100, of sRGB channels in [0, 1]."""
    red, green, blue = map(_linear, channels)
    return _lightness_of(0.2126 * red + 0.7152 * green + 0.0722 * blue)


def _linear(channel: float) -> float:
    """The light of an sRGB channel, both in [0, 1]."""
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _lightness_of(luminance: float) -> float:
    """L* of CIELAB, of a luminance in [0, 1]."""
    return 903.3 * luminance if luminance <= 0.008856 else 116 * luminance ** (1 / 3) - 16
