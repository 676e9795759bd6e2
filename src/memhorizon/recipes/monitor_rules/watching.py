"""One training, watched by two monitors and by everything that other rules look at.

Neither is told to stop: the training continues until copies are common, so that what each rule would have
stopped at is known, and what was there.
"""

import math
from dataclasses import replace
from time import process_time

import numpy as np
import torch
from torch import nn

from memhorizon.monitor.rules import FIXED, PER_ITEM
from memhorizon.recipes.monitor_rules.dvar import Dvar
from memhorizon.recipes.monitor_rules.seen import Run, Snapshot, Watched
from memhorizon.recipes.monitor_rules.suite import Samples, Training
from memhorizon.recipes.monitor_rules.truth import Truth, truth_of
from memhorizon.recipes.monitor_rules.watchers import Watcher, Watchers, watcher_of
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
    network = training.network(split.item_shape).to(device)
    truth = truth_of(training, sizes, split, device)
    watchers = Watchers([watcher_of(training, split, budget) for budget in BUDGETS])
    dvar = Dvar.of(training, split.train, device)
    snapshots: list[Snapshot] = []
    marks = set(marks_of(training))
    begun = process_time()
    for step in training.steps(network, split.train.to(device)):
        watchers.update(step, network)
        with watchers.paused():
            dvar.update(step, network)
            if step in marks:
                snapshots.append(truth.snapshot(network, step))
    seconds = process_time() - begun - watchers.aside
    watchers.end(training.n_updates, network)
    watched = tuple(_watched(watcher, truth, network) for watcher in watchers.every)
    return Run(tuple(snapshots), dvar.step, truth.finder.rule.allowed, watched, seconds)


def watch_planned(training: Training, sizes: Samples, device: torch.device) -> Watched:
    """Train again, to where a monitor says stop that knows how long the training is to be.

    The training is that of `watch` to the bit, so its snapshots are the same.
    """
    split = training.split()
    network = training.network(split.item_shape).to(device)
    truth = truth_of(training, sizes, split, device)
    watcher = watcher_of(training, split, PLANNED, n_updates=training.n_updates)
    for step in training.steps(network, split.train.to(device)):
        watcher.update(step, network)
        if watcher.stop_step >= 0:
            break
    watcher.end(training.n_updates, network)
    found = _watched(watcher, truth, network)
    # the training that was planned would have taken so much longer
    part = found.stop.step / training.n_updates
    return replace(found, overhead=found.overhead * part, overhead_at_stop=found.overhead_at_stop * part)


def _watched(watcher: Watcher, truth: Truth, network: nn.Module) -> Watched:
    """What a monitor said of a training that is over, with the truth there."""
    monitor = watcher.monitor
    record = monitor.record()
    stop = truth.checked(network, watcher.weights[watcher.stop_step], watcher.stop_step)
    best = None
    upper = 1.0
    if watcher.best_step >= 0:
        best = truth.checked(network, watcher.weights[watcher.best_step], watcher.best_step)
        upper = next(look.upper for look in record.looks if look.step == watcher.best_step)
    first = next((look for look in record.looks if look.stop is not Stop.NO), None)
    return Watched(
        budget=monitor.settings.budget or math.inf,
        stopped=watcher.has_stopped,
        reason="" if first is None else str(first.stop),
        stop=stop,
        best=best,
        upper=upper,
        looks=len(record.looks),
        with_samples=sum(look.copies is not None for look in record.looks),
        certificates=record.certificates,
        overhead=monitor.overhead,
        overhead_at_stop=watcher.overhead_at_stop,
        failures=record.failures,
    )
