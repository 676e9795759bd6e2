"""The audit itself: sets of items in, one record out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memhorizon.auditing.assemble import Facts, record_of
from memhorizon.auditing.calibration import Calibrated, Reference, calibrate, find_all
from memhorizon.auditing.config import AuditConfig
from memhorizon.auditing.edits import Edit, edit_of
from memhorizon.auditing.feature_vectors import FeatureSource
from memhorizon.auditing.leaning import Leaning, leaning
from memhorizon.auditing.prepare import FEWEST_FOR_NULL, Prepared, n_for_null, prepare
from memhorizon.auditing.statistics import Discoveries, benjamini_hochberg, smallest_reportable
from memhorizon.auditing.views.base import Found, Progress, View
from memhorizon.auditing.views.build import ORDER, Material, build
from memhorizon.auditing.views.features import NAME as FEATURES
from memhorizon.auditing.views.reduced import LARGEST_ALIGNED, SMALLEST_ALIGNED, is_registered, reduced
from memhorizon.errors import InputError
from memhorizon.experiments.cache import Cache
from memhorizon.files.digests import digest_of
from memhorizon.files.images import ImageSet
from memhorizon.files.mapped import rows_of
from memhorizon.measure.duplicates import first_members
from memhorizon.measure.neighbors import nearest_of
from memhorizon.records.audit import AuditRecord
from memhorizon.results import Fraction

MOST_FOR_LEANING = 10_000  # items of either set


@dataclass(frozen=True, eq=False)
class Audited:
    """What an audit found.

    Attributes:
        record: all numbers.
        registered: for each reported sample its training picture in the frame of the sample, by position.
    """

    record: AuditRecord
    registered: Mapping[int, Tensor]


def audited(
    samples: ImageSet,
    train: ImageSet,
    holdout: ImageSet | None,
    config: AuditConfig,
    *,
    sources: Mapping[str, str],
    features: FeatureSource = None,
    same_units: bool = False,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Audited:
    """Find the copies among samples, with p-values that are exact, and what else there is to say.

    Args:
        samples: what is audited.
        train: what it may be copied from.
        holdout: items that were not trained on, if there are any.
        config: what is asked.
        sources: where each set was read from, by its name.
        features: for the view of features: where its vectors are from, see `feature_vectors`.
        same_units: vouch that the sets have one unit.
        cache: keeps what was computed.
        progress: told what is being done, how much of it and of how much.

    Raises:
        InputError: if there are too few items, or the sets do not fit each other.
    """
    tell = progress or _quiet
    given = _given(samples, train, holdout)
    prepared = prepare(given, config, same_units=same_units, cache=cache, progress=tell)
    material = Material(given, prepared, config, features, cache)
    work = _Work.of(material, tell)
    reference, others = _reference(prepared, config)
    known = work.find("reference items", reference)
    calibrated = work.calibrate(reference, known, "samples", prepared.samples)
    found = benjamini_hochberg(calibrated.p_values.p, config.fdr)
    null = _null(work, reference, known, others, _limit(calibrated, found))
    edits = _edits(prepared, calibrated, found, tell)
    lean = _leaning(prepared, config.seed)
    facts = Facts(given, sources, config, prepared, reference.left_out is None, work.views)
    record = record_of(facts, calibrated, found, null, edits, lean)
    return Audited(record, {j: edit.registered for j, edit in edits.items()})


def _given(samples: ImageSet, train: ImageSet, holdout: ImageSet | None) -> dict[str, ImageSet]:
    """The sets that there are, by name."""
    given = {"samples": samples, "train": train}
    return given if holdout is None else {**given, "holdout": holdout}


def _quiet(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, eq=False)
class _Work:
    """The views, and what is needed to ask them."""

    prepared: Prepared
    views: Sequence[View]
    cache: Cache | None
    progress: Progress

    @classmethod
    def of(cls, material: Material, progress: Progress) -> "_Work":
        """Make the views.

        Raises:
            InputError: if none of them can be made of these items.
        """
        made = _made(material, progress)
        views = [view for name in ORDER if (view := made.get(name)) is not None]
        if not views:
            raise _no_view(material)
        return cls(material.prepared, tuple(views), material.cache, progress)

    def find(self, name: str, asked: Reference) -> list[Found]:
        """The statistics of items in all views."""
        key = {**self.prepared.key, "items": digest_of(asked.items), "left_out": asked.left_out is not None}
        found = []
        for view, form in zip(self.views, self.forms, strict=True):
            report = _labelled(self.progress, f"{view.name}: {name}")
            own = {**key, "view": view.name, "learned": view.digest}
            items = form(asked.items)
            found.append(find_all(view, items, asked.left_out, cache=self.cache, key=own, report=report))
        return found

    def calibrate(self, reference: Reference, known: Sequence[Found], name: str, items: Tensor) -> Calibrated:
        """p-values of items."""
        found = self.find(name, Reference(items, None))
        return calibrate(self.views, reference, known, items, found, self.forms, self.progress)

    @property
    def forms(self) -> list[Callable[[Tensor], Tensor]]:
        """The form in which each view compares items."""
        return [_small if view.name == "aligned" else _as_they_are for view in self.views]


def _made(material: Material, progress: Progress) -> dict[str, View | None]:
    """The views by name; None for those that cannot be made of these items."""
    # features first: what is given may be wrong, which is better known before anything is learned
    names = sorted(material.views, key=lambda name: name != FEATURES)
    return {name: build(name, material, _labelled(progress, f"{name}: learning")) for name in names}


def _no_view(material: Material) -> InputError:
    smallest = f'pictures of at least {SMALLEST_ALIGNED} pixels a side for "aligned"'
    return InputError(
        f"views: expected items that the views {material.views} can compare ({smallest}), "
        f"got items of shape {tuple(material.train.shape[1:])}"
    )


def _labelled(progress: Progress, label: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(label, done, total)


def _small(items: Tensor) -> Tensor:
    return reduced(items, LARGEST_ALIGNED)


def _as_they_are(items: Tensor) -> Tensor:
    return items


def _reference(prepared: Prepared, config: AuditConfig) -> tuple[Reference, Tensor | None]:
    """The items that p-values are calibrated on, and held-out items that a null is counted among.

    Training items, or held-out items where these are more; the null is counted among others.
    """
    design = prepared.design
    trained = Reference(rows_of(prepared.train, design.reference), design.group[design.reference])
    if prepared.holdout is None:
        return trained, None
    for_null = n_for_null(len(prepared.fresh))
    others = prepared.holdout[prepared.fresh[:for_null]]
    if len(design.reference):
        return trained, others
    wanted = config.reference_items(len(prepared.train))
    drawn = prepared.fresh[for_null:][:wanted]
    return Reference(prepared.holdout[drawn], None), others


def _limit(calibrated: Calibrated, found: Discoveries) -> float:
    """The largest p-value that is reported; where none is, the largest that could be."""
    p = calibrated.p_values.p
    if found.rejected.any():
        return float(p[found.rejected].max())
    fewest = smallest_reportable(len(p), calibrated.p_values.resolution, found.rate)
    return found.rate * (fewest or 0) / len(p)


def _null(
    work: _Work, reference: Reference, known: Sequence[Found], others: Tensor | None, limit: float
) -> Fraction | None:
    """The share of held-out items whose p-value is one that is reported."""
    if others is None or len(others) < FEWEST_FOR_NULL:
        return None
    p = work.calibrate(reference, known, "held-out items", others).p_values.p
    return Fraction.of(int((p <= limit).sum()), len(p))


def _edits(
    prepared: Prepared, calibrated: Calibrated, found: Discoveries, progress: Progress
) -> dict[int, Edit]:
    """What was done to the training pictures of the reported samples; none of items that are no pictures."""
    if not is_registered(tuple(prepared.train.shape[1:])):
        return {}
    rows = np.flatnonzero(found.rejected).tolist()
    edits = {}
    for done, j in enumerate(rows):
        original = prepared.train[_nearest(calibrated, j)]
        edits[j] = edit_of(prepared.samples[j], original, prepared.limits)
        progress("edits", done + 1, len(rows))
    return edits


def _nearest(calibrated: Calibrated, sample: int) -> int:
    """The training item that a sample is nearest to in the view of its p-value."""
    own = calibrated.scores[int(calibrated.p_values.view[sample])]
    return int(own.nearest[sample])


def _leaning(prepared: Prepared, seed: int) -> Leaning | None:
    """Whether samples are nearer to training items than to as many held-out ones."""
    if prepared.holdout is None:
        return None
    first = first_members(prepared.design.group)
    size = min(len(first), len(prepared.fresh), MOST_FOR_LEANING)
    drawn = torch.randperm(len(first), generator=torch.Generator().manual_seed(seed))[:size]
    records = torch.cat([rows_of(prepared.train, first[drawn]), prepared.holdout[prepared.fresh[:size]]])
    index = nearest_of(prepared.samples.flatten(1), records.flatten(1), 1)[1][:, 0]
    counts = index.bincount(minlength=2 * size).numpy()
    is_train = np.arange(2 * size) < size
    return leaning(counts, is_train, generator=np.random.default_rng(seed))
