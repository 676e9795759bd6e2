"""Claim 3: n*(W), the number of items beyond which a network of width W does not copy, ever.

Small networks on a few items each, side by side (see `stacked_mlp`). At each step n* is where the memorized
fraction, as it falls with n, crosses a level; it may only be called a limit if it has stopped to move.

Source: [bonnaire2025] Fig. 3 right
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from memhorizon.experiments.config import Config, encode
from memhorizon.experiments.recipe import Size
from memhorizon.networks.mlp import MLPConfig
from memhorizon.recipes.parts import Job, Part, parts
from memhorizon.recipes.settings import MIXTURE, MIXTURE_RULES, PAPER, PAPER_N, at_each_n
from memhorizon.recipes.settings import tiny as tiny_of
from memhorizon.recipes.stacked_mlp import train_stack
from memhorizon.recipes.theory_record import write_record
from memhorizon.recipes.times import SIDES, as_time, geometric_mean, over_seeds, plain_time, power
from memhorizon.results import Curve, Fraction
from memhorizon.timescales.power_law import fit_scaling
from memhorizon.timescales.times import memorization_time

NAME = "threshold_mixture"
WIDTHS, SIZES, SEEDS = (8, 10, 12, 16, 20), (4, 8, 16, 32, 64, 128), range(3)
STEPS, SNAPSHOTS, FIRST = 128_000, 13, 2000  # by factors of the square root of 2
LEVELS = (0.02, 0.2)
LEARNED = 300.0  # KL in nats: networks with worse samples at the largest n have not learned the law at all
LATE = 4  # n* moves how much over the last factor of LATE in the step?
NO_LAW = {"value": math.nan, "low": -math.inf, "high": math.inf, "status": "not fitted: too few widths"}

COLUMNS = {
    "part": "run: one training; threshold: n* of one seed; group: over seeds; law: n* against the network",
    "width": "W",
    "parameters": "p, the trained numbers of the network",
    "n_train": "number of training items; each stands 128 / n_train times in a batch",
    "seed": "of weights and noise; also which of the disjoint subsets of items",
    "step": "run: snapshots; threshold, group: the step that n* is read at",
    "memorized": "share of the samples with d1/d2 < 1/3",
    "count": "number of these samples",
    "total": "finite samples at each snapshot",
    "null": "count and total for held-out items",
    "kl": "KL from the samples to the law",
    "kl_error": "its standard error",
    "tau_mem": "steps at which memorized exceeds its null by 0.2",
    "level": "of memorized above its null",
    "n_star": "n at which memorized falls to the level for good, by log n (group: geometric mean)",
    "growth": "group at the last step: d log n* / d log step over the last factor of 4 (mean, t interval)",
    "exponent": "law: n* ~ p^exponent at the last step, bounds included, over the widths that have learned",
    "kl_last": "group: last KL of the largest n, mean over seeds with t interval",
    "learned": "group: whether that mean is below 300; if not, not to copy is no merit of the network",
    "seconds": "run: time of its whole stack, divided by the number of networks",
}
Row = dict[str, Any]


def config(width: int, n_train: int, seed: int, size: Size) -> Config:
    """One network of the stack, as a run of its own would have it."""
    base = tiny_of(MIXTURE) if size == "tiny" else MIXTURE
    if size == "here":
        measure = replace(base.measure, snapshots=SNAPSHOTS, first=FIRST)
        base = replace(base, measure=measure, train=replace(base.train, n_updates=STEPS))
    data, train_all = replace(base.data, n_train=n_train, subset=seed), replace(base.train, batch_size=None)
    return replace(base, data=data, model=MLPConfig(width=width), train=train_all, seed=seed)


def stacks(size: Size) -> dict[int, list[Config]]:
    """The networks of each width."""
    widths, sizes, seeds = ((4, 8), (2, 4), (0, 1)) if size == "tiny" else (WIDTHS, SIZES, SEEDS)
    return {w: [config(w, n, seed, size) for n in sizes for seed in seeds] for w in widths}


def planned(size: Size = "here") -> list[Config]:
    """All networks; at the paper's size its whole phase diagram."""
    if size == "paper":
        return at_each_n(PAPER, dict.fromkeys(PAPER_N, 2_000_000), width=(8, 16, 32, 48, 64), seed=(0,))
    return [own for stack in stacks(size).values() for own in stack]


def run_rows(width: int, part: Part) -> Iterator[Row]:
    """The curves of every network of a stack, with tau_mem."""
    for curve in part["curves"]:
        pairs = list(zip(curve["count"], curve["total"], strict=True))
        copied = Curve.of_fractions(part["step"], [Fraction.of(*pair) for pair in pairs], name="memorized")
        null = Fraction.of(*curve["null"])
        time = memorization_time(copied, level=MIXTURE_RULES.memorized, null=null)
        about = {"part": "run", "width": width, "parameters": part["parameters"], "step": part["step"]}
        row = about | curve | {"memorized": copied.value, "tau_mem": plain_time(time)}
        yield row | {"seconds": part["seconds"] / len(part["curves"])}


