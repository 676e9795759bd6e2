"""What the recipes of the theory compute themselves, held against simulation, limits and brute force."""

import math

import numpy as np
import pytest
import torch

from memhorizon.recipes.theory.rows import first_bulk_time, first_crossing, log_slope
from memhorizon.recipes.theory_exponent.numbers import limit_minimum
from memhorizon.recipes.theory_mixture.numbers import fisher_information, mixture_matrices
from memhorizon.recipes.theory_noise_draws.numbers import row_of as noise_row
from memhorizon.recipes.theory_noise_draws.numbers import summarise as peaks
from memhorizon.recipes.theory_optimizers.numbers import (
    NOISES,
    exact_loss,
    exact_losses,
    grid,
    sampled_loss,
    trained_row,
    weights_along,
)
from memhorizon.recipes.theory_spectra.numbers import bins, distance
from memhorizon.recipes.theory_steps.numbers import row_of as steps_row
from memhorizon.recipes.theory_third_group.numbers import finite_row as groups_row
from memhorizon.theory import FeatureModel, bulk_edges, loss_curves
from memhorizon.theory.ensembles import Modes, descent_filter
from memhorizon.theory.features import finite_matrices

MODEL = FeatureModel(2.0, 4.0, 0.1)


@pytest.fixture(scope="module")
def matrices():
    return finite_matrices(MODEL, 6, 0)


@pytest.fixture(scope="module")
def weights(matrices):
    p, d = matrices.W.shape
    return 0.3 * np.random.default_rng(1).standard_normal((d, p))


def test_a_crossing_is_interpolated_in_log_tau():
    tau = np.array([1.0, 10.0, 100.0])
    assert first_crossing(tau, np.array([0.0, 1.0, 3.0]), 2.0) == pytest.approx(10 * 10**0.5)


@pytest.mark.parametrize("values", [[0.0, 0.5, 0.9], [2.0, 3.0, 4.0]])
def test_a_curve_that_stays_below_or_begins_above_has_no_crossing(values):
    assert math.isnan(first_crossing(np.array([1.0, 2.0, 3.0]), np.array(values), 1.0))


# --- training in torch ---


def test_the_sampled_loss_has_the_mean_of_the_exact_one(matrices, weights):
    """Over many draws, within 4 standard errors; the exact one leaves out the constant E|z|^2/d = 1."""
    loss = sampled_loss(matrices, torch.Generator().manual_seed(0))
    drawn = np.array([float(loss(torch.tensor(weights))) for _ in range(400)])
    error = drawn.std(ddof=1) / math.sqrt(len(drawn))
    exact = 1 + float(exact_loss(matrices)(torch.tensor(weights)))
    assert NOISES * error < exact  # the mean says something
    assert drawn.mean() == pytest.approx(exact, abs=4 * error)


def test_the_exact_loss_in_torch_is_the_one_that_is_recorded(matrices, weights):
    train, _ = exact_losses(matrices, weights)
    assert 1 + float(exact_loss(matrices)(torch.tensor(weights))) == pytest.approx(train, rel=1e-12)


def test_gradient_descent_in_torch_is_the_power_of_the_step(matrices):
    """k steps leave (1 - rate u)^k of a mode; rounding grows with the number of steps, 1e-16 each."""
    steps = grid(50)
    found = [exact_losses(matrices, A) for A in weights_along(matrices, "gd", exact_loss(matrices), steps)]
    modes = Modes.of(matrices)
    curves = modes.losses(8.0 * steps, [descent_filter(int(k), modes.rate(8.0)) for k in steps])
    assert np.array(found)[:, 0] == pytest.approx(curves.L_train, rel=1e-12)
    assert np.array(found)[:, 1] == pytest.approx(curves.L_test, rel=1e-12)


def test_training_begins_with_the_loss_of_a_network_that_is_zero():
    row = trained_row(1.0, "adam", "sampled", 0, 6, 20)
    assert row.step[0] == 0
    assert (row.L_train[0], row.L_test[0], row.L_gen[0]) == (1.0, 1.0, 0.0)
    assert row.tau is None


# --- mixture ---


def test_two_classes_at_one_place_are_one_gaussian():
    mixed = mixture_matrices(2.0, 5, 3, 0.0)
    one = finite_matrices(FeatureModel(2.0, 16.0, 0.1), 5, 3)
    for name in ("U", "V", "U_test", "V_test", "data", "points"):
        assert getattr(mixed, name) == pytest.approx(getattr(one, name), abs=1e-12)
    assert mixed.floor == pytest.approx(one.floor, rel=1e-9)


def test_the_fisher_information_lies_between_its_limits():
    """One Gaussian: d. Far apart: d again. In between: d - E[distance^2 sech^2], by Monte Carlo."""
    assert fisher_information(0.0, 7) == pytest.approx(7, rel=1e-9)
    assert fisher_information(30.0, 7) == pytest.approx(7, rel=1e-9)
    x = 1.2 + np.random.default_rng(0).standard_normal(200_000)
    lost = 1.2**2 / np.cosh(1.2 * x) ** 2
    assert fisher_information(1.2, 7) == pytest.approx(7 - lost.mean(), abs=4 * lost.std() / len(x) ** 0.5)


