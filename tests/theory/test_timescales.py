import numpy as np
import pytest

from memhorizon.errors import InputError
from memhorizon.results import Status, Timescales
from memhorizon.theory import (
    FeatureModel,
    Spectrum,
    bulk_edges,
    coefficients,
    loss_curves,
    overfitting_threshold,
    timescales,
)
from memhorizon.theory.timescales import _Curves

TABLE = [  # docs/theory.md, "Timescales": t, psi_n, argmin, E_min, onset, g10, g50, g90, as printed
    (0.01, 4, 112, 0.0785, 2.7e3, 4.4e4, 1.7e5, 5.0e5),
    (0.01, 64, 221, 0.0129, 1.6e4, 1.1e5, 5.9e5, 1.8e6),
    (0.1, 16, 19.0, 0.0274, 1.3e3, 1.1e3, 7.0e3, 2.1e4),
    (1.0, 4, 6.7, 0.0051, 1.3e3, 1.7, 7.2, 2.0e3),
]


@pytest.mark.parametrize(("t", "psi_n", "argmin", "E_min", "onset", "g10", "g50", "g90"), TABLE)
def test_published_times(t, psi_n, argmin, E_min, onset, g10, g50, g90):
    s = timescales(FeatureModel(psi_n, 64, t))
    assert isinstance(s, Timescales)
    assert s.unit == "tau"
    assert s.status is Status.SOLVED
    names = ("argmin", "onset", "gap_10", "gap_50", "gap_90")
    printed = (argmin, onset, g10, g50, g90)
    np.testing.assert_allclose([s.others[k].value for k in names], printed, rtol=0.04)  # two printed digits
    assert s.levels["E_min"] == pytest.approx(E_min, rel=0.01)


@pytest.mark.parametrize(
    "model", [FeatureModel(4, 64, 0.1), FeatureModel(8, 2, 0.1, "erf", Spectrum.atoms([0.5, 1.5]))]
)
def test_times_solve_what_they_say(model):
    """Curves evaluated at the times: levels are met to 1e-9, and just before they are not."""
    s = timescales(model, score_level=0.3, gap_level=0.02)
    limit = loss_curves(model, [np.inf])
    for name, share in (("gap_10", 0.1), ("gap_50", 0.5), ("gap_90", 0.9)):
        tau = s.others[name].value
        c = loss_curves(model, [tau, 0.999 * tau])
        assert c.L_gen[0] == pytest.approx(share * limit.L_gen[0], rel=1e-9)
        assert c.L_gen[1] < c.L_gen[0]
    gen, mem = s.tau_gen.value, s.tau_mem.value
    assert loss_curves(model, [gen]).E_score[0] == pytest.approx(0.3, abs=1e-9)  # Gamma_t = 1 for both
    assert loss_curves(model, [mem]).L_gen[0] == pytest.approx(0.02, abs=1e-9)
    grid = np.geomspace(gen / 100, gen, 400)[:-1]
    assert np.all(loss_curves(model, grid).E_score > 0.3)
    assert np.all(loss_curves(model, np.geomspace(mem / 1e3, mem, 400)[:-1]).L_gen < 0.02)


def test_argmin_is_the_lowest_point():
    """A parabola through three points around it has its vertex there: error of order h^2, h = 1e-3."""
    model = FeatureModel(4, 64, 0.01)
    tau, h = timescales(model).others["argmin"].value, 1e-2
    low, mid, high = loss_curves(model, tau * np.exp([-h, 0, h])).L_test
    vertex = 0.5 * h * (low - high) / (low - 2 * mid + high)
    assert abs(vertex) < h**2
    far = loss_curves(model, np.geomspace(1e-2 * tau, 1e4 * tau, 500))
    assert np.min(far.E_score) >= timescales(model).levels["E_min"] - 1e-12


def test_a_flat_minimum_has_an_interval():
    """Few features at large t: past the minimum the test loss rises by less than rounding."""
    model = FeatureModel(14.5, 0.54, 1.2, "sin", Spectrum.isotropic(0.08))
    found = timescales(model).others["argmin"]
    curve = loss_curves(model, [found.low, found.value, found.high, 0.3 * found.value])
    assert found.low <= found.value <= found.high
    assert np.ptp(curve.E_score[:3]) < 1e-12 * curve.E_score[1]
    assert curve.E_score[3] >= curve.E_score[1] * (1 - 1e-14)


@pytest.mark.parametrize(("tau", "low", "high"), [(4.0, 3, 5), (2.5, 2.5, 5), (5.5, 3, 5.5)])
def test_the_interval_of_a_flat_minimum_has_the_times_as_low_as_its_lowest(tau, low, high):
    """Six times, of which three are as low as one another but for rounding."""
    curves = _Curves(FeatureModel(4, 64, 0.1))
    curves.tau = np.arange(1.0, 7.0)
    curves.values = np.array([np.zeros(6), np.zeros(6), [3, 2, 1 + 2e-16, 1, 1 + 2e-16, 1 + 1e-12]])
    found = curves._flat(tau, "flat")
    assert (found.value, found.low, found.high) == (tau, low, high)


def test_generalisation_time_in_closed_form():
    """Sigma = I: tau_gen -> log 5/(4 Delta a^2), with corrections of order 1/psi_n, which fall by 4."""
    deviations = []
    for psi_n in (128, 512):
        model = FeatureModel(psi_n, 8 * psi_n, 0.1)
        expected = np.log(5) / (4 * model.delta_t * coefficients(model).a ** 2)
        deviations.append(timescales(model).tau_gen.value / expected - 1)
    assert deviations[0] / deviations[1] == pytest.approx(4, rel=4 / 128)
    assert abs(deviations[1]) < 1 / 512


