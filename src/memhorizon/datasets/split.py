"""Data sets with a fixed, named, disjoint train/held-out split.

`load_split(DataConfig(...))` is the one door. All usable items form one sequence in a fixed order, random
but for `seed` (`memhorizon.datasets.sources`), of which one part is held out and one trained on, without
duplicates between them (`memhorizon.datasets.selection`). The two sets are exchangeable: of MNIST,
Fashion-MNIST, CIFAR-10 and CelebA the official training part serves for both. Draws from a known distribution
form two endless sequences, one for training and one held out.

Duplicates are kept within a set (a group of them is held out, or trained on, together) and are numbered in
`Split.group`; `Split.facts` gives the rule, how many there are and what was passed over.

Integer pixels are brought to [0, 1]; then `x = (pixels - center) * scale`, where `center` is the mean over
the n_train training pictures after resizing and cropping, one number for all channels, as in the paper. Draws
are left as they are.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from memhorizon.checks import check_kind
from memhorizon.datasets.config import SYNTHETIC, DataConfig
from memhorizon.datasets.selection import select
from memhorizon.datasets.sources import Source, hash_item, source_of
from memhorizon.datasets.synthetic import covariance, draw, power_law, sign_vectors, stream_seed
from memhorizon.distributions import Gaussian, GaussianMixture
from memhorizon.files.folders import Skipped
from memhorizon.files.images import ImageSource
from memhorizon.files.mapped import blocks, is_mapped
from memhorizon.measure.duplicates import linked_groups, rule

LISTED = 50  # pictures that were passed over and are named in the facts


def _unknown() -> Int[Tensor, " none"]:
    return torch.zeros(0, dtype=torch.int64)


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """A training set and the held-out set that goes with it.

    Attributes:
        name: name of the data set.
        train: training items, centred and scaled. [n_train, *item]
        holdout: held-out items, with the same center and scale. [n_holdout, *item]
        train_index: position of each training item in the source.
        holdout_index: position of each held-out item in the source (for draws: of the held-out draws).
        center: number that was subtracted.
        scale: factor after that.
        labels: class of each training item, where the source has classes.
        skipped: pictures that could not be used and were passed over.
        truth: the distribution that the items were drawn from, where it is known.
        group: number of the group of duplicates of each training item, counted from 0 in the order of first
            appearance. [n_train]
        holdout_group: the same of the held-out items. [n_holdout]
        near: Euclidean distance of two items, before `scale`, up to which they count as duplicates.
        left_out: duplicates of held-out items that were passed over on the way to the training items.
        ignored: number of other files in the folder.
        suffixes: how many of them there are of each suffix.
        fingerprint: hash of the items of both sets, their values and their order.
    """

    name: str
    train: Float[Tensor, " n_train *item"]
    holdout: Float[Tensor, " n_holdout *item"]
    train_index: Int[Tensor, " n_train"]
    holdout_index: Int[Tensor, " n_holdout"]
    center: float = 0.0
    scale: float = 1.0
    labels: Int[Tensor, " n_train"] | None = None
    skipped: tuple[Skipped, ...] = ()
    truth: Gaussian | GaussianMixture | None = None
    group: Int[Tensor, " n_train"] = field(default_factory=_unknown, kw_only=True)
    holdout_group: Int[Tensor, " n_holdout"] = field(default_factory=_unknown, kw_only=True)
    near: float = 0.0
    left_out: int = 0
    ignored: int = 0
    suffixes: Mapping[str, int] = field(default_factory=dict)
    fingerprint: str = ""

    def __post_init__(self) -> None:
        """Equal items are duplicates where nobody named the groups."""
        self._fill("group", self.train)
        self._fill("holdout_group", self.holdout)

    def _fill(self, name: str, items: Tensor) -> None:
        if len(getattr(self, name)) != len(items):
            object.__setattr__(self, name, linked_groups(items, 0.0))

    def __repr__(self) -> str:
        sizes = f"{len(self.train):,} training and {len(self.holdout):,} held-out items"
        item = " x ".join(map(str, self.item_shape))
        return f"Split({self.name}: {sizes} of {item}; center {self.center:.4g}, scale {self.scale:.4g})"

    def facts(self) -> dict[str, object]:
        """Give what the split rests on, in plain JSON values.

        `duplicates`: the rule; how many training `items` share a group with others, in how many `groups`, the
        `largest` of how many items; how many held-out items share one; how many items were left out of the
        training set as duplicates of held-out ones.
        """
        listed = [{"name": item.name, "reason": item.reason} for item in self.skipped[:LISTED]]
        return {
            "fingerprint": self.fingerprint,
            "n_train": len(self.train),
            "n_holdout": len(self.holdout),
            "duplicates": self._duplicates(),
            "skipped": listed,
            "n_skipped": len(self.skipped),
            "ignored": {"count": self.ignored, "suffixes": dict(self.suffixes)},
        }

    def _duplicates(self) -> dict[str, object]:
        size = self.group.bincount()
        shared = size[size > 1]
        held = self.holdout_group.bincount()
        return {
            "rule": rule(self.near),
            "items": int(shared.sum()),
            "groups": len(shared),
            "largest": int(size.max()),
            "holdout_items": int(held[held > 1].sum()),
            "left_out_of_training": self.left_out,
        }

    def to(self, device: torch.device | str) -> "Split":
        """Copy the items (not the indices) to another device."""
        truth = None if self.truth is None else self.truth.to(device)
        return replace(self, train=self.train.to(device), holdout=self.holdout.to(device), truth=truth)

    @property
    def item_shape(self) -> tuple[int, ...]:
        """Shape of one item."""
        return tuple(self.train.shape[1:])

    def to_pixels(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Undo center and scale, for display; values that a model puts outside of [0, 1] stay outside."""
        return x / self.scale + self.center


