"""What the tests of recipes with training of their own share: records, the page of evidence, pictures."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memhorizon import figures
from memhorizon.results import Time

RECORDS = Path(__file__).parents[1] / "results"


def read(recipe):
    return json.loads((RECORDS / f"{recipe.NAME}.json").read_text())


def rows_of(record, part):
    return [row for row in record["rows"] if row["part"] == part]


def observed(value):
    return {"value": value, "low": value, "high": value, "status": "observed"}


def drawn(record, folder):
    (picture,) = figures.of(record).values()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.save(picture.plot(), folder / "picture.png")
    pixels = np.asarray(Image.open(folder / "picture.png").convert("L"))
    assert np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).min() > 250
    assert (folder / "picture.png").stat().st_size < 100_000


def agree(row, name, time: Time):
    assert row[name]["status"] in (time.status, "undetermined")
    assert row[name]["value"] == pytest.approx(time.value, rel=1e-4)


def shown(entry, digits=2):
    """A number with its interval as the page writes it."""
    return f"{entry['value']:.{digits}f} [{entry['low']:.{digits}f}, {entry['high']:.{digits}f}]"


def lines_of(recipe):
    """What the page of evidence says with a link to this record."""
    page = (RECORDS.parent / "docs" / "evidence.md").read_text()
    return "\n".join(line for line in page.splitlines() if f"results/{recipe.NAME}.json" in line)
