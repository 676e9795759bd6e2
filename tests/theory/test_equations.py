"""What counts as a solution of the equations, and their derivatives."""

import numpy as np
import pytest

from memhorizon.errors import InputError
from memhorizon.theory import FeatureModel, Spectrum
from memhorizon.theory.equations import Equations

EQUATIONS = Equations.of(FeatureModel(4, 16, 0.1, "erf", Spectrum.atoms([0.5, 1.5])))
PLACES = np.array([0.3 + 0.2j, 2.0 + 1.0j, 0.01 + 0.001j])


@pytest.mark.parametrize(("error", "solved"), [(1e-13, True), (1e-9, False), (1e-4, False)])
@pytest.mark.parametrize("which", ["X", "kappa"])
def test_a_point_off_the_solution_is_not_called_one(which, error, solved):
    """The equations are linear at this distance: the residual is the error times a number of order one."""
    found = EQUATIONS.solve(PLACES)
    X, kappa = found.X.copy(), found.kappa.copy()
    moved = {"X": X, "kappa": kappa}[which]
    moved *= 1 + error
    checked = EQUATIONS._checked(PLACES, X, kappa)
    assert np.all(checked.solved == solved)
    assert np.all(checked.residual < 100 * error)
    assert solved or np.all(checked.residual > 0.01 * error)


@pytest.mark.parametrize("activation", [np.abs, np.cos])
def test_an_even_activation_learns_nothing(activation):
    """Its moments a and b are those of an odd integrand, 0 but for rounding."""
    with pytest.raises(InputError, match="activation, spectrum: expected an activation with a linear part"):
        Equations.of(FeatureModel(4, 16, 0.1, activation))


def test_a_linear_part_that_is_small_is_learned():
    """|x| + eps x has a = eps, and the data come with (a exp(-t))^2."""
    equations = Equations.of(FeatureModel(4, 16, 0.1, lambda x: np.abs(x) + 1e-4 * x))
    assert equations.al[0] == pytest.approx(1e-8 * np.exp(-0.2), rel=1e-6)


def test_the_mirror_image_is_not_physical():
    found = EQUATIONS.solve(PLACES)
    assert np.all(found.solved)
    mirrored = EQUATIONS._checked(PLACES.conj(), found.X.conj(), found.kappa.conj())
    assert np.all(mirrored.residual < 1e-14)
    assert not np.any(mirrored.solved)


def test_derivatives_are_those_of_the_equations():
    """Complex steps at real points: no difference is taken, so that only rounding is left."""
    x, k, w, h = np.array([0.7]), np.array([0.4]), np.array([0.2]), 1e-30
    at = EQUATIONS.jacobian(x, k, w)
    by_x = EQUATIONS.jacobian(x + 1j * h, k.astype(complex), w)
    by_k = EQUATIONS.jacobian(x.astype(complex), k + 1j * h, w)
    np.testing.assert_allclose([at.F_X, at.G_X], [by_x.F.imag / h, by_x.G.imag / h], rtol=1e-14)
    np.testing.assert_allclose([at.F_k, at.G_k], [by_k.F.imag / h, by_k.G.imag / h], rtol=1e-14)


def test_the_slope_is_that_of_the_solution():
    """In the gap above the spectrum, by a central difference: errors of h^2 and of rounding over h."""
    w = np.array([2 * EQUATIONS.top])
    h = 1e-5 * w
    up, down = EQUATIONS.solve(w + h).X.real, EQUATIONS.solve(w - h).X.real
    found = EQUATIONS.solve(w)
    slope = EQUATIONS.slope(found.X.real, found.kappa.real)
    np.testing.assert_allclose(slope, (up - down) / (2 * h), rtol=1e-8)
    assert slope[0] < 0
