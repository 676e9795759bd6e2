"""The command that audits: is it copying, which samples, how sure is that?"""

import json as json_module
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from memhorizon.auditing.feature_vectors import FeatureSource
from memhorizon.auditing.sets import AuditSets, read_sets
from memhorizon.audits import AuditReport, audit_of, config_of, features_of
from memhorizon.checks import check_number
from memhorizon.cli import sentence
from memhorizon.cli.bars import bar
from memhorizon.cli.terminal import say
from memhorizon.cli.typed import command, remember
from memhorizon.errors import InputError
from memhorizon.experiments.cache import Cache
from memhorizon.files.arrays import split_key
from memhorizon.files.bounds import printable
from memhorizon.files.folders import suffix_of
from memhorizon.files.pictures import PICTURE_SUFFIXES
from memhorizon.files.plain import check_file, check_path, user_cache
from memhorizon.records.files import to_plain

Given = TypeVar("Given", str, Path)

OFF = "off"  # in place of a folder: no cache
ARRAY_SUFFIXES = (".npy", ".npz", ".safetensors")


def audit(
    samples: str,
    train: str,
    holdout: str | None = None,
    output: Path = Path("report.html"),
    record: Path | None = None,
    pairs: Path | None = None,
    private: bool = False,
    fail_above: float = 0.0,
    fail_undecided: bool = False,
    fdr: float = 0.05,
    views: tuple[str, ...] | None = None,
    n_reference: int | None = None,
    features: tuple[str, ...] | None = None,
    size: int | None = None,
    grey: bool = False,
    same_units: bool = False,
    seed: int = 0,
    minutes: float | None = None,
    cache: str | None = None,
    json: bool = False,
    quiet: bool = False,
) -> int:
    """Find the samples that copy training items, each with an exact p-value, and write a page about them.

    Exit status 1 where more samples are reported as copies than --fail-above allows. The same command resumes
    where it was interrupted.

    Args:
        samples: what is audited: a folder of pictures, or a .npy, .npz or .safetensors file (FILE.npz::KEY).
        train: what it may be copied from, likewise.
        holdout: items as fresh as the training items that were not trained on, likewise.
        output: the page.
        record: also write all numbers to this file, as JSON.
        pairs: also write the copies beside their training items to this file, as CSV.
        private: hashes in place of pictures, names and places, in every file and in what is printed.
        fail_above: the largest share of copies that is fine; by default none is.
        fail_undecided: count samples as copies that only the number of reference items keeps from being
            reported; in a small audit some honest ones are among them.
        fdr: the false-discovery rate.
        views: what is compared: pixels, coarse, aligned, features; by default coarse and aligned for
            pictures, pixels and coarse for all else.
        n_reference: how many training items the p-values are calibrated on at most; by default 4,000; by the
            default views, or with aligned, a quarter of a larger training set (at most 15,000, of 60,000).
        features: for the view features: efficientnet-lite; the file of a network (TorchScript, .onnx); or a
            file of vectors for each set in the order samples, train, holdout.
        size: bring every picture to so many pixels a side.
        grey: make every picture grey.
        same_units: take the values as they are, whatever their ranges show.
        seed: of everything that is drawn.
        minutes: the longest that a descriptor may be trained.
        cache: a folder for what takes long, or off; by default memhorizon/audit in the user's cache folder.
        json: print all numbers.
        quiet: show no progress.
    """
    check_number("fail_above", fail_above, least=0, most=1)
    sources = _given(samples=samples, train=train, holdout=holdout)
    source = _features(features or (), sources)
    config = config_of(
        views,
        with_features=source is not None,
        fdr=fdr,
        seed=seed,
        n_reference=n_reference,
        minutes=minutes,
    )
    _check_files(_given(output=output, record=record, pairs=pairs), sources | _vectors_of(source))
    store = _cache(cache)
    if not quiet:
        say(f"reading {', '.join(sources if private else sources.values())}")
    with _names_kept_back(private):
        sets = read_sets(samples, train, holdout, size=size, grey=grey, same_units=same_units)
    _announce(sets, private=private)
    with _names_kept_back(private), _bars(quiet) as progress:
        found = audit_of(sets, config, features=source, same_units=same_units, cache=store, progress=progress)
    report = replace(found, answer=replace(found.answer, command=command()))
    _tell(report, output, record, pairs, private=private, as_json=json)
    return _status(report, fail_above, fail_undecided=fail_undecided)


def _status(report: AuditReport, fail_above: float, *, fail_undecided: bool) -> int:
    """The exit status; where it is 0 although samples are undecided, this is said."""
    if not report.passed(fail_above, fail_undecided=fail_undecided):
        return 1
    if report.undecided and not fail_undecided:
        count = len(report.undecided)
        say(f"exit status 0 (undecided samples pass: {count:,}); with --fail-undecided they count as copies")
    return 0


def _given(**named: Given | None) -> dict[str, Given]:
    """What was given, by its name."""
    return {name: one for name, one in named.items() if one is not None}


