"""Closed forms of the third group against the exact limit: they must be approached as 1/psi."""

import numpy as np
import pytest

from memhorizon.errors import InputError
from memhorizon.theory import FeatureModel, Spectrum, bulk_edges, loss_curves, spectral_density
from memhorizon.theory.ensembles import Modes
from memhorizon.theory.features import finite_matrices
from memhorizon.theory.third_group import _kappa_at_zero, early_overfitting, group_drops, third_group

CASES = [
    (8.0, 0.01, "tanh", Spectrum.isotropic()),
    (4.0, 0.1, "erf", Spectrum.isotropic(2.0)),
    (8.0, 0.1, "tanh", Spectrum.atoms([0.5, 1.5], [0.3, 0.7])),
]


def relative_errors(psi_n, r, t, activation, spectrum):
    """Exact limit at (psi_n, r psi_n) over its closed forms, minus one; centers fall with lambda."""
    model = FeatureModel(psi_n, r * psi_n, t, activation, spectrum)
    closed, support, groups = third_group(model), bulk_edges(model), group_drops(model)
    k = len(closed.centers)
    assert support.labels[: k + 1] == ("sub_bulk",) * k + ("rho_1",)
    assert groups.residual < 1e-12
    low = support.intervals[:k][::-1]
    pairs = [
        (low.mean(axis=1), closed.centers),
        ((low[:, 1] - low[:, 0]) / 2, closed.half_widths),
        (groups.drops[:k][::-1], closed.train_drop),
        (support.intervals[k], np.array(closed.first_bulk)),
        (groups.drops.sum(), closed.total_drop),
        (groups.drops[k + 1 :].sum(), closed.second_drop),
        (loss_curves(model, [np.inf]).L_gen[0], closed.total_gap),
    ]
    np.testing.assert_allclose(support.masses[:k][::-1], closed.masses, rtol=1e-9)  # no correction here
    return np.concatenate([np.atleast_1d(np.asarray(a) / b - 1) for a, b in pairs])


@pytest.mark.parametrize("case", CASES)
def test_closed_forms_are_the_leading_order(case):
    coarse, fine = (relative_errors(psi_n, *case) for psi_n in (512.0, 2048.0))
    # four times larger psi, four times smaller error: the next order is 1/psi
    np.testing.assert_allclose(coarse / fine, 4, rtol=0.2)
    assert np.max(np.abs(fine)) < 0.01


def test_density_is_a_semicircle():
    """Second moment of a semicircle about its center: a quarter of the squared half-width."""
    model = FeatureModel(2048.0, 16384.0, 0.01)
    closed, (low, high) = third_group(model), bulk_edges(model).intervals[0]
    x = np.linspace(low, high, 4001)[1:-1]
    density = spectral_density(model, x).density
    mean = np.sum(x * density) / np.sum(density)
    variance = np.sum((x - mean) ** 2 * density) / np.sum(density)
    assert variance == pytest.approx(closed.half_widths[0] ** 2 / 4, rel=20 / 2048)


@pytest.mark.parametrize("spectrum", [Spectrum.isotropic(), Spectrum.atoms([0.5, 1.5])], ids=["one", "two"])
def test_overfitting_begins_as_the_closed_form_says(spectrum):
    """Relative corrections are of order e, 1/r and 1/psi_n, here 2e-4 each, times s or 1/s^2, at most 16."""
    model = FeatureModel(4000.0, 1.6e7, 1e-4, "tanh", spectrum)
    tau = third_group(model).onset * np.array([0.5, 1.0, 2.0, 4.0])
    exact, closed = loss_curves(model, tau), early_overfitting(model, tau)
    np.testing.assert_allclose(exact.L_gen, closed.L_gen, rtol=0.004)
    np.testing.assert_allclose(exact.E_score, closed.E_score, rtol=0.004)
    drop = third_group(model).second_drop
    np.testing.assert_allclose(1 - drop - exact.L_train, 1 - drop - closed.L_train, rtol=0.004)


def test_separation_is_where_the_group_leaves_the_first_bulk():
    """r = (1 + e)^2, e = exp(2t) - 1: beyond it there is an interval of mass 1/psi_p below the first bulk."""
    t = 0.1
    e = np.expm1(2 * t)
    for factor, separated in ((0.8, False), (1.3, True)):
        # the gap closes as the square of the distance while the width falls as psi^(-1/2)
        model = FeatureModel(4000.0, 4000.0 * factor * (1 + e) ** 2, t)
        assert third_group(model).separated[0] == separated
        assert np.isnan(third_group(model).centers[0]) != separated
        assert (bulk_edges(model).labels[0] == "sub_bulk") == separated


def test_shares_in_the_limit_are_those_of_the_network():
    """One tanh network of dimension 60 with rows of equal length, counted on the span of points and weights.

    The share of the third group is 1/d below the limit (measured at d = 20, 30), and the scatter of one seed
    is 0.005; 1/60 + 3 * 0.005 is 0.032.
    """
    model, d = FeatureModel(4, 8, 0.01), 60
    modes = Modes.of(finite_matrices(model, d, 0, equal_norms=True).on_span())
    shares = [modes.drop[:d].sum(), modes.drop[d : 4 * d].sum(), modes.drop[4 * d :].sum()]
    limit = group_drops(model).drops
    np.testing.assert_allclose(shares / np.sum(shares), limit / limit.sum(), rtol=0, atol=0.032)
    assert shares[0] / np.sum(shares) > 0.8  # the third group carries the drop, not the other two


def test_a_direction_without_data_has_no_third_group():
    closed = third_group(FeatureModel(64, 512, 0.01, spectrum=Spectrum.atoms([0.0, 2.0])))
    assert closed.separated.tolist() == [False, True]
    assert np.isnan(closed.centers[0])
    assert np.isfinite([closed.total_drop, closed.total_gap, closed.second_drop]).all()
    with pytest.raises(InputError, match="spectrum"):
        early_overfitting(FeatureModel(64, 512, 0.01, spectrum=Spectrum.atoms([0.0, 2.0])), [1.0])


def test_more_samples_than_features_are_refused():
    with pytest.raises(InputError, match="psi_p"):
        third_group(FeatureModel(8, 4, 0.1))


@pytest.mark.parametrize(("v2", "s2", "r"), [(0.03, 0.002, 8.0), (0.03, 0.002, 1.05), (1e-3, 2.0, 1.5)])
def test_kappa_at_zero_is_the_positive_root(v2, s2, r):
    """The second and third have v2 (r - 1) < s2: the root is then a sum without cancellation."""
    (x,) = (root for root in np.roots([1.0, v2 * (r - 1) - s2, -s2 * v2 * r]).real if root > 0)
    assert _kappa_at_zero(v2, s2, r) == pytest.approx(x / (x + v2 * r), rel=1e-10)