def test_edge_times_come_from_the_support():
    model = FeatureModel(8, 64, 0.01)
    s, edges = timescales(model), bulk_edges(model).intervals
    times = model.psi_p / (2 * model.delta_t * edges)
    np.testing.assert_allclose(
        [s.others[k].value for k in ("slowest", "rho_1", "onset")],
        [times[0, 0], times[1, 0], times[1, 1]],
        rtol=1e-14,
    )
    assert "onset" not in timescales(FeatureModel(3, 0.5, 0.1)).others  # one group only


def test_what_is_never_reached_is_censored():
    s = timescales(FeatureModel(256, 64, 0.01))
    assert s.tau_mem.status is Status.NOT_REACHED
    assert np.isinf(s.tau_mem.value)
    assert timescales(FeatureModel(0.5, 64, 0.01), score_level=1e-6).tau_gen.status is Status.NOT_REACHED


def test_other_data_have_timescales_but_no_score_error():
    spectrum = Spectrum.from_data(np.random.default_rng(0).normal(size=(400, 6)))
    s = timescales(FeatureModel(2, 8, 0.1, "tanh", spectrum))
    assert s.tau_gen.observed
    c = loss_curves(
        FeatureModel(2, 8, 0.1, "tanh", spectrum), [s.others["argmin"].value * f for f in (0.9, 1.0, 1.1)]
    )
    assert c.L_test[1] < min(c.L_test[0], c.L_test[2])


def test_threshold_is_where_the_final_gap_crosses():
    model = FeatureModel(1.0, 64, 0.1)
    found = overfitting_threshold(model, gap_level=0.05)
    assert found.status is Status.OBSERVED
    gaps = [
        loss_curves(FeatureModel(found.psi_n * f, 64, 0.1), [np.inf]).L_gen[0] for f in (0.99, 1.0, 1.01, 100)
    ]
    assert gaps[1] == pytest.approx(0.05, rel=1e-9)
    assert gaps[0] > 0.05 > gaps[2] > gaps[3]
    assert overfitting_threshold(model, gap_level=1e6).status is Status.NEVER_REACHED
    assert overfitting_threshold(model, gap_level=1e-9).status is Status.NOT_REACHED


@pytest.mark.parametrize("name", ["score_level", "gap_level"])
def test_levels_are_positive(name):
    with pytest.raises(InputError, match=name):
        timescales(FeatureModel(2, 4, 0.1), **{name: 0.0})


def test_the_level_of_the_score_error_is_in_units_of_the_variance():
    """0.2/Gamma_t^2, Gamma_t^2 the variance of a coordinate of x_t, here 4 exp(-0.2) + 1 - exp(-0.2)."""
    model = FeatureModel(4, 32, 0.1, spectrum=Spectrum.isotropic(4.0))
    variance = 4 * np.exp(-0.2) + 1 - np.exp(-0.2)
    tau = timescales(model).tau_gen.value
    assert loss_curves(model, [tau]).E_score[0] == pytest.approx(0.2 / variance, rel=1e-9)


def test_a_level_that_falls_at_once_is_found_before_the_grid():
    """E_score starts at 1 for Sigma = I; a level 1e-7 below it is crossed before the first mode has moved."""
    model = FeatureModel(4, 32, 0.1)
    tau = timescales(model, score_level=1 - 1e-7).tau_gen.value
    assert loss_curves(model, [tau]).E_score[0] == pytest.approx(1 - 1e-7, abs=1e-11)
    assert tau < 1e-3 * model.psi_p / (2 * model.delta_t * bulk_edges(model).intervals[-1, 1])


def test_a_threshold_far_beyond_the_number_of_features_is_found():
    """L_gen(inf) falls as 1/psi_n there: a small level is reached at 1e4 times psi_p."""
    model = FeatureModel(1, 8, 0.1)
    level = loss_curves(FeatureModel(8e4, 8, 0.1), [np.inf]).L_gen[0]
    found = overfitting_threshold(model, gap_level=level)
    assert found.status is Status.OBSERVED
    assert found.psi_n == pytest.approx(8e4, rel=1e-6)


def test_levels_are_those_of_the_curves():
    model = FeatureModel(4, 16, 0.1)
    found = timescales(model)
    at = loss_curves(model, [found.others["argmin"].value, np.inf])
    end = {"E_inf": at.E_score[1], "L_train_inf": at.L_train[1], "L_gen_inf": at.L_gen[1]}
    assert found.levels == pytest.approx({"E_min": at.E_score[0], **end}, rel=1e-9)


@pytest.mark.parametrize("level", [1.5, 5.0])
def test_a_level_above_the_start_is_reached_at_once(level):
    """E(0) = 1 over Gamma_t^2; it is below the level from the start, though overfitting passes it later."""
    found = timescales(FeatureModel(psi_n=4, psi_p=64, t=0.01), score_level=level)
    assert (found.tau_gen.value, found.tau_gen.status) == (0.0, "observed")


@pytest.mark.parametrize(
    ("psi_n", "psi_p", "missing"),
    [(8, 64, set()), (1, 64, {"rho_1"}), (8, 0.5, {"rho_1", "onset"}), (0.9, 64, {"rho_1", "onset"})],
)
def test_the_keys_that_may_be_missing_are_those_of_groups(psi_n, psi_p, missing):
    """docs/theory.md: at 0.9 what lies below the top group has merged with it."""
    names = {"argmin", "gap_10", "gap_50", "gap_90", "slowest", "rho_1", "onset"}
    assert set(timescales(FeatureModel(psi_n, psi_p, 0.1)).others) == names - missing
