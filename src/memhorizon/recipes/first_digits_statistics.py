"""Times of single images, their ratios between groups, and how well a number tells early from late."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from memhorizon.recipes.times import over_seeds
from memhorizon.results import Curve, Fraction, Time
from memhorizon.timescales.power_law import fit_scaling
from memhorizon.timescales.times import memorization_time

LEVEL = 0.5  # of what a model that draws training entries at random would give
RULES = ("share", "count", "distance")
PREDICTORS = ("nearest", "center", "sparse", "early_loss")
DRAWS = 2000

Row = Mapping[str, Any]
Summary = dict[str, Any]


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


def times_of(image: Row, seed: Row) -> dict[str, Time]:
    """All times of one image (see COLUMNS of the recipe)."""
    step, total, once = seed["step"], seed["samples"], LEVEL / seed["entries"]
    ratio, distance = (np.array(image[f"count_by_{rule}"]) for rule in ("ratio", "distance"))  # [2, m]
    share = image["copies"] * once
    return {
        "share": image_time(step, ratio.sum(0), total, share),
        "count": image_time(step, ratio.sum(0), total, once),
        "distance": image_time(step, distance.sum(0), total, share),
        "even": image_time(step, ratio[0], (total + 1) // 2, share),
        "odd": image_time(step, ratio[1], total // 2, share),
    }


def log_ratio(times: Sequence[Time], others: Sequence[Time]) -> float:
    """Log of the geometric mean of `times` over that of `others`; NaN if it cannot be fitted.

    Censored times enter by the probability to lie beyond their bound.

    Source: [tobin1958]
    """
    factors = [math.e] * len(times) + [1.0] * len(others)
    return exponent(factors, [*times, *others])


def exponent(factors: Sequence[float], times: Sequence[Time]) -> float:
    """Give b of time ~ factor^b by maximum likelihood, censored times included; NaN if it cannot be fitted.

    How well each time is known is left to the scatter between images: late times have open intervals and
    would count for nothing.
    """
    known = [replace(t, low=t.value, high=t.value) if t.observed else t for t in times]
    rows = [{"factor": f, "time": t} for f, t in zip(factors, known, strict=True)]
    return fit_scaling(rows, by=("factor",)).exponents["factor"].value


def early_half(times: Sequence[Time]) -> np.ndarray:
    """Which of the [images] belong to the earlier half; one that is not reached is never early."""
    order = np.array([_late(time) for time in times])
    rank = stats.rankdata(order, method="max")  # images of one time are on one side
    return (rank <= len(order) / 2) & np.isfinite(order)


def auc(score: np.ndarray, early: np.ndarray) -> float:
    """Probability that an early image has the larger score, ties by half; NaN if there is one kind only."""
    difference = score[early][:, None] - score[~early][None]
    return float((np.sign(difference) / 2 + 0.5).mean()) if difference.size else math.nan


def pooled_auc(pairs: Sequence[tuple[np.ndarray, np.ndarray]], generator: np.random.Generator) -> Summary:
    """Mean over seeds of the AUC within each, with a 95 % bootstrap interval over seeds and images.

    Scores are compared within a seed only, for each seed has a scale of its own. A draw takes seeds with
    repetition, and of each its early and its late images with repetition.

    Args:
        pairs: (score, early) of each seed. [images] each
        generator: of the draws.
    """
    pairs = [(score, early) for score, early in pairs if 0 < early.sum() < len(early)]
    if not pairs:
        return {"auc": math.nan, "low": math.nan, "high": math.nan, "seeds": 0, "images": 0}

    def once(score: np.ndarray, early: np.ndarray) -> float:
        both = (generator.choice(np.flatnonzero(side), int(side.sum())) for side in (early, ~early))
        chosen = np.concatenate(list(both))
        return auc(score[chosen], early[chosen])

    drawn = [
        np.mean([once(*pairs[i]) for i in generator.integers(len(pairs), size=len(pairs))])
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    each = [auc(*pair) for pair in pairs]
    return {
        "auc": float(np.mean(each)),
        "low": float(low),
        "high": float(high),
        "seeds": len(each),
        "images": sum(len(score) for score, _ in pairs),
        "each": each,
    }


def summarise(seeds: Sequence[Row]) -> Summary:
    """Ratios for every number of copies and the AUC of every predictor, under each rule."""
    return {
        "level": LEVEL,
        "early_step": [seed["early_step"] for seed in seeds],
        "null": {name: np.sum([s["null"][name] for s in seeds], 0).tolist() for name in seeds[0]["null"]},
        "copies": {rule: duplicates(seeds, rule) for rule in RULES},
        "first": {rule: first(seeds, rule) for rule in ("share", "distance")},
        "repeat": other_half(seeds),
    }


def duplicates(seeds: Sequence[Row], rule: str) -> Summary:
    """For every k the ratio of its time to that of single images, and the exponent of k."""
    every = [
        exponent([i["copies"] for i in seed["images"]], [i["times"][rule] for i in seed["images"]])
        for seed in seeds
    ]
    ks = sorted({image["copies"] for image in seeds[0]["images"]})
    rows = [_of_copies(seeds, rule, k) for k in ks]
    return {"by_copies": rows, "exponent": over_seeds(every), "exponent_each": every}


def _of_copies(seeds: Sequence[Row], rule: str, k: int) -> Summary:
    """One k: where a seed has no ratio because all its times lie before the first snapshot, a bound."""

    def of(seed: Row, k: int) -> list[Time]:
        return [image["times"][rule] for image in seed["images"] if image["copies"] == k]

    own = [time for seed in seeds for time in of(seed, k)]
    row: Summary = {"copies": k, "images": len(own)}
    row |= {status: sum(t.status == status for t in own) for status in ("not reached", "before first")}
    if k > 1:
        each = [log_ratio(of(seed, k), of(seed, 1)) for seed in seeds]
        # The seeds with a ratio are the late ones: an interval of them alone would be too late.
        missing = any(map(math.isnan, each))
        row["ratio"] = _exponential(over_seeds([] if missing else each))
        latest = [log_ratio([_at_first(t) for t in of(seed, k)], of(seed, 1)) for seed in seeds]
        row |= {"at_most": math.exp(np.mean(latest))} if missing else {}
    return row


def _exponential(interval: Summary) -> Summary:
    return interval | {key: math.exp(interval[key]) for key in ("value", "low", "high")}


def _at_first(time: Time) -> Time:
    return replace(time, status="observed") if time.status == "before first" else time


def first(seeds: Sequence[Row], rule: str) -> list[Summary]:
    """The AUC of every predictor among images that stand in the training set once."""
    generator = np.random.default_rng(0)
    single = [[image for image in seed["images"] if image["copies"] == 1] for seed in seeds]
    early = [early_half([image["times"][rule] for image in images]) for images in single]
    found = []
    for name in PREDICTORS:
        scores = [np.array([image[name] for image in images]) for images in single]
        found.append({"predictor": name, **pooled_auc(list(zip(scores, early, strict=True)), generator)})
    return found


def other_half(seeds: Sequence[Row]) -> Summary:
    """The AUC of times from odd sample seeds for who is early by even ones: noisy times allow no more.

    What is known of an image cannot tell its measured time better than the time itself, measured again.
    """
    single = [[i["times"] for i in seed["images"] if i["copies"] == 1] for seed in seeds]
    pairs = [
        (-stats.rankdata([_late(own["odd"]) for own in times]), early_half([own["even"] for own in times]))
        for times in single
    ]
    return {"predictor": "other half", **pooled_auc(pairs, np.random.default_rng(0))}


def _late(time: Time) -> float:
    return time.value if time.observed else math.inf if time.status == "not reached" else 0.0
