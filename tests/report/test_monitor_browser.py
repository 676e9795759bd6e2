"""The page of a monitored training in a real browser."""

from dataclasses import replace

import pytest

from browser import SCHEMES, assert_fits_and_is_legible, needs_browser
from memhorizon.report.monitor_page import SheetPictures, html
from monitor_records import monitored, sheets_of
from report_names import HOSTILE

pytestmark = needs_browser


@pytest.fixture(scope="module")
def page():
    """A training with hostile names and three open contact sheets of real digits."""
    rows, pictures = sheets_of()
    record = replace(monitored(sheets=rows), name=HOSTILE[3], failures=HOSTILE, command=HOSTILE[0])
    best = replace(record.best, path=HOSTILE[3])
    return html(replace(record, best=best), lambda sheet: SheetPictures(*pictures[sheet.step]))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_fetches_nothing_fits_and_is_legible(page, scheme, tmp_path):
    assert_fits_and_is_legible(page, tmp_path, scheme, images=60)
