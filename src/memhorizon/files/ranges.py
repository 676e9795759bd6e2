"""The range of values of integers in pictures that are read one by one, judged over their whole set."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.formats import Unusable, constant, leaves_range_unused, unused_message


@dataclass(frozen=True)
class Ranges:
    """Gives the integers of single pictures the range that their set uses, or refuses the set.

    A dark picture says nothing, so when one is met the brightest of the same depth is looked for. Where all
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
        if not bits or not leaves_range_unused(brightest := self._brightest(bits)):
            return picture
        full = 2**bits - 1
        values = (picture * full).round_()
        is_whole = bits == 8 or len(picture) == 1  # of colour with 16 bits Pillow keeps the upper 8 alone
        high = _evident_range(round(brightest * full), bits) if is_whole else 0
        if float(values.max()) > high:
            raise InputError(f"{self.where}: {unused_message(brightest, bits, f'its {bits}-bit pictures')}")
        return values.div_(high)

    def _brightest(self, bits: int) -> float:
        if bits not in self._tops:
            enough = 0.5 if bits == 16 else 1 / 15
            self._tops[bits] = 0.0
            for top in self._tops_of(bits):
                self._tops[bits] = max(self._tops[bits], top)
                if top > enough:
                    break
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


def _top(picture: Tensor) -> float:
    """Largest value; 0 for a picture of one colour, which says nothing about the range and is passed over."""
    return 0.0 if constant(picture[None]).any() else float(picture.max())
