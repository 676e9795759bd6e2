"""The images of the suite: training and held-out ones, honest samples, and samples with planted copies."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from memhorizon.auditing.planted import EDITS, Planted, doubled, planted
from memhorizon.datasets.sources import FASHION_MNIST
from memhorizon.files.layouts import read_digits, read_mnist
from memhorizon.measure.duplicates import duplicate_groups
from memhorizon.measure.neighbors import nearest_of

Group = Literal["quick", "audit", "slow", "likelihood"]  # of tools that judge a run together
GROUPS: tuple[Group, ...] = get_args(Group)
REPEATED: tuple[Group, ...] = ("quick",)  # judge every repetition of an edit, the others the first
NO_EDIT = ""  # of a run of honest samples
DIRECTIONS = 64  # main ones, of the features: as many as dgm-eval takes for C_T
NEIGHBOURS = 50  # of a sample that are looked up: as many as calibrated L2 asks for
COPIED_TWICE = "noise 0.05"  # the edit of the copies of images that occur twice
TWICE = {f"{COPIED_TWICE}, of one that occurs twice": False, f"{COPIED_TWICE}, of one with a twin": True}


@dataclass(frozen=True)
class Suite:
    """What is planted where.

    Attributes:
        data: the images: "fashion-mnist" or "digits".
        n_train: training images.
        n_holdout: held-out images for the tools that want some.
        n_samples: samples of a run.
        copies: how many of them are copies.
        honest_runs: runs without copies: the null of the tools that give one number.
        repetitions: runs of each edit.
        edits: names of EDITS and of TWICE.
        groups: of the tools that judge its runs.
        left_out: names of tools that take too long for it.
    """

    data: str
    n_train: int
    n_holdout: int
    n_samples: int
    copies: int
    honest_runs: int
    repetitions: int
    edits: tuple[str, ...]
    groups: tuple[Group, ...] = GROUPS
    left_out: tuple[str, ...] = ()


HERE = Suite("fashion-mnist", 10_000, 10_000, 1_000, 50, 20, 2, (*EDITS, *TWICE), ("quick", "audit"))
LEARNED = ("audit", "audit, aligned")  # take half a minute to learn the descriptor
TINY = Suite("digits", 600, 300, 120, 20, 5, 1, ("exact", "flip", *TWICE), left_out=LEARNED)


@dataclass(frozen=True)
class Run:
    """One set of samples.

    Attributes:
        edit: of the copies; empty where there are none.
        number: of the run among those of its edit.
    """

    edit: str
    number: int


def runs_of(suite: Suite) -> Iterator[Run]:
    """The honest runs, then those of every edit."""
    yield from (Run(NO_EDIT, k) for k in range(suite.honest_runs))
    yield from (Run(edit, k) for edit in suite.edits for k in range(suite.repetitions))


@dataclass(frozen=True, eq=False)
class Real:
    """What the tools are given beside the samples.

    Attributes:
        train: training images.
        holdout: held-out images.
    """

    train: Float[Tensor, "n c h w"]
    holdout: Float[Tensor, "n2 c h w"]

    @cached_property
    def spacing(self) -> Float[Tensor, " n"]:
        """Distance of each training image to the nearest other one."""
        return nearest_of(self.train, self.train, 2)[0][:, 1]

    @cached_property
    def group(self) -> Int[Tensor, " n"]:
        """Number of the group of near-duplicates of each."""
        return duplicate_groups(self.train)

    @cached_property
    def directions(self) -> Float[Tensor, "d k"]:
        """The main directions of the training images, the first one first."""
        x = self.train.flatten(1).double()
        _, vectors = torch.linalg.eigh(torch.cov(x.T))
        return vectors.flip(1)[:, :DIRECTIONS].float()

    @cached_property
    def table(self) -> Float[Tensor, "n k"]:
        """The training images along their main directions."""
        return self.along(self.train)

    @cached_property
    def holdout_table(self) -> Float[Tensor, "n k"]:
        """The held-out images along these directions."""
        return self.along(self.holdout)

    def along(self, images: Float[Tensor, "m c h w"]) -> Float[Tensor, "m k"]:
        """Images along the main directions: a table of few columns, or features that need no weights."""
        return images.flatten(1) @ self.directions


@dataclass(frozen=True, eq=False)
class Case:
    """One set of samples, and what it is compared with.

    Attributes:
        real: training and held-out images.
        samples: images some of which may be copies.
        is_copy: which are.
        folder: for what a tool keeps from case to case; None for nothing.
    """

    real: Real
    samples: Float[Tensor, "m c h w"]
    is_copy: Bool[Tensor, " m"]
    folder: Path | None = None

    @cached_property
    def nearest(self) -> tuple[Float[Tensor, "m K"], Int[Tensor, "m K"]]:
        """Distances to the nearest training images, ascending, and which these are."""
        return nearest_of(self.samples, self.real.train, NEIGHBOURS)

    @cached_property
    def table(self) -> Float[Tensor, "m k"]:
        """The samples along the main directions of the training images."""
        return self.real.along(self.samples)


def case_of(suite: Suite, run: Run, folder: Path | None = None) -> Case:
    """The samples of a run: the same honest ones for every edit, with copies in the same places."""
    if run.edit == NO_EDIT:
        samples = honest_of(suite, run.number)
        return Case(real_of(suite), samples, torch.zeros(len(samples), dtype=torch.bool), folder)
    honest = honest_of(suite, suite.honest_runs + run.number)
    real = real_of(suite)
    generator = torch.Generator().manual_seed(run.number)
    if run.edit in TWICE:
        train, twice = doubled(real.train, suite.copies, generator=generator, near=TWICE[run.edit])
        found = _planted(suite, honest, train, COPIED_TWICE, generator, twice)
        return Case(Real(train, real.holdout), found.samples, found.is_copy, folder)
    found = _planted(suite, honest, real.train, run.edit, generator)
    return Case(real, found.samples, found.is_copy, folder)


def _planted(
    suite: Suite,
    honest: Float[Tensor, "m c h w"],
    train: Float[Tensor, "n c h w"],
    edit: str,
    generator: torch.Generator,
    among: Int[Tensor, " k"] | None = None,
) -> Planted:
    return planted(honest, train, edit, count=suite.copies, generator=generator, among=among)


@cache
def real_of(suite: Suite) -> Real:
    """Training and held-out images, drawn at random from one set."""
    images = _images(suite.data)
    train, holdout = images[: suite.n_train + suite.n_holdout].split([suite.n_train, suite.n_holdout])
    return Real(train, holdout)


def honest_of(suite: Suite, number: int) -> Float[Tensor, "m c h w"]:
    """Images of that set which are neither; those of two numbers are disjoint."""
    start = suite.n_train + suite.n_holdout + number * suite.n_samples
    return _images(suite.data)[start : start + suite.n_samples]


@cache
def _images(data: str) -> Float[Tensor, "n c h w"]:
    """All images of a set, in [0, 1], in an order that is random but fixed."""
    images = read_digits()[0] if data == "digits" else read_mnist(Path(FASHION_MNIST), data)[0].float() / 255
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]
