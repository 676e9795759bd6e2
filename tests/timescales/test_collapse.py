"""The collapse of curves in step / n ** exponent: families that do, and families that do not."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats

from memhorizon.errors import InputError
from memhorizon.results import Curve
from memhorizon.timescales.collapse import collapse_quality

STUDY = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "coverage.py"), run_name="study")
best_exponent = STUDY["best_exponent"]
N = [32, 64, 128, 256]
STEPS = np.geomspace(30, 200_000, 300)


def curve(value, steps=STEPS):
    return Curve(steps, value, value, value, total=np.full(len(steps), 1000.0))


def family(exponent, steepness=lambda n: 2.0, top=lambda n: 1.0):
    return [curve(top(n) / (1 + (STEPS / (30 * n**exponent)) ** -steepness(n))) for n in N]


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5])
def test_the_true_exponent_collapses_and_is_found(exponent):
    curves = family(exponent)
    # between snapshots logistic curves bend by up to h ** 2 / 8 in log step: that is all that is left
    left = (np.log(STEPS[1] / STEPS[0]) ** 2 / 8) ** 2 / np.var(exponent * np.log(N))
    assert collapse_quality(curves, N, exponent).value <= left
    assert best_exponent(curves, N).value == pytest.approx(exponent, abs=1e-3)


@pytest.mark.parametrize("tried", [0.0, 0.5, 0.8, 1.0, 2.5])
def test_quality_of_shifted_copies_in_closed_form(tried):
    """Copies shifted by log n: var((1 - tried) log n) / var(log n)."""
    found = collapse_quality(family(1.0), N, tried)
    assert found.value == pytest.approx((1 - tried) ** 2, abs=2e-3)
    assert found.low <= found.value <= found.high


def test_best_exponent_minimises_the_quality():
    curves = family(0.9, steepness=lambda n: 2 + np.log(n / 32))
    found = optimize.minimize_scalar(
        lambda e: collapse_quality(curves, N, e, draws=1).value,
        bounds=(0, 2),
        options={"xatol": 1e-6},
        method="bounded",
    )
    assert best_exponent(curves, N).value == pytest.approx(found.x, abs=1e-4)


def test_what_does_not_scale_with_n_does_not_collapse():
    """Times that do not depend on n but scatter: rescaling by n is worse than none."""
    same = [curve(1 / (1 + (STEPS / tau) ** -2.0)) for tau in (1000, 1100, 900, 1050)]
    assert collapse_quality(same, N, 1.0).value > 10
    assert abs(best_exponent(same, N).value) < 0.1


def test_a_changing_shape_leaves_a_rest():
    """Steepness 1 to 4.5: the times at a tenth and at nine tenths cannot both scale."""
    shapes = family(1.0, steepness=lambda n: n / 64 + 0.5)
    best = best_exponent(shapes, N)
    rest = collapse_quality(shapes, N, best.value).value
    # closed form: log tau_j(v) = log(30 n_j) + logit(v) / k_j
    v = np.linspace(0.1, 0.9, 9)
    top = min(c.value[-1] for c in shapes)
    bottom = max(c.value[0] for c in shapes)
    logits = np.log((bottom + (top - bottom) * v) / (1 - bottom - (top - bottom) * v))
    z = np.log(30 * np.array(N))[:, None] + logits / (np.array(N)[:, None] / 64 + 0.5)
    after = (z - best.value * np.log(N)[:, None]).var(axis=0).mean()
    assert rest == pytest.approx(after / z.var(axis=0).mean(), rel=0.01)
    assert rest > 0.01


def test_a_falling_quantity_collapses_too():
    falling = [curve(1 - c.value) for c in family(1.0)]
    assert collapse_quality(falling, N).value == pytest.approx(
        collapse_quality(family(1.0), N).value, abs=1e-6
    )


def test_identical_curves_have_nothing_to_gain():
    same = [curve(1 / (1 + (STEPS / 1000) ** -2.0))] * 4
    assert collapse_quality(same, N, 0.0).value == 1.0
    assert collapse_quality(same, N, 1.0).value == np.inf


def test_two_curves_leave_the_interval_open():
    two = family(1.0)[:2]
    quality = collapse_quality(two, N[:2])
    assert (quality.low, quality.high) == (0.0, np.inf)


def test_the_seed_decides():
    curves = family(0.9, steepness=lambda n: 2 + np.log(n / 32))
    assert collapse_quality(curves, N, seed=3) == collapse_quality(curves, N, seed=3)


def test_exponents_are_covered_as_often_as_stated():
    """Noisy curves at five n with a scatter of 0.1; a count is rejected at one in a thousand."""
    generator = np.random.default_rng(13)
    found = [STUDY["exponent_case"]("fresh", generator) for _ in range(100)]
    hits = sum(own.low <= 0.8 <= own.high for own in found)
    assert stats.binom.cdf(hits, 100, 0.92) > 1e-3
    assert stats.binom.sf(hits - 1, 100, 0.98) > 1e-3


RISING = family(1.0)
BAD = {
    "no curves": lambda: collapse_quality([], []),
    "one curve": lambda: collapse_quality(RISING[:1], [32]),
    "not as many factors": lambda: collapse_quality(RISING, [32, 64]),
    "one n": lambda: collapse_quality(RISING, [32] * 4),
    "n of zero": lambda: collapse_quality(RISING, [0, 1, 2, 3]),
    "nan n": lambda: collapse_quality(RISING, [np.nan, 1, 2, 3]),
    "nan exponent": lambda: collapse_quality(RISING, N, np.nan),
    "no common range": lambda: collapse_quality(
        [curve(1 + 0.1 * c.value if i else c.value) for i, c in enumerate(RISING)], N
    ),
    "flat": lambda: collapse_quality([curve(0 * STEPS)] * 4, N),
    "not monotone": lambda: collapse_quality([curve(np.sin(40 * STEPS / STEPS[-1]))] * 4, N),
    "step zero": lambda: collapse_quality([curve(np.arange(9) / 9, np.arange(9.0))] * 4, N),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_clear_error(case):
    with pytest.raises(InputError, match="expected"):
        BAD[case]()
