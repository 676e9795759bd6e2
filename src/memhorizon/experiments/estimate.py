"""What a run will cost, from a few of its own steps on this machine."""

import time
from dataclasses import replace

import torch

from memhorizon.datasets import load_split
from memhorizon.experiments.config import Config
from memhorizon.experiments.observe import observe
from memhorizon.experiments.run import snapshot_steps
from memhorizon.training import TrainState, train

WARM, TIMED = 2, 5  # updates before and while the clock runs
TRIAL_SAMPLES = 32


def estimate_seconds(config: Config) -> float:
    """Seconds that a run would take alone on this machine, snapshots included.

    Updates are timed on the real data, a snapshot with few samples, whose cost is then scaled to all of them.

    Raises:
        InputError: if the configuration cannot be run.
    """
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    split, schedule = load_split(config.data).to(device), config.schedule.build()
    model = config.model.build(tuple(split.train.shape[1:]), seed=config.seed).to(device)
    trial = replace(config.train, steps=WARM + TIMED)
    state = TrainState.new(model, config.optimizer, ema=config.train.ema)
    marks = []
    for step in train(state, split.train, schedule=schedule, config=trial, seed=config.seed):
        float(step.loss)  # wait for the device
        marks.append(time.perf_counter())
    per_step = (marks[-1] - marks[WARM - 1]) / TIMED

    def snapshot(n_samples: int) -> float:
        started = time.perf_counter()
        observe(model, split, replace(config, measure=replace(config.measure, n_samples=n_samples)))
        return time.perf_counter() - started

    few = min(TRIAL_SAMPLES, config.measure.n_samples)
    fixed, with_few = snapshot(0), snapshot(few) if few else 0.0
    sampling = max(with_few - fixed, 0.0) * (config.measure.n_samples / few) if few else 0.0
    count = len(snapshot_steps(config.measure.first, config.train.steps, config.measure.snapshots))
    return config.train.steps * per_step + count * (fixed + sampling)
