"""n*(W), the number of items beyond which a network of width W does not copy.

Small networks on a few items each, side by side (see `stack`). At each step n* is where the memorized
fraction, as it falls with n, crosses a level; it may only be called a limit if it has stopped to move.

Source: [bonnaire2025] Fig. 3 right
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float

from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Found, Request, Size
from memhorizon.networks.mlp import MLPConfig
from memhorizon.recipes.copies import copies_of, tau_mem_of
from memhorizon.recipes.parts import Done, Part, do_parts, found_of
from memhorizon.recipes.pooled import mean_time, power_of
from memhorizon.recipes.settings import (
    MIXTURE,
    MIXTURE_RULES,
    PAPER,
    PAPER_N,
    PAPER_WIDTHS,
    at_each_n,
    full_batch,
    lasting,
    of_seed,
)
from memhorizon.recipes.settings import tiny as tiny_of
from memhorizon.recipes.tables import entries, grouped, of_kind
from memhorizon.recipes.threshold_mixture.stack import Network, Stack, train_stack
from memhorizon.records.codec import encode
from memhorizon.results import Status, Time
from memhorizon.timescales.pooling import Exponent, Pooled, SeedMean, over_seeds

NAME = "threshold_mixture"
WIDTHS = (8, 10, 12, 16, 20)
SIZES = (4, 8, 16, 32, 64, 128)
SEEDS = range(3)
STEPS = 128_000
MEASURE = replace(MIXTURE.measure, snapshots=13, first=2000)  # by factors of the square root of 2
LEVELS = (0.02, 0.2)
LEARNED = 300.0  # KL in nats: networks with worse samples at the largest n have not learned the distribution
LATE = 4  # n* moves how much over the last factor of LATE in the step?
NO_LAW = Exponent(math.nan, -math.inf, math.inf, 0, 0, Status.NOT_FITTED, "too few widths")


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One network."""

    part: Annotated[Literal["run"], "one training"] = "run"
    width: Annotated[int, "W"]
    parameters: Annotated[int, "p, the trained numbers of the network"]
    n_train: Annotated[int, "number of training items; each is 128 / n_train times in a batch"]
    seed: Annotated[int, "of weights and noise; also which of the disjoint subsets of items"]
    step: Annotated[tuple[int, ...], "snapshots"]
    memorized: Annotated[Float[np.ndarray, " m"], "share of the samples with d1/d2 < 1/3"]
    count: Annotated[tuple[int, ...], "number of these samples"]
    total: Annotated[tuple[int, ...], "finite samples at each snapshot"]
    null: Annotated[tuple[int, int], "count and total for held-out items"]
    kl: Annotated[tuple[float, ...], "KL from the samples to the distribution of the items"]
    kl_error: Annotated[tuple[float, ...], "its standard error"]
    tau_mem: Annotated[Time, "steps at which memorized exceeds its null by 0.2"]
    seconds: Annotated[float, "time of its whole stack, divided by the number of networks"]


@dataclass(frozen=True, kw_only=True)
class ThresholdRow:
    """n* of one width and seed."""

    part: Annotated[Literal["threshold"], "n* of one seed"] = "threshold"
    width: Annotated[int, "W"]
    parameters: Annotated[int, "p, the trained numbers of the network"]
    seed: Annotated[int, "of weights and noise"]
    step: Annotated[int, "the step that n* is read at"]
    level: Annotated[float, "of memorized above its null"]
    n_star: Annotated[Time, "n at which memorized falls to the level for good, by log n"]


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """n* of one width."""

    part: Annotated[Literal["group"], "n* over seeds"] = "group"
    width: Annotated[int, "W"]
    parameters: Annotated[int, "p, the trained numbers of the network"]
    step: Annotated[int, "the step that n* is read at"]
    level: Annotated[float, "of memorized above its null"]
    n_star: Annotated[Pooled, "geometric mean over seeds"]
    growth: Annotated[
        SeedMean | None, "at the last step: d log n* / d log step over the last factor of 4, 95 % t interval"
    ] = None
    kl_last: Annotated[SeedMean | None, "last KL of the largest n, mean over seeds with t interval"] = None
    learned: Annotated[
        bool | None, "whether that mean is below 300; if not, not to copy is no merit of the network"
    ] = None


