"""Tensors that were computed before, found again by what they were computed from.

A file is named by the SHA-256 of what went into its tensors: digests of the items, settings, versions. So
nothing in the cache can be out of date: an audit that was interrupted resumes with what is there, and another
audit of the same training set finds its descriptor. Files are written whole or not at all; one that is
damaged counts as missing and is written again; where nothing can be written one does without.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from memhorizon.checks import check_whole
from memhorizon.errors import InputError
from memhorizon.files.plain import SUFFIX, check_path, make_folder
from memhorizon.files.tensor_files import read_tensors_and_note, write_tensors
from memhorizon.records.plain import Plain

Key: TypeAlias = Mapping[str, Plain]  # what tensors are computed from
Tensors: TypeAlias = dict[str, Tensor]

PROTOCOL = 1  # of what computes the tensors; another where the same key would give other tensors
MOST_BYTES = 2 * 10**9  # of all files; beyond it those that were not used for longest are removed
STALE = 86_400.0  # seconds after which what a killed process was writing is removed
_OURS = re.compile(r"[0-9a-f]{64}\.safetensors|\.[0-9a-f]{16}" + re.escape(SUFFIX))


@dataclass(frozen=True)
class Cache:
    """A folder of tensors, each file named by what they were computed from.

    Attributes:
        folder: where the files are; it is made, for its user alone.
        most_bytes: of all files; beyond it those that were not used for longest are removed.

    Raises:
        InputError: if no folder can be made or written in at `folder`.
    """

    folder: Path
    most_bytes: int = MOST_BYTES

    def __post_init__(self) -> None:
        check_whole("most_bytes", self.most_bytes, least=0)
        make_folder(check_path("cache", self.folder), "cache", mode=0o700)

    def tensors(self, key: Key, compute: Callable[[], Mapping[str, Tensor]]) -> Tensors:
        """The tensors of a key: those of the cache, bit for bit, or computed now and kept for the next time.

        Args:
            key: everything that they depend on, in plain values: the name of the step, digests of the items,
                settings, the seed. Versions of the procedure and of torch are added.
            compute: gives them where they are not there.

        Returns:
            Tensors on the CPU, contiguous, whether they were found or computed.
        """
        path = self._path(key)
        found = _found(path)
        if found is not None:
            return found
        made = {name: _settled(tensor) for name, tensor in compute().items()}
        self._keep(path, made)
        return made

    def _path(self, key: Key) -> Path:
        versions = {"protocol": PROTOCOL, "torch": torch.__version__, "memhorizon": version("memhorizon")}
        text = json.dumps({**versions, "key": key}, sort_keys=True, allow_nan=False)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()}.safetensors"

    def _keep(self, path: Path, tensors: Tensors) -> None:
        """Write a file if it fits; a full disk is no reason to lose the answer."""
        size = sum(tensor.nbytes for tensor in tensors.values())
        if size > self.most_bytes:
            return
        with suppress(OSError):
            write_tensors(path, tensors, {"name": path.name})
            self._shrink(path)

    def _shrink(self, newest: Path) -> None:
        """Remove what was not used for longest, until the rest fits; never the newest file."""
        files = sorted(_files(self.folder), key=lambda file: (file.path == newest, file.used))
        total = sum(file.size for file in files)
        before = time.time() - STALE
        for file in files:
            is_left_behind = file.path.suffix == SUFFIX
            if (file.used < before) if is_left_behind else (total > self.most_bytes and file.path != newest):
                file.path.unlink(missing_ok=True)
                total -= file.size


class _File(NamedTuple):
    path: Path
    size: int
    used: float  # when it was last, in seconds


def _files(folder: Path) -> Iterator[_File]:
    """Files of the cache; others that lie there are left alone."""
    with os.scandir(folder) as listing:
        for entry in listing:
            if _OURS.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):  # another process has just removed it
                    status = entry.stat(follow_symlinks=False)
                    yield _File(Path(entry.path), status.st_size, status.st_mtime)


def _found(path: Path) -> Tensors | None:
    """What a file holds; None where it is missing, damaged or another's."""
    try:
        tensors, note = read_tensors_and_note(path)
    except InputError:
        return None
    if note.get("name") != path.name or "checksum" not in note:
        return None
    with suppress(OSError):  # of somebody else, or on a disk that is only read
        os.utime(path)
    return {name: tensors[name].clone() for name in sorted(tensors)}  # its file may be replaced


def _settled(tensor: Tensor) -> Tensor:
    """On the CPU, contiguous, and sharing no memory with any other."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def cached(cache: Cache | None, key: Key, compute: Callable[[], Mapping[str, Tensor]]) -> Tensors:
    """As `Cache.tensors`; without a cache they are computed."""
    if cache is None:
        return {name: _settled(tensor) for name, tensor in compute().items()}
    return cache.tensors(key, compute)
