import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from scipy import stats

from memhorizon.errors import InputError
from memhorizon.results import UNKNOWN, Curve, Estimate, Fraction, ScalingLaw, Status, Time


@pytest.mark.parametrize(("count", "total"), [(0, 1000), (3, 50), (49, 50), (50, 50)])
def test_interval_is_the_one_of_scipys_binomial_test(count, total):
    fraction = Fraction.of(count, total)
    other = stats.binomtest(count, total).proportion_ci(0.95, method="exact")
    np.testing.assert_allclose(
        [fraction.low, fraction.high], [other.low, other.high], atol=4e-12
    )  # brentq: xtol 2e-12


@pytest.mark.parametrize(("count", "total"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(count, total):
    with pytest.raises(InputError, match="count, total"):
        Fraction.of(count, total)


@pytest.mark.parametrize(
    ("step", "value"), [([], []), ([1.0, 1.0], [0.0, 0.0]), ([2.0, 1.0], [0.0, 0.0]), ([1.0], [float("nan")])]
)
def test_a_curve_refuses_what_is_not_a_curve(step, value):
    with pytest.raises(InputError, match="curve"):
        Curve.of_means(step, value, [0.1] * len(step))


def test_a_law_predicts_on_its_line():
    law = ScalingLaw(
        {"n_train": Estimate(1.0, 0.9, 1.1)}, np.log(3.0), np.zeros((2, 2)), 0.1, 4, 0, Status.FITTED
    )
    assert law.predict(n_train=10).value == pytest.approx(30)
    with pytest.raises(InputError, match="factors"):
        law.predict(width=3)


X = np.array([1.0, 2.0, 3.0])
NONSENSE = {
    "half a count": lambda: Fraction.of(1.5, 3),
    "counts as text": lambda: Fraction.of("1", 3),
    "no number": lambda: Fraction.of(float("nan"), 3),
    "confidence 2": lambda: Fraction.of(3, 10, confidence=2.0),
    "confidence -1": lambda: Fraction.of(3, 10, confidence=-1.0),
    "confidence nan": lambda: Fraction.of(3, 10, confidence=float("nan")),
    "confidence 1": lambda: Fraction.of(3, 10, confidence=1.0),
    "a value outside of its interval": lambda: Estimate(3.0, 0.0, 1.0),
    "ends in the wrong order": lambda: Estimate(0.5, 1.0, 0.0),
    "an end that is no number": lambda: Estimate(0.1, float("nan"), float("nan")),
    "an estimate of confidence 95": lambda: Estimate(0.5, 0.0, 1.0, 95),
    "fewer values than steps": lambda: Curve(X, X[:2], X[:2], X[:2]),
    "fewer totals than steps": lambda: Curve(X, X, X, X, total=X[:2]),
    "a table of values": lambda: Curve(X, np.ones((3, 2)), X, X),
    "values above their interval": lambda: Curve(X, X, X - 2, X - 1),
    "an interval without ends": lambda: Curve(X, X, X * np.nan, X),
    "complex values": lambda: Curve(X, X + 1j, X, X),
    "text": lambda: Curve(X, np.array(["a", "b", "c"]), X, X),
    "masked values": lambda: Curve(X, np.ma.masked_array(X, [0, 1, 0]), X, X),
    "infinite steps": lambda: Curve.of_means([1.0, np.inf], [1, 1], [0, 0]),
    "a negative error": lambda: Curve.of_means([1.0, 2.0], [1, 1], [0.1, -0.1]),
    "errors of other length": lambda: Curve.of_means([1.0, 2.0], [1, 1], [0.1]),
    "two confidences": lambda: Curve.of_fractions(
        [1, 2], [Fraction.of(1, 3), Fraction.of(1, 3, confidence=0.5)]
    ),
    "a curve of confidence 0": lambda: Curve(X, X, X, X, confidence=0.0),
    "a time that is no number": lambda: Time(float("nan"), 0.0, 1.0, "observed", ""),
    "a reason with a number": lambda: Time(1.0, 0.0, np.inf, Status.NOT_MEASURED, ""),
    "a time after its interval": lambda: Time(3.0, 0.0, 1.0, Status.OBSERVED, ""),
}


ODD = {
    "more than float64 counts": (lambda: Fraction.of(10**30, 10**31), "count, total: "),
    "a confidence in words": (lambda: Fraction.of(1, 2, confidence="x"), "confidence: .*'x'"),
    "no confidence": (lambda: Fraction.of(1, 2, confidence=None), "confidence: .*None"),
    "rows of two lengths": (lambda: Curve([[1, 2], [3]], [1], [1], [1]), "step: expected a row"),
    "bfloat16": (lambda: Curve(torch.ones(1).bfloat16(), [1], [1], [1]), "step: expected a row"),
    "a gradient": (lambda: Curve(torch.ones(1, requires_grad=True), [1], [1], [1]), "step: .*row"),
    "a curve's confidence": (lambda: Curve([1], [1], [1], [1], confidence="a"), "confidence: .*'a'"),
    "steps in words": (lambda: Curve.of_means(["a"], [1], [1]), "step: expected a row"),
    "steps of fractions in words": (
        lambda: Curve.of_fractions(["a"], [Fraction.of(1, 2)]),
        "step: expected a row",
    ),
    "no fractions": (lambda: Curve.of_fractions([1], [0.5]), "expected a sequence of Fraction"),
    "None for fractions": (lambda: Curve.of_fractions([1], None), "expected a sequence of Frac"),
    "an estimate in words": (lambda: Estimate("a", "b", "c"), "estimate: expected numbers, got 'a'"),
    "no estimate": (lambda: Estimate(None, 0, 1), "estimate: expected numbers, got None"),
    "a time in words": (lambda: Time("a", 0, 1, "observed", "r"), "value: expected a number, got 'a'"),
    "no time": (lambda: Time(None, 0, 1, Status.OBSERVED, "r"), "value: expected a number, got None"),
    "a status that is a list": (lambda: Time(1.0, 0, 2, [], "r"), "status: "),
    "a factor in words": (lambda: LAW.predict(n_train="a"), "factors: .*'a'"),
    "a factor of None": (lambda: LAW.predict(n_train=None), "factors: .*None"),
    "a factor that is no number": (lambda: LAW.predict(n_train=float("nan")), "factors: .*nan"),
}


def test_a_law_that_was_not_fitted_shows_no_power():
    nothing = {"n_train": Estimate(math.nan, -math.inf, math.inf)}
    law = ScalingLaw(nothing, math.nan, np.full((2, 2), math.nan), math.nan, 1, 2, Status.NOT_FITTED)
    assert repr(law) == "ScalingLaw(not fitted, 1 observed, 2 censored)"


LAW = ScalingLaw({"n_train": Estimate(1.0, 0.9, 1.1)}, 0.0, np.zeros((2, 2)), 0.1, 4, 0, Status.FITTED)


@pytest.mark.parametrize("case", ODD)
def test_what_is_no_number_is_refused_by_its_name(case):
    call, message = ODD[case]
    with pytest.raises((InputError, TypeCheckError)) as raised:
        call()
    if raised.type is InputError:
        assert re.search(message, str(raised.value))


@pytest.mark.parametrize("case", NONSENSE)
def test_a_nonsensical_interval_is_refused(case):
    with pytest.raises((InputError, TypeCheckError)):
        NONSENSE[case]()


@pytest.mark.parametrize("status", UNKNOWN)
def test_a_reason_is_no_time(status):
    time = Time.unknown(status, "rule")
    assert str(time) == f"- ({status})"
    assert (time.known, time.observed, time.low, time.high) == (False, False, 0.0, np.inf)


def test_counts_of_numpy_are_counts_and_leave_as_whole_numbers():
    assert Fraction.of(np.int64(3), np.uint8(10)) == Fraction.of(3, 10)
    assert type(Fraction.of(np.int64(3), 10).count) is int


def test_curves_are_equal_in_every_number_and_name():
    curve = Curve.of_means([10, 20], [0.9, 0.5], [0.1, 0.1], name="holdout@0.1")
    assert curve == Curve.of_means([10, 20], [0.9, 0.5], [0.1, 0.1], name="holdout@0.1")
    assert curve != Curve.of_means([10, 20], [0.9, 0.5], [0.1, 0.2], name="holdout@0.1")
    assert curve != Curve.of_means([10, 20], [0.9, 0.5], [0.1, 0.1], name="train@0.1")
    assert curve != replace(curve, total=curve.step)
    assert curve != "holdout@0.1"
