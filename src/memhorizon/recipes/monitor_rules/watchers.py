"""Several monitors of one training, none of which notices the time of the others."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import process_time

from torch import Tensor, nn

from memhorizon.datasets.split import Split
from memhorizon.monitor.isolation import synchronize
from memhorizon.monitor.monitor import Monitor
from memhorizon.recipes.monitor_rules.suite import N_HOLDOUT, Training
from memhorizon.recipes.monitor_rules.truth import SAMPLER, TARGET


class Timer:
    """A timer of processor time, stopped while others look: what else the machine does is no cost."""

    def __init__(self) -> None:
        self.left_out = 0.0

    def __call__(self) -> float:
        """The processor time in seconds, less what is left out."""
        return process_time() - self.left_out


@dataclass
class Watcher:
    """A monitor, its timer, and the weights where it stopped and of its best checkpoint.

    Attributes:
        monitor: that is told of every update.
        timer: of it.
        stop_step: where the training was over for it; -1 for nowhere so far.
        has_stopped: whether because it said to stop.
        best_step: its best checkpoint; -1 for none.
        overhead_at_stop: there.
        weights: of the steps that are to be checked.
    """

    monitor: Monitor
    timer: Timer
    stop_step: int = -1
    has_stopped: bool = False
    best_step: int = -1
    overhead_at_stop: float = math.nan
    weights: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    def update(self, step: int, network: nn.Module) -> None:
        """Tell the monitor of an update, and keep what it points at until it says stop."""
        if self.stop_step >= 0 or self.monitor.update(step, network) is None:
            return
        self.keep(step, network)
        if self.monitor.should_stop:
            self.end(step, network)

    def keep(self, step: int, network: nn.Module) -> None:
        """Keep the weights of the best checkpoint: those of now, or those that the monitor kept."""
        best = self.monitor.best
        if best is None or best.step == self.best_step:
            return
        if self.best_step != self.stop_step:  # those of the stop are checked too
            self.weights.pop(self.best_step, None)
        self.best_step = best.step
        kept = {} if best.step == step else self.monitor._keeper.candidate_weights(best.step)
        self.weights[best.step] = {**weights_of(network), **kept}

    def end(self, step: int, network: nn.Module) -> None:
        """The training is over for this monitor, if it was not before."""
        if self.stop_step >= 0:
            return
        self.stop_step = step
        self.has_stopped = self.monitor.should_stop
        self.overhead_at_stop = self.monitor.overhead
        self.weights[step] = weights_of(network)
        self.monitor.finish(network)
        self.keep(step, network)


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
            with self.paused(but=watcher):
                watcher.update(step, network)

    def end(self, step: int, network: nn.Module) -> None:
        """The training is over for all."""
        for watcher in self.every:
            watcher.end(step, network)

    @contextmanager
    def paused(self, but: Watcher | None = None) -> Iterator[None]:
        """The timers of all watchers but one are stopped here."""
        synchronize()
        start = process_time()
        yield
        synchronize()
        seconds = process_time() - start
        self.aside += seconds
        for other in self.every:
            if other is not but:
                other.timer.left_out += seconds


def watcher_of(training: Training, split: Split, budget: float, *, n_updates: int | None = None) -> Watcher:
    """The watcher of a training with a budget."""
    timer = Timer()
    monitor = Monitor(
        split.train,
        holdout=split.holdout[:N_HOLDOUT],
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
