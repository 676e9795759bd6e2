"""The view of features: what a network, or any function, makes of an item; or vectors that were given.

Each item goes through the network once, as it was read. An audit asks about items in the form in which all
views compare them; their vectors are then looked up.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from memhorizon.auditing.feature_vectors import FeatureSource, feature_vectors
from memhorizon.auditing.views.base import Report
from memhorizon.auditing.views.vectors import VectorView
from memhorizon.errors import InputError
from memhorizon.experiments.cache import Cache
from memhorizon.files.digests import digest_of, row_digests
from memhorizon.files.images import ImageSet
from memhorizon.files.mapped import rows_of

NAME = "features"
_WORDS = "features of an item"


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
        names = sorted(items, key=lambda name: name != "train")  # the training items first
        digests = np.concatenate([row_digests(items[name].flatten(1)) for name in names])
        self._vectors = [vectors[name] for name in names]
        self._starts = np.cumsum([0, *(len(items[name]) for name in names)])
        self._digests, self._places = np.unique(digests, return_index=True)  # of equal ones the first place

    def __call__(self, items: Shaped[Tensor, " q *item"]) -> Float[Tensor, "q d"]:
        """The vectors of some of the items.

        Raises:
            InputError: if one is none of them.
        """
        digests = row_digests(items.flatten(1))
        rank = np.searchsorted(self._digests, digests).clip(max=len(self._digests) - 1)
        others = int((self._digests[rank] != digests).sum())
        if others:
            raise InputError(f"features: expected items of the audit, got {others} others")
        return self._at(self._places[rank])

    def _at(self, places: Int[np.ndarray, " q"]) -> Float[Tensor, "q d"]:
        """The vectors at places, counted through all sets."""
        found = torch.empty(len(places), self._vectors[0].shape[1])
        for vectors, start, stop in zip(self._vectors, self._starts, self._starts[1:], strict=False):
            inside = np.flatnonzero((start <= places) & (places < stop))
            if len(inside):
                found[torch.from_numpy(inside)] = rows_of(vectors, torch.from_numpy(places[inside] - start))
        return found
