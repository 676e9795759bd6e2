import mpmath as mp
import numpy as np
import pytest

from memhorizon.errors import InputError
from memhorizon.theory import FeatureModel, Spectrum, bulk_edges, coefficients, spectral_density, stieltjes
from memhorizon.theory import equations as equations_module
from memhorizon.theory.equations import Equations
from theory_reference import equivalent_matrices, paper_stieltjes

HALVES = Spectrum.atoms([0.5, 1.5])
MODELS = [
    FeatureModel(2, 4, 0.1),
    FeatureModel(8, 2, 0.1, "erf"),
    FeatureModel(4, 8, 0.01, "erf", HALVES),
    FeatureModel(1, 2, 0.01),  # hard edge
]


@pytest.mark.parametrize("model", MODELS)
def test_the_equations_of_the_paper_have_this_solution(model):
    """Five unknowns, hybrid Powell, continuation from Im z = 100: nothing in common but the model."""
    top = bulk_edges(model).intervals[-1, 1]
    z = np.array([0.02 + 0.02j, 0.3 + 0.05j, 0.7 * top + 0.1j, 2 * top + 0.5j])
    q, size = paper_stieltjes(model, z)
    assert np.max(size) < 1e-9
    # the paper's residuals are of order psi_p/q: size times the condition number, below 100 here
    np.testing.assert_allclose(stieltjes(model, z), q, rtol=1e-8)


@pytest.mark.parametrize("model", [MODELS[0], MODELS[2]])
def test_sampled_matrices_have_this_transform(model):
    """Traces at Im z = 0.3 fluctuate by O(1/p) and are biased by O(1/p): 4 standard errors and 2/p."""
    z, dim, seeds = np.array([0.1 + 0.3j, 1 + 0.3j, 4 + 1j]), 60, 6
    spectra = [np.linalg.eigvalsh(equivalent_matrices(model, dim, seed)[0]) for seed in range(seeds)]
    q = np.array([[np.mean(1 / (u - point)) for point in z] for u in spectra])
    error = np.abs(q.mean(axis=0) - stieltjes(model, z))
    spread = np.sqrt(np.var(q.real, axis=0, ddof=1) + np.var(q.imag, axis=0, ddof=1)) / np.sqrt(seeds)
    assert np.all(error < 4 * spread + 2 / (model.psi_p * dim))


@pytest.mark.parametrize("model", MODELS)
def test_first_terms_at_infinity(model):
    """-z q = 1 + mean/z + O(1/z^2), the mean eigenvalue being s2 + b^2 + v2 + alpha tr Sigma/d."""
    c, alpha = coefficients(model), (coefficients(model).a * model.decay) ** 2
    mean = c.s2 + c.b**2 + c.v2 + alpha * model.spectrum.variance
    z = 1e5j
    top = bulk_edges(model).intervals[-1, 1]
    second = (-z * stieltjes(model, [z])[0] - 1) * z
    assert abs(second - mean) < top**2 / abs(z) + 1e-10  # E u^2 <= top^2; rounding 1e-16 |z|


def test_lower_half_plane_is_the_mirror_image():
    z = np.array([0.3 + 0.2j, 1 - 0.1j])
    np.testing.assert_array_equal(stieltjes(MODELS[0], z.conj()), stieltjes(MODELS[0], z).conj())


def test_infinitely_many_samples_leave_a_shifted_marchenko_pastur_law():
    """psi_n -> inf, Sigma = I: U = s2 + v2 + (alpha + b^2) W W^T/d, a known quadratic; error O(1/psi_n)."""
    psi_n, psi_p = 1e7, 4.0
    model = FeatureModel(psi_n, psi_p, 0.1)
    c = coefficients(model)
    slope = c.a**2 * model.decay**2 + c.b**2
    z = np.array([1 + 0.5j, 3 + 0.2j])
    x = (z - c.s2 - c.v2) / slope
    for point, q in zip(x, stieltjes(model, z) * slope, strict=True):
        # q = 1/(1/(1 + psi_p q) - x) for W W^T/d of size p
        roots = np.roots([psi_p * point, point - 1 + psi_p, 1])
        assert np.min(np.abs(roots - q)) < 100 * psi_p / psi_n


def equations_in_40_digits(eq):
    """Equations (I) and (II) for mpmath."""
    n, p, b2, v2, *al = (mp.mpf(float(x)) for x in (eq.psi_n, eq.psi_p, eq.b2, eq.v2, *eq.al))
    weights = [mp.mpf(float(w)) for w in eq.weights]

    def of(w):
        def residual(X, kappa):
            D = [X + b2 + kappa * a for a in al]
            share = sum(u * a / d for u, a, d in zip(weights, al, D, strict=True))
            return [
                1 / kappa - 1 - v2 / (n * X) - share / n,
                v2 * kappa - (p - 1) * X - X**2 * sum(u / d for u, d in zip(weights, D, strict=True)) - w,
            ]

        return residual

    return of


HARD = [
    FeatureModel(1, 2, 0.01),  # hard edge
    FeatureModel(1.9999, 3, 0.001),  # nearly hard
    FeatureModel(150, 199, 0.001),
    FeatureModel(0.3, 190, 0.001, "erf", HALVES),
    FeatureModel(32, 2, 1.0),
    FeatureModel(8, 64, 3.0),  # bulks of relative width 1e-7 next to s2
]


@pytest.mark.parametrize("model", HARD)
def test_solution_in_40_digits_at_difficult_points(model):
    """Relative error of q: 1e-14 inside; at x widths from an edge the condition grows as x^-1/2."""
    mp.mp.dps = 40
    eq, support = Equations.of(model), bulk_edges(model)
    of = equations_in_40_digits(eq)
    for low, high in support.offsets:
        for x in (1e-6, 0.01, 0.5, 1 - 1e-6):
            w = low + (high - low) * x
            found = eq.solve(np.array([w]))
            X, _ = mp.findroot(of(mp.mpf(w)), (mp.mpc(found.X[0]), mp.mpc(found.kappa[0])), tol=1e-60)
            assert found.solved[0]
            assert float(abs(X - mp.mpc(found.X[0])) / abs(X)) < 1e-14 / np.sqrt(min(x, 1 - x))


def test_block_size_does_not_matter(monkeypatch):
    model = MODELS[2]
    points = np.linspace(0.01, 3, 500)
    whole = spectral_density(model, points)
    monkeypatch.setattr(equations_module, "_BLOCK", 64)
    parts = spectral_density(model, points)
    np.testing.assert_array_equal(whole.place, parts.place)
    # sums over atoms may run in another order: roundings times the condition near an edge
    np.testing.assert_allclose(parts.density, whole.density, rtol=1e-9, atol=1e-13)


def test_what_has_no_value_is_said():
    model = FeatureModel(2, 4, 0.1)
    s2 = coefficients(model).s2
    assert np.isinf(stieltjes(model, [s2])[0])
    with pytest.raises(InputError, match="z"):
        stieltjes(model, [np.nan])
    with pytest.raises(InputError, match="even"):
        stieltjes(FeatureModel(2, 4, 0.1, np.cos), [1j])
    assert stieltjes(model, []).shape == (0,)
