import types

import numpy as np
import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.theory import Spectrum


def test_atoms_are_sorted_merged_and_normalised():
    s = Spectrum.atoms([2.0, 1.0, 2.0, 3.0], [1.0, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(s.eigenvalues, [1.0, 2.0])
    np.testing.assert_allclose(s.weights, [1 / 3, 2 / 3], rtol=1e-15)
    with pytest.raises(ValueError, match="read-only"):
        s.weights[0] = 2.0


@pytest.mark.parametrize("ratio", [0.2, 0.5, 2.0])
@pytest.mark.parametrize("z", [-0.3, -3.0 + 1.0j])
def test_marchenko_pastur_has_its_stieltjes_transform(ratio, z):
    """Closed form: ratio z m^2 - (1 - ratio - z) m + 1 = 0; the root that falls like -1/z."""
    s = Spectrum.marchenko_pastur(ratio)
    m = np.sum(s.weights / (s.eigenvalues - z))
    roots = np.roots([ratio * z, z + ratio - 1, 1])
    # Gauss: error (distance ratio)^(-2 nodes), at least (1 + 0.3)^-128 = 1e-15 here
    assert np.min(np.abs(roots - m)) < 1e-12 * abs(m)


def test_marchenko_pastur_is_a_wishart_matrix():
    rng, dim, points = np.random.default_rng(0), 400, 800
    z = rng.normal(size=(dim, points))
    values = np.linalg.eigvalsh(z @ z.T / points)
    s = Spectrum.marchenko_pastur(0.5)
    for power in (
        1,
        2,
        3,
    ):  # linear statistics of a Wishart matrix fluctuate by O(1/dim): sd of tr/dim is below 4/dim
        assert np.mean(values**power) == pytest.approx(
            s.weights @ s.eigenvalues**power, abs=5 * 4**power / dim
        )


def test_power_law_is_the_limit_of_its_sequence():
    """lambda_k = c k^-a for k = k_min..d: Riemann sums, error O(1/d) of the edge values."""
    exponent, condition, dim = 1.3, 100.0, 200_000
    s = Spectrum.power_law(exponent, condition=condition, variance=2.0)
    k = np.linspace(condition ** (-1 / exponent), 1, dim)
    lam = k**-exponent
    lam *= 2.0 / lam.mean()
    assert s.variance == pytest.approx(2.0, rel=1e-13)
    np.testing.assert_allclose(
        s.weights @ (1 / (s.eigenvalues + 0.3)), np.mean(1 / (lam + 0.3)), rtol=20 / dim
    )
    assert s.eigenvalues[-1] / s.eigenvalues[0] == pytest.approx(
        condition, rel=0.01
    )  # Gauss nodes stop short of the ends


def test_from_data_keeps_eigenvalues_and_trace():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 2, 5)) * np.linspace(0.5, 2, 10).reshape(2, 5) + 3
    s = Spectrum.from_data(x)
    covariance = np.cov(x.reshape(500, 10), rowvar=False, bias=True)
    np.testing.assert_allclose(s.eigenvalues, np.linalg.eigvalsh(covariance), rtol=1e-12)
    assert not s.gaussian
    few = Spectrum.from_data(x[:6], nodes=48)  # fewer points than dimensions: zeros are kept as an atom
    assert few.eigenvalues[0] == 0
    assert few.weights[0] == pytest.approx(0.5)
    assert few.variance * 10 == pytest.approx(np.trace(np.cov(x[:6].reshape(6, 10), rowvar=False, bias=True)))


