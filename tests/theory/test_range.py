"""Every number of the right type gives an answer with its status, or an InputError that says the range."""

import subprocess
import sys

import mpmath as mp
import numpy as np
import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.results import Status
from memhorizon.theory import (
    FeatureModel,
    Spectrum,
    bulk_edges,
    coefficients,
    loss_curves,
    simulate,
    spectral_density,
    stieltjes,
    timescales,
)
from memhorizon.theory.activations import ACTIVATIONS
from memhorizon.theory.model import DIFFUSION_TIMES, SIZES
from memhorizon.theory.support import MAX_ATOMS

TIMES = [0.0, 5e-324, 1.0, 1e308, np.inf]


def between(rng, low, high):
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def drawn(rng):
    """A model from anywhere within the range, its eigenvalues and weights over up to 300 decades."""
    size = between(rng, *SIZES), between(rng, *SIZES)
    t = between(rng, 1e-6, DIFFUSION_TIMES[1])
    spread = 10.0 ** -rng.choice([1, 12, 300], 2)
    atoms = int(rng.integers(1, 4))
    largest = between(rng, 1e-3, 1e3)
    values = [largest * between(rng, spread[0], 1.0) for _ in range(atoms)]
    weights = [between(rng, spread[1], 1.0) for _ in range(atoms)]
    return FeatureModel(*size, t, str(rng.choice(sorted(ACTIVATIONS))), Spectrum.atoms(values, weights))


@pytest.mark.parametrize("seed", range(8))
def test_a_model_from_anywhere_is_answered_with_a_status_or_refused(seed):
    rng = np.random.default_rng(seed)
    try:
        model = drawn(rng)
        s = bulk_edges(model)
    except InputError:
        return
    if s.status is Status.SOLVED:
        assert s.masses.sum() + s.atom_weight == pytest.approx(1, abs=1e-7)
    assert np.all(np.diff(s.offsets, axis=1) > 0)
    c = loss_curves(model, TIMES)
    if c.status is Status.SOLVED:
        assert np.all(np.isfinite([c.L_train, c.L_gen, c.E_score]))
        assert c.L_train[0] == pytest.approx(1, abs=1e-7)  # nothing is learned yet
        assert c.L_train[1] == c.L_train[0]
        assert c.L_gen[3] == pytest.approx(c.L_gen[4], rel=1e-9, abs=1e-9)
    places = [*s.intervals.mean(axis=1), s.atom_location, 0.0, -1e50, 1e50]
    d = spectral_density(model, places)
    known = d.place != "failed"
    assert np.all(np.isnan(d.density[~known]))
    assert np.all(d.density[known & (d.place != "atom")] >= 0)
    found = timescales(model)
    assert found.status in (Status.SOLVED, Status.NOT_RESOLVED)
    assert found.tau_gen.status in ("observed", "not reached", "before first")


@pytest.mark.parametrize(
    ("psi_n", "psi_p", "t", "lam"),
    [
        (1e-9, 64, 0.01, 1),
        (8, 1e-9, 0.01, 1),
        (8, 1e9, 0.01, 1),
        (10**400, 64, 0.01, 1),
        (8, 64, 1e-300, 1),
        (8, 64, 25, 1),
        (8, 64, 1000, 1),
        (8, 64, 8, 1e-6),  # exp(-2t) of the data are left: 1e-13
        (8, 64, 0.01, 1e-300),
        (8, 64, 0.01, 1e300),
    ],
)
def test_what_double_precision_cannot_solve_is_refused(psi_n, psi_p, t, lam):
    with pytest.raises(InputError, match="expected"):
        FeatureModel(psi_n, psi_p, t, spectrum=Spectrum.atoms([lam]))


def test_data_are_at_least_1e_11_of_the_noise():
    """At t = 8 of an eigenvalue lambda exp(-16) lambda are left beside noise of variance 1 - 1e-7."""
    least = 1e-11 * np.exp(16) * (1 - np.exp(-16))
    assert FeatureModel(8, 64, 8, spectrum=Spectrum.atoms([1.1 * least])).spectrum.variance > 0
    with pytest.raises(InputError, match="1e-11"):
        FeatureModel(8, 64, 8, spectrum=Spectrum.atoms([0.9 * least]))


def test_a_mass_that_the_density_does_not_confirm_is_not_resolved():
    """An eigenvalue just above what counts as zero, at a corner of the range: off by 1e-6 here."""
    atoms = Spectrum.atoms([0.0, 2.579296227023633e-22, 0.17629486816785636], [3e-7, 0.0055, 0.9945])
    s = bulk_edges(FeatureModel(28000575.7, 899210.12, 0.000206294135, "erf", atoms))
    assert (s.status is Status.SOLVED) == (s.residual < 1e-7)


def test_a_tiny_eigenvalue_is_a_zero():
    """At lambda = 1e-300 the data do not vary there; the groups of the others stay."""
    tiny, zero = (FeatureModel(8, 64, 0.01, spectrum=Spectrum.atoms([low, 1.0])) for low in (1e-300, 0.0))
    np.testing.assert_array_equal(bulk_edges(tiny).offsets, bulk_edges(zero).offsets)
    assert bulk_edges(tiny).status is Status.SOLVED


