"""The class-conditional mixture with guidance, and the times of each class.

Two Gaussians at +1 and -1 in every coordinate of d = 8, each a class. The network is told the class, and one
time in ten it is not; samples of a class are drawn with eps = (1 + w) eps(x, class) - w eps(x, no class).

Source: [bonnaire2025] Fig. 10; [ho2022] Alg. 1, Eq. (6)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float

from memhorizon.errors import InputError
from memhorizon.experiments.config import Config
from memhorizon.experiments.recipe import Found, Request, Size
from memhorizon.recipes.copies import copies_of, tau_mem_of
from memhorizon.recipes.guidance_mixture.model import DROP, Case, ClassCurve, Training, train_case
from memhorizon.recipes.parts import Done, Part, do_parts, found_of
from memhorizon.recipes.pooled import bare, mean_ratio, mean_time, power_of
from memhorizon.recipes.settings import MIXTURE, MIXTURE_RULES, PAPER_MIXTURE, SGD, full_batch, lasting
from memhorizon.recipes.settings import tiny as tiny_of
from memhorizon.recipes.tables import entries, grouped, of_kind
from memhorizon.records.codec import encode
from memhorizon.results import Curve, Estimate, Time
from memhorizon.timescales.collapse import collapse_quality
from memhorizon.timescales.levels import quality_level
from memhorizon.timescales.pooling import Exponent, Pooled
from memhorizon.timescales.times import generalization_time

NAME = "guidance_mixture"
STEPS = {16: 6000, 32: 13_000, 64: 30_000, 128: 60_000}
SEEDS = range(3)
SCALES = (0.0, 1.0, 3.0)
MEASURE = replace(MIXTURE.measure, snapshots=18, first=300, n_samples=500)  # samples of each class
CASES = {"balanced": Case(), "rare": Case(share=0.25), "narrow": Case(variances=(1.0, 0.25))}
UNEQUAL_N = 64  # n_train of the two cases with unequal classes
BOTH = "both"
Label = int | str  # a class, or both


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """The curves of a training: one class or both, at one guidance."""

    part: Annotated[Literal["run"], "one training"] = "run"
    case: Annotated[
        str, "balanced; rare: a quarter of the items is of class 1; narrow: class 1 has variance 1/4, not 1"
    ]
    n_train: Annotated[int, "number of training items of both classes"]
    seed: Annotated[int, "of data, weights and noise"]
    label: Annotated[Label, "class of the samples, 0 or 1; both: counts of both added"]
    scale: Annotated[float, "guidance w; 0 is the conditional model"]
    items: Annotated[int, "training items of this class"]
    step: Annotated[tuple[int, ...], "snapshots"]
    memorized: Annotated[
        Float[np.ndarray, " m"], "share of the samples with d1/d2 < 1/3 among all training items"
    ]
    count: Annotated[tuple[int, ...], "number of these samples"]
    total: Annotated[tuple[int, ...], "samples at each snapshot"]
    null: Annotated[tuple[int, int], "count and total for fresh draws of the class"]
    kl: Annotated[tuple[float, ...] | None, "KL from the samples of a class to its Gaussian, w = 0 only"] = (
        None
    )
    kl_error: Annotated[tuple[float, ...] | None, "its standard error"] = None
    tau_mem: Annotated[Time, "steps at which memorized exceeds its null by 0.2"]
    tau_gen: Annotated[
        Time | None,
        "steps at which kl comes down to twice the worst floor of runs and classes of this n, w = 0",
    ] = None
    seconds: Annotated[float, "time that its training took"]


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """The runs of one case, n, class and guidance."""

    part: Annotated[Literal["group"], "the runs of one case, n, class and guidance"] = "group"
    case: Annotated[str, "as in a run"]
    n_train: Annotated[int, "number of training items of both classes"]
    label: Annotated[Label, "class of the samples, 0 or 1; both: counts of both added"]
    scale: Annotated[float, "guidance w; 0 is the conditional model"]
    items: Annotated[int, "training items of this class"]
    tau_mem: Annotated[Pooled, "geometric mean over runs"]
    unguided: Annotated[Pooled, "tau_mem over that of w = 0, run by run"]
    tau_gen: Annotated[Pooled | None, "geometric mean over runs"] = None
    class_ratio: Annotated[Pooled | None, "of class 1: tau_mem over that of class 0, run by run"] = None
    class_ratio_gen: Annotated[Pooled | None, "the same for tau_gen"] = None


@dataclass(frozen=True, kw_only=True)
class LawRow:
    """The law of n of the balanced mixture at one guidance."""

    part: Annotated[Literal["law"], "balanced, all n"] = "law"
    case: Annotated[str, "balanced"] = "balanced"
    label: Annotated[Label, "both classes"] = BOTH
    scale: Annotated[float, "guidance w; 0 is the conditional model"]
    exponent: Annotated[Exponent, "tau_mem ~ n^exponent, censored times included"]
    collapse: Annotated[
        Estimate | None, "share of the spread between the curves that is left after dividing time by n"
    ]
    note: Annotated[str | None, "why there is no collapse"] = None


Row = RunRow | GroupRow | LawRow
KINDS = (RunRow, GroupRow, LawRow)
Setting = tuple[str, int, Label, float]  # case, n_train, class, guidance
RunLabel = tuple[str, int, int]  # case, n_train, seed


def config(n_train: int, seed: int, size: Size) -> Config:
    """Network, optimizer and snapshots; the items of both classes are drawn here, not by its `data`."""
    base = full_batch(base_of(n_train, size))
    return replace(base, data=replace(base.data, n_train=n_train), optimizer=SGD, seed=seed)


def base_of(n_train: int, size: Size) -> Config:
    """What all runs of one n share, but for their optimizer."""
    if size == "paper":
        return replace(PAPER_MIXTURE, model=replace(PAPER_MIXTURE.model, width=64))
    return tiny_of(MIXTURE) if size == "tiny" else lasting(MIXTURE, STEPS[n_train], MEASURE)


def labels_of(size: Size) -> list[RunLabel]:
    """Case, n_train and seed of every run; the classes are unequal at one n."""
    sizes = {"tiny": (8, 16), "here": tuple(STEPS), "paper": (256, 512, 1024)}[size]
    unequal = {"tiny": 16, "here": UNEQUAL_N, "paper": 512}[size]
    seeds = (0,) if size == "tiny" else SEEDS
    settings = [*(("balanced", n) for n in sizes), ("rare", unequal), ("narrow", unequal)]
    return [(case, n_train, seed) for case, n_train in settings for seed in seeds]


def planned(size: Size = "here") -> list[Config]:
    """All runs; the cases differ in the items, which no configuration says."""
    return [config(n_train, seed, size) for _, n_train, seed in labels_of(size)]


def make(request: Request) -> Found:
    """Train all cases and read the times of each class."""
    labels = labels_of(request.size)
    parts = [part_of(label, request.size) for label in labels]
    done = do_parts(parts, Training, request)
    rows = rows_of(dict(zip(labels, done, strict=True)))
    return found_of(NAME, rows, KINDS, done, settings=parts[0].settings, summary=summarise(rows))


def part_of(label: RunLabel, size: Size) -> Part[Training]:
    """The part of one run."""
    name, n_train, seed = label
    own = config(n_train, seed, size)
    case = CASES[name]
    settings = {"config": encode(own), "case": asdict(case), "scales": SCALES, "withheld": DROP}
    return Part(f"{name}-n{n_train}-seed{seed}", settings, partial(train_case, case, own, SCALES))


def rows_of(trainings: Mapping[RunLabel, Done[Training]]) -> list[Row]:
    """Runs, groups and laws."""
    runs = [row for label, done in trainings.items() for row in run_rows(label, done)]
    runs = with_tau_gen(runs)
    return [*runs, *group_rows(runs), *law_rows(runs)]


def run_rows(label: RunLabel, done: Done[Training]) -> Iterator[RunRow]:
    """The curves of a training: each class and guidance, and both classes together."""
    curves = done.found.curves
    for scale in dict.fromkeys(curve.scale for curve in curves):
        own = [curve for curve in curves if curve.scale == scale]
        for curve in own:
            yield run_row(label, done, [curve], curve.label)
        yield run_row(label, done, own, BOTH)


def run_row(label: RunLabel, done: Done[Training], curves: Sequence[ClassCurve], of_class: Label) -> RunRow:
    """The counts of some classes at one guidance, added."""
    count, total = counts_of(curves)
    null = (sum(curve.null[0] for curve in curves), sum(curve.null[1] for curve in curves))
    step = done.found.step
    copied = copies_of(step, count, total)
    case, n_train, seed = label
    kl, kl_error = kl_of(curves)
    return RunRow(
        case=case,
        n_train=n_train,
        seed=seed,
        label=of_class,
        scale=curves[0].scale,
        items=sum(curve.items for curve in curves),
        step=step,
        memorized=copied.value,
        count=count,
        total=total,
        null=null,
        kl=kl,
        kl_error=kl_error,
        tau_mem=tau_mem_of(copied, null, MIXTURE_RULES.memorized),
        seconds=done.seconds,
    )


def counts_of(curves: Sequence[ClassCurve]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Copies and samples of some classes at each snapshot, added."""
    at_each = list(zip(*(curve.seen for curve in curves), strict=True))
    count = tuple(sum(seen.count for seen in classes) for classes in at_each)
    total = tuple(sum(seen.total for seen in classes) for classes in at_each)
    return count, total


