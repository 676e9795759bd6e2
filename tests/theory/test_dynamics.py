import numpy as np
import pytest

from memhorizon.errors import InputError
from memhorizon.results import Status
from memhorizon.theory import FeatureModel, Spectrum, bulk_edges, coefficients, loss_curves, simulate
from memhorizon.theory.contour import Point, limits, pair_kernel, trace
from memhorizon.theory.equations import Equations
from theory_reference import equivalent_matrices

HALVES = Spectrum.atoms([0.5, 1.5])
MODELS = [
    FeatureModel(2, 4, 0.1),
    FeatureModel(8, 2, 0.1, "erf", HALVES),
    FeatureModel(4, 8, 0.01, "erf", HALVES),
    FeatureModel(1, 2, 0.01),
    FeatureModel(0.3, 100, 0.001),
]


@pytest.mark.parametrize("model", MODELS)
def test_both_ends_of_training(model):
    """Nothing learned at tau = 0; tau = inf from the single point z = 0, off the contour."""
    c = loss_curves(model, [0.0, np.inf])
    lam, w = model.spectrum.eigenvalues, model.spectrum.weights
    start = np.sum(w / (np.exp(-2 * model.t) * lam + 1 - np.exp(-2 * model.t)))
    assert (c.L_train[0], c.L_test[0], c.L_gen[0]) == (1, 1, 0)
    assert c.E_score[0] == pytest.approx(start, rel=1e-14)
    L_train, L_gen = limits(Equations.of(model))
    assert c.L_train[1] == pytest.approx(L_train, abs=1e-13)
    assert c.L_gen[1] == pytest.approx(L_gen, rel=1e-12)
    assert c.status is Status.SOLVED
    assert np.max(c.residual) < 1e-8


@pytest.mark.parametrize("model", MODELS)
def test_train_loss_from_the_spectrum(model):
    """L_train = 1 - sum over modes of weight (1 - e^-2cu)/u, weights Im b^2 K1/pi on the real axis."""
    eq, tau = Equations.of(model), np.array([1.0, 30.0, 1e3, 1e5])
    c = 2 * model.delta_t * tau / model.psi_p
    theta = np.pi * (np.arange(4000) + 0.5) / 4000  # midpoint rule: geometric for this integrand
    drop = np.zeros(4)
    for low, high in bulk_edges(model).offsets:
        w = low + (high - low) * np.sin(theta / 2) ** 2
        X, kappa, *_ = eq.solve(w)
        weight = eq.b2 * (eq.weights @ (1 / (X + eq.b2 + kappa * eq.al[:, None]))).imag / np.pi
        weight *= np.sin(theta) * (high - low) / 2 * np.pi / 4000
        u = eq.s2 + w
        drop += -np.expm1(-2 * c[:, None] * u) @ (weight / u)
    np.testing.assert_allclose(loss_curves(model, tau).L_train, 1 - drop, rtol=0, atol=1e-9)


def test_isotropic_pair_kernel_by_the_resolvent_identity():
    """Sigma = I: M follows from K1 and kappa alone, without leaving out a column of W."""
    model = MODELS[0]
    eq = Equations.of(model)
    z = np.array([0.3 + 0.2j, 1.5 - 0.4j, -0.2 + 0.1j, 4 + 1j])
    upper = eq.solve(np.where(z.imag < 0, z.conj(), z) - eq.s2)
    X, kappa = (np.where(z.imag < 0, x.conj(), x) for x in (upper.X, upper.kappa))
    K1 = trace(eq, Point(X, kappa))
    pair = pair_kernel(eq, Point(X, kappa), Point(X, kappa))
    alpha = eq.al[0]
    for i in range(4):
        for j in range(4):
            if i == j:
                continue
            kk, gap = kappa[i] * kappa[j], z[i] - z[j]
            both, one = (z[i] * K1[i] - z[j] * K1[j]) / gap, (K1[i] - K1[j]) / gap
            data = (both - (kk * eq.v2 + eq.s2) * one) / (kk * alpha + eq.b2)
            assert pair[i, j] == pytest.approx((1 - kk) * (alpha * data + eq.v2 * one), rel=1e-11)


