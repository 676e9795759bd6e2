"""The items of an audit: read, brought to one shape, and refused at once where no audit can end well."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from memhorizon.auditing.run import FEWEST_FOR_NULL
from memhorizon.errors import InputError
from memhorizon.files.bounds import printable
from memhorizon.files.images import ImageSet, ImageSource, load_usable
from memhorizon.files.stacking import shape_of
from memhorizon.measure.units import Values, check_units
from memhorizon.results import ROUNDING

ARRAY = "array"  # where items come from that were not read from a path


@dataclass(frozen=True, eq=False)
class AuditSets:
    """What goes into an audit.

    Attributes:
        samples: what is audited.
        train: what it may be copied from.
        holdout: items that the model has not seen, as fresh as the training items; None where there are none.
        sources: where each was read from, by its name; "array" for what was in memory.
        remarks: what one has to know about them before anything is computed, in sentences.
    """

    samples: ImageSet
    train: ImageSet
    holdout: ImageSet | None
    sources: Mapping[str, str]
    remarks: tuple[str, ...] = ()

    @property
    def given(self) -> dict[str, ImageSet]:
        """The sets by their names."""
        every = {"samples": self.samples, "train": self.train, "holdout": self.holdout}
        return {name: one for name, one in every.items() if one is not None}


def read_sets(
    samples: ImageSource,
    train: ImageSource,
    holdout: ImageSource | None = None,
    *,
    size: int | None = None,
    grey: bool = False,
    same_units: bool = False,
) -> AuditSets:
    """Read the items of an audit; single ones that cannot be used are passed over and listed.

    Grey pictures beside coloured ones get three equal channels.

    Args:
        samples: a tensor, an array, a path or an ImageSet, as `load_images` takes them.
        train: likewise.
        holdout: likewise.
        size: resize the short side of every picture to this, then crop the centre.
        grey: make every picture grey.
        same_units: take the values as they are, whatever their ranges show.

    Raises:
        InputError: naming the set, if it cannot be read or nothing of it can be used, if the sets have
            different shapes or units, if one folder lies within another, or if the held-out items are the
            training items.
    """
    sources: dict[str, ImageSource] = {"samples": samples, "train": train}
    if holdout is not None:
        sources["holdout"] = holdout
    _check_places(sources)
    read = {name: _read(source, name, size, grey) for name, source in sources.items()}
    read = _in_one_colour(read)
    _check_shapes(read)
    if not same_units:
        _check_units(read)
    places = {name: _place(source) for name, source in sources.items()}
    return AuditSets(read["samples"], read["train"], read.get("holdout"), places, _remarks(read))


def check_enough(n_train: int, n_holdout: int, n_reference: int, fdr: float) -> None:
    """Refuse an audit whose p-values are too coarse to report anything at its rate.

    With R reference items (n_reference of the held-out ones where there are enough, else at most half of the
    training items) no p-value is below 1 / (R + 1), and the Benjamini-Hochberg procedure reports nothing
    where that is above `fdr`.

    Raises:
        InputError: if there are too few items.
    """
    are_held_out = n_holdout >= n_reference + FEWEST_FOR_NULL
    R = n_reference if are_held_out else min(n_reference, n_train // 2)
    least = math.ceil(1 / fdr * (1 - ROUNDING)) - 1
    if least > R:
        raise InputError(
            f"train: expected at least {2 * least:,} items, and n_reference not below {least:,}, so that a "
            f"copy can be told from chance at fdr = {fdr:g}, got {n_train:,} and {n_reference:,}"
        )


def _read(source: ImageSource, name: str, size: int | None, grey: bool) -> ImageSet:
    try:
        found = load_usable(source, size=size, grey=grey)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    return replace(found, images=found.images.cpu(), names=tuple(map(printable, found.names)))


def _place(source: ImageSource) -> str:
    return printable(os.fspath(source)) if isinstance(source, str | os.PathLike) else ARRAY


# --- places ---


def _check_places(sources: Mapping[str, ImageSource]) -> None:
    """Refuse folders of which one lies within another: its pictures would be in both sets."""
    folders = {name: place for name, one in sources.items() if (place := _folder(one)) is not None}
    for outer, place in folders.items():
        for inner, other in folders.items():
            if _is_read_with(place, other):
                raise InputError(
                    f"{outer}: expected a folder without the {inner} in it, got {printable(place)}, whose "
                    f"subfolders are read as well and of which {printable(other)} is one"
                )


def _folder(source: ImageSource) -> str | None:
    """Where a folder really lies; None for what is none."""
    if isinstance(source, str | os.PathLike) and os.path.isdir(source):
        return os.path.realpath(os.fspath(source))
    return None


def _is_read_with(place: str, other: str) -> bool:
    """Whether a folder lies within another, and not in a hidden one, which is never read."""
    if place == other or os.path.commonpath([place, other]) != place:
        return False
    return not any(part.startswith(".") for part in os.path.relpath(other, place).split(os.sep))


def _remarks(read: Mapping[str, ImageSet]) -> tuple[str, ...]:
    """What is to be said of sets that are the same.

    Raises:
        InputError: if the held-out items are the training items.
    """
    samples = read["samples"].images
    train = read["train"].images
    holdout = read["holdout"].images if "holdout" in read else None
    _check_fresh(holdout, train)
    remarks = []
    if torch.equal(samples, train):
        remarks.append(
            "The samples are the training items themselves, so each is a copy; this says nothing of a model."
        )
    if holdout is not None and torch.equal(samples, holdout):
        remarks.append(
            "The samples are the held-out items, so this shows what the audit reports of items that nobody "
            "copied, and which of them are in the training set."
        )
    return tuple(remarks)


def _check_fresh(holdout: Tensor | None, train: Tensor) -> None:
    if holdout is not None and torch.equal(holdout, train):
        raise InputError("holdout: expected items that were not trained on, got the training items")


# --- one form ---


def _in_one_colour(read: Mapping[str, ImageSet]) -> dict[str, ImageSet]:
    """Give grey pictures three equal channels where another set has colours."""
    channels = {one.images.shape[1] for one in read.values() if one.images.ndim == 4}
    if channels != {1, 3}:
        return dict(read)
    return {name: replace(one, images=_coloured(one.images)) for name, one in read.items()}


def _coloured(images: Tensor) -> Tensor:
    return images.repeat(1, 3, 1, 1) if images.ndim == 4 and images.shape[1] == 1 else images


def _check_shapes(read: Mapping[str, ImageSet]) -> None:
    shapes = {name: tuple(one.images.shape[1:]) for name, one in read.items()}
    if len(set(shapes.values())) > 1:
        words = ", ".join(f"{name} of {_words(one.images)}" for name, one in read.items())
        raise InputError(f"{', '.join(shapes)}: expected items of one shape, got {words}{_size_hint(read)}")


def _size_hint(read: Mapping[str, ImageSet]) -> str:
    """What brings pictures to one shape."""
    are_pictures = all(one.images.ndim == 4 for one in read.values())
    return "; size=N (--size N) brings all to N x N pixels" if are_pictures else ""


def _words(images: Tensor) -> str:
    return shape_of(images[0])


def _check_units(read: Mapping[str, ImageSet]) -> None:
    train = Values.of(read["train"].images, "train")
    for name in ("samples", "holdout"):
        if name in read:
            check_units(Values.of(read[name].images, name), train)
