"""One training, watched by two monitors and by everything that other rules look at.

Neither is told to stop: the training goes on until copies are common, so that what each rule would have
stopped at is known, and what was there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from memhorizon.datasets.split import Split
from memhorizon.denoiser import Denoiser
from memhorizon.eval_mode import eval_mode
from memhorizon.measure.features import pca_features
from memhorizon.measure.quality import frechet_distance
from memhorizon.monitor.copies import CopyFinder
from memhorizon.monitor.isolation import isolated, synchronize
from memhorizon.monitor.monitor import Monitor
from memhorizon.monitor.rules import FIXED, PER_ITEM
from memhorizon.monitor.signals import Losses, Probe, measure_losses, stable_rank
from memhorizon.recipes.monitor_rules.suite import N_HOLDOUT, Samples, Training
from memhorizon.records.monitor import Stop
from memhorizon.samplers import SamplerConfig, sample

SAMPLER = SamplerConfig("ddim", 15)
TARGET = 0.01
BUDGETS = (0.05, 0.5)
FIRST = 20
RATIO = 1.25  # of the steps of two snapshots
N_TEST_ROWS = 512
TRUTH_SEED = 3_000_000_000
SNAPSHOT_SEED = 2_000_000_000
DVAR_EVERY = 5  # steps
DVAR_ITEMS = 16
DIRECTIONS = 16


@dataclass(frozen=True)
class Snapshot:
    """What the rules look at, and the truth, at one step.

    Attributes:
        step: updates done.
        train: loss of training items on fixed noise.
        holdout: loss of the held-out items that the rules see.
        gap: held-out minus training loss, as a share of the held-out loss.
        gap_error: its standard error.
        test: loss of test items that no rule sees.
        stable_rank: of the weights.
        frechet: Frechet distance of the samples to the training items.
        copies: of the samples.
        total: samples.
    """

    step: int
    train: float
    holdout: float
    gap: float
    gap_error: float
    test: float
    stable_rank: float
    frechet: float
    copies: int
    total: int

    @property
    def holdout_loss(self) -> float:
        """As the rules call it."""
        return self.holdout


@dataclass(frozen=True)
class Checked:
    """The truth at a step that a monitor stopped at or chose, from many fresh samples.

    Attributes:
        step: updates done.
        copies: of the samples.
        total: samples.
        test: loss of test items.
    """

    step: int
    copies: int
    total: int
    test: float


@dataclass(frozen=True)
class Watched:
    """What one monitor said.

    Attributes:
        budget: that it had.
        stopped: whether it said stop at all.
        reason: why.
        stop: the truth there; at the end where it did not.
        best: the truth at its best checkpoint; None where it had none.
        upper: limit of its certificate; 1 where it had none.
        looks: that it took.
        with_samples: of these with samples.
        certificates: certified looks.
        overhead: its time over that of the training until the stop, with the certificate of `finish`.
        overhead_at_stop: the same without that.
        failures: what failed.
    """

    budget: float
    stopped: bool
    reason: str
    stop: Checked
    best: Checked | None
    upper: float
    looks: int
    with_samples: int
    certificates: int
    overhead: float
    overhead_at_stop: float
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One training and all that was seen of it.

    Attributes:
        snapshots: along the training.
        dvar: step at which the variance of the loss on fixed inputs settled; -1 for never.
        null: share of copies that the test allows for among honest samples.
        watched: by the monitors, one for each budget.
        train_seconds: of the training alone.
    """

    snapshots: tuple[Snapshot, ...]
    dvar: int
    null: float
    watched: tuple[Watched, ...]
    train_seconds: float


def marks_of(training: Training) -> list[int]:
    """Steps of the snapshots: evenly in the logarithm, with those of the rules of fixed lengths."""
    count = max(2, math.ceil(math.log(training.n_updates / FIRST) / math.log(RATIO)))
    spaced = np.geomspace(min(FIRST, training.n_updates / 2), training.n_updates, count)
    fixed = {PER_ITEM * training.n_train, FIXED}
    return sorted({round(step) for step in spaced} | {step for step in fixed if step < training.n_updates})


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


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


