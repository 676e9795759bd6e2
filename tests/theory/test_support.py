import mpmath as mp
import numpy as np
import pytest

from memhorizon.results import Status
from memhorizon.theory import FeatureModel, Spectrum, bulk_edges, coefficients, spectral_density
from memhorizon.theory.curve import Curve
from memhorizon.theory.density import density_at
from memhorizon.theory.equations import Equations

HALVES = Spectrum.atoms([0.5, 1.5])


@pytest.mark.parametrize(
    ("psi_n", "psi_p", "t", "labels", "counts"),
    [
        (8, 64, 0.01, ("sub_bulk", "rho_1", "rho_2"), (1, 7, 1)),
        (2, 4, 0.1, ("sub_bulk+rho_1", "rho_2"), (2, 1)),
        (8, 2, 0.1, ("rho_1", "rho_2"), (1, 1)),
        (1, 2, 0.01, ("sub_bulk", "rho_2"), (1, 1)),
        (0.25, 8, 0.01, ("sub_bulk", "unsampled", "rho_2"), (0.25, 0.75, 0.25)),
        (0.34, 67, 0.01, ("sub_bulk", "unsampled", "rho_2"), (0.34, 0.66, 0.34)),
        (32, 2, 1.0, ("rho_1", "rho_2"), (1, 1)),
        (4, 4.5, 1.0, ("sub_bulk+rho_1", "rho_2"), (3.5, 1)),
        (3, 0.5, 0.1, ("rho_2",), (0.5,)),
    ],
)
def test_groups_and_masses(psi_n, psi_p, t, labels, counts):
    """Rank counting: n + d eigenvalues above s2, d of them in the population group, d in the sub-bulk."""
    s = bulk_edges(FeatureModel(psi_n, psi_p, t))
    assert s.labels == labels
    np.testing.assert_allclose(s.masses * psi_p, counts, rtol=1e-13)
    assert s.atom_weight == pytest.approx(max(0, 1 - (1 + psi_n) / psi_p), abs=1e-15)
    assert s.atom_location == coefficients(FeatureModel(psi_n, psi_p, t)).s2
    assert s.residual < 1e-9  # by integration; the masses come from signs
    assert s.status is Status.SOLVED


def test_each_data_eigenvalue_can_make_its_own_sub_bulk():
    s = bulk_edges(FeatureModel(20, 64, 0.01, "erf", Spectrum.atoms([0.1, 0.5, 1.5])))
    assert s.labels == ("sub_bulk",) * 3 + ("rho_1",) + ("rho_2",) * 3
    np.testing.assert_allclose(s.masses * 64 * 3, [1, 1, 1, 57, 1, 1, 1], rtol=1e-13)


@pytest.mark.parametrize("model", [
    FeatureModel(2, 4, 0.1), FeatureModel(8, 2, 0.1, "erf", HALVES), FeatureModel(6, 40, 0.01, "erf", HALVES),
    FeatureModel(8, 64, 3.0),
])  # fmt: skip
def test_first_moment(model):
    """Mean of U - s2 is b^2 + v2 + alpha tr Sigma/d; trapezoid rule in theta, geometric here."""
    eq, s = Equations.of(model), bulk_edges(model)
    theta = np.pi * np.arange(1, 1200) / 1200
    total = 0.0
    for low, high in s.offsets:
        w = low + (high - low) * np.sin(theta / 2) ** 2
        total += np.sum(w * density_at(eq, w).density * np.sin(theta)) * (high - low) / 2 * np.pi / 1200
    assert total == pytest.approx(eq.b2 + eq.v2 + eq.weights @ eq.al, rel=1e-9)


