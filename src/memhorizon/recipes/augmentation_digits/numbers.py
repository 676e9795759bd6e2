"""By how much flips and shifts of the training images delay copying, as a number of images.

All versions of an image are in the training set, which equals a random version at every draw. A sample
copies an image if it is a copy of any of its versions: distances are taken to the nearest version, and the
second distance is that to the nearest version of another image.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from memhorizon.datasets.split import load_split
from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Found, Request, Size
from memhorizon.measure.memorization import gap_ratios, memorized_fraction
from memhorizon.recipes.copies import copies_of, tau_mem_of
from memhorizon.recipes.inputs import origin_of, read_sweeps
from memhorizon.recipes.parts import Done, Part, do_parts, found_of
from memhorizon.recipes.pooled import bare, mean_ratio, mean_time
from memhorizon.recipes.pooled import law_of as power_law
from memhorizon.recipes.settings import DIGITS, IMAGE_RULES, PAPER, lasting, of_seed
from memhorizon.recipes.settings import tiny as tiny_of
from memhorizon.recipes.snapshots import Snapshot, snapshots
from memhorizon.recipes.tables import entries, grouped, of_kind
from memhorizon.records.codec import encode
from memhorizon.records.sweep import SweepRecord
from memhorizon.results import Curve, Estimate, Fraction, ScalingLaw, Status, Time
from memhorizon.timescales.pooling import Pooled, SeedMean, over_seeds
from memhorizon.timescales.times import argmin_time

NAME = "augmentation_digits"
Kind = Literal["none", "flips", "shifts", "both"]
STEPS: dict[Kind, int] = {"none": 2000, "flips": 4000, "shifts": 6000, "both": 12_000}
N = 16
SEEDS = range(3)
MEASURE = replace(DIGITS.measure, snapshots=16, first=50)
SHIFTS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))  # pixels down and to the right
REFERENCE = "n_digits"  # its runs of more than N images without augmentation, at the same batch of 32


@dataclass(frozen=True)
class Effective:
    """A number of images without augmentation, or a bound of it.

    Attributes:
        value: the number; NaN where it is undetermined.
        low: lower end of its 95 % interval; -infinity where there is none.
        high: upper end; infinity where there is none.
        status: observed, at least, at most or undetermined.
    """

    value: float
    low: float
    high: float
    status: Status


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One training."""

    part: Annotated[Literal["run"], "one training"] = "run"
    kind: Annotated[
        Kind, "versions of each image: none (itself), flips (left to right), shifts (by one pixel), both"
    ]
    versions: Annotated[int, "how many versions of each image"]
    seed: Annotated[int, "of weights, batches and noise; also which of the disjoint subsets of images"]
    n_train: Annotated[int, "number of images before augmentation"]
    step: Annotated[tuple[int, ...], "snapshots"]
    memorized: Annotated[
        Float[np.ndarray, " m"],
        "share of the samples with d1/d2 < 1/3, both to the nearest version, of different images",
    ]
    total: Annotated[tuple[int, ...], "samples at each snapshot"]
    null: Annotated[tuple[int, int], "count and total for held-out images"]
    holdout: Annotated[tuple[float, ...], "denoising loss of held-out images at t = 0.3"]
    holdout_error: Annotated[tuple[float, ...], "its standard error"]
    tau_mem: Annotated[Time, "steps at which memorized exceeds its null by 0.1"]
    argmin: Annotated[Time, "steps at which the held-out loss is smallest"]
    best: Annotated[float, "smallest held-out loss"]
    seconds: Annotated[float, "time that it took"]


@dataclass(frozen=True, kw_only=True)
class ReferenceRow:
    """A run of n_digits."""

    part: Annotated[Literal["reference"], "a time of n_digits that the law uses"] = "reference"
    kind: Annotated[Kind, "none: without augmentation"] = "none"
    versions: Annotated[int, "1: the image itself"] = 1
    n_train: Annotated[int, "number of images"]
    seed: Annotated[int, "of the run"]
    tau_mem: Annotated[Time, "as recorded"]


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """The runs of one kind."""

    part: Annotated[Literal["group"], "the runs of one kind"] = "group"
    kind: Annotated[Kind, "versions of each image"]
    versions: Annotated[int, "how many versions of each image"]
    n_train: Annotated[int, "number of images before augmentation"]
    tau_mem: Annotated[Pooled, "geometric mean over runs"]
    argmin: Annotated[Pooled, "geometric mean over runs"]
    best: Annotated[SeedMean, "mean over runs, with t interval"]
    later: Annotated[Pooled, "tau_mem over that without augmentation, run by run of the same images"]
    effective: Annotated[
        Effective, "number of images without augmentation that are copied as late, by the law of n"
    ]


