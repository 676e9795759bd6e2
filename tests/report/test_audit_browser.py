"""The page of an audit in a real browser."""

import pytest

import audit_records
from browser import SCHEMES, assert_fits_and_is_legible, needs_browser
from memhorizon.report.audit_page import html
from report_names import HOSTILE, renamed

pytestmark = needs_browser


@pytest.fixture(scope="module")
def page():
    """An audit of real pictures; half of the names are hostile."""
    made = audit_records.fashion() if audit_records.FASHION.exists() else audit_records.small()
    names = [*HOSTILE, *(f"generated/epoch_{k}/{k:05d}.png" for k in range(len(HOSTILE)))]
    return html(renamed(made.record, tuple(names)), made.pictures)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_fetches_nothing_fits_and_is_legible(page, scheme, tmp_path):
    assert_fits_and_is_legible(page, tmp_path, scheme, images=60)