@pytest.mark.parametrize(("psi_n", "psi_p", "t"), [(2, 4, 0.1), (8, 64, 0.01), (8, 2, 0.1), (0.34, 67, 0.01)])
def test_edges_are_double_roots_of_the_quintic(psi_n, psi_p, t):
    """Sigma = I: eliminating kappa leaves a polynomial of degree five in X; at an edge two of its roots meet.

    Roots in 60 digits; an error e of an edge separates them by some e^(1/2): 1e-7 of |X| tests 1e-14 of it.
    """
    mp.mp.dps = 60
    eq, s = Equations.of(FeatureModel(psi_n, psi_p, t)), bulk_edges(FeatureModel(psi_n, psi_p, t))
    n, p, b2, v2, al = (mp.mpf(float(x)) for x in (eq.psi_n, eq.psi_p, eq.b2, eq.v2, eq.al[0]))

    def closest(w):
        # kappa = n X/(n X + v2 + X al/D) and kappa = (D - Y)/al: quadratics in D at given X, resultant in X
        def resultant(X):
            Y, c = X + b2, v2 / n
            first = [X + c, -(Y * (X + c) + al * X * (1 - 1 / n)), -al * X * Y / n]
            second = [v2 / al, -(v2 / al * Y + w + (p - 1) * X), -(X**2)]
            (a, b, c_), (d, e, f) = first, second
            return (a * f - c_ * d) ** 2 - (a * e - b * d) * (b * f - c_ * e)

        points = [mp.expjpi(mp.mpf(2 * k) / 7) for k in range(7)]  # degree 6, with a factor X: interpolate
        values = [resultant(x) for x in points]
        coefficient = [sum(v * x ** (-j) for v, x in zip(values, points, strict=True)) / 7 for j in range(7)]
        roots = mp.polyroots([mp.re(c) for c in coefficient[:0:-1]], maxsteps=500, extraprec=400)
        return min(abs(x - y) / max(abs(x), abs(y)) for i, x in enumerate(roots) for y in roots[:i])

    for low, high in s.offsets:
        assert closest(mp.mpf(low)) < 1e-7
        assert closest(mp.mpf(high)) < 1e-7
        assert closest(mp.mpf(0.5 * (low + high))) > 1e-3


@pytest.mark.parametrize("model", [FeatureModel(2, 4, 0.1), FeatureModel(20, 64, 0.01, "erf", HALVES)])
def test_density_lives_between_the_edges(model):
    for low, high in bulk_edges(model).intervals:
        step = 1e-9 * np.array([low, high])
        inside = spectral_density(model, [low + step[0], high - step[1]])
        outside = spectral_density(model, [low - step[0], high + step[1]])
        assert list(inside.place) == ["inside", "inside"]
        assert list(outside.place) == ["outside", "outside"]


def test_an_atom_split_in_two_changes_nothing():
    """Two atoms 1e-9 apart are one: the edges move by that much, to first order."""
    one = bulk_edges(FeatureModel(4, 16, 0.1, "erf", Spectrum.atoms([0.5, 1.5])))
    two = bulk_edges(
        FeatureModel(4, 16, 0.1, "erf", Spectrum.atoms([0.5, 1.5 - 1e-9, 1.5 + 1e-9], [2, 1, 1]))
    )
    np.testing.assert_allclose(two.offsets, one.offsets, rtol=1e-8)
    np.testing.assert_allclose(two.masses, one.masses, rtol=0, atol=1e-12)


def test_zero_eigenvalues_are_data_that_do_not_vary():
    """A weight on lambda = 0 is the limit of small eigenvalues."""
    zero, small = (
        bulk_edges(FeatureModel(4, 16, 0.1, "tanh", Spectrum.atoms([low, 2.0]))) for low in (0.0, 1e-9)
    )
    assert zero.status is Status.SOLVED
    assert zero.labels == small.labels
    np.testing.assert_allclose(zero.offsets, small.offsets, rtol=1e-6)
    np.testing.assert_allclose(zero.masses, small.masses, rtol=0, atol=1e-12)


def test_large_psi_leaves_the_edges_of_the_paper():
    """rho_1 -> s2 + v2 (1 -+ sqrt r)^2 as 1/psi; sub-bulk -> center and rho_2 -> its limit as psi^-1/2.

    From psi_n = 256 to 1024 the deviations fall by 4 and by 2, up to the next order in psi^-1/2 = 1/16.
    """
    r, deviations = 8, []
    for psi_n in (256, 1024):
        model = FeatureModel(psi_n, r * psi_n, 0.01)
        c, s = coefficients(model), bulk_edges(model)
        assert s.labels == ("sub_bulk", "rho_1", "rho_2")
        alpha, signs = (c.a * model.decay) ** 2, np.array([-1, 1])
        first = c.s2 + c.v2 * (1 + signs * np.sqrt(r)) ** 2
        center = c.s2 + c.v2 * c.b**2 * (r / (alpha + c.b**2) - 1 / alpha)
        top = c.s2 + c.v2 + (alpha + c.b**2) * (1 + signs * np.sqrt(r * psi_n)) ** 2
        middle = np.mean(s.intervals[0]) / center
        deviations.append(
            [*(s.intervals[1] / first), middle, *(s.intervals[0] / center), *(s.intervals[2] / top)]
        )
    ratio = (np.array(deviations[0]) - 1) / (np.array(deviations[1]) - 1)
    np.testing.assert_allclose(ratio, [4, 4, 4, 2, 2, 2, 2], rtol=1 / 16)


