import math
import types

import pytest
import torch

from memhorizon import diffusion
from memhorizon.diffusion import (
    add_noise,
    ideal_model,
    item_losses,
    predict,
    target,
    to_noise,
    to_score,
    to_x0,
)
from memhorizon.distributions import Empirical, Gaussian
from memhorizon.errors import InputError
from memhorizon.schedule import Schedule

PREDICTIONS = ("noise", "x0", "v")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=1000, item=(2, 3), dtype=torch.float64, seed=0):
    x0, noise = torch.randn(2, n, *item, dtype=dtype, generator=generator(seed))
    return x0, noise, torch.randint(0, 1000, (n,), generator=generator(seed + 1))


def test_noising_equals_diffusers():
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler()
    # The same float32 table on both sides; what is left are a few float32 roundings of values below 5 or so.
    schedule = Schedule(theirs.alphas_cumprod.double())
    x0, noise, index = batch(dtype=torch.float32)
    alpha_bar, close = schedule.at(index), {"rtol": 0.0, "atol": 10 * 4 * 2**-24}
    torch.testing.assert_close(add_noise(x0, noise, alpha_bar), theirs.add_noise(x0, noise, index), **close)
    torch.testing.assert_close(
        target(x0, noise, alpha_bar, "v"), theirs.get_velocity(x0, noise, index), **close
    )


def test_small_noise_keeps_its_digits_in_float32():
    alpha_bar = Schedule.linear().at(
        torch.zeros(1, dtype=torch.int64)
    )  # 1 - 1e-4: float32 would lose 3 digits
    x = add_noise(torch.zeros(1, 1), torch.ones(1, 1), alpha_bar)
    assert abs(float(x) / 1e-2 - 1) < 2**-23


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_perfect_output_gives_back_x0_noise_and_score(prediction):
    x0, noise, index = batch()
    alpha_bar = Schedule.linear().at(index)
    x_t = add_noise(x0, noise, alpha_bar)
    output = target(x0, noise, alpha_bar, prediction)
    # Division by the smaller amplitude (6e-3 at index 999, 1e-2 at 0) multiplies a rounding of 2^-52 * 5.
    close = {"rtol": 0.0, "atol": 5 * 2**-52 / 6e-3 * 4}
    torch.testing.assert_close(to_x0(output, x_t, alpha_bar, prediction), x0, **close)
    torch.testing.assert_close(to_noise(output, x_t, alpha_bar, prediction), noise, **close)
    # The score of x_t given x_0 is that of N(sqrt(alpha_bar) x_0, 1 - alpha_bar): take it from autograd.
    x_t.requires_grad_(True)
    a = alpha_bar[:, None, None]
    (-(x_t - a.sqrt() * x0).square() / (2 * (1 - a))).sum().backward()
    score = to_score(output, x_t.detach(), alpha_bar, prediction)
    torch.testing.assert_close(score, x_t.grad, rtol=0.0, atol=close["atol"] / 1e-2)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_conversions_are_consistent_for_any_output(prediction):
    output, x_t, index = batch()
    alpha_bar = Schedule.linear().at(index)
    x0 = to_x0(output, x_t, alpha_bar, prediction)
    noise = to_noise(output, x_t, alpha_bar, prediction)
    # Whatever the network says, its x0 and its noise make up x_t. Largest terms: 5/6e-3, rounded in float64.
    torch.testing.assert_close(add_noise(x0, noise, alpha_bar), x_t, rtol=0.0, atol=8 * 5 / 6e-3 * 2**-52)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_item_losses_equal_a_loop(prediction):
    schedule = Schedule.linear()
    x0, noise, index = batch(n=7)

    def model(x, index):
        return torch.sin(x) + index.double().reshape(-1, 1, 1) / 1000

    losses = item_losses(model, x0, index, noise, schedule=schedule, prediction=prediction)
    for i in range(7):
        a = float(schedule.alpha_bar[index[i]])
        total = 0.0
        for clean, xi in zip(x0[i].flatten().tolist(), noise[i].flatten().tolist(), strict=True):
            x = math.sqrt(a) * clean + math.sqrt(1 - a) * xi
            wanted = {"noise": xi, "x0": clean, "v": math.sqrt(a) * xi - math.sqrt(1 - a) * clean}[prediction]
            total += (math.sin(x) + float(index[i]) / 1000 - wanted) ** 2
        assert float(losses[i]) == pytest.approx(total / 6, rel=1e-12)  # a few dozen roundings of 2^-53