def load_split(config: DataConfig, items: ImageSource | None = None) -> Split:
    """Load the training subset and the held-out set of `config`.

    Args:
        config: which data, how many, and how they are prepared.
        items: the data themselves, where `config` has the name "file" and no path: an ImageSet, or what
            `load_images` takes, [n, *item]. They are split as a file that holds them is.

    Raises:
        InputError: if the source is missing or unusable, holds fewer items than asked for, or is given
            twice.

    >>> load_split(DataConfig(n_train=100, n_holdout=50))
    Split(digits: 100 training and 50 held-out items of 1 x 8 x 8; center 0.305, scale 1)
    """
    check_kind("config", config, DataConfig)
    if config.name in SYNTHETIC and items is None:
        return _drawn(config)
    return _loaded(config, source_of(config, items))


def _loaded(config: DataConfig, source: Source) -> Split:
    found = select(config, source)
    train = found.train.items
    holdout = found.holdout.items if len(found.holdout) else train[:0]
    center = float(np.float32(train.numpy().mean(dtype=np.float64)))  # a sum that needs no threads
    train_index = torch.tensor(found.train.positions)
    labels = None if source.labels is None else source.labels[train_index]
    group = linked_groups(train, found.near)
    holdout_group = linked_groups(holdout, found.near)
    passed = source.passed_over()
    return Split(
        config.name,
        _centred(train, center, config.scale),
        _centred(holdout, center, config.scale),
        train_index,
        torch.tensor(found.holdout.positions, dtype=torch.int64),
        center,
        config.scale,
        labels,
        group=group,
        holdout_group=holdout_group,
        near=found.near,
        left_out=found.left_out,
        fingerprint=_fingerprint(config, found.train.hashes, found.holdout.hashes),
        skipped=passed.skipped,
        ignored=passed.ignored,
        suffixes=passed.suffixes,
    )


def _centred(items: Float[Tensor, " n *item"], center: float, scale: float) -> Float[Tensor, " n *item"]:
    """Items less the center, times the scale; those on the disk are changed there."""
    if not is_mapped(items):
        return (items - center).mul_(scale)
    for part in blocks(items):
        part.sub_(center).mul_(scale)
    return items


def _drawn(config: DataConfig) -> Split:
    distribution = _distribution(config)
    start = config.subset * config.n_train
    train = draw(distribution, start, config.n_train, seed=stream_seed(config.seed, "train"))
    holdout = draw(distribution, 0, config.n_holdout, seed=stream_seed(config.seed, "holdout"))
    train_hashes = [hash_item(item) for item in train]
    holdout_hashes = [hash_item(item) for item in holdout]
    return Split(
        config.name,
        train,
        holdout,
        torch.arange(start, start + config.n_train),
        torch.arange(config.n_holdout),
        truth=distribution,
        group=linked_groups(train, 0.0),  # draws are independent: only equal ones are duplicates
        holdout_group=linked_groups(holdout, 0.0),
        fingerprint=_fingerprint(config, train_hashes, holdout_hashes),
    )


def _distribution(config: DataConfig) -> Gaussian | GaussianMixture:
    generator = torch.Generator().manual_seed(stream_seed(config.seed, "distribution"))
    eigenvalues = config.eigenvalues or power_law(config.dim, config.exponent)
    matrix = covariance(eigenvalues, basis=config.basis, generator=generator)
    if config.name == "gaussian":
        return Gaussian(torch.zeros(config.dim, dtype=torch.float64), matrix)
    means = config.mean * sign_vectors(config.components, config.dim, generator=generator)
    weights = torch.full((config.components,), 1 / config.components, dtype=torch.float64)
    return GaussianMixture(means, matrix.repeat(config.components, 1, 1), weights)


def _fingerprint(config: DataConfig, train: Sequence[bytes], holdout: Sequence[bytes]) -> str:
    """Hash the items as they were read, and how they are prepared: what is exact on every processor."""
    how = repr((len(train), len(holdout), config.size, config.grey, float(config.scale)))
    return "sha256:" + hashlib.sha256(how.encode() + b"".join([*train, *holdout])).hexdigest()