def kl_of(curves: Sequence[ClassCurve]) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """KL of one class along training with its errors; None for two classes, or with guidance."""
    seen = curves[0].seen
    kl = tuple(each.kl for each in seen if each.kl is not None)
    error = tuple(each.kl_error for each in seen if each.kl_error is not None)
    if len(curves) > 1 or not kl:
        return None, None
    return kl, error


def with_tau_gen(rows: Sequence[RunRow]) -> list[RunRow]:
    """Read tau_gen of every class at w = 0 from its KL, with one level for all runs of one n."""
    levels = {n: kl_level(own) for n, own in grouped(rows, lambda row: row.n_train).items()}
    return [at_level(row, levels[row.n_train]) for row in rows]


def at_level(row: RunRow, level: float) -> RunRow:
    """The row with its tau_gen, when KL comes down to a level; the same row where it has no KL."""
    if row.kl is None:
        return row
    return replace(row, tau_gen=bare(generalization_time(kl_curve(row), level=level)))


def kl_level(rows: Sequence[RunRow]) -> float:
    """The level of quality of the runs of one n."""
    return quality_level([kl_curve(row) for row in rows if row.kl], tolerance=MIXTURE_RULES.tolerance)


def kl_curve(row: RunRow) -> Curve:
    """KL along training."""
    return Curve.of_means(row.step, row.kl or (), row.kl_error or (), name="KL")


