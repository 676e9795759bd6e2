"""Augmentation: by how much flips and shifts of the training images put copying off, as a number of images.

All versions of an image stand in the training set, which equals a random version at every draw. A sample
copies an image if it is a copy of any of its versions: distances are taken to the nearest version, and the
second distance is that to the nearest version of another image.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from memhorizon.datasets.split import load_split
from memhorizon.experiments.config import Config, encode
from memhorizon.experiments.recipe import Size
from memhorizon.experiments.run import environment
from memhorizon.figures.records import time_of
from memhorizon.measure.memorization import gap_ratios, memorized_fraction
from memhorizon.recipes.inputs import RESULTS, read_sweeps
from memhorizon.recipes.parts import Job, Part, parts
from memhorizon.recipes.settings import DIGITS, IMAGE_RULES, PAPER
from memhorizon.recipes.settings import tiny as tiny_of
from memhorizon.recipes.snapshots import snapshots
from memhorizon.recipes.theory_record import write_record
from memhorizon.recipes.times import as_time, geometric_mean, over_seeds, plain_time, ratio
from memhorizon.results import Curve, Fraction, ScalingLaw
from memhorizon.timescales.power_law import fit_scaling
from memhorizon.timescales.times import argmin_time, memorization_time

NAME = "augmentation_digits"
STEPS = {"none": 2000, "flips": 4000, "shifts": 6000, "both": 12_000}
N, SEEDS, SNAPSHOTS = 16, range(3), 16
SHIFTS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))  # pixels down and to the right
REFERENCE = "n_digits"  # its runs of more than N images without augmentation, at the same batch of 32

COLUMNS = {
    "part": "run: one training; group: the runs of one kind; reference: a time of n_digits that the law uses",
    "kind": "versions of each image: none (itself), flips (left to right), shifts (by one pixel), both",
    "versions": "how many versions of each image",
    "seed": "run: of weights, batches and noise; also which of the disjoint subsets of images",
    "n_train": "number of images before augmentation",
    "step": "snapshots",
    "memorized": "share of the samples with d1/d2 < 1/3, both to the nearest version, of different images",
    "total": "samples at each snapshot",
    "null": "count and total for held-out images",
    "holdout": "denoising loss of held-out images at t = 0.3",
    "holdout_error": "its standard error",
    "tau_mem": "steps at which memorized exceeds its null by 0.1 (group: geometric mean over runs)",
    "argmin": "steps at which the held-out loss is smallest (group: geometric mean)",
    "best": "smallest held-out loss (group: mean over runs, with t interval)",
    "later": "group: tau_mem over that without augmentation, run by run of the same images",
    "effective": "group: number of images without augmentation that are copied as late, by the law of n",
    "seconds": "run: time that it took",
}
Row = dict[str, Any]


def config(kind: str, seed: int, size: Size) -> Config:
    """The run of one kind and seed; all kinds of a seed have the same images and initial weights."""
    if size == "paper":
        return replace(PAPER, data=replace(PAPER.data, subset=seed), seed=seed)
    base = tiny_of(DIGITS) if size == "tiny" else DIGITS
    measure = base.measure if size == "tiny" else replace(base.measure, snapshots=SNAPSHOTS, first=50)
    train = base.train if size == "tiny" else replace(base.train, n_updates=STEPS[kind])
    data = replace(base.data, n_train=N, subset=seed)
    return replace(base, data=data, train=train, measure=measure, seed=seed)


def labels_of(size: Size) -> list[tuple[str, int]]:
    """Kind and seed of every run; at the paper's size one n of CelebA, one seed."""
    kinds = ("none", "both") if size == "tiny" else tuple(STEPS)
    seeds = {"tiny": range(2), "here": SEEDS, "paper": range(1)}[size]
    return [(kind, seed) for seed in seeds for kind in kinds]


def planned(size: Size = "here") -> list[Config]:
    """All runs; kinds of one seed differ in what is done to the images, which no configuration says."""
    return [config(kind, seed, size) for kind, seed in labels_of(size)]


def versions(images: Tensor, kind: str, background: float) -> Tensor:
    """All versions of each image [n, 1, h, w] -> [n, k, 1, h, w], the image itself first."""
    height, width = images.shape[-2:]
    framed = F.pad(images, (1, 1, 1, 1), value=background)
    moves = SHIFTS if kind in ("shifts", "both") else SHIFTS[:1]
    made = [framed[..., 1 - y : 1 - y + height, 1 - x : 1 - x + width] for y, x in moves]
    made += [image.flip(-1) for image in made] if kind in ("flips", "both") else []
    return torch.stack(made, 1)


def train_kind(kind: str, own: Config) -> Part:
    """Train on all versions of the images, measure copies of the images and the held-out loss."""
    begun, split = perf_counter(), load_split(own.data)
    threshold = own.measure.threshold
    each = versions(split.train, kind, (0 - split.center) * split.scale)
    entries, group = each.flatten(0, 1), torch.arange(len(each)).repeat_interleave(each.shape[1])
    batch = own.train.batch_size or len(entries)
    data = entries.repeat(math.ceil(batch / len(entries)), 1, 1, 1)  # every kind sees as many per step
    null = memorized_fraction(gap_ratios(split.holdout, entries, group=group), threshold=threshold)
    found: dict[str, list[float]] = {name: [] for name in ("step", "count", "total", "holdout", "error")}
    for seen in snapshots(own, split, data):
        ratios = gap_ratios(seen.samples, entries, group=group)
        copied = memorized_fraction(ratios, threshold=threshold)
        values = (seen.step, copied.count, copied.total, seen.holdout, seen.error)
        for column, value in zip(found.values(), values, strict=True):
            column.append(value)
    return {
        **found,
        "null": [null.count, null.total],
        "versions": each.shape[1],
        "seconds": perf_counter() - begun,
        "environment": environment() | {"device": "cpu"},  # smaller than what an accelerator is good for
    }


