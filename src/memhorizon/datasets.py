"""Data sets with a fixed, named, disjoint train/held-out split.

`load_split(DataConfig(...))` is the one door. All usable pictures form one sequence in a fixed random order
that depends on `seed` alone. Training subset k is items k * n_train to (k + 1) * n_train of it; the held-out
items are taken from its end backwards. So subsets of one n_train are disjoint, subset 0 of a smaller n_train
lies inside that of a larger one, the held-out set is the same for every n_train and subset, and it is
exchangeable with the training set: of MNIST, Fashion-MNIST, CIFAR-10 and CelebA the official training part
serves for both. Draws from a known law form two endless sequences, one for training and one held out.

Integer pixels are brought to [0, 1]; then `x = (pixels - center) * scale`, where `center` is the mean over
the n_train training pictures after resizing and cropping, one number for all channels, as in the paper. Draws
are left as they are.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from memhorizon.arrays import split_key
from memhorizon.distributions import Gaussian, GaussianMixture
from memhorizon.formats import as_tensor, check_values
from memhorizon.images import Skipped, load_images, prepare, stack, usable
from memhorizon.layouts import PictureFiles, list_celeba, list_pictures, read_cifar10, read_digits, read_mnist
from memhorizon.results import InputError
from memhorizon.synthetic import Basis, covariance, draw, power_law, sign_vectors, stream_seed

Name = Literal[
    "digits", "mnist", "fashion-mnist", "cifar10", "celeba", "folder", "file", "gaussian", "mixture"
]
SYNTHETIC = ("gaussian", "mixture")
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
        size: the short side is resized to this many pixels, then the centre cropped to size x size.
        grey: make pictures grey, after resizing and cropping.
        seed: fixes the order of the pictures, the draws and the random basis.
        scale: factor on the centred pixels; 1 is the paper's convention, 2 gives values of order one.
        dim: dimension of the synthetic data.
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
        for word, choices in (("name", get_args(Name)), ("basis", get_args(Basis))):
            if getattr(self, word) not in choices:
                raise InputError(f"{word}: expected one of {', '.join(choices)}, got {getattr(self, word)!r}")
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
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"scale: expected a positive number, got {self.scale}")
        if self.path is not None and self.name in ("digits", *SYNTHETIC):
            raise InputError(f"path: {self.name} is not read from a path, got {self.path!r}")
        if self.name in SYNTHETIC:
            self._check_law()

    def _check_law(self) -> None:
        if self.size is not None or self.grey or self.scale != 1:
            raise InputError(f"size, grey, scale: {self.name} has no pixels, expected None, False and 1")
        if not 1 <= self.components <= 2 ** min(self.dim, 20):
            raise InputError(f"components: expected 1 to 2**dim (at most 2**20), got {self.components}")
        if not (math.isfinite(self.mean) and math.isfinite(self.exponent)):
            raise InputError(f"mean, exponent: expected finite numbers, got {self.mean}, {self.exponent}")
        given = self.eigenvalues
        if given is not None and not (len(given) == self.dim and all(0 < v < math.inf for v in given)):
            raise InputError(f"eigenvalues: expected {self.dim} positive numbers, got {given}")


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
    match config.name:
        case "gaussian" | "mixture":
            return _draw(config)
        case "digits":
            return _from_array(config, *read_digits())
        case "mnist" | "fashion-mnist":
            return _from_array(config, *read_mnist(_folder(config), config.name))
        case "cifar10":
            return _from_array(config, *read_cifar10(_folder(config)))
        case "celeba":
            return _from_files(config, list_celeba(_folder(config)))
        case "folder":
            return _from_files(config, list_pictures(_folder(config)))
        case "file":
            return _from_array(config, load_images(_folder(config)).images, None)


def order(count: int, seed: int) -> Int[Tensor, " count"]:
    """The fixed random order of `count` items."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def _from_array(config: DataConfig, images: Tensor, labels: Tensor | None) -> Split:
    _check_enough(config, len(images), "")
    index = order(len(images), config.seed)
    start = config.subset * config.n_train
    train_index = index[start : start + config.n_train]
    holdout_index = index.flip(0)[: config.n_holdout]
    index = torch.cat([train_index, holdout_index])
    both = prepare(as_tensor(images[index], config.name), size=config.size, grey=config.grey)
    check_values(both, config.name, index)
    return _split(config, both, train_index, holdout_index, labels=labels)