@dataclass(frozen=True, eq=False)
class Truth:
    """What measures a network outside of any rule.

    Attributes:
        training: that is looked at.
        sizes: how many samples are drawn.
        finder: of copies.
        probe: training and held-out items.
        test: training and test items.
        item_shape: of an item.
        device: where the network is.
        train: training items.
        known: what was checked so far, by the step.
    """

    training: Training
    sizes: Samples
    finder: CopyFinder
    probe: Probe
    test: Probe
    item_shape: tuple[int, ...]
    device: torch.device
    train: Tensor
    known: dict[int, Checked] = field(default_factory=dict)

    def losses(self, denoiser: Denoiser, probe: Probe) -> Losses:
        """The losses of a probe."""
        with eval_mode(denoiser):
            return measure_losses(denoiser, probe, device=self.device, batch_size=512)

    def samples(self, denoiser: Denoiser, count: int, first: int) -> Tensor:
        """Fresh samples."""
        seeds = range(first, first + count)
        drawn = sample(denoiser, self.item_shape, seeds=seeds, sampler=SAMPLER, batch_size=1000)
        return torch.nan_to_num(drawn.cpu().float()).clamp(-1e6, 1e6)

    def snapshot(self, network: nn.Module, step: int) -> Snapshot:
        """Everything at one step."""
        with isolated():
            denoiser = self.training.denoiser(network)
            losses = self.losses(denoiser, self.probe)
            test = self.losses(denoiser, self.test)
            samples = self.samples(denoiser, self.sizes.snapshot, SNAPSHOT_SEED)
            found = self.finder.find(samples)
            gap, error = losses.gap()
            return Snapshot(
                step,
                losses.train_loss,
                losses.holdout_loss,
                gap,
                error,
                test.holdout_loss,
                stable_rank([network]),
                self.frechet(samples),
                found.count,
                len(samples),
            )

    def frechet(self, samples: Tensor) -> float:
        """Distance of samples to the training items in their main directions."""
        dim = min(DIRECTIONS, len(self.train) - 1, self.train[0].numel())
        features = pca_features(self.train, dim)
        return frechet_distance(samples, self.train, features=features, same_units=True).value

    def checked(self, network: nn.Module, step: int) -> Checked:
        """The truth from many samples."""
        with isolated():
            denoiser = self.training.denoiser(network)
            test = self.losses(denoiser, self.test).holdout_loss
            found = self.finder.find(self.samples(denoiser, self.sizes.truth, TRUTH_SEED))
            return Checked(step, found.count, self.sizes.truth, test)


def watch(training: Training, sizes: Samples, device: torch.device) -> Run:
    """Train, and watch."""
    split = training.split()
    holdout = split.holdout[:N_HOLDOUT]
    network = training.network(split.item_shape).to(device)
    truth = truth_of(training, sizes, split, device)
    watchers = [_watcher(training, split.train, holdout, budget) for budget in BUDGETS]
    dvar = Dvar.of(training, split.train, device)
    marks = set(marks_of(training))
    snapshots: list[Snapshot] = []
    begun = perf_counter()
    aside = 0.0
    for step in training.steps(network, split.train.to(device)):
        for watcher in watchers:
            aside += _without_others(watchers, watcher, lambda w=watcher, s=step: w.update(s, network))
        aside += _without_others(watchers, None, lambda s=step: dvar.update(s, network))
        if step in marks:
            take = lambda s=step: snapshots.append(truth.snapshot(network, s))  # noqa: E731
            aside += _without_others(watchers, None, take)
    seconds = perf_counter() - begun - aside
    last = weights_of(network)
    watched = tuple(_watched(one, truth, network, last, training.n_updates) for one in watchers)
    return Run(tuple(snapshots), dvar.step, truth.finder.rule.allowed, watched, seconds)


PLANNED = 0.05  # budget of the monitor that knows how long the training is to be


def watch_planned(training: Training, sizes: Samples, device: torch.device) -> Watched:
    """Train again, to where a monitor says stop that knows how long the training is to be.

    The training is that of `watch` to the bit, so its snapshots are the same.
    """
    split = training.split()
    network = training.network(split.item_shape).to(device)
    holdout = split.holdout[:N_HOLDOUT]
    truth = truth_of(training, sizes, split, device)
    watcher = _watcher(training, split.train, holdout, PLANNED, n_updates=training.n_updates)
    for step in training.steps(network, split.train.to(device)):
        watcher.update(step, network)
        if watcher.stop_step >= 0:
            break
    found = _watched(watcher, truth, network, weights_of(network), training.n_updates)
    # the training that was planned would have taken so much longer
    part = found.stop.step / training.n_updates
    return replace(found, overhead=found.overhead * part, overhead_at_stop=found.overhead_at_stop * part)