def test_groups_of_few_eigenvalues_keep_their_names():
    """n/d = 1e-4 at p/d = 1e6: the top group holds 1e-10 of all eigenvalues."""
    s = bulk_edges(FeatureModel(1e-4, 1e6, 0.01))
    assert s.labels[-1] == "rho_2"
    assert s.masses[-1] == pytest.approx(1e-10, rel=1e-4)  # rounding of 1 against 1e-10


@pytest.mark.parametrize("name", ["erf", "sin"])
@pytest.mark.parametrize(
    ("variance", "t"), [(1e-9, 1e-9), (1e-6, 1e-10), (1e6, 0.1), (1.0, 1e-9), (1e-4, 3.0)]
)
def test_closed_constants_keep_their_digits_at_every_scale(name, variance, t):
    """The differences of the kernels in 80 digits. Inputs round to 1e-16; v2, s2 go as their cubes."""
    m = FeatureModel(2, 4, t, name, Spectrum.isotropic(variance))
    c = coefficients(m)
    with mp.workdps(80):
        signal = mp.mpf(m.decay * float(np.sqrt(variance))) ** 2
        noise = mp.mpf(float(np.sqrt(m.delta_t))) ** 2
        total = signal + noise
        if name == "erf":
            a2 = 4 / (mp.pi * (1 + 2 * total))
            kernel = [2 / mp.pi * mp.asin(2 * x / (1 + 2 * total)) for x in (signal, total)]
        else:
            a2 = mp.exp(-total)
            kernel = [mp.exp(-total) * mp.sinh(x) for x in (signal, total)]
        v2 = kernel[0] - a2 * signal
        s2 = kernel[1] - kernel[0] - a2 * noise
        assert c.v2 == pytest.approx(float(v2), rel=1e-12, abs=0)
        assert c.s2 == pytest.approx(float(s2), rel=1e-12, abs=0)


def test_a_callable_is_computed_anew_each_time():
    """Its parameters may have changed: E tanh'(3 x), by the trapezoid rule, against 3 E (1 - tanh^2)."""

    class Scaled:
        gain = 1.0

        def __call__(self, x):
            return np.tanh(self.gain * x)

    activation = Scaled()
    m = FeatureModel(8, 64, 0.01, activation=activation)
    x = np.linspace(-10, 10, 2001)
    weight = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * 0.01
    for gain in (1.0, 3.0):
        activation.gain = gain
        slope = weight @ (gain * (1 - np.tanh(gain * x) ** 2))  # geometric, below 1e-13 at this step
        assert coefficients(m).a == pytest.approx(slope, abs=1e-12)


def test_constants_that_have_not_converged_are_said_by_every_answer():
    """A kink where no panel ends; the slope keeps it from being even."""
    model = FeatureModel(2, 4, 0.1, lambda x: np.abs(x - 0.1) + x)
    assert not coefficients(model).converged
    assert bulk_edges(model).status is Status.NOT_CONVERGED
    assert timescales(model).status is Status.NOT_CONVERGED
    assert repr(timescales(model)).endswith("; not converged)")
    assert loss_curves(model, [1.0]).status is Status.NOT_CONVERGED


def test_the_number_of_atoms_is_bounded():
    many = FeatureModel(8, 64, 0.01, spectrum=Spectrum.atoms(np.linspace(1, 2, MAX_ATOMS + 1)))
    with pytest.raises(InputError, match=str(MAX_ATOMS)):
        bulk_edges(many)
    assert np.isfinite(stieltjes(many, [1j])[0])  # single points take any number


