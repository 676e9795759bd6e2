"""Pictures read one by one into one tensor; those that cannot be used are passed over."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.bounds import check_unpacked, printable
from memhorizon.files.pictures import Unusable, constant
from memhorizon.files.resizing import prepare


def usable(
    read: Callable[[int], Tensor],
    names: Sequence[str],
    positions: Iterable[int],
    *,
    skipped: dict[str, str],
    size: int | None = None,
    grey: bool = False,
) -> Iterator[tuple[int, Tensor]]:
    """Yield each position with its prepared picture; the others go to `skipped`, name to reason."""
    for position in positions:
        try:
            picture = prepare(read(position)[None], size=size, grey=grey)
        except Unusable as error:
            skipped[printable(names[position])] = str(error)
            continue
        if constant(picture).any():
            color = picture[0, :, 0, 0].tolist()
            skipped[printable(names[position])] = f"constant picture, every pixel is {color}"
            continue
        yield position, picture[0]


def stack(
    pictures: Iterable[tuple[int, Tensor]], names: Sequence[str], *, count: int
) -> tuple[Float[Tensor, " n *item"], list[int]]:
    """Fill one tensor, one picture at a time; returns fewer than `count` where they run out.

    Grey pictures among coloured ones get three equal channels.

    Raises:
        InputError: if sizes are mixed.
    """
    out = torch.empty(0)
    positions: list[int] = []
    for position, picture in pictures:
        if not positions:
            check_unpacked(4 * count * picture.numel(), "size")
            out = torch.empty(count, *picture.shape)
        if _are_grey_and_coloured(out, picture):
            out = out if out.shape[1] == 3 else out.repeat(1, 3, 1, 1)
            picture = picture.expand(3, -1, -1)
        if out.shape[1:] != picture.shape:
            first = f"{printable(names[positions[0]])} is {shape_of(out[0])}"
            raise _of_two_sizes(first, f"{printable(names[position])} is {shape_of(picture)}")
        out[len(positions)] = picture
        positions.append(position)
    return out[: len(positions)], positions


def _of_two_sizes(first: str, other: str) -> InputError:
    wanted = "pictures of one size, or a size to bring them to (size=N or --size N)"
    return InputError(f"size: expected {wanted}; {first}, {other}")


def _are_grey_and_coloured(out: Tensor, picture: Tensor) -> bool:
    return out.shape[2:] == picture.shape[1:] and {out.shape[1], len(picture)} == {1, 3}


def shape_of(item: Tensor) -> str:
    """The shape of an item in words."""
    return " x ".join(str(side) for side in item.shape)
