"""Training on repeated digits: when each image is copied how often."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from memhorizon.datasets.split import Split, load_split
from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Found, Request, Size
from memhorizon.measure.config import MeasureConfig
from memhorizon.measure.memorization import gap_ratios
from memhorizon.measure.neighbors import nearest
from memhorizon.recipes.first_digits.rows import DENSITY, KINDS, Counts, Image, Row, Seed, SeedFacts
from memhorizon.recipes.first_digits.statistics import summarise, times_of
from memhorizon.recipes.parts import Done, Part, do_parts, found_of
from memhorizon.recipes.settings import DIGITS, PAPER, lasting, of_seed
from memhorizon.recipes.settings import tiny as tiny_of
from memhorizon.recipes.snapshots import finite_rows, generate, loss_of, marks_of, stops
from memhorizon.records.codec import encode, encode_object
from memhorizon.samplers import SamplerConfig

NAME = "first_digits"
COPIES = {1: 20, 2: 4, 4: 2, 8: 1}  # so many images have so many copies: 27 images, 44 entries
SEEDS = range(6)
STEPS = 3000
MEASURE = MeasureConfig(
    snapshots=14,
    first=150,
    n_samples=600,
    sampler=SamplerConfig(n_solver_steps=25),
    diffusion_times=(0.3,),
    repeats=8,
    keep=False,
)
HERE = lasting(DIGITS, STEPS, MEASURE)
TRAIN_NOISE = 1
HOLDOUT_NOISE = 2


@dataclass(frozen=True)
class Seen:
    """What one snapshot shows.

    Attributes:
        step: updates done.
        holdout_loss: at t = 0.3.
        loss: of each image. [images]
        copies: samples that copy each image, by rule. [2, images]
    """

    step: int
    holdout_loss: float
    loss: np.ndarray
    copies: Mapping[str, np.ndarray]


def config(seed: int, size: Size) -> Config:
    """The run of one seed, on images of its own."""
    if size == "paper":
        return of_seed(PAPER, PAPER.data.n_train, seed)
    base = HERE if size == "here" else tiny_of(DIGITS)
    return of_seed(base, sum(COPIES.values()), seed)


def planned(size: Size = "here") -> list[Config]:
    """All runs; how often which image is in the training set is drawn from the seed."""
    seeds = {"tiny": range(2), "here": SEEDS, "paper": range(3)}[size]
    return [config(seed, size) for seed in seeds]


def make(request: Request) -> Found:
    """Train all seeds, read the times of their images."""
    configs = planned(request.size)
    parts = [part_of(own) for own in configs]
    done = do_parts(parts, Seed, request)
    seeds = [rows_of(own.seed, each.found) for own, each in zip(configs, done, strict=True)]
    facts = [facts_of(own.seed, each) for own, each in zip(configs, done, strict=True)]
    rows = [row for images in seeds for row in images]
    summary = encode_object(summarise(seeds, facts))
    return found_of(NAME, rows, KINDS, done, settings=parts[0].settings, summary=summary)


def part_of(own: Config) -> Part[Seed]:
    """The part of one seed."""
    copies = {str(k): count for k, count in COPIES.items()}
    return Part(own.key, {"config": encode(own), "copies": copies}, partial(train_seed, own))


def rows_of(number: int, seed: Seed) -> list[Row]:
    """The images of a seed with their times."""
    return [Row(**vars(image), seed=number, times=times_of(image, seed)) for image in seed.images]


def facts_of(number: int, done: Done[Seed]) -> SeedFacts:
    """What belongs to a seed as a whole."""
    whole = {name: value for name, value in vars(done.found).items() if name != "images"}
    return SeedFacts(seed=number, seconds=done.seconds, environment=done.environment, **whole)


# --- training ---


def train_seed(own: Config, device: torch.device) -> Seed:
    """Train on repeated images and say of each distinct one when it was copied how often."""
    split = load_split(own.data)
    copies = copies_of(own.seed)
    network = own.model.build(split.item_shape, seed=own.seed)
    repeated = split.train.repeat_interleave(torch.from_numpy(copies), dim=0)
    seen = [observe(network, step, split, own, device) for step in stops(network, repeated, own, device)]
    best = int(np.argmin([each.holdout_loss for each in seen]))
    null = copies_found(split.holdout, split.train, own.measure.threshold)
    return Seed(
        step=tuple(marks_of(own)),
        holdout_loss=tuple(each.holdout_loss for each in seen),
        early_step=seen[best].step,
        samples=own.measure.n_samples,
        entries=int(copies.sum()),
        null={name: (int(count.sum()), len(split.holdout)) for name, count in null.items()},
        images=tuple(images_of(split, copies, seen, best)),
    )


def copies_of(seed: int) -> np.ndarray:
    """How often each of the [images] is in the training set, at random."""
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


def copies_found(generated: Tensor, distinct: Tensor, threshold: float) -> dict[str, np.ndarray]:
    """Count the samples that copy each image, by both rules, even and odd samples apart. [2, images] each.

    Ratios are taken among distinct images: a twin makes the ratio of every copy 1.
    """
    kept = finite_rows(generated)
    samples = generated[kept]
    half = torch.arange(len(generated))[kept] % 2
    distance, owner = (part[:, 0] for part in nearest(samples, distinct, k=1))
    radius = radius_of(distinct, threshold)

    def counted(hit: Tensor) -> np.ndarray:
        by_half = [owner[hit & (half == which)] for which in (0, 1)]
        return np.stack([np.bincount(found, minlength=len(distinct)) for found in by_half])

    return {
        "count_by_ratio": counted(gap_ratios(samples, distinct) < threshold),
        "count_by_distance": counted(distance < radius),
    }


def radius_of(distinct: Tensor, threshold: float) -> Tensor:
    """The distance below which a sample is a copy: a share of the median one between neighbours."""
    return threshold * nearest(distinct, distinct, k=2)[0][:, 1].median()


def observe(network: nn.Module, step: int, split: Split, own: Config, device: torch.device) -> Seen:
    """Copies and losses at one snapshot."""
    train = loss_of(network, split.train.to(device), own, seed=TRAIN_NOISE)
    held = loss_of(network, split.holdout.to(device), own, seed=HOLDOUT_NOISE)
    generated = generate(network, split.item_shape, own, device)
    copies = copies_found(generated, split.train, own.measure.threshold)
    return Seen(step, float(held.mean[0]), train.items[:, 0].cpu().numpy(), copies)


def images_of(split: Split, copies: np.ndarray, seen: Sequence[Seen], best: int) -> list[Image]:
    """The distinct images; `best` is the snapshot of the smallest held-out loss."""
    known = predictors(split)
    loss = np.stack([each.loss for each in seen], 1).round(6)  # [images, m]
    counts = counts_along(seen)
    labels = split.labels
    assert labels is not None
    return [
        Image(
            image=int(split.train_index[i]),
            label=int(labels[i]),
            copies=int(copies[i]),
            nearest=float(known["nearest"][i]),
            center=float(known["center"][i]),
            sparse=float(known["sparse"][i]),
            early_loss=float(loss[i, best]),
            loss=tuple(loss[i].tolist()),
            count_by_ratio=counts_at(counts["count_by_ratio"], i),
            count_by_distance=counts_at(counts["count_by_distance"], i),
        )
        for i in range(len(copies))
    ]


def counts_along(seen: Sequence[Seen]) -> dict[str, np.ndarray]:
    """The counts of all snapshots, by both rules. [2, images, m] each."""
    return {name: np.stack([each.copies[name] for each in seen], 2) for name in seen[0].copies}


def counts_at(counts: np.ndarray, i: int) -> Counts:
    """The counts of one image, [2, images, m] -> [2, m]."""
    even, odd = counts[:, i].tolist()
    return tuple(even), tuple(odd)
