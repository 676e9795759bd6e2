"""Sets of items as they are compared: in one unit, of a size that fits the memory, duplicates grouped."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from memhorizon.auditing.config import AuditConfig
from memhorizon.auditing.nearby import Nearby
from memhorizon.auditing.reference import RARE, Design, Duplicates, alike_distance, divide, shared_items
from memhorizon.auditing.views.base import Progress
from memhorizon.auditing.views.reduced import reduced, side_for
from memhorizon.errors import InputError
from memhorizon.experiments.cache import Cache, cached
from memhorizon.files.digests import digest_of
from memhorizon.files.images import ImageSet
from memhorizon.files.mapped import ends
from memhorizon.measure.duplicates import linked_groups, near_distance
from memhorizon.measure.items import as_pair
from memhorizon.records.plain import Plain

FEWEST_FOR_NULL = 100  # held-out items that a null is counted among
MOST_FOR_NULL = 2000


@dataclass(frozen=True, eq=False)
class Prepared:
    """What an audit compares.

    Attributes:
        samples: as they are compared.
        train: training items, likewise.
        holdout: held-out items, likewise; None without.
        note: what they were reduced to; empty where they are as they were read.
        limits: smallest and largest value of the training items; two different ones where these are equal.
        design: how the training set is divided.
        key: what all of this follows from, for the cache.
        shared: held-out items that are duplicates of training items.
        shared_with: the training items that these are.
        fresh: the other held-out items, in an order that was drawn; none without a held-out set.
    """

    samples: Float[Tensor, " m *item"]
    train: Float[Tensor, " n *item"]
    holdout: Float[Tensor, " h *item"] | None
    note: str
    limits: tuple[float, float]
    design: Design
    key: Mapping[str, Plain]
    shared: Int[Tensor, " s"]
    shared_with: Nearby
    fresh: Int[Tensor, " f"]

    @property
    def sets(self) -> dict[str, Float[Tensor, " _ *item"]]:
        """The sets by name."""
        found = {"samples": self.samples, "train": self.train}
        return found if self.holdout is None else {**found, "holdout": self.holdout}


def prepare(
    given: Mapping[str, ImageSet],
    config: AuditConfig,
    *,
    same_units: bool,
    cache: Cache | None,
    progress: Progress,
) -> Prepared:
    """Bring the sets into one form and divide the training set.

    Args:
        given: the sets by name: "samples", "train" and perhaps "holdout".
        config: what is asked.
        same_units: vouch that the sets have one unit.
        cache: keeps the groups of duplicates.
        progress: told what is being done.

    Raises:
        InputError: if there are too few training items, or the sets do not fit each other.
    """
    samples, train, holdout, note = _in_one_size(*_in_one_unit(given, same_units))
    n_reference = config.reference_items(len(train))
    key: dict[str, Plain] = {
        "train": digest_of(train),
        "n_reference": n_reference,
        "seed": config.seed,
    }
    duplicates = _duplicates(train, key, cache, progress)
    limits = _limits(train)
    shared, shared_with = _shared(holdout, train, duplicates.distance)
    count = 0 if holdout is None else len(holdout)
    equal_up_to = alike_distance(limits, train[0].numel()) if duplicates.near_are_different else None
    fresh = _fresh(count, not_fresh(shared, shared_with, count, equal_up_to), config.seed)
    n_holdout = len(fresh) - n_for_null(len(fresh))
    design = divide(duplicates, n_reference, config.seed, n_holdout=n_holdout)
    key["reference"] = len(design.reference)
    return Prepared(samples, train, holdout, note, limits, design, key, shared, shared_with, fresh)


def _limits(train: Float[Tensor, " n *item"]) -> tuple[float, float]:
    """The smallest and the largest value; two different ones where these are equal."""
    low, high = ends(train)
    return low, high if high > low else low + 1


def n_for_null(n_fresh: int) -> int:
    """How many of the held-out items are kept to count the null among: a quarter, within bounds."""
    return min(n_fresh, MOST_FOR_NULL, max(FEWEST_FOR_NULL, n_fresh // 4))


def _in_one_unit(given: Mapping[str, ImageSet], same_units: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """Samples, training and held-out items in the unit of the training items, as 32-bit floats."""
    names = ("samples", "train")
    samples, train = as_pair(given["samples"], given["train"], names, same_units=same_units)
    holdout = None
    if "holdout" in given:
        names = ("holdout", "train")
        holdout = as_pair(given["holdout"], given["train"], names, same_units=same_units)[0].float()
    return samples.float(), train.float(), holdout


def _in_one_size(
    samples: Tensor, train: Tensor, holdout: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, str]:
    """The sets as large as they are compared, and what they were reduced to."""
    side = side_for(tuple(train.shape[1:]), max(len(train), len(samples)))
    if side is None or max(train.shape[2:]) <= side:
        return samples, train, holdout, ""
    samples = reduced(samples, side)
    train = reduced(train, side)
    holdout = None if holdout is None else reduced(holdout, side)
    return samples, train, holdout, f"pictures made smaller, to {train.shape[3]} x {train.shape[2]} pixels"


def _duplicates(
    train: Float[Tensor, " n *item"], key: Mapping[str, Plain], cache: Cache | None, progress: Progress
) -> Duplicates:
    """Duplicates among the training items."""
    progress("duplicates", 0, 1)

    def compute() -> dict[str, Tensor]:
        distance = near_distance(train)
        return {
            "distance": torch.tensor(distance, dtype=torch.float64),
            "near": linked_groups(train, distance),
        }

    found = cached(cache, {"step": "near-duplicates", "train": key["train"]}, compute)
    progress("duplicates", 1, 1)
    return Duplicates.of(train, found["near"], float(found["distance"]))


def _shared(
    holdout: Float[Tensor, " h *item"] | None, train: Float[Tensor, " n *item"], distance: float
) -> tuple[Int[Tensor, " s"], Nearby]:
    if holdout is None:
        none = torch.zeros(0, dtype=torch.int64)
        return none, Nearby(torch.zeros(0, 1, dtype=torch.float64), none[:, None])
    return shared_items(holdout, train, distance)


def not_fresh(
    shared: Int[Tensor, " s"], shared_with: Nearby, count: int, equal_up_to: float | None
) -> Int[Tensor, " e"]:
    """Held-out items that are no fresh items: those that are training items.

    Near-duplicates that are rare, and count as different items in the training set, are what a fresh item
    may be as well: they stay among the fresh ones.

    Args:
        shared: held-out items that are duplicates of training items.
        shared_with: the training items that these are.
        count: number of held-out items.
        equal_up_to: distance up to which items are equal; None where near-duplicates count as one.
    """
    if equal_up_to is None:
        return shared
    is_equal = shared_with.distance[:, 0] <= equal_up_to
    is_rare = int((~is_equal).sum()) <= RARE * count
    return shared[is_equal] if is_rare else shared


def _fresh(count: int, shared: Int[Tensor, " s"], seed: int) -> Int[Tensor, " f"]:
    """Held-out items that are in no training set, in an order that is drawn.

    Raises:
        InputError: if all of them are in the training set.
    """
    is_fresh = torch.ones(count, dtype=torch.bool)
    is_fresh[shared] = False
    fresh = is_fresh.nonzero().flatten()
    if count and not len(fresh):
        raise InputError(
            f"holdout: expected items that were not trained on, all {count} are in the training set"
        )
    return fresh[torch.randperm(len(fresh), generator=torch.Generator().manual_seed(seed))]
