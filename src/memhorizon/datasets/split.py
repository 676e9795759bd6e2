"""Data sets with a fixed, named, disjoint train/held-out split.

`load_split(DataConfig(...))` is the one door. All usable items form one sequence in a fixed order, random
but for `seed`. The held-out items are taken from its end backwards. Training subset k is items k * n_train to
(k + 1) * n_train of what is left, without duplicates of held-out items. So subsets of one n_train are
disjoint, subset 0 of a smaller n_train lies inside that of a larger one, the held-out set is the same for
every n_train and subset, no group of duplicates is split between the two sets, and they are exchangeable: of
MNIST, Fashion-MNIST, CIFAR-10 and CelebA the official training part serves for both. Draws from a known law
form two endless sequences, one for training and one held out.

Of the published arrays (digits, MNIST, Fashion-MNIST, CIFAR-10) the order is a permutation of the numbers
of the items. Of array files it is that of hashes of the values of the items, of folders that of hashes of the
bytes of the files, so that an item that is added, removed or renamed moves no other item from one set to the
other. A picture that is saved again, with equal pixels in other bytes, gets another place in the order.

Duplicates are kept within a set (a group of them is held out, or trained on, together) and are numbered in
`Split.group`; `Split.facts` says by which rule, how many there are and what was passed over.

Integer pixels are brought to [0, 1]; then `x = (pixels - center) * scale`, where `center` is the mean over
the n_train training pictures after resizing and cropping, one number for all channels, as in the paper. Draws
are left as they are.
"""

import hashlib
import math
import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from memhorizon.checks import check_choice, check_flag
from memhorizon.datasets.synthetic import Basis, covariance, draw, power_law, sign_vectors, stream_seed
from memhorizon.distributions import Gaussian, GaussianMixture
from memhorizon.errors import InputError
from memhorizon.files.arrays import split_key
from memhorizon.files.bounds import MOST_BYTES, MOST_SIDE, printable, problem_with
from memhorizon.files.formats import check_values, to_floats
from memhorizon.files.images import CHUNK, load_images, prepare, stack, usable
from memhorizon.files.layouts import (
    PictureFiles,
    Skipped,
    list_celeba,
    list_pictures,
    read_cifar10,
    read_digits,
    read_mnist,
)
from memhorizon.measure.duplicates import near_distance, near_groups, rule
from memhorizon.measure.neighbors import nearest

Name = Literal[
    "digits", "mnist", "fashion-mnist", "cifar10", "celeba", "folder", "file", "gaussian", "mixture"
]
SYNTHETIC = ("gaussian", "mixture")
LISTED = 50  # pictures that were passed over and are named in the facts
BLOCK = 1 << 20  # bytes of a file read at a time
MOST = 1e30  # largest scale, mean and eigenvalue, far from the ends of float32
MOST_OF_LAW = 2**24  # numbers in the covariances of a law, 128 MiB, of which a few copies are made
FASHION_MNIST = "/usr/share/datasets/fashion-mnist"  # where Debian's package dataset-fashion-mnist puts it