# --- the limit ---


def test_the_minimum_is_that_of_a_dense_grid():
    model = FeatureModel(4.0, 32.0, 0.01)
    value, time = limit_minimum(model)
    tau = time * np.exp(np.linspace(-0.05, 0.05, 401))
    error = loss_curves(model, tau).E_score
    assert value == pytest.approx(error.min(), rel=1e-7)
    # a step of the grid is 2.5e-4
    assert tau[error.argmin()] == pytest.approx(time, rel=1e-3)


def test_the_first_bulk_is_timed_at_its_lower_edge():
    """tau = psi_p/(2 Delta lambda), where the density begins: none just below, some just above."""
    from memhorizon.theory import spectral_density

    model = FeatureModel(4.0, 64.0, 0.1)
    time = first_bulk_time(model, merged=False)
    assert first_bulk_time(model, merged=True) == time
    edge = model.psi_p / (2 * model.delta_t * time)
    below, above = spectral_density(model, [0.99 * edge, 1.01 * edge]).density
    assert below == pytest.approx(0, abs=1e-9)
    assert above > 1e-6


def test_a_merged_first_bulk_counts_where_it_is_to():
    merged = FeatureModel(4.0, 8.0, 1.0)
    low = bulk_edges(merged).intervals[0, 0]
    assert first_bulk_time(merged, merged=True) == pytest.approx(8 / (2 * merged.delta_t * low))
    assert math.isnan(first_bulk_time(merged, merged=False))


def test_without_a_first_bulk_there_is_no_time():
    none = FeatureModel(1.0, 2.0, 0.1)  # as many samples as dimensions
    assert math.isnan(first_bulk_time(none, merged=True))


def test_eigenvalues_at_the_quantiles_of_the_limit_are_half_a_step_from_it():
    """m points in the middle of m equal steps of a continuous distribution lie 1/(2 m) from it."""
    from memhorizon.theory import spectral_density

    model = FeatureModel(8.0, 2.0, 0.1)  # p < n: no atom
    assert bulk_edges(model).atom_weight == 0
    low, high = bulk_edges(model).intervals[0, 0], bulk_edges(model).intervals[-1, 1]
    places = np.linspace(low, high, 20_001)
    m = 50
    quantiles = np.interp((np.arange(m) + 0.5) / m, spectral_density(model, places).cumulative, places)
    assert distance(model, quantiles, m) == pytest.approx(0.5 / m, rel=0.02)
    # without the lowest half the distance of the rest is the same
    assert distance(model, quantiles[m // 2 :], m) == pytest.approx(0.5 / m, rel=0.02)


def test_bins_are_logarithmic_and_hold_every_eigenvalue():
    values = np.array([1e-3, 0.2, 5.0])
    edges = bins(values)
    assert edges[0] < values[0]
    assert values[-1] < edges[-1]
    ratios = edges[1:] / edges[:-1]
    assert ratios == pytest.approx(ratios[0])
    assert ratios[0] == pytest.approx(10 ** (1 / 40), rel=0.01)
    assert np.histogram(values, edges)[0].sum() == 3


def test_a_slope_passes_over_times_that_are_missing():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    assert log_slope(x, np.array([1.0, 4.0, math.nan, 64.0])) == pytest.approx(2)
    assert math.isnan(log_slope(x, np.array([1.0, math.nan, math.nan, math.nan])))


# --- finite networks ---


def test_in_the_equivalent_the_groups_on_the_span_take_all_of_the_drop():
    row = groups_row(FeatureModel(4.0, 8.0, 0.01), 15, 0, "equivalent", False)
    assert row.retained == pytest.approx(1, abs=1e-8)
    assert row.shares.sum() == pytest.approx(1)
    assert row.L_gen_after[2] == pytest.approx(row.L_gen_inf, rel=1e-6)
    low, high = row.ranges.T
    assert (low[0] < low[1], low[1] < low[2]) == (True, True)
    assert np.all(low <= high)


def test_the_test_loss_peaks_where_there_are_as_many_features_as_noisy_points():
    row = noise_row(1, np.array([1.0, 4.0, 16.0]), 6, 3)
    assert peaks([row])["m=1"]["psi_p of the peak"] == 4.0


def test_a_small_step_follows_the_flow_to_first_order():
    """A mode keeps (1 - x)^k beside exp(-x k): apart by at most x/(2 e), so the loss by x/e of its fall."""
    modes = Modes.of(finite_matrices(MODEL, 6, 0))
    step = 0.02  # of the largest stable one, so that x <= 0.04 for every mode
    row = steps_row(modes, 6, step, 0.0, np.unique(np.geomspace(1, 300, 20).astype(int)))
    apart = np.abs(row.L_train - row.flow[0]).max()
    assert 0 < apart <= 2 * step / math.e * modes.drop.sum()
    assert row.E_score_best.descent == row.E_score.min()
    assert row.L_gen_inf == pytest.approx(modes.flow([np.inf]).L_gen[0])
