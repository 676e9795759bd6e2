"""What an audit found, as one typed value: samples with their p-values, and what follows from them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float

from memhorizon.errors import InputError
from memhorizon.records.plain import Plain
from memhorizon.records.sweep import Skipped
from memhorizon.results import ROUNDING, Fraction

PROTOCOL = 1  # of the audit: the same protocol, seed and items give the same numbers


@dataclass(frozen=True)
class ItemSet:
    """One of the sets of items that went into an audit.

    Attributes:
        name: "samples", "train" or "holdout".
        source: where it was read from, or "array".
        count: items that were used.
        shape: of an item as it was read.
        compared_at: of an item as it was compared; smaller where the items are large pictures.
        digest: SHA-256 of the values, in order, as they were read.
        skipped: what could not be read, and why.
        ignored: number of other files in the folder.
    """

    name: Literal["samples", "train", "holdout"]
    source: str
    count: int
    shape: tuple[int, ...]
    compared_at: tuple[int, ...]
    digest: str
    skipped: tuple[Skipped, ...] = ()
    ignored: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"count: expected at least 1 item in {self.name}, got {self.count}")


@dataclass(frozen=True)
class AuditedSample:
    """What the audit says of one sample.

    Attributes:
        index: position of the sample.
        name: of its file, or its position.
        p: p-value of the hypothesis that the sample is a fresh item, exact.
        q: the smallest false-discovery rate at which it is reported as a copy.
        is_copy: whether it is reported at the rate of the audit (Benjamini-Hochberg).
        is_guaranteed: whether it is reported with a guarantee whatever the dependence (e-BH).
        view: in which it has its smallest rank.
        statistic: in that view; near 0 it is a copy.
        nearest: position of the training item that it is nearest to in that view.
        nearest_name: of that item.
        edit: what was done to that item, in words, such as "flipped, moved by 1.0 pixels to the right"; empty
            where the view does not tell.
    """

    index: int
    name: str
    p: float
    q: float
    is_copy: bool
    is_guaranteed: bool
    view: str
    statistic: float
    nearest: int
    nearest_name: str
    edit: str = ""

    def __post_init__(self) -> None:
        for name in ("p", "q"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise InputError(f"{name}: expected a number within (0, 1], got {value}")


@dataclass(frozen=True)
class ViewFacts:
    """One view of the items: its statistic among the samples and among the reference items.

    Attributes:
        name: of the view.
        compares: what it compares, in words.
        edges: of the bins of the histogram. [k + 1]
        samples: how many samples are in each bin. [k]
        reference: how many reference items are: the null. [k]
        copies: copies whose smallest rank is in this view.
        note: what was left out or reduced; empty where nothing was.
    """

    name: str
    compares: str
    edges: Float[np.ndarray, " k1"]
    samples: Float[np.ndarray, " k"]
    reference: Float[np.ndarray, " k"]
    copies: int
    note: str = ""


@dataclass(frozen=True)
class CopiedItem:
    """A training item of which samples are copies.

    Attributes:
        index: position of the item (the first of its group of duplicates).
        name: of its file, or its position.
        copies: samples that are copies of it or of its duplicates.
    """

    index: int
    name: str
    copies: int


@dataclass(frozen=True)
class DuplicateGroup:
    """Training items that count as one.

    Attributes:
        items: their positions.
        names: of their files, or their positions.
    """

    items: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class SharedItem:
    """A held-out item that is in the training set as well.

    Attributes:
        index: position of the held-out item.
        name: of its file, or its position.
        train: position of the training item.
        train_name: of that item.
        distance: Euclidean, over all values; 0 for an equal item.
    """

    index: int
    name: str
    train: int
    train_name: str
    distance: float


@dataclass(frozen=True)
class LeaningFacts:
    """Whether samples are nearer to training items than to as many held-out ones. Leaning is not copying.

    Attributes:
        share: of the samples, nearer to one of the training items.
        low: lower end of the interval that the share has if training and held-out items are exchanged.
        high: upper end.
        p: two-sided p-value of the share under exchange.
        confidence: of [low, high].
        n_samples: how many samples were looked at.
        n_items: how many items of each of the two sets.
        n_permutations: how often the labels were exchanged.
    """

    share: float
    low: float
    high: float
    p: float
    confidence: float
    n_samples: int
    n_items: int
    n_permutations: int


@dataclass(frozen=True, repr=False)
class AuditRecord:
    """The answer of an audit.

    Attributes:
        copies: share of the samples reported as copies, with its exact interval.
        guaranteed: share of the samples reported with a guarantee (e-BH).
        null: share of the held-out items that the same rule reports; None without held-out items.
        fdr: rate at which false discoveries are controlled.
        n_reference: items that the p-values are calibrated on.
        reference: where these are from: "train" (full-conformal, left out one group at a time) or "holdout".
        resolution: the smallest p-value that was possible.
        smallest_reportable: fewest copies among the samples that could be reported; None where even all
            of them could not.
        confident: how many samples are reported as copies with 95 % confidence over the reference items.
        samples: one entry for each sample, in order.
        views: one for each view.
        sets: samples, training items and, where given, held-out items.
        most_copied: training items by the number of their copies, the largest first.
        duplicates: groups of more than one training item.
        duplicate_rule: which items count as duplicates, in words.
        shared: held-out items that are in the training set; left out of the null.
        leaning: None without held-out items.
        seed: of everything that was drawn.
        protocol: version of the procedure.
        command: that made it.
        environment: versions, system and machine.
    """

    copies: Fraction
    guaranteed: Fraction
    null: Fraction | None
    fdr: float
    n_reference: int
    reference: Literal["train", "holdout"]
    resolution: float
    smallest_reportable: int | None
    confident: int
    samples: tuple[AuditedSample, ...]
    views: tuple[ViewFacts, ...]
    sets: tuple[ItemSet, ...]
    most_copied: tuple[CopiedItem, ...] = ()
    duplicates: tuple[DuplicateGroup, ...] = ()
    duplicate_rule: str = ""
    shared: tuple[SharedItem, ...] = ()
    leaning: LeaningFacts | None = None
    seed: int = 0
    protocol: int = PROTOCOL
    command: str = ""
    environment: Mapping[str, Plain] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_rate()
        self._check_samples()
        self._check_sets()

    def _check_rate(self) -> None:
        if not (0 < self.fdr < 1 and math.isfinite(self.resolution)):
            raise InputError(f"fdr: expected a rate between 0 and 1, got {self.fdr}")

    def _check_samples(self) -> None:
        if len(self.samples) != self.copies.total:
            got = f"{len(self.samples)} and {self.copies.total}"
            raise InputError(f"samples: expected as many as copies were counted among, got {got}")

    def _check_sets(self) -> None:
        if {"samples", "train"} - {one.name for one in self.sets}:
            raise InputError("sets: expected samples and train, got others")

    def __repr__(self) -> str:
        """The answer in a line."""
        return f"AuditRecord(copies {self.copies}, fdr {self.fdr:g}, {self.n_reference:,} reference items)"

    @property
    def undecided(self) -> tuple[AuditedSample, ...]:
        """Samples with as small a p-value as exact copies have, too few of them to be reported.

        With the training set as reference this is twice the smallest possible one: a reference item and a
        copy of it have the two lowest ranks.
        """
        least = self.resolution * (2 if self.reference == "train" else 1)
        return tuple(one for one in self.samples if one.p <= least * (1 + ROUNDING) and not one.is_copy)

    def set_named(self, name: str) -> ItemSet | None:
        """One of the sets; None where it was not given."""
        return next((one for one in self.sets if one.name == name), None)
