"""A metric in torchmetrics' form: batches are collected, the function is applied to all of them at the end.

This module needs torchmetrics; nothing imports it before one of the classes is asked for.
"""

import inspect
from functools import cache
from typing import ClassVar

import torch
from jaxtyping import Shaped
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from memhorizon.checks import check_choice, check_flag, check_whole
from memhorizon.devices import widest_float
from memhorizon.errors import InputError
from memhorizon.measure.features import Features, check_features, features_of
from memhorizon.measure.items import Numbers, as_items
from memhorizon.measure.quality import check_unit_of_features
from memhorizon.metrics.measurement import Measurement
from memhorizon.metrics.sets import BATCH
from memhorizon.metrics.table import MetricInfo

KINDS = ("samples", "train", "holdout")
_TRIED = 8  # items that options are tried on, beyond the number of neighbours


class Accumulator(Metric):
    """A metric whose items come in batches: a subclass of `torchmetrics.Metric`, one for each metric.

    `update(items, kind="samples")`, or "train" or "holdout", adds a batch to one of the sets. In a
    `MetricCollection` one such call reaches all of these metrics, and they keep one copy of the items between
    them. `real=True` and `real=False`, the words of torchmetrics' FID, mean "train" and "samples". Both may
    be given: `collection.update(items, real=True, kind="holdout")` gives held-out items to these metrics, and
    real ones to those of torchmetrics.

    Items are kept until `reset`: their features where `features` is given, else the items themselves. A batch
    alone has no answer, so use `update` and `compute`, not `forward`.

    Args:
        features: what the metric is taken of, a function of a batch of items or a network; by default the
            items' entries.
        batch_size: items per call of `features`.
        reset_real: whether `reset` forgets training and held-out items, too.
        options: those of the function, and those of every `torchmetrics.Metric`.

    Raises:
        InputError: if an option of the function cannot be used.
        ValueError: by torchmetrics, if there is no such option.
    """

    full_state_update = False
    is_differentiable = False
    info: ClassVar[MetricInfo]

    def __init__(
        self,
        *,
        features: Features = None,
        batch_size: int = BATCH,
        reset_real: bool = True,
        **options: object,
    ) -> None:
        mine, theirs = _divided(options, self.info)
        super().__init__(**theirs)
        check_whole("batch_size", batch_size, least=1)
        check_flag("reset_real", reset_real)
        self.features = check_features(features)
        self.batch_size = int(batch_size)
        self.reset_real = reset_real
        self.options = mine
        _try_options(self.info, mine)
        self._seen: dict[str, tuple[torch.dtype, torch.Size]] = {}
        self._found: Measurement | None = None
        for kind in KINDS:
            self.add_state(self._state_of(kind), [], dist_reduce_fx="cat")

    def _state_of(self, kind: str) -> str:
        """Name of the attribute that holds the batches of a set.

        A collection lets metrics share their states if these have the same names and equal contents so far
        (torchmetrics 1.4 looks at the first state alone). So what is kept differently has different names.
        """
        what = "items" if self.features is None else f"features_{id(self.features)}"
        return f"{kind}_{what}" if self.reset_real else f"{kind}_{what}_kept"

    def update(self, items: Numbers, real: bool | None = None, kind: str | None = None) -> None:
        """Add a batch to a set.

        Args:
            items: tensor or array, [n, *item].
            real: True for training items, False for samples; may be left out where `kind` is given.
            kind: "samples", "train" or "holdout"; may be left out where `real` is given.

        Raises:
            InputError: if it is not said which set, or the batch does not fit those before.
        """
        kind = _kind_of(real, kind)
        batch = as_items(items, "items")
        self._check_fit(batch, kind)
        rows = batch
        if self.features is not None:
            check_unit_of_features(self.features, batch, "items")
            rows = features_of(batch, "items", self.features, self.batch_size)
        getattr(self, self._state_of(kind)).append(rows)

    def _check_fit(self, batch: Shaped[Tensor, "n ..."], kind: str) -> None:
        """Refuse a batch of another type or shape than those before."""
        for other, (dtype, shape) in self._seen.items():
            _check_shape(batch.shape[1:], shape)
            # features are taken of each batch as it comes, so no set can be brought to the unit of another
            is_other_unit = batch.is_floating_point() != dtype.is_floating_point and self.features is not None
            if is_other_unit or (other == kind and batch.dtype != dtype):
                raise InputError(f"items: expected {dtype} as in the batches of {other}, got {batch.dtype}")
        self._seen[kind] = (batch.dtype, batch.shape[1:])

    def compute(self) -> dict[str, Tensor]:
        """Give the numbers of the metric of all items so far (`Measurement.numbers`), each as a tensor.

        Raises:
            InputError: if a set that the metric needs is empty, or the function refuses them.
        """
        self._found = self._measured()
        dtype = widest_float(self.device)
        return {
            name: torch.tensor(number, dtype=dtype, device=self.device)
            for name, number in self._found.numbers().items()
        }

    def measurement(self) -> Measurement:
        """Compute the metric with all its evidence.

        Raises:
            InputError: as `compute`.
        """
        self.compute()
        assert self._found is not None
        return self._found

    def _measured(self) -> Measurement:
        """The function, of all items."""
        sets = {kind: self._items_of(kind) for kind in KINDS}
        options = dict(self.options)
        if self.features is not None:  # they are taken, and features have no unit
            options["same_units"] = True
        return self.info.function(sets["samples"], sets["train"], holdout=sets["holdout"], **options)

    def _items_of(self, kind: str) -> Shaped[Tensor, "n ..."] | None:
        """All items of a set; None of held-out items that are not needed and not there."""
        batches = getattr(self, self._state_of(kind))
        if len(batches):
            return dim_zero_cat(batches)  # of batches, or of what was gathered from other processes
        if kind == "holdout" and not self.info.needs_holdout:
            return None
        raise InputError(f'{kind}: expected items, got none: call update(items, kind="{kind}") before')

    def reset(self) -> None:
        """Forget the samples and, unless `reset_real` is False, training and held-out items."""
        kept_kinds = () if self.reset_real else ("train", "holdout")
        kept = {kind: list(getattr(self, self._state_of(kind))) for kind in kept_kinds}
        super().reset()
        self._found = None
        self._seen = {kind: self._seen[kind] for kind in kept if kind in self._seen}
        for kind, batches in kept.items():
            setattr(self, self._state_of(kind), batches)


