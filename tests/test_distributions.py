import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from memhorizon import distributions
from memhorizon.distributions import Empirical, Gaussian, GaussianMixture
from memhorizon.errors import InputError

TIMES = (1e-4, 0.0102, 0.3, 2.0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def covariance(dim, seed):
    A = normal(dim, dim, seed=seed)
    return A @ A.mT / dim + 0.1 * torch.eye(dim, dtype=torch.float64)


def gaussian(dim=4):
    return Gaussian(normal(dim, seed=1), covariance(dim, 2))


def mixture(dim=4):
    covariances = torch.stack([covariance(dim, seed) for seed in (3, 4, 5)])
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    return GaussianMixture(2 * normal(3, dim, seed=6), covariances, weights)


def empirical(dim=4):
    return Empirical(normal(6, dim, seed=7))


LAWS = {"gaussian": gaussian, "mixture": mixture, "empirical": empirical}
with_laws = pytest.mark.parametrize("law", [make() for make in LAWS.values()], ids=list(LAWS))
with_densities = pytest.mark.parametrize("law", [gaussian(), mixture()], ids=["gaussian", "mixture"])


def noised(law, n, t, seed=0):
    x0 = law.sample(n, generator=generator(seed))
    xi = normal(n, law.dim, seed=seed + 1)
    return x0, math.exp(-t) * x0 + math.sqrt(-math.expm1(-2 * t)) * xi


def parts(law):
    """Weights, means, covariances as NumPy arrays, for the slow twins."""
    if isinstance(law, Gaussian):
        return [1.0], law.mean[None].numpy(), law.covariance[None].numpy()
    if isinstance(law, GaussianMixture):
        return law.weights.numpy(), law.means.numpy(), law.covariances.numpy()
    n, dim = law.points.shape
    return [1 / n] * n, law.points.numpy(), np.zeros((n, dim, dim))


def slow_log_prob(law, x, t):
    """One scipy density per component and point."""
    delta = -math.expm1(-2 * t)
    total = []
    for weight, mean, C in zip(*parts(law), strict=True):
        noisy = math.exp(-2 * t) * C + delta * np.eye(law.dim)
        total.append(math.log(weight) + stats.multivariate_normal.logpdf(x, math.exp(-t) * mean, noisy))
    return np.logaddexp.reduce(total)


@with_laws
@pytest.mark.parametrize("t", TIMES)
def test_log_prob_equals_scipy(law, t):
    _, x = noised(law, 10, t)
    wanted = [slow_log_prob(law, point.numpy(), t) for point in x]
    # Exponents |x - m|^2/(2 delta) reach 1e1/1e-4 for far components, each rounded to 2^-53.
    np.testing.assert_allclose(law.log_prob(x, t).numpy(), wanted, rtol=0, atol=1e5 * 2**-50)


@with_densities
def test_log_prob_without_noise_equals_scipy(law):
    x = law.sample(10, generator=generator())
    wanted = [slow_log_prob(law, point.numpy(), 0.0) for point in x]
    np.testing.assert_allclose(law.log_prob(x).numpy(), wanted, rtol=0, atol=1e3 * 2**-50)


@pytest.mark.parametrize("make", LAWS.values(), ids=list(LAWS))
def test_density_integrates_to_one(make):
    law = make(dim=1)

    def density(x):
        return float(law.log_prob(torch.tensor([[x]], dtype=torch.float64), 0.1).exp())

    assert integrate.quad(density, -12, 12, limit=200)[0] == pytest.approx(
        1, abs=1e-7
    )  # quad's own goal 1.5e-8


def autograd_score(law, x, t):
    x = x.clone().requires_grad_(True)
    law.log_prob(x, t).sum().backward()
    return x.grad


@with_laws
@pytest.mark.parametrize("t", TIMES)
def test_score_equals_autograd_of_log_prob(law, t):
    _, x = noised(law, 20, t)
    # Terms up to |x|/delta, |x| < 10, and some hundred float64 roundings of them; posterior weights carry
    # in the rounding of exponents up to 100/delta, where components overlap at all (delta > 0.02).
    delta = -math.expm1(-2 * t)
    atol = 2**-52 * (100 + 100 / max(delta, 0.02)) * 10 / delta
    torch.testing.assert_close(law.score(x, t), autograd_score(law, x, t), rtol=0.0, atol=atol)


@with_densities
def test_score_without_noise_equals_autograd_of_log_prob(law):
    x = law.sample(20, generator=generator())
    # As above, with the smallest variance, 0.1, in the place of delta.
    atol = 2**-52 * (100 + 100 / 0.1) * 10 / 0.1
    torch.testing.assert_close(law.score(x), autograd_score(law, x, 0.0), rtol=0.0, atol=atol)


@with_laws
@pytest.mark.parametrize("t", TIMES)
def test_denoiser_and_score_obey_tweedie(law, t):
    _, x = noised(law, 20, t)
    delta = -math.expm1(-2 * t)
    wanted = (x + delta * law.score(x, t)) * math.exp(t)
    torch.testing.assert_close(law.denoiser(x, t), wanted, rtol=0.0, atol=100 * 2**-52 * 10 * math.exp(t))


@with_laws
@pytest.mark.parametrize("t", [0.3, 2.0])
def test_denoiser_equals_monte_carlo(law, t):
    """E[x_0 | x_t] as the average of fresh x_0, each weighted by how likely it makes x_t."""
    _, x = noised(law, 5, t, seed=10)
    x0 = law.sample(200_000, generator=generator(20))
    delta = -math.expm1(-2 * t)
    for point in x:
        weights = (-(point - math.exp(-t) * x0).square().sum(1) / (2 * delta)).softmax(0)[:, None]
        mean = (weights * x0).sum(0)
        error = (weights.square() * (x0 - mean).square()).sum(0).sqrt()  # of a self-normalised average
        # Five standard errors for 2 x 3 x 5 x 4 = 120 comparisons: chance of a false alarm below 1e-4.
        assert bool(((law.denoiser(point[None], t)[0] - mean).abs() < 5 * error + 1e-12).all())


@with_laws
def test_denoiser_minimises_the_squared_error(law):
    """The derivative of the risk vanishes in every direction g(x_t): E[(x_0 - D(x_t)) g(x_t)] = 0."""
    x0, x = noised(law, 50_000, 0.3)
    residual = x0 - law.denoiser(x, 0.3)
    for g in (torch.ones_like(x), x, x.sin()):
        terms = residual * g
        assert bool((terms.mean(0).abs() < 5 * terms.std(0) / math.sqrt(len(x))).all())


@with_laws
def test_limit_of_much_noise(law):
    x = normal(5, law.dim)
    weights, means, _ = parts(law)
    mean = torch.as_tensor(np.average(means, axis=0, weights=weights))
    for t in (40.0, math.inf):  # e^{-40} = 4e-18
        torch.testing.assert_close(law.score(x, t), -x, rtol=0.0, atol=1e-14)
        torch.testing.assert_close(law.denoiser(x, t), mean.expand(5, -1), rtol=0.0, atol=1e-14)
        torch.testing.assert_close(
            law.log_prob(x, t), -(x.square() + math.log(2 * math.pi)).sum(1) / 2, rtol=0.0, atol=1e-13
        )


@with_densities
def test_limit_of_no_noise(law):
    x = law.sample(5, generator=generator())
    torch.testing.assert_close(law.denoiser(x, 0.0), x, rtol=0.0, atol=1e-13)
    at_zero = law.score(x, 0.0)
    # Linear in t: the error halves with t. The next order is smaller by 2 t/eigenvalue, these above 0.1.
    first, second = ((law.score(x, t) - at_zero).norm() for t in (1e-5, 5e-6))
    assert float(first / second) == pytest.approx(2, rel=10 * 1e-5 * 2 / 0.1)


def test_memorizer_without_noise_names_the_nearest_point():
    law = Empirical(normal(50, 8, seed=1))
    x = normal(20, 8, seed=2)
    nearest = (x[:, None] - law.points).norm(dim=2).argmin(1)
    # At t = 1e-9 the runner-up of a gap g in squared distance weighs exp(-g/4e-9): exactly 0 in float64.
    assert torch.equal(law.denoiser(math.exp(-1e-9) * x, 1e-9), law.points[nearest])


@with_densities
def test_noise_moves_a_density_within_its_family(law):
    t, a, delta = 0.3, math.exp(-0.3), -math.expm1(-0.6)
    eye = delta * torch.eye(law.dim, dtype=torch.float64)
    if isinstance(law, Gaussian):
        moved = Gaussian(a * law.mean, a**2 * law.covariance + eye)
    else:
        moved = GaussianMixture(a * law.means, a**2 * law.covariances + eye, law.weights)
    x = normal(10, law.dim)
    torch.testing.assert_close(law.score(x, t), moved.score(x), rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(law.log_prob(x, t), moved.log_prob(x), rtol=1e-11, atol=1e-12)


def test_a_mixture_of_one_is_a_gaussian_and_of_narrow_ones_the_memorizer():
    law, x = gaussian(), normal(10, 4)
    one = GaussianMixture(law.mean[None], law.covariance[None], torch.ones(1, dtype=torch.float64))
    assert torch.equal(one.score(x, 0.3), law.score(x, 0.3))
    points = empirical().points
    narrow = 1e-12 * torch.eye(4, dtype=torch.float64).expand(6, 4, 4)
    near = GaussianMixture(points, narrow, torch.full((6,), 1 / 6, dtype=torch.float64))
    # A variance of 1e-12 beside delta = 0.45 changes exponents of order 10 by 1e-12/0.45.
    torch.testing.assert_close(near.denoiser(x, 0.3), empirical().denoiser(x, 0.3), rtol=0.0, atol=1e-9)


@with_densities
def test_draws_have_the_moments_of_the_law(law):
    n = 100_000
    x = law.sample(n, generator=generator())
    weights, means, covariances = (np.asarray(part) for part in parts(law))
    mean = np.average(means, axis=0, weights=weights)
    centred = means - mean
    C = np.einsum("k,kij->ij", weights, covariances) + np.einsum("k,ki,kj->ij", weights, centred, centred)
    y = x.numpy() - mean
    # Standard errors from the draws themselves; five of them for 4 + 16 numbers.
    assert np.all(np.abs(y.mean(0)) < 5 * y.std(0) / math.sqrt(n))
    products = y[:, :, None] * y[:, None, :]
    assert np.all(np.abs(products.mean(0) - C) < 5 * products.std(0) / math.sqrt(n))


def test_draws_follow_the_law_of_any_projection():
    law = mixture()
    direction = normal(4, seed=9)
    weights, means, covariances = (torch.as_tensor(part) for part in parts(law))
    spread = torch.einsum("i,kij,j->k", direction, covariances, direction).sqrt().numpy()
    centre = (means @ direction).numpy()

    def cdf(y):
        return (weights.numpy() * stats.norm.cdf((y[:, None] - centre) / spread)).sum(1)

    x = law.sample(20_000, generator=generator())
    assert stats.kstest((x @ direction).numpy(), cdf).pvalue > 1e-3


def test_draws_of_the_memorizer_are_its_points_equally_often():
    law = empirical()
    x = law.sample(60_000, generator=generator())
    which = (x[:, None] == law.points).all(2)
    assert bool((which.sum(1) == 1).all())
    assert stats.chisquare(which.sum(0).numpy()).pvalue > 1e-3


@with_laws
def test_draws_and_answers_depend_on_the_generator_alone(law):
    first, again, other = (law.sample(5, generator=generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@with_laws
def test_tiles_do_not_change_an_answer(law, monkeypatch):
    x = normal(30, law.dim)
    functions = (law.log_prob, law.score, law.denoiser)
    whole = [f(x, 0.01) for f in functions]
    monkeypatch.setattr(distributions, "_TILE", 8)
    monkeypatch.setattr(distributions, "_ROWS", 3)
    for f, wanted in zip(functions, whole, strict=True):
        # Sums in another order: some 2^-53 of exponents near 1e3, over delta = 0.02 for the score.
        torch.testing.assert_close(f(x, 0.01), wanted, rtol=1e-11, atol=1e-11)


MEMORY = """
import resource, torch
from memhorizon.distributions import Empirical
g = torch.Generator().manual_seed(0)
law, x = Empirical(torch.rand(32768, 1024, generator=g)), torch.randn(2000, 1024, generator=g)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
law.denoiser(x, 0.3), law.log_prob(x, 0.3)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_memory_stays_bounded_at_full_size():
    used = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True).stdout
    # Six tiles of 32 MiB at once at most; the matrix of all logits alone would take 500 MiB.
    assert float(used) < 6 * 32


def test_far_points_and_tiny_times_stay_finite():
    law = Empirical(1e3 * normal(20, 64))
    x = 1e3 * normal(4, 64, seed=1)
    for t in (1e-12, 1e-4, 5.0):
        assert bool(law.log_prob(x, t).isfinite().all())
        assert bool(law.score(x, t).isfinite().all())
        distance = (law.denoiser(x, t)[:, None] - law.points).norm(dim=2).amin(1)
        assert bool((distance <= 1e-10).all())  # at every one of these times a single point holds all weight


@with_laws
def test_float32_input_is_only_rounded_at_the_door(law):
    x = normal(10, law.dim).float()
    for f in (law.log_prob, law.score, law.denoiser):
        assert torch.equal(f(x, 0.01), f(x.double(), 0.01).float())
        assert f(x, 0.01).dtype == torch.float32
        assert f(x[:0], 0.01).shape[0] == 0


def test_float32_points_lose_nothing():
    points = normal(40, 16).float()
    x = normal(10, 16, seed=1)
    assert torch.equal(Empirical(points).score(x, 1e-4), Empirical(points.double()).score(x, 1e-4))


@with_laws
def test_is_frozen_and_moves(law):
    field = dataclasses.fields(law)[-1].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(law, field, None)
    x = normal(3, law.dim)
    assert torch.equal(law.to("cpu").score(x, 0.1), law.score(x, 0.1))


EYE, ZERO = torch.eye(3), torch.zeros(3)
NAN = torch.tensor([0.0, math.nan, 0.0])
SINGULAR = torch.ones(3, 3)


def two(weights, covariances=None):
    return GaussianMixture(
        torch.zeros(2, 3), torch.stack([EYE, EYE]) if covariances is None else covariances, weights
    )


EVEN = torch.tensor([0.5, 0.5])
BAD = {
    "mean matrix": (lambda: Gaussian(EYE, EYE), r"mean: .*\(3, 3\)"),
    "mean integer": (lambda: Gaussian(torch.zeros(3, dtype=torch.int64), EYE), "mean: .*int64"),
    "mean empty": (lambda: Gaussian(torch.zeros(0), torch.zeros(0, 0)), "mean"),
    "mean NaN": (lambda: Gaussian(NAN, EYE), "mean: expected finite"),
    "covariance vector": (lambda: Gaussian(ZERO, ZERO), r"covariance: .*\(3, 3\)"),
    "covariance size": (lambda: Gaussian(ZERO, torch.eye(2)), r"covariance: .*\(2, 2\)"),
    "covariance infinite": (
        lambda: Gaussian(ZERO, math.inf * torch.ones(3, 3)),
        "covariance: expected finite",
    ),
    "covariance skew": (lambda: Gaussian(ZERO, EYE + torch.ones(3, 3).triu(1)), "covariance: .*symmetric"),
    "covariance singular": (lambda: Gaussian(ZERO, SINGULAR), "covariance: .*positive definite"),
    "covariance negative": (lambda: Gaussian(ZERO, -EYE), "covariance: .*smallest eigenvalue -1"),
    "covariance zero": (lambda: Gaussian(ZERO, 0 * EYE), "covariance: .*positive definite"),
    "means vector": (lambda: GaussianMixture(ZERO, EYE[None], torch.ones(1)), "means"),
    "means empty": (
        lambda: GaussianMixture(torch.zeros(0, 3), torch.zeros(0, 3, 3), torch.zeros(0)),
        "means",
    ),
    "covariances count": (lambda: two(EVEN, EYE[None]), r"covariances: .*\(2, 3, 3\)"),
    "covariances one singular": (lambda: two(EVEN, torch.stack([EYE, SINGULAR])), "covariances: .*definite"),
    "weights count": (lambda: two(torch.ones(1)), r"weights: .*\(2,\)"),
    "weights sum": (lambda: two(torch.tensor([0.5, 0.6])), "weights: .*sum to 1"),
    "weights negative": (lambda: two(torch.tensor([1.5, -0.5])), "weights: expected positive"),
    "weights zero": (lambda: two(torch.tensor([1.0, 0.0])), "weights: expected positive"),
    "weights NaN": (lambda: two(torch.tensor([1.0, math.nan])), "weights: expected finite"),
    "points empty": (lambda: Empirical(torch.zeros(0, 3)), "points"),
    "points images": (lambda: Empirical(torch.zeros(2, 3, 3)), r"points: .*\(2, 3, 3\)"),
    "points integer": (lambda: Empirical(torch.zeros(2, 3, dtype=torch.uint8)), "points: .*uint8"),
    "points NaN": (lambda: Empirical(NAN[None]), "points: expected finite"),
    "empirical at 0": (lambda: Empirical(EYE).score(EYE, 0.0), "t: expected a time above 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_parameters(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call()


@with_laws
@pytest.mark.parametrize("method", ["log_prob", "score", "denoiser"])
@pytest.mark.parametrize(
    ("x", "t", "message"),
    [
        (torch.zeros(4), 0.1, r"x: .*\[batch, 4\].*\(4,\)"),
        (torch.zeros(2, 5), 0.1, r"x: .*\(2, 5\)"),
        (torch.zeros(2, 4, dtype=torch.int64), 0.1, "x: .*int64"),
        (torch.zeros(2, 4), -0.1, "t: .*-0.1"),
        (torch.zeros(2, 4), math.nan, "t: .*nan"),
    ],
)
def test_bad_questions(law, method, x, t, message):
    with pytest.raises(InputError, match=message):
        getattr(law, method)(x, t)


@with_laws
@pytest.mark.parametrize("n", [0, -1])
def test_bad_number_of_draws(law, n):
    with pytest.raises(InputError, match=f"n: expected a whole number of at least 1, got {n}"):
        law.sample(n, generator=generator())


def test_they_are_short_when_shown():
    eye = torch.eye(50, dtype=torch.float64)
    assert repr(Gaussian(torch.zeros(50).double(), eye)) == "Gaussian(50 dimensions)"
    assert repr(Empirical(eye)) == "Empirical(50 dimensions)"