Row = RunRow | ReferenceRow | GroupRow
KINDS = (RunRow, ReferenceRow, GroupRow)


@dataclass(frozen=True)
class Seen:
    """What a network showed at one snapshot.

    Attributes:
        step: updates done.
        count: samples that are copies.
        total: samples.
        holdout: held-out loss.
        error: its standard error.
    """

    step: int
    count: int
    total: int
    holdout: float
    error: float


@dataclass(frozen=True)
class Training:
    """One training on all versions of the images.

    Attributes:
        versions: of each image.
        null: held-out images that count as copies, and of how many.
        seen: at each snapshot. [m]
    """

    versions: int
    null: tuple[int, int]
    seen: tuple[Seen, ...]


def config(kind: Kind, seed: int, size: Size) -> Config:
    """The run of one kind and seed; all kinds of a seed have the same images and initial weights."""
    if size == "paper":
        return of_seed(PAPER, PAPER.data.n_train, seed)
    base = tiny_of(DIGITS) if size == "tiny" else lasting(DIGITS, STEPS[kind], MEASURE)
    return of_seed(base, N, seed)


def labels_of(size: Size) -> list[tuple[Kind, int]]:
    """Kind and seed of every run; at the paper's size one n of CelebA, one seed."""
    kinds: tuple[Kind, ...] = ("none", "both") if size == "tiny" else get_args(Kind)
    seeds = {"tiny": range(2), "here": SEEDS, "paper": range(1)}[size]
    return [(kind, seed) for seed in seeds for kind in kinds]


def planned(size: Size = "here") -> list[Config]:
    """All runs; kinds of one seed differ in what is done to the images, which no configuration says."""
    return [config(kind, seed, size) for kind, seed in labels_of(size)]


def make(request: Request) -> Found:
    """Train all kinds and compare them with runs of more images."""
    labels = labels_of(request.size)
    parts = [part_of(kind, seed, request.size) for kind, seed in labels]
    done = do_parts(parts, Training, request)
    (reference,) = read_sweeps([REFERENCE], request.records)
    runs = [run_row(label, each) for label, each in zip(labels, done, strict=True)]
    rows = with_groups(runs, list(reference_rows(reference)))
    settings = {**parts[0].settings, "inputs": origin_of([reference], request.records)}
    return found_of(NAME, rows, KINDS, done, settings=settings, summary=summarise(rows))


def part_of(kind: Kind, seed: int, size: Size) -> Part[Training]:
    """The part of one run."""
    own = config(kind, seed, size)
    return Part(f"{kind}-{seed}", {"config": encode(own), "kind": kind}, partial(train_kind, kind, own))


# --- training ---


def versions(images: Tensor, kind: Kind, background: float) -> Tensor:
    """All versions of each image [n, 1, h, w] -> [n, k, 1, h, w], the image itself first."""
    height, width = images.shape[-2:]
    framed = F.pad(images, (1, 1, 1, 1), value=background)
    moves = SHIFTS if kind in ("shifts", "both") else SHIFTS[:1]
    made = [framed[..., 1 - y : 1 - y + height, 1 - x : 1 - x + width] for y, x in moves]
    if kind in ("flips", "both"):
        made += [image.flip(-1) for image in made]
    return torch.stack(made, 1)


def train_kind(kind: Kind, own: Config, device: torch.device) -> Training:
    """Train on all versions of the images, measure copies of the images and the held-out loss."""
    split = load_split(own.data)
    each = versions(split.train, kind, background=(0 - split.center) * split.scale)
    entries = each.flatten(0, 1)
    group = torch.arange(len(each)).repeat_interleave(each.shape[1])
    data = repeated_to(own.train.batch_size or len(entries), entries)  # every kind sees as many per step

    def copied(items: Tensor) -> Fraction:
        return memorized_fraction(gap_ratios(items, entries, group=group), threshold=own.measure.threshold)

    null = copied(split.holdout)
    seen = tuple(seen_in(shot, copied(shot.samples)) for shot in snapshots(own, split, data, device))
    return Training(each.shape[1], (null.count, null.total), seen)


def repeated_to(batch: int, entries: Tensor) -> Tensor:
    """The entries as often as a batch needs."""
    return entries.repeat(math.ceil(batch / len(entries)), 1, 1, 1)


def seen_in(shot: Snapshot, copied: Fraction) -> Seen:
    """A snapshot in short."""
    return Seen(shot.step, copied.count, copied.total, shot.holdout, shot.error)


# --- rows ---