def test_pair_kernel_of_sampled_matrices():
    """tr W^T R (C - G G^T/n) R' W/d^2 at complex z; 4 standard errors, and 3/d for the bias."""
    model, dim, seeds = MODELS[2], 60, 6
    eq, c = Equations.of(model), coefficients(model)
    z = np.array([0.2 + 0.3j, 2 + 0.5j])
    found = eq.solve(z - eq.s2)
    point = Point(found.X, found.kappa)
    pair = pair_kernel(eq, point, point)
    values = []
    for seed in range(seeds):
        U, C, W = equivalent_matrices(model, dim, seed)
        middle = C - (U - c.b**2 * W @ W.T / dim - c.s2 * np.eye(len(U)))
        R = [np.linalg.solve(U - point * np.eye(len(U)), W) for point in z]
        values.append([[np.sum(R[i] * (middle @ R[j])) / dim**2 for j in range(2)] for i in range(2)])
    values = np.array(values)
    spread = np.sqrt((np.var(values.real, axis=0, ddof=1) + np.var(values.imag, axis=0, ddof=1)) / seeds)
    assert np.all(np.abs(values.mean(axis=0) - pair) < 4 * spread + 3 / dim * np.abs(pair))


@pytest.mark.parametrize("model", [MODELS[0], MODELS[1]])
@pytest.mark.parametrize("ridge", [0.0, 0.05])
def test_curves_of_sampled_matrices(model, ridge):
    """Exact flow with weight decay of equivalent matrices: 4 standard errors, and 3/d for the bias."""
    dim, seeds, tau = 50, 6, np.array([1.0, 20.0, 1e3, np.inf])
    rows = []
    for seed in range(seeds):
        U, C, W = equivalent_matrices(model, dim, seed)
        c = coefficients(model)
        test = C + c.b**2 * W @ W.T / dim + c.s2 * np.eye(len(U))
        u, E = np.linalg.eigh(U)
        V = c.b * W / np.sqrt(dim)
        rotated = E.T @ V
        decay = np.exp(-2 * model.delta_t * tau[:, None] / model.psi_p * (u + ridge))
        row = []
        for f in (1 - decay) / (u + ridge):
            B = E @ (f[:, None] * rotated)  # A = -sqrt(p/Delta) B^T
            row.append([1 + np.sum(B * (M @ B)) / dim - 2 * np.sum(B * V) / dim for M in (U, test)])
        rows.append(row)
    rows = np.array(rows)  # [seeds, tau, (train, test)]
    curves = loss_curves(model, tau, ridge=ridge)
    limit = np.stack([curves.L_train, curves.L_test], axis=1)
    spread = rows.std(axis=0, ddof=1) / np.sqrt(seeds)
    assert np.all(np.abs(rows.mean(axis=0) - limit) < 4 * spread + 3 / dim * np.abs(limit))


def test_ridge_by_the_closed_form_at_its_pole():
    """At tau = inf f = 1/(z + ridge), so that L_gen is the kernel at z = z' = -ridge alone."""
    model, ridge = MODELS[2], 0.02
    eq = Equations.of(model)
    found = eq.solve(np.array([-ridge - eq.s2]))
    point = Point(found.X, found.kappa)
    pair = pair_kernel(eq, point, point)
    assert loss_curves(model, [np.inf], ridge=ridge).L_gen[0] == pytest.approx(
        eq.b2 * pair[0, 0].real, rel=1e-11
    )


def test_no_ridge_is_a_small_ridge():
    curves = [loss_curves(MODELS[0], [10.0, np.inf], ridge=r).L_test for r in (0.0, 1e-9)]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-6)  # dL/dridge is of order L/s2, below 100 here


@pytest.mark.parametrize("model", MODELS)
def test_shapes_of_the_curves(model):
    """Gradient flow lowers the train loss; the score error cannot be negative."""
    tau = np.concatenate([[0], np.logspace(-2, 8, 200)])
    c = loss_curves(model, tau)
    assert np.max(np.diff(c.L_train)) < 1e-14
    assert np.min(c.E_score) > 0
    np.testing.assert_allclose(c.L_test, c.L_train + c.L_gen, rtol=1e-15)
    assert c.L_train[-1] > 0


