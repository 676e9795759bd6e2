"""What a diffusion network is asked for: noise, x0 or v; how these turn into each other; the loss per item.

A model is any callable `model(x, index)`: x [batch, *item], index int64 [batch] -> [batch, *item].
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from memhorizon.distributions import Distribution
from memhorizon.results import InputError
from memhorizon.schedule import Schedule

Prediction = Literal["noise", "x0", "v"]
Model = Callable[[Tensor, Tensor], Tensor]


def add_noise(
    x0: Float[Tensor, " batch *item"], noise: Float[Tensor, " batch *item"], alpha_bar: Tensor
) -> Float[Tensor, " batch *item"]:
    """Draw x_t given x_0: sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) noise.

    Source: [ho2020] Eq. (4)
    """
    a, b = _amplitudes(alpha_bar, x0)
    return a * x0 + b * noise


def target(
    x0: Float[Tensor, " batch *item"],
    noise: Float[Tensor, " batch *item"],
    alpha_bar: Tensor,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch *item"]:
    """Give what the model should put out: noise, x0, or v = sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) x0.

    Source: [salimans2022] Sec. 4
    """
    check_prediction(prediction)
    if prediction == "noise":
        return noise
    if prediction == "x0":
        return x0
    a, b = _amplitudes(alpha_bar, x0)
    return a * noise - b * x0


def to_x0(
    output: Float[Tensor, " batch *item"],
    x_t: Float[Tensor, " batch *item"],
    alpha_bar: Tensor,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch *item"]:
    """Turn a model's output into its estimate of E[x_0 | x_t].

    Source: [salimans2022] Sec. 4
    """
    check_prediction(prediction)
    if prediction == "x0":
        return output
    a, b = _amplitudes(alpha_bar, x_t)
    return (x_t - b * output) / a if prediction == "noise" else a * x_t - b * output


def to_noise(
    output: Float[Tensor, " batch *item"],
    x_t: Float[Tensor, " batch *item"],
    alpha_bar: Tensor,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch *item"]:
    """Turn a model's output into its estimate of E[noise | x_t].

    Source: [salimans2022] Sec. 4
    """
    check_prediction(prediction)
    if prediction == "noise":
        return output
    a, b = _amplitudes(alpha_bar, x_t)
    return (x_t - a * output) / b if prediction == "x0" else a * output + b * x_t


def to_score(
    output: Float[Tensor, " batch *item"],
    x_t: Float[Tensor, " batch *item"],
    alpha_bar: Tensor,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch *item"]:
    """Turn a model's output into its estimate of the score, -E[noise | x_t]/sqrt(1 - alpha_bar).

    Source: [bonnaire2025] Eqs. (1)-(6)
    """
    return -to_noise(output, x_t, alpha_bar, prediction) / _amplitudes(alpha_bar, x_t)[1]


def item_losses(
    model: Model,
    x0: Float[Tensor, " batch *item"],
    index: Shaped[Tensor, " batch"],
    noise: Float[Tensor, " batch *item"],
    *,
    schedule: Schedule,
    prediction: Prediction = "noise",
) -> Float[Tensor, " batch"]:
    """Give each item's denoising loss: the squared error of the model's output, averaged over coordinates.

    Its mean over items is the loss that is trained; gradients flow, the mode of the model is the caller's.

    Raises:
        InputError: if the model's output has not the shape of its input.

    Source: [bonnaire2025] Eqs. (1)-(6), [ho2020] Eq. (14)
    """
    alpha_bar = schedule.at(index)  # [batch]
    output = predict(model, add_noise(x0, noise, alpha_bar), index)
    wanted = target(x0, noise, alpha_bar, prediction)
    return (output.to(x0.dtype) - wanted).square().flatten(1).mean(1)


def predict(model: Model, x: Float[Tensor, " batch *item"], index: Shaped[Tensor, " batch"]) -> Tensor:
    """Call the model and check the shape of what it gives.

    Raises:
        InputError: if the output has not the shape of `x`.
    """
    output = model(x, index)
    if output.shape != x.shape:
        raise InputError(f"model: expected an output of shape {tuple(x.shape)}, got {tuple(output.shape)}")
    return output


def ideal_model(law: Distribution, schedule: Schedule, prediction: Prediction = "noise") -> Model:
    """Make the model that has learned `law` exactly; on `Empirical` it is the perfect memorizer.

    The law's coordinates are those of the items, flattened; it must be on their device (see its `to`).
    """
    check_prediction(prediction)

    def model(x: Tensor, index: Tensor) -> Tensor:
        flat = x.flatten(1).double()
        output = torch.empty_like(flat)
        for level in index.unique().tolist():  # one closed form per noise level
            rows, alpha_bar = index == level, schedule.at(torch.tensor([level], device=x.device))
            x0 = law.denoiser(flat[rows], float(schedule.t(level)))
            noise = to_noise(x0, flat[rows], alpha_bar, "x0")
            output[rows] = target(x0, noise, alpha_bar, prediction)
        return output.reshape(x.shape).to(x.dtype)

    return model


@contextmanager
def eval_mode(model: Model) -> Iterator[None]:
    """Hold a network in eval mode without gradients, then give every submodule its own mode back."""
    training = [m for m in model.modules() if m.training] if isinstance(model, nn.Module) else []
    try:
        for module in training:
            module.training = False
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def _amplitudes(alpha_bar: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar), rooted in alpha_bar's precision, shaped to multiply `like`."""
    alpha_bar = alpha_bar.reshape(-1, *(1,) * (like.ndim - 1))
    return alpha_bar.sqrt().to(like.dtype), (1 - alpha_bar).sqrt().to(like.dtype)


def check_prediction(prediction: str) -> None:
    """Raise an InputError unless this is a known kind of prediction."""
    if prediction not in ("noise", "x0", "v"):
        raise InputError(f'prediction: expected "noise", "x0" or "v", got {prediction!r}')
