"""The view of features: what a network, or any function, makes of an item; or vectors that were given.

Each item goes through the network once, as it was read. An audit asks about items in the form in which all
views compare them; their vectors are then looked up.
"""

import hashlib
from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from memhorizon.auditing.feature_vectors import FeatureSource, feature_vectors
from memhorizon.auditing.views.base import Report
from memhorizon.auditing.views.vectors import VectorView
from memhorizon.errors import InputError
from memhorizon.experiments.cache import Cache, digest_of
from memhorizon.files.images import ImageSet

NAME = "features"
_WORDS = "features of an item"
_DIGEST = 16  # bytes: of 10^9 different items no two have the same one


def features(
    source: FeatureSource,
    given: Mapping[str, ImageSet],
    compared: Mapping[str, Tensor],
    group: Int[Tensor, " n"],
    *,
    limits: tuple[float, float],
    cache: Cache | None,
    report: Report,
) -> VectorView:
    """The view of features.

    Args:
        source: of the vectors, see `feature_vectors`.
        given: the items of each set by its name as they were read, in their order; one is "train".
        compared: the same items in the form in which the view is asked about them. [n, *item] each
        group: number of the group of duplicates of each training item.
        limits: smallest and largest value that a pixel can have.
        cache: where the vectors of networks of files are kept.
        report: told how many items went through the network.

    Raises:
        InputError: as `feature_vectors`.
        MissingExtraError: if what `source` needs is not installed.
    """
    found = feature_vectors(source, given, limits=limits, cache=cache, report=report)
    look_up = LookUp(compared, found.vectors)
    train = found.vectors["train"]
    digest = " ".join(digest_of(rows) for rows in found.vectors.values())
    return VectorView(NAME, _WORDS, found.note, look_up, train, group, digest)


class LookUp:
    """The vectors of items that are known, by their bytes; of equal items those of the first."""

    def __init__(self, items: Mapping[str, Tensor], vectors: Mapping[str, Tensor]) -> None:
        self._vectors = vectors
        self._place: dict[bytes, tuple[str, int]] = {}
        for name in sorted(items, key=lambda name: name != "train"):  # the training items first
            for row, digest in enumerate(_digests(items[name])):
                self._place.setdefault(digest, (name, row))

    def __call__(self, items: Shaped[Tensor, " q *item"]) -> Float[Tensor, "q d"]:
        """The vectors of some of the items.

        Raises:
            InputError: if one is none of them.
        """
        places = [self._place.get(digest) for digest in _digests(items)]
        rows = [self._vectors[place[0]][place[1]] for place in places if place is not None]
        if len(rows) < len(places):
            raise InputError(f"features: expected items of the audit, got {len(places) - len(rows)} others")
        return torch.stack(rows) if rows else next(iter(self._vectors.values()))[:0]


def _digests(items: Shaped[Tensor, " q *item"]) -> Iterator[bytes]:
    """A digest of the bytes of each item."""
    for row in items.flatten(1).contiguous().view(torch.uint8).numpy():
        yield hashlib.blake2b(row.data, digest_size=_DIGEST).digest()
