"""A class-conditional network for vectors, its training with labels, and samples with guidance.

Source: [ho2022] Alg. 1, Eq. (6)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

import torch
from torch import Tensor, nn

from memhorizon.datasets.synthetic import draw, stream_seed
from memhorizon.diffusion import Model
from memhorizon.distributions import Gaussian
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.observe import SAMPLE_SEED
from memhorizon.experiments.run import environment, snapshot_steps
from memhorizon.measure.memorization import gap_ratios
from memhorizon.measure.truth import kl_divergence
from memhorizon.networks.embedding import seeded
from memhorizon.networks.mlp import MLPConfig, ResidualMLP
from memhorizon.recipes.parts import Part
from memhorizon.samplers import sample
from memhorizon.training import TrainState, train

CLASSES, DROP = 2, 0.1


@dataclass(frozen=True)
class Case:
    """How the classes differ: variances, and the share of the training items that is of class 1."""

    variances: tuple[float, float] = (1.0, 1.0)
    share: float = 0.5


class ConditionalMLP(nn.Module):
    """The residual MLP with a vector for each class, and one for no class, added to that of the time."""

    def __init__(self, net: ResidualMLP, width: int):
        super().__init__()
        self.net, self.label = net, nn.Embedding(CLASSES + 1, width)

    def forward(self, x: Tensor, index: Tensor, label: Tensor) -> Tensor:
        """Predict the noise in x [batch, dim] given label [batch]; CLASSES stands for no class."""
        h, time = self.net.inlet(x), self.net.time(index, len(x)) + self.label(label)
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
        withheld = torch.rand(len(x)) < DROP
        return self.net(x, index, self.labels.masked_fill(withheld, CLASSES))


def guided(net: ConditionalMLP, label: int, scale: float) -> Model:
    """The model of one class with guidance w = scale.

    Source: [ho2022] Eq. (6)
    """

    def model(x: Tensor, index: Tensor) -> Tensor:
        given = net(x, index, torch.full((len(x),), label))
        if scale == 0:
            return given
        return (1 + scale) * given - scale * net(x, index, torch.full((len(x),), CLASSES))

    return model


def laws_of(case: Case, dim: int) -> list[Gaussian]:
    """The Gaussian of each class."""
    one, eye = torch.ones(dim, dtype=torch.float64), torch.eye(dim, dtype=torch.float64)
    pairs = zip((one, -one), case.variances, strict=True)
    return [Gaussian(mean, variance * eye) for mean, variance in pairs]


@dataclass(frozen=True)
class Classes:
    """The training items of both classes, their labels, and fresh draws of each class."""

    laws: list[Gaussian]
    items: Tensor
    labels: Tensor
    fresh: list[Tensor]

    @classmethod
    def of(cls, case: Case, own: Config) -> "Classes":
        """Draw those of one seed."""
        laws = laws_of(case, own.data.dim)
        rare = round(case.share * own.data.n_train)
        counts = (own.data.n_train - rare, rare)

        def drawn(label: int, count: int, stream: Literal["train", "holdout"]) -> Tensor:
            return draw(laws[label], 0, count, seed=stream_seed(own.seed * CLASSES + label, stream))

        return cls(
            laws,
            torch.cat([drawn(label, count, "train") for label, count in enumerate(counts)]),
            torch.arange(CLASSES).repeat_interleave(torch.tensor(counts)),
            [drawn(label, own.measure.n_samples, "holdout") for label in range(CLASSES)],
        )


def class_samples(net: ConditionalMLP, label: int, scale: float, own: Config) -> Tensor:
    """Finite samples of one class; the classes have seeds of their own, [m, dim]."""
    start = SAMPLE_SEED + label * own.measure.n_samples
    made = sample(
        guided(net, label, scale),
        (own.data.dim,),
        schedule=own.schedule.build(),
        seeds=range(start, start + own.measure.n_samples),
        sampler=own.measure.sampler,
        device="cpu",
    )
    return made[made.isfinite().all(1)]


def train_case(case: Case, own: Config, scales: Sequence[float]) -> Part:
    """Train on labelled items; at every snapshot count the copies of each class at each guidance."""
    begun, classes = perf_counter(), Classes.of(case, own)
    assert isinstance(own.model, MLPConfig)
    inner = own.model.build((own.data.dim,), seed=own.seed)
    with seeded(own.seed):
        net = ConditionalMLP(inner, own.model.width)
    state = TrainState.new(Labelled(net, classes.labels), own.optimizer)
    marks = snapshot_steps(own.measure.first, own.train.n_updates, own.measure.snapshots)

    def copies(points: Tensor) -> int:
        return int((gap_ratios(points, classes.items) < own.measure.threshold).sum())

    curves: list[dict[str, Any]] = [
        {
            "class": label,
            "scale": scale,
            "items": int((classes.labels == label).sum()),
            "null": [copies(classes.fresh[label]), len(classes.fresh[label])],
            **{name: [] for name in ("count", "total", "kl", "kl_error")},
        }
        for label in range(CLASSES)
        for scale in scales
    ]
    for step in train(state, classes.items, schedule=own.schedule.build(), config=own.train, seed=own.seed):
        for curve in curves if step.step in marks else ():
            made = class_samples(net, curve["class"], curve["scale"], own)
            curve["count"].append(copies(made))
            curve["total"].append(len(made))
            if curve["scale"] == 0:
                kl = kl_divergence(made, classes.laws[curve["class"]])
                curve["kl"].append(kl.value)
                curve["kl_error"].append(kl.standard_error)
    return {
        "step": marks,
        "curves": curves,
        "seconds": perf_counter() - begun,
        "environment": environment() | {"device": "cpu"},  # smaller than what an accelerator is good for
    }
