"""Times of single images, their ratios between groups, and what tells early images from late ones."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from memhorizon.recipes.first_digits.rows import (
    PREDICTORS,
    RULES,
    ByCopies,
    Image,
    OfCopies,
    Predictor,
    PredictorAuc,
    Row,
    Rule,
    Seed,
    SeedFacts,
    Summary,
    Times,
)
from memhorizon.recipes.pooled import mapped
from memhorizon.results import Curve, Fraction, Status, Time
from memhorizon.timescales.ordering import Auc, Scored, early_half, lateness, pooled_auc
from memhorizon.timescales.pooling import SeedMean, item_exponent, item_log_ratio, over_seeds
from memhorizon.timescales.times import memorization_time

LEVEL = 0.5  # of what a model that draws training entries at random would give
Images = Sequence[Row]  # of one seed


def image_time(step: Sequence[int], counts: Sequence[int], total: int, level: float) -> Time:
    """When the share of samples that copy one image reaches the level, in steps; censored if it never does.

    Args:
        step: snapshots, increasing. [m]
        counts: samples that copy the image. [m]
        total: samples at each snapshot.
        level: of counts / total.
    """
    fractions = [Fraction.of(int(count), total) for count in counts]
    return memorization_time(Curve.of_fractions(step, fractions), level=level)


def times_of(image: Image, seed: Seed) -> Times:
    """All times of one image."""
    even, odd = (np.array(counts) for counts in image.count_by_ratio)
    distance = np.array(image.count_by_distance).sum(0)
    # a model that draws entries at random copies an image of k copies in k/N of its samples
    once = LEVEL / seed.entries
    share = image.copies * once

    def reached(counts: np.ndarray, total: int, level: float) -> Time:
        return image_time(seed.step, counts.tolist(), total, level)

    return Times(
        share=reached(even + odd, seed.samples, share),
        count=reached(even + odd, seed.samples, once),
        distance=reached(distance, seed.samples, share),
        even=reached(even, (seed.samples + 1) // 2, share),
        odd=reached(odd, seed.samples // 2, share),
    )


def summarise(seeds: Sequence[Images], facts: Sequence[SeedFacts]) -> Summary:
    """Ratios for every number of copies and the AUC of every predictor, under each rule."""
    rules = facts[0].null
    return Summary(
        level=LEVEL,
        early_step=tuple(each.early_step for each in facts),
        null={name: added([each.null[name] for each in facts]) for name in rules},
        copies={rule: duplicates(seeds, rule) for rule in RULES},
        first={rule: first(seeds, rule) for rule in ("share", "distance")},
        repeat=other_half(seeds),
        seeds=tuple(facts),
    )


def added(counts: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Counts and totals of several seeds."""
    return sum(count for count, _ in counts), sum(total for _, total in counts)


def duplicates(seeds: Sequence[Images], rule: Rule) -> ByCopies:
    """For every k the ratio of its time to that of single images, and the exponent of k."""
    each = [
        item_exponent([image.copies for image in images], [image.times.by(rule) for image in images])
        for images in seeds
    ]
    ks = sorted({image.copies for image in seeds[0]})
    return ByCopies(
        by_copies=tuple(of_copies(seeds, rule, k) for k in ks),
        exponent=over_seeds(each),
        exponent_each=tuple(each),
    )


def times_with(images: Images, rule: Rule, k: int) -> list[Time]:
    """The times of the images of k copies."""
    return [image.times.by(rule) for image in images if image.copies == k]


def of_copies(seeds: Sequence[Images], rule: Rule, k: int) -> OfCopies:
    """Images of one k, and for k > 1 the ratio of their times to those of single images."""
    own = [time for images in seeds for time in times_with(images, rule, k)]
    row = OfCopies(
        copies=k,
        images=len(own),
        not_reached=sum(time.status is Status.NOT_REACHED for time in own),
        before_first=sum(time.status is Status.BEFORE_FIRST for time in own),
    )
    return with_ratio(row, seeds, rule) if k > 1 else row


def with_ratio(row: OfCopies, seeds: Sequence[Images], rule: Rule) -> OfCopies:
    """Where a seed has no ratio because all its times lie before the first snapshot, a bound.

    The seeds with a ratio are the late ones: an interval of them alone would be too late.
    """
    own = [times_with(images, rule, row.copies) for images in seeds]
    single = [times_with(images, rule, 1) for images in seeds]
    each = [item_log_ratio(*pair) for pair in zip(own, single, strict=True)]
    if not any(map(math.isnan, each)):
        return replace(row, ratio=exponential(over_seeds(each)))
    latest = [item_log_ratio([at_first(time) for time in a], b) for a, b in zip(own, single, strict=True)]
    return replace(row, ratio=over_seeds([]), at_most=math.exp(np.mean(latest)))


def exponential(mean: SeedMean) -> SeedMean:
    """Mean and interval of a logarithm as those of the number; an end without a number stays so."""

    def power(log: float) -> float:
        return math.exp(log) if math.isfinite(log) else log

    return mapped(mean, power)


def at_first(time: Time) -> Time:
    """A time before the first snapshot as if it were there."""
    return replace(time, status=Status.OBSERVED) if time.status is Status.BEFORE_FIRST else time


def once(images: Images) -> list[Row]:
    """The images that are in the training set once."""
    return [image for image in images if image.copies == 1]


def first(seeds: Sequence[Images], rule: Rule) -> tuple[PredictorAuc, ...]:
    """The AUC of every predictor among images that are in the training set once."""
    generator = np.random.default_rng(0)
    single = [once(images) for images in seeds]
    return tuple(auc_of(single, name, rule, generator) for name in PREDICTORS)


def auc_of(
    seeds: Sequence[Images], name: Predictor, rule: Rule, generator: np.random.Generator
) -> PredictorAuc:
    """How well one predictor tells who is early."""
    return named(name, pooled_auc([scored(images, name, rule) for images in seeds], generator))


def scored(images: Images, name: Predictor, rule: Rule) -> Scored:
    """A predictor of some images, and who of them is early."""
    score = np.array([image.predictor(name) for image in images])
    return Scored(score, early_half([image.times.by(rule) for image in images]))


def other_half(seeds: Sequence[Images]) -> PredictorAuc:
    """The AUC of times from odd sample seeds for who is early by even ones: noisy times allow no more.

    What is known of an image cannot tell its measured time better than the time itself, measured again.
    """
    pairs = [repeated(once(images)) for images in seeds]
    return named("other half", pooled_auc(pairs, np.random.default_rng(0)))


def named(predictor: str, found: Auc) -> PredictorAuc:
    """An AUC with what it is of."""
    return PredictorAuc(predictor=predictor, **vars(found))


def repeated(images: Images) -> Scored:
    """Times of images from odd sample seeds, the earliest largest, and who is early by the even ones."""
    rank = stats.rankdata([lateness(image.times.odd) for image in images])
    return Scored(-rank, early_half([image.times.even for image in images]))
