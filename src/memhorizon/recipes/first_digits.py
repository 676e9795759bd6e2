"""Which digits are copied first: how far k copies of an image bring its time forward, and who goes before."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from memhorizon.datasets.split import Split, load_split
from memhorizon.experiments.config import Config, MeasureConfig, encode
from memhorizon.experiments.recipe import Size
from memhorizon.experiments.record import plain
from memhorizon.experiments.run import environment, snapshot_steps
from memhorizon.experiments.run_directory import write_atomically
from memhorizon.measure.losses import denoising_losses
from memhorizon.measure.memorization import gap_ratios
from memhorizon.measure.neighbors import nearest
from memhorizon.recipes.first_digits_statistics import summarise, times_of
from memhorizon.recipes.parts import Job, parts
from memhorizon.recipes.settings import DIGITS, PAPER
from memhorizon.recipes.settings import tiny as tiny_of
from memhorizon.recipes.snapshots import generate
from memhorizon.samplers import SamplerConfig
from memhorizon.training import TrainState, train

NAME = "first_digits"
COPIES = {1: 20, 2: 4, 4: 2, 8: 1}  # so many images have so many copies: 27 images, 44 entries
SEEDS, STEPS, DENSITY = range(6), 3000, 10
MEASURE = MeasureConfig(
    snapshots=14,
    first=150,
    n_samples=600,
    sampler=SamplerConfig(n_solver_steps=25),
    diffusion_times=(0.3,),
    repeats=8,
    keep=False,
)
TRAIN_NOISE, HOLDOUT_NOISE = 1, 2
COLUMNS = {
    "seed": "of weights, batches and noise, of who is repeated; also which of the disjoint subsets of images",
    "image": "position in the digits of scikit-learn",
    "label": "digit",
    "copies": "k, how often the image stands in the training set",
    "count_by_ratio": "generated samples with d1/d2 < 1/3 among distinct images that are nearest to this one,"
    " from the even and the odd sample seeds [2, snapshots]",
    "count_by_distance": "the same with d1 < a third of the median distance between nearest training images",
    "loss": "denoising loss of the image at t = 0.3 [snapshots]",
    "nearest": "distance to the nearest other training image",
    "center": "distance to the mean of the distinct training images",
    "sparse": f"distance to the {DENSITY}th nearest held-out image",
    "early_loss": "loss at the snapshot where the held-out loss is smallest",
    "times": "steps at which its copies reach half of the share k/N of the samples (share, distance: by that"
    " rule), N entries; half of 1/N whatever k (count); the share from half of the samples only (even, odd)",
}


def config(seed: int, size: Size) -> Config:
    """The run of one seed, on images of its own."""
    base = {"tiny": tiny_of(DIGITS), "here": replace(DIGITS, measure=MEASURE), "paper": PAPER}[size]
    if size == "here":
        base = replace(base, train=replace(base.train, n_updates=STEPS))
    n_train = base.data.n_train if size == "paper" else sum(COPIES.values())
    return replace(base, data=replace(base.data, n_train=n_train, subset=seed), seed=seed)


def planned(size: Size = "here") -> list[Config]:
    """All runs; how often which image stands in the training set is drawn from the seed."""
    return [config(seed, size) for seed in ({"tiny": range(2), "here": SEEDS, "paper": range(3)}[size])]


def copies_of(seed: int) -> np.ndarray:
    """How often each of the [images] stands in the training set, at random."""
    each = np.repeat(list(COPIES), list(COPIES.values()))
    return np.random.default_rng(seed).permutation(each)


def predictors(split: Split) -> dict[str, np.ndarray]:
    """What is known of each image before training. [images] each."""
    center = split.train.mean(0, keepdim=True)
    return {
        "nearest": nearest(split.train, split.train, k=2)[0][:, 1].numpy(),
        "center": nearest(split.train, center, k=1)[0][:, 0].numpy(),
        "sparse": nearest(split.train, split.holdout, k=DENSITY)[0][:, -1].numpy(),
    }


def copies_found(generated: torch.Tensor, distinct: torch.Tensor, threshold: float) -> dict[str, np.ndarray]:
    """Count the samples that copy each image, by both rules, even and odd samples apart. [2, images] each.

    Ratios are taken among distinct images: a twin makes the ratio of every copy 1.
    """
    finite = generated.flatten(1).isfinite().all(1)
    distance, owner = (part[:, 0] for part in nearest(generated[finite], distinct, k=1))
    radius = threshold * nearest(distinct, distinct, k=2)[0][:, 1].median()
    half = torch.arange(len(generated))[finite] % 2
    hits = {
        "count_by_ratio": gap_ratios(generated[finite], distinct) < threshold,
        "count_by_distance": distance < radius,
    }
    return {
        name: np.stack([np.bincount(owner[hit & (half == h)], minlength=len(distinct)) for h in (0, 1)])
        for name, hit in hits.items()
    }


def observe(state: TrainState, split: Split, run: Config) -> dict[str, Any]:
    """Copies and losses at one snapshot."""
    schedule, measure = run.schedule.build(), run.measure
    level = [schedule.index_of_t(0.3)]
    own, held = (
        denoising_losses(
            state.model, data, schedule=schedule, indices=level, repeats=measure.repeats, seed=noise
        )
        for data, noise in ((split.train, TRAIN_NOISE), (split.holdout, HOLDOUT_NOISE))
    )
    generated = generate(state.model, split, run)
    found = copies_found(generated, split.train, measure.threshold)
    return {
        "step": state.step,
        "holdout_loss": float(held.mean[0]),
        "loss": own.items[:, 0].numpy(),
        **found,
    }


def train_seed(seed: int, run: Config) -> dict[str, Any]:
    """Train on repeated images and say of each distinct one when it was copied how often."""
    begun, split, copies = perf_counter(), load_split(run.data), copies_of(seed)
    model = run.model.build(split.item_shape, seed=seed)
    state = TrainState.new(model, run.optimizer)
    repeated = split.train.repeat_interleave(torch.from_numpy(copies), dim=0)
    marks = snapshot_steps(run.measure.first, run.train.n_updates, run.measure.snapshots)
    steps = train(state, repeated, schedule=run.schedule.build(), config=run.train, seed=seed)
    seen = [observe(state, split, run) for step in steps if step.step in marks]
    null = copies_found(split.holdout, split.train, run.measure.threshold)
    best = int(np.argmin([row["holdout_loss"] for row in seen]))
    loss = np.stack([row["loss"] for row in seen], 1).round(6)  # [images, snapshots]
    columns = {
        "image": split.train_index,
        "label": split.labels,
        "copies": copies,
        **predictors(split),
        "early_loss": loss[:, best],
        "loss": loss,
        **{name: np.stack([row[name] for row in seen], 1).transpose(2, 0, 1) for name in null},
    }
    rows = zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True)
    return {
        "seed": seed,
        "seconds": perf_counter() - begun,
        "step": marks,
        "holdout_loss": [row["holdout_loss"] for row in seen],
        "early_step": marks[best],
        "samples": run.measure.n_samples,
        "entries": int(copies.sum()),
        "null": {name: [int(count.sum()), len(split.holdout)] for name, count in null.items()},
        "environment": environment() | {"device": "cpu"},  # smaller than what an accelerator is good for
        "images": [dict(zip(columns, row, strict=True)) for row in rows],
    }


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/first_digits.json. Some 22 minutes of one core; seconds when tiny.

    The part of each seed stays in OUT/first_digits_parts/, and a seed whose part is there is not run again.
    """
    name = f"{NAME}-tiny" if tiny else NAME
    copies = {str(k): count for k, count in COPIES.items()}
    jobs: dict[str, Job] = {}
    for own in planned("tiny" if tiny else "here"):
        jobs[own.key] = ({"config": encode(own), "copies": copies}, partial(train_seed, own.seed, own))
    seeds = parts(out / f"{name}_parts", jobs)
    for seed in seeds:
        for image in seed["images"]:
            image["times"] = times_of(image, seed)
    record = {
        "kind": "duplicates",
        "name": NAME,
        "command": f"memhorizon reproduce {NAME} --size {'tiny' if tiny else 'here'}",
        "tiny": tiny,
        "settings": seeds[0].pop("settings"),
        "environment": seeds[0]["environment"],
        "seconds": sum(seed["seconds"] for seed in seeds),
        "columns": COLUMNS,
        "summary": summarise(seeds),
        "seeds": [{key: value for key, value in seed.items() if key != "settings"} for seed in seeds],
    }
    path = out / f"{name}.json"
    write_atomically(path, json.dumps(plain(record)).encode())
    return path
