"""Views by name, each learned from the training set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from memhorizon.auditing.config import AuditConfig
from memhorizon.auditing.descriptor import Descriptor, Learning, learn
from memhorizon.auditing.feature_vectors import FeatureSource
from memhorizon.auditing.prepare import Prepared
from memhorizon.auditing.reference import Design
from memhorizon.auditing.views.aligned import AlignedView
from memhorizon.auditing.views.base import Report, View
from memhorizon.auditing.views.features import features
from memhorizon.auditing.views.pixels import coarse, pixels
from memhorizon.auditing.views.reduced import LARGEST_ALIGNED, in_unit, is_registered, reduced
from memhorizon.experiments.cache import Cache, cached
from memhorizon.files.digests import digest_of
from memhorizon.files.images import ImageSet
from memhorizon.records.plain import Plain

# With ranks in two views equal the first counts: the view that finds most edits is the first.
ORDER = ("aligned", "coarse", "pixels", "features")
_EMBEDDED = 1000  # pictures at a time


@dataclass(frozen=True, eq=False)
class Material:
    """What views are made of.

    Attributes:
        given: the sets by name, as they were read.
        prepared: the sets, and how the training set is divided.
        config: what is asked.
        features: where the vectors of the view of features are from; None without.
        cache: of what was learned; None without.
    """

    given: Mapping[str, ImageSet]
    prepared: Prepared
    config: AuditConfig
    features: FeatureSource
    cache: Cache | None

    @property
    def views(self) -> tuple[str, ...]:
        """The views that are asked for, or that pay for such items."""
        registered = is_registered(tuple(self.train.shape[1:]))
        return self.config.views_for(registered=registered, with_features=self.features is not None)

    @property
    def train(self) -> Float[Tensor, " n *item"]:
        """Training items as they are compared."""
        return self.prepared.train

    @property
    def design(self) -> Design:
        """How they are divided."""
        return self.prepared.design

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest value of a pixel, which differ."""
        return self.prepared.limits

    @property
    def note(self) -> str:
        """What they were reduced to."""
        return self.prepared.note


def build(name: str, material: Material, report: Report) -> View | None:
    """Make a view; None where these items have none of this kind.

    Raises:
        InputError: if features are asked for and none are given, or they fail.
    """
    makers: dict[str, Callable[[Material, Report], View | None]] = {
        "pixels": _pixels,
        "coarse": _coarse,
        "aligned": _aligned,
        "features": _features,
    }
    return makers[name](material, report)


def _pixels(material: Material, report: Report) -> View:
    return pixels(material.train, material.design.group, material.note)


def _coarse(material: Material, report: Report) -> View:
    return coarse(material.train, material.design.group, material.design.rest, material.note)


def _aligned(material: Material, report: Report) -> View | None:
    """Register pictures; vectors and tiny pictures cannot be."""
    if not is_registered(tuple(material.train.shape[1:])):
        return None
    limits = material.limits
    train = in_unit(reduced(material.train, LARGEST_ALIGNED), limits)
    descriptor, learning = _learned(material, train, report)
    places = torch.cat([descriptor(part) for part in train.split(_EMBEDDED)])
    note = f"pictures of {train.shape[3]} x {train.shape[2]} pixels{_cut_short(learning)}"
    return AlignedView(note, descriptor, train, places, material.design.group, limits, digest_of(places))


def _cut_short(learning: Learning) -> str:
    """A note where the time was up before the descriptor was learned."""
    if learning.n_updates == learning.wanted:
        return ""
    return f"; the time was up after {learning.n_updates} of {learning.wanted} updates of the descriptor"


def _learned(
    material: Material, train: Float[Tensor, "n c h w"], report: Report
) -> tuple[Descriptor, Learning]:
    """The descriptor: of the cache, or learned now."""
    tensors = _kept(material, train, report)
    done, wanted = tensors.pop("count").tolist()
    net = Descriptor((train.shape[1], train.shape[2], train.shape[3]))
    net.load_state_dict(tensors)
    return net.eval().requires_grad_(False), Learning(done, wanted)


def _kept(material: Material, train: Float[Tensor, "n c h w"], report: Report) -> dict[str, Tensor]:
    """The weights of the descriptor, and how long it was learned."""
    seed = material.config.seed
    minutes = material.config.minutes
    key: dict[str, Plain] = {**material.prepared.key, "step": "descriptor", "minutes": minutes}

    def compute() -> dict[str, Tensor]:
        net, learning = learn(train[material.design.rest], seed=seed, minutes=minutes, report=report)
        count = torch.tensor([learning.n_updates, learning.wanted])
        return {**net.state_dict(), "count": count}

    return cached(material.cache, key, compute)


def _features(material: Material, report: Report) -> View:
    prepared = material.prepared
    return features(
        material.features,
        material.given,
        prepared.sets,
        material.design.group,
        limits=material.limits,
        cache=material.cache,
        report=report,
    )
