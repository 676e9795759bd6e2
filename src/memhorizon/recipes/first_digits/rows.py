"""What is kept of single images, of a seed, and of all seeds together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from memhorizon.records.plain import Plain
from memhorizon.results import Time
from memhorizon.timescales.pooling import SeedMean

DENSITY = 10  # held-out images that say how dense the data are at an image
Rule = Literal["share", "count", "distance"]
RULES: tuple[Rule, ...] = ("share", "count", "distance")
Predictor = Literal["nearest", "center", "sparse", "early_loss"]
PREDICTORS: tuple[Predictor, ...] = ("nearest", "center", "sparse", "early_loss")
Counts = tuple[tuple[int, ...], tuple[int, ...]]  # from the even and from the odd sample seeds. [2, m]


@dataclass(frozen=True)
class Times:
    """Steps at which the copies of an image reach a share of the samples.

    Attributes:
        share: half of the share k/N, by ratio; N entries of the training set.
        count: half of 1/N whatever k, by ratio.
        distance: half of the share k/N, by distance.
        even: as `share`, from the even sample seeds only.
        odd: from the odd ones only.
    """

    share: Time
    count: Time
    distance: Time
    even: Time
    odd: Time

    def by(self, rule: Rule) -> Time:
        """The time by one of the rules."""
        return {"share": self.share, "count": self.count, "distance": self.distance}[rule]


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image of a training set."""

    image: Annotated[int, "position in the digits of scikit-learn"]
    label: Annotated[int, "digit"]
    copies: Annotated[int, "k, how often the image is in the training set"]
    nearest: Annotated[float, "distance to the nearest other training image"]
    center: Annotated[float, "distance to the mean of the distinct training images"]
    sparse: Annotated[float, f"distance to the {DENSITY}th nearest held-out image"]
    early_loss: Annotated[float, "loss at the snapshot where the held-out loss is smallest"]
    loss: Annotated[tuple[float, ...], "denoising loss of the image at t = 0.3 [snapshots]"]
    count_by_ratio: Annotated[
        Counts,
        "generated samples with d1/d2 < 1/3 among distinct images that are nearest to this one,"
        " from the even and the odd sample seeds [2, snapshots]",
    ]
    count_by_distance: Annotated[
        Counts, "the same with d1 < a third of the median distance between nearest training images"
    ]

    def predictor(self, name: Predictor) -> float:
        """What may tell early from late."""
        return {
            "nearest": self.nearest,
            "center": self.center,
            "sparse": self.sparse,
            "early_loss": self.early_loss,
        }[name]


@dataclass(frozen=True, kw_only=True)
class Row(Image):
    """One image with its times."""

    seed: Annotated[
        int,
        "of weights, batches and noise, of who is repeated; also which of the disjoint subsets of images",
    ]
    times: Annotated[
        Times,
        "steps at which its copies reach half of the share k/N of the samples (share, distance: by that"
        " rule), N entries; half of 1/N whatever k (count); the share from half of the samples (even, odd)",
    ]


KINDS = (Row,)


@dataclass(frozen=True, kw_only=True)
class Seed:
    """One training on repeated images.

    Attributes:
        step: the snapshots. [m]
        holdout_loss: at each. [m]
        early_step: where it is smallest.
        samples: at each snapshot.
        entries: of the training set, repetitions counted.
        null: held-out images that count as copies, and of how many, by rule.
        images: the distinct ones.
    """

    step: tuple[int, ...]
    holdout_loss: tuple[float, ...]
    early_step: int
    samples: int
    entries: int
    null: Mapping[str, tuple[int, int]]
    images: tuple[Image, ...]


@dataclass(frozen=True, kw_only=True)
class SeedFacts:
    """What belongs to a seed as a whole; see `Seed`.

    Attributes:
        seed: its number.
        seconds: time that its training took.
        step: the snapshots. [m]
        holdout_loss: at each. [m]
        early_step: where it is smallest.
        samples: at each snapshot.
        entries: of the training set.
        null: held-out images that count as copies, and of how many, by rule.
        environment: where it was trained.
    """

    seed: int
    seconds: float
    step: tuple[int, ...]
    holdout_loss: tuple[float, ...]
    early_step: int
    samples: int
    entries: int
    null: Mapping[str, tuple[int, int]]
    environment: Mapping[str, Plain]


@dataclass(frozen=True, kw_only=True)
class OfCopies:
    """Images of one number of copies.

    Attributes:
        copies: k.
        images: of all seeds.
        not_reached: of them, those whose time lies beyond the last snapshot.
        before_first: those whose time lies before the first.
        ratio: of their times to those of single images, over seeds; None for k = 1.
        at_most: a bound of it where a seed has none.
    """

    copies: int
    images: int
    not_reached: int
    before_first: int
    ratio: SeedMean | None = None
    at_most: float | None = None


@dataclass(frozen=True, kw_only=True)
class ByCopies:
    """Times against the number of copies.

    Attributes:
        by_copies: for each k.
        exponent: b of time ~ k^b, mean over seeds.
        exponent_each: of each seed.
    """

    by_copies: tuple[OfCopies, ...]
    exponent: SeedMean
    exponent_each: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class PredictorAuc:
    """How well a number tells early images from late ones.

    Attributes:
        predictor: the number.
        auc: probability that an early image has the larger one, mean over seeds; NaN where none can be.
        low: lower end of its 95 % bootstrap interval.
        high: upper end.
        seeds: that have early and late images.
        images: of them.
        each: of each seed.
    """

    predictor: str
    auc: float
    low: float
    high: float
    seeds: int
    images: int
    each: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What follows from all images.

    Attributes:
        level: of what a model that draws training entries at random would give.
        early_step: of each seed.
        null: held-out images that count as copies, and of how many, by rule.
        copies: times against the number of copies, by rule.
        first: who is early among images that are in the training set once, by rule.
        repeat: the same for the times themselves, from other samples.
        seeds: each seed as a whole.
    """

    level: float
    early_step: tuple[int, ...]
    null: Mapping[str, tuple[int, int]]
    copies: Mapping[str, ByCopies]
    first: Mapping[str, tuple[PredictorAuc, ...]]
    repeat: PredictorAuc
    seeds: tuple[SeedFacts, ...]
