"""Biased generalization: are samples nearer to the own half of the images before the held-out loss turns?

Two halves of as many images each; a network is trained on either, with the same initial weights, noise and
sample seeds. If samples did not depend on which images were trained on, the share of samples that are nearer
to the own half, over both networks, would be 1/2 at any size and for any two halves.

Source: [garnier2026]
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from torch import Tensor

from memhorizon.datasets.split import Split, load_split
from memhorizon.experiments.config import Config, encode
from memhorizon.experiments.recipe import Size
from memhorizon.experiments.run import environment
from memhorizon.measure.memorization import gap_ratios
from memhorizon.measure.neighbors import nearest
from memhorizon.recipes.parts import Job, Part, parts
from memhorizon.recipes.settings import DIGITS, IMAGE_RULES, PAPER_ADAM
from memhorizon.recipes.settings import tiny as tiny_of
from memhorizon.recipes.snapshots import snapshots
from memhorizon.recipes.theory_record import write_record
from memhorizon.recipes.times import exponent, geometric_mean, over_seeds, plain_time, ratio
from memhorizon.results import Curve, Fraction
from memhorizon.timescales.times import (
    argmin_time,
    gap_opening_time,
    generalization_time,
    memorization_time,
    quality_level,
)

NAME = "halves_digits"
STEPS = {32: 1200, 64: 3000, 128: 7000}
PAIRS, SNAPSHOTS, N_SAMPLES = range(3), 14, 500
EXCESS = 0.05  # over one half: what counts as biased, several times the error of 1,000 samples
SEEN = ("step", "own", "copies", "total", "holdout", "error")
CLOCKS = ("tau_gen", "tau_bias", "argmin", "tau_mem")

COLUMNS = {
    "part": "run: both networks of a pair of halves; group: the pairs of one n (n_train null: of all n)",
    "n_train": "number of images in a half",
    "pair": "which pair of halves; also the seed of weights, batches and noise",
    "step": "snapshots",
    "own": "share of the samples of both networks that are nearer to the own half than to the other",
    "total": "samples of both networks",
    "copies": "share of them with d1/d2 < 1/3 within the own half",
    "null": "the same for held-out images, count and total, over both halves",
    "holdout": "denoising loss of held-out images at t = 0.3, mean over both networks",
    "holdout_error": "its standard error",
    "tau_gen": "steps at which the held-out loss reaches one level for all n (group: geometric mean)",
    "tau_bias": "steps at which `own` exceeds 1/2 by 0.05 for good (group: geometric mean)",
    "argmin": "steps at which the held-out loss is smallest (group: geometric mean)",
    "tau_mem": "steps at which `copies` exceeds its null by 0.1 (group: geometric mean)",
    "own_at_argmin": "`own` there, between snapshots by the logarithm of the step (group: mean, t interval)",
    "copies_at_argmin": "`copies` there (group: mean, t interval)",
    "lead": "group: tau_bias over the argmin, pair by pair",
    "window": "group: tau_mem over tau_gen, pair by pair",
    "safe_window": "group: tau_bias over tau_gen, pair by pair",
    "exponent": "group of all n: exponent of n of each of the four times, censored ones included",
    "seconds": "run: time that it took",
}
Row = dict[str, Any]


def config(n_train: int, half: int, pair: int, size: Size) -> Config:
    """The run on one half: the subsets of a pair are 2 pair and 2 pair + 1."""
    base = {"tiny": tiny_of(DIGITS), "here": DIGITS, "paper": PAPER_ADAM}[size]
    if size == "here":
        measure = replace(base.measure, snapshots=SNAPSHOTS, first=30, n_samples=N_SAMPLES)
        base = replace(base, measure=measure, train=replace(base.train, n_updates=STEPS[n_train]))
    return replace(base, data=replace(base.data, n_train=n_train, subset=2 * pair + half), seed=pair)


def labels_of(size: Size) -> list[tuple[int, int]]:
    """Images in a half and number of the pair, of every pair."""
    sizes = {"tiny": (8, 16), "here": tuple(STEPS), "paper": (1024, 4096, 16_384)}[size]
    pairs = {"tiny": range(2), "here": PAIRS, "paper": PAIRS}[size]
    return [(n_train, pair) for n_train in sizes for pair in pairs]


def planned(size: Size = "here") -> list[Config]:
    """All runs, two for each pair."""
    return [config(n_train, half, pair, size) for n_train, pair in labels_of(size) for half in (0, 1)]


def both_halves(configs: Sequence[Config]) -> list[Split]:
    """The two halves with the pixel mean of the first, so that distances to them are in one unit."""
    one, other = (load_split(own.data) for own in configs)
    shift = (other.center - one.center) * one.scale
    moved = {"train": other.train + shift, "holdout": other.holdout + shift, "center": one.center}
    return [one, replace(other, **moved)]


def train_half(own: Config, split: Split, other: Tensor) -> dict[str, list[float]]:
    """Train on one half and count, at every snapshot, samples nearer to it and copies of it."""
    found: dict[str, list[float]] = {name: [] for name in SEEN}
    for seen in snapshots(own, split, split.train):
        near, far = (nearest(seen.samples, images, k=1)[0][:, 0] for images in (split.train, other))
        copies = gap_ratios(seen.samples, split.train) < own.measure.threshold
        counts = (int((near < far).sum()), int(copies.sum()), len(seen.samples))
        for name, value in zip(SEEN, (seen.step, *counts, seen.holdout, seen.error), strict=True):
            found[name].append(value)
    return found


def train_pair(configs: Sequence[Config]) -> Part:
    """Both networks of a pair, their counts added and their losses averaged."""
    begun, splits = perf_counter(), both_halves(configs)
    others = (splits[1].train, splits[0].train)
    one, two = (train_half(*each) for each in zip(configs, splits, others, strict=True))
    added = {name: np.array(one[name]) + two[name] for name in ("own", "copies", "total")}
    threshold = configs[0].measure.threshold
    null = [int((gap_ratios(split.holdout, split.train) < threshold).sum()) for split in splits]
    return {
        "step": one["step"],
        **added,
        "holdout": (np.array(one["holdout"]) + two["holdout"]) / 2,
        # the held-out images and their noise are those of both networks: their errors are no independent ones
        "error": (np.array(one["error"]) + two["error"]) / 2,
        "null": [sum(null), sum(len(split.holdout) for split in splits)],
        "seconds": perf_counter() - begun,
        "environment": environment() | {"device": "cpu"},  # smaller than what an accelerator is good for
    }


def curves_of(part: Part) -> tuple[Curve, Curve, Curve]:
    """Share of samples nearer to the own half, share of copies, held-out loss."""
    own, copies = (
        [Fraction.of(*pair) for pair in zip(part[name], part["total"], strict=True)]
        for name in ("own", "copies")
    )
    held = Curve.of_means(part["step"], part["holdout"], part["error"], name="held-out loss at t = 0.3")
    return Curve.of_fractions(part["step"], own), Curve.of_fractions(part["step"], copies), held


def at(step: float, curve: Curve) -> float:
    """The value of a curve between its snapshots."""
    return float(np.interp(math.log(step), np.log(curve.step), curve.value))


def run_row(n_train: int, pair: int, part: Part, level: float) -> Row:
    """The curves of a pair and its times."""
    own, copies, held = curves_of(part)
    error = np.sqrt(own.value * (1 - own.value) / part["total"])
    excess = Curve.of_means(part["step"], own.value.tolist(), error.tolist(), name="share nearer to own half")
    best = argmin_time(held)
    times = {
        "tau_gen": generalization_time(held, level=level),
        "tau_bias": gap_opening_time(excess, level=EXCESS, null=0.5),
        "argmin": best,
        "tau_mem": memorization_time(copies, level=IMAGE_RULES.memorized, null=Fraction.of(*part["null"])),
    }
    return {
        "part": "run",
        "n_train": n_train,
        "pair": pair,
        "step": part["step"],
        "own": own.value,
        "copies": copies.value,
        "total": part["total"],
        "null": part["null"],
        "holdout": part["holdout"],
        "holdout_error": part["error"],
        **{name: plain_time(time) for name, time in times.items()},
        "own_at_argmin": at(best.value, own),
        "copies_at_argmin": at(best.value, copies),
        "seconds": part["seconds"],
    }


def group_row(rows: Sequence[Row], n_train: int | None) -> Row:
    """The pairs of one n, or of all."""
    unit = {"value": 1.0, "status": "observed"}
    ratios = {"lead": ("tau_bias", "argmin"), "window": ("tau_mem", "tau_gen")}
    ratios["safe_window"] = ("tau_bias", "tau_gen")
    row: Row = {"part": "group", "n_train": n_train}
    row |= {clock: geometric_mean([ratio(r[clock], unit) for r in rows]) for clock in CLOCKS}
    for name, (above, below) in ratios.items():
        row[name] = geometric_mean([ratio(r[above], r[below]) for r in rows])
    row |= {name: over_seeds([r[name] for r in rows]) for name in ("own_at_argmin", "copies_at_argmin")}
    if n_train is None:
        row["exponent"] = {clock: exponent(rows, clock) for clock in CLOCKS}
    return row


def summarise(rows: list[Mapping[str, Any]]) -> Row:
    """The group of each n, and of all."""
    groups = {f"n = {r['n_train'] or 'all'}": r for r in rows if r["part"] == "group"}
    seconds = sum(row["seconds"] for row in rows if row["part"] == "run")
    return {name: {k: v for k, v in row.items() if k != "part"} for name, row in groups.items()} | {
        "run seconds": seconds
    }


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/halves_digits.json. Some forty minutes of one core; seconds when tiny.

    The part of each pair stays in OUT/halves_digits_parts/: a pair whose part is there is not done again.
    """
    name = f"{NAME}-tiny" if tiny else NAME
    size: Size = "tiny" if tiny else "here"
    labels, jobs = labels_of(size), dict[str, Job]()
    for n_train, pair in labels:
        configs = [config(n_train, half, pair, size) for half in (0, 1)]
        settings = {"configs": [encode(own) for own in configs]}
        jobs[f"n{n_train}-pair{pair}"] = (settings, partial(train_pair, configs))
    found = parts(out / f"{name}_parts", jobs)

    def rows() -> Iterator[Row]:
        held = [curves_of(part)[2] for part in found]
        level = quality_level(held, tolerance=IMAGE_RULES.tolerance)
        own = [run_row(*label, part, level) for label, part in zip(labels, found, strict=True)]
        yield from own
        yield from (group_row([row for row in own if row["n_train"] == n], n) for n in dict(labels))
        yield group_row(own, None)

    settings = {**found[0]["settings"], "environment": found[0]["environment"], "excess": EXCESS}
    return write_record(
        out, NAME, rows, columns=COLUMNS, settings=settings, summary=summarise, tiny=tiny, recipe=NAME
    )
