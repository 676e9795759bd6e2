"""Claim 7: the class-conditional mixture with guidance (Fig. 10), and the times of each class.

Two Gaussians at +1 and -1 in every coordinate of d = 8, each a class. The network is told the class, and one
time in ten it is not; samples of a class are drawn with eps = (1 + w) eps(x, class) - w eps(x, no class).

Source: [bonnaire2025] Fig. 10; [ho2022] Alg. 1, Eq. (6)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from memhorizon.errors import InputError
from memhorizon.experiments.config import Config, encode
from memhorizon.experiments.recipe import Size
from memhorizon.experiments.record import plain
from memhorizon.recipes.guidance_model import DROP, Case, train_case
from memhorizon.recipes.parts import Job, Part, parts
from memhorizon.recipes.settings import MIXTURE, MIXTURE_RULES, PAPER_MIXTURE, SGD
from memhorizon.recipes.settings import tiny as tiny_of
from memhorizon.recipes.theory_record import write_record
from memhorizon.recipes.times import exponent, geometric_mean, plain_time, ratio
from memhorizon.results import Curve, Fraction
from memhorizon.timescales.collapse import collapse_quality
from memhorizon.timescales.times import generalization_time, memorization_time, quality_level

NAME = "guidance_mixture"
STEPS = {16: 6000, 32: 13_000, 64: 30_000, 128: 60_000}
SEEDS, SCALES = range(3), (0.0, 1.0, 3.0)
PER_CLASS, COUNTS = 500, ("count", "total", "null")


CASES = {"balanced": Case(), "rare": Case(share=0.25), "narrow": Case(variances=(1.0, 0.25))}
UNEQUAL_N = 64  # n_train of the two cases with unequal classes

COLUMNS = {
    "part": "run: one training; group: the runs of one case, n, class and guidance; law: balanced, all n",
    "case": "balanced; rare: a quarter of the items is of class 1; narrow: class 1 has variance 1/4, not 1",
    "n_train": "number of training items of both classes",
    "seed": "run: of data, weights and noise",
    "class": "of the samples, 0 or 1; both: counts of both added",
    "scale": "guidance w; 0 is the conditional model",
    "items": "training items of this class",
    "step": "snapshots",
    "memorized": "share of the samples with d1/d2 < 1/3 among all training items",
    "count": "number of these samples",
    "total": "samples at each snapshot",
    "null": "count and total for fresh draws of the class",
    "kl": "KL from the samples of a class to its Gaussian, w = 0 only",
    "kl_error": "its standard error",
    "tau_mem": "steps at which memorized exceeds its null by 0.2 (group: geometric mean over runs)",
    "tau_gen": "steps at which kl comes down to twice the worst floor of runs and classes of this n, w = 0",
    "unguided": "group: tau_mem over that of w = 0, run by run",
    "class_ratio": "group of class 1: tau_mem over that of class 0, run by run",
    "class_ratio_gen": "the same for tau_gen",
    "exponent": "law: tau_mem ~ n^exponent, censored times included",
    "collapse": "law: share of the spread between the curves that is left after dividing time by n",
    "seconds": "run: time that its training took",
}
Row = dict[str, Any]


def config(n_train: int, seed: int, size: Size) -> Config:
    """Network, optimizer and snapshots; the items of both classes are drawn here, not by its `data`."""
    base = {"tiny": tiny_of(MIXTURE), "here": MIXTURE, "paper": PAPER_MIXTURE}[size]
    base = replace(base, data=replace(base.data, n_train=n_train), optimizer=SGD, seed=seed)
    if size == "paper":
        return replace(base, model=replace(base.model, width=64))
    if size == "here":
        measure = replace(base.measure, snapshots=18, first=300, n_samples=PER_CLASS)
        base = replace(base, measure=measure, train=replace(base.train, n_updates=STEPS[n_train]))
    return replace(base, train=replace(base.train, batch_size=None))


def labels_of(size: Size) -> list[tuple[str, int, int]]:
    """Case, n_train and seed of every run; the classes are unequal at one n."""
    sizes = {"tiny": (8, 16), "here": tuple(STEPS), "paper": (256, 512, 1024)}[size]
    unequal = {"tiny": 16, "here": UNEQUAL_N, "paper": 512}[size]
    settings = [("balanced", n) for n in sizes] + [(case, unequal) for case in ("rare", "narrow")]
    return [(*own, seed) for own in settings for seed in ((0,) if size == "tiny" else SEEDS)]


def planned(size: Size = "here") -> list[Config]:
    """All runs; the cases differ in the items, which no configuration says."""
    return [config(n_train, seed, size) for _, n_train, seed in labels_of(size)]


def curve_rows(case: str, n_train: int, seed: int, part: Part) -> Iterator[Row]:
    """The curves of a training: each class and guidance, and both classes together."""
    about = {"part": "run", "case": case, "n_train": n_train, "seed": seed, "step": part["step"]}
    for scale in dict.fromkeys(curve["scale"] for curve in part["curves"]):
        own = [curve for curve in part["curves"] if curve["scale"] == scale]
        both = {"class": "both", "scale": scale, "items": n_train}
        both |= {name: [sum(pair) for pair in zip(*(c[name] for c in own), strict=True)] for name in COUNTS}
        for curve in [*own, both]:
            copied, null = copies_of({**curve, "step": part["step"]}), Fraction.of(*curve["null"])
            time = memorization_time(copied, level=MIXTURE_RULES.memorized, null=null)
            row = about | {name: curve[name] for name in ("class", "scale", "items", "total", "null")}
            row |= {"memorized": copied.value, "count": curve["count"], "tau_mem": plain_time(time)}
            row |= {name: curve[name] for name in ("kl", "kl_error") if curve.get(name)}
            yield row | {"seconds": part["seconds"]}


def copies_of(row: Mapping[str, Any]) -> Curve:
    """The memorized fraction along training."""
    pairs = zip(row["count"], row["total"], strict=True)
    return Curve.of_fractions(row["step"], [Fraction.of(*pair) for pair in pairs], name="memorized")


def add_tau_gen(rows: Sequence[Row]) -> None:
    """Read tau_gen of every class at w = 0 from its KL, with one level for all runs of one n."""
    for n_train in dict.fromkeys(row["n_train"] for row in rows):
        own = [row for row in rows if row["n_train"] == n_train and "kl" in row]
        kl = [Curve.of_means(row["step"], row["kl"], row["kl_error"], name="KL") for row in own]
        level = quality_level(kl, tolerance=MIXTURE_RULES.tolerance)
        for row, curve in zip(own, kl, strict=True):
            row["tau_gen"] = plain_time(generalization_time(curve, level=level))


def group_rows(rows: Sequence[Row]) -> Iterator[Row]:
    """Means over seeds, beside those without guidance and beside class 0."""
    unit = {"value": 1.0, "status": "observed"}
    names = ("case", "n_train", "class", "scale")
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    for key, own in groups.items():
        case, n_train, label, scale = key
        row: Row = {"part": "group", **dict(zip(names, key, strict=True)), "items": own[0]["items"]}
        row["tau_mem"] = geometric_mean([ratio(r["tau_mem"], unit) for r in own])
        plain_model, first = groups[case, n_train, label, 0.0], groups.get((case, n_train, 0, scale), own)
        row["unguided"] = compared(own, plain_model, "tau_mem")
        if "tau_gen" in own[0]:
            row["tau_gen"] = geometric_mean([ratio(r["tau_gen"], unit) for r in own])
        if label == 1:
            row["class_ratio"] = compared(own, first, "tau_mem")
        if label == 1 and scale == 0:
            row["class_ratio_gen"] = compared(own, first, "tau_gen")
        yield row


def compared(rows: Sequence[Row], others: Sequence[Row], clock: str) -> Row:
    """The ratio of a time between runs of the same seed."""
    return geometric_mean([ratio(a[clock], b[clock]) for a, b in zip(rows, others, strict=True)])


def law_rows(rows: Sequence[Row]) -> Iterator[Row]:
    """The law of n and the collapse of the balanced mixture, at each guidance."""
    for scale in SCALES:
        own = [r for r in rows if r["case"] == "balanced" and r["class"] == "both" and r["scale"] == scale]
        row: Row = {"part": "law", "case": "balanced", "class": "both", "scale": scale}
        row["exponent"] = exponent(own, "tau_mem")
        try:
            row["collapse"] = plain(
                collapse_quality([copies_of(r) for r in own], [r["n_train"] for r in own])
            )
        except InputError as error:  # curves without a common range: said, not hidden
            row["collapse"] = {"status": str(error)}
        yield row


def summarise(rows: list[Mapping[str, Any]]) -> Row:
    """The laws, and the ratios between guidances and between classes."""
    groups = [row for row in rows if row["part"] == "group"]
    both = [row for row in groups if row["class"] == "both" and row["scale"]]
    classes = [row for row in groups if row["class"] == 1 and row["scale"] == 0]
    kept = ("n_train", "class_ratio", "class_ratio_gen")
    seconds = {(r["case"], r["n_train"], r["seed"]): r["seconds"] for r in rows if r["part"] == "run"}
    return {
        "laws": [row for row in rows if row["part"] == "law"],
        "unguided": [{name: r[name] for name in ("case", "n_train", "scale", "unguided")} for r in both],
        "classes": {f"{r['case']} {r['n_train']}": {name: r[name] for name in kept} for r in classes},
        "run seconds": sum(seconds.values()),
    }


def run(out: Path, tiny: bool = False) -> Path:
    """Write OUT/guidance_mixture.json. Some forty minutes of one core; seconds when tiny.

    The part of each run stays in OUT/guidance_mixture_parts/: a run whose part is there is not done again.
    """
    name = f"{NAME}-tiny" if tiny else NAME
    size: Size = "tiny" if tiny else "here"
    labels, jobs = labels_of(size), dict[str, Job]()
    for case, n_train, seed in labels:
        own = config(n_train, seed, size)
        settings = {"config": encode(own), "case": asdict(CASES[case]), "scales": SCALES, "withheld": DROP}
        jobs[f"{case}-n{n_train}-seed{seed}"] = (settings, partial(train_case, CASES[case], own, SCALES))
    found = parts(out / f"{name}_parts", jobs)

    def rows() -> Iterator[Row]:
        pairs = zip(labels, found, strict=True)
        own = [row for label, part in pairs for row in curve_rows(*label, part)]
        add_tau_gen(own)
        return iter([*own, *group_rows(own), *law_rows(own)])

    settings = {**found[0]["settings"], "environment": found[0]["environment"]}
    return write_record(
        out, NAME, rows, columns=COLUMNS, settings=settings, summary=summarise, tiny=tiny, recipe=NAME
    )
