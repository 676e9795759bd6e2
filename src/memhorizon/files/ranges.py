"""The range that integers of a set of pictures use: those that leave most of it unused would come out black.

A picture that is read by itself shows little of its range. So that of pictures read one by one is judged
over their whole set.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.pictures import Unusable, constant


def leaves_range_unused(top: float) -> bool:
    """Tell whether a whole set of integers with largest value `top`, as a share of their range, is suspect.

    It is where all lie in the lowest fifteenth (12 bits in 16 are 0.062, 4 in 8 are 0.059, masks of 0 and 1
    in 8 are 0.004), or where the largest is just that of 13, 14 or 15 bits in 16. Nothing but 0 is not.
    """
    return 0 < top * 15 <= 1 or any(abs(top * 65535 + 1 - 2**k) < 0.5 for k in (13, 14, 15))


def unused_message(top: float, bits: int, which: str) -> str:
    """What was expected of integers that leave their range unused, what came, and what to do."""
    high = 2**bits - 1
    largest = round(top * high)
    used = largest.bit_length()
    return (
        f"expected integers that use their range of 0 to {high:,}, the largest of {which} is {largest:,}; "
        f"if they are of {used} bits, divide them by {2**used - 1:,} and give floats of 0 to 1"
    )


@dataclass(frozen=True)
class Ranges:
    """Gives the integers of single pictures the range that their set uses, or refuses the set.

    A dark picture shows nothing, so when one is met the brightest of the same depth is looked for. Where all
    leave their range unused, those of 0 and 1 alone are masks, and grey 16-bit pictures are of 8, 10 or 12
    bits if the brightest reaches into the upper half of that. The answer does not depend on which pictures
    of the set are used.

    Attributes:
        where: the set, for the message.
        count: number of pictures.
        read: decodes the picture at a position.
        bits: tells the depth of the picture at a position; 0 where its range is known, None for floats.
    """

    where: str
    count: int
    read: Callable[[int], Tensor]
    bits: Callable[[int], int | None]
    _tops: dict[int, float] = field(default_factory=dict, repr=False)

    def bring(self, position: int, picture: Float[Tensor, "*item"]) -> Float[Tensor, "*item"]:
        """Return the picture with its values as shares of the range that is used.

        Raises:
            InputError: if that range is not evident.
        """
        if not leaves_range_unused(_top(picture)):
            return picture
        bits = self.bits(position)
        if not bits:
            return picture
        brightest = self._brightest(bits)
        if not leaves_range_unused(brightest):
            return picture
        return self._rescaled(picture, bits, brightest)

    def _rescaled(
        self, picture: Float[Tensor, "*item"], bits: int, brightest: float
    ) -> Float[Tensor, "*item"]:
        full = 2**bits - 1
        values = (picture * full).round_()
        is_whole = bits == 8 or len(picture) == 1  # of colour with 16 bits Pillow keeps the upper 8 alone
        high = _evident_range(round(brightest * full), bits) if is_whole else 0
        if float(values.max()) > high:
            raise InputError(f"{self.where}: {unused_message(brightest, bits, f'its {bits}-bit pictures')}")
        return values.div_(high)

    def _brightest(self, bits: int) -> float:
        """Largest value among the pictures of this depth, or one that is bright enough."""
        if bits not in self._tops:
            self._tops[bits] = _largest_of(self._tops_of(bits), 0.5 if bits == 16 else 1 / 15)
        return self._tops[bits]

    def _tops_of(self, bits: int) -> Iterator[float]:
        for position in range(self.count):
            try:
                if self.bits(position) == bits:
                    yield _top(self.read(position))
            except Unusable:
                continue


def _evident_range(largest: int, bits: int) -> int:
    """1 for masks; of 8, 10 or 12 bits in 16 the largest value, if `largest` is in its upper half; else 0."""
    if largest == 1:
        return 1
    depths = (8, 10, 12) if bits == 16 else ()
    return next((2**depth - 1 for depth in depths if 2 ** (depth - 1) <= largest < 2**depth), 0)


def _largest_of(tops: Iterable[float], enough: float) -> float:
    """The largest, or of those up to the first that is enough."""
    largest = 0.0
    for top in tops:
        largest = max(largest, top)
        if top > enough:
            break
    return largest


def _top(picture: Tensor) -> float:
    """Largest value; 0 for a picture of one colour, which shows no range and is passed over."""
    return 0.0 if constant(picture[None]).any() else float(picture.max())