@dataclass(frozen=True, kw_only=True)
class LawRow:
    """n* against the size of the network."""

    part: Annotated[Literal["law"], "n* against the network"] = "law"
    level: Annotated[float, "of memorized above its null"]
    step: Annotated[int, "the last step"]
    exponent: Annotated[
        Exponent, "n* ~ p^exponent at the last step, bounds included, over the widths that have learned"
    ]


Row = RunRow | ThresholdRow | GroupRow | LawRow
KINDS = (RunRow, ThresholdRow, GroupRow, LawRow)


def config(width: int, n_train: int, seed: int, size: Size) -> Config:
    """One network of the stack, as a run of its own would have it."""
    base = tiny_of(MIXTURE) if size == "tiny" else lasting(MIXTURE, STEPS, MEASURE)
    return of_seed(full_batch(replace(base, model=MLPConfig(width=width))), n_train, seed)


def stacks(size: Size) -> dict[int, list[Config]]:
    """The networks of each width."""
    widths, sizes, seeds = ((4, 8), (2, 4), (0, 1)) if size == "tiny" else (WIDTHS, SIZES, SEEDS)
    return {width: [config(width, n, seed, size) for n in sizes for seed in seeds] for width in widths}


def planned(size: Size = "here") -> list[Config]:
    """All networks; at the paper's size its whole phase diagram."""
    if size == "paper":
        return phase_diagram()
    return [own for stack in stacks(size).values() for own in stack]


def phase_diagram() -> list[Config]:
    """The paper's networks of all widths and n."""
    length = dict.fromkeys(PAPER_N, PAPER.train.n_updates)
    return at_each_n(PAPER, length, width=PAPER_WIDTHS, seed=(0,))


def make(request: Request) -> Found:
    """Train the stacks and read n* off them."""
    own = stacks(request.size)
    parts = [part_of(width, configs) for width, configs in own.items()]
    done = do_parts(parts, Stack, request)
    rows = rows_of(dict(zip(own, done, strict=True)))
    first = next(iter(own.values()))[0]
    settings = {"config": encode(first), "entries": max(SIZES), "levels": LEVELS}
    return found_of(NAME, rows, KINDS, done, settings=settings, summary=summarise(rows))


def part_of(width: int, configs: Sequence[Config]) -> Part[Stack]:
    """The stack of one width."""
    return Part(f"W{width}", {"configs": [encode(own) for own in configs]}, partial(train_stack, configs))


def rows_of(stacks_of_width: dict[int, Done[Stack]]) -> list[Row]:
    """Networks, thresholds, groups and laws."""
    runs = [row for width, done in stacks_of_width.items() for row in run_rows(width, done)]
    thresholds = list(threshold_rows(runs))
    groups = list(group_rows(runs, thresholds))
    return [*runs, *thresholds, *groups, *law_rows(thresholds, groups)]


def run_rows(width: int, done: Done[Stack]) -> Iterator[RunRow]:
    """Every network of a stack."""
    stack = done.found
    seconds = done.seconds / len(stack.networks)
    for network in stack.networks:
        yield run_row(width, stack, network, seconds)


def run_row(width: int, stack: Stack, network: Network, seconds: float) -> RunRow:
    """The curves of a network, with tau_mem."""
    count = tuple(seen.count for seen in network.seen)
    total = tuple(seen.total for seen in network.seen)
    copied = copies_of(stack.step, count, total)
    return RunRow(
        width=width,
        parameters=stack.parameters,
        n_train=network.n_train,
        seed=network.seed,
        step=stack.step,
        memorized=copied.value,
        count=count,
        total=total,
        null=network.null,
        kl=tuple(seen.kl for seen in network.seen),
        kl_error=tuple(seen.kl_error for seen in network.seen),
        tau_mem=tau_mem_of(copied, network.null, MIXTURE_RULES.memorized),
        seconds=seconds,
    )


def threshold(sizes: Sequence[int], excess: Sequence[float], level: float) -> Time:
    """The n at which a curve over n falls to the level for good, by log n; a bound where it lies outside.

    >>> round(threshold([4, 8, 16], [0.9, 0.3, 0.1], 0.2).value, 3)
    11.314
    """
    above = [i for i, value in enumerate(excess) if value > level]
    if not above:
        return Time(sizes[0], 0.0, sizes[0], Status.BEFORE_FIRST)
    last = above[-1]
    if last == len(sizes) - 1:
        return Time(sizes[last], sizes[last], math.inf, Status.NOT_REACHED)
    share = (excess[last] - level) / (excess[last] - excess[last + 1])
    value = sizes[last] * (sizes[last + 1] / sizes[last]) ** share
    return Time(value, value, value, Status.OBSERVED)


