"""Whether two sets of items have one unit.

Two sets are brought together only where it is certain: pixels of an unsigned integer type that use its range,
beside floats from 0 to 1. Where the numbers show that one set holds pixels in another unit than the other, or
centred or standardised ones, the pair is refused; everything else is compared by value.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from memhorizon.devices import wide
from memhorizon.errors import InputError
from memhorizon.files.mapped import blocks, ends
from memhorizon.files.ranges import leaves_range_unused, unused_message

_WHITE = {torch.uint8: 255, torch.uint16: 65535}  # in pixels of these types
_ROWS = 4096  # items looked at together
_BEYOND = 0.1  # how far samples overshoot a range: this share of it
_GREY = 16.0  # pixels of 0 to 255 reach this, numbers of order one do not
_FACTOR = 16.0  # ranges that differ by more are of two units, where there is no better sign
_ENOUGH = 500  # numbers of a set that show its form: the ends of so many normal ones lie beyond 2.5
_FEWEST = 30  # with fewer numbers nothing is concluded about the form
_SAME_ITEMS = 1.02  # as _SAME_FORM for sets of less than enough numbers: the very same items
_SAME_FORM = 1.4  # how far the ends of two sets, in units of their spreads, differ where the form is one


@dataclass(frozen=True, eq=False)
class Values:
    """The numbers of a set, and where they lie.

    Attributes:
        data: the items. [n, *item]
        name: of the set, for the errors.
        white: largest value of the integer type in which pixels were given; None for other types.
        low: smallest number.
        high: largest number.
    """

    data: Tensor
    name: str
    white: int | None
    low: float
    high: float

    @classmethod
    def of(cls, data: Tensor, name: str, given: torch.dtype | None = None) -> "Values":
        """Look through a set, which was given in the type `given`."""
        low, high = ends(data)
        return cls(data, name, _WHITE.get(given or data.dtype), low, high)

    @property
    def width(self) -> float:
        """How far apart the ends lie."""
        return self.high - self.low

    @property
    def unit(self) -> str:
        """The unit of pixels that these numbers show, or "" where they show none.

        Numbers beyond order one are taken for pixels if they lie on one side of 0 and have room in 0..255 or
        0..65535. A set of one single number shows no unit.
        """
        if self.low == self.high:
            return ""
        if self._within(0, 1):
            return "0 to 1"
        if self._within(-1, 1):
            return "-1 to 1"
        if self.high < _GREY or self.low < -_BEYOND * self.high:
            return ""
        if self._within(0, 255):
            return "0 to 255"
        return "0 to 65535" if self._within(0, 65535) else ""

    def _within(self, low: float, high: float) -> bool:
        """Whether all lie between these, but for an overshoot."""
        slack = _BEYOND * (high - low)
        return low - slack <= self.low and self.high <= high + slack

    @property
    def is_signed(self) -> bool:
        """Whether numbers lie clearly below 0, and not by an overshoot."""
        return self.low < -_BEYOND * self.width

    @property
    def mean(self) -> float:
        """Mean of all numbers."""
        return self._moments[0]

    @property
    def spread(self) -> float:
        """Standard deviation of all numbers."""
        return self._moments[1]

    @cached_property
    def _moments(self) -> tuple[float, float]:
        count = self.data.numel()
        mean = sum(float(wide(part).sum()) for part in blocks(self.data, rows=_ROWS)) / count
        distances = (wide(part) - mean for part in blocks(self.data, rows=_ROWS))
        square = sum(float(part.square().sum()) for part in distances) / count
        return mean, square**0.5

    def __str__(self) -> str:
        return f"{self.name} of {self.low:.6g} to {self.high:.6g}"


def in_one_unit(a: Values, b: Values) -> tuple[Tensor, Tensor]:
    """Give two sets in one unit: integer pixels beside floats from 0 to 1 are brought there.

    Raises:
        InputError: if the ranges show that the units differ, or integers leave most of their range unused.
    """
    if _are_brought(a, b):
        return _brought(a, b), b.data
    if _are_brought(b, a):
        return a.data, _brought(b, a)
    check_units(a, b)
    return a.data, b.data


def _are_brought(pixels: Values, floats: Values) -> bool:
    """Whether integers beyond 1 are compared with floats from 0 to 1."""
    if pixels.white is None or pixels.high <= 1:
        return False
    return floats.data.is_floating_point() and floats.unit == "0 to 1"


def _brought(pixels: Values, floats: Values) -> Tensor:
    """Integer pixels as 0 to 1, divided in 32 bits at least, as files are read.

    Integers that use a small part of their range are refused, unless the floats beside them reach as far.
    """
    assert pixels.white is not None
    top = pixels.high / pixels.white
    as_dark = abs(top - floats.high) <= max(0.25 * floats.high, 1 / pixels.white)
    if leaves_range_unused(top) and not as_dark:
        raise InputError(f"{pixels.name}: {unused_message(top, pixels.white.bit_length(), 'all')}")
    dtype = floats.data.dtype
    return (pixels.data.to(torch.promote_types(dtype, torch.float32)) / pixels.white).to(dtype)


def check_units(a: Values, b: Values) -> None:
    """Refuse two sets whose ranges show that they have not one unit.

    Raises:
        InputError: naming both ranges.
    """
    sign = _sign_of_units(a, b)
    if sign:
        raise InputError(
            f"{a.name}, {b.name}: expected values of one unit, got {a} and {b}, {sign}; bring both to one "
            "range (such as 0 to 1), or give same_units=True if they are of one unit all the same"
        )


def _sign_of_units(a: Values, b: Values) -> str:
    """What shows that two sets are of different units; "" where nothing does."""
    if a.unit and b.unit and a.unit != b.unit and _are_evident(a, b):
        return f"as of pixels from {a.unit} and from {b.unit}"
    for one, other in ((a, b), (b, a)):
        if _is_offset(one, other):
            return "as of 8-bit integers counted from -128 and of another type"
        if _is_enlarged(one, other):
            return "as of pixels from 0 to 1 and of larger ones"
        if _is_centred(one, other):
            return "as of centred or standardised values and of plain ones"
    return ""


def _are_evident(a: Values, b: Values) -> bool:
    """Whether two sets that seem to be of different units are no honest pair of one unit.

    Between 0..1 or -1..1 and 0..255 or 0..65535 lies a factor of 16 at least: no sample of the one is one of
    the other. 0..255 beside 0..65535 may be bright and dark, or counts with a long tail: their spreads have
    to differ as the units do, by 257, give or take a factor of 16.
    """
    units = {a.unit, b.unit}
    if units == {"0 to 255", "0 to 65535"}:
        ratio = a.spread / max(b.spread, 1e-300)
        return max(ratio, 1 / max(ratio, 1e-300)) > _FACTOR
    if units == {"0 to 1", "-1 to 1"}:
        return _is_doubled(a, b) if b.unit == "0 to 1" else _is_doubled(b, a)
    return True


def _is_doubled(signed: Values, plain: Values) -> bool:
    """Whether these are pixels of -1..1 and of 0..1, and not a poor generator of 0..1 that falls below 0.

    Pixels p and 2 p - 1 differ in mean and spread, so both have to be nearer to those of the converted set
    than to the set's: the mean below the middle of m and 2 m - 1, the spread above sqrt(2) times the other.
    """
    middle = plain.mean + (plain.mean - 1) / 2
    return signed.low < -0.5 and signed.mean < middle and signed.spread > 2**0.5 * plain.spread


def _is_offset(one: Values, other: Values) -> bool:
    """Whether bytes with a sign meet another type that has no numbers below 0, or smaller ones."""
    if one.data.dtype != torch.int8 or other.data.dtype == torch.int8 or one.low >= 0:
        return False
    return other.width > 0 and (other.low >= 0 or one.width > _FACTOR * other.width)


def _is_enlarged(one: Values, other: Values) -> bool:
    """Whether numbers from 0 to 2..16, as of 2 to 4 bits, meet others of 0 to 1; for more see `unit`.

    Integers alone may be counts. The spread has to be more than twice the other, so that single numbers
    beyond the range do not tell.
    """
    if not (one.data.is_floating_point() or other.data.is_floating_point()):
        return False
    if one.low < 0 or not 2 < one.high < _GREY or other.low < 0 or other.unit != "0 to 1":
        return False
    return one.width > 0 and one.spread > 2 * other.spread


def _is_centred(one: Values, other: Values) -> bool:
    """Whether one set lies about 0, or is spread out, and has else the form of another that is above 0.

    The noise of an untrained generator lies about 0, too. So (x - m) / s is known by its form: its ends lie
    as many standard deviations from the mean as those of x, where those of noise lie farther out.
    """
    if not one.is_signed or other.is_signed or other.low == other.high:
        return False
    count = min(one.data.numel(), other.data.numel())
    if count < _FEWEST or not _is_moved(one, other):
        return False
    factor = _SAME_FORM if count >= _ENOUGH else _SAME_ITEMS
    return all(
        _are_alike((end - one.mean) * other.spread, (other_end - other.mean) * one.spread, factor)
        for end, other_end in ((one.low, other.low), (one.high, other.high))
    )


def _is_moved(one: Values, other: Values) -> bool:
    """Whether a set lies nearer to 0 than to the mean of another, or is spread out.

    A faded set (less contrast, and not about 0) is a poor sample of the same unit.
    """
    is_narrow = other.spread / _FACTOR < one.spread < other.spread / 2
    is_faded = is_narrow and abs(one.mean) > one.spread / 2
    is_about_0 = abs(one.mean) < abs(one.mean - other.mean)
    return (is_about_0 and not is_faded) or one.spread > 3 * other.spread


def _are_alike(x: float, y: float, factor: float) -> bool:
    """Whether two lengths are within a factor of each other, without a division."""
    return abs(x) < factor * abs(y) and abs(y) < factor * abs(x)
