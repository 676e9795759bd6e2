"""Samples of networks that were trained on either of two halves of the images.

Two halves of as many images each; a network is trained on either, with the same initial weights, noise and
sample seeds. If samples did not depend on which images were trained on, the share of samples that are nearer
to the training half, over both networks, would be 1/2 at any size and for any two halves.

Source: [garnier2026]
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from memhorizon.datasets.split import Split, load_split
from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Found, Request, Size
from memhorizon.measure.memorization import gap_ratios
from memhorizon.measure.neighbors import nearest
from memhorizon.recipes.copies import copies_of, tau_mem_of
from memhorizon.recipes.parts import Done, Part, do_parts, found_of
from memhorizon.recipes.pooled import bare, mean_ratio, mean_time, power_of
from memhorizon.recipes.settings import DIGITS, IMAGE_RULES, PAPER_ADAM, lasting
from memhorizon.recipes.settings import tiny as tiny_of
from memhorizon.recipes.snapshots import Snapshot, snapshots
from memhorizon.recipes.tables import grouped, of_kind
from memhorizon.records.codec import encode
from memhorizon.results import Curve, Time
from memhorizon.timescales.levels import quality_level
from memhorizon.timescales.pooling import Exponent, Pooled, SeedMean, over_seeds
from memhorizon.timescales.times import argmin_time, gap_opening_time, generalization_time

NAME = "halves_digits"
STEPS = {32: 1200, 64: 3000, 128: 7000}
PAIRS = range(3)
MEASURE = replace(DIGITS.measure, snapshots=14, first=30, n_samples=500)
EXCESS = 0.05  # over one half: what counts as biased, several times the error of 1,000 samples
CHANCE = 0.5  # share of samples nearer to either half that says nothing
Timescale = Literal["tau_gen", "tau_bias", "argmin", "tau_mem"]
TIMESCALES: tuple[Timescale, ...] = ("tau_gen", "tau_bias", "argmin", "tau_mem")


@dataclass(frozen=True, kw_only=True)
class Times:
    """The four times of a pair."""

    tau_gen: Annotated[Time, "steps at which the held-out loss reaches one level for all n"]
    tau_bias: Annotated[Time, "steps at which `own` exceeds 1/2 by 0.05 for good"]
    argmin: Annotated[Time, "steps at which the held-out loss is smallest"]
    tau_mem: Annotated[Time, "steps at which `copies` exceeds its null by 0.1"]


@dataclass(frozen=True, kw_only=True)
class RunRow(Times):
    """Both networks of a pair of halves."""

    part: Annotated[Literal["run"], "both networks of a pair of halves"] = "run"
    n_train: Annotated[int, "number of images in a half"]
    pair: Annotated[int, "which pair of halves; also the seed of weights, batches and noise"]
    step: Annotated[tuple[int, ...], "snapshots"]
    own: Annotated[
        Float[np.ndarray, " m"],
        "share of the samples of both networks that are nearer to the training half than to the other",
    ]
    copies: Annotated[Float[np.ndarray, " m"], "share of them with d1/d2 < 1/3 within the training half"]
    total: Annotated[tuple[int, ...], "samples of both networks"]
    null: Annotated[tuple[int, int], "the same for held-out images, count and total, over both halves"]
    holdout: Annotated[
        Float[np.ndarray, " m"], "denoising loss of held-out images at t = 0.3, mean over both networks"
    ]
    holdout_error: Annotated[Float[np.ndarray, " m"], "its standard error"]
    own_at_argmin: Annotated[float, "`own` there, between snapshots by the logarithm of the step"]
    copies_at_argmin: Annotated[float, "`copies` there"]
    seconds: Annotated[float, "time that it took"]


@dataclass(frozen=True, kw_only=True)
class Exponents:
    """The exponent of n of each of the four times.

    Attributes:
        tau_gen: of tau_gen.
        tau_bias: of tau_bias.
        argmin: of the argmin of the held-out loss.
        tau_mem: of tau_mem.
    """

    tau_gen: Exponent
    tau_bias: Exponent
    argmin: Exponent
    tau_mem: Exponent


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """The pairs of one n, or of all."""

    part: Annotated[Literal["group"], "the pairs of one n"] = "group"
    n_train: Annotated[int | None, "number of images in a half; null for the pairs of all n"]
    tau_gen: Annotated[Pooled, "geometric mean"]
    tau_bias: Annotated[Pooled, "geometric mean"]
    argmin: Annotated[Pooled, "geometric mean"]
    tau_mem: Annotated[Pooled, "geometric mean"]
    lead: Annotated[Pooled, "tau_bias over the argmin, pair by pair"]
    window: Annotated[Pooled, "tau_mem over tau_gen, pair by pair"]
    safe_window: Annotated[Pooled, "tau_bias over tau_gen, pair by pair"]
    own_at_argmin: Annotated[SeedMean, "mean over pairs, t interval"]
    copies_at_argmin: Annotated[SeedMean, "mean over pairs, t interval"]
    exponent: Annotated[
        Exponents | None, "of all n: exponent of n of each of the four times, censored ones included"
    ] = None


Row = RunRow | GroupRow
KINDS = (RunRow, GroupRow)


@dataclass(frozen=True)
class Seen:
    """What one network showed at one snapshot.

    Attributes:
        step: updates done.
        own: samples nearer to the training half.
        copies: samples that copy an image of it.
        total: samples.
        holdout: held-out loss.
        error: its standard error.
    """

    step: int
    own: int
    copies: int
    total: int
    holdout: float
    error: float


@dataclass(frozen=True)
class Pair:
    """What both networks of a pair showed.

    Attributes:
        one: the network of the first half. [m]
        two: that of the second. [m]
        null: held-out images that count as copies of a half, and of how many, over both.
    """

    one: tuple[Seen, ...]
    two: tuple[Seen, ...]
    null: tuple[int, int]


@dataclass(frozen=True)
class Curves:
    """The curves of a pair.

    Attributes:
        own: share of samples nearer to the training half.
        copies: share of samples that are copies.
        holdout: held-out loss.
        error: its standard error. [m]
    """

    own: Curve
    copies: Curve
    holdout: Curve
    error: Float[np.ndarray, " m"]


def config(n_train: int, half: int, pair: int, size: Size) -> Config:
    """The run on one half: the subsets of a pair are 2 pair and 2 pair + 1."""
    base = base_of(n_train, size)
    return replace(base, data=replace(base.data, n_train=n_train, subset=2 * pair + half), seed=pair)


def base_of(n_train: int, size: Size) -> Config:
    """What all runs of one n share."""
    if size == "paper":
        return PAPER_ADAM
    return tiny_of(DIGITS) if size == "tiny" else lasting(DIGITS, STEPS[n_train], MEASURE)


def labels_of(size: Size) -> list[tuple[int, int]]:
    """Images in a half and number of the pair, of every pair."""
    sizes = {"tiny": (8, 16), "here": tuple(STEPS), "paper": (1024, 4096, 16_384)}[size]
    pairs = range(2) if size == "tiny" else PAIRS
    return [(n_train, pair) for n_train in sizes for pair in pairs]


def halves_of(n_train: int, pair: int, size: Size) -> list[Config]:
    """Both runs of a pair."""
    return [config(n_train, half, pair, size) for half in (0, 1)]


def planned(size: Size = "here") -> list[Config]:
    """All runs, two for each pair."""
    return [own for label in labels_of(size) for own in halves_of(*label, size)]


def make(request: Request) -> Found:
    """Train all pairs and read their times."""
    labels = labels_of(request.size)
    parts = [part_of(label, halves_of(*label, request.size)) for label in labels]
    done = do_parts(parts, Pair, request)
    rows = rows_of(dict(zip(labels, done, strict=True)))
    settings = {**parts[0].settings, "excess": EXCESS}
    return found_of(NAME, rows, KINDS, done, settings=settings, summary=summarise(rows))


def part_of(label: tuple[int, int], configs: Sequence[Config]) -> Part[Pair]:
    """The part of one pair."""
    settings = {"configs": [encode(own) for own in configs]}
    return Part(f"n{label[0]}-pair{label[1]}", settings, partial(train_pair, configs))


# --- training ---


def train_pair(configs: Sequence[Config], device: torch.device) -> Pair:
    """Train a network on either half."""
    splits = both_halves(configs)
    threshold = configs[0].measure.threshold
    one = train_half(configs[0], splits[0], splits[1].train, device)
    two = train_half(configs[1], splits[1], splits[0].train, device)
    null = sum(copies_in(split.holdout, split.train, threshold) for split in splits)
    return Pair(one, two, (null, sum(len(split.holdout) for split in splits)))


def copies_in(items: Tensor, half: Tensor, threshold: float) -> int:
    """How many items copy an image of a half."""
    return int((gap_ratios(items, half) < threshold).sum())


def both_halves(configs: Sequence[Config]) -> list[Split]:
    """The two halves with the pixel mean of the first, so that distances to them are in one unit."""
    one, other = (load_split(own.data) for own in configs)
    return [one, centered_as(one, other)]


def centered_as(one: Split, other: Split) -> Split:
    """The other split with the pixel mean of the one."""
    shift = (other.center - one.center) * one.scale
    return replace(other, train=other.train + shift, holdout=other.holdout + shift, center=one.center)


def train_half(own: Config, split: Split, other: Tensor, device: torch.device) -> tuple[Seen, ...]:
    """Train on one half and count, at every snapshot, samples nearer to it and copies of it."""
    threshold = own.measure.threshold
    return tuple(
        seen(shot, split.train, other, threshold) for shot in snapshots(own, split, split.train, device)
    )


def seen(shot: Snapshot, half: Tensor, other: Tensor, threshold: float) -> Seen:
    """Samples nearer to a half than to the other, and copies of an image of it."""
    return Seen(
        shot.step,
        own=nearer(shot.samples, half, other),
        copies=copies_in(shot.samples, half, threshold),
        total=len(shot.samples),
        holdout=shot.holdout,
        error=shot.error,
    )


def nearer(samples: Tensor, half: Tensor, other: Tensor) -> int:
    """How many samples are nearer to a half than to the other."""
    near = nearest(samples, half, k=1)[0]
    far = nearest(samples, other, k=1)[0]
    return int((near < far).sum())


# --- rows ---


def rows_of(pairs: dict[tuple[int, int], Done[Pair]]) -> list[Row]:
    """The pairs, with one level of quality for all, and the groups of each n and of all."""
    curves = {label: curves_of(done.found) for label, done in pairs.items()}
    level = quality_level([each.holdout for each in curves.values()], tolerance=IMAGE_RULES.tolerance)
    runs = [
        run_row(label, curves[label], done.found.null, level, done.seconds) for label, done in pairs.items()
    ]
    groups = [group_row(own, n) for n, own in grouped(runs, lambda row: row.n_train).items()]
    return [*runs, *groups, group_row(runs, None)]


def curves_of(pair: Pair) -> Curves:
    """The counts of both networks added, their losses averaged."""
    both = list(zip(pair.one, pair.two, strict=True))
    step = [one.step for one, _ in both]
    total = [one.total + two.total for one, two in both]
    own = [one.own + two.own for one, two in both]
    copies = [one.copies + two.copies for one, two in both]
    holdout = [(one.holdout + two.holdout) / 2 for one, two in both]
    # the held-out images and their noise are those of both networks: their errors are no independent ones
    error = np.array([(one.error + two.error) / 2 for one, two in both])
    return Curves(
        own=copies_of(step, own, total),
        copies=copies_of(step, copies, total),
        holdout=Curve.of_means(step, holdout, error, name="held-out loss at t = 0.3"),
        error=error,
    )


def times_of(curves: Curves, null: tuple[int, int], level: float) -> dict[Timescale, Time]:
    """The four times of a pair; tau_gen is read at a level of quality."""
    found: dict[Timescale, Time] = {
        "tau_gen": generalization_time(curves.holdout, level=level),
        "tau_bias": gap_opening_time(share_with_errors(curves.own), level=EXCESS, null=CHANCE),
        "argmin": argmin_time(curves.holdout),
        "tau_mem": tau_mem_of(curves.copies, null, IMAGE_RULES.memorized),
    }
    return {name: bare(time) for name, time in found.items()}


def share_with_errors(own: Curve) -> Curve:
    """A share with its normal intervals, of standard error sqrt(p (1 - p) / m)."""
    assert own.total is not None
    error = np.sqrt(own.value * (1 - own.value) / own.total)
    return Curve.of_means(own.step, own.value, error, name="share nearer to the training half")


def at(step: float, curve: Curve) -> float:
    """The value of a curve between its snapshots, by the logarithm of the step."""
    return float(np.interp(math.log(step), np.log(curve.step), curve.value))


def run_row(
    label: tuple[int, int], curves: Curves, null: tuple[int, int], level: float, seconds: float
) -> RunRow:
    """The curves of a pair and its times."""
    times = times_of(curves, null, level)
    best = times["argmin"].value
    assert curves.own.total is not None
    return RunRow(
        **times,
        n_train=label[0],
        pair=label[1],
        step=tuple(int(step) for step in curves.own.step),
        own=curves.own.value,
        copies=curves.copies.value,
        total=tuple(int(total) for total in curves.own.total),
        null=null,
        holdout=curves.holdout.value,
        holdout_error=curves.error,
        own_at_argmin=at(best, curves.own),
        copies_at_argmin=at(best, curves.copies),
        seconds=seconds,
    )


def group_row(rows: Sequence[RunRow], n_train: int | None) -> GroupRow:
    """The pairs of one n, or of all."""
    tau_gen = [row.tau_gen for row in rows]
    tau_bias = [row.tau_bias for row in rows]
    argmin = [row.argmin for row in rows]
    tau_mem = [row.tau_mem for row in rows]
    return GroupRow(
        n_train=n_train,
        tau_gen=mean_time(tau_gen),
        tau_bias=mean_time(tau_bias),
        argmin=mean_time(argmin),
        tau_mem=mean_time(tau_mem),
        lead=mean_ratio(tau_bias, argmin),
        window=mean_ratio(tau_mem, tau_gen),
        safe_window=mean_ratio(tau_bias, tau_gen),
        own_at_argmin=over_seeds([row.own_at_argmin for row in rows]),
        copies_at_argmin=over_seeds([row.copies_at_argmin for row in rows]),
        exponent=exponents_of(rows) if n_train is None else None,
    )


def exponents_of(rows: Sequence[RunRow]) -> Exponents:
    """The exponent of n of each time."""
    sizes = [row.n_train for row in rows]
    return Exponents(**{name: power_of(sizes, [getattr(row, name) for row in rows]) for name in TIMESCALES})


def summarise(rows: Sequence[Row]) -> dict[str, object]:
    """The group of each n, and of all."""
    groups = {f"n = {row.n_train or 'all'}": answers_of(row) for row in of_kind(rows, GroupRow)}
    return {**groups, "run seconds": sum(row.seconds for row in of_kind(rows, RunRow))}


def answers_of(row: GroupRow) -> dict[str, object]:
    """The entries of a group but for its part, and its exponent where there is none."""
    left_out = ("part", "exponent") if row.exponent is None else ("part",)
    return {name: value for name, value in vars(row).items() if name not in left_out}
