"""One training, watched by two monitors and by everything that other rules look at.

Neither is told to stop: the training goes on until copies are common, so that what each rule would have
stopped at is known, and what was there.
"""

import math
from dataclasses import replace
from time import process_time

import numpy as np
import torch
from torch import Tensor, nn

from memhorizon.monitor.rules import FIXED, PER_ITEM
from memhorizon.recipes.monitor_rules.dvar import Dvar
from memhorizon.recipes.monitor_rules.seen import Checked, Run, Snapshot, Watched
from memhorizon.recipes.monitor_rules.suite import N_HOLDOUT, Samples, Training
from memhorizon.recipes.monitor_rules.truth import Truth, truth_of
from memhorizon.recipes.monitor_rules.watchers import Watcher, Watchers, watcher_of, weights_of
from memhorizon.records.monitor import Stop

BUDGETS = (0.05,)
PLANNED = 0.05  # budget of the monitor that knows how long the training is to be
FIRST = 20
RATIO = 1.25  # of the steps of two snapshots


def marks_of(training: Training) -> list[int]:
    """Steps of the snapshots: evenly in the logarithm, with those of the rules of fixed lengths."""
    count = max(2, math.ceil(math.log(training.n_updates / FIRST) / math.log(RATIO)))
    spaced = np.geomspace(min(FIRST, training.n_updates / 2), training.n_updates, count)
    fixed = {PER_ITEM * training.n_train, FIXED}
    return sorted({round(step) for step in spaced} | {step for step in fixed if step < training.n_updates})


def watch(training: Training, sizes: Samples, device: torch.device) -> Run:
    """Train, and watch."""
    split = training.split()
    holdout = split.holdout[:N_HOLDOUT]
    network = training.network(split.item_shape).to(device)
    truth = truth_of(training, sizes, split, device)
    watchers = Watchers([watcher_of(training, split.train, holdout, budget) for budget in BUDGETS])
    dvar = Dvar.of(training, split.train, device)
    snapshots: list[Snapshot] = []
    marks = set(marks_of(training))
    begun = process_time()
    for step in training.steps(network, split.train.to(device)):
        watchers.update(step, network)
        with watchers.standing():
            dvar.update(step, network)
            if step in marks:
                snapshots.append(truth.snapshot(network, step))
    seconds = process_time() - begun - watchers.aside
    last = weights_of(network)
    watched = tuple(_watched(one, truth, network, last, training.n_updates) for one in watchers.every)
    return Run(tuple(snapshots), dvar.step, truth.finder.rule.allowed, watched, seconds)


def watch_planned(training: Training, sizes: Samples, device: torch.device) -> Watched:
    """Train again, to where a monitor says stop that knows how long the training is to be.

    The training is that of `watch` to the bit, so its snapshots are the same.
    """
    split = training.split()
    network = training.network(split.item_shape).to(device)
    holdout = split.holdout[:N_HOLDOUT]
    truth = truth_of(training, sizes, split, device)
    watcher = watcher_of(training, split.train, holdout, PLANNED, n_updates=training.n_updates)
    for step in training.steps(network, split.train.to(device)):
        watcher.update(step, network)
        if watcher.stop_step >= 0:
            break
    found = _watched(watcher, truth, network, weights_of(network), training.n_updates)
    # the training that was planned would have taken so much longer
    part = found.stop.step / training.n_updates
    return replace(found, overhead=found.overhead * part, overhead_at_stop=found.overhead_at_stop * part)


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
