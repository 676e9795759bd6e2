"""The page of a forecast says what the forecast says."""

import pytest

import memhorizon as mh
from markup import assert_clean
from memhorizon.records.forecast import ForecastRecord
from memhorizon.report import report, sentence

ROWS = [{"n": n, "time": 10 * n + s, "batch_size": 16, "key": f"<{n}>"} for n in (16, 32, 64) for s in (0, 5)]


@pytest.fixture(scope="module")
def made():
    return ForecastRecord("forecast", "memhorizon forecast <x>", mh.forecast(ROWS, n_train=128))


def test_the_page_is_clean_and_holds_the_answer(made):
    page = report(made)
    assert_clean(page)
    assert sentence(made) in page
    assert "&lt;16&gt;" in page
    assert "<svg" in page
    assert "memhorizon forecast &lt;x&gt;" in page


def test_the_lines_have_all_units_and_the_exponent(made):
    first, *rest = made.forecast.summary().splitlines()
    assert first.startswith("tau_mem(128) = ")
    assert [unit in first for unit in (" steps", " epochs", " items seen")] == [True] * 3
    assert any(line.startswith("exponent of n_train (fixed batch)") for line in rest)
    assert any("5% of such runs" in line for line in rest)


def test_a_refusal_says_why_and_what_to_do():
    refused = ForecastRecord("", "", mh.forecast(ROWS[:2], n_train=128))
    assert "cannot tell" in sentence(refused)
    page = report(refused)
    assert "Run the next pilot" in page
    assert any(line.startswith("run next: n = ") for line in refused.forecast.summary().splitlines())
