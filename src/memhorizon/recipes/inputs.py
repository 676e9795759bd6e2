"""Records of sweeps as the input of a recipe."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from memhorizon.errors import InputError
from memhorizon.experiments.recipe import Request
from memhorizon.records.codec import encode
from memhorizon.records.files import load_record
from memhorizon.records.plain import Plain
from memhorizon.records.sweep import RunRecord, SweepRecord


def read_inputs(names: Sequence[str], request: Request) -> list[SweepRecord]:
    """The records of these sweeps; the first of them where it is tiny.

    Raises:
        InputError: as `read_sweeps`.
    """
    return read_sweeps(names[:1] if request.tiny else names, request.records)


def read_sweeps(names: Sequence[str], folder: Path) -> list[SweepRecord]:
    """The records of these sweeps.

    Raises:
        InputError: if one is missing, or no record of a sweep.
    """
    return [_read_sweep(folder / f"{name}.json") for name in names]


def origin_of(records: Sequence[SweepRecord], folder: Path) -> dict[str, Plain]:
    """What was read: command, rules and the hash of the file of each."""
    return {
        record.name: {
            "command": record.command,
            "rules": encode(record.rules),
            "sha256": hashlib.sha256((folder / f"{record.name}.json").read_bytes()).hexdigest(),
        }
        for record in records
    }


def number_of(run: RunRecord, factor: str) -> float:
    """What a run has of a factor that is a number in its sweep."""
    value = run.factor(factor)
    assert isinstance(value, int | float)
    return value


def _read_sweep(path: Path) -> SweepRecord:
    found = load_record(path)
    if not isinstance(found, SweepRecord):
        raise InputError(f"records: expected the record of a sweep in {path}, got a table")
    return found