def truth_of(training: Training, sizes: Samples, split: Split, device: torch.device) -> Truth:
    """What measures the networks of a training outside of any rule."""
    return Truth(
        training,
        sizes,
        CopyFinder.of(split.train, split.holdout, target=TARGET, seed=1),
        Probe.of(split.train, split.holdout[:N_HOLDOUT], 128, seed=11),
        Probe.of(split.train, split.holdout[N_HOLDOUT:], N_TEST_ROWS, seed=12),
        split.item_shape,
        device,
        split.train,
    )


def _watcher(
    training: Training, train: Tensor, holdout: Tensor, budget: float, *, n_updates: int | None = None
) -> Watcher:
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


def _without_others(watchers: list[Watcher], watcher: Watcher | None, act: Callable[[], object]) -> float:
    """Do something while the timers of all others stand still; give the seconds that it took."""
    synchronize()
    start = perf_counter()
    act()
    synchronize()
    seconds = perf_counter() - start
    for other in watchers:
        if other is not watcher:
            other.timer.left_out += seconds
    return seconds


def _watched(
    watcher: Watcher, truth: Truth, network: nn.Module, last: dict[str, Tensor], n_updates: int
) -> Watched:
    """What a monitor said, with the truth there."""
    monitor = watcher.monitor
    if watcher.stop_step < 0:
        network.load_state_dict(last)
        watcher.end(n_updates, network)
    stop = _checked_at(truth, network, watcher.weights[watcher.stop_step], watcher.stop_step)
    best = None
    upper = 1.0
    if watcher.best_step >= 0:
        best = _checked_at(truth, network, watcher.weights[watcher.best_step], watcher.best_step)
        upper = next(look.upper for look in monitor.history if look.step == watcher.best_step)
    first = next((look for look in monitor.history if look.stop is not Stop.NO), None)
    return Watched(
        budget=monitor.settings.budget or math.inf,
        stopped=watcher.said_stop,
        reason="" if first is None else str(first.stop),
        stop=stop,
        best=best,
        upper=upper,
        looks=len(monitor.history),
        with_samples=sum(look.copies is not None for look in monitor.history),
        certificates=monitor.record().certificates,
        overhead=monitor.overhead,
        overhead_at_stop=watcher.overhead_at_stop,
        failures=monitor.record().failures,
    )


def _checked_at(truth: Truth, network: nn.Module, weights: dict[str, Tensor], step: int) -> Checked:
    if step not in truth.known:
        network.load_state_dict(weights)
        truth.known[step] = truth.checked(network, step)
    return truth.known[step]


@dataclass
class Dvar:
    """The rule DVAR: the loss of fixed inputs, levels and noise has settled.

    It stops when the variance of the last evaluations is below a share of the variance of all of them.

    Attributes:
        training: that is looked at.
        items: fixed training items.
        noise: of each.
        levels: of each.
        values: losses so far.
        step: where it stopped; -1 for nowhere so far.

    Source: [voronov2023]
    """

    training: Training
    items: Tensor
    noise: Tensor
    levels: Tensor
    values: list[float] = field(default_factory=list)
    step: int = -1

    WINDOW = 310 // DVAR_EVERY
    SHARE = 0.15

    @classmethod
    def of(cls, training: Training, train: Tensor, device: torch.device) -> "Dvar":
        """Fix the inputs."""
        generator = torch.Generator().manual_seed(13)
        rows = torch.randint(len(train), (DVAR_ITEMS,), generator=generator)
        noise = torch.randn(DVAR_ITEMS, *train.shape[1:], generator=generator)
        levels = torch.randint(1, 1000, (DVAR_ITEMS,), generator=generator)
        return cls(training, train[rows].to(device), noise.to(device), levels.to(device))

    def update(self, step: int, network: nn.Module) -> None:
        """Evaluate, every few steps, until it has stopped."""
        if step % DVAR_EVERY or self.step >= 0:
            return
        denoiser = self.training.denoiser(network)
        alpha_bar = denoiser.schedule.at(self.levels)
        with torch.no_grad():  # these networks are the same in both modes
            loss = denoiser.item_losses(self.items, self.noise, alpha_bar).mean()
        self.values.append(float(loss))
        if len(self.values) > self.WINDOW:
            recent = float(np.var(self.values[-self.WINDOW :]))
            if recent < self.SHARE * float(np.var(self.values)):
                self.step = step
