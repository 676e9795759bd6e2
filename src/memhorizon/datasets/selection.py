"""Which items of a source are trained on and which held out, without duplicates between the two.

The held-out items are taken from the end of the order backwards. Training subset k is items k * n_train to
(k + 1) * n_train of what is left, without duplicates of held-out items. So subsets of one n_train are
disjoint, subset 0 of a smaller n_train lies inside that of a larger one, the held-out set is the same for
every n_train and subset, and no group of duplicates is split between the two sets.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from memhorizon.datasets.config import DataConfig
from memhorizon.datasets.sources import Gathering, Source, Taken
from memhorizon.errors import InputError
from memhorizon.measure.duplicates import near_distance
from memhorizon.measure.neighbors import nearest

CHUNK = 1024  # items taken at a time


@dataclass(frozen=True, eq=False)
class Selection:
    """The items of both sets.

    Attributes:
        train: training items.
        holdout: held-out items.
        near: Euclidean distance up to which two items count as duplicates.
        left_out: duplicates of held-out items that were passed over on the way to the training items.
    """

    train: Taken
    holdout: Taken
    near: float
    left_out: int


def select(config: DataConfig, source: Source) -> Selection:
    """Take both sets from a source.

    Raises:
        InputError: if it holds fewer usable items than asked for.
    """
    if config.needed > len(source.order):
        raise _too_few(config, source, len(source.order), 0)
    holdout = source.take(iter(source.order[::-1]), config.n_holdout)
    if len(holdout) < config.n_holdout:
        raise _too_few(config, source, len(holdout), 0)
    rest = source.order
    if len(holdout):
        rest = rest[: rest.index(holdout.positions[-1])]
    return _with_training(config, source, iter(rest), holdout)


def _with_training(config: DataConfig, source: Source, walk: Iterator[int], holdout: Taken) -> Selection:
    """Take the training subset, past those before it.

    The distance of duplicates is read from the held-out items, the same for every n_train and subset; where
    they are too few from these and the first others. Within the training set a smaller one may hold, if that
    is denser.
    """
    start = config.subset * config.n_train
    end = start + config.n_train
    near = near_distance(holdout.items)
    passed = 0
    left_out = 0
    gathering = Gathering(config.n_train)
    while passed < end:
        taken = source.take(walk, min(end - passed, CHUNK))
        if not len(taken):
            raise _too_few(config, source, len(holdout) + passed, left_out)
        near = near or near_distance(Taken.joined([holdout, taken]).items)
        fresh = taken.keep(_are_far(taken.items, holdout.items, near))
        left_out += len(taken) - len(fresh)
        place = torch.arange(passed, passed + len(fresh))
        gathering.add(fresh.keep(place >= start))
        passed += len(fresh)
    train = gathering.taken()
    return Selection(train, holdout, min(near, near_distance(train.items) or near), left_out)


def _are_far(
    items: Float[Tensor, " n *item"], holdout: Float[Tensor, " m ..."], near: float
) -> Bool[Tensor, " n"]:
    """Tell which items are no duplicates of a held-out one."""
    if not len(holdout):
        return torch.ones(len(items), dtype=torch.bool)
    distance, _ = nearest(items, holdout, k=1, same_units=True)
    return distance[:, 0] > near


def _too_few(config: DataConfig, source: Source, count: int, left_out: int) -> InputError:
    return InputError(
        f"n_train, n_holdout, subset: expected (subset + 1) * n_train + n_holdout <= {count:,}, "
        f"all that {config.name} holds{_losses(source, left_out)}, got ({config.subset} + 1) * "
        f"{config.n_train} + {config.n_holdout} = {config.needed:,}{_repetitions(source)}"
    )


def _losses(source: Source, left_out: int) -> str:
    skipped = len(source.passed_over().skipped)
    reasons = []
    if skipped:
        reasons.append(f"{skipped:,} unusable pictures")
    if left_out:
        reasons.append(f"{left_out:,} duplicates of held-out items")
    return f" after {' and '.join(reasons)}" if reasons else ""


def _repetitions(source: Source) -> str:
    distinct = source.distinct()
    total = len(source.order)
    return f"; only {distinct:,} of {total:,} are distinct" if distinct < total else ""