def _features(given: Sequence[str], sources: Mapping[str, str]) -> FeatureSource:
    """Where features are from: a name, the file of a network, or a file of vectors for each set.

    Raises:
        InputError: if it is none of these, or there is no file.
    """
    if not given:
        return None
    if len(given) == 1:
        return features_of(given[0])
    if len(given) != len(sources):
        raise InputError(
            f"features: expected one name or file, or a file of vectors for each of {', '.join(sources)}, "
            f"got {len(given)} files"
        )
    for file in given:
        if not os.path.isfile(split_key(check_path("features", file))[0]):
            raise InputError(f"features: expected a file of vectors, found none at {printable(file)!r}")
    return dict(zip(sources, given, strict=True))


def _vectors_of(source: FeatureSource) -> dict[str, str]:
    """The files of vectors, by what they are; none where features are from elsewhere."""
    vectors = source if isinstance(source, Mapping) else {}
    return {f"the vectors of {name}": str(file) for name, file in vectors.items()}


def _check_files(files: Mapping[str, Path], sources: Mapping[str, str]) -> None:
    """Refuse what cannot be written, what would be written twice, and what is read."""
    taken = {os.path.realpath(split_key(check_path(name, one))[0]): name for name, one in sources.items()}
    for name, path in files.items():
        check_file(path, name)
        place = os.path.realpath(path)
        for one, folder in taken.items():
            if _is_picture_of(path, one):
                raise InputError(f"{name}: expected no picture of {folder}, got {printable(path)!r}")
        if place in taken:
            raise InputError(f"{name}: expected another file than that of {taken[place]}, got {str(path)!r}")
        taken[place] = name


@contextmanager
def _names_kept_back(private: bool) -> Iterator[None]:
    """Say what is wrong without the names of files, for those who must not see them.

    Raises:
        InputError: in place of one whose message may hold a name; all others as they are.
    """
    try:
        yield
    except (InputError, OSError) as error:
        text = sentence(error) or ""
        if not private or not _may_name_a_file(text):
            raise
        about = text.split(":")[0]
        what = "what was given" if _may_name_a_file(about) else about
        raise InputError(f"{what}: cannot be used; without --private it is said why, with names") from None


def _may_name_a_file(text: str) -> bool:
    suffixes = (*PICTURE_SUFFIXES, *ARRAY_SUFFIXES)
    return os.sep in text or any(suffix in text.lower() for suffix in suffixes)


def _is_picture_of(path: Path, place: str) -> bool:
    """Whether a file has the suffix of a picture and is in a folder, or below it, that is read."""
    if suffix_of(path.name) not in PICTURE_SUFFIXES or not os.path.isdir(place):
        return False
    return os.path.commonpath([os.path.realpath(path.parent), place]) == place


def _cache(place: str | None) -> Cache | None:
    """The cache in a folder that was named, or in the user's folder if it can be there."""
    if place == OFF:
        return None
    if place is not None:
        return Cache(check_path("cache", place))
    folder = user_cache("audit")
    try:
        return None if folder is None else Cache(folder)
    except InputError as error:
        say(f"nothing is kept for the next audit: {error}")
        return None


def _announce(sets: AuditSets, *, private: bool) -> None:
    """Say what could not be used, and what one has to know before the work."""
    for name, one in sets.given.items():
        if one.skipped:
            first = one.skipped[0]
            example = "" if private else f"; the first is {first.name}: {first.reason}"
            say(f"{name}: {len(one.skipped):,} skipped, {len(one):,} left{example}")
    for remark in sets.remarks:
        say(remark)


@contextmanager
def _bars(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show what is done in one bar after the other, each with the time that it still needs."""
    bars: list[tqdm] = []

    def progress(what: str, done: int, total: int) -> None:
        if not bars or bars[-1].desc != what:
            for earlier in bars:
                earlier.close()
            bars[:] = [bar(what, total=total, quiet=quiet)]
            bars[-1].desc = what  # tqdm adds a colon
        bars[-1].total = total
        bars[-1].update(done - bars[-1].n)

    try:
        yield progress
    finally:
        for last in bars:
            last.close()


def _tell(
    report: AuditReport,
    output: Path,
    record: Path | None,
    pairs: Path | None,
    *,
    private: bool,
    as_json: bool,
) -> None:
    """Write the files and print the answer, which was found and is told also where the disk is full."""
    try:
        _write(report, output, record, pairs, private=private)
    finally:
        _show(report.private() if private else report, as_json=as_json)
    if not as_json:
        print(f"open {output}")


def _write(
    report: AuditReport, output: Path, record: Path | None, pairs: Path | None, *, private: bool
) -> None:
    """Write the files that were asked for, each whole or not at all."""
    shown = report.private() if private else report
    if record is not None:
        shown.save(record)
    if pairs is not None:
        shown.save_pairs(pairs)
    report.to_html(output, private=private)


def _show(report: AuditReport, *, as_json: bool) -> None:
    """Print the answer."""
    print(json_module.dumps(to_plain(report.answer)) if as_json else report.summary())


def commands(arguments: Sequence[str]) -> list[tuple[str, Callable[..., int]]]:
    """The commands of this file by name, for what was typed."""
    remember(arguments)
    return [("audit", audit)]