def threshold(sizes: Sequence[int], excess: Sequence[float], level: float) -> Row:
    """The n at which a curve over n falls to the level for good, by log n; a bound where it lies outside.

    >>> threshold([4, 8, 16], [0.9, 0.3, 0.1], 0.2)["value"].__round__(3)
    11.314
    """
    above = [i for i, value in enumerate(excess) if value > level]
    if not above:
        return {"value": sizes[0], "low": 0.0, "high": sizes[0], "status": "before first"}
    last = above[-1]
    if last == len(sizes) - 1:
        return {"value": sizes[last], "low": sizes[last], "high": None, "status": "not reached"}
    share = (excess[last] - level) / (excess[last] - excess[last + 1])
    value = sizes[last] * (sizes[last + 1] / sizes[last]) ** share
    return {"value": value, "low": value, "high": value, "status": "observed"}


def threshold_rows(runs: Sequence[Row]) -> Iterator[Row]:
    """n* of every width and seed, at each step and level."""
    for width, seed in dict.fromkeys((row["width"], row["seed"]) for row in runs):
        own = [row for row in runs if (row["width"], row["seed"]) == (width, seed)]
        own.sort(key=lambda row: row["n_train"])
        sizes = [row["n_train"] for row in own]
        about = {"part": "threshold", "width": width, "parameters": own[0]["parameters"], "seed": seed}
        for level in LEVELS:
            for k, step in enumerate(own[0]["step"]):
                excess = [row["memorized"][k] - row["null"][0] / row["null"][1] for row in own]
                yield {**about, "step": step, "level": level, "n_star": threshold(sizes, excess, level)}


def group_rows(runs: Sequence[Row], found: Sequence[Row]) -> Iterator[Row]:
    """n* of each width, step and level over seeds; at the last step its growth and the quality of samples."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in found:
        groups.setdefault((row["width"], row["parameters"], row["level"], row["step"]), []).append(row)
    last, largest = max(row["step"] for row in found), max(row["n_train"] for row in runs)
    for (width, parameters, level, step), own in groups.items():
        row: Row = {"part": "group", "width": width, "parameters": parameters, "level": level, "step": step}
        entries = [each["n_star"] for each in own]
        row["n_star"] = geometric_mean([(math.log(e["value"]), SIDES[e["status"]]) for e in entries])
        if step == last:
            before = min((key[3] for key in groups), key=lambda s: abs(math.log(s * LATE / last)))
            earlier = groups[width, parameters, level, before]
            pairs = zip(earlier, own, strict=True)
            row["growth"] = over_seeds([growth(*pair, before, last) for pair in pairs])
            final = [r["kl"][-1] for r in runs if (r["width"], r["n_train"]) == (width, largest)]
            row["kl_last"] = over_seeds(final)
            row["learned"] = row["kl_last"]["value"] < LEARNED
        yield row


def growth(earlier: Row, later: Row, before: float, last: float) -> float:
    """The slope of log n* in log step between two steps; NaN where either is a bound."""
    first, second = earlier["n_star"], later["n_star"]
    if {first["status"], second["status"]} != {"observed"} or before == last:
        return math.nan
    return math.log(second["value"] / first["value"]) / math.log(last / before)


def law_rows(found: Sequence[Row], groups: Sequence[Row]) -> Iterator[Row]:
    """n* at the last step against the number of parameters, over the widths that have learned."""
    last, able = max(row["step"] for row in found), {row["width"] for row in groups if row.get("learned")}
    for level in LEVELS:
        own = [r for r in found if (r["level"], r["step"]) == (level, last) and r["width"] in able]
        if len({row["width"] for row in own}) < 2:
            yield {"part": "law", "level": level, "step": last, "exponent": NO_LAW}
            continue
        law = fit_scaling(
            [{"parameters": row["parameters"], "time": as_time(row["n_star"])} for row in own],
            by=("parameters",),
        )
        yield {"part": "law", "level": level, "step": last, "exponent": power(law, "parameters")}


def summarise(rows: list[Mapping[str, Any]]) -> Row:
    """n* of each width at the last step, its growth, and its law."""
    runs = [row for row in rows if row["part"] == "run"]
    final = [row for row in rows if row["part"] == "group" and "growth" in row]
    kept = ("width", "parameters", "level", "n_star", "growth", "kl_last", "learned")
    return {
        "thresholds": [{name: row[name] for name in kept} for row in final],
        "laws": [row for row in rows if row["part"] == "law"],
        "run seconds": sum(row["seconds"] for row in runs),
    }


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/threshold_mixture.json. Under an hour of one core; seconds when tiny.

    The part of each width stays in OUT/threshold_mixture_parts/: one that is there is not done again.
    """
    name = f"{NAME}-tiny" if tiny else NAME
    own, jobs = stacks("tiny" if tiny else "here"), dict[str, Job]()
    for width, configs in own.items():
        jobs[f"W{width}"] = ({"configs": [encode(c) for c in configs]}, partial(train_stack, configs))
    found = parts(out / f"{name}_parts", jobs)

    def rows() -> Iterator[Row]:
        runs = [row for width, part in zip(own, found, strict=True) for row in run_rows(width, part)]
        thresholds = list(threshold_rows(runs))
        groups = list(group_rows(runs, thresholds))
        return iter([*runs, *thresholds, *groups, *law_rows(thresholds, groups)])

    settings = {"config": found[0]["settings"]["configs"][0], "entries": max(SIZES), "levels": LEVELS}
    settings["environment"] = found[0]["environment"]
    return write_record(
        out, NAME, rows, columns=COLUMNS, settings=settings, summary=summarise, tiny=tiny, recipe=NAME
    )
