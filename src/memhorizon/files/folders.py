"""Folders of pictures: which files are pictures, and what is passed over."""

import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from memhorizon.errors import InputError
from memhorizon.files.bounds import kind_of, printable
from memhorizon.files.pictures import PICTURE_SUFFIXES, bits_of, decode, is_coloured
from memhorizon.files.ranges import Ranges


@dataclass(frozen=True)
class Skipped:
    """A picture or a folder that was passed over.

    Attributes:
        name: the file or folder, or the position in the sequence; printable.
        reason: why it could not be used.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class PictureFiles:
    """Picture files, not yet opened.

    Attributes:
        root: the folder.
        names: the pictures within it, sorted.
        ignored: number of other files (no picture by their suffix, or hidden).
        skipped: what was passed over before any picture was opened, and why: folders that cannot be read,
            links that lead nowhere, named pipes.
        suffixes: how many of the ignored files have which suffix; "(hidden)" and "(none)" are two of them.
    """

    root: Path
    names: Sequence[str]
    ignored: int = 0
    skipped: tuple[Skipped, ...] = ()
    suffixes: Mapping[str, int] = field(default_factory=dict)

    def read(self, position: int) -> Float[Tensor, "c h w"]:
        """Decode one of them.

        Raises:
            Unusable: if it cannot be.
            InputError: if the integers of the whole set are in an unknown range.
        """
        return self._ranges.bring(position, self._decoded(position))

    def coloured(self, position: int) -> bool:
        """Tell from the head of a file whether its picture has colours."""
        return is_coloured(self.root / self.names[position])

    def _decoded(self, position: int) -> Float[Tensor, "c h w"]:
        return decode(self.root / self.names[position])

    def _bits(self, position: int) -> int:
        return bits_of(self.root / self.names[position])

    @cached_property
    def _ranges(self) -> Ranges:
        return Ranges(printable(self.root), len(self.names), self._decoded, self._bits)


class _File(NamedTuple):
    name: str  # within the folder, with /
    real: str  # where it really lies
    is_link: bool


def list_pictures(folder: Path) -> PictureFiles:
    """List the pictures in `folder` and below, sorted by name.

    Linked folders are entered, each folder once, hidden ones never. A link to a picture that is listed
    already is no further picture.

    Raises:
        InputError: if there are none.
    """
    skipped: list[Skipped] = []
    files = sorted(_walk(folder, skipped), key=lambda file: (file.is_link, file.name))
    names = _distinct([file for file in files if _is_picture(file)], skipped)
    suffixes = Counter(suffix_of(file.name) for file in files if not _is_picture(file))
    ignored = suffixes.total()
    if not names:
        raise InputError(f"{printable(folder)}: {_none_found(ignored, skipped)}")
    by_name = sorted(skipped, key=lambda row: row.name)
    return PictureFiles(folder, names, ignored, tuple(by_name), most_common(suffixes))


def _is_picture(file: _File) -> bool:
    return suffix_of(file.name) in PICTURE_SUFFIXES


def suffix_of(name: str) -> str:
    """Suffix of a file, printable; "(hidden)" and "(none)" are two."""
    stem = name.rpartition("/")[2]
    if stem.startswith("."):
        return "(hidden)"
    return printable(os.path.splitext(stem)[1].lower())[:20] or "(none)"


def most_common(suffixes: Counter[str], most: int = 20) -> dict[str, int]:
    """Keep the commonest; a folder may hold as many suffixes as files."""
    kept = dict(suffixes.most_common(most))
    rest = suffixes.total() - sum(kept.values())
    return kept | ({"(others)": rest} if rest else {})


def _none_found(ignored: int, skipped: list[Skipped]) -> str:
    others = f"{ignored} other files" + "".join(f"; {row.name}: {row.reason}" for row in skipped[:1])
    return f"expected pictures in this folder, found none ({others})"


def _distinct(files: Sequence[_File], skipped: list[Skipped]) -> tuple[str, ...]:
    """Names of the files that lie in different places; the others go to `skipped`."""
    found: dict[str, str] = {}  # where it really lies, to its name
    for file in files:
        if file.real in found:
            skipped.append(Skipped(printable(file.name), f"a link to {printable(found[file.real])}"))
        else:
            found[file.real] = file.name
    return tuple(sorted(found.values()))


def _walk(folder: Path, skipped: list[Skipped]) -> Iterator[_File]:
    """Yield all files below `folder`, of linked folders last; what cannot be one goes to `skipped`."""
    seen = set()
    folders = deque([(os.fspath(folder), "")])
    links: deque[tuple[str, str]] = deque()
    while folders or links:
        place, prefix = folders.popleft() if folders else links.popleft()
        real = os.path.realpath(place)
        if real in seen:
            skipped.append(Skipped(printable(prefix[:-1]), "a link to a folder that is read already"))
            continue
        seen.add(real)
        for entry in _entries(place, prefix, skipped):
            if _kind(entry) == "a folder" and not entry.name.startswith("."):
                (links if entry.is_symlink() else folders).append((entry.path, f"{prefix}{entry.name}/"))
            elif (file := _file(entry, real, prefix, skipped)) is not None:
                yield file


def _file(entry: os.DirEntry[str], real: str, prefix: str, skipped: list[Skipped]) -> _File | None:
    """The file of an entry of the folder that really lies at `real`; what is none goes to `skipped`."""
    name = prefix + entry.name
    reason = _why_skipped(entry)
    if reason is not None:
        skipped.append(Skipped(printable(name), reason))
        return None
    is_link = entry.is_symlink()
    target = os.path.realpath(entry.path) if is_link else os.path.join(real, entry.name)
    return _File(name, target, is_link)


def _why_skipped(entry: os.DirEntry[str]) -> str | None:
    """Why an entry that is not entered is no file; None where it is one."""
    kind = _kind(entry)
    if kind == "a folder":
        return "a hidden folder"
    is_hidden = entry.name.startswith(".")
    return None if kind == "a regular file" or is_hidden else kind


def _entries(place: str, prefix: str, skipped: list[Skipped]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as listing:
            return sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        skipped.append(Skipped(printable(prefix[:-1] or place), f"folder cannot be read ({error.strerror})"))
        return []


def _kind(entry: os.DirEntry[str]) -> str:
    """What the entry, or what it links to, is, without opening it."""
    try:
        if entry.is_file():  # known from the listing, mostly
            return "a regular file"
        return kind_of(entry.stat().st_mode)
    except OSError as error:
        what = "a link that leads nowhere" if entry.is_symlink() else "cannot be looked at"
        return f"{what} ({error.strerror})"
