"""What tests of committed records share: these records, read once, the pages of evidence, pictures."""

import functools
import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memhorizon import recipes
from memhorizon.figures.style import save
from memhorizon.records.files import load_record
from memhorizon.results import Status, Time

RECORDS = Path(__file__).parents[1] / "results"
DOCS = RECORDS.parent / "docs"


def is_sweep(path):
    """Whether this record is one of a sweep, from its first lines: collecting tests reads no whole record."""
    with path.open() as lines:
        return any('"kind": "sweep"' in lines.readline() for _ in range(5))


SWEEPS = tuple(sorted(path.stem for path in RECORDS.glob("*.json") if is_sweep(path)))


@functools.cache
def read(name):
    """A committed record."""
    return load_record(RECORDS / f"{name}.json")


def observed(value):
    return Time(value, value, value, Status.OBSERVED)


def not_reached(value):
    return Time(value, value, float("inf"), Status.NOT_REACHED)


def drawn(record, folder):
    (picture,) = recipes.figures_of(record).values()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(picture.plot(), folder / "picture.png")
    pixels = np.asarray(Image.open(folder / "picture.png").convert("L"))
    assert np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).min() > 250
    assert (folder / "picture.png").stat().st_size < 100_000
    return picture


def agree(found, kept, rel=1e-4):
    """Two times or means are the same: status, and value where there is one."""
    assert found.status == kept.status
    assert found.value == pytest.approx(kept.value, rel=rel, nan_ok=True)


def passes_where_its_readings_do(time, curve, level):
    """A time against the readings alone: where the line between them is first at the level.

    Readings that rise above the level again are pooled, which moves a time to the later ones, but no further
    than to where all are below, and never past the minimum.
    """
    below = np.flatnonzero(curve.value <= level)
    assert bool(len(below)) == time.observed
    if not len(below):
        return
    first = below[0]
    before = max(0, first - 1)
    above = np.flatnonzero(curve.value[: curve.value.argmin() + 1] > level)
    settled = above[-1] + 1 if len(above) else 0
    if settled == first:
        y = np.arcsinh(curve.value[[before, first]] / level)  # distances fall over orders of magnitude
        share = (y[0] - np.arcsinh(1)) / (y[0] - y[1]) if first else 0.0
        passes = np.exp(np.interp(share, [0, 1], np.log(curve.step[[before, first]])))
        assert time.low <= passes <= time.high
    assert curve.step[before] <= time.value <= curve.step[settled]


def inputs_are_those_beside(record):
    """The hashes in a record are those of the files that it read."""
    for name, source in record.settings["inputs"].items():
        now = hashlib.sha256((RECORDS / f"{name}.json").read_bytes()).hexdigest()
        assert now == source["sha256"], f"{name} changed: run `{record.command}`"


def same_but_for_rounding(found, kept):
    """Plain values that are the same; numbers to the digits that a fit has on any processor and library."""
    if isinstance(kept, dict):
        assert found.keys() == kept.keys()
        for name, entry in kept.items():
            same_but_for_rounding(found[name], entry)
    elif isinstance(kept, list | tuple):
        assert len(found) == len(kept)
        for one, other in zip(found, kept, strict=True):
            same_but_for_rounding(one, other)
    elif isinstance(kept, float):
        assert found == pytest.approx(kept, rel=1e-4, abs=1e-9)
    else:
        assert found == kept


def without_origin(record):
    """Rows, settings and summary as they are written."""
    return json.loads(json.dumps([record.rows, record.settings, record.summary]))


def shown(entry, digits=2):
    """A number with its interval as the pages write it."""
    return f"{entry.value:.{digits}f} [{entry.low:.{digits}f}, {entry.high:.{digits}f}]"


def lines_of(name):
    """What the pages of evidence say with a link to this record."""
    pages = [DOCS / "evidence.md", *sorted((DOCS / "evidence").glob("*.md"))]
    lines = [line for page in pages for line in page.read_text().splitlines()]
    return "\n".join(line for line in lines if f"results/{name}.json" in line)
