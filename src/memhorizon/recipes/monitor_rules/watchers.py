"""Several monitors of one training, none of which notices the time of the others."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from torch import Tensor, nn

from memhorizon.monitor.isolation import synchronize
from memhorizon.monitor.monitor import Monitor
from memhorizon.recipes.monitor_rules.suite import Training
from memhorizon.recipes.monitor_rules.truth import SAMPLER, TARGET


class Timer:
    """A timer that stands still while others look."""

    def __init__(self) -> None:
        self.left_out = 0.0

    def __call__(self) -> float:
        """The time in seconds, less what is left out."""
        return perf_counter() - self.left_out


@dataclass
class Watcher:
    """A monitor, its timer, and the weights at what it said.

    Attributes:
        monitor: that is told of every update.
        timer: of it.
        stop_step: where the training was over for it; -1 for nowhere so far.
        said_stop: whether because it said stop.
        best_step: its best checkpoint; -1 for none.
        overhead_at_stop: there.
        weights: of the steps that are to be checked.
    """

    monitor: Monitor
    timer: Timer
    stop_step: int = -1
    said_stop: bool = False
    best_step: int = -1
    overhead_at_stop: float = math.nan
    weights: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    def update(self, step: int, network: nn.Module) -> None:
        """Tell the monitor of an update, and keep what it points at until it says stop."""
        if self.stop_step >= 0 or self.monitor.update(step, network) is None:
            return
        best = self.monitor.best
        if best is not None and best.step != self.best_step:
            self.weights.pop(self.best_step, None)
            self.best_step = best.step
            self.weights[step] = weights_of(network)
        if self.monitor.should_stop:
            self.end(step, network)

    def end(self, step: int, network: nn.Module) -> None:
        """The training is over for this monitor."""
        self.stop_step = step
        self.said_stop = self.monitor.should_stop
        self.overhead_at_stop = self.monitor.overhead
        self.weights[step] = weights_of(network)
        candidate = dict(self.monitor._keeper.candidate)
        best = self.monitor.finish(network)
        if best is not None and best.step != self.best_step:
            self.best_step = best.step
            self.weights[best.step] = {**weights_of(network), **candidate}


class Watchers:
    """The watchers of one training.

    Attributes:
        every: the watchers.
        aside: seconds that were not those of the training.
    """

    def __init__(self, every: Sequence[Watcher]) -> None:
        self.every = every
        self.aside = 0.0

    def update(self, step: int, network: nn.Module) -> None:
        """Tell each of an update."""
        for watcher in self.every:
            with self.standing(but=watcher):
                watcher.update(step, network)

    @contextmanager
    def standing(self, but: Watcher | None = None) -> Iterator[None]:
        """The timers of all watchers but one stand still here."""
        synchronize()
        start = perf_counter()
        yield
        synchronize()
        seconds = perf_counter() - start
        self.aside += seconds
        for other in self.every:
            if other is not but:
                other.timer.left_out += seconds


def watcher_of(
    training: Training, train: Tensor, holdout: Tensor, budget: float, *, n_updates: int | None = None
) -> Watcher:
    """The watcher of a training with a budget."""
    timer = Timer()
    monitor = Monitor(
        train,
        holdout=holdout,
        denoiser=lambda network: training.denoiser(_module(network)),
        sampler=SAMPLER,
        target=TARGET,
        budget=budget,
        seed=training.seed,
        batch_size=1000,
        n_updates=n_updates,
        timer=timer,
    )
    return Watcher(monitor, timer)


def _module(network: object) -> nn.Module:
    assert isinstance(network, nn.Module)
    return network


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