def test_places_far_outside():
    model = FeatureModel(8, 64, 0.01)
    found = spectral_density(model, [-1e50, 1e50])
    np.testing.assert_array_equal(found.place, ["outside", "outside"])
    np.testing.assert_allclose(found.cumulative, [0, 1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(stieltjes(model, [1e50, 1e50j]), [-1e-50, 1e-50j], rtol=1e-12)
    for wrong in (1e60, np.inf, np.nan):
        with pytest.raises(InputError, match="expected finite"):
            spectral_density(model, [wrong])


def test_the_end_of_training_is_reached_by_every_large_time():
    """Exp(-c u) is 0 long before the product c u overflows."""
    model = FeatureModel(8, 0.5, 0.1)
    c = loss_curves(model, [1e200, 1e308, np.inf])
    np.testing.assert_array_equal(c.L_test[:2], c.L_test[1])
    assert c.L_test[2] == pytest.approx(c.L_test[0], rel=1e-9)
    s = simulate(model, 4, 0, [1e308, np.inf])
    np.testing.assert_allclose(s.L_test[0], s.L_test[1], rtol=1e-12)
    heavy = loss_curves(model, [1e308, np.inf], ridge=1e100)
    np.testing.assert_allclose(heavy.L_train, 1)  # nothing is learned against such a penalty


WRONG = """
import numpy as np
from memhorizon import theory as T
from memhorizon.errors import InputError

model = T.FeatureModel(2, 4, 0.1)
words = ["3", "a", None, float("nan"), [1.0], (1,), {}, object(), 1j, np.zeros(0), np.ones(2), -1, -np.inf]
lists = ["3", "a", None, float("nan"), ["a"], {}, object(), [None], np.ones((2, 2)), [], np.zeros(0)]
calls = {
    "psi_n": lambda x: T.FeatureModel(x, 4, 0.1),
    "psi_p": lambda x: T.FeatureModel(2, x, 0.1),
    "t": lambda x: T.FeatureModel(2, 4, x),
    "activation": lambda x: T.FeatureModel(2, 4, 0.1, x),
    "spectrum": lambda x: T.FeatureModel(2, 4, 0.1, spectrum=x),
    "ridge": lambda x: T.loss_curves(model, [1.0], ridge=x),
    "score": lambda x: T.timescales(model, score_level=x),
    "gap": lambda x: T.overfitting_threshold(model, gap_level=x),
    "variance": T.Spectrum.isotropic,
    "exponent": T.Spectrum.power_law,
    "condition": lambda x: T.Spectrum.power_law(1.0, condition=x),
    "ratio": T.Spectrum.marchenko_pastur,
    "nodes": lambda x: T.Spectrum.marchenko_pastur(0.5, nodes=x),
    "bins": lambda x: T.Spectrum.from_data(np.eye(3), nodes=x),
    "dim": lambda x: T.simulate(model, x, 0, [1.0]),
    "seed": lambda x: T.simulate(model, 2, x, [1.0]),
    "features": lambda x: T.simulate(model, 2, 0, [1.0], features=x),
    "draws": lambda x: T.simulate(model, 2, 0, [1.0], noise_draws=[] if x is None else x),
    "a model": T.coefficients,
    "its edges": T.bulk_edges,
    "its losses": lambda x: T.loss_curves(x, [1.0]),
    "its density": lambda x: T.spectral_density(x, [1.0]),
    "its transform": lambda x: T.stieltjes(x, [1j]),
    "its times": T.timescales,
    "its threshold": T.overfitting_threshold,
    "its networks": lambda x: T.simulate(x, 2, 0, [1.0]),
}
rows = {
    "tau": lambda x: T.loss_curves(model, x),
    "tau of a network": lambda x: T.simulate(model, 2, 0, x),
    "eigenvalues": lambda x: T.spectral_density(model, x),
    "z": lambda x: T.stieltjes(model, x),
    "atoms": T.Spectrum.atoms,
    "weights": lambda x: T.Spectrum.atoms([1.0, 2.0], "" if x is None else x),
    "all eigenvalues": lambda x: T.Spectrum.from_eigenvalues("" if np.size(x) == 0 else x),
    "covariance": lambda x: T.Spectrum.from_covariance("" if np.shape(x) == (2, 2) else x),
    "data": lambda x: T.Spectrum.from_data([1.0] if isinstance(x, np.ndarray) and x.shape == (2, 2) else x),
}
for table, values in ((calls, words), (rows, lists)):
    for name, call in table.items():
        for value in values:
            if name in ("tau", "tau of a network", "eigenvalues", "z") and np.size(value) == 0:
                continue  # none asked, none answered
            try:
                call(value)
            except InputError:
                continue
            except Exception as error:
                print(f"{name} = {value!r}: {type(error).__name__}: {error}")
            else:
                print(f"{name} = {value!r}: taken")
"""


@pytest.mark.parametrize("value", [torch.ones(2, requires_grad=True), torch.ones(2, dtype=torch.complex64)])
def test_tensors_that_are_no_plain_numbers_are_refused(value):
    with pytest.raises(InputError, match="tau: expected"):
        loss_curves(FeatureModel(2, 4, 0.1), value)


def test_none_asked_none_answered():
    model = FeatureModel(2, 4, 0.1)
    assert loss_curves(model, []).L_test.shape == (0,)
    assert simulate(model, 2, 0, np.zeros(0)).L_test.shape == (0,)
    assert spectral_density(model, []).density.shape == (0,)
    with pytest.raises(InputError, match="numbers"):
        loss_curves(model, [[1.0], [1.0, 2.0]])


def test_what_is_no_number_is_refused_in_our_words():
    """In a process without the type checker of the tests, as users have it."""
    done = subprocess.run([sys.executable, "-c", WRONG], capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_a_point_just_above_the_real_axis_is_on_it():
    """In a gap the imaginary part of q goes with that of z: 1e-300 of it is nothing."""
    model = FeatureModel(8, 64, 0.01)
    np.testing.assert_allclose(stieltjes(model, [-1 + 1e-300j, 1e-300j]), stieltjes(model, [-1.0, 0.0]))
    slope = (stieltjes(model, [-1 + 1e-6])[0] - stieltjes(model, [-1 - 1e-6])[0]) / 2e-6
    near = stieltjes(model, [-1 + 1e-9j])[0]
    assert near.imag / 1e-9 == pytest.approx(slope.real, rel=1e-6)  # differences lose 1e-16/1e-6/q