def group_rows(rows: Sequence[RunRow]) -> Iterator[GroupRow]:
    """Means over seeds, beside those without guidance and beside class 0."""
    groups = grouped(rows, setting_of)
    for (case, n_train, label, scale), own in groups.items():
        unguided = groups[case, n_train, label, 0.0]
        row = group_row(own, unguided)
        yield with_classes(row, own, groups[case, n_train, 0, scale]) if label == 1 else row


def setting_of(row: RunRow) -> Setting:
    """What the runs of several seeds have in common."""
    return row.case, row.n_train, row.label, row.scale


def group_row(own: Sequence[RunRow], unguided: Sequence[RunRow]) -> GroupRow:
    """Runs of one setting beside those of the same seeds without guidance."""
    first = own[0]
    tau_gen = tau_gens(own)
    return GroupRow(
        case=first.case,
        n_train=first.n_train,
        label=first.label,
        scale=first.scale,
        items=first.items,
        tau_mem=mean_time(tau_mems(own)),
        unguided=mean_ratio(tau_mems(own), tau_mems(unguided)),
        tau_gen=mean_time(tau_gen) if tau_gen else None,
    )


def with_classes(row: GroupRow, own: Sequence[RunRow], first: Sequence[RunRow]) -> GroupRow:
    """The row of class 1 beside the runs of class 0."""
    tau_gen = tau_gens(own)
    return replace(
        row,
        class_ratio=mean_ratio(tau_mems(own), tau_mems(first)),
        class_ratio_gen=mean_ratio(tau_gen, tau_gens(first)) if tau_gen else None,
    )


def tau_mems(rows: Sequence[RunRow]) -> list[Time]:
    """tau_mem of each."""
    return [row.tau_mem for row in rows]


def tau_gens(rows: Sequence[RunRow]) -> list[Time]:
    """tau_gen of those that have one."""
    return [row.tau_gen for row in rows if row.tau_gen is not None]


def law_rows(rows: Sequence[RunRow]) -> Iterator[LawRow]:
    """The law of n and the collapse of the balanced mixture, at each guidance."""
    for scale in SCALES:
        yield law_row(
            [row for row in rows if (row.case, row.label, row.scale) == ("balanced", BOTH, scale)], scale
        )


def law_row(rows: Sequence[RunRow], scale: float) -> LawRow:
    """The law of n and the collapse of runs at one guidance."""
    sizes = [row.n_train for row in rows]
    row = LawRow(scale=scale, exponent=power_of(sizes, tau_mems(rows)), collapse=None)
    try:
        return replace(row, collapse=collapse_of(rows))
    except InputError as error:  # curves without a common range
        return replace(row, note=str(error))


def collapse_of(rows: Sequence[RunRow]) -> Estimate:
    """How well the curves of copies fall onto each other after dividing time by n."""
    curves = [copies_of(row.step, row.count, row.total) for row in rows]
    return collapse_quality(curves, [row.n_train for row in rows])


def summarise(rows: Sequence[Row]) -> dict[str, object]:
    """The laws, and the ratios between guidances and between classes."""
    groups = of_kind(rows, GroupRow)
    seconds = {(row.case, row.n_train, row.seed): row.seconds for row in of_kind(rows, RunRow)}
    return {
        "laws": of_kind(rows, LawRow),
        "unguided": beside_unguided(groups),
        "classes": between_classes(groups),
        "run seconds": sum(seconds.values()),
    }


def beside_unguided(groups: Sequence[GroupRow]) -> list[dict[str, object]]:
    """tau_mem of both classes over that of w = 0."""
    guided = [row for row in groups if row.label == BOTH and row.scale]
    return [entries(row, "case", "n_train", "scale", "unguided") for row in guided]


def between_classes(groups: Sequence[GroupRow]) -> dict[str, dict[str, object]]:
    """Times of class 1 over those of class 0, by case and n, without guidance."""
    names = ("n_train", "class_ratio", "class_ratio_gen")
    classes = [row for row in groups if row.label == 1 and row.scale == 0]
    return {f"{row.case} {row.n_train}": entries(row, *names) for row in classes}
