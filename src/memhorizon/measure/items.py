"""Items as they are given: any array of numbers as one tensor, and whether two sets have one unit.

Values are never rescaled by guess. Two sets are brought together only where it is certain: pixels of an
unsigned integer type that use its range, beside floats from 0 to 1. Where the numbers show that one set holds
pixels in another unit than the other, or centred or standardised ones, the pair is refused; everything else
is compared by value.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from memhorizon.devices import wide
from memhorizon.errors import InputError
from memhorizon.files.formats import leaves_range_unused, unused_message
from memhorizon.files.images import ImageSet

Items = Any  # [n, *item]: a tensor, an array, an ImageSet, nested lists of numbers, a list of equal arrays

_FULL = {torch.uint8: 255, torch.uint16: 65535}  # white, in pixels of these types
_WIDENED = {torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.float64}
_KEPT = {
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
}
_ROWS = 4096  # items looked at together
_BEYOND = 0.1  # how far samples overshoot a range: this share of it
_GREY = 16.0  # pixels of 0 to 255 reach this, numbers of order one do not
_FACTOR = 16.0  # ranges that differ by more are of two units, where there is no better sign
_ENOUGH = 500  # numbers of a set that show its form: the ends of so many normal ones lie beyond 2.5
_FEWEST = 30  # with fewer numbers nothing is said about the form
_SAME_ITEMS = 1.02  # as _SAME_FORM for sets of less than enough numbers: the very same items
_SAME_FORM = 1.4  # how far the ends of two sets, in their own spreads, differ where the form is one


def as_items(x: Items, name: str) -> Shaped[Tensor, "..."]:
    """Return items as a detached tensor on their device, of a type that arithmetic knows.

    Floats of 8 bits become 32-bit ones, 16- and 32-bit unsigned integers the next wider signed ones: no value
    changes. (Unsigned integers of 64 bits become 64-bit floats, exact below 2^53.)

    Raises:
        InputError: if it is no array of real numbers, [n, *item], or has no item or no number in an item.
    """
    return _checked_items(as_numbers(x, name), name)


def _checked_items(tensor: Tensor, name: str) -> Tensor:
    if tensor.ndim < 2 or tensor.numel() == 0:
        hint = "; items of one number each are x[:, None]" if tensor.ndim == 1 else ""
        wanted = "items [n, *item], at least one item and one number in each"
        raise InputError(f"{name}: expected {wanted}, got shape {tuple(tensor.shape)}{hint}")
    return tensor


def as_numbers(x: Any, name: str) -> Shaped[Tensor, "..."]:
    """As `as_items`, for an array of any shape.

    Raises:
        InputError: if it is no array of real numbers.
    """
    return _usable(_given(x, name), name)


def _given(x: Any, name: str) -> Tensor:
    """What was given as a tensor, of the type that it has."""
    if isinstance(x, ImageSet):
        x = x.images
    if isinstance(x, list | tuple) and x and all(isinstance(item, Tensor) for item in x):
        x = _stacked(x, name)
    tensor = x if isinstance(x, Tensor) else _of_array(x, name)
    if tensor.is_nested or tensor.layout != torch.strided or tensor.device.type == "meta":
        raise InputError(f"{name}: expected a dense tensor, got {tensor.layout} on {tensor.device}")
    return tensor.detach()


def _usable(tensor: Tensor, name: str) -> Tensor:
    if tensor.dtype in _KEPT:
        return tensor
    if tensor.dtype in _WIDENED:
        return tensor.to(_WIDENED[tensor.dtype])
    if str(tensor.dtype).startswith("torch.float8"):
        return tensor.float()
    raise InputError(f"{name}: expected real numbers, got {tensor.dtype}")


def _stacked(x: Any, name: str) -> Tensor:
    shapes = {tuple(item.shape) for item in x}
    kinds = {(item.dtype, item.device) for item in x}
    if len(shapes) > 1 or len(kinds) > 1:
        raise InputError(f"{name}: expected tensors of one shape, type and device, got {sorted(shapes)[:5]}")
    return torch.stack(list(x))


def _of_array(x: Any, name: str) -> Tensor:
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise InputError(f"{name}: expected no masked values, got {int(np.ma.getmaskarray(x).sum())}")
    if isinstance(x, str | bytes) or hasattr(x, "__fspath__"):
        raise InputError(f"{name}: expected an array, got a path; read it with load_images, got {x!r}")
    try:
        array = np.asarray(x)
    except Exception as error:  # noqa: BLE001 - numpy calls what the object defines, which raises anything
        raise InputError(f"{name}: expected an array of numbers, got {type(x).__name__} ({error})") from error
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise InputError(
            f"{name}: expected an array of real numbers, got {type(x).__name__} of {array.dtype}"
        )
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("=")))


def as_pair(
    x: Items, y: Items, names: tuple[str, str], *, same_units: bool, one_shape: bool = True
) -> tuple[Tensor, Tensor]:
    """Return two sets of items on one device and, unless the caller vouches for it, in one unit.

    Raises:
        InputError: as `as_items`, if the devices or (where they have to be one) the shapes of the items
            differ, or if the ranges show that the units do.
    """
    given = _given(x, names[0]), _given(y, names[1])
    a, b = (as_items(tensor, name) for tensor, name in zip(given, names, strict=True))
    both = ", ".join(names)
    if a.device != b.device:
        raise InputError(f"{both}: expected one device, got {a.device} and {b.device}")
    if a.shape[1:] != b.shape[1:] and (one_shape or min(a.ndim, b.ndim) > 2):  # vectors are of any layout
        raise InputError(
            f"{both}: expected items of one shape, got {tuple(a.shape[1:])} and {tuple(b.shape[1:])}"
        )
    if same_units:
        return a, b
    full = _FULL.get(given[0].dtype), _FULL.get(given[1].dtype)
    return _in_one_unit(a, b, names, full)


@dataclass(frozen=True)
class Span:
    """Where the numbers of a set lie."""

    low: float
    high: float

    @classmethod
    def of(cls, x: Tensor) -> "Span":
        """Look through a set."""
        low, high = torch.aminmax(x)
        return cls(float(low), float(high))

    def within(self, low: float, high: float) -> bool:
        """Whether all lie between these, but for an overshoot."""
        slack = _BEYOND * (high - low)
        return low - slack <= self.low and self.high <= high + slack

    @property
    def unit(self) -> str:
        """The unit of pixels that these numbers show, or "" where they show none.

        Numbers beyond order one are taken for pixels if they lie on one side of 0 and have room in 0..255 or
        0..65535. A set of one single number shows no unit.
        """
        if self.low == self.high:
            return ""
        if self.within(0, 1):
            return "0 to 1"
        if self.within(-1, 1):
            return "-1 to 1"
        if self.high < _GREY or self.low < -_BEYOND * self.high:
            return ""
        if self.within(0, 255):
            return "0 to 255"
        return "0 to 65535" if self.within(0, 65535) else ""

    @property
    def is_signed(self) -> bool:
        """Whether numbers lie clearly below 0, and not by an overshoot."""
        return self.low < -_BEYOND * (self.high - self.low)

    def __str__(self) -> str:
        return f"{self.low:.6g} to {self.high:.6g}"


def _in_one_unit(
    a: Tensor, b: Tensor, names: tuple[str, str], full: tuple[int | None, int | None]
) -> tuple[Tensor, Tensor]:
    """The two sets, integer pixels beside floats from 0 to 1 brought there."""
    spans = Span.of(a), Span.of(b)
    if full[0] and b.is_floating_point() and spans[1].unit == "0 to 1" and spans[0].high > 1:
        _check_range(spans[0], full[0], spans[1], names[0])
        return _scaled(a, full[0], b.dtype), b
    if full[1] and a.is_floating_point() and spans[0].unit == "0 to 1" and spans[1].high > 1:
        _check_range(spans[1], full[1], spans[0], names[1])
        return a, _scaled(b, full[1], a.dtype)
    _check_units(a, b, names, spans)
    return a, b


def _check_range(pixels: Span, full: int, floats: Span, name: str) -> None:
    """Refuse integers that use a small part of their range, unless the floats beside them reach as far."""
    top = pixels.high / full
    as_dark = abs(top - floats.high) <= max(0.25 * floats.high, 1 / full)
    if leaves_range_unused(top) and not as_dark:
        raise InputError(f"{name}: {unused_message(top, full.bit_length(), 'all')}")


def check_units(a: Tensor, b: Tensor, names: tuple[str, str]) -> None:
    """Refuse two sets whose ranges show that they have not one unit.

    Raises:
        InputError: naming both ranges.
    """
    _check_units(a, b, names, (Span.of(a), Span.of(b)))


def _check_units(a: Tensor, b: Tensor, names: tuple[str, str], spans: tuple[Span, Span]) -> None:
    sign = _sign_of_units(a, b, spans)
    if sign:
        raise InputError(
            f"{', '.join(names)}: expected values of one unit, got {names[0]} of {spans[0]} and "
            f"{names[1]} of {spans[1]}, {sign}; bring both to one "
            "range (0 to 1, say), or give same_units=True if they are of one unit all the same"
        )


def _sign_of_units(a: Tensor, b: Tensor, spans: tuple[Span, Span]) -> str:
    """What shows that two sets are of different units; "" where nothing does."""
    units = spans[0].unit, spans[1].unit
    if units[0] and units[1] and units[0] != units[1] and _evident(a, b, spans):
        return f"as of pixels from {units[0]} and from {units[1]}"
    for one, other, of_one, of_other in ((a, b, *spans), (b, a, *spans[::-1])):
        if _is_offset(one, other, of_one, of_other):
            return "as of 8-bit integers counted from -128 and of another type"
        if _is_enlarged(one, other, of_one, of_other):
            return "as of pixels from 0 to 1 and of larger ones"
        if _is_centred(one, other, of_one, of_other):
            return "as of centred or standardised values and of plain ones"
    return ""


def _is_offset(one: Tensor, other: Tensor, of_one: Span, of_other: Span) -> bool:
    """Whether bytes with a sign stand beside another type that has no numbers below 0, or smaller ones."""
    if one.dtype != torch.int8 or other.dtype == torch.int8 or of_one.low >= 0:
        return False
    wider = of_one.high - of_one.low > _FACTOR * (of_other.high - of_other.low)
    return of_other.low < of_other.high and (of_other.low >= 0 or wider)


def _is_enlarged(one: Tensor, other: Tensor, of_one: Span, of_other: Span) -> bool:
    """Whether numbers from 0 to 2..16, as of 2 to 4 bits, stand beside others of 0 to 1; for more see `unit`.

    Integers alone may be counts. The spread has to be more than twice the other, so that single numbers
    beyond the range do not tell.
    """
    if not (one.is_floating_point() or other.is_floating_point()):
        return False
    if of_one.low < 0 or not 2 < of_one.high < _GREY or of_other.low < 0 or of_other.unit != "0 to 1":
        return False
    return of_one.low < of_one.high and _moments(one)[1] > 2 * _moments(other)[1]


def _is_centred(one: Tensor, other: Tensor, of_one: Span, of_other: Span) -> bool:
    """Whether one set lies about 0, or is spread out, and has else the form of another that is above 0.

    The noise of an untrained generator lies about 0, too. So (x - m) / s is known by its form: its ends lie
    as many standard deviations from the mean as those of x, where those of noise lie farther out. A faded
    set (less contrast, and not about 0) is a poor sample of the same unit.
    """
    if not of_one.is_signed or of_other.is_signed or of_other.low == of_other.high:
        return False
    count = min(one.numel(), other.numel())
    mean, spread = _moments(one)
    other_mean, other_spread = _moments(other)
    is_faded = other_spread / _FACTOR < spread < other_spread / 2 and abs(mean) > spread / 2
    is_moved = (abs(mean) < abs(mean - other_mean) and not is_faded) or spread > 3 * other_spread
    factor = _SAME_FORM if count >= _ENOUGH else _SAME_ITEMS
    ends = ((of_one.low - mean, of_other.low - other_mean), (of_one.high - mean, of_other.high - other_mean))
    # end / spread and other_end / other_spread within the factor of each other, without a division
    scaled = [(abs(end) * other_spread, abs(other_end) * spread) for end, other_end in ends]
    return count >= _FEWEST and is_moved and all(x < factor * y and y < factor * x for x, y in scaled)


def _scaled(x: Tensor, full: int, dtype: torch.dtype) -> Tensor:
    """Integer pixels as 0 to 1, divided in 32 bits at least, as files are read."""
    return (x.to(torch.promote_types(dtype, torch.float32)) / full).to(dtype)


def _evident(a: Tensor, b: Tensor, spans: tuple[Span, Span]) -> bool:
    """Whether two sets that seem to be of different units are no honest pair of one unit.

    Between 0..1 or -1..1 and 0..255 or 0..65535 lies a factor of 16 at least: no sample of the one is one of
    the other. 0..255 beside 0..65535 may be bright and dark, or counts with a long tail: their spreads have
    to differ as the units do, by 257, give or take a factor of 16.

    -1..1 beside 0..1 has to be told from a poor generator of 0..1 that falls below 0. Pixels p and 2 p - 1
    differ in mean and spread, so both have to be nearer to those of the converted set than to the set's own:
    the mean below the middle of m and 2 m - 1, the spread above sqrt(2) times the other.
    """
    units = {span.unit for span in spans}
    if units == {"0 to 255", "0 to 65535"}:
        ratio = _moments(a)[1] / max(_moments(b)[1], 1e-300)
        return max(ratio, 1 / max(ratio, 1e-300)) > _FACTOR
    if units != {"0 to 1", "-1 to 1"}:
        return True
    if spans[0].unit == "0 to 1":
        plain = a
        signed = b
        lowest = spans[1].low
    else:
        plain = b
        signed = a
        lowest = spans[0].low
    mean, spread = _moments(plain)
    found, broad = _moments(signed)
    return lowest < -0.5 and found < mean + (mean - 1) / 2 and broad > 2**0.5 * spread


def _moments(x: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of all numbers of a set."""
    count = x.numel()
    mean = sum(float(wide(part).sum()) for part in x.split(_ROWS)) / count
    square = sum(float((wide(part) - mean).square().sum()) for part in x.split(_ROWS)) / count
    return mean, square**0.5
