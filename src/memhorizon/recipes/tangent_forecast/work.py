"""What is done for one run: its first part again, then on with its network linear in its weights."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from memhorizon.datasets.split import Split, load_split
from memhorizon.experiments.config import Config
from memhorizon.experiments.rows import reference_of
from memhorizon.measure.config import MeasureConfig
from memhorizon.measure.reference import Reference
from memhorizon.measure.snapshot import Observation, observe
from memhorizon.recipes.tangent_forecast.rows import LEVEL, Way
from memhorizon.schedule import Schedule
from memhorizon.tangent import TangentFlow, learning_rates, tangent_flow, tangent_state
from memhorizon.training import TrainState, at_marks, train

THIRD = 1 / 9  # of the squared distance, where the distance is a third: the ratio at which a sample is a copy
LONGEST = 1e9  # steps


@dataclass(frozen=True)
class Task:
    """One run and how to continue it.

    Attributes:
        config: of the run.
        way: how.
        begun: the step at which the derivative is taken.
        marks: further snapshots.
        noises: noised versions of each item, by the spectrum.
        nodes: of the quadrature, by the spectrum.
        n_samples: at each snapshot.
    """

    config: Config
    way: Way
    begun: int
    marks: tuple[int, ...]
    noises: int
    nodes: int
    n_samples: int


@dataclass(frozen=True)
class Shown:
    """What one linear network showed.

    Attributes:
        step: of training.
        train: its training loss.
        holdout: its held-out loss.
        copies: samples that are copies.
        total: finite samples.
    """

    step: int
    train: float
    holdout: float
    copies: int
    total: int


@dataclass(frozen=True)
class Continued:
    """A run continued.

    Attributes:
        shown: at each snapshot, the first where the derivative is taken.
        third: the step at which the distance from the perfect memorizer is a third; None where unknown.
        rates: nodes of the quadrature; empty if trained.
        weights: of these.
    """

    shown: tuple[Shown, ...]
    third: float | None = None
    rates: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()

    @property
    def step(self) -> Float[np.ndarray, " m"]:
        """Of each snapshot."""
        return np.array([float(shot.step) for shot in self.shown])

    @property
    def train(self) -> Float[np.ndarray, " m"]:
        """Training losses."""
        return np.array([shot.train for shot in self.shown])

    @property
    def holdout(self) -> Float[np.ndarray, " m"]:
        """Held-out losses."""
        return np.array([shot.holdout for shot in self.shown])

    @property
    def memorized(self) -> Float[np.ndarray, " m"]:
        """Memorized fractions."""
        return np.array([shot.copies / shot.total for shot in self.shown])


@dataclass(frozen=True)
class Bench:
    """What a run is made and measured with."""

    config: Config
    split: Split
    schedule: Schedule
    reference: Reference
    settings: MeasureConfig

    def shown(self, network: nn.Module, step: int) -> Shown:
        """What a network shows."""
        seen = observe(
            network,
            self.reference,
            settings=self.settings,
            schedule=self.schedule,
            prediction=self.config.train.prediction,
        )
        return _shown(seen, step)

    def steps(self, state: TrainState, marks: Sequence[int]) -> Iterator[int]:
        """Train on to each of these marks."""
        lasting = replace(self.config.train, n_updates=max(marks))
        made = train(state, self.split.train, schedule=self.schedule, config=lasting, seed=self.config.seed)
        for step in at_marks(made, marks):
            yield step.step


def _shown(seen: Observation, step: int) -> Shown:
    found = seen.memorized
    count, total = (0, 1) if found is None else (found.count, found.total)
    return Shown(step, seen.train[0].value, seen.holdout[0].value, count, total)


def continued(task: Task, device: torch.device) -> Continued:
    """Train a run to where the derivative is taken, and go on linearly."""
    bench = _bench(task, device)
    network = task.config.model.build(bench.split.item_shape, seed=task.config.seed).to(device)
    state = TrainState.new(network, task.config.optimizer)
    for _ in bench.steps(state, [task.begun]):
        pass
    first = bench.shown(network, task.begun)
    if task.way == "trained":
        return Continued((first, *_trained(bench, state, task)))
    return _by_spectrum(bench, state, task, first)


def _bench(task: Task, device: torch.device) -> Bench:
    """The data of a run, and how it is measured: by its losses at one level, and its samples."""
    split = _split_on(task, device)
    reference = replace(reference_of(split), truth=None)
    return Bench(task.config, split, task.config.schedule.build(), reference, _settings(task))


def _split_on(task: Task, device: torch.device) -> Split:
    split = load_split(task.config.data)
    return replace(split, train=split.train.to(device), holdout=split.holdout.to(device))


def _settings(task: Task) -> MeasureConfig:
    return replace(task.config.measure, n_samples=task.n_samples, diffusion_times=(LEVEL,))


def _trained(bench: Bench, state: TrainState, task: Task) -> Iterator[Shown]:
    """The tangent of the network, trained on with the batches, noise and optimizer of the run."""
    linear = tangent_state(state, task.config.optimizer)
    for step in bench.steps(linear, task.marks):
        yield bench.shown(linear.model, step)


def _by_spectrum(bench: Bench, state: TrainState, task: Task, first: Shown) -> Continued:
    """The gradient flow of the tangent, by its kernel."""
    flow = tangent_flow(
        state.model,
        bench.split.train,
        learning_rates(state.optimizer),
        schedule=bench.schedule,
        noises=task.noises,
        size=task.nodes,
        prediction=task.config.train.prediction,
    )
    later = (bench.shown(flow.model(step - task.begun), step) for step in task.marks)
    found = flow.krylov
    return Continued(
        (first, *later),
        third=_third(flow, task.begun),
        rates=tuple(found.eigenvalues.tolist()),
        weights=tuple(found.weights.tolist()),
    )


def _third(flow: TangentFlow, begun: int) -> float | None:
    """The step at which the outputs are three times nearer to the perfect memorizer's than at the start."""
    grid = np.geomspace(1.0, LONGEST, 2000)
    excess = flow.excess(grid.tolist())
    below = np.flatnonzero(excess <= THIRD * flow.excess([0.0])[0])
    return begun + float(grid[below[0]]) if len(below) else None