def test_each_time_is_computed_alone():
    tau = np.logspace(0, 5, 7)
    together = loss_curves(MODELS[0], tau)
    alone = [loss_curves(MODELS[0], [t]).L_test[0] for t in tau]
    np.testing.assert_allclose(together.L_test, alone, rtol=1e-14)  # sums over nodes in another order


def test_an_atom_split_in_two_changes_nothing():
    one = FeatureModel(4, 16, 0.1, "erf", HALVES)
    two = FeatureModel(4, 16, 0.1, "erf", Spectrum.atoms([0.5, 1.5 - 1e-9, 1.5 + 1e-9], [2, 1, 1]))
    a, b = (loss_curves(m, [1.0, 100.0, np.inf]) for m in (one, two))
    np.testing.assert_allclose(a.L_test, b.L_test, rtol=1e-8)
    np.testing.assert_allclose(a.E_score, b.E_score, rtol=1e-7)


def test_generalisation_phase_in_closed_form():
    """E_score -> <exp(-4 Delta a^2 St tau)/St>, St = exp(-2t) lam + Delta, with corrections 1/psi_n.

    So the deviation falls by 4 for 4 times the size, up to the next order, 1/psi_n of it.
    """
    deviations = []
    for psi_n in (128, 512):
        model = FeatureModel(psi_n, 8 * psi_n, 0.1, "tanh", HALVES)
        c, lam, w = coefficients(model), model.spectrum.eigenvalues, model.spectrum.weights
        St = np.exp(-2 * model.t) * lam + model.delta_t
        tau = np.array([0.01, 0.1, 0.5]) / (model.delta_t * c.a**2)
        expected = np.exp(-4 * model.delta_t * c.a**2 * np.outer(tau, St)) @ (w / St)
        deviations.append(loss_curves(model, tau).E_score - expected)
    np.testing.assert_allclose(deviations[0] / deviations[1], 4, rtol=4 / 128)
    assert np.all(np.abs(deviations[1]) < 1 / 512)


TABLE = [  # docs/theory.md, "Timescales": t, psi_n, L_train(inf), L_gen(inf), E_score(inf), as printed
    (0.01, 4, 0.192, 34.7, 1.71e3),
    (0.01, 64, 0.921, 0.704, 32.6),
    (0.1, 16, 0.508, 1.23, 5.07),
    (1.0, 4, 0.129, 0.0142, 0.0093),
]


@pytest.mark.parametrize(("t", "psi_n", "L_train", "L_gen", "E_score"), TABLE)
def test_published_limits(t, psi_n, L_train, L_gen, E_score):
    c = loss_curves(FeatureModel(psi_n, 64, t), [np.inf])
    assert c.L_train[0] == pytest.approx(L_train, abs=6e-4)
    assert c.L_gen[0] == pytest.approx(L_gen, rel=5e-3)
    assert c.E_score[0] == pytest.approx(E_score, rel=6e-3)


def test_true_features_have_these_curves():
    """The network itself at d = 60: 4 standard errors, and 4/d for the bias, measured as -3.2/d of L_gen."""
    model, tau, dim = MODELS[0], np.array([10.0, 1e3, np.inf]), 60
    runs = [simulate(model, dim, seed, tau) for seed in range(4)]
    limit = loss_curves(model, tau)
    for name in ("L_train", "L_test"):
        values = np.array([getattr(run, name) for run in runs])
        spread = values.std(axis=0, ddof=1) / 2
        expected = getattr(limit, name)
        assert np.all(np.abs(values.mean(axis=0) - expected) < 4 * spread + 4 / dim * expected)


def test_score_error_needs_gaussian_data():
    spectrum = Spectrum.from_data(np.random.default_rng(0).normal(size=(200, 5)))
    c = loss_curves(FeatureModel(2, 4, 0.1, "tanh", spectrum), [1.0])
    assert np.isnan(c.E_score[0])
    assert c.status is Status.SOLVED
    assert "Gaussian" in c.note
    assert np.isfinite(c.L_test[0])


@pytest.mark.parametrize(
    ("tau", "ridge", "word"), [([-1.0], 0.0, "tau"), ([np.nan], 0.0, "tau"), ([1.0], -0.1, "ridge")]
)
def test_impossible_times_are_refused(tau, ridge, word):
    with pytest.raises(InputError, match=word):
        loss_curves(MODELS[0], tau, ridge=ridge)
