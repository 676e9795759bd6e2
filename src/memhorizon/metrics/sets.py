"""The sets that a metric compares, as rows of numbers in one unit: samples, training and held-out items."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import SupportsIndex

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from memhorizon.checks import check_flag, check_whole
from memhorizon.errors import InputError
from memhorizon.measure.features import Features, Function, check_features, features_of
from memhorizon.measure.items import Items, as_pair
from memhorizon.measure.neighbors import check_finite
from memhorizon.measure.quality import Distance, check_unit_of_features
from memhorizon.metrics.measurement import Measurement, Number
from memhorizon.results import Status

EQUALLY_MANY = "as many held-out items in place of samples"  # at least NEARLY
NEARLY = 0.9  # share of as many: what a number changes by from there on is below its interval
BATCH = 500  # items per call of a feature function


@dataclass(frozen=True, eq=False)
class Sets:
    """The sets as rows: entries of the items, or their features.

    Attributes:
        samples: generated items. [m, d]
        train: training items. [n, d]
        holdout: held-out items, or None. [h, d]
    """

    samples: Shaped[Tensor, "m d"]
    train: Shaped[Tensor, "n d"]
    holdout: Shaped[Tensor, "h d"] | None

    @property
    def held(self) -> Shaped[Tensor, "h d"]:
        """The held-out items, of a metric that cannot do without.

        Raises:
            InputError: if there are none.
        """
        if self.holdout is None:
            raise InputError("holdout: expected held-out items, which this metric compares with, got None")
        return self.holdout

    @property
    def sizes(self) -> dict[str, int]:
        """How many items each set has."""
        found = {"samples": len(self.samples), "train": len(self.train)}
        if self.holdout is not None:
            found["holdout"] = len(self.holdout)
        return found

    def of_samples(
        self,
        name: str,
        statistic: Callable[[Shaped[Tensor, "rows d"]], Float[Tensor, " rows"]],
        number: Callable[[Float[Tensor, " rows"]], Number],
        *,
        note: str = "",
    ) -> Measurement:
        """Give a metric over a statistic of each sample, beside that of the held-out items."""
        per_sample = statistic(self.samples)
        value = number(per_sample)
        null = None if self.holdout is None else number(statistic(self.holdout))
        return self.measurement(name, value, null, per_sample=per_sample, note=note)

    @property
    def fresh(self) -> Shaped[Tensor, "f d"] | None:
        """As many held-out items as there are samples, spread over all of them; None where they are fewer."""
        if self.holdout is None or self.lack:
            return None
        count = min(len(self.holdout), len(self.samples))
        rows = torch.linspace(0, len(self.holdout) - 1, count, dtype=torch.float64).round().long()
        return self.holdout[rows.to(self.holdout.device)]

    def of_sets(self, name: str, number: Callable[[Shaped[Tensor, "rows d"]], Number]) -> Measurement:
        """Give a metric of the samples as a set, beside that of as many held-out items.

        Such numbers depend on how many items there are, honest ones as well.
        """
        fresh = self.fresh
        null = None if fresh is None else number(fresh)
        return self.measurement(name, number(self.samples), null, null_rule=EQUALLY_MANY, note=self.lack)

    @property
    def lack(self) -> str:
        """Why there is no null of a set of samples; empty where there is one, or no held-out items."""
        if self.holdout is None or len(self.holdout) >= NEARLY * len(self.samples):
            return ""
        return (
            f"no null: the number depends on how many items there are, and {len(self.holdout):,} held-out "
            f"items are fewer than {len(self.samples):,} samples"
        )

    def measurement(
        self,
        name: str,
        value: Number,
        null: Number | None,
        *,
        null_rule: str = "held-out items in place of samples",
        per_sample: Float[Tensor, " m"] | None = None,
        note: str = "",
    ) -> Measurement:
        """Give a metric its evidence."""
        status = Status.FINE
        if isinstance(value, Distance):
            status = value.status
            note = "; ".join(filter(None, (value.note, note)))
        rule = "" if null is None else null_rule
        return Measurement(name, value, self.sizes, null, rule, per_sample, status, note)


def sets_of(
    samples: Items,
    train: Items,
    holdout: Items | None,
    *,
    features: Features,
    batch_size: SupportsIndex,
    same_units: bool,
) -> Sets:
    """Read the sets, bring them to one unit where that is certain, and make features of them.

    Raises:
        InputError: if items, features or evidently the units do not fit one another.
    """
    check_whole("batch_size", batch_size, least=1)
    check_flag("same_units", same_units)
    function = check_features(features)
    a, b, held = _in_one_unit(samples, train, holdout, same_units=same_units)
    if not same_units:
        check_unit_of_features(function, b, "train")
    rows = _Rows(function, int(batch_size))
    held_rows = None if held is None else rows.of(held, "holdout")
    return Sets(rows.of(a, "samples"), rows.of(b, "train"), held_rows)


def _in_one_unit(
    samples: Items, train: Items, holdout: Items | None, *, same_units: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """All sets in one unit; whichever two share one, the third is brought to it."""
    a, b = as_pair(samples, train, ("samples", "train"), same_units=same_units)
    if holdout is None:
        return a, b, None
    held, b_again = as_pair(holdout, b, ("holdout", "train"), same_units=same_units)
    if b_again.dtype != b.dtype:  # the held-out items have made floats of the training items
        a, b_again = as_pair(a, b_again, ("samples", "train"), same_units=same_units)
    return a, b_again, held


@dataclass(frozen=True)
class _Rows:
    """Makes rows of items."""

    features: Function | None
    batch_size: int

    def of(self, items: Shaped[Tensor, "n ..."], name: str) -> Shaped[Tensor, "n d"]:
        check_finite(items, name)
        if self.features is None:
            return items.flatten(1)
        return features_of(items, name, self.features, self.batch_size)
