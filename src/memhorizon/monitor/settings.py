"""How a monitor is set up, and the sets that it compares with."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from memhorizon.checks import LARGEST, check_kind, check_number, check_whole
from memhorizon.errors import InputError
from memhorizon.measure.items import Items, as_items, as_pair
from memhorizon.measure.neighbors import check_finite, nearest_of
from memhorizon.monitor.copies import compared
from memhorizon.monitor.looks import LookPlan
from memhorizon.samplers import SamplerConfig

if TYPE_CHECKING:
    Sampler: TypeAlias = SamplerConfig
    Plan: TypeAlias = LookPlan
else:  # checked by `MonitorSettings`
    Sampler = Plan = object

FEWEST_HOLDOUT = 8  # held-out items that a loss is measured on
MOST_CERTIFICATES = 2**62  # two limits of each are counted as an integer of a record
DEFAULT_SAMPLER = SamplerConfig("ddim", 25)


@dataclass(frozen=True)
class MonitorSettings:
    """What a monitor is asked for.

    Attributes:
        target: largest share of copies that is fine.
        confidence: of the stop and of the certificate.
        budget: largest share of the training time that it may take; None for no limit.
        sampler: how samples are drawn.
        plan: how densely the training is looked at.
        most_certificates: looks that may be certified; each has two limits, so K is twice as many.
        batch_size: items per call of the network.
        seed: of everything that is drawn.
    """

    target: float = 0.01
    confidence: float = 0.95
    budget: float | None = 0.05
    sampler: Sampler = DEFAULT_SAMPLER
    plan: Plan = field(default_factory=LookPlan)
    most_certificates: int = 5
    batch_size: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        check_number("target", self.target, above=0, below=1)
        check_number("confidence", self.confidence, above=0, below=1)
        if self.budget is not None:
            check_number("budget", self.budget, above=0)
        check_kind("sampler", self.sampler, SamplerConfig)
        check_kind("plan", self.plan, LookPlan)
        check_whole("most_certificates", self.most_certificates, least=1, most=MOST_CERTIFICATES)
        check_whole("batch_size", self.batch_size, least=1)
        check_whole("seed", self.seed, least=0, most=LARGEST - 1)

    @property
    def alpha(self) -> float:
        """Probability of a false stop, and of a false certificate."""
        return 1 - self.confidence

    @property
    def candidates(self) -> int:
        """Limits that may be computed, K: two of each look that may be certified."""
        return 2 * self.most_certificates


@dataclass(frozen=True, eq=False)
class MonitorSets:
    """The items that a training is compared with.

    Attributes:
        train: items that are trained on. [n, *item]
        holdout: items that are not; None where all are trained on. [h, *item]
        shared: held-out items that were left out because they are in the training set.
    """

    train: Tensor
    holdout: Tensor | None
    shared: int = 0

    @classmethod
    def of(cls, train: Items, holdout: Items | None) -> "MonitorSets":
        """Read the sets, and leave out held-out items that are trained on.

        Raises:
            InputError: if they cannot be read or are no floats of one shape, or fewer than 8 held-out items
                are left.
        """
        if holdout is None:
            items = _floats(as_items(train, "train"), "train")
            return cls(items, None)
        a, b = as_pair(train, holdout, ("train", "holdout"), same_units=False)
        items = _floats(a, "train")
        others = _floats(b, "holdout")
        kept = _without_trained_on(others, items)
        shared = len(others) - len(kept)
        if len(kept) < FEWEST_HOLDOUT:
            raise _too_few(len(kept), shared)
        return cls(items, kept, shared)

    @property
    def item_shape(self) -> tuple[int, ...]:
        """Of an item."""
        return tuple(self.train.shape[1:])

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest value of the training items."""
        low, high = torch.aminmax(self.train)
        return float(low), float(high)


def _without_trained_on(holdout: Tensor, train: Tensor) -> Tensor:
    """The held-out items that are no training items."""
    distance, _ = nearest_of(compared(holdout), compared(train), 1)
    is_new = (distance[:, 0] > 0).to(holdout.device)
    return holdout[is_new]


def _too_few(kept: int, shared: int) -> InputError:
    note = f" ({shared} more are in the training set)" if shared else ""
    wanted = f"at least {FEWEST_HOLDOUT} items that are not trained on"
    return InputError(f"holdout: expected {wanted}, got {kept}{note}; None where there are none")


def _floats(items: Tensor, name: str) -> Tensor:
    if not items.is_floating_point():
        wanted = "floats on the scale that the network is trained on"
        raise InputError(f"{name}: expected {wanted}, got {items.dtype}")
    check_finite(items, name)
    return items.detach().float()


def split_off(items: Items, *, share: float = 0.15, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Divide images into those to train on and those to hold out, at random.

    What it costs: the time until a network copies grows in proportion to the number of training images, so
    holding out 15 % of them brings copies 15 % earlier, and the network learns from 15 % less. What it buys:
    the loss gap, the quality by which the best checkpoint is chosen, and the stop before copies appear.

    Args:
        items: all that there are. [n, *item]
        share: of them that is held out; at least 8 images are.
        seed: of the choice.

    Returns:
        Training and held-out items.

    Raises:
        InputError: if the images cannot be read, or too few would be left on either side.
    """
    every = as_items(items, "items")
    check_number("share", share, above=0, below=1)
    n_holdout = max(FEWEST_HOLDOUT, round(share * len(every)))
    if len(every) < 2 * n_holdout:
        raise InputError(
            f"items: expected at least {2 * n_holdout} to hold {n_holdout} out, got {len(every)}"
        )
    order = torch.randperm(len(every), generator=torch.Generator().manual_seed(seed))
    return _in_their_order(every, order[n_holdout:]), _in_their_order(every, order[:n_holdout])


def _in_their_order(items: Tensor, chosen: Tensor) -> Tensor:
    return items[chosen.sort().values.to(items.device)]