def run_row(kind: str, seed: int, part: Part) -> Row:
    """The curves of a run and its times."""
    fractions = [Fraction.of(*pair) for pair in zip(part["count"], part["total"], strict=True)]
    null = Fraction.of(*part["null"])
    copied = Curve.of_fractions(part["step"], fractions, name="memorized")
    held = Curve.of_means(part["step"], part["holdout"], part["error"], name="held-out loss at t = 0.3")
    row: Row = {"part": "run", "kind": kind, "versions": part["versions"], "seed": seed, "n_train": N}
    row |= {
        "step": part["step"],
        "memorized": copied.value,
        "total": part["total"],
        "null": part["null"],
        "holdout": part["holdout"],
        "holdout_error": part["error"],
        "tau_mem": plain_time(memorization_time(copied, level=IMAGE_RULES.memorized, null=null)),
        "argmin": plain_time(argmin_time(held)),
        "best": min(part["holdout"]),
        "seconds": part["seconds"],
    }
    return row


def reference_rows(record: Mapping[str, Any]) -> Iterator[Row]:
    """The times of the runs without augmentation on more images."""
    for run in record["runs"]:
        if run["n_train"] > N:
            about = {"part": "reference", "kind": "none", "versions": 1}
            times = {"tau_mem": plain_time(time_of(run["times"]["tau_mem"]))}
            yield about | {name: run[name] for name in ("n_train", "seed")} | times


def law_of(rows: Sequence[Row]) -> ScalingLaw:
    """tau_mem without augmentation as a power of the number of images."""
    known = [row for row in rows if row["kind"] == "none"]
    return fit_scaling([{"n_train": row["n_train"], "time": as_time(row["tau_mem"])} for row in known])


def effective(tau: Mapping[str, Any], law: ScalingLaw) -> Row:
    """The number of images whose tau_mem, by the law, is this mean of times; its interval is first order.

    Both the mean and the law have t intervals; their half-widths in log n are added in squares.
    """
    if tau["value"] is None or not law.exponents["n_train"].value > 0:
        return {"value": None, "low": None, "high": None, "status": "undetermined"}
    slope = law.exponents["n_train"].value
    log_n = (math.log(tau["value"]) - law.log_prefactor) / slope
    found: Row = {"value": math.exp(log_n), "low": None, "high": None, "status": tau["status"]}
    if tau.get("low") and law.degrees:
        at = np.array([1.0, log_n])
        line = stats.t.ppf(0.975, law.degrees) * math.sqrt(at @ law.covariance @ at)
        half = math.hypot(line, math.log(tau["high"] / tau["value"])) / slope
        found |= {"low": math.exp(log_n - half), "high": math.exp(log_n + half)}
    return found


def group_rows(rows: Sequence[Row], law: ScalingLaw) -> Iterator[Row]:
    """Means over the runs of one kind."""
    done = [row for row in rows if row["part"] == "run"]
    runs = {kind: [r for r in done if r["kind"] == kind] for kind in dict.fromkeys(r["kind"] for r in done)}
    unit = {"value": 1.0, "status": "observed"}
    for kind, own in runs.items():
        tau = geometric_mean([ratio(row["tau_mem"], unit) for row in own])
        pairs = zip(own, runs["none"], strict=True)
        yield {
            "part": "group",
            "kind": kind,
            "versions": own[0]["versions"],
            "n_train": N,
            "tau_mem": tau,
            "argmin": geometric_mean([ratio(row["argmin"], unit) for row in own]),
            "best": over_seeds([row["best"] for row in own]),
            "later": geometric_mean([ratio(a["tau_mem"], b["tau_mem"]) for a, b in pairs]),
            "effective": effective(tau, law),
        }


def summarise(rows: list[Mapping[str, Any]]) -> Row:
    """The law without augmentation, and each kind in a line."""
    known = [dict(row) for row in rows if row["part"] != "group"]
    power = law_of(known).exponents["n_train"]
    names = ("versions", "tau_mem", "later", "effective", "best")
    groups = {row["kind"]: {name: row[name] for name in names} for row in rows if row["part"] == "group"}
    seconds = sum(row["seconds"] for row in rows if row["part"] == "run")
    law = {name: getattr(power, name) for name in ("value", "low", "high")}
    return {"exponent of n": law, **groups, "run seconds": seconds}


def run(out: Path, tiny: bool = False, results: Path = RESULTS) -> Path:
    """Write OUT/augmentation_digits.json. Some fifty minutes of one core; seconds when tiny.

    The part of each run stays in OUT/augmentation_digits_parts/: a run whose part is there is not done again.
    """
    name = f"{NAME}-tiny" if tiny else NAME
    size: Size = "tiny" if tiny else "here"
    labels, jobs = labels_of(size), dict[str, Job]()
    for kind, seed in labels:
        own = config(kind, seed, size)
        jobs[f"{kind}-{seed}"] = ({"config": encode(own), "kind": kind}, partial(train_kind, kind, own))
    found = parts(out / f"{name}_parts", jobs)
    records, inputs = read_sweeps([REFERENCE], results)

    def rows() -> Iterator[Row]:
        own = [run_row(*label, part) for label, part in zip(labels, found, strict=True)]
        own += reference_rows(records[REFERENCE])
        return iter([*own, *group_rows(own, law_of(own))])

    settings = {**found[0]["settings"], "environment": found[0]["environment"], "inputs": inputs}
    return write_record(
        out, NAME, rows, columns=COLUMNS, settings=settings, summary=summarise, tiny=tiny, recipe=NAME
    )
