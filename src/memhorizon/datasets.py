"""Data sets with a fixed, named, disjoint train/held-out split.

`load_split(DataConfig(...))` is the one door. All pictures (or draws) form one sequence in a fixed random order that
depends on `seed` alone. The held-out items are its last `n_holdout`; training subset k is items k * n_train to
(k + 1) * n_train. So subsets of one n_train are disjoint, subset 0 of a smaller n_train lies inside that of a larger
one, the held-out set is the same for every n_train and subset, and it is exchangeable with the training set.

Pictures are in [0, 1] before `x = (pixels - center) * scale`, where `center` is the mean grey level of the n training
pictures, one number, as in the paper.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from memhorizon.images import Skipped, prepare
from memhorizon.results import InputError

Name = Literal[
    "digits", "mnist", "fashion-mnist", "cifar10", "celeba", "folder", "file", "gaussian", "mixture"
]
BLOCK = 1024  # synthetic rows are drawn in blocks of this many, so that a prefix never depends on the total


@dataclass(frozen=True)
class DataConfig:
    """Which data, how many, and how they are prepared.

    Attributes:
        name: the data set.
        path: file or folder it is read from; None for what needs none or is found by itself.
        n_train: number of training items.
        n_holdout: number of held-out items.
        subset: which of the disjoint training subsets of this size.
        size: pictures are resized so that the short side has this many pixels, then centre-cropped to size x size.
        grey: make pictures grey, after resizing and cropping.
        seed: fixes the order of the pictures, the draws and the random basis.
        scale: factor on the centred pixels; 1 is the paper's convention, 2 gives values of order one.
        dim: dimension of the synthetic data.
        components: number of Gaussians in the mixture; the means of the first two are +mean and -mean in every
            coordinate, further ones have random distinct signs.
        mean: absolute value of each coordinate of the mixture's means.
        eigenvalues: eigenvalues of the covariance, `dim` of them; None for the power law.
        exponent: otherwise eigenvalue k (from 1) is proportional to k**-exponent, with mean 1; 0 is isotropic.
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
    basis: Literal["axes", "random"] = "axes"

    def __post_init__(self) -> None:
        for word, low in (("n_train", 1), ("n_holdout", 0), ("subset", 0), ("seed", 0), ("dim", 1)):
            if getattr(self, word) < low:
                raise InputError(f"{word}: expected at least {low}, got {getattr(self, word)}")


@dataclass(frozen=True)
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
    truth: Any | None = None

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
    if config.name in ("gaussian", "mixture"):
        return _draw(config)
    return _from_array(config, *_SOURCES[config.name](config))


def order(count: int, seed: int) -> Int[Tensor, " count"]:
    """The fixed random order of `count` items."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def _from_array(config: DataConfig, images: Tensor, labels: Tensor | None) -> Split:
    needed = (config.subset + 1) * config.n_train + config.n_holdout
    if needed > len(images):
        raise InputError(
            f"n_train, n_holdout, subset: expected (subset + 1) * n_train + n_holdout <= {len(images):,}, which is all "
            f"that {config.name} holds, got ({config.subset} + 1) * {config.n_train} + {config.n_holdout} = {needed:,}"
        )
    index = order(len(images), config.seed)
    start = config.subset * config.n_train
    train_index = index[start : start + config.n_train]
    holdout_index = index[len(index) - config.n_holdout :]
    train, holdout = (
        prepare(images[i], size=config.size, grey=config.grey) for i in (train_index, holdout_index)
    )
    center = float(train.double().mean())
    return Split(
        config.name,
        (train - center) * config.scale,
        (holdout - center) * config.scale,
        train_index,
        holdout_index,
        center,
        config.scale,
        None if labels is None else labels[train_index],
    )


def _digits(config: DataConfig) -> tuple[Tensor, Tensor]:
    with (
        resources.as_file(resources.files("memhorizon") / "data" / "digits.npz") as path,
        np.load(path, allow_pickle=False) as file,
    ):
        images, labels = torch.from_numpy(file["images"]), torch.from_numpy(file["labels"])
    return images[:, None].float() / 16, labels.long()


_SOURCES: dict[str, Callable[[DataConfig], tuple[Tensor, Tensor | None]]] = {"digits": _digits}


def _draw(config: DataConfig) -> Split:
    truth = _truth(config)
    start = config.subset * config.n_train
    train = _stream(truth, start + config.n_train, seed=_seed(config.seed, 0))[start:]
    holdout = _stream(truth, config.n_holdout, seed=_seed(config.seed, 1))
    index = torch.arange(start, start + config.n_train), torch.arange(config.n_holdout)
    return Split(config.name, train, holdout, *index, truth=truth)


def _stream(truth: Any, count: int, *, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    blocks = [truth.sample(BLOCK, generator=generator).float() for _ in range(math.ceil(count / BLOCK))]
    return torch.cat([*blocks, torch.empty(0, truth.dim)])[:count].clone()


def _seed(seed: int, stream: int) -> int:
    return int(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _truth(config: DataConfig) -> Any:
    from memhorizon.distributions import Gaussian, GaussianMixture

    generator = torch.Generator().manual_seed(_seed(config.seed, 2))
    covariance = _covariance(config, generator)
    if config.name == "gaussian":
        return Gaussian(torch.zeros(config.dim, dtype=torch.float64), covariance)
    signs = [torch.ones(config.dim), -torch.ones(config.dim)][: config.components]
    while len(signs) < config.components:
        new = torch.randint(0, 2, (config.dim,), generator=generator) * 2.0 - 1
        if not any(torch.equal(new, old) for old in signs):
            signs.append(new)
    means = config.mean * torch.stack(signs).double()
    weights = torch.full((config.components,), 1 / config.components, dtype=torch.float64)
    return GaussianMixture(means, covariance.expand(config.components, -1, -1).clone(), weights)


def _covariance(config: DataConfig, generator: torch.Generator) -> Float[Tensor, "dim dim"]:
    if config.eigenvalues is None:
        eigenvalue = torch.arange(1, config.dim + 1, dtype=torch.float64) ** -config.exponent
        eigenvalue = eigenvalue / eigenvalue.mean()
    else:
        eigenvalue = torch.tensor(config.eigenvalues, dtype=torch.float64)
    if config.basis == "axes":
        return torch.diag(eigenvalue)
    normal = torch.randn(config.dim, config.dim, dtype=torch.float64, generator=generator)
    q, r = torch.linalg.qr(normal)
    q = q * torch.diagonal(r).sign()  # with R's diagonal positive, Q is uniform (Haar) on the rotations
    return (q * eigenvalue) @ q.T