@dataclass(frozen=True)
class DataConfig:
    """Which data, how many, and how they are prepared.

    Attributes:
        name: the data set.
        path: file or folder it is read from; None for what needs none or is found by itself.
        n_train: number of training items.
        n_holdout: number of held-out items.
        subset: which of the disjoint training subsets of this size.
        size: the short side is resized to this many pixels, at most MOST_SIDE, then the centre cropped to
            size x size.
        grey: make pictures grey, after resizing and cropping.
        seed: fixes the order of the pictures, the draws and the random basis; less than 2**63.
        scale: factor on the centred pixels; 1 is the paper's convention, 2 gives values of order one.
        dim: dimension of the synthetic data; components * dim**2 is at most MOST_OF_LAW.
        components: number of Gaussians in the mixture, equal in weight and covariance; the means of the first
            two are +mean and -mean in every coordinate, further ones have random distinct signs.
        mean: absolute value of each coordinate of the mixture's means.
        eigenvalues: eigenvalues of the covariance, `dim` of them; None for the power law.
        exponent: of the power law: eigenvalue k = 1..dim is proportional to k**-exponent, their mean is 1.
        basis: eigenvectors along the axes, or a random rotation of them.
    """

    name: Name = "digits"
    path: str | None = None
    n_train: int = 128
    n_holdout: int = 512
    subset: int = 0
    size: int | None = None
    grey: bool = False
    seed: int = 0
    scale: float = 1.0
    dim: int = 8
    components: int = 2
    mean: float = 1.0
    eigenvalues: tuple[float, ...] | None = None
    exponent: float = 0.0
    basis: Basis = "axes"

    def __post_init__(self) -> None:
        self._make_plain()
        check_choice("name", self.name, get_args(Name))
        check_choice("basis", self.basis, get_args(Basis))
        check_flag("grey", self.grey)
        for word, low in (
            ("n_train", 1),
            ("n_holdout", 0),
            ("subset", 0),
            ("seed", 0),
            ("dim", 1),
            ("size", 1),
        ):
            value = getattr(self, word)
            if value is not None and value < low:
                raise InputError(f"{word}: expected at least {low}, got {value}")
        if self.size is not None and self.size > MOST_SIDE:
            raise InputError(f"size: expected at most {MOST_SIDE:,} pixels, got {self.size:,}")
        if not 1 / MOST <= self.scale <= MOST:
            raise InputError(f"scale: expected a positive number, {1 / MOST:g} to {MOST:g}, got {self.scale}")
        if self.path == "":
            raise InputError("path: expected a file or folder, got an empty path")
        if self.path is not None and self.name in ("digits", *SYNTHETIC):
            raise InputError(f"path: {self.name} is not read from a path, got {self.path!r}")
        if self.name in SYNTHETIC:
            self._check_law()

    def _make_plain(self) -> None:
        for word in ("n_train", "n_holdout", "subset", "seed", "dim", "size", "components"):
            self._as_plain(word, _plain_integer, "an integer, less than 2**63")
        for word in ("scale", "mean", "exponent"):
            self._as_plain(word, _plain_number, "a finite number")
        self._as_plain("eigenvalues", lambda given: tuple(map(_plain_number, given)), "finite numbers")
        self._as_plain("path", os.fsdecode, "a path")

    def _as_plain(self, word: str, convert: Callable[[Any], Any], expected: str) -> None:
        """Replace a NumPy number or a Path by the plain value that a configuration is saved with."""
        value = getattr(self, word)
        if value is None and word in ("size", "eigenvalues", "path"):
            return
        try:
            object.__setattr__(self, word, convert(value))
        except OverflowError as error:  # of too many digits to print, perhaps
            raise InputError(f"{word}: expected {expected}, got one that is too large") from error
        except (TypeError, ValueError, RuntimeError) as error:  # the last from PyTorch
            raise InputError(f"{word}: expected {expected}, got {value!r}") from error

    def _check_law(self) -> None:
        if self.size is not None or self.grey or self.scale != 1:
            raise InputError(f"size, grey, scale: {self.name} has no pixels, expected None, False and 1")
        if not 1 <= self.components <= 2 ** min(self.dim, 20):
            raise InputError(f"components: expected 1 to 2**dim (at most 2**20), got {self.components}")
        if not (abs(self.mean) <= MOST and math.isfinite(self.exponent)):
            raise InputError(
                f"mean, exponent: expected finite numbers, the mean at most {MOST:g}, "
                f"got {self.mean}, {self.exponent}"
            )
        self._check_size_of_law()
        given = self.eigenvalues
        if given is None:
            power_law(self.dim, self.exponent)
        elif not (len(given) == self.dim and all(0 < v <= MOST for v in given)):
            raise InputError(
                f"eigenvalues: expected {self.dim} positive numbers, at most {MOST:g}, got {given}"
            )

    def _check_size_of_law(self) -> None:
        components = self.components if self.name == "mixture" else 1
        if components * self.dim**2 > MOST_OF_LAW:
            raise InputError(
                f"dim, components: expected at most {MOST_OF_LAW:,} numbers in the covariances, "
                f"components * dim**2, got {components:,} * {self.dim:,}**2"
            )
        draws = (self.subset + 1) * self.n_train + self.n_holdout
        if draws * self.dim * 4 > MOST_BYTES:  # subset k comes after the k before it
            raise InputError(
                f"n_train, n_holdout, subset, dim: expected at most {MOST_BYTES // 4:,} numbers to draw, "
                f"((subset + 1) * n_train + n_holdout) * dim, got {draws:,} * {self.dim:,}"
            )


def _plain_integer(value: Any) -> int:
    number = operator.index(value)
    if isinstance(value, bool):
        raise TypeError("a truth value is no number")
    if not -(2**63) <= number < 2**63:
        raise OverflowError
    return number