def _divided(options: dict[str, object], info: MetricInfo) -> tuple[dict[str, object], dict[str, object]]:
    """Options of the function of a metric, and the others."""
    known = inspect.signature(info.function).parameters
    mine = {name: value for name, value in options.items() if name in known}
    theirs = {name: value for name, value in options.items() if name not in known}
    return mine, theirs


def _try_options(info: MetricInfo, options: dict[str, object]) -> None:
    """Use options on a few items: a mistake shall not wait for the end of an epoch."""
    if not isinstance(options.get("group", "exact"), str):
        raise InputError('group: expected "exact" or "near" of items that come in batches, got numbers')
    k = options.get("k", 0)
    count = _TRIED + (k if isinstance(k, int) else 0)
    items = torch.arange(count)[:, None]
    info.function(items, items, **{"holdout": items, **options})


def _check_shape(shape: torch.Size, before: torch.Size) -> None:
    if shape != before:
        both = f"{tuple(shape)} after {tuple(before)}"
        raise InputError(f"items: expected items of one shape, got {both}")


def _kind_of(real: bool | None, kind: str | None) -> str:
    """The set that `update` means."""
    if real is None and kind is None:
        raise InputError('kind: expected "samples", "train" or "holdout" (or real=True or False), got None')
    if real is None:
        return check_choice("kind", kind, KINDS)
    check_flag("real", real)
    if kind is None:
        return "train" if real else "samples"
    word = check_choice("kind", kind, KINDS)
    if real == (word == "samples"):
        raise InputError(f'real, kind: expected real=False with "samples" alone, got {real} with "{word}"')
    return word


@cache
def accumulator_of(info: MetricInfo) -> type[Accumulator]:
    """Make the class of a metric."""
    doc = (
        f"The metric `{info.name}` of items that come in batches; see `Accumulator`.\n\n"
        f"Options beside those of every accumulator are the keywords of `{info.name}`."
    )
    content = {
        "info": info,
        "higher_is_better": info.higher_is_better,
        "__module__": "memhorizon.metrics",
        "__qualname__": info.accumulator,
        "__doc__": doc,
    }
    return type(info.accumulator, (Accumulator,), content)