def run_row(label: tuple[Kind, int], done: Done[Training]) -> RunRow:
    """The curves of a run and its times."""
    training = done.found
    step = tuple(seen.step for seen in training.seen)
    total = tuple(seen.total for seen in training.seen)
    copied = copies_of(step, [seen.count for seen in training.seen], total)
    loss = holdout_of(training)
    return RunRow(
        kind=label[0],
        versions=training.versions,
        seed=label[1],
        n_train=N,
        step=step,
        memorized=copied.value,
        total=total,
        null=training.null,
        holdout=tuple(seen.holdout for seen in training.seen),
        holdout_error=tuple(seen.error for seen in training.seen),
        tau_mem=tau_mem_of(copied, training.null, IMAGE_RULES.memorized),
        argmin=bare(argmin_time(loss)),
        best=float(loss.value.min()),
        seconds=done.seconds,
    )


def holdout_of(training: Training) -> Curve:
    """The held-out loss along training."""
    points = [(seen.step, seen.holdout, seen.error) for seen in training.seen]
    return Curve.of_means(*zip(*points, strict=True), name="held-out loss at t = 0.3")


def reference_rows(record: SweepRecord) -> Iterator[ReferenceRow]:
    """The times of the runs without augmentation on more images."""
    for run in record.runs:
        if run.n_train > N:
            tau_mem = bare(run.timescales.tau_mem)
            yield ReferenceRow(n_train=run.n_train, seed=run.seed, tau_mem=tau_mem)


def with_groups(runs: Sequence[RunRow], reference: Sequence[ReferenceRow]) -> list[Row]:
    """Runs, references and the groups of the runs."""
    law = law_of([*runs, *reference])
    of_kinds = grouped(runs, lambda row: row.kind)
    groups = [group_row(own, of_kinds["none"], law) for own in of_kinds.values()]
    return [*runs, *reference, *groups]


def law_of(rows: Sequence[RunRow | ReferenceRow]) -> ScalingLaw:
    """tau_mem without augmentation as a power of the number of images."""
    known = [row for row in rows if row.kind == "none"]
    return power_law([row.n_train for row in known], [row.tau_mem for row in known], "n_train")


def group_row(own: Sequence[RunRow], plain: Sequence[RunRow], law: ScalingLaw) -> GroupRow:
    """Means over the runs of one kind; `plain` are those of the same seeds without augmentation."""
    tau_mem = [row.tau_mem for row in own]
    mean = mean_time(tau_mem)
    return GroupRow(
        kind=own[0].kind,
        versions=own[0].versions,
        n_train=N,
        tau_mem=mean,
        argmin=mean_time([row.argmin for row in own]),
        best=over_seeds([row.best for row in own]),
        later=mean_ratio(tau_mem, [row.tau_mem for row in plain]),
        effective=effective(mean, law),
    )


def effective(tau: Pooled, law: ScalingLaw) -> Effective:
    """The number of images whose tau_mem, by the law, is this mean of times; its interval is first order.

    Both the mean and the law have t intervals; their half-widths in log n are added in squares.
    """
    slope = law.exponents["n_train"].value
    if not math.isfinite(tau.value) or not slope > 0:
        return Effective(math.nan, -math.inf, math.inf, Status.UNDETERMINED)
    # tau = exp(log_prefactor) n^slope
    log_n = (math.log(tau.value) - law.log_prefactor) / slope
    if not (tau.low > 0 and law.degrees):
        return Effective(math.exp(log_n), -math.inf, math.inf, tau.status)
    # half of the interval of log n: that of the line and that of log tau, over the slope
    half = math.hypot(half_of_line(law, log_n), math.log(tau.high / tau.value)) / slope
    return Effective(math.exp(log_n), math.exp(log_n - half), math.exp(log_n + half), tau.status)


def half_of_line(law: ScalingLaw, log_n: float) -> float:
    """Half of the 95 % t interval of the fitted line at log n: t sqrt(x' C x), x = (1, log n)."""
    at = np.array([1.0, log_n])
    return float(stats.t.ppf(0.975, law.degrees)) * math.sqrt(at @ law.covariance @ at)


def summarise(rows: Sequence[Row]) -> Mapping[str, object]:
    """The law without augmentation, and each kind in a line."""
    runs = of_kind(rows, RunRow)
    exponent: Estimate = law_of([*runs, *of_kind(rows, ReferenceRow)]).exponents["n_train"]
    names = ("versions", "tau_mem", "later", "effective", "best")
    return {
        "exponent of n": {"value": exponent.value, "low": exponent.low, "high": exponent.high},
        **{row.kind: entries(row, *names) for row in of_kind(rows, GroupRow)},
        "run seconds": sum(row.seconds for row in runs),
    }