def _plain_number(value: Any) -> int | float:
    number = value if type(value) in (int, float) else float(value + 0.0)
    if isinstance(value, bool):
        raise TypeError("a truth value is no number")
    float(number)  # an integer may be too large
    return number


def _unknown() -> Int[Tensor, " none"]:
    return torch.zeros(0, dtype=torch.int64)


@dataclass(frozen=True, eq=False)
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
        """Equal items are duplicates where nobody said which are."""
        for name, items in (("group", self.train), ("holdout_group", self.holdout)):
            if len(getattr(self, name)) != len(items):
                object.__setattr__(self, name, near_groups(items, 0.0))

    def facts(self) -> dict[str, Any]:
        """Say what the split rests on, in plain JSON values.

        `duplicates`: the rule; how many training `items` share a group with others, in how many `groups`, the
        `largest` of how many items; how many held-out items share one; how many items were left out of the
        training set as duplicates of held-out ones.
        """
        size = self.group.bincount()
        shared = size[size > 1]
        held = self.holdout_group.bincount()
        return {
            "fingerprint": self.fingerprint,
            "n_train": len(self.train),
            "n_holdout": len(self.holdout),
            "duplicates": {
                "rule": rule(self.near),
                "items": int(shared.sum()),
                "groups": len(shared),
                "largest": int(size.max()),
                "holdout_items": int(held[held > 1].sum()),
                "left_out_of_training": self.left_out,
            },
            "skipped": [{"name": item.name, "reason": item.reason} for item in self.skipped[:LISTED]],
            "n_skipped": len(self.skipped),
            "ignored": {"count": self.ignored, "suffixes": dict(self.suffixes)},
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


def load_split(config: DataConfig) -> Split:
    """Load the training subset and the held-out set of `config`.

    Raises:
        InputError: if the source is missing or unusable, or holds fewer items than asked for.
    """
    if config.name in SYNTHETIC:
        return _draw(config)
    return _load(config, _source(config))


def order(count: int, seed: int) -> Int[Tensor, " count"]:
    """The fixed random order of `count` items."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True, eq=False)
class _Taken:
    """Some prepared items, their positions in the source, and a hash of each as it was read."""

    items: Tensor
    positions: list[int]
    hashes: list[bytes]

    def __len__(self) -> int:
        return len(self.positions)

    def keep(self, which: Bool[Tensor, " n"]) -> "_Taken":
        kept = which.nonzero().flatten().tolist()
        return _Taken(self.items[which], [self.positions[i] for i in kept], [self.hashes[i] for i in kept])


def _joined(parts: Sequence[_Taken]) -> _Taken:
    return _Taken(
        torch.cat([part.items for part in parts]),
        [position for part in parts for position in part.positions],
        [digest for part in parts for digest in part.hashes],
    )


class _Array:
    """Items of one array; what is wrong with one of them is an error."""

    def __init__(self, config: DataConfig, images: Tensor, labels: Tensor | None) -> None:
        self.config = config
        self.images = images
        self.labels = labels
        if config.name == "file":
            self.order = _order_of([_hash(item, config.seed) for item in images])
        else:
            self.order = order(len(images), config.seed).tolist()

    def take(self, walk: Iterator[int], count: int) -> _Taken:
        positions = list(islice(walk, count))
        if not positions:
            return _Taken(torch.empty(0), [], [])
        raw = to_floats(self.images[positions], self.config.name, channels="first")
        items = prepare(raw, size=self.config.size, grey=self.config.grey)
        check_values(items, self.config.name, torch.tensor(positions))
        return _Taken(items, positions, [_hash(item) for item in raw])

    def distinct(self) -> int:
        return len({_hash(item) for item in self.images})

    def passed_over(self) -> dict[str, Any]:
        return {}


class _Files:
    """Pictures in files, of which no more are decoded than are taken; the unusable ones are passed over.

    The number of channels is that of the whole folder, as the heads of the files have it, so that it does not
    depend on which of them are taken: 3 if one is coloured.
    """

    labels = None

    def __init__(self, config: DataConfig, files: PictureFiles) -> None:
        self.config = config
        self.files = files
        self.skipped: dict[str, str] = {}
        self.hashes: dict[int, bytes] = {}
        self.contents = [_hash_file(files.root / name, config.seed) for name in files.names]
        self.order = _order_of(self.contents)
        self.coloured = not config.grey and any(map(files.coloured, self.order))
        self.first: list[tuple[int, Tensor]] = []  # a picture whose size all others must have

    def take(self, walk: Iterator[int], count: int) -> _Taken:
        pictures = chain(self.first, islice(self._usable(walk), count))
        items, positions = stack(pictures, self.files.names, count=count + len(self.first))
        items = items[len(self.first) :]
        positions = positions[len(self.first) :]
        if positions and not self.first:
            self.first.append((positions[0], items[0].clone()))
        return _Taken(items, positions, [self.hashes.pop(position) for position in positions])

    def _usable(self, walk: Iterator[int]) -> Iterator[tuple[int, Tensor]]:
        options = {"size": self.config.size, "grey": self.config.grey}
        for position, item in usable(self._read, self.files.names, walk, skipped=self.skipped, **options):
            yield position, item.expand(3, -1, -1) if self.coloured else item

    def _read(self, position: int) -> Tensor:
        picture = self.files.read(position)
        self.hashes[position] = _hash(picture)
        return picture

    def distinct(self) -> int:
        return len(set(self.contents))

    def passed_over(self) -> dict[str, Any]:
        unusable = (Skipped(name, reason) for name, reason in self.skipped.items())
        return {
            "skipped": (*self.files.skipped, *unusable),
            "ignored": self.files.ignored,
            "suffixes": self.files.suffixes,
        }


_Source = _Array | _Files


def _source(config: DataConfig) -> _Source:
    match config.name:
        case "digits":
            return _Array(config, *read_digits())
        case "mnist" | "fashion-mnist":
            return _Array(config, *read_mnist(_folder(config), config.name))
        case "cifar10":
            return _Array(config, *read_cifar10(_folder(config)))
        case "celeba":
            return _Files(config, list_celeba(_folder(config)))
        case "folder":
            return _Files(config, list_pictures(_folder(config)))
    path = _folder(config)
    if os.path.isdir(path):  # by either name, so that what is passed over is said
        return _Files(config, list_pictures(path))
    return _Array(config, load_images(path).images, None)


def _hash(item: Float[Tensor, " *item"], seed: int = 0) -> bytes:
    """Hash the shape and the values of an item."""
    state = hashlib.blake2b(_words(seed, *item.shape), digest_size=16)
    state.update((item + 0.0).contiguous().numpy().data)  # -0.0 becomes 0.0, which equals it
    return state.digest()


def _hash_file(path: Path, seed: int) -> bytes:
    """Hash the bytes of a file; of one that cannot be read as if it were empty: decoding says the reason."""
    state = hashlib.blake2b(_words(seed), digest_size=16)
    try:
        if path.is_file():  # a named pipe would be waited for
            with path.open("rb") as file:
                while block := file.read(BLOCK):
                    state.update(block)
    except OSError:
        return hashlib.blake2b(_words(seed), digest_size=16).digest()
    return state.digest()


def _words(*numbers: int) -> bytes:
    return repr(numbers).encode()


def _order_of(hashes: Sequence[bytes]) -> list[int]:
    return sorted(range(len(hashes)), key=lambda position: (hashes[position], position))


def _load(config: DataConfig, source: _Source) -> Split:
    needed = (config.subset + 1) * config.n_train + config.n_holdout
    if needed > len(source.order):
        raise _too_few(config, source, len(source.order), 0)
    holdout = source.take(iter(source.order[::-1]), config.n_holdout)
    if len(holdout) < config.n_holdout:
        raise _too_few(config, source, len(holdout), 0)
    rest = source.order[: source.order.index(holdout.positions[-1])] if len(holdout) else source.order
    train, near, left_out = _training(config, source, iter(rest), holdout)
    held = holdout.items if len(holdout) else train.items[:0]
    center = float(np.float32(train.items.numpy().mean(dtype=np.float64)))  # a sum that needs no threads
    train_index = torch.tensor(train.positions)
    return Split(
        config.name,
        (train.items - center).mul_(config.scale),
        (held - center).mul_(config.scale),
        train_index,
        torch.tensor(holdout.positions, dtype=torch.int64),
        center,
        config.scale,
        None if source.labels is None else source.labels[train_index],
        group=near_groups(train.items, near),
        holdout_group=near_groups(held, near),
        near=near,
        left_out=left_out,
        fingerprint=_fingerprint(config, train.hashes, holdout.hashes),
        **source.passed_over(),
    )


def _training(
    config: DataConfig, source: _Source, walk: Iterator[int], holdout: _Taken
) -> tuple[_Taken, float, int]:
    """Take the training subset, the distance of duplicates, and how many of held-out items were left out.

    The distance is read from the held-out items, the same for every n_train and subset; where they are too
    few from these and the first others. Within the training set a smaller one may hold, if that is denser.
    """
    start = config.subset * config.n_train
    end = start + config.n_train
    near = near_distance(holdout.items)
    passed = left_out = 0
    parts = []
    while passed < end:
        taken = source.take(walk, min(end - passed, CHUNK))
        if not len(taken):
            raise _too_few(config, source, len(holdout) + passed, left_out)
        near = near or near_distance(_joined([holdout, taken] if len(holdout) else [taken]).items)
        fresh = taken.keep(_far(taken.items, holdout.items, near))
        left_out += len(taken) - len(fresh)
        parts.append(fresh.keep(torch.arange(passed, passed + len(fresh)) >= start))
        passed += len(fresh)
    train = _joined(parts)
    return train, min(near, near_distance(train.items) or near), left_out


def _far(items: Tensor, holdout: Tensor, near: float) -> Bool[Tensor, " n"]:
    """Tell which items are no duplicates of a held-out one."""
    if not len(holdout):
        return torch.ones(len(items), dtype=torch.bool)
    return nearest(items, holdout, k=1, same_units=True)[0][:, 0] > near


def _too_few(config: DataConfig, source: _Source, count: int, left_out: int) -> InputError:
    needed = (config.subset + 1) * config.n_train + config.n_holdout
    skipped = len(source.passed_over().get("skipped", ()))
    reasons = [f"{skipped:,} unusable pictures"] if skipped else []
    reasons += [f"{left_out:,} duplicates of held-out items"] if left_out else []
    after = f" after {' and '.join(reasons)}" if reasons else ""
    distinct = source.distinct()
    only = (
        f"; only {distinct:,} of {len(source.order):,} are distinct" if distinct < len(source.order) else ""
    )
    return InputError(
        f"n_train, n_holdout, subset: expected (subset + 1) * n_train + n_holdout <= {count:,}, "
        f"all that {config.name} holds{after}, got ({config.subset} + 1) * {config.n_train} + "
        f"{config.n_holdout} = {needed:,}{only}"
    )


def _fingerprint(config: DataConfig, train: Sequence[bytes], holdout: Sequence[bytes]) -> str:
    """Hash the items as they were read, and how they are prepared: what is exact on every processor."""
    how = repr((len(train), len(holdout), config.size, config.grey, float(config.scale)))
    return "sha256:" + hashlib.sha256(how.encode() + b"".join([*train, *holdout])).hexdigest()


def _folder(config: DataConfig) -> Path:
    path = FASHION_MNIST if config.name == "fashion-mnist" and config.path is None else config.path
    if path is None:
        raise InputError(f"path: expected the folder or file that holds {config.name}, got None")
    if (problem := problem_with(split_key(path)[0])) is not None:
        install = ""
        if config.path is None:
            install = "; install Debian's dataset-fashion-mnist, or give the folder of its four IDX files"
        raise InputError(f"path: {problem}{install}")
    if config.name != "file" and not os.path.isdir(path):
        raise InputError(f"path: expected a folder for {config.name}, got the file {printable(path)}")
    return Path(path)


def _draw(config: DataConfig) -> Split:
    law = _law(config)
    start = config.subset * config.n_train
    train = draw(law, start, config.n_train, seed=stream_seed(config.seed, "train"))
    holdout = draw(law, 0, config.n_holdout, seed=stream_seed(config.seed, "holdout"))
    return Split(
        config.name,
        train,
        holdout,
        torch.arange(start, start + config.n_train),
        torch.arange(config.n_holdout),
        truth=law,
        group=near_groups(train, 0.0),  # draws are independent: only equal ones are duplicates
        holdout_group=near_groups(holdout, 0.0),
        fingerprint=_fingerprint(config, [_hash(x) for x in train], [_hash(x) for x in holdout]),
    )


def _law(config: DataConfig) -> Gaussian | GaussianMixture:
    generator = torch.Generator().manual_seed(stream_seed(config.seed, "law"))
    eigenvalues = config.eigenvalues or power_law(config.dim, config.exponent)
    matrix = covariance(eigenvalues, basis=config.basis, generator=generator)
    if config.name == "gaussian":
        return Gaussian(torch.zeros(config.dim, dtype=torch.float64), matrix)
    means = config.mean * sign_vectors(config.components, config.dim, generator=generator)
    weights = torch.full((config.components,), 1 / config.components, dtype=torch.float64)
    return GaussianMixture(means, matrix.repeat(config.components, 1, 1), weights)
