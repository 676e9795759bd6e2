"""The quadrature on the contour: its residual against the rule of every second node, built here in full."""

import numpy as np
import pytest

from memhorizon.results import Status
from memhorizon.theory import FeatureModel, loss_curves, timescales
from memhorizon.theory.contour import Contour, Point, pair_kernel, trace
from memhorizon.theory.dynamics import flow_filter, rate
from memhorizon.theory.equations import Equations
from memhorizon.theory.support import support_of


def with_mirror(upper):
    return np.concatenate([upper, upper.conj()])


def losses(equations, z, weight, point, f):
    """L_train - 1 and L_gen as plain sums over all nodes of a closed contour."""
    K1 = trace(equations, point)
    pairs = pair_kernel(equations, point, point)
    drop = -equations.b2 * (z * f**2 - 2 * f) @ (weight * K1)
    gap = equations.b2 * np.sum((f * weight) @ pairs * (f * weight), axis=1)
    return drop, gap


@pytest.mark.parametrize("model", [FeatureModel(0.3, 100, 1e-3), FeatureModel(4, 1000, 1e-4)])
def test_the_residual_is_the_change_from_half_of_the_nodes(model):
    """Every second node around the whole curve; the lower half is the mirror image, in reverse order."""
    equations = Equations.of(model)
    contour = Contour(equations, support_of(equations))
    tau = np.array([1.0, 1e2, 1e4, np.inf])
    f = flow_filter(contour.z, rate(model, tau))
    found = contour.losses(f)
    solved = equations.solve(contour.z - equations.s2)
    z, X, kappa = (with_mirror(upper) for upper in (contour.z, solved.X, solved.kappa))
    weight = with_mirror(contour.weight)  # dz/(2 pi i), conjugated and run through backwards
    f = np.concatenate([f, f.conj()], axis=1)
    count = len(contour.z)
    even = np.arange(count) % 2 == 0
    half = np.concatenate([even, ~even])
    every = losses(equations, z, weight, Point(X, kappa), f)
    second = losses(equations, z[half], 2 * weight[half], Point(X[half], kappa[half]), f[:, half])
    np.testing.assert_allclose(every[0].real, found.drop, rtol=1e-11)
    np.testing.assert_allclose(every[1].real, found.gap, rtol=1e-9, atol=1e-14)
    change = np.abs(second[0] - every[0]) + np.abs(second[1] - every[1])
    rounding = 1e-13 * np.maximum(1.0, found.gap)
    # absolute values of the parts of the change are added: at least the change, at most the parts one by one
    assert np.all(change <= found.residual + rounding)
    assert np.all(found.residual <= 4 * change + rounding)
    assert np.max(found.residual / rounding) > 0.1


def test_slopes_are_those_of_the_test_loss():
    """By central differences in log c: errors of h^2, and of rounding, 1e-12 or so, over h."""
    equations = Equations.of(FeatureModel(4, 64, 0.1))
    contour = Contour(equations, support_of(equations))
    c = rate(FeatureModel(4, 64, 0.1), np.array([0.3, 3.0, 30.0, 3e3]))
    h = 1e-4
    found = [contour.losses(flow_filter(contour.z, c * np.exp(step))) for step in (h, -h)]
    up, down = (losses.drop + losses.gap for losses in found)
    slopes = contour.slopes(flow_filter(contour.z, c), np.exp(-c[:, None] * contour.z))
    np.testing.assert_allclose(c * slopes, (up - down) / (2 * h), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("psi_p", "t"), [(1000.0, 1e-4), (500.0, 1e-5), (1e4, 1e-6)])
def test_curves_are_solved_where_their_residual_is_below_1e_7(psi_p, t):
    """Groups of U ever further apart: the residual is 2e-9, 4e-7 and 6e-4."""
    curves = loss_curves(FeatureModel(2, psi_p, t), [1e4, np.inf])
    assert (curves.status is Status.SOLVED) == bool(np.max(curves.residual) < 1e-7)
    found = timescales(FeatureModel(2, psi_p, t))
    assert (found.status is Status.SOLVED) == (found.residual < 1e-7)
