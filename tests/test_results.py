import numpy as np
import pytest
from scipy import stats

from memhorizon.results import Curve, Estimate, Fraction, InputError, ScalingLaw


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
    law = ScalingLaw({"n_train": Estimate(1.0, 0.9, 1.1)}, np.log(3.0), np.zeros((2, 2)), 0.1, 4, 0, "fitted")
    assert law.predict(n_train=10).value == pytest.approx(30)
    with pytest.raises(InputError, match="factors"):
        law.predict(width=3)