def test_many_eigenvalues_are_merged_at_equal_trace():
    x = np.random.default_rng(2).normal(size=(400, 200)) * np.linspace(0.1, 3, 200)
    s, full = Spectrum.from_data(x, nodes=16), Spectrum.from_data(x, nodes=400)
    assert len(full.weights) == 200
    assert len(s.weights) <= 16
    assert s.variance == pytest.approx(full.variance, rel=1e-12)
    # in a bin of width log q the mean of 1/(1 + lam) moves by at most (log q)^2/8 (f'' <= 1/4 in log lam)
    q = np.log(full.eigenvalues[-1] / full.eigenvalues[0]) / 16
    means = [np.sum(a.weights / (1 + a.eigenvalues)) for a in (s, full)]
    assert abs(means[0] - means[1]) < q**2 / 8


def rotated(values):
    """A covariance matrix with these eigenvalues."""
    Q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(len(values), len(values))))
    return Q * values @ Q.T


def test_a_covariance_matrix_is_its_eigenvalues():
    values = np.array([0.0, 0.5, 1.0, 1.5, 4.0])
    from_matrix = Spectrum.from_covariance(rotated(values))
    from_values = Spectrum.from_eigenvalues(values[::-1])
    atoms = Spectrum.atoms(values)
    for s in (from_matrix, from_values):
        np.testing.assert_allclose(s.eigenvalues, atoms.eigenvalues, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(s.weights, 0.2, rtol=1e-15)
        assert s.gaussian


def test_a_covariance_of_single_precision_is_taken():
    matrix = rotated(np.linspace(0.0, 2.0, 30)).astype(np.float32)
    s = Spectrum.from_covariance(matrix)
    assert s.eigenvalues[0] >= 0
    assert s.variance == pytest.approx(1.0, rel=1e-6)


def test_data_and_their_covariance_have_one_spectrum(tmp_path):
    """Of a matrix, its covariance as NumPy has it, a file, and what load_images gives."""
    x = np.random.default_rng(4).normal(size=(50, 6)) * np.arange(1, 7) + 2
    np.save(tmp_path / "x.npy", x)
    covariance = np.cov(x, rowvar=False, bias=True)
    loaded = types.SimpleNamespace(images=torch.from_numpy(x))
    expected = np.linalg.eigvalsh(covariance)
    spectra = [
        Spectrum.from_covariance(covariance),
        Spectrum.from_data(x),
        Spectrum.from_data(tmp_path / "x.npy"),
        Spectrum.from_data(str(tmp_path / "x.npy")),
        Spectrum.from_data(loaded),
    ]
    for s in spectra:
        np.testing.assert_allclose(s.eigenvalues, expected, rtol=1e-12)
    assert [s.gaussian for s in spectra] == [True, False, False, False, False]
    assert Spectrum.from_data(x, gaussian=True).gaussian


def test_many_eigenvalues_of_a_covariance_are_merged():
    values = np.geomspace(1e-3, 10, 500)
    s = Spectrum.from_eigenvalues(values, nodes=20)
    assert len(s.weights) == 20
    assert s.variance == pytest.approx(values.mean(), rel=1e-13)
    np.testing.assert_allclose(s.weights, 1 / 20, rtol=0.05)  # even in the logarithm: 25 in each bin
    ratio = s.eigenvalues[1:] / s.eigenvalues[:-1]
    np.testing.assert_allclose(ratio, 1e4 ** (1 / 20), rtol=0.05)


def test_a_weight_that_vanishes_in_its_powers_is_left_out():
    assert len(Spectrum.atoms([1.0, 2.0], [1.0, 1.1e-100]).weights) == 2
    assert Spectrum.atoms([1.0, 2.0], [1.0, 0.9e-100]).eigenvalues.tolist() == [1.0]


def test_what_is_below_1e_12_of_the_largest_is_zero():
    s = Spectrum.from_eigenvalues([2.0, 2.2e-12, 1.8e-12])
    np.testing.assert_array_equal(s.eigenvalues, [0.0, 2.2e-12, 2.0])


def test_a_covariance_is_symmetric_and_positive_to_single_precision():
    """Up to 1e-8 of the largest entry or eigenvalue is rounding; more is another matrix."""
    for error in (0.9e-8, -0.9e-8):
        assert Spectrum.from_covariance([[1.0, error], [0.0, 1.0]]).variance == 1
        s = Spectrum.from_covariance(np.diag([min(error, 0.0), 1.0]))
        assert s.eigenvalues.tolist() == [0.0, 1.0]
    with pytest.raises(InputError, match="symmetric"):
        Spectrum.from_covariance([[1.0, 1.1e-8], [0.0, 1.0]])
    with pytest.raises(InputError, match="negative"):
        Spectrum.from_covariance(np.diag([-1.1e-8, 1.0]))


def test_a_spectrum_prints_in_a_line():
    text = repr(Spectrum.from_eigenvalues(np.arange(1.0, 31.0)))
    assert text == "Spectrum(30 eigenvalues: 30 atoms up to 30)"


def damaged(tmp_path, content):
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x93NUMPY\x01\x00", b"PK\x03\x04"])
def test_a_damaged_file_is_refused_by_name(tmp_path, content):
    with pytest.raises(InputError, match="x.npy"):
        Spectrum.from_data(damaged(tmp_path, content))


def test_a_pickle_is_never_opened(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}, {}]), allow_pickle=True)
    with pytest.raises(InputError, match="x.npy"):
        Spectrum.from_data(tmp_path / "x.npy")


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Spectrum.atoms([-1.0, 1.0]), "eigenvalues"),
        (lambda: Spectrum.atoms([1.0, 2.0], [1.0]), "one length"),
        (lambda: Spectrum.atoms([1.0], [-1.0]), "weights"),
        (lambda: Spectrum.atoms([0.0, 1.0], [1.0, 0.0]), "weights"),
        (lambda: Spectrum.atoms([]), "length"),
        (lambda: Spectrum.isotropic(0.0), "variance"),
        (lambda: Spectrum.power_law(1.0, condition=1.0), "condition"),
        (lambda: Spectrum.marchenko_pastur(-1.0), "ratio"),
        (lambda: Spectrum.marchenko_pastur(0.5, nodes=0), "nodes"),
        (lambda: Spectrum.from_data(np.ones((4, 3))), "differ"),
        (lambda: Spectrum.from_data(np.ones(4)), "data"),
        (lambda: Spectrum.from_data(np.full((4, 3), np.nan)), "data"),
        (lambda: Spectrum.from_data("folder"), "load_images"),
        (lambda: Spectrum.from_data("nowhere.npy"), "nowhere.npy"),
        (lambda: Spectrum.from_covariance(np.ones((2, 3))), "square"),
        (lambda: Spectrum.from_covariance(np.zeros((0, 0))), "square"),
        (lambda: Spectrum.from_covariance(np.zeros((2, 2))), "not all zero"),
        (lambda: Spectrum.from_covariance([[1.0, 2.0], [0.0, 1.0]]), "symmetric"),
        (lambda: Spectrum.from_covariance([[1.0, 2.0], [2.0, 1.0]]), "negative"),
        (lambda: Spectrum.from_covariance([[np.inf, 0.0], [0.0, 1.0]]), "finite"),
        (lambda: Spectrum.from_covariance(np.eye(2), nodes=0), "nodes"),
        (lambda: Spectrum.from_eigenvalues([1.0, -1.0]), "none negative"),
        (lambda: Spectrum.from_eigenvalues([]), "not all zero"),
    ],
)
def test_impossible_spectra_are_refused(make, word):
    with pytest.raises(InputError, match=word):
        make()


def test_two_points_have_a_covariance_and_one_has_none():
    """Of two points the one eigenvalue that is not 0 is a quarter of their squared distance."""
    two = Spectrum.from_data(np.array([[0.0, 0.0], [1.0, 2.0]]))
    assert sorted(two.eigenvalues) == pytest.approx([0.0, 1.25], abs=1e-12)
    with pytest.raises(InputError, match="data: expected at least two finite points"):
        Spectrum.from_data(np.array([[1.0, 2.0]]))