def test_item_losses_let_gradients_flow_and_rise_to_the_items_precision():
    x0, noise, index = batch(n=5, dtype=torch.float32)
    weight = torch.ones((), requires_grad=True)
    losses = item_losses(lambda x, i: (weight * x).bfloat16(), x0, index, noise, schedule=Schedule.linear())
    assert losses.dtype == torch.float32
    losses.mean().backward()
    assert weight.grad is not None
    assert float(weight.grad) != 0.0


@pytest.mark.parametrize("t_index", [40, 300, 800])
def test_loss_of_the_ideal_model_is_the_bayes_risk(t_index):
    schedule = Schedule.linear()
    eigenvalues = torch.tensor([4.0, 1.0, 0.1], dtype=torch.float64)
    law = Gaussian(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), torch.diag(eigenvalues))
    n = 20_000
    x0 = law.sample(n, generator=generator())
    noise = torch.randn(n, 3, dtype=torch.float64, generator=generator(1))
    index = torch.full((n,), t_index)
    losses = item_losses(ideal_model(law, schedule), x0, index, noise, schedule=schedule)
    # Var(noise | x_t) = 1 - delta/(alpha_bar lambda + delta) in each eigendirection; four standard errors.
    a = float(schedule.alpha_bar[t_index])
    risk = float((1 - (1 - a) / (a * eigenvalues + 1 - a)).mean())
    assert abs(float(losses.mean()) - risk) < 4 * float(losses.std()) / math.sqrt(n)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_ideal_model_is_the_denoiser_with_levels_mixed(prediction):
    schedule = Schedule.linear()
    law = Empirical(torch.randn(5, 6, dtype=torch.float64, generator=generator(2)))
    x, _, index = batch(n=20)
    index[:10] = 40  # some share a level
    output = ideal_model(law, schedule, prediction)(x, index)
    x0 = to_x0(output, x, schedule.at(index), prediction)
    for i in range(20):
        wanted = law.denoiser(x[i].reshape(1, 6), float(schedule.t(index[i]))).reshape(2, 3)
        # Back and forth through the amplitudes: see the round trip above.
        torch.testing.assert_close(x0[i], wanted, rtol=0.0, atol=5 * 2**-52 / 6e-3**2 * 4)


def test_ideal_model_keeps_float32_and_small_noise():
    schedule = Schedule.linear()
    points = torch.randn(4, 6, generator=generator(3))
    noise = torch.randn(4, 6, generator=generator(4))
    index = torch.zeros(4, dtype=torch.int64)
    x = add_noise(points, noise, schedule.at(index))
    output = ideal_model(Empirical(points), schedule)(x, index)
    assert output.dtype == torch.float32
    # At noise 0.01 each point is its own posterior mean; x carries a rounding of 2^-24 * 3, divided by 0.01.
    torch.testing.assert_close(output, noise, rtol=0.0, atol=2 * 3 * 2**-24 / 1e-2)


def past_the_checker(name):
    """The function without the checker of annotations, which runs in tests only."""
    function = getattr(diffusion, name)
    return getattr(function, "__wrapped__", function)


X, INDEX = torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)
HALF = torch.full((2,), 0.5)
BAD = {
    "target": (lambda: past_the_checker("target")(X, X, HALF, "eps"), "prediction: .*'eps'"),
    "to_x0": (lambda: past_the_checker("to_x0")(X, X, HALF, "score"), "prediction: .*'score'"),
    "to_noise": (lambda: past_the_checker("to_noise")(X, X, HALF, ""), "prediction: .*''"),
    "ideal_model": (
        lambda: past_the_checker("ideal_model")(Empirical(X), Schedule.linear(), "y"),
        "prediction: .*'y'",
    ),
    "predict": (lambda: predict(lambda x, i: x[:, :2], X, INDEX), r"model: .*\(2, 3\), got \(2, 2\)"),
    "diffusers": (
        lambda: predict(lambda x, i: types.SimpleNamespace(sample=x), X, INDEX),
        r"model: .* got SimpleNamespace; return the tensor alone.*\.sample",
    ),
    "tuple": (lambda: predict(lambda x, i: (x,), X, INDEX), "model: .* got tuple"),
    "none": (lambda: predict(lambda x, i: None, X, INDEX), "model: .* got NoneType"),
    "numpy": (lambda: predict(lambda x, i: x.numpy(), X, INDEX), "model: .* got ndarray"),
    "no model": (lambda: past_the_checker("predict")(None, X, INDEX), "model: .* got NoneType"),
    "item_losses": (
        lambda: item_losses(lambda x, i: x.mean(1), X, INDEX, X, schedule=Schedule.linear()),
        r"model: .*\(2, 3\), got \(2,\)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call()
