"""The record of an audit, put together from what was found."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor

from memhorizon.auditing.calibration import Calibrated
from memhorizon.auditing.conditional import conditional_p_values
from memhorizon.auditing.config import AuditConfig
from memhorizon.auditing.edits import Edit
from memhorizon.auditing.evalues import guaranteed_copies
from memhorizon.auditing.leaning import Leaning
from memhorizon.auditing.prepare import Prepared
from memhorizon.auditing.reference import duplicates_of
from memhorizon.auditing.scores import Scores
from memhorizon.auditing.statistics import Discoveries, benjamini_hochberg, smallest_reportable
from memhorizon.auditing.views.base import View
from memhorizon.experiments.environment import environment
from memhorizon.files.digests import digest_of
from memhorizon.files.images import ImageSet
from memhorizon.measure.duplicates import first_members
from memhorizon.records.audit import (
    AuditedSample,
    AuditRecord,
    CopiedItem,
    DuplicateGroup,
    ItemSet,
    LeaningFacts,
    SharedItem,
    ViewFacts,
)
from memhorizon.records.sweep import Skipped
from memhorizon.results import Fraction

BINS = 40  # of a histogram
CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Facts:
    """What went into an audit.

    Attributes:
        given: the sets by name, as they were read.
        sources: where each was read from.
        config: what was asked.
        prepared: the sets as they were compared.
        on_holdout: whether the p-values are calibrated on held-out items.
        views: that were looked at, the first counting first.
    """

    given: Mapping[str, ImageSet]
    sources: Mapping[str, str]
    config: AuditConfig
    prepared: Prepared
    on_holdout: bool
    views: Sequence[View]


def record_of(
    facts: Facts,
    calibrated: Calibrated,
    found: Discoveries,
    null: Fraction | None,
    edits: Mapping[int, Edit],
    lean: Leaning | None,
) -> AuditRecord:
    """Put a record together.

    Args:
        facts: what went into the audit.
        calibrated: p-values of the samples.
        found: which of them are reported.
        null: the share of held-out items that are reported.
        edits: of the reported samples, by position.
        lean: whether samples lean towards the training set.
    """
    p_values = calibrated.p_values
    m = len(p_values.p)
    guaranteed = guaranteed_copies(p_values, facts.config.fdr)
    confident = benjamini_hochberg(conditional_p_values(p_values, confidence=CONFIDENCE).p, facts.config.fdr)
    samples = _samples(facts, calibrated, found, guaranteed.rejected, edits)
    return AuditRecord(
        copies=found.copied,
        guaranteed=Fraction.of(int(guaranteed.rejected.sum()), m),
        null=null,
        fdr=facts.config.fdr,
        n_reference=p_values.n_reference,
        reference="holdout" if facts.on_holdout else "train",
        resolution=p_values.resolution,
        smallest_reportable=smallest_reportable(m, p_values.resolution, facts.config.fdr),
        confident=int(confident.rejected.sum()),
        samples=samples,
        views=_views(facts, calibrated, samples),
        sets=tuple(_set(facts, name) for name in facts.given),
        most_copied=_most_copied(facts, samples),
        duplicates=_duplicates(facts),
        duplicate_rule=facts.prepared.design.duplicates.rule,
        shared=_shared(facts),
        leaning=None if lean is None else _leaning(lean),
        seed=facts.config.seed,
        environment=environment(),
    )


def _samples(
    facts: Facts,
    calibrated: Calibrated,
    found: Discoveries,
    guaranteed: np.ndarray,
    edits: Mapping[int, Edit],
) -> tuple[AuditedSample, ...]:
    p_values = calibrated.p_values
    names = facts.given["samples"].names
    train_names = facts.given["train"].names
    rows = []
    for j, name in enumerate(names):
        own = calibrated.scores[int(p_values.view[j])]
        nearest = int(own.nearest[j])
        rows.append(
            AuditedSample(
                index=j,
                name=name,
                p=float(p_values.p[j]),
                q=float(found.q[j]),
                is_copy=bool(found.rejected[j]),
                is_guaranteed=bool(guaranteed[j]),
                view=own.name,
                statistic=float(own.sample[j]),
                nearest=nearest,
                nearest_name=train_names[nearest],
                edit=edits[j].words if j in edits else "",
            )
        )
    return tuple(rows)


def _views(facts: Facts, calibrated: Calibrated, samples: Sequence[AuditedSample]) -> tuple[ViewFacts, ...]:
    copies = Counter(one.view for one in samples if one.is_copy)
    pairs = zip(facts.views, calibrated.scores, strict=True)
    return tuple(_view(view, own, copies[view.name]) for view, own in pairs)


def _view(view: View, own: Scores, copies: int) -> ViewFacts:
    """A view with histograms of its statistic, in equal bins up to the largest of the reference items."""
    edges = np.linspace(0.0, float(own.reference.max()) or 1.0, BINS + 1)
    return ViewFacts(
        name=view.name,
        compares=view.compares,
        edges=edges,
        samples=_counts(own.sample, edges),
        reference=_counts(own.reference, edges),
        copies=copies,
        note=view.note,
    )


def _counts(values: Float64[np.ndarray, " q"], edges: Float[np.ndarray, " k1"]) -> Float[np.ndarray, " k"]:
    """How many values are in each bin; those beyond the last are counted in it."""
    return np.histogram(np.minimum(values, edges[-1]), edges)[0].astype(float)


def _set(facts: Facts, name: str) -> ItemSet:
    given = facts.given[name]
    return ItemSet(
        name=name,  # pyright: ignore[reportArgumentType]
        source=facts.sources[name],
        count=len(given),
        shape=tuple(given.images.shape[1:]),
        compared_at=tuple(_compared(facts.prepared, name).shape[1:]),
        digest=digest_of(given.images),
        skipped=tuple(Skipped(row.name, row.reason) for row in given.skipped),
        ignored=given.ignored,
    )


def _compared(prepared: Prepared, name: str) -> Tensor:
    """A set as it was compared."""
    compared = {"samples": prepared.samples, "train": prepared.train, "holdout": prepared.holdout}[name]
    assert compared is not None  # what was given was compared
    return compared


def _most_copied(facts: Facts, samples: Sequence[AuditedSample]) -> tuple[CopiedItem, ...]:
    """Training items by the number of their copies; duplicates count for the first of their group."""
    counted = _copies_of_each(facts, samples)
    ordered = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    names = facts.given["train"].names
    return tuple(CopiedItem(index, names[index], copies) for index, copies in ordered)


def _copies_of_each(facts: Facts, samples: Sequence[AuditedSample]) -> Counter[int]:
    """How many copies the samples hold of the first item of each group."""
    group = facts.prepared.design.group
    first = first_members(group)
    return Counter(int(first[group[one.nearest]]) for one in samples if one.is_copy)


def _duplicates(facts: Facts) -> tuple[DuplicateGroup, ...]:
    names = facts.given["train"].names
    groups = [members.tolist() for members in duplicates_of(facts.prepared.design.duplicates.near)]
    return tuple(DuplicateGroup(tuple(group), tuple(names[i] for i in group)) for group in groups)


def _shared(facts: Facts) -> tuple[SharedItem, ...]:
    if "holdout" not in facts.given:
        return ()
    names = facts.given["holdout"].names
    train_names = facts.given["train"].names
    shared_with = facts.prepared.shared_with
    distances = shared_with.distance[:, 0].tolist()
    rows = zip(facts.prepared.shared.tolist(), shared_with.index[:, 0].tolist(), distances, strict=True)
    return tuple(SharedItem(i, names[i], j, train_names[j], distance) for i, j, distance in rows)


def _leaning(lean: Leaning) -> LeaningFacts:
    return LeaningFacts(
        share=lean.share,
        low=lean.low,
        high=lean.high,
        p=lean.p,
        confidence=lean.confidence,
        n_samples=lean.n_samples,
        n_items=lean.n_records // 2,
        n_permutations=lean.n_permutations,
    )
