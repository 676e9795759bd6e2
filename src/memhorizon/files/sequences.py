"""Sequences of pictures in any form: paths, Pillow images, arrays, tensors; and that they have one range."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.pictures import Unusable, bits_of, decode
from memhorizon.files.ranges import Ranges
from memhorizon.files.tensors import Channels, integer_bits, to_floats

Picture: TypeAlias = Tensor | np.ndarray | Image.Image | str | os.PathLike[str]
InMemory: TypeAlias = Tensor | np.ndarray | Image.Image

_BYTELIKE = 16.0  # pixels of 0 to 255 reach this, floats within -1 to 1 do not


class Members:
    """The pictures of a sequence, read one by one.

    Attributes:
        names: path, or position in the sequence.
    """

    def __init__(self, items: Sequence[object], channels: Channels) -> None:
        self.names = [str(x) if isinstance(x, str | os.PathLike) else str(i) for i, x in enumerate(items)]
        self._items = items
        self._channels: Channels = channels
        self._ranges = Ranges("images", len(items), self._decoded, self._bits)
        # of pictures in memory before they are decoded, since Pillow forgets then what it read
        self._depths = {i: _depth(item) for i, item in enumerate(items) if isinstance(item, InMemory)}
        self._beyond: int | None = None  # the first picture of floats beyond 0 to 1,
        self._signed: int | None = None  # of floats within -1 to 1,
        self._bytelike: int | None = None  # and of floats that reach as far as bytes do

    def read(self, position: int) -> Tensor:
        """Decode one of them, in the range of the whole sequence.

        Raises:
            Unusable: if it cannot be.
            InputError: if it is no picture, or the range of its integers is unknown.
        """
        picture = self._decoded(position)
        if position in self._depths and self._depths[position] is None:
            self._note_range(position, picture)
        return self._ranges.bring(position, picture)

    def check_one_range(self) -> None:
        """Refuse what was read, if its floats are in several ranges.

        Raises:
            InputError: naming a picture of each range.
        """
        self._check_floats_beside_integers()
        self._check_floats()

    def _check_floats_beside_integers(self) -> None:
        integers = [i for i in range(len(self._items)) if self._depths.get(i, 0) is not None]
        if self._beyond is not None and integers:
            raise InputError(
                f"images: expected pictures in one range of values, number {integers[0]} is brought to "
                f"0 to 1, number {self._beyond} has floats beyond that"
            )

    def _check_floats(self) -> None:
        if self._signed is not None and self._bytelike is not None:
            raise InputError(
                f"images: expected pictures in one range of values, number {self._signed} has floats within "
                f"-1 to 1, number {self._bytelike} reaches 16 or more; bring them to one range, or give them "
                "as one array if they are in one"
            )

    def _note_range(self, position: int, floats: Tensor) -> None:
        """Keep the first picture of each range."""
        low = float(floats.min())
        high = float(floats.max())
        if not math.isfinite(high - low):  # told when the values are looked through
            return
        if not 0 <= low <= high <= 1 and self._beyond is None:
            self._beyond = position
        if floats.ndim != 3 or low == high:
            return
        if max(-low, high) <= 1 and self._signed is None:
            self._signed = position
        if high >= _BYTELIKE and self._bytelike is None:
            self._bytelike = position

    def _decoded(self, position: int) -> Tensor:
        item = self._items[position]
        if isinstance(item, Image.Image):
            return decode(item)
        if isinstance(item, str | os.PathLike):
            return decode(Path(item))
        if isinstance(item, Tensor | np.ndarray):
            return to_floats(item[None], f"images[{position}]", channels=self._channels)[0]
        kind = type(item).__name__
        raise InputError(f"images[{position}]: expected a path, Pillow image, array or tensor, got {kind}")

    def _bits(self, position: int) -> int | None:
        if position in self._depths:
            return self._depths[position]
        item = self._items[position]
        return bits_of(Path(item)) if isinstance(item, str | os.PathLike) else 0


def _depth(item: InMemory) -> int | None:
    if not isinstance(item, Image.Image):
        return integer_bits(item)
    try:
        return bits_of(item)
    except Unusable:
        return 0