def _from_files(config: DataConfig, files: PictureFiles) -> Split:
    """Decode only as many pictures as it takes, in the order in which the whole set would be used."""
    _check_enough(config, len(files.names), "")
    index, start = order(len(files.names), config.seed).tolist(), config.subset * config.n_train
    skipped: dict[str, str] = {}

    def take(positions: list[int], first: int, count: int) -> Iterator[tuple[int, Tensor]]:
        good = usable(files.read, files.names, positions, skipped=skipped, size=config.size, grey=config.grey)
        return islice(good, first, first + count)

    both = chain(take(index, start, config.n_train), take(index[::-1], 0, config.n_holdout))
    images, positions = stack(both, files.names, count=config.n_train + config.n_holdout)
    if len(set(positions)) < config.n_train + config.n_holdout:  # the two walks met, or one ran out
        _check_enough(config, len(files.names) - len(skipped), f" after {len(skipped):,} unusable pictures")
    place = torch.tensor(positions)
    rows = tuple(Skipped(*row) for row in skipped.items())
    return _split(config, images, place[: config.n_train], place[config.n_train :], skipped=rows)


def _check_enough(config: DataConfig, count: int, remark: str) -> None:
    needed = (config.subset + 1) * config.n_train + config.n_holdout
    if needed > count:
        raise InputError(
            f"n_train, n_holdout, subset: expected (subset + 1) * n_train + n_holdout <= {count:,}, "
            f"all that {config.name} holds{remark}, got ({config.subset} + 1) * {config.n_train} + "
            f"{config.n_holdout} = {needed:,}"
        )


def _split(
    config: DataConfig,
    both: Tensor,
    train_index: Tensor,
    holdout_index: Tensor,
    *,
    labels: Tensor | None = None,
    skipped: tuple[Skipped, ...] = (),
) -> Split:
    train, holdout = both[: config.n_train], both[config.n_train :]
    center = float(np.float32(train.numpy().mean(dtype=np.float64)))  # NumPy's sum does not depend on threads
    return Split(
        config.name,
        (train - center).mul_(config.scale),
        (holdout - center).mul_(config.scale),
        train_index,
        holdout_index,
        center,
        config.scale,
        None if labels is None else labels[train_index],
        skipped,
    )


def _folder(config: DataConfig) -> Path:
    path = FASHION_MNIST if config.name == "fashion-mnist" and config.path is None else config.path
    if path is None:
        raise InputError(f"path: expected the folder or file that holds {config.name}, got None")
    if not split_key(path)[0].exists():
        install = ""
        if config.path is None:
            install = "; install Debian's dataset-fashion-mnist, or give the folder of its four IDX files"
        raise InputError(f"path: no such file or folder as {path}{install}")
    if config.name != "file" and not Path(path).is_dir():
        raise InputError(f"path: expected a folder for {config.name}, got the file {path}")
    return Path(path)


def _draw(config: DataConfig) -> Split:
    law = _law(config)
    start = config.subset * config.n_train
    train = draw(law, start, config.n_train, seed=stream_seed(config.seed, "train"))
    holdout = draw(law, 0, config.n_holdout, seed=stream_seed(config.seed, "holdout"))
    index = torch.arange(start, start + config.n_train), torch.arange(config.n_holdout)
    return Split(config.name, train, holdout, *index, truth=law)


def _law(config: DataConfig) -> Gaussian | GaussianMixture:
    generator = torch.Generator().manual_seed(stream_seed(config.seed, "law"))
    eigenvalues = config.eigenvalues or power_law(config.dim, config.exponent)
    matrix = covariance(eigenvalues, basis=config.basis, generator=generator)
    if config.name == "gaussian":
        return Gaussian(torch.zeros(config.dim, dtype=torch.float64), matrix)
    means = config.mean * sign_vectors(config.components, config.dim, generator=generator)
    weights = torch.full((config.components,), 1 / config.components, dtype=torch.float64)
    return GaussianMixture(means, matrix.repeat(config.components, 1, 1), weights)
