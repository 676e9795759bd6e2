"""A class-conditional network for vectors, its training with labels, and samples with guidance.

Source: [ho2022] Alg. 1, Eq. (6)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from memhorizon.datasets.synthetic import draw, stream_seed
from memhorizon.diffusion import Model
from memhorizon.distributions import Gaussian
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.measure.memorization import gap_ratios
from memhorizon.measure.truth import kl_divergence
from memhorizon.networks.embedding import seeded
from memhorizon.networks.mlp import ResidualMLP
from memhorizon.recipes.snapshots import finite, generate, marks_of, mlp_of, stops

CLASSES = 2
DROP = 0.1  # share of the labels that is withheld


@dataclass(frozen=True)
class Case:
    """How the classes differ.

    Attributes:
        variances: of each class.
        share: of the training items that is of class 1.
    """

    variances: tuple[float, float] = (1.0, 1.0)
    share: float = 0.5


@dataclass(frozen=True)
class Seen:
    """What the samples of a class showed at one snapshot.

    Attributes:
        count: samples that are copies.
        total: finite samples.
        kl: KL from the samples to the Gaussian of the class; None with guidance.
        kl_error: its standard error.
    """

    count: int
    total: int
    kl: float | None = None
    kl_error: float | None = None


@dataclass(frozen=True)
class ClassCurve:
    """One class at one guidance.

    Attributes:
        label: of the class.
        scale: guidance w.
        items: training items of the class.
        null: fresh draws of the class that count as copies, and of how many.
        seen: at each snapshot. [m]
    """

    label: int
    scale: float
    items: int
    null: tuple[int, int]
    seen: tuple[Seen, ...]


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        step: the snapshots. [m]
        curves: of each class and guidance.
    """

    step: tuple[int, ...]
    curves: tuple[ClassCurve, ...]


class ConditionalMLP(nn.Module):
    """The residual MLP with a vector for each class, and one for no class, added to that of the time."""

    def __init__(self, net: ResidualMLP, width: int):
        super().__init__()
        self.net = net
        self.label = nn.Embedding(CLASSES + 1, width)

    def forward(self, x: Tensor, index: Tensor, label: Tensor) -> Tensor:
        """Predict the noise in x [batch, dim] given label [batch]; CLASSES is no class."""
        h = self.net.inlet(x)
        time = self.net.time(index, len(x)) + self.label(label)
        for block in self.net.blocks:
            h = block(h, time)
        return self.net.outlet(h)


class Labelled(nn.Module):
    """A conditional network on a training set whose labels are known, one in ten of them withheld.

    It must be called on the whole training set, in order. What is withheld is drawn from the global
    generator, which `train` seeds for every step as it does for dropout.
    """

    labels: Tensor

    def __init__(self, net: ConditionalMLP, labels: Tensor):
        super().__init__()
        self.net = net
        self.register_buffer("labels", labels)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Predict the noise in x [n, dim]."""
        if len(x) != len(self.labels):
            raise InputError(f"batch_size: expected the full batch of {len(self.labels)}, got {len(x)}")
        withheld = torch.rand(len(x), device=x.device) < DROP
        return self.net(x, index, self.labels.masked_fill(withheld, CLASSES))


def guided(net: Callable[[Tensor, Tensor, Tensor], Tensor], label: int, scale: float) -> Model:
    """The model of one class with guidance w = scale.

    Source: [ho2022] Eq. (6)
    """

    def model(x: Tensor, index: Tensor) -> Tensor:
        given = net(x, index, torch.full((len(x),), label, device=x.device))
        if scale == 0:
            return given
        # eps = (1 + w) eps(x, class) - w eps(x, no class)
        free = net(x, index, torch.full((len(x),), CLASSES, device=x.device))
        return (1 + scale) * given - scale * free

    return model


def distributions_of(case: Case, dim: int) -> list[Gaussian]:
    """The Gaussian of each class, N(+1, variance) and N(-1, variance) in every coordinate."""
    one = torch.ones(dim, dtype=torch.float64)
    eye = torch.eye(dim, dtype=torch.float64)
    pairs = zip((one, -one), case.variances, strict=True)
    return [Gaussian(mean, variance * eye) for mean, variance in pairs]


@dataclass(frozen=True)
class Classes:
    """The training items of both classes and fresh draws of each class.

    Attributes:
        distributions: of each class.
        items: training items. [n, dim]
        labels: of the items. [n]
        fresh: draws of each class that are not trained on. [m, dim] each
    """

    distributions: list[Gaussian]
    items: Tensor
    labels: Tensor
    fresh: list[Tensor]

    @classmethod
    def of(cls, case: Case, own: Config) -> "Classes":
        """Draw those of one seed."""
        distributions = distributions_of(case, own.data.dim)
        rare = round(case.share * own.data.n_train)
        counts = (own.data.n_train - rare, rare)

        def drawn(label: int, count: int, stream: Literal["train", "holdout"]) -> Tensor:
            seed = stream_seed(own.seed * CLASSES + label, stream)
            return draw(distributions[label], 0, count, seed=seed)

        items = torch.cat([drawn(label, count, "train") for label, count in enumerate(counts)])
        labels = torch.arange(CLASSES).repeat_interleave(torch.tensor(counts))
        fresh = [drawn(label, own.measure.n_samples, "holdout") for label in range(CLASSES)]
        return cls(distributions, items, labels, fresh)

    def copies(self, points: Tensor, threshold: float) -> int:
        """How many points copy an item of either class."""
        return int((gap_ratios(points, self.items) < threshold).sum())


def class_samples(net: ConditionalMLP, label: int, scale: float, own: Config, device: torch.device) -> Tensor:
    """Finite samples of one class, each class with its seeds, [m, dim]."""
    first = label * own.measure.n_samples
    return finite(generate(guided(net, label, scale), (own.data.dim,), own, device, first=first))


def train_case(case: Case, own: Config, scales: Sequence[float], device: torch.device) -> Training:
    """Train on labelled items; at every snapshot count the copies of each class at each guidance."""
    classes = Classes.of(case, own)
    net = network_of(own)
    settings = [(label, scale) for label in range(CLASSES) for scale in scales]
    seen: dict[tuple[int, float], list[Seen]] = {setting: [] for setting in settings}
    for _ in stops(Labelled(net, classes.labels), classes.items, own, device):
        for label, scale in settings:
            made = class_samples(net, label, scale, own, device)
            seen[label, scale].append(look(made, classes, label, scale, own.measure.threshold))
    curves = [curve_of(classes, *setting, own, found) for setting, found in seen.items()]
    return Training(tuple(marks_of(own)), tuple(curves))


def network_of(own: Config) -> ConditionalMLP:
    """A new network."""
    inner = mlp_of(own, (own.data.dim,))
    with seeded(own.seed):
        return ConditionalMLP(inner, inner.inlet.out_features)


def look(made: Tensor, classes: Classes, label: int, scale: float, threshold: float) -> Seen:
    """Copies among the samples of a class and, without guidance, KL from them to its Gaussian."""
    count = classes.copies(made, threshold)
    if scale:
        return Seen(count, len(made))
    kl = kl_divergence(made, classes.distributions[label])
    return Seen(count, len(made), kl.value, kl.standard_error)


def curve_of(classes: Classes, label: int, scale: float, own: Config, found: Sequence[Seen]) -> ClassCurve:
    """What was seen of a class, beside its null."""
    fresh = classes.fresh[label]
    null = (classes.copies(fresh, own.measure.threshold), len(fresh))
    return ClassCurve(label, scale, int((classes.labels == label).sum()), null, tuple(found))