def threshold_rows(runs: Sequence[RunRow]) -> Iterator[ThresholdRow]:
    """n* of every width and seed, at each level and step."""
    ordered = sorted(runs, key=lambda row: row.n_train)
    of_seeds = grouped(ordered, lambda row: (row.width, row.seed))
    for label in dict.fromkeys((row.width, row.seed) for row in runs):
        own = of_seeds[label]
        for level in LEVELS:
            yield from (threshold_row(own, level, k) for k in range(len(own[0].step)))


def threshold_row(own: Sequence[RunRow], level: float, k: int) -> ThresholdRow:
    """n* from networks that differ in n only, at the k-th snapshot."""
    first = own[0]
    excess = [float(row.memorized[k]) - row.null[0] / row.null[1] for row in own]
    return ThresholdRow(
        width=first.width,
        parameters=first.parameters,
        seed=first.seed,
        step=first.step[k],
        level=level,
        n_star=threshold([row.n_train for row in own], excess, level),
    )


def group_rows(runs: Sequence[RunRow], found: Sequence[ThresholdRow]) -> Iterator[GroupRow]:
    """n* of each width, level and step over seeds; at the last step its growth and the quality of samples."""
    groups = grouped(found, lambda row: (row.width, row.level, row.step))
    steps = {row.step for row in found}
    before = min(steps, key=lambda step: abs(math.log(step * LATE / max(steps))))
    for (width, level, step), own in groups.items():
        row = GroupRow(
            width=width,
            parameters=own[0].parameters,
            step=step,
            level=level,
            n_star=mean_time([each.n_star for each in own]),
        )
        if step == max(steps):
            row = at_the_end(row, runs, groups[width, level, before], own)
        yield row


def at_the_end(
    row: GroupRow, runs: Sequence[RunRow], earlier: Sequence[ThresholdRow], own: Sequence[ThresholdRow]
) -> GroupRow:
    """The last row of a width, with the growth of n* and the quality of samples at the largest n."""
    kl = last_kl([run for run in runs if run.width == row.width])
    moved = over_seeds([growth(*pair) for pair in zip(earlier, own, strict=True)])
    return replace(row, growth=moved, kl_last=kl, learned=kl.value < LEARNED)


def last_kl(runs: Sequence[RunRow]) -> SeedMean:
    """The last KL at the largest n, over seeds."""
    largest = max(run.n_train for run in runs)
    return over_seeds([run.kl[-1] for run in runs if run.n_train == largest])


def growth(earlier: ThresholdRow, later: ThresholdRow) -> float:
    """D log n* / d log step between two steps; NaN where either is a bound."""
    seen = earlier.n_star.observed and later.n_star.observed
    if not seen or earlier.step == later.step:
        return math.nan
    return math.log(later.n_star.value / earlier.n_star.value) / math.log(later.step / earlier.step)


def law_rows(found: Sequence[ThresholdRow], groups: Sequence[GroupRow]) -> Iterator[LawRow]:
    """n* at the last step against the number of parameters, over the widths that have learned."""
    last = max(row.step for row in found)
    able = {row.width for row in groups if row.learned}
    for level in LEVELS:
        own = [row for row in found if (row.level, row.step) == (level, last) and row.width in able]
        yield LawRow(level=level, step=last, exponent=exponent_of(own))


def exponent_of(rows: Sequence[ThresholdRow]) -> Exponent:
    """n* ~ p^exponent."""
    if len({row.width for row in rows}) < 2:
        return NO_LAW
    return power_of([row.parameters for row in rows], [row.n_star for row in rows])


def summarise(rows: Sequence[Row]) -> dict[str, object]:
    """n* of each width at the last step, its growth, and its law."""
    final = [row for row in of_kind(rows, GroupRow) if row.growth is not None]
    kept = ("width", "parameters", "level", "n_star", "growth", "kl_last", "learned")
    return {
        "thresholds": [entries(row, *kept) for row in final],
        "laws": of_kind(rows, LawRow),
        "run seconds": sum(row.seconds for row in of_kind(rows, RunRow)),
    }
