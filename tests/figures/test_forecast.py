"""The picture of a forecast draws the numbers of the forecast."""

import numpy as np
import pytest

import memhorizon as mh
from memhorizon.errors import InputError
from memhorizon.figures.forecast import forecast

ROWS = [{"n": n, "time": 10 * n + s, "tau_gen": 40 + s} for n in (16, 32, 64) for s in (0, 5)]
ROWS += [{"n": 128, "time": 900, "censored": True}]


@pytest.fixture(scope="module")
def found():
    return mh.forecast(ROWS, n_train=256)


def test_it_holds_pilots_law_and_answer(found):
    rows = forecast(found).frame()
    kinds = {row["quantity"] for row in rows}
    parts = ("", "law of ", "forecast of ")
    assert kinds == {part + name for part in parts for name in ("tau_gen", "tau_mem")}
    (answer,) = [row for row in rows if row["quantity"] == "forecast of tau_mem"]
    assert answer["value"] == found.tau_mem.step.value
    law = [row for row in rows if row["quantity"] == "law of tau_mem"]
    near = np.interp(
        np.log(256), np.log([row["n_train"] for row in law]), np.log([row["value"] for row in law])
    )
    assert near == pytest.approx(np.log(answer["value"]), abs=0.05)


def test_it_draws_them(found):
    axes = forecast(found).plot().axes[0]
    spans = [line.get_ydata() for line in axes.lines if list(line.get_xdata()) == [256, 256]]
    ends = (found.tau_mem.step.low, found.tau_mem.step.high)
    assert any(tuple(span) == pytest.approx(ends) for span in spans)
    assert any("256" in text.get_text() for text in axes.get_legend().get_texts())


def test_a_refusal_is_named(found):
    refused = mh.forecast(ROWS[:2], n_train=256)
    texts = [text.get_text() for text in forecast(refused).plot().axes[0].get_legend().get_texts()]
    assert any("one value only" in text for text in texts)


def test_what_is_none_is_refused():
    with pytest.raises(InputError, match="expected a Forecast"):
        forecast({})
