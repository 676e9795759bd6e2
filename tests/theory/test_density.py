import numpy as np
import pytest

from memhorizon.errors import InputError
from memhorizon.theory import FeatureModel, Spectrum, bulk_edges, coefficients, spectral_density, stieltjes
from memhorizon.theory.density import density_at
from memhorizon.theory.equations import Equations
from theory_reference import equivalent_matrices

MODELS = [
    FeatureModel(2, 4, 0.1),
    FeatureModel(8, 2, 0.1, "erf"),
    FeatureModel(4, 16, 0.1, "erf", Spectrum.atoms([0.5, 1.5])),
    FeatureModel(1, 2, 0.01),  # hard edge: an inverse square root at s2
    FeatureModel(0.25, 8, 0.01),
]


@pytest.mark.parametrize("model", MODELS)
def test_density_integrates_to_one_with_the_atom(model):
    """Midpoint rule in theta, lambda = a + (b - a) sin^2(theta/2): periodic and analytic, so geometric."""
    support, theta = bulk_edges(model), np.pi * (np.arange(800) + 0.5) / 800
    total = support.atom_weight
    for low, high in support.intervals:
        place = low + (high - low) * np.sin(theta / 2) ** 2
        total += (
            np.sum(spectral_density(model, place).density * np.sin(theta)) * (high - low) / 2 * np.pi / 800
        )
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_cumulative_is_the_integral(model):
    """The closed form of the log-determinant against central differences: error h^2 f''/6, h = 1e-4."""
    support = bulk_edges(model)
    for low, high in support.intervals:
        place = low + (high - low) * np.linspace(0.2, 0.8, 7)
        h = 1e-4 * (high - low)
        up, down = (spectral_density(model, place + step).cumulative for step in (h, -h))
        np.testing.assert_allclose((up - down) / (2 * h), spectral_density(model, place).density, rtol=1e-6)
    ends = spectral_density(model, [0.5 * support.lowest, 2 * support.intervals[-1, 1]])
    np.testing.assert_allclose(ends.cumulative, [0, 1], rtol=0, atol=1e-14)
    assert list(ends.place) == ["outside", "outside"]


def test_cumulative_counts_the_eigenvalues_of_a_matrix():
    model, dim = MODELS[0], 100
    u = np.linalg.eigvalsh(equivalent_matrices(model, dim, 0)[0])
    support = bulk_edges(model)
    below = np.mean(u < support.atom_location * (1 + 1e-9))
    assert below == pytest.approx(support.atom_weight, abs=1e-12)  # exactly p - n - d zeros of U - s2
    place = np.concatenate([np.linspace(low, high, 30) for low, high in support.intervals])
    gap = np.abs(spectral_density(model, place).cumulative - np.mean(u[:, None] <= place, axis=0))
    assert np.max(gap) < 5 / len(u)  # rigid: measured: 2.5 to 4 eigenvalues at every size


def test_density_is_the_imaginary_part():
    model = MODELS[2]
    place = np.linspace(0.03, 5, 50)
    np.testing.assert_allclose(
        spectral_density(model, place).density, stieltjes(model, place).imag / np.pi, rtol=1e-14, atol=0
    )


def test_special_places_have_a_name():
    atom, hard, soft = MODELS[0], MODELS[3], MODELS[1]
    at = spectral_density(atom, [coefficients(atom).s2])
    assert at.place[0] == "atom"
    assert at.density[0] == 0
    assert at.cumulative[0] == pytest.approx(0.25)
    assert np.isinf(spectral_density(hard, [coefficients(hard).s2]).density[0])
    assert spectral_density(soft, [coefficients(soft).s2]).place[0] == "outside"
    assert spectral_density(soft, [-1.0, 0.0]).density.tolist() == [0, 0]
    with pytest.raises(InputError, match="eigenvalues"):
        spectral_density(atom, [np.inf])


def test_hard_edge_is_an_inverse_square_root():
    """rho ~ (lam - s2)^-1/2, relative corrections of order (lam - s2)^1/2."""
    model = MODELS[3]
    s2 = coefficients(model).s2
    w = np.array([1e-9, 1e-8, 1e-7])
    product = spectral_density(model, s2 + w).density * np.sqrt(w)
    np.testing.assert_allclose(product, product[0], rtol=1e-2)


@pytest.mark.parametrize(
    "model",
    [
        FeatureModel(
            0.9928475715656372,
            1.2112375360535186,
            0.0036180311045831727,
            "relu",
            Spectrum.atoms(
                [0.05415807382810271, 0.06595762176702075, 1.4610375499372927],
                [0.18225666755556855, 0.5914625785879346, 0.2262807538564968],
            ),
        ),
        FeatureModel(
            1.6324142147089764,
            2.7414483391894473,
            0.04555199213060959,
            "tanh",
            Spectrum.atoms([1.6081226123505352]),
        ),
        FeatureModel(
            5.717637474908729,
            74.33142474839222,
            0.004784646870891185,
            "tanh",
            Spectrum.atoms(
                [0.21704222896334205, 0.4928768466707492, 2.3937409124043225],
                [0.5361476388984021, 0.4363646488635055, 0.027487712238092356],
            ),
        ),
    ],
)
def test_density_is_known_within_rounding_of_an_edge(model):
    """Found by benchmarks/theory_robustness.py: on an edge the two mirror solutions and the real one meet.

    At distance h from an edge the density is at most of order sqrt(h) (no hard edge here): below the edge's
    rounding it is between 0 and a few times the values at 1e-8 of the interval's length.
    """
    equations, support = Equations.of(model), bulk_edges(model)
    for low, high in support.offsets:
        reach = (high - low) * np.concatenate([[0.0], np.logspace(-17, -8, 400)])
        for place in (low + reach, high - reach):
            found = density_at(equations, place)
            assert np.all(found.place != "failed")
            assert np.all((found.density >= 0) & (found.density <= 1.01 * found.density[-1]))