@pytest.mark.parametrize(
    ("psi_n", "psi_p", "t", "name", "lam", "weight"),
    [
        (
            0.355016282620,
            27.372917204795,
            0.02361987440,
            "erf",
            [0.1327630806574, 0.33879916088409],
            0.474346800,
        ),
        (
            0.304731183088,
            1.3177784949184,
            0.01691947276,
            "tanh",
            [0.5528585103966, 1.8116655370051],
            0.502154574,
        ),
        (
            0.409524606243,
            41.453624286383,
            0.08099337896,
            "tanh",
            [0.0563373309284, 1.6513335960976],
            0.147109121,
        ),
    ],
)
def test_no_edge_is_missed(psi_n, psi_p, t, name, lam, weight):
    """Random models that once failed: edges next to a pole of rho, and far above a bound that was too low."""
    s = bulk_edges(FeatureModel(psi_n, psi_p, t, name, Spectrum.atoms(lam, [weight, 1 - weight])))
    assert s.residual < 1e-9


def test_the_bound_of_the_spectrum_is_one():
    """Norms of the factors: exact for one factor, too large for sums and products, by less than 10 here."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        psi_n, psi_p = np.exp(rng.uniform(np.log(0.3), np.log(200), 2))
        model = FeatureModel(
            psi_n, psi_p, np.exp(rng.uniform(-6, 1)), "sin", Spectrum.isotropic(rng.uniform(0.1, 5))
        )
        assert 0.1 < bulk_edges(model).intervals[-1, 1] / Equations.of(model).top <= 1


@pytest.mark.parametrize("gap", [0.0, 1e-12, -1e-12, 1e-8, -1e-8])
def test_nearly_hard_edges_are_resolved(gap):
    s = bulk_edges(FeatureModel(0.9, 1.9 * (1 + gap), 0.08, "sin", Spectrum.atoms([1.6, 2.1], [0.7, 0.3])))
    assert s.residual < 1e-9
    assert s.masses.sum() + s.atom_weight == pytest.approx(1, abs=1e-14)


def test_hard_edge_and_its_neighbours():
    """The lowest edge closes on s2 as the square of psi_p - 1 - psi_n."""
    edges = [bulk_edges(FeatureModel(2, 3 + gap, 0.01)).offsets[0, 0] for gap in (0.0, 1e-3, -1e-3, 1e-2)]
    assert edges[0] == 0
    assert edges[2] == pytest.approx(edges[1], rel=0.01)  # the next term is odd in the gap, relative size gap
    assert edges[3] / edges[1] == pytest.approx(100, rel=0.05)
    assert bulk_edges(FeatureModel(2, 3, 0.01)).atom_weight == 0


def curvature(model):
    """K of w = -(psi_p - 1 - psi_n) X - K X^2, which the equations become near X = 0.

    There kappa = psi_n X/v2 - (psi_n^2 + psi_n <al>/b2) X^2/v2^2 by (I), and (II) has X^2 <1/D> = X^2/b2.
    """
    eq = Equations.of(model)
    return eq.psi_n**2 / eq.v2 + eq.psi_n * (eq.weights @ eq.al) / (eq.v2 * eq.b2) + 1 / eq.b2


@pytest.mark.parametrize("gap", [1e-2, 1e-6, 1.1e-9, -1.1e-9, -1e-6])
@pytest.mark.parametrize(
    ("psi_n", "name", "spectrum"), [(2, "tanh", Spectrum.isotropic()), (0.5, "erf", HALVES)]
)
def test_an_edge_next_to_the_hard_one_has_its_closed_form(psi_n, name, spectrum, gap):
    """The parabola above is stationary at w = (psi_p - 1 - psi_n)^2/(4 K), down to 1e-20 here.

    Its next term is of relative order gap; the rounding of psi_p - 1 - psi_n, 2e-16/gap, enters squared.
    """
    model = FeatureModel(psi_n, (1 + psi_n) / (1 - gap), 0.05, name, spectrum)
    expected = (model.psi_p - 1 - model.psi_n) ** 2 / (4 * curvature(model))
    s = bulk_edges(model)
    assert s.offsets[0, 0] == pytest.approx(expected, rel=4 * abs(gap) + 1e-15 / abs(gap))
    assert s.status is Status.SOLVED


@pytest.mark.parametrize("gap", [0.0, 0.9e-9, -0.9e-9])
def test_an_edge_that_rounding_cannot_tell_from_s2_is_hard(gap):
    """Within 1e-9 of psi_p = 1 + psi_n the lowest edge is s2 itself; the mass is off by half of the gap."""
    model = FeatureModel(2, 3 / (1 - gap), 0.05)
    s = bulk_edges(model)
    assert s.offsets[0, 0] == 0
    assert s.residual < 0.5 * abs(gap) + 1e-11
    assert s.status is Status.SOLVED
    # X = -i sqrt(w/K) and rho = Im q/pi: rho sqrt(w) = sqrt(K)/(pi psi_p), up to X/b2 and psi_n X/v2
    eq = Equations.of(model)
    w = 1e-10
    expected = np.sqrt(curvature(model)) / (np.pi * model.psi_p)
    next_term = np.sqrt(w / curvature(model)) * max(1 / eq.b2, eq.psi_n / eq.v2)
    found = density_at(eq, np.array([w]))
    assert found.density[0] * np.sqrt(w) == pytest.approx(expected, rel=3 * next_term)
    assert next_term < 1e-3


def test_a_narrow_group_at_a_hard_edge_is_kept():
    """At t = 5.5 the lower group is 1e-16 of the spectrum wide (v2 falls as exp(-6t)) and holds 3 of 4."""
    model = FeatureModel(3, 4, 5.5)
    s = bulk_edges(model)
    assert s.offsets[0, 1] < 2e-16 * s.offsets[-1, 1]
    np.testing.assert_allclose(s.masses, [0.75, 0.25], rtol=1e-12)
    assert s.status is Status.SOLVED


def test_a_continuous_spectrum_has_few_intervals():
    """Gauss nodes stand for a density: 64 of them must not show up as 64 sub-bulks at these sizes."""
    s = bulk_edges(FeatureModel(2, 4, 0.1, "tanh", Spectrum.marchenko_pastur(0.5)))
    fewer = bulk_edges(FeatureModel(2, 4, 0.1, "tanh", Spectrum.marchenko_pastur(0.5, nodes=32)))
    assert s.labels == ("sub_bulk+rho_1", "rho_2")
    np.testing.assert_allclose(s.intervals, fewer.intervals, rtol=1e-6)  # geometric in the number of nodes


class Everywhere(Curve):
    """Looks for stationary points between all poles, as if a gap could be anywhere."""

    def _stable(self):
        cells = np.arange(1, len(self.al))
        return cells, np.full(len(cells), -44.0), np.full(len(cells), 44.0)


def random_model(generator):
    """Of 2 to 30 eigenvalues that are near each other or decades apart, some of them rare."""
    k = int(generator.integers(2, 30))
    eigenvalues = np.exp(generator.normal(size=k) * generator.choice([0.1, 1, 3]))
    weights = generator.random(k) + 10.0 ** -generator.integers(1, 12)
    psi = np.exp(generator.uniform(-3, 7, size=2))
    return FeatureModel(
        *psi, generator.choice([0.01, 0.1, 1.0]), spectrum=Spectrum.atoms(eigenvalues, weights)
    )


@pytest.mark.parametrize("seed", range(12))
def test_no_gap_is_where_none_is_looked_for(seed, monkeypatch):
    model = random_model(np.random.default_rng(seed))
    found = bulk_edges(model)
    monkeypatch.setattr("memhorizon.theory.support.Curve", Everywhere)
    everywhere = bulk_edges(model)
    np.testing.assert_allclose(found.offsets, everywhere.offsets, rtol=1e-11, atol=0)
    np.testing.assert_allclose(found.masses, everywhere.masses, rtol=1e-11, atol=0)


def test_a_thousand_eigenvalues_are_those_of_their_density():
    """Equal steps from 1 to 2, which make no gaps: the sum of the midpoint rule, off by its step squared."""
    k = 1000
    many = bulk_edges(FeatureModel(8, 64, 0.01, spectrum=Spectrum.atoms(1 + (np.arange(k) + 0.5) / k)))
    nodes, weights = np.polynomial.legendre.leggauss(24)
    smooth = bulk_edges(FeatureModel(8, 64, 0.01, spectrum=Spectrum.atoms(1.5 + nodes / 2, weights)))
    assert many.labels == smooth.labels == ("sub_bulk", "rho_1", "rho_2")
    np.testing.assert_allclose(many.intervals, smooth.intervals, rtol=k**-2, atol=0)
    np.testing.assert_allclose(many.masses, smooth.masses, rtol=1e-11)
